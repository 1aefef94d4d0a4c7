"""Norms, over the features of a token or of a head, and softmax: what brings each column to one scale."""

from __future__ import annotations

from typing import Literal

from sheetgen.model.controls import Controls, times
from sheetgen.trace.recorder import unrounded
from sheetgen.trace.roles import Role
from sheetgen.trace.tensor import (
    Tensor,
    Weight,
    Where,
    choose,
    exp,
    masked,
    max_rows,
    mean_rows,
    mean_square,
    sqrt,
    sum_rows,
    when,
)

NormKind = Literal["rms", "layer"]


def rms_norm(x: Tensor, w: Weight, c: Controls, name: str, unit_offset: bool = False) -> Tensor:
    """RMSNorm: w ⊙ x / √(mean(x²) + ε), per column, or (1 + w) ⊙ … . [d, T] → [d, T].

    With the control `norm`, "layer" takes off the mean and "none" divides by 1; the gain stays.
    Source: Zhang & Sennrich 2019, arXiv:1910.07467; ε inside the root as Llama has it.
    """
    eps = c["norm_eps"]
    if "norm" in c:
        with unrounded():
            mean = times(mean_rows(x), c.factor("norm", "layer")).named(f"{name}_mean")
            rms = when(c["norm"], "none", 1.0, sqrt(mean_square(x) - mean**2.0 + eps)).named(f"{name}_rms")
        return (gain(name, x, w, unit_offset) * (x - mean) / rms).named(name)
    return plain_rms_norm(x, w, eps, name, unit_offset)


def plain_rms_norm(x: Tensor, w: Weight, eps: Tensor, name: str, unit_offset: bool = False) -> Tensor:
    """RMSNorm that no control changes. [d, T] → [d, T]."""
    rms = root_mean_square(x, eps, name)
    return (gain(name, x, w, unit_offset) * x / rms).named(name)


def root_mean_square(x: Tensor, eps: Tensor, name: str) -> Tensor:
    """√(mean(x²) + ε), per column. [d, T] → [1, T]."""
    with unrounded():
        return sqrt(mean_square(x) + eps).named(f"{name}_rms")


def layer_norm(x: Tensor, w: Weight, c: Controls, name: str, unit_offset: bool = False) -> Tensor:
    """LayerNorm: w ⊙ (x − mean) / √(variance + ε) + b, per column, or (1 + w) ⊙ … . [d, T] → [d, T].

    The variance is the population's (divided by d). With the control `norm`, "rms" leaves the mean in and "none"
    divides by 1; gain and shift stay. Source: Ba et al. 2016, arXiv:1607.06450.
    """
    eps = c["norm_eps"]
    with unrounded():
        mean = times(mean_rows(x), c.factor("norm", "layer")).named(f"{name}_mean")
        centred = (x - mean).named(f"{name}_centred")
        std = sqrt(mean_square(centred) + eps)
        std = (when(c["norm"], "none", 1.0, std) if "norm" in c else std).named(f"{name}_std")
    scale = gain(name, x, w, unit_offset)
    shift = w(f"b_{name}", x.rows, 1, axes=(x.axes[0], ""))
    return (scale * centred / std + shift).named(name)


def gain(name: str, x: Tensor, w: Weight, unit_offset: bool) -> Tensor:
    """The trainable factor of a norm, one per feature: w, or 1 + w. [d, 1]."""
    made = w(f"w_{name}", x.rows, 1, axes=(x.axes[0], ""), around=0.0 if unit_offset else 1.0)
    return 1.0 + made if unit_offset else made


def unit_rms(x: Tensor, eps: Tensor, name: str) -> Tensor:
    """RMS norm without a weight, as Llama 4 applies it to queries and keys. [h, T] → [h, T]."""
    return (x / root_mean_square(x, eps, name)).named(f"{name}_norm", "beside")


def head_norm(x: Tensor, w: Tensor, eps: Tensor, name: str, role: Role | None = None) -> Tensor:
    """RMSNorm of the queries or keys of one head; all heads of a layer share the gain. [h, T] → [h, T]."""
    rms = root_mean_square(x, eps, name)
    return (w.named(f"gain_{name}", "left") * x / rms).named(name, "beside", role=role)


def projected_norm(name: str, rows: int, x: Tensor, w: Weight, eps: Tensor) -> Tensor:
    """RMSNorm over the queries (or keys) of all heads at once, as OLMo 2 has it. [d, T] → [rows, T]."""
    made = (w(f"W_{name}", rows, x.rows, axes=("head_dim", x.axes[0])) @ x).named(f"{name}_all")
    return plain_rms_norm(made, w, eps, f"{name}_norm")


def softmax(x: Tensor, name: str, c: Controls, temperature: Tensor | None = None, role: Role | None = None) -> Tensor:
    """exp(x − max) / Σ exp(x − max), per column; the maximum keeps EXP from overflowing. Any shape → same shape.

    A `temperature` divides x: above 1 the result is flatter, below 1 sharper.
    """
    with unrounded():
        largest_ = times(max_rows(x), c.factor("subtract_max")).named(f"{name}_max")
        e = exp(x - largest_ if temperature is None else (x - largest_) / temperature).named(f"{name}_exp", "beside")
    return shares(e, name, role)


def softmax_of_seen(
    mask: Tensor, x: Tensor, name: str, c: Controls, where: Where = "below", anything: Tensor | None = None
) -> Tensor:
    """Softmax of each column over what the mask leaves; the rest is exactly 0, whatever x is. Each [k, t] → [k, t].

    The mask decides twice: hidden scores are −∞ in the block `masked`, so that the largest is one of those that are
    seen, and their exponential is 0 by the mask itself, for which no number stands in.

    anything: 0 where a column sees nothing [1, t]; there it is the same for all, and means nothing. Without it every
    column must see something.
    """
    seen = masked(mask, x).named("masked", where)
    largest_ = max_rows(seen)
    with unrounded():
        largest_ = times(largest_, c.factor("subtract_max")) if anything is None else masked(anything, largest_)
        largest_ = largest_.named(f"{name}_max")
        e = choose(mask, exp(seen - largest_), 0.0)
        e = (e if anything is None else e + (1.0 - anything)).named(f"{name}_exp", "beside")
    return shares(e, name, "pattern" if anything is None else None)


def shares(e: Tensor, name: str, role: Role | None) -> Tensor:
    """What each number is of the sum of its column. Any shape → same shape."""
    with unrounded():
        total = sum_rows(e).named(f"{name}_sum")
    return (e / total).named(name, "beside", role=role)
