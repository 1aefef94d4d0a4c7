"""Families: the sizes a model may have, and its forward pass.

A family is one frozen dataclass. Its fields are the Config sheet, row by row; `forward` is the model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from sheetgen.errors import InputError
from sheetgen.nn import (
    Rope,
    attend,
    causal_mask,
    chunked_mask,
    llama4_temperature,
    mixture,
    predict,
    project_out,
    rms_norm,
    rope_tables,
    rotate,
    swiglu,
    unit_rms,
)
from sheetgen.tensor import (
    Source,
    Tensor,
    Trace,
    Weight,
    constant,
    control,
    equal,
    known,
    lookup,
    scope,
    section,
    text,
    weight,
)


def setting(default: Any, doc: str, low: float = 1) -> Any:
    """A field of a family: its default, its sentence for the Config sheet, its smallest value."""
    return field(default=default, metadata={"doc": doc, "low": low})


@dataclass(frozen=True, kw_only=True)
class Llama:
    """Llama 1, 2 and 3: pre-norm decoder with RMSNorm, RoPE, (grouped-query) causal attention and SwiGLU.

    Source: Touvron et al. 2023, arXiv:2302.13971 and 2307.09288; Dubey et al. 2024, arXiv:2407.21783;
    as transformers/models/llama/modeling_llama.py computes it.
    """

    family: ClassVar[str] = "llama"

    d_model: int = setting(8, "Width of the residual stream: numbers per token.")
    n_layers: int = setting(2, "Number of layers, one below the other.")
    n_heads: int = setting(2, "Attention heads per layer, each with its own queries.")
    n_kv_heads: int = setting(2, "Key/value heads per layer; fewer than n_heads means grouped-query attention.")
    head_dim: int = setting(4, "Length of one query, key or value; even, since RoPE turns pairs.")
    d_ff: int = setting(8, "Hidden width of the feed-forward block.")
    vocab_size: int = setting(12, "Words in the vocabulary.")
    n_tokens: int = setting(6, "Words in the sentence: token columns.")
    rope_theta: float = setting(10000.0, "Base of RoPE's angles; a control, live in the sheet.")
    rope_pairing: Literal["half", "interleaved"] = setting(
        "half", "Which features RoPE turns together: (i, i+h/2), or (2i, 2i+1) as the original code does."
    )
    norm_eps: float = setting(1e-5, "Added under the root of RMSNorm; a control, live in the sheet.", low=0)

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            _check_type(f, getattr(self, f.name))
        if self.n_heads % self.n_kv_heads:
            raise InputError(
                f"n_heads {self.n_heads} cannot be shared among n_kv_heads {self.n_kv_heads}: "
                f"choose a divisor ({', '.join(map(str, divisors(self.n_heads)))})"
            )
        if self.head_dim % 2:
            raise InputError(f"head_dim {self.head_dim} is odd, but RoPE turns pairs: choose {self.head_dim + 1}")

    # --- forward pass, in reading order --------------------------------------------------------------------------

    def forward(self, words: list[str], vocabulary: list[str], w: Weight = weight) -> None:
        """The whole model: words → next-word probabilities."""
        with scope("control", "Controls: change a number, the model follows"):
            theta = control("rope_theta", self.rope_theta, low=1)
            eps = control("norm_eps", self.norm_eps, low=0)
            live = self.more_controls()
        with section("Input: words, ids, embedding"):
            sentence = text("words", words, "token")
            table = text("vocabulary", vocabulary, "word", "left")
            x = embed(sentence, table, w, self.d_model)
        with section("Positions: mask and rotation tables"):
            position = constant("position", np.arange(x.columns)[None], ("", "token"), "below")
            key = constant("key_position", np.arange(x.columns)[:, None], ("token", ""))
            masks = self.masks(key, position, live)
            with scope("rope", "RoPE tables"):
                rope = rope_tables(position, theta, self.head_dim, self.rope_pairing)
            live |= self.more_positions(position)
        for i in range(self.n_layers):
            with scope(f"layer_{i}"):
                x = self.layer(i, x, w, masks, rope, eps, live)
        with section("Output: next-word probabilities"):
            x = rms_norm(x, w, eps, "final_norm")
            predict(x, w, table)

    def layer(
        self,
        i: int,
        x: Tensor,
        w: Weight,
        masks: dict[str, Tensor],
        rope: Rope,
        eps: Tensor,
        live: dict[str, Tensor],
    ) -> Tensor:
        """x + Attention(norm(x)), then that + FeedForward(norm(that)). [d, T] → [d, T]."""
        with section("Attention"):
            h = rms_norm(x, w, eps, "norm_1")
            x = (x + self.attention(i, h, w, masks, rope, eps, live)).named("mid")
        with section("Feed-forward"):
            h = rms_norm(x, w, eps, "norm_2")
            return (x + self.feed_forward(i, h, w, live)).named("out")

    def attention(
        self,
        i: int,
        x: Tensor,
        w: Weight,
        masks: dict[str, Tensor],
        rope: Rope,
        eps: Tensor,
        live: dict[str, Tensor],
    ) -> Tensor:
        """All heads of a layer and their projection back. K and V belong to the head, or to a group of heads."""
        grouped = self.n_kv_heads < self.n_heads
        keys: list[Tensor] = []
        values: list[Tensor] = []
        if grouped:
            for g in range(self.n_kv_heads):
                with scope(f"kv_{g}", f"Keys and values {g}, shared by heads {self.shared_by(g)}"):
                    keys.append(self.prepare(i, self.project("K", x, w), "K", rope, eps, live))
                    values.append(self.project("V", x, w))
        heads = []
        for j in range(self.n_heads):
            with scope(f"head_{j}"):
                g = j * self.n_kv_heads // self.n_heads
                k = keys[g] if grouped else self.prepare(i, self.project("K", x, w), "K", rope, eps, live)
                q = self.prepare(i, self.project("Q", x, w), "Q", rope, eps, live)
                pattern = attend(q, k, self.mask_of(i, masks))
                v = values[g].named("V") if grouped else self.project("V", x, w)
                heads.append((v @ pattern).named("z"))
        return project_out(heads, w, self.d_model, x.axes[0])

    def project(self, name: str, x: Tensor, w: Weight) -> Tensor:
        """Q, K or V of one head: W·x. [d, T] → [h, T]."""
        return (w(f"W_{name}", self.head_dim, x.rows, axes=("head_dim", x.axes[0])) @ x).named(name)

    def shared_by(self, g: int) -> str:
        size = self.n_heads // self.n_kv_heads
        return ", ".join(str(j) for j in range(g * size, (g + 1) * size))

    # --- what later Llamas change --------------------------------------------------------------------------------

    def more_controls(self) -> dict[str, Tensor]:
        """Live numbers beyond those of every Llama."""
        return {}

    def more_positions(self, position: Tensor) -> dict[str, Tensor]:
        """Rows that depend on the position alone."""
        return {}

    def masks(self, key: Tensor, query: Tensor, live: dict[str, Tensor]) -> dict[str, Tensor]:
        """The masks that the layers choose from."""
        return {"causal": causal_mask(key, query)}

    def mask_of(self, i: int, masks: dict[str, Tensor]) -> Tensor:
        """The mask of layer i."""
        return masks["causal"]

    def prepare(self, i: int, x: Tensor, name: str, rope: Rope, eps: Tensor, live: dict[str, Tensor]) -> Tensor:
        """What happens to a query or key between its projection and the scores."""
        return rotate(x, rope, name)

    def feed_forward(self, i: int, x: Tensor, w: Weight, live: dict[str, Tensor]) -> Tensor:
        """The feed-forward block of layer i."""
        with scope("ffn", "SwiGLU"):
            return swiglu(x, w, self.d_ff)

    def count(self) -> int:
        """Trainable numbers by the closed formula, to be compared with the red cells."""
        d, h = self.d_model, self.head_dim
        attention = 2 * d * self.n_heads * h + 2 * d * self.n_kv_heads * h
        return 2 * self.vocab_size * d + self.n_layers * (attention + 2 * d) + d + self.feed_forward_count()

    def feed_forward_count(self) -> int:
        """Trainable numbers in the feed-forward blocks of all layers."""
        return self.n_layers * 3 * self.d_model * self.d_ff


@dataclass(frozen=True, kw_only=True)
class Llama4(Llama):
    """Llama 4 (Scout, Maverick): mixtures of experts, chunked attention, layers without positions.

    Source: transformers/models/llama4/modeling_llama4.py; meta-llama/llama-models models/llama4.
    """

    family: ClassVar[str] = "llama4"

    n_experts: int = setting(3, "Routed experts per mixture layer, besides the shared one.")
    top_k: int = setting(1, "Experts that each token is sent to; a control, live in the sheet.")
    d_ff_dense: int = setting(16, "Hidden width of the layers without experts.")
    moe_every: int = setting(1, "Every n-th layer is a mixture of experts (1: all); the others are dense.")
    nope_every: int = setting(2, "Every n-th layer has no RoPE and sees all earlier tokens.")
    attention_chunk_size: int = setting(4, "Layers with RoPE see only their own chunk of tokens; a control.")
    qk_norm: bool = setting(True, "Queries and keys of the layers with RoPE are divided by their root mean square.")
    attn_scale: float = setting(0.1, "Strength of the query temperature on layers without RoPE.", low=0)
    floor_scale: int = setting(4, "Tokens after which that temperature rises by a step.")
    rope_pairing: Literal["half", "interleaved"] = setting(
        "interleaved",
        "Which features RoPE turns together: (2i, 2i+1), or (i, i+h/2) as Hugging Face's Llama 3 does.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.top_k > self.n_experts:
            raise InputError(
                f"top_k {self.top_k} is more than n_experts {self.n_experts}: choose at most {self.n_experts}"
            )

    def more_controls(self) -> dict[str, Tensor]:
        return {
            "top_k": control("top_k", self.top_k, low=1, high=self.n_experts, whole=True),
            "chunk": control("attention_chunk_size", self.attention_chunk_size, low=1, whole=True),
        }

    def more_positions(self, position: Tensor) -> dict[str, Tensor]:
        return {"temperature": llama4_temperature(position, self.attn_scale, self.floor_scale)}

    def masks(self, key: Tensor, query: Tensor, live: dict[str, Tensor]) -> dict[str, Tensor]:
        return super().masks(key, query, live) | {"chunked": chunked_mask(key, query, live["chunk"])}

    def has_rope(self, i: int) -> bool:
        return (i + 1) % self.nope_every != 0

    def has_experts(self, i: int) -> bool:
        return (i + 1) % self.moe_every == 0

    def mask_of(self, i: int, masks: dict[str, Tensor]) -> Tensor:
        return masks["chunked" if self.has_rope(i) else "causal"]

    def prepare(self, i: int, x: Tensor, name: str, rope: Rope, eps: Tensor, live: dict[str, Tensor]) -> Tensor:
        if self.has_rope(i):
            x = rotate(x, rope, name)
            return unit_rms(x, eps, name) if self.qk_norm else x
        return (x * live["temperature"]).named(f"{name}_temp", "beside") if name == "Q" else x

    def feed_forward(self, i: int, x: Tensor, w: Weight, live: dict[str, Tensor]) -> Tensor:
        if self.has_experts(i):
            return mixture(x, w, self.n_experts, live["top_k"], self.d_ff, shared=True)
        with scope("ffn", "SwiGLU"):
            return swiglu(x, w, self.d_ff_dense)

    def feed_forward_count(self) -> int:
        d, mixtures = self.d_model, self.n_layers // self.moe_every
        experts = self.n_experts * d + (1 + self.n_experts) * 3 * d * self.d_ff
        return (self.n_layers - mixtures) * 3 * d * self.d_ff_dense + mixtures * experts


Config = Llama
FAMILIES: dict[str, type[Config]] = {family.family: family for family in (Llama, Llama4)}


def embed(words: Tensor, vocabulary: Tensor, w: Weight, d_model: int) -> Tensor:
    """One-hot columns of the words' ids, and the rows of W_E they pick. [1, T] → [d_model, T]."""
    ids = lookup(words, vocabulary).named("tokens")
    known(ids).named("in_vocabulary")
    index = constant("id", np.arange(vocabulary.rows)[:, None], ("word", ""))
    table = w("W_E", vocabulary.rows, d_model, axes=("word", "d_model"))
    one_hot = equal(index, ids).named("one_hot")
    return (table.T @ one_hot).named("embed")


