"""The Llamas once more, as plainly as NumPy allows: token rows, weights as Hugging Face stores them, no sheetgen.nn.

Written from the equations of the papers and of transformers' modeling_llama.py and modeling_llama4.py. `forward`
takes the weights by the paths of the workbook and gives every tensor by its path, transposed to token columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sheetgen.ops import Array


def rms_norm(x: Array, eps: float) -> Array:
    """Every row at root mean square 1. [T, d] → [T, d]."""
    return np.asarray(x / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + eps))


def softmax(x: Array) -> Array:
    """Every row sums to 1."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def swiglu(x: Array, w: Mapping[str, Array], part: str) -> Array:
    gate = x @ w[f"{part}.W_gate"].T
    return np.asarray((gate * sigmoid(gate) * (x @ w[f"{part}.W_up"].T)) @ w[f"{part}.W_down"].T)


def rope(x: Array, frequencies: Array, pairing: str) -> Array:
    """Each pair of features as a complex number, times e^(i · position · frequency). [T, h] → [T, h]."""
    half = x.shape[1] // 2
    first, second = (x[:, :half], x[:, half:]) if pairing == "half" else (x[:, 0::2], x[:, 1::2])
    turned = (first + 1j * second) * np.exp(1j * np.arange(len(x))[:, None] * frequencies)
    if pairing == "half":
        return np.concatenate([turned.real, turned.imag], axis=1)
    return np.stack([turned.real, turned.imag], axis=-1).reshape(x.shape)


def visible(tokens: int, chunk: int | None) -> Array:
    """Which keys (columns) a query (row) sees."""
    query, key = np.arange(tokens)[:, None], np.arange(tokens)[None]
    return (key <= query) if chunk is None else (key <= query) & (key // chunk == query // chunk)


def experts(c: Any, x: Array, w: Mapping[str, Array], part: str) -> Array:
    """Shared expert plus the top-k of the others, whose inputs are scaled by the sigmoid of the router. [T, d]."""
    logits = x @ w[f"{part}.router.W_router"].T  # [T, E]
    y = swiglu(x, w, f"{part}.shared")
    for t in range(len(x)):
        for e in np.argsort(-logits[t], kind="stable")[: c.top_k]:
            y[t] += swiglu(sigmoid(logits[t, e]) * x[t : t + 1], w, f"{part}.expert_{e}")[0]
    return y


def forward(c: Any, w: Mapping[str, Array], ids: list[int], frequencies: Array | None = None) -> dict[str, Array]:
    """All tensors of the contract and a few more, by path; features × tokens.

    c: the sizes. frequencies [h/2]: instead of θ^(−2i/h), for checkpoints with scaled RoPE.
    """
    llama4 = c.family == "llama4"
    found: dict[str, Array] = {}
    if frequencies is None:
        frequencies = c.rope_theta ** (-np.arange(0, c.head_dim, 2) / c.head_dim)
    x = w["W_E"][ids]  # [T, d]
    found["tokens"] = np.array(ids, dtype=float)[:, None]
    found["embed"] = x
    for i in range(c.n_layers):
        layer = f"layer_{i}"
        turning = not llama4 or (i + 1) % c.nope_every != 0
        h = found[f"{layer}.norm_1"] = rms_norm(x, c.norm_eps) * w[f"{layer}.w_norm_1"].T
        mask = visible(len(ids), c.attention_chunk_size if llama4 and turning else None)

        def prepared(q: Array, turning: bool = turning) -> Array:
            q = rope(q, frequencies, c.rope_pairing) if turning else q
            return rms_norm(q, c.norm_eps) if llama4 and turning and c.qk_norm == "unit" else q

        outputs = []
        for j in range(c.n_heads):
            head, g = f"{layer}.head_{j}", j // (c.n_heads // c.n_kv_heads)
            kv = head if c.n_kv_heads == c.n_heads else f"{layer}.kv_{g}"
            q = found[f"{head}.Q"] = h @ w[f"{head}.W_Q"].T
            k = found[f"{kv}.K"] = h @ w[f"{kv}.W_K"].T
            v = found[f"{kv}.V"] = h @ w[f"{kv}.W_V"].T
            q, k = prepared(q), prepared(k)
            if not turning:
                q = q * (1 + c.attn_scale * np.log1p(np.floor((np.arange(len(ids)) + 1) / c.floor_scale)))[:, None]
            scores = np.where(mask, q @ k.T / np.sqrt(c.head_dim), -np.inf)
            pattern = found[f"{head}.pattern"] = softmax(scores)
            found[f"{head}.z"] = pattern @ v
            outputs.append(found[f"{head}.z"])
        x = found[f"{layer}.mid"] = x + np.concatenate(outputs, axis=1) @ w[f"{layer}.W_O"].T
        h = found[f"{layer}.norm_2"] = rms_norm(x, c.norm_eps) * w[f"{layer}.w_norm_2"].T
        mixed = llama4 and (i + 1) % c.moe_every == 0
        x = found[f"{layer}.out"] = x + (experts(c, h, w, layer) if mixed else swiglu(h, w, f"{layer}.ffn"))
    h = found["final_norm"] = rms_norm(x, c.norm_eps) * w["w_final_norm"].T
    found["logits"] = h @ w["W_U"].T
    found["probs"] = softmax(found["logits"])
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
