"""The live controls of a model: numbers and switches at the top of its sheet.

Each acts in a small block that feeds a large one (a mask, a row of angles, a divisor), so that the formula of the large
one stays as short as its equation. Those that cannot are `extra`: in the sheet only when they are asked for. A control
that the sheet has not is in no formula; its default holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sheetgen.base.errors import InputError, suggest
from sheetgen.trace.limits import Limits, Live
from sheetgen.trace.recorder import open_path
from sheetgen.trace.tensor import Control, Tensor, complaints, control, number, when

USUAL, ALL, NONE = "usual", "all", "none"
ON, OFF = "on", "off"


@dataclass
class Controls:
    """The controls of one model. `wanted` says which: usual, all, none, or names separated by commas."""

    wanted: str = USUAL
    made: dict[str, Control] = field(default_factory=dict)
    defaults: dict[str, Live] = field(default_factory=dict)
    group: str = ""  # the heading under which the next ones stand

    # --- which there are: in the scope `control`, before anything that they act on ---------------------------------

    def number(
        self, name: str, default: float, low: float = 0.0, high: float = float("inf"), whole: bool = False
    ) -> None:
        """A number from low to high."""
        self._offer(name, default, Limits(low, high, whole), extra=False)

    def switch(self, name: str, default: str = ON, choices: tuple[str, ...] = (ON, OFF), extra: bool = False) -> None:
        """One of some words."""
        self._offer(name, default, Limits(choices=choices), extra)

    def parts(self, name: str, scopes: dict[str, list[str]]) -> None:
        """A switch on/off for each of some parts of the model, wanted by one `name`: row → scopes in that row.

        The control of the part `layer_0.head_1` is called `layer_0_head_1`.
        """
        self.defaults[name] = ON
        if not self._wants(name, extra=False):
            return
        for row, paths in scopes.items():
            for path in paths:
                key = _key(path)
                self.made[key] = control(key, ON, Limits(choices=(ON, OFF)), row=row, part=path, what=name)

    def close(self) -> None:
        """After the last one: refuses names that nothing is called, and says in the sheet what is wrong."""
        for name in self._names - {USUAL, ALL, NONE}:
            if name not in self.defaults:
                hint = suggest(name, self.defaults, f"this model has {', '.join(self.defaults)}")
                raise InputError(f"there is no control {name!r}: {hint}")
        if self.made:
            complaints(list(self.made.values())).named("message")

    @property
    def _names(self) -> set[str]:
        return set(filter(None, (name.strip() for name in self.wanted.split(","))))

    def _wants(self, name: str, extra: bool) -> bool:
        return ALL in self._names or name in self._names or (USUAL in self._names and not extra)

    def _offer(self, name: str, default: Live, limits: Limits, extra: bool) -> None:
        self.defaults[name] = default
        if self._wants(name, extra):
            self.made[name] = control(name, default, limits, group=self.group)

    # --- what they say ---------------------------------------------------------------------------------------------

    def __contains__(self, name: str) -> bool:
        return name in self.made

    def __getitem__(self, name: str) -> Tensor:
        """The control's cell, or its default as a number in the formula."""
        if name in self.made:
            return self.made[name]
        default = self.defaults[name]
        assert not isinstance(default, str), f"{name} is no number: ask whether it is in the sheet"
        return number(default)

    def factor(self, name: str, word: str = ON) -> Tensor | None:
        """1 while the control says `word`, else 0; None when the sheet has no such control."""
        return when(self.made[name], word, 1.0, 0.0) if name in self.made else None

    def here(self, name: str = "") -> Tensor | None:
        """1 while the part whose scope is open (or the part `name` of it) is on; None when it has no switch."""
        return self.factor(_key(".".join(part for part in (open_path(), name) if part)))


def _key(path: str) -> str:
    """The name of the switch of a part: `layer_0.head_1` → `layer_0_head_1`."""
    return path.replace(".", "_")


def times(x: Tensor, factor: Tensor | None) -> Tensor:
    """x, or x times what a control makes of it."""
    return x if factor is None else x * factor
