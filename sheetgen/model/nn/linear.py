"""Linear parts: a bias as the last column of its matrix, residual connections, sums."""

from __future__ import annotations

import functools

import numpy as np

from sheetgen.model.controls import Controls
from sheetgen.trace.tensor import Tensor, constant, stack, stands_here


def with_ones(x: Tensor) -> Tensor:
    """[x; 1]: x with a row of ones under it, so that the last column of a matrix is its bias. [d, T] → [d + 1, T]."""
    if not stands_here(x):
        x = x.named("x")
    ones = constant(f"{x.name}_ones", np.ones((1, x.columns)), ("", x.axes[1]), "foot")
    return stack([x, ones], x.axes)


def add_back(x: Tensor, y: Tensor, c: Controls, which: str) -> Tensor:
    """The residual connection x + y; with its switch, x is carried beside y. Both [d, T] → [d, T].

    `which` is 1, 2, … within a layer: the control is `residual_1`, the block `skip_1`.
    """
    on = c.here(f"residual_{which}")
    return (x if on is None else (x * on).named(f"skip_{which}", "beside", role="skip")) + y


def total(parts: list[Tensor]) -> Tensor:
    """The sum of the parts. All [d, T] → [d, T]."""
    return functools.reduce(lambda a, b: a + b, parts)
