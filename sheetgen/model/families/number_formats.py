"""What number formats do, each shown by itself in a few numbers: no model, but what goes wrong in models.

Facts: IEEE 754-2019; Wang et al. 2024, arXiv:2411.13476 (positions in bfloat16); Hendrycks & Gimpel 2016,
arXiv:1606.08415 (GELU and its tanh form).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sheetgen.model.choices import Format
from sheetgen.model.config import Config, setting
from sheetgen.model.controls import Controls
from sheetgen.model.families.attention import BARE
from sheetgen.model.given import Inputs, Prepared
from sheetgen.model.rounding import Rounding, cells
from sheetgen.trace.recorder import Trace, scope
from sheetgen.trace.tensor import (
    Tensor,
    constant,
    cos,
    equal,
    floor,
    gelu,
    gelu_tanh,
    largest,
    less,
    less_equal,
    log,
    numbers,
    sum_rows,
)

# What the sheet begins with; each may be edited there.
NUMBERS = {
    "number.x": (0.1, 0.3, 1.0, 1.00390625, 3.14159, -100.7, 1000.3, 0.00001),
    "positions.position": (254.0, 255.0, 256.0, 257.0, 258.0, 259.0, 260.0, 261.0),
    "gelu.x": (-3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0),
    "window.v": (1.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0),
}
COUNT = 8
TABLES = Inputs("numbers", (), lambda *_: Prepared(arrays={path: np.array([row]) for path, row in NUMBERS.items()}))


@dataclass(frozen=True, kw_only=True)
class NumberFormats(Config):
    """Rounding, colliding positions, two forms of GELU, and a window that is off by one."""

    family: ClassVar[str] = "number_formats"
    inputs: ClassVar[Inputs] = TABLES
    rounds: ClassVar[bool] = False

    precision: Format = setting("bf16", "Number format that is shown first; a control.")
    window: int = setting(4, "Keys that a query sees, its own included; beside it one fewer. A control.", low=2)

    def declare(self, c: Controls) -> None:
        c.group = "Window"
        c.number("window", self.window, low=2, whole=True)

    def more_sizes(self) -> dict[str, float]:
        return BARE | {"n_layers": 0, "d_model": 0, "head_dim": 0}  # nothing is trained

    def prediction(self, trace: Trace) -> str:
        same = int(trace["positions.same_as_before"].value.sum())
        return f"{same} of {COUNT} positions become the one before"

    def forward(self, c: Controls) -> None:
        """Four small tables."""
        rounding = cells(self.precision, c)
        with scope("number", "A number, rounded step by step"):
            step_by_step(_given("x"), rounding)
        with scope("positions", "RoPE in this format: positions that become one"):
            positions(_given("position"), rounding)
        with scope("gelu", "GELU: exact, and by tanh"):
            two_gelus(_given("x"), rounding)
        with scope("window", "A window of W keys, and of W − 1 (as 2048 and 2047)"):
            off_by_one(_given("v"), c)


def _given(name: str) -> Tensor:
    return numbers(name, 1, COUNT)


def step_by_step(x: Tensor, rounding: Rounding) -> None:
    """x [1, n] → its size, the step between neighbours there, the nearest whole number of steps."""
    size = largest(x, 0.0 - x, rounding.smallest).named("size")
    # The logarithm of a power of 2 may come out just below a whole number.
    exponent = floor(log(size) / log(2.0) + 1e-12).named("exponent")
    step = (2.0 ** (exponent - rounding.bits)).named("step")
    steps = (x / step).named("steps")
    tie = equal(steps - 2.0 * floor(steps / 2.0), 0.5).named("tie")  # half a step above an even number of them
    nearest = (floor(steps + 0.5) - tie).named("nearest")
    kept = (nearest * step).named("kept")
    (kept - x).named("error")
    rounding.of(x, "at_once")


def positions(position: Tensor, rounding: Rounding) -> None:
    """Positions [1, n] → what is left of them, and of the cosine of the fastest pair's angle (1 radian each)."""
    kept = rounding.of(position, "kept_position")
    cos(position).named("cos_exact")
    cos(kept).named("cos_kept")
    before, after = kept.slice_columns(0, COUNT - 1), kept.slice_columns(1, COUNT)
    equal(after, before).named("same_as_before", starts_at=1)


def two_gelus(x: Tensor, rounding: Rounding) -> None:
    """x [1, n] → GELU by the normal distribution and by tanh, their difference, and what rounding leaves of it."""
    exact, close = gelu(x).named("gelu_exact"), gelu_tanh(x).named("gelu_tanh")
    (close - exact).named("gelu_difference")
    kept = rounding.of(exact, "gelu_exact_kept"), rounding.of(close, "gelu_tanh_kept")
    equal(*kept).named("same")


def off_by_one(v: Tensor, c: Controls) -> None:
    """Values [1, T] → their mean over the keys in sight, with a window of W and of W − 1 keys."""
    place = constant("place", np.arange(COUNT)[None], where="below")
    made = []
    for name, keys in (("wide", c["window"]), ("narrow", c["window"] - 1.0)):
        key = place.T.named(f"key_{name}", "left")
        mask = (less_equal(key, place) * less(place, key + keys)).named(f"mask_{name}")
        share = sum_rows(mask).named(f"keys_{name}")
        weights = (mask / share).named(f"pattern_{name}", "beside")
        made.append((v @ weights).named(f"mean_{name}"))
    (made[1] - made[0]).named("mean_difference")
