"""Where the red blocks of a model stand in a Hugging Face checkpoint: the names of its tensors, and which rows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from sheetgen.model.families import Decoder, Llama4, Mixture, Vit
from sheetgen.model.families.feed_forward import FeedForward
from sheetgen.model.families.grouped_query import GroupedQuery
from sheetgen.model.families.mixture import Experts
from sheetgen.model.families.stack import Stack


@dataclass(frozen=True)
class Part:
    """Where a red block stands in the checkpoint: in `tensor`, which must have this shape, from row `start` on.

    experts: the tensor has one more axis in front, of which this is `expert`. transposed: it is [in, out].
    bias: the tensor whose numbers become the last column. flat: all axes but the first are one.
    """

    tensor: str
    shape: tuple[int, ...]
    rows: int
    start: int = 0
    expert: int | None = None
    transposed: bool = False
    bias: str = ""
    flat: bool = False

    @property
    def outputs(self) -> int:
        """The length of its bias: rows of the whole matrix."""
        return self.shape[0] if self.flat else self.shape[-1] if self.transposed else self.shape[-2]

    @property
    def cells(self) -> int:
        """How many red cells it fills."""
        return self.rows * (self.columns + bool(self.bias))

    @property
    def columns(self) -> int:
        """Width of the block without its bias."""
        if self.flat:
            return math.prod(self.shape[1:])
        return 1 if len(self.shape) == 1 else self.shape[-2] if self.transposed else self.shape[-1]


Parts = dict[str, Part]  # by path


@dataclass(frozen=True)
class Naming:
    """How a model type names its tensors; what comes in several tensors or in one fused tensor is a tuple of names."""

    layer: str = "layers.{}"
    embedding: str = "embed_tokens.weight"
    positions: str = ""
    norms: tuple[str, str, str] = ("input_layernorm", "post_attention_layernorm", "norm")
    qkv: tuple[str, ...] = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    out: str = "self_attn.o_proj"
    mlp: str = "mlp"
    tops: tuple[str, ...] = ("gate_proj", "up_proj")
    down: str = "down_proj"
    transposed: bool = False
    router: tuple[str, ...] = ()  # one or another
    experts: tuple[tuple[tuple[str, ...], str], ...] = ()  # gate and up, down: one way of storing or another
    fused_transposed: bool = False
    shared: str = ""


def split(names: Sequence[str], sizes: Sequence[int]) -> list[tuple[str, int, int]]:
    """Tensor, first row in it and all its rows, of matrices of so many rows: one tensor each, or all in one."""
    if len(names) == len(sizes):
        return [(name, 0, size) for name, size in zip(names, sizes, strict=True)]
    return [(names[0], start, sum(sizes)) for start in itertools.accumulate(sizes[:-1], initial=0)]


def decoder_parts(c: Decoder | Mixture | Llama4, names: Naming, stored: Container[str]) -> Parts:
    """Every red block of a decoder; `stored` decides where a checkpoint may name things in one way or another."""
    parts = {"W_E": Part(names.embedding, (c.vocab_size, c.d_model), c.vocab_size)}
    if c.positions == "learned":
        parts["W_P"] = Part(names.positions, (c.n_positions, c.d_model), c.n_positions)
    for i in range(c.n_layers):
        at = names.layer.format(i)
        for norm, name in zip(("norm_1", "norm_2"), names.norms, strict=False):
            parts |= norm_parts(c, f"layer_{i}", norm, f"{at}.{name}")
        parts |= attention_parts(c, f"layer_{i}", at, names)
        parts |= feed_forward_parts(c, i, at, names, stored)
    parts |= norm_parts(c, "", "final_norm", names.norms[2])
    if not c.tied:
        parts["W_U"] = Part("lm_head.weight", (c.vocab_size, c.d_model), c.vocab_size)
    return parts


def norm_parts(c: Stack, scope: str, norm: str, name: str) -> Parts:
    """Gain and, of a LayerNorm, bias."""
    both = layer_norm_parts(scope, norm, name, c.d_model)
    return both if c.norm == "layer" else dict(list(both.items())[:1])


def layer_norm_parts(scope: str, norm: str, name: str, size: int) -> Parts:
    """Gain and bias."""
    at = f"{scope}." if scope else ""
    return {
        f"{at}{letter}_{norm}": Part(f"{name}.{stored}", (size,), size)
        for letter, stored in (("w", "weight"), ("b", "bias"))
    }


def attention_parts(c: GroupedQuery, scope: str, at: str, names: Naming) -> Parts:
    """Queries of each head, keys and values of each head or group of heads, the projection back, the QK norms."""
    parts: Parts = {}
    h, sizes = c.head_dim, (c.n_heads * c.head_dim, c.n_kv_heads * c.head_dim, c.n_kv_heads * c.head_dim)
    places = split([f"{at}.{name}" for name in names.qkv], sizes)
    for letter, count, (name, start, rows) in zip("QKV", (c.n_heads, c.n_kv_heads, c.n_kv_heads), places, strict=True):
        made = matrix(name, rows, c.d_model, names.transposed, c.attention_bias != "none")
        if c.qk_norm == "all" and letter in "QK":
            parts[f"{scope}.W_{letter}"] = made(count * h, start)
            continue
        owner = "head" if letter == "Q" or c.n_kv_heads == c.n_heads else "kv"
        for j in range(count):
            parts[f"{scope}.{owner}_{j}.W_{letter}"] = made(h, start + j * h)
    out = matrix(f"{at}.{names.out}", c.d_model, sizes[0], names.transposed, c.attention_bias == "all")
    parts[f"{scope}.W_O"] = out(c.d_model, 0)
    if c.qk_norm in ("head", "all"):
        for letter, size in zip("QK", sizes, strict=False):
            rows = h if c.qk_norm == "head" else size
            parts[f"{scope}.w_{letter}_norm"] = Part(f"{at}.self_attn.{letter.lower()}_norm.weight", (rows,), rows)
    return parts


def feed_forward_parts(c: FeedForward, i: int, at: str, names: Naming, stored: Container[str]) -> Parts:
    """One network, or the router, the shared expert and all routed ones."""
    if not isinstance(c, Experts):
        return network_parts(c, f"layer_{i}.ffn", f"{at}.{names.mlp}", names, c.d_ff)
    if (i + 1) % c.moe_every:
        return network_parts(c, f"layer_{i}.ffn", f"{at}.{names.mlp}", names, c.d_ff_dense)
    routers = [f"{at}.{name}.weight" for name in names.router]
    router = next((name for name in routers if name in stored), routers[0])
    parts = {f"layer_{i}.router.W_router": Part(router, (c.n_experts, c.d_model), c.n_experts)}
    if c.shared_expert:
        parts |= network_parts(c, f"layer_{i}.shared", f"{at}.{names.shared}", names, c.d_ff)
    ways = [([f"{at}.{name}" for name in tops], f"{at}.{down}") for tops, down in names.experts]
    tops, down = next((way for way in ways if way[1].format(e=0) in stored), ways[0])
    fused = "{e}" not in down
    for e in range(c.n_experts):
        scope = f"layer_{i}.expert_{e}"
        named = split([name.format(e=e) for name in tops], (c.d_ff, c.d_ff))
        for letter, (name, start, rows) in zip(("W_gate", "W_up"), named, strict=True):
            parts[f"{scope}.{letter}"] = expert(c, name, rows, c.d_model, e if fused else None, names)(c.d_ff, start)
        made = expert(c, down.format(e=e), c.d_model, c.d_ff, e if fused else None, names)
        parts[f"{scope}.W_down"] = made(c.d_model, 0)
    return parts


def expert(c: Experts, name: str, rows: int, columns: int, e: int | None, names: Naming) -> Callable[[int, int], Part]:
    """(rows, first row) → a matrix of an expert, stored by itself or as the e-th of all in one tensor."""
    turned = names.fused_transposed and e is not None
    front = () if e is None else (c.n_experts,)
    shape = (*front, columns, rows) if turned else (*front, rows, columns)
    return lambda count, start: Part(name, shape, count, start, e, turned)


def network_parts(c: FeedForward, scope: str, at: str, names: Naming, hidden: int) -> Parts:
    """W_gate (with a gate), W_up and W_down of one feed-forward network."""
    letters = ("W_gate", "W_up") if c.gated else ("W_up",)
    places = split([f"{at}.{name}" for name in names.tops], [hidden] * len(letters))
    parts = {}
    for letter, (name, start, rows) in zip(letters, places, strict=True):
        parts[f"{scope}.{letter}"] = matrix(name, rows, c.d_model, names.transposed, c.mlp_bias)(hidden, start)
    down = matrix(f"{at}.{names.down}", c.d_model, hidden, names.transposed, c.mlp_bias)
    return parts | {f"{scope}.W_down": down(c.d_model, 0)}


def matrix(name: str, rows: int, columns: int, transposed: bool, bias: bool) -> Callable[[int, int], Part]:
    """(rows, first row) → that piece of the matrix `name`.weight, with `name`.bias."""
    shape = (columns, rows) if transposed else (rows, columns)
    told = f"{name}.bias" if bias else ""
    return lambda count, start: Part(f"{name}.weight", shape, count, start, None, transposed, told)


def vit_parts(c: Vit, _stored: Container[str]) -> Parts:
    """Every red block of a vision transformer."""
    d, first = c.d_model, "embeddings"
    size = (d, c.channels, c.patch_size, c.patch_size)
    projection = f"{first}.patch_embeddings.projection"
    parts = {
        "W_patch": Part(f"{projection}.weight", size, d, bias=f"{projection}.bias", flat=True),
        "W_class": Part(f"{first}.cls_token", (1, 1, d), d, expert=0, transposed=True),
        "W_pos": Part(f"{first}.position_embeddings", (1, c.n_patches + 1, d), d, expert=0, transposed=True),
    }
    for i in range(c.n_layers):
        scope, at = f"layer_{i}", f"encoder.layer.{i}"
        for letter, name in (("Q", "query"), ("K", "key"), ("V", "value")):
            made = matrix(f"{at}.attention.attention.{name}", d, d, False, c.qkv_bias)
            for j in range(c.n_heads):
                parts[f"{scope}.head_{j}.W_{letter}"] = made(c.head_dim, j * c.head_dim)
        parts |= {
            **layer_norm_parts(scope, "norm_1", f"{at}.layernorm_before", d),
            f"{scope}.W_O": matrix(f"{at}.attention.output.dense", d, d, False, True)(d, 0),
            **layer_norm_parts(scope, "norm_2", f"{at}.layernorm_after", d),
            f"{scope}.ffn.W_up": matrix(f"{at}.intermediate.dense", c.d_ff, d, False, True)(c.d_ff, 0),
            f"{scope}.ffn.W_down": matrix(f"{at}.output.dense", d, c.d_ff, False, True)(d, 0),
        }
    parts |= layer_norm_parts("", "final_norm", "layernorm", d)
    return parts | {"W_head": matrix("classifier", c.n_labels, d, False, True)(c.n_labels, 0)}
