"""What may be typed into a control, and what the sheet says about what may not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sheetgen.base.lang import tr
from sheetgen.base.text import literal

Live = float | str  # what a control holds


@dataclass(frozen=True)
class Limits:
    """What may be typed into a control: a number from low to high, or one of some words."""

    low: float = -math.inf
    high: float = math.inf
    whole: bool = False
    choices: tuple[str, ...] = ()

    def allows(self, value: object) -> bool:
        if self.choices:
            return isinstance(value, str) and meant(value) in self.choices
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return self.low <= value <= self.high and (not self.whole or value == int(value))

    @property
    def rule(self) -> str:
        """`must be a whole number from 1 to 3`."""
        if self.choices:
            return f"must be {' or '.join(self.choices)}"
        kind = "a whole number" if self.whole else "a number"
        return f"must be {kind} {'from' if self.high < math.inf else 'of at least'} {self.low:g}" + (
            f" to {self.high:g}" if self.high < math.inf else ""
        )

    def formula(self, cell: str) -> str:
        """True in the sheet when the cell holds what is allowed."""
        if self.choices:
            return "OR(" + ",".join(says(cell, word) for word in self.choices) + ")"
        rules = [f"COUNT({cell})=1", f"{cell}>={literal(self.low)}"]
        rules += [f"{cell}<={literal(self.high)}"] if self.high < math.inf else []
        rules += [f"INT({cell})={cell}"] if self.whole else []
        return f"IFERROR(AND({','.join(rules)}),FALSE)"


def meant(typed: str) -> str:
    """The word of a control that somebody typed with capitals or blanks around it."""
    return typed.strip(" ").lower()


def says(cell: str, word: str) -> str:
    """True in the sheet when the cell holds the word, with capitals or blanks around it as it may be; without '='."""
    return f'TRIM({cell})="{word}"'


def complaints(values: Sequence[object], limits: Sequence[tuple[str, Limits]]) -> str:
    """A hint, then what is wrong with the values of controls, each told by its name."""
    pairs = zip(values, limits, strict=True)
    return _hint() + "".join(_complaint(name, limit) for value, (name, limit) in pairs if not limit.allows(value))


def complaints_formula(cells: Sequence[str], limits: Sequence[tuple[str, Limits]]) -> str:
    """The same, as the sheet says it about these cells; without '='."""
    parts = [f'"{_hint()}"']
    for cell, (name, limit) in zip(cells, limits, strict=True):
        parts.append(f'IF({limit.formula(cell)},"","{_complaint(name, limit)}")')
    return "&".join(parts)


def _hint() -> str:
    """Before what is wrong: engines take an empty text for no value."""
    return f"{tr('Click a cell, it tells what it does.')} "


def _complaint(name: str, limit: Limits) -> str:
    return f"✗ {tr(f'{name} {limit.rule}.')} "
