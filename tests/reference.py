"""The Llamas once more, as plainly as NumPy allows: token rows, weights as Hugging Face stores them, no sheetgen.nn.

Written from the equations of the papers and of transformers' modeling_llama.py and modeling_llama4.py. `forward`
takes the weights by the paths of the workbook and gives every tensor by its path, transposed to token columns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sheetgen.trace.ops import Array

# What the controls of the sheet say when nobody has turned them; those of the sizes are the sizes'.
USUAL = {
    "causal": "on", "window": 0, "attention_scale": "on", "attention_temperature": 1.0, "rope": "on",
    "added_positions": "off", "norm": "rms", "output_temperature": 1.0, "renormalise": "off", "equal_weights": "off",
    "gate": "sigmoid", "activation": "silu", "gated": "on",
}  # fmt: skip


def rms_norm(x: Array, eps: float) -> Array:
    """Every row at root mean square 1. [T, d] → [T, d]."""
    return np.asarray(x / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + eps))


def norm(x: Array, eps: float, kind: str) -> Array:
    """RMSNorm, LayerNorm without its gain and shift, or nothing. [T, d] → [T, d]."""
    if kind == "none":
        return x
    return rms_norm(x - x.mean(axis=-1, keepdims=True) if kind == "layer" else x, eps)


def softmax(x: Array) -> Array:
    """Every row sums to 1."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def sigmoid(x: Array) -> Array:
    with np.errstate(over="ignore"):  # 1 / (1 + ∞) is 0, as it should be
        return np.asarray(1 / (1 + np.exp(-x)))


def gelu_tanh(x: Array) -> Array:
    return np.asarray(x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))))


CURVES = {
    "silu": lambda x: x * sigmoid(x),
    "relu": lambda x: x.clip(0),
    "relu2": lambda x: x.clip(0) ** 2,
    "gelu": lambda x: x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "gelu_tanh": gelu_tanh,
}


def swiglu(x: Array, w: Mapping[str, Array], part: str, k: Mapping[str, Any] = USUAL) -> Array:
    gate, up, curve = x @ w[f"{part}.W_gate"].T, x @ w[f"{part}.W_up"].T, CURVES[k["activation"]]
    return np.asarray((curve(gate) * up if k["gated"] == "on" else curve(up)) @ w[f"{part}.W_down"].T)


def rope(x: Array, frequencies: Array, pairing: str) -> Array:
    """Each pair of features as a complex number, times e^(i · position · frequency). [T, h] → [T, h]."""
    half = x.shape[1] // 2
    first, second = (x[:, :half], x[:, half:]) if pairing == "half" else (x[:, 0::2], x[:, 1::2])
    turned = (first + 1j * second) * np.exp(1j * np.arange(len(x))[:, None] * frequencies)
    if pairing == "half":
        return np.concatenate([turned.real, turned.imag], axis=1)
    return np.stack([turned.real, turned.imag], axis=-1).reshape(x.shape)


