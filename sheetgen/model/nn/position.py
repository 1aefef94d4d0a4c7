"""Positions: rotary and added ones, and masks, which say how far a query sees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sheetgen.model.controls import Controls, times
from sheetgen.trace.ops import Array
from sheetgen.trace.recorder import running, unrounded
from sheetgen.trace.tensor import (
    Tensor,
    choose,
    constant,
    cos,
    floor,
    largest,
    less,
    less_equal,
    log,
    number,
    positive,
    rows_of,
    sin,
    smallest,
    when,
)

Pairing = Literal["half", "interleaved"]
Order = Literal["concatenated", "interleaved"]


@dataclass(frozen=True)
class Rope:
    """Tables of the rotation: cos, sin [h, T] and the signed permutation P [h, h] that turns a pair by 90°."""

    cos: Tensor
    sin: Tensor
    turn: Tensor


@dataclass(frozen=True)
class Slower:
    """Llama 3.1's scaling: pairs of long wavelength turn `factor` times slower, with a smooth band between."""

    factor: float
    low: float
    high: float
    original: int


def rope_tables(
    position: Tensor, c: Controls, head_dim: int, rotary: int, pairing: Pairing, scaling: Slower | None
) -> Rope:
    """Rotary position embedding, pair i turns by position · θ^(−2i/r) radians, r = `rotary` features of the head.

    "half" pairs the features (i, i + r/2), as Hugging Face's Llama; "interleaved" (2i, 2i + 1), as the original.
    Features beyond r have angle 0, and all while the control `rope` is off. Source: Su et al. 2021, arXiv:2104.09864.
    """
    pair, turn = rotation_pairs(head_dim, rotary, pairing)
    with unrounded():
        index = constant("pair", pair, axes=("head_dim", ""))
        size: Tensor | float = rows_of(index) if rotary == head_dim else float(rotary)
        frequency: Tensor = (c["rope_theta"] ** ((-2.0) * index / size)).named("frequency", "left")
        if rotary < head_dim:
            turns = constant("turns", (np.arange(head_dim) < rotary)[:, None], axes=("head_dim", ""))
            frequency = (turns * frequency).named("rotary_frequency", "left")
        if scaling:
            frequency = slow_down(frequency, scaling)
        angle = times(frequency * position, c.factor("rope")).named("angle")
    cosines, sines = cos(angle).named("cos", "beside"), sin(angle).named("sin", "beside")
    permutation = constant("P", turn, axes=("head_dim", "head_dim"), where="below")
    return Rope(cosines, sines, permutation)


def slow_down(frequency: Tensor, by: Slower) -> Tensor:
    """Llama 3.1: f where the wavelength is short, f / factor where it is long, a mixture between. [h, 1] → [h, 1].

    Source: transformers/modeling_rope_utils.py, _compute_llama3_parameters.
    """
    cycles = (frequency * (by.original / (2 * math.pi))).named("cycles", "left")  # in the original context
    slow = frequency / by.factor
    if by.high > by.low:
        share = (cycles - by.low) / (by.high - by.low)
        slow = choose(less(cycles, by.low), slow, (1.0 - share) * slow + share * frequency)
    return choose(less(by.high, cycles), frequency, slow).named("slowed", "left")


def rotation_pairs(head_dim: int, rotary: int, pairing: Pairing) -> tuple[Array, Array]:
    """The pair of each feature [h, 1], and P [h, h]: (P·q) is −q₂ for the first of a pair, q₁ for the second."""
    running().room((head_dim, head_dim))
    half = rotary // 2
    first = np.arange(half) if pairing == "half" else np.arange(0, rotary, 2)
    second = first + (half if pairing == "half" else 1)
    pair = np.zeros((head_dim, 1))
    pair[first, 0] = pair[second, 0] = np.arange(half)
    turn = np.zeros((head_dim, head_dim))
    turn[first, second] = -1.0
    turn[second, first] = 1.0
    return pair, turn


def rotate(x: Tensor, rope: Rope, name: str) -> Tensor:
    """x ⊙ cos + (P·x) ⊙ sin. [h, T] → [h, T]."""
    with unrounded():  # only signs and places change
        turned = (rope.turn.named(f"P_{name}", "left") @ x).named(f"P{name}", "beside")
    return (x * rope.cos + turned * rope.sin).named(f"{name}_rot", "beside")


def sinusoids(position: Tensor, base: Tensor | float, d_model: int, order: Order, on: Tensor | None) -> Tensor:
    """Sinusoidal positions: sine and cosine of position · base^(−2i/d), i = 0 … d/2 − 1. [1, T] → [d, T].

    "concatenated" has all sines above all cosines, as Marian and tensor2tensor; "interleaved" has them in turn, as
    the paper. All are times `on`. Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5.
    """
    half, feature = d_model // 2, np.arange(d_model)
    wave, cosine = (feature % half, feature // half) if order == "concatenated" else (feature // 2, feature % 2)
    index = constant("wave", wave[:, None], ("d_model", ""))
    is_cosine = constant("is_cosine", cosine[:, None], ("d_model", ""))
    with unrounded():
        frequency = (base ** ((-2.0) * index / rows_of(index))).named("frequency", "left")
        angle = (frequency * position).named("angle")
    return times(choose(is_cosine, cos(angle), sin(angle)), on).named("PE", "beside")


def live_mask(key: Tensor, query: Tensor, c: Controls, name: str = "mask", local: bool = True) -> Tensor:
    """1 for the keys that a query sees: from the one in the row `sees_from` to the one in `sees_to`. → [T, T].

    The controls `causal`, `window` (so many keys, the query's own included) and `attention_chunk_size` (only keys
    of the same chunk; 0: no such limit) act in these two rows; a mask that is not `local` knows only `causal`.
    """
    window, chunk = ("window", "attention_chunk_size") if local else ("", "")
    has_window, has_chunk = (bool(n) and (n in c or bool(c.defaults.get(n))) for n in (window, chunk))
    if not has_window and not has_chunk and "causal" not in c:
        return less_equal(key, query).named(name)
    end, last = name.removeprefix("mask"), rows_of(key) - 1.0
    starts, stops = [number(0.0)], [last]
    if has_window:
        starts.append(positive(c[window], query - c[window] + 1.0, 0.0))
        stops.append(positive(c[window], query + c[window] - 1.0, last))
    if has_chunk:
        start = floor(query / c[chunk]) * c[chunk]
        starts.append(positive(c[chunk], start, 0.0))
        stops.append(positive(c[chunk], start + c[chunk] - 1.0, last))
    with unrounded():  # whole numbers
        first = largest(*starts).named(f"sees_from{end}") if len(starts) > 1 else None
        to = when(c["causal"], "on", query, smallest(*stops)) if "causal" in c else query
        seen = less_equal(key, to.named(f"sees_to{end}"))
    return (seen if first is None else less_equal(first, key) * seen).named(name)


def llama4_temperature(position: Tensor, scale: float, floor_scale: float) -> Tensor:
    """Factor of the queries on layers without RoPE: 1 + a·ln(1 + ⌊(t + 1)/s⌋), t counted from 0. [1, T]."""
    with unrounded():
        return (1.0 + scale * log(1.0 + floor((position + 1.0) / floor_scale))).named("temperature")
