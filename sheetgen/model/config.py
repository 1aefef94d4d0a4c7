"""What every family has: checked settings and a forward pass."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sheetgen.base.errors import InputError, TooLarge
from sheetgen.model import rounding
from sheetgen.model.choices import Precision
from sheetgen.model.controls import Controls
from sheetgen.model.given import SENTENCE, Inputs
from sheetgen.model.settings import Cell, kinds, read, verify, written
from sheetgen.trace.recorder import MAX_BLOCKS, Source, Trace, scope

COLDEST = 0.001  # temperature: 0 cannot divide
NEVER = 1_000_000  # of a setting "every n-th layer": none of them


def setting(
    default: Any,
    doc: str,
    low: float = 1,
    bias: tuple[Any, Any] | None = None,
    counted_by: tuple[str, ...] = (),
    neutral: Any = None,
    like: str = "",
    brings: tuple[str, ...] = (),
) -> Any:
    """A field of a family: its default, its sentence for the Config sheet, its smallest value.

    bias: what it is without and with biases, when all matrices shall have one or none.
    counted_by: of a list, the settings that say how many sizes it has.
    When a model is compared with one that has no such setting: neutral, the value at which it is as if it were not
    there; like, the setting of the other that it then equals; brings, the controls that are there because of it.
    """
    told = {"doc": doc, "low": low, "bias": bias}
    told |= {"counted_by": counted_by, "neutral": neutral, "like": like, "brings": brings}
    return field(default=default, metadata=told)


@dataclass(frozen=True, kw_only=True)
class Config:
    """A family: its fields are the rows of the Config sheet, `forward` is the model."""

    family: ClassVar[str]
    inputs: ClassVar[Inputs] = SENTENCE  # what the model is given
    stands_for: ClassVar[str] = ""  # the setting that tells best what this family has more than a smaller one
    rounds: ClassVar[bool] = True  # whether `precision` rounds its results; otherwise it has its own use for it

    controls: str = setting(
        "usual", "Controls on top of the model: usual, all (also those that make formulas long), none, or their names."
    )

    precision: Precision = setting(
        "full", "Number format that results are rounded to, with full precision beside it; full: no rounding."
    )

    def live(self) -> Controls:
        """The controls of this model, as blocks at the top of its sheet."""
        with scope("control", "Controls: change one, the model follows"):
            made = Controls(self.controls)
            self.declare(made)
            rounding.declare(self.precision, made)
            made.close()
        return made

    def declare(self, c: Controls) -> None:
        """Which controls the model has, with its own values as defaults."""
        raise NotImplementedError

    @classmethod
    def settings(cls) -> tuple[dataclasses.Field[Any], ...]:
        """Its settings in the order of the rows of Config."""
        return dataclasses.fields(cls)

    def __post_init__(self) -> None:
        types = kinds(type(self))
        for f in self.settings():
            verify(f, types[f.name], getattr(self, f.name))

    def forward(self, controls: Controls) -> None:
        """Compute the model once; each named tensor enters the open trace."""
        raise NotImplementedError

    def more_sizes(self) -> dict[str, float]:
        """Sizes of the sheet Scale that no field of this family is called like."""
        return {}

    def layer_cells(self, tokens: int) -> int:
        """About how many cells the formulas of a layer fill; only families that read checkpoints need to know."""
        raise NotImplementedError

    def n_parts(self) -> int:
        """How many heads and experts all layers have; each makes blocks of its own."""
        layers, heads, experts = (getattr(self, name, 0) for name in ("n_layers", "n_heads", "n_experts"))
        return int(layers * (heads + experts))

    def prediction(self, trace: Trace) -> str:
        """What the model says about its input, in a line."""
        raise NotImplementedError


# --- the sheet Config --------------------------------------------------------------------------------------------


def encode(config: Config) -> dict[str, Cell]:
    """Every setting of a model as its cell on the sheet Config."""
    return {f.name: written(getattr(config, f.name)) for f in config.settings()}


def decode(family: type[Config], cells: Mapping[str, Any]) -> Config:
    """The model of this family whose settings these are: cells of Config, also edited or saved by another program.

    Raises InputError that names the row. A row of a later version that an old workbook lacks would get its value here.
    """
    for f in family.settings():
        if f.name not in cells:
            raise InputError(f"Config has no row {f.name!r}: put it back, or build the workbook anew")
    try:
        config = family(**{name: read(kind, cells[name]) for name, kind in kinds(family).items()})
        refuse_too_many(config)
    except InputError as error:
        raise InputError(f"Config: {error}") from error
    return config


# --- a model -----------------------------------------------------------------------------------------------------


def run(config: Config, source: Source, alike: bool = False) -> Trace:
    """The model of `config` with the numbers and words of `source`; `alike` words are looked up as 0.1.0 did it."""
    refuse_too_many(config)
    with Trace(source, alike) as trace:
        controls = config.live()
        if config.rounds:
            rounding.begin(trace, config.precision, controls)
        config.forward(controls)
        if config.rounds and config.precision != rounding.FULL:
            rounding.refuse_without_effect(trace)
            with rounding.once_more(trace):
                config.forward(controls)
            rounding.compare(trace)
    return trace


def refuse_too_many(config: Config) -> None:
    """Raise InputError when the model has more parts than a workbook holds, before they are counted one by one.

    What is too large otherwise is refused while the model runs, as soon as a block has no room (`Trace.claim`).
    """
    if config.n_parts() > MAX_BLOCKS:
        raise TooLarge(
            f"this model has {config.n_parts():,} heads and experts, but a workbook holds {MAX_BLOCKS:,} tensors: "
            "choose smaller sizes"
        )


# --- controls that families share, in the order in which they stand on the sheet ---------------------------------


def declare_sight(c: Controls, window: int = 0, chunk: int = 0) -> None:
    """How far a query sees; 0: as far as there are tokens."""
    c.number("window", window, whole=True)
    c.number("attention_chunk_size", chunk, whole=True)


def declare_softmax(c: Controls) -> None:
    """How scores become a pattern."""
    c.switch("attention_scale")
    c.number("attention_temperature", 1.0, low=COLDEST)
    c.switch("subtract_max")


def declare_output(c: Controls, norm: str, eps: float) -> None:
    """The norms, of the kind `norm` by default, and the softmax at the end."""
    c.group = "Norms, output"
    c.switch("norm", norm, ("rms", "layer", "none"))
    c.number("norm_eps", eps)
    c.number("output_temperature", 1.0, low=COLDEST)


def declare_layers(c: Controls, heads: Sequence[int]) -> None:
    """The two residual connections and the heads of each layer; heads: how many each layer has."""
    c.parts("residuals", {f"layer {i}": [f"layer_{i}.residual_{r}" for r in (1, 2)] for i in range(len(heads))})
    c.parts("heads", {f"layer {i}": [f"layer_{i}.head_{j}" for j in range(n)] for i, n in enumerate(heads)})


def divisors(n: int) -> list[int]:
    """All whole numbers that divide n, ascending."""
    small = [k for k in range(1, math.isqrt(n) + 1) if n % k == 0]
    return small + [n // k for k in reversed(small) if k * k < n]