def visible(tokens: int, chunk: int = 0, window: int = 0, causal: bool = True) -> Array:
    """Which keys (columns) a query (row) sees; a chunk or window of 0 is no limit."""
    query, key = np.arange(tokens)[:, None], np.arange(tokens)[None]
    seen = (key <= query) if causal else np.full((tokens, tokens), True)
    seen &= (key // chunk == query // chunk) if chunk else True
    return np.asarray(seen & (abs(query - key) < window) if window else seen)


def experts(c: Any, x: Array, w: Mapping[str, Array], part: str, k: Mapping[str, Any] = USUAL) -> Array:
    """Shared expert plus the top-k of the others, whose inputs are scaled by the weight from the router. [T, d]."""
    logits = x @ w[f"{part}.router.W_router"].T  # [T, E]
    y = swiglu(x, w, f"{part}.shared", k)
    for t in range(len(x)):
        chosen = np.argsort(-logits[t], kind="stable")[: k.get("top_k", c.top_k)]
        on = [e for e in chosen if k.get(f"{part}_expert_{e}", "on") == "on"]
        weights = softmax(logits[t : t + 1])[0] if k["gate"] == "softmax" else sigmoid(logits[t])
        if k["equal_weights"] == "on":
            weights = np.ones_like(weights)
        if k["renormalise"] == "on" and on:
            weights = weights / weights[on].sum()
        for e in on:
            given = swiglu(weights[e] * x[t : t + 1], w, f"{part}.expert_{e}", k)[0]
            back = w.get(f"{part}.expert_{e}.W_back")  # of an expert that gives more or less than the stream is wide
            y[t] += given if back is None else back @ given
    return y


def added(tokens: int, width: int) -> Array:
    """Sines and cosines in turn, of waves that grow longer. [T, d]."""
    place, wave = np.arange(tokens)[:, None], np.arange(width)[None] // 2
    angle = place / 10000 ** (2 * wave / width)
    return np.where(np.arange(width) % 2 == 0, np.sin(angle), np.cos(angle))


def forward(
    c: Any,
    w: Mapping[str, Array],
    ids: list[int],
    frequencies: Array | None = None,
    controls: Mapping[str, Any] | None = None,
) -> dict[str, Array]:
    """All tensors of the contract and a few more, by path; features × tokens.

    c: the sizes. frequencies [h/2]: instead of θ^(−2i/h), for checkpoints with scaled RoPE. controls: those turned.
    """
    llama4 = c.family == "llama4"
    found: dict[str, Array] = {}
    k: dict[str, Any] = {**USUAL, **(controls or {})}
    theta, eps = k.get("rope_theta", c.rope_theta), k.get("norm_eps", c.norm_eps)

    def turn(q: Array) -> Array:
        speeds = theta ** (-np.arange(0, q.shape[1], 2) / q.shape[1]) if frequencies is None else frequencies
        return rope(q, speeds * (k["rope"] == "on"), c.rope_pairing)

    x = w["W_E"][ids]  # [T, d]
    if k["added_positions"] == "on":
        x = x + added(len(ids), c.d_model)
    found["tokens"] = np.array(ids, dtype=float)[:, None]
    found["embed"] = x
    for i in range(c.n_layers):
        layer = f"layer_{i}"
        turning = not llama4 or (i + 1) % c.nope_every != 0
        h = found[f"{layer}.norm_1"] = norm(x, eps, k["norm"]) * w[f"{layer}.w_norm_1"].T
        local = turning or not llama4 or c.nope_every == 1
        chunk = k.get("attention_chunk_size", c.attention_chunk_size if llama4 and turning else 0)
        mask = visible(len(ids), chunk if local else 0, k["window"] if local else 0, k["causal"] == "on")

        def prepared(q: Array, turning: bool = turning) -> Array:
            q = turn(q) if turning else q
            return rms_norm(q, eps) if llama4 and turning and c.qk_norm == "unit" else q

        outputs = []
        heads = c.heads_by_layer[i] if c.heads_by_layer else c.n_heads
        for j in range(heads):
            head, g = f"{layer}.head_{j}", j // max(1, heads // c.n_kv_heads)
            kv = head if c.n_kv_heads == c.n_heads else f"{layer}.kv_{g}"
            q = found[f"{head}.Q"] = h @ w[f"{head}.W_Q"].T
            key = found[f"{kv}.K"] = h @ w[f"{kv}.W_K"].T
            v = found[f"{kv}.V"] = h @ w[f"{kv}.W_V"].T
            q, key = prepared(q), prepared(key)
            if not turning:
                q = q * (1 + c.attn_scale * np.log1p(np.floor((np.arange(len(ids)) + 1) / c.floor_scale)))[:, None]
            scale = (np.sqrt(q.shape[1]) if k["attention_scale"] == "on" else 1.0) * k["attention_temperature"]
            scores = np.where(mask, q @ key.T / scale, -np.inf)
            pattern = found[f"{head}.pattern"] = softmax(scores)
            found[f"{head}.z"] = pattern @ v
            outputs.append(found[f"{head}.z"] * (k.get(f"{layer}_head_{j}", "on") == "on"))
        x = x * (k.get(f"{layer}_residual_1", "on") == "on")
        concat = np.concatenate(outputs, axis=1)
        x = found[f"{layer}.mid"] = x + (concat @ w[f"{layer}.W_O"].T if f"{layer}.W_O" in w else concat)
        h = found[f"{layer}.norm_2"] = norm(x, eps, k["norm"]) * w[f"{layer}.w_norm_2"].T
        mixed = llama4 and (i + 1) % c.moe_every == 0
        x = x * (k.get(f"{layer}_residual_2", "on") == "on")
        y = experts(c, h, w, layer, k) if mixed else swiglu(h, w, f"{layer}.ffn", k)
        x = found[f"{layer}.out"] = x + y
    h = found["final_norm"] = norm(x, eps, k["norm"]) * w["w_final_norm"].T
    found["logits"] = h @ w["W_U"].T
    found["probs"] = softmax(found["logits"] / k["output_temperature"])
    return {path: np.asarray(value).T for path, value in found.items()}


def closed_formula(c: Any) -> int:
    """2Vd + L(A + 2d) + d + the feed-forward blocks, A = 2dHh + 2dKh."""
    d, layers = c.d_model, c.n_layers
    attention = 2 * d * c.n_heads * c.head_dim + 2 * d * c.n_kv_heads * c.head_dim
    base = 2 * c.vocab_size * d + layers * (attention + 2 * d) + d
    if c.family == "decoder":
        return int(base + layers * 3 * d * c.d_ff)
    mixtures = layers // c.moe_every
    routed = mixtures * (c.n_experts * d + 3 * d * c.d_ff + c.n_experts * 3 * d * c.d_ff)
    return int(base + (layers - mixtures) * 3 * d * c.d_ff_dense + routed)
