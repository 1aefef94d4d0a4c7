"""Feed-forward networks, gated or plain, and their curves."""

from __future__ import annotations

from typing import Literal

from sheetgen.model.controls import Controls
from sheetgen.model.nn.linear import with_ones
from sheetgen.trace.tensor import Tensor, Weight, gelu, gelu_tanh, relu, relu2, silu, when

Activation = Literal["silu", "gelu", "gelu_tanh", "relu", "relu2"]
CURVES = {"silu": silu, "gelu": gelu, "gelu_tanh": gelu_tanh, "relu": relu, "relu2": relu2}


def activate(x: Tensor, curve: Activation, c: Controls) -> Tensor:
    """The curve of the feed-forward block, or the one that the control `activation` says. Any shape → same shape."""
    if "activation" not in c:
        return CURVES[curve](x)
    *others, last = CURVES
    found = CURVES[last](x)
    for name in reversed(others):
        found = when(c["activation"], name, CURVES[name](x), found)
    return found


def gated_mlp(
    x: Tensor, w: Weight, hidden: int, curve: Activation, c: Controls, bias: bool = False, out: int | None = None
) -> Tensor:
    """Gated feed-forward: W_down · (curve(W_gate·x) ⊙ W_up·x); SwiGLU with SiLU, GeGLU with GELU. [d, T] → [d, T].

    Source: Shazeer 2020, arXiv:2002.05202.
    """
    d, f = x.axes[0], "d_ff"
    x = with_ones(x) if bias else x
    gate = (w("W_gate", hidden, x.rows, axes=(f, d)) @ x).named("gate")
    up = (w("W_up", hidden, x.rows, axes=(f, d)) @ x).named("up")
    h = activate(gate, curve, c) * up
    h = (when(c["gated"], "on", h, activate(up, curve, c)) if "gated" in c else h).named("h", "beside")
    return project_down(h, w, d, bias, out or x.rows - bias)


def mlp(
    x: Tensor, w: Weight, hidden: int, curve: Activation, c: Controls, bias: bool = False, out: int | None = None
) -> Tensor:
    """Plain feed-forward: W_down · curve(W_up·x). [d, T] → [d, T]."""
    d, f = x.axes[0], "d_ff"
    x = with_ones(x) if bias else x
    up = (w("W_up", hidden, x.rows, axes=(f, d)) @ x).named("up")
    h = activate(up, curve, c).named("h", "beside")
    return project_down(h, w, d, bias, out or x.rows - bias)


def project_down(h: Tensor, w: Weight, axis: str, bias: bool, rows: int) -> Tensor:
    """W_down · h: back to the width of the residual stream."""
    h = with_ones(h) if bias else h
    return (w("W_down", rows, h.rows, axes=(axis, "d_ff")) @ h).named("down")