def run(config: Config, words: list[str], vocabulary: list[str], source: Source) -> Trace:
    """The model of `config` on these words, with the numbers of `source`."""
    with Trace(source) as trace:
        config.forward(words, vocabulary)
    return trace


def divisors(n: int) -> Iterator[int]:
    """All whole numbers that divide n, ascending."""
    """All whole numbers that divide n, ascending."""
    return (k for k in range(1, n + 1) if n % k == 0)


def _check_type(f: dataclasses.Field[Any], value: Any) -> None:
    """A field must have the type it is declared with, and be no smaller than allowed."""
    kinds: dict[str, type] = {"int": int, "float": float, "bool": bool}
    kind = kinds.get(str(f.type))
    if kind is None:  # a choice: Literal["half", "interleaved"]
        choices = [c.strip(" '\"") for c in str(f.type).removeprefix("Literal[").removesuffix("]").split(",")]
        if value not in choices:
            raise InputError(f"{f.name} {value!r} is not known: choose {' or '.join(choices)}")
    elif type(value) is not kind:
        raise InputError(f"{f.name} {value!r} is not {'true or false' if kind is bool else 'a number'}")
    elif isinstance(value, int | float) and kind is not bool and not f.metadata["low"] <= value < float("inf"):
        raise InputError(f"{f.name} {value} is too small: it must be at least {f.metadata['low']}")
