"""What every family has: checked settings and a forward pass."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, get_args, get_type_hints

from sheetgen.base.cells import MAX_COLUMNS, MAX_ROWS
from sheetgen.base.errors import InputError
from sheetgen.model import rounding as precision
from sheetgen.model.controls import Controls
from sheetgen.model.rounding import Precision
from sheetgen.trace.recorder import Source, Trace, scope

MOST = 10**9  # of any size; of what is counted one by one, as many as a sheet has rows
COLDEST = 0.001  # temperature: 0 cannot divide
COUNTS = {"n_layers", "n_heads", "n_kv_heads", "n_experts"}


def setting(default: Any, doc: str, low: float = 1) -> Any:
    """A field of a family: its default, its sentence for the Config sheet, its smallest value."""
    return field(default=default, metadata={"doc": doc, "low": low})


@dataclass(frozen=True, kw_only=True)
class Config:
    """A family: its fields are the rows of the Config sheet, `forward` is the model."""

    family: ClassVar[str]
    inputs: ClassVar[str] = "sentence"  # what the model is given: an entry of `presets.INPUTS`

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
            precision.declare(self.precision, made)
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
        kinds = get_type_hints(type(self))  # slow: once, not for every field
        for f in self.settings():
            _check_type(f, kinds[f.name], getattr(self, f.name))

    def forward(self, controls: Controls) -> None:
        """Compute the model once; each named tensor enters the open trace."""
        raise NotImplementedError

    def more_sizes(self) -> dict[str, float]:
        """Sizes of the sheet Scale that no field of this family is called like."""
        return {}

    def least_size(self) -> tuple[int, int]:
        """Rows and columns that the sheet of the model has at least; so what cannot fit is refused at once."""

        def size(name: str) -> int:
            return int(getattr(self, name, 1))

        heads = size("n_heads") * min([size("head_dim"), *getattr(self, "value_dims", ())])
        rows = size("n_layers") * max(heads, size("d_ff"), size("n_experts"))
        return max(rows, size("n_labels"), size("vocab_size")), max(size("d_model"), size("d_ff"), heads)

    def prediction(self, trace: Trace) -> str:
        """What the model says about its input, in a line."""
        raise NotImplementedError


ALIKE = "alike"  # how Config says that a list is empty
Sizes = tuple[int, ...]  # one for each head, expert or layer; () when all are alike


def as_sizes(value: Any) -> Any:
    """A list of sizes as people write it (`5,3,3`, `5 3 3`, [5, 3, 3], 5, alike); anything else as it is."""
    if isinstance(value, str):
        words = [] if value.strip().lower() == ALIKE else re.split(r"[\s,;]+", value.strip())
        return tuple(map(int, words)) if all(map(str.isdecimal, words)) else value
    if isinstance(value, int | float) and not isinstance(value, bool) and value == int(value):
        return (int(value),)
    return tuple(value) if isinstance(value, list) else value


def each(sizes: Sizes, name: str, count: int, what: str) -> None:
    """Raise InputError when a list of sizes has not one for each of `count` parts."""
    if sizes and len(sizes) != count:
        raise InputError(f"{name} has {len(sizes)} sizes, but there are {count} {what}: give one for each, or none")


def run(config: Config, source: Source) -> Trace:
    """The model of `config` with the numbers and words of `source`."""
    fit_a_worksheet(config)
    with Trace(source) as trace:
        controls = config.live()
        if config.rounds:
            precision.begin(trace, config.precision, controls)
        config.forward(controls)
        if config.rounds and config.precision != precision.FULL:
            precision.refuse_without_effect(trace)
            with precision.once_more(trace):
                config.forward(controls)
            precision.compare(trace)
    return trace


def fit_a_worksheet(config: Config) -> None:
    """Raise InputError when the model can have no place on a sheet."""
    rows, columns = config.least_size()
    if rows > MAX_ROWS or columns > MAX_COLUMNS:
        raise InputError(
            f"this model needs at least {rows:,} rows × {columns:,} columns, but a worksheet has "
            f"{MAX_ROWS:,} × {MAX_COLUMNS:,}: choose smaller sizes"
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


def _check_type(f: dataclasses.Field[Any], kind: Any, value: Any) -> None:
    """A field must have the type it is declared with, and be no smaller than allowed."""
    choices = get_args(kind)
    if kind == Sizes:
        if not isinstance(value, tuple) or any(type(size) is not int or size < 1 for size in value):
            raise InputError(f"{f.name} {value!r} is not a list of sizes: write whole numbers from 1 on, such as 5,3,3")
    elif choices:
        if value not in choices:
            raise InputError(f"{f.name} {value!r} is not known: choose {' or '.join(choices)}")
    elif type(value) is not kind:
        wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[kind]
        raise InputError(f"{f.name} {value!r} is not {wanted}")
    elif kind in (int, float) and not f.metadata["low"] <= value < float("inf"):
        raise InputError(f"{f.name} {value} is too small: it must be at least {f.metadata['low']}")
    elif kind is int and value > (most := MAX_ROWS if f.name in COUNTS else MOST):
        raise InputError(f"{f.name} {value} is too large: it must be at most {most}")
