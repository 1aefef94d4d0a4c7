"""The building blocks of transformers as equations.

Tokens are columns, features are rows; T is the number of tokens. `w(name, rows, columns)` gives trainable numbers.
A name makes a block of cells; "beside" puts it to the right of what it is made from, "left" to the left of its user.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sheetgen.ops import Array
from sheetgen.tensor import (
    Tensor,
    Weight,
    constant,
    cos,
    equal,
    exp,
    floor,
    less,
    less_equal,
    likeliest,
    log,
    masked,
    max_rows,
    mean_square,
    rank,
    rows_of,
    scope,
    sigmoid,
    silu,
    sin,
    sqrt,
    stack,
    sum_rows,
)

Pairing = Literal["half", "interleaved"]


# --- norms and softmax -------------------------------------------------------------------------------------------


def rms_norm(x: Tensor, w: Weight, eps: Tensor, name: str) -> Tensor:
    """RMSNorm: w ⊙ x / √(mean(x²) + ε), per column. [d, T] → [d, T].

    Source: Zhang & Sennrich 2019, arXiv:1910.07467; ε inside the root as Llama has it.
    """
    rms = sqrt(mean_square(x) + eps).named(f"{name}_rms")
    return (w(f"w_{name}", x.rows, 1, axes=(x.axes[0], ""), around=1.0) * x / rms).named(name)


def unit_rms(x: Tensor, eps: Tensor, name: str) -> Tensor:
    """RMS norm without a weight, as Llama 4 applies it to queries and keys. [h, T] → [h, T]."""
    rms = sqrt(mean_square(x) + eps).named(f"{name}_rms")
    return (x / rms).named(f"{name}_norm", "beside")


def softmax(x: Tensor, name: str) -> Tensor:
    """exp(x − max) / Σ exp(x − max), per column; the maximum keeps EXP from overflowing. Any shape → same shape."""
    largest = max_rows(x).named(f"{name}_max")
    e = exp(x - largest).named(f"{name}_exp", "beside")
    total = sum_rows(e).named(f"{name}_sum")
    return (e / total).named(name, "beside")


# --- positions and masks -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rope:
    """Tables of the rotation: cos, sin [h, T] and the signed permutation P [h, h] that turns a pair by 90°."""

    cos: Tensor
    sin: Tensor
    turn: Tensor


def rope_tables(position: Tensor, theta: Tensor, head_dim: int, pairing: Pairing) -> Rope:
    """Rotary position embedding, pair i turns by position · θ^(−2i/h) radians.

    "half" pairs the features (i, i + h/2), as Hugging Face's Llama; "interleaved" (2i, 2i + 1), as the original.
    Source: Su et al. 2021, arXiv:2104.09864.
    """
    pair, turn = rotation_pairs(head_dim, pairing)
    index = constant("pair", pair, axes=("head_dim", ""))
    frequency = (theta ** ((-2.0) * index / rows_of(index))).named("frequency", "left")
    angle = (frequency * position).named("angle")
    permutation = constant("P", turn, axes=("head_dim", "head_dim"), where="below")
    return Rope(cos(angle).named("cos", "beside"), sin(angle).named("sin", "beside"), permutation)


def rotation_pairs(head_dim: int, pairing: Pairing) -> tuple[Array, Array]:
    """The pair that each feature belongs to [h, 1], and P [h, h] with (P·q) = −q₂ for the first, q₁ for the second."""
    half = head_dim // 2
    first = np.arange(half) if pairing == "half" else np.arange(0, head_dim, 2)
    second = first + (half if pairing == "half" else 1)
    pair = np.empty((head_dim, 1))
    pair[first, 0] = pair[second, 0] = np.arange(half)
    turn = np.zeros((head_dim, head_dim))
    turn[first, second] = -1.0
    turn[second, first] = 1.0
    return pair, turn


def rotate(x: Tensor, rope: Rope, name: str) -> Tensor:
    """x ⊙ cos + (P·x) ⊙ sin. [h, T] → [h, T]."""
    turned = (rope.turn.named(f"P_{name}", "left") @ x).named(f"P{name}", "beside")
    return (x * rope.cos + turned * rope.sin).named(f"{name}_rot", "beside")


def causal_mask(key: Tensor, query: Tensor) -> Tensor:
    """1 where the key is not later than the query. [T, 1], [1, T] → [T, T]."""
    return less_equal(key, query).named("mask")


def chunked_mask(key: Tensor, query: Tensor, chunk: Tensor) -> Tensor:
    """Causal, and key and query in the same chunk of `chunk` tokens."""
    return (less_equal(key, query) * equal(floor(key / chunk), floor(query / chunk))).named("mask_chunked")


# --- attention ---------------------------------------------------------------------------------------------------


def attend(q: Tensor, k: Tensor, mask: Tensor) -> Tensor:
    """softmax(Kᵀ·Q / √h) over the keys that the mask leaves. q, k [h, T] → pattern [keys, queries].

    Source: Vaswani et al. 2017, arXiv:1706.03762, equation 1.
    """
    scores = (k.T.named("KT", "left") @ q / sqrt(rows_of(q))).named("scores")
    return softmax(masked(mask, scores).named("masked", "beside"), "pattern")


def project_out(heads: list[Tensor], w: Weight, d_model: int, axis: str) -> Tensor:
    """W_O · concat(heads): the heads' values back to the width of the residual stream."""
    concat = stack(heads).named("concat")
    return (w("W_O", d_model, concat.rows, axes=(axis, "")) @ concat).named("attention")


