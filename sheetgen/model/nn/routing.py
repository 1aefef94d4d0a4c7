"""Routing: which expert sees which token, and with what weight."""

from __future__ import annotations

from typing import Literal

from sheetgen.model.controls import Controls
from sheetgen.model.nn.norm import softmax
from sheetgen.trace.recorder import unrounded
from sheetgen.trace.tensor import Tensor, Weight, less, less_equal, rank, sigmoid, stack, sum_rows, when


def top_k(x: Tensor, k: Tensor) -> Tensor:
    """1 for the k largest of each column, else 0; of equal ones the first. [n, T] → [n, T]."""
    return less(rank(x).named("rank", "beside"), k)


def route(
    x: Tensor,
    w: Weight,
    c: Controls,
    gate: Literal["softmax", "sigmoid"],
    renormalise: bool,
    switches: list[Tensor | None],
) -> Tensor:
    """The weight of every expert for every token, 0 for those not chosen. [d, T] → [experts, T].

    softmax: over all experts, then (renormalise) divided by the sum over the chosen; sigmoid: each by itself.
    There are as many experts as `switches`: 1, or 0 for one that counts nothing, chosen or not; None: no switch.
    """
    experts, on = len(switches), [switch for switch in switches if switch is not None]
    logits = (w("W_router", experts, x.rows, axes=("expert", x.axes[0])) @ x).named("logits", role="logits")
    chosen = top_k(logits, c["top_k"])
    if on:
        chosen = chosen * stack(on).named("expert_on", "left", axes=(logits.axes[0], ""))
    chosen = chosen.named("chosen", "beside", role="chosen")
    with unrounded():
        weights = softmax(logits, "p", c) if gate == "softmax" or "gate" in c else sigmoid(logits)
    if "gate" in c:
        weights = when(c["gate"], "softmax", weights, sigmoid(logits))
    g = chosen * weights
    if "equal_weights" in c:
        g = when(c["equal_weights"], "on", chosen, g)
    if not renormalise and "renormalise" not in c:
        return g.named("g", "beside", role="gate")
    with unrounded():
        picked = g.named("picked", "beside")
        whole = sum_rows(picked)
        if on:
            whole = whole + less_equal(whole, 0.0)  # of a token whose experts are all off: not 0 / 0
        if "renormalise" in c:
            whole = when(c["renormalise"], "on", whole, 1.0)
        whole = whole.named("picked_sum")
    return (picked / whole).named("g", "beside", role="gate")
