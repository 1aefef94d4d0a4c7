"""The building blocks of transformers as equations.

Tokens are columns, features are rows; T is the number of tokens. `w(name, rows, columns)` gives trainable numbers.
A name makes a block of cells; "beside" puts it to the right of what it is made from, "left" to the left of its user.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sheetgen.model.controls import Controls, times
from sheetgen.trace.ops import Array
from sheetgen.trace.tensor import (
    Tensor,
    Weight,
    choose,
    constant,
    cos,
    equal,
    exp,
    floor,
    gelu,
    gelu_tanh,
    known,
    largest,
    less,
    less_equal,
    likeliest,
    log,
    lookup,
    masked,
    max_rows,
    mean_rows,
    mean_square,
    number,
    positive,
    rank,
    relu,
    relu2,
    rows_of,
    scope,
    sigmoid,
    silu,
    sin,
    smallest,
    sqrt,
    stack,
    stands_here,
    sum_rows,
    unrounded,
    when,
)

Pairing = Literal["half", "interleaved"]
NormKind = Literal["rms", "layer"]
Order = Literal["concatenated", "interleaved"]
Activation = Literal["silu", "gelu", "gelu_tanh", "relu", "relu2"]


# --- linear maps and norms ---------------------------------------------------------------------------------------


def with_ones(x: Tensor) -> Tensor:
    """[x; 1]: x with a row of ones under it, so that the last column of a matrix is its bias. [d, T] → [d + 1, T]."""
    if not stands_here(x):
        x = x.named("x")
    ones = constant(f"{x.name}_ones", np.ones((1, x.columns)), ("", x.axes[1]), "foot")
    joined = stack([x, ones])
    joined.axes = x.axes
    return joined


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


def head_norm(x: Tensor, w: Tensor, eps: Tensor, name: str) -> Tensor:
    """RMSNorm of the queries or keys of one head; all heads of a layer share the gain. [h, T] → [h, T]."""
    rms = root_mean_square(x, eps, name)
    return (w.named(f"gain_{name}", "left") * x / rms).named(name, "beside")


def projected_norm(name: str, rows: int, x: Tensor, w: Weight, eps: Tensor) -> Tensor:
    """RMSNorm over the queries (or keys) of all heads at once, as OLMo 2 has it. [d, T] → [rows, T]."""
    made = (w(f"W_{name}", rows, x.rows, axes=("head_dim", x.axes[0])) @ x).named(f"{name}_all")
    return plain_rms_norm(made, w, eps, f"{name}_norm")


def softmax(x: Tensor, name: str, c: Controls, temperature: Tensor | None = None) -> Tensor:
    """exp(x − max) / Σ exp(x − max), per column; the maximum keeps EXP from overflowing. Any shape → same shape.

    A `temperature` divides x: above 1 the result is flatter, below 1 sharper.
    """
    with unrounded():
        largest_ = times(max_rows(x), c.factor("subtract_max")).named(f"{name}_max")
        e = exp(x - largest_ if temperature is None else (x - largest_) / temperature).named(f"{name}_exp", "beside")
        total = sum_rows(e).named(f"{name}_sum")
    return (e / total).named(name, "beside")


def add_back(x: Tensor, y: Tensor, c: Controls, which: str) -> Tensor:
    """The residual connection x + y; with its switch, x is carried beside y. Both [d, T] → [d, T].

    `which` is 1, 2, … within a layer: the control is `residual_1`, the block `skip_1`.
    """
    on = c.here(f"residual_{which}")
    return (x if on is None else (x * on).named(f"skip_{which}", "beside")) + y


# --- positions and masks -----------------------------------------------------------------------------------------


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
        frequency = (c["rope_theta"] ** ((-2.0) * index / size)).named("frequency", "left")
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


# --- attention ---------------------------------------------------------------------------------------------------


def score(q: Tensor, k: Tensor, c: Controls) -> Tensor:
    """Kᵀ·Q / √h: how well each key answers each query. q [h, T], k [h, S] → [S, T].

    The controls `attention_scale` and `attention_temperature` act in the divisor.
    """
    divisor = sqrt(rows_of(q))
    if "attention_scale" in c:
        divisor = when(c["attention_scale"], "on", divisor, 1.0)
    if "attention_temperature" in c:
        divisor = divisor * c["attention_temperature"]
    if "attention_scale" in c or "attention_temperature" in c:
        with unrounded():
            divisor = divisor.named("scale")
    return (k.T.named("KT", "left") @ q / divisor).named("scores")


def attend(q: Tensor, k: Tensor, mask: Tensor | None, c: Controls) -> Tensor:
    """softmax(Kᵀ·Q / √h) over the keys that the mask leaves. q, k [h, T] → pattern [keys, queries].

    Source: Vaswani et al. 2017, arXiv:1706.03762, equation 1.
    """
    scores = score(q, k, c)
    return softmax(scores if mask is None else masked(mask, scores).named("masked", "beside"), "pattern", c)


@dataclass(frozen=True)
class Heads:
    """Attention heads: how many, their size, which of their matrices have a bias, and what is uneven about them.

    qk: lengths of queries and keys, v: of values, one for each head (empty: all of `size`); project: W_O mixes them.
    """

    count: int
    size: int
    bias: bool
    bias_out: bool
    qk: tuple[int, ...] = ()
    v: tuple[int, ...] = ()
    project: bool = True

    def qk_size(self, j: int) -> int:
        return self.qk[j] if self.qk else self.size

    def v_size(self, j: int) -> int:
        return self.v[j] if self.v else self.size


def multi_head(x: Tensor, memory: Tensor, w: Weight, heads: Heads, mask: Tensor | None, c: Controls) -> Tensor:
    """Multi-head attention: queries from x, keys and values from memory (x itself: self-attention).

    x [d, T], memory [d, S], mask [S, T] → [d, T]. Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2.
    """
    d_model, d = x.rows, x.axes[0]
    if memory is not x:
        memory = memory.named("memory")
        memory = with_ones(memory) if heads.bias else memory
        x = with_ones(x) if heads.bias else x
    else:
        x = memory = with_ones(x) if heads.bias else x
    made = []
    for j in range(heads.count):
        with scope(f"head_{j}"):
            k = (w("W_K", heads.qk_size(j), memory.rows, axes=("head_dim", d)) @ memory).named("K")
            q = (w("W_Q", heads.qk_size(j), x.rows, axes=("head_dim", d)) @ x).named("Q")
            pattern = attend(q, k, mask, c)
            v = (w("W_V", heads.v_size(j), memory.rows, axes=("head_dim", d)) @ memory).named("V")
            made.append(times((v @ pattern).named("z"), c.here()))
    return project_out(made, w, d_model, heads.bias_out, heads.project)


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


def project_out(heads: list[Tensor], w: Weight, d_model: int, bias: bool, project: bool = True) -> Tensor:
    """W_O · concat(heads): the heads' values, each perhaps times its switch, back to the width of the stream.

    Without `project` their values together are as wide as the stream, and are added to it as they are.
    """
    concat = stack(heads).named("concat")
    if not project:
        return concat
    inputs = with_ones(concat) if bias else concat
    return (w("W_O", d_model, inputs.rows, axes=("d_model", "")) @ inputs).named("attention")


# --- feed-forward ------------------------------------------------------------------------------------------------

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
    logits = (w("W_router", experts, x.rows, axes=("expert", x.axes[0])) @ x).named("logits")
    chosen = top_k(logits, c["top_k"])
    if on:
        available = stack(on).named("expert_on", "left")
        available.axes = (logits.axes[0], "")
        chosen = chosen * available
    chosen = chosen.named("chosen", "beside")
    with unrounded():
        weights = softmax(logits, "p", c) if gate == "softmax" or "gate" in c else sigmoid(logits)
    if "gate" in c:
        weights = when(c["gate"], "softmax", weights, sigmoid(logits))
    g = chosen * weights
    if "equal_weights" in c:
        g = when(c["equal_weights"], "on", chosen, g)
    if not renormalise and "renormalise" not in c:
        return g.named("g", "beside")
    with unrounded():
        picked = g.named("picked", "beside")
        whole = sum_rows(picked)
        if on:
            whole = whole + less_equal(whole, 0.0)  # of a token whose experts are all off: not 0 / 0
        if "renormalise" in c:
            whole = when(c["renormalise"], "on", whole, 1.0)
        whole = whole.named("picked_sum")
    return (picked / whole).named("g", "beside")


def total(parts: list[Tensor]) -> Tensor:
    """The sum of the parts. All [d, T] → [d, T]."""
    return functools.reduce(lambda a, b: a + b, parts)


# --- input and output ----------------------------------------------------------------------------------------------


def look_up(words: Tensor, vocabulary: Tensor, w: Weight, d_model: int) -> tuple[Tensor, Tensor]:
    """One-hot columns of the words' ids [V, T], and the embedding table W_E [V, d_model] whose rows they pick."""
    ids = lookup(words, vocabulary).named("tokens")
    known(ids).named("in_vocabulary")
    index = constant("id", np.arange(vocabulary.rows)[:, None], ("vocabulary", ""))
    table = w("W_E", vocabulary.rows, d_model, axes=("vocabulary", "d_model"))
    return equal(index, ids).named("one_hot"), table


def predict(
    x: Tensor, w: Weight, vocabulary: Tensor, c: Controls, table: Tensor | None = None, bias: bool = False
) -> Tensor:
    """Logits W_U·x (+ b), their softmax over the vocabulary, and the most probable next word. [d, T] → probs [V, T]."""
    if table is None:
        table = w("W_U", vocabulary.rows, x.rows, axes=("vocabulary", x.axes[0]))
    scores = table @ x
    if bias:
        scores = scores + w("b_U", vocabulary.rows, 1, axes=("vocabulary", ""))
    logits = scores.named("logits")
    with unrounded():
        probs = softmax(logits, "probs", c, c.made.get("output_temperature"))
        likeliest(probs, vocabulary).named("next_word")
        max_rows(probs).named("next_prob")
    return probs


def llama4_temperature(position: Tensor, scale: float, floor_scale: float) -> Tensor:
    """Factor of the queries on layers without RoPE: 1 + a·ln(1 + ⌊(t + 1)/s⌋), t counted from 0. [1, T]."""
    with unrounded():
        return (1.0 + scale * log(1.0 + floor((position + 1.0) / floor_scale))).named("temperature")