# --- feed-forward ------------------------------------------------------------------------------------------------


def swiglu(x: Tensor, w: Weight, hidden: int) -> Tensor:
    """SwiGLU feed-forward: W_down · (SiLU(W_gate·x) ⊙ W_up·x). [d, T] → [d, T].

    Source: Shazeer 2020, arXiv:2002.05202.
    """
    d, f = x.axes[0], "d_ff"
    gate = (w("W_gate", hidden, x.rows, axes=(f, d)) @ x).named("gate")
    up = (w("W_up", hidden, x.rows, axes=(f, d)) @ x).named("up")
    h = (silu(gate) * up).named("h", "beside")
    return (w("W_down", x.rows, hidden, axes=(d, f)) @ h).named("down")


def top_k(x: Tensor, k: Tensor) -> Tensor:
    """1 for the k largest of each column, else 0; of equal ones the first. [n, T] → [n, T]."""
    return less(rank(x).named("rank", "beside"), k)


def mixture(x: Tensor, w: Weight, experts: int, k: Tensor, hidden: int, shared: bool) -> Tensor:
    """Llama 4: y = E_shared(x) + Σₑ Eₑ(gₑ·x) with g = top-k(W_r·x) ⊙ σ(W_r·x): the gate scales the expert's input.

    Source: Hugging Face transformers, models/llama4/modeling_llama4.py.
    """
    with scope("router", "Router: which expert sees which token"):
        logits = (w("W_router", experts, x.rows, axes=("expert", x.axes[0])) @ x).named("logits")
        chosen = top_k(logits, k).named("chosen", "beside")
        g = (chosen * sigmoid(logits)).named("g", "beside")
    y: Tensor | None = None
    if shared:
        with scope("shared", "Shared expert"):
            y = swiglu(x, w, hidden)
    for e in range(experts):
        with scope(f"expert_{e}", f"Expert {e}"):
            out = swiglu((g[e] * x).named("x"), w, hidden)
        y = out if y is None else y + out
    assert y is not None
    return y.named("moe")


# --- output ------------------------------------------------------------------------------------------------------


def predict(x: Tensor, w: Weight, vocabulary: Tensor) -> Tensor:
    """Logits W_U·x, their softmax over the vocabulary, and the most probable next word. [d, T] → probs [V, T]."""
    table = w("W_U", vocabulary.rows, x.rows, axes=("word", x.axes[0]))
    logits = (table @ x).named("logits")
    probs = softmax(logits, "probs")
    likeliest(probs, vocabulary).named("next_word")
    max_rows(probs).named("next_prob")
    return probs


def llama4_temperature(position: Tensor, scale: float, floor_scale: float) -> Tensor:
    """Factor of the queries on layers without RoPE: 1 + a·ln(1 + ⌊(t + 1)/s⌋), t counted from 0. [1, T]."""
    return (1.0 + scale * log(1.0 + floor((position + 1.0) / floor_scale))).named("temperature")
