"""Decoder-only language models: one definition for GPT-2, every Llama, Mistral, Gemma, Phi, Qwen, OLMo and Nemotron.

What distinguishes them are settings; what needs another equation is a method that a subclass replaces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from sheetgen.base.errors import InputError
from sheetgen.model import nn
from sheetgen.model.config import (
    Config,
    Sizes,
    declare_layers,
    declare_output,
    declare_sight,
    declare_softmax,
    divisors,
    each,
    setting,
)
from sheetgen.model.controls import Controls, times
from sheetgen.trace.recorder import Trace, scope, section
from sheetgen.trace.tensor import Tensor, constant, equal, rows_of, sqrt, text, weight

NormPlace = Literal["before", "after"]
QkNorm = Literal["none", "head", "all", "unit"]
Bias = Literal["none", "qkv", "all"]


@dataclass(frozen=True)
class Context:
    """What all layers share: live numbers, rows of positions, masks and rotation tables."""

    controls: Controls
    position: Tensor
    masks: dict[str, Tensor]
    ropes: dict[int, nn.Rope]  # tables of the rotation, by the length of the queries; none when nothing turns
    temperature: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Decoder(Config):
    """A decoder: x + Attention(norm(x)), then + FeedForward(norm(x)), layer by layer; last norm, head, softmax.

    Equations as Hugging Face transformers computes them (models/{gpt2,llama,mistral,gemma,phi3,nemotron,qwen2,
    qwen3,olmo2}/modeling_*.py).
    """

    family: ClassVar[str] = "decoder"

    d_model: int = setting(8, "Width of the residual stream: numbers per token.")
    n_layers: int = setting(2, "Number of layers, one below the other.")
    n_heads: int = setting(2, "Attention heads per layer, each with its own queries.")
    n_kv_heads: int = setting(2, "Key/value heads per layer; fewer than n_heads means grouped-query attention.")
    head_dim: int = setting(4, "Length of one query, key or value; even, since RoPE turns pairs.")
    qk_dims: Sizes = setting((), "Lengths of queries and keys, one for each key/value head; empty: all head_dim.")
    value_dims: Sizes = setting((), "Lengths of the values, one for each key/value head; empty: all head_dim.")
    heads_by_layer: Sizes = setting((), "Heads of each layer; empty: n_heads in all.")
    output_projection: bool = setting(True, "W_O mixes the heads; without it their values together are d_model wide.")
    d_ff: int = setting(8, "Hidden width of the feed-forward block.")
    d_ff_by_layer: Sizes = setting((), "Hidden width of the feed-forward block of each layer; empty: d_ff in all.")
    vocab_size: int = setting(12, "Words in the vocabulary.")
    n_tokens: int = setting(6, "Words in the sentence: token columns.")
    norm: nn.NormKind = setting("rms", "rms: RMSNorm; layer: LayerNorm, which also takes off the mean and adds a bias.")
    norm_eps: float = setting(1e-5, "Added under the root of each norm; a control, live in the sheet.", low=0)
    unit_offset: bool = setting(False, "Norms multiply by 1 + w instead of w.")
    norm_place: NormPlace = setting("before", "Norms stand before attention and feed-forward, or after them.")
    qk_norm: QkNorm = setting(
        "none", "RMSNorm of queries and keys: per head with a gain, over all heads at once, or unit: without a gain."
    )
    attention_bias: Bias = setting("none", "Which projections of attention add a bias: none, qkv, or all.")
    mlp_bias: bool = setting(False, "Whether the matrices of the feed-forward block add a bias.")
    activation: nn.Activation = setting("silu", "Curve of the feed-forward block.")
    gated: bool = setting(True, "W_down·(curve(W_gate·x) ⊙ W_up·x); otherwise W_down·curve(W_up·x).")
    positions: Literal["rope", "learned", "none"] = setting(
        "rope", "rope: positions turn queries and keys; learned: they are added once; none."
    )
    n_positions: int = setting(16, "Rows of the table of learned positions.")
    rope_theta: float = setting(10000.0, "Base of RoPE's angles; a control, live in the sheet.")
    rope_pairing: nn.Pairing = setting(
        "half", "Which features RoPE turns together: (i, i+h/2) as Hugging Face, or (2i, 2i+1) as the original Llama."
    )
    rotary_fraction: float = setting(1.0, "Share of the features of a head that RoPE turns; the others stay.", low=0)
    rope_scaling: Literal["none", "linear", "llama3"] = setting(
        "none", "For long contexts. linear: all pairs turn slower; llama3: the slow pairs turn even slower."
    )
    rope_factor: float = setting(8.0, "linear and llama3 scaling: how much slower.")
    rope_low_freq: float = setting(
        1.0, "llama3 scaling: wavelengths above rope_original / this are slowed fully.", low=0
    )
    rope_high_freq: float = setting(4.0, "llama3 scaling: wavelengths below rope_original / this stay.", low=0)
    rope_original: int = setting(8192, "llama3 scaling: the context the model was first trained on.")
    window: int = setting(0, "Sliding window: a query sees so many keys, its own included; 0: all.", low=0)
    window_from: int = setting(0, "First layer with the sliding window, counted from 0.", low=0)
    tied: bool = setting(False, "The head uses the embedding table.")
    embed_scale: bool = setting(False, "Embeddings are multiplied by √d_model.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_heads % self.n_kv_heads:
            raise InputError(
                f"n_heads {self.n_heads} cannot be shared among n_kv_heads {self.n_kv_heads}: "
                f"choose a divisor ({', '.join(map(str, divisors(self.n_heads)))})"
            )
        self._check_heads()
        for size in (self.head_dim, *self.qk_dims) if self.positions == "rope" else ():
            if size % 2:
                name = "head_dim" if size == self.head_dim else "qk_dims"
                raise InputError(f"{name} {size} is odd, but RoPE turns pairs: choose {size + 1}")
        if self.positions == "rope" and (self.rotary_fraction > 1 or self.rotary % 2 or self.rotary == 0):
            raise InputError(
                f"rotary_fraction {self.rotary_fraction} of head_dim {self.head_dim} is no even number of features: "
                f"choose one of {', '.join(f'{r / self.head_dim:g}' for r in range(2, self.head_dim + 1, 2))}"
            )
        if self.positions == "learned" and self.n_positions < self.n_tokens:
            raise InputError(f"n_positions {self.n_positions} is less than the {self.n_tokens} words: choose more")

    def _check_heads(self) -> None:
        each(self.heads_by_layer, "heads_by_layer", self.n_layers, "layers")
        each(self.d_ff_by_layer, "d_ff_by_layer", self.n_layers, "layers")
        layers = range(self.n_layers if self.heads_by_layer else 1)  # else they are alike
        for i in layers:
            if self.heads_of(i) % self.kv_heads_of(i):
                raise InputError(
                    f"the {self.heads_of(i)} heads of layer {i} cannot share n_kv_heads {self.n_kv_heads}: "
                    f"choose a multiple of {self.n_kv_heads}"
                )
        most = max(self.kv_heads_of(i) for i in layers)
        each(self.qk_dims, "qk_dims", most, "key/value heads")
        each(self.value_dims, "value_dims", most, "key/value heads")
        for i in layers if not self.output_projection else ():
            width = self.values_of(i)
            if width != self.d_model:
                raise InputError(
                    f"without output_projection the values of all heads must be d_model {self.d_model} wide, "
                    f"but those of layer {i} are {width}: choose other heads, head_dim or value_dims"
                )
        if self.qk_dims and self.qk_norm in ("head", "all"):
            raise InputError(f"qk_dims cannot differ while qk_norm is {self.qk_norm}: its gain is shared by all heads")
        if self.qk_dims and self.rotary_fraction != 1:
            raise InputError("qk_dims cannot differ while RoPE turns only a share of the features: leave them out")

    @property
    def grouped(self) -> bool:
        """Whether heads share keys and values."""
        return self.n_kv_heads < self.n_heads

    def heads_of(self, i: int) -> int:
        """How many heads layer i has."""
        return self.heads_by_layer[i] if self.heads_by_layer else self.n_heads

    def kv_heads_of(self, i: int) -> int:
        """How many key/value heads layer i has."""
        return self.n_kv_heads if self.grouped else self.heads_of(i)

    def kv_of(self, i: int, j: int) -> int:
        """Whose keys and values head j of layer i uses."""
        return j * self.kv_heads_of(i) // self.heads_of(i)

    def qk_dim(self, g: int) -> int:
        """Length of the keys g and of the queries that meet them."""
        return self.qk_dims[g] if self.qk_dims else self.head_dim

    def value_dim(self, g: int) -> int:
        """Length of the values g."""
        return self.value_dims[g] if self.value_dims else self.head_dim

    def hidden_of(self, i: int) -> int:
        """Hidden width of the dense feed-forward block of layer i."""
        return self.d_ff_by_layer[i] if self.d_ff_by_layer else self.d_ff

    def uneven(self) -> int:
        """How many parameters all layers have more than if all heads and widths were alike."""
        d, bias = self.d_model, self.attention_bias != "none"
        total = 0
        for i in range(self.n_layers):
            heads, keys = range(self.heads_of(i)), range(self.kv_heads_of(i))
            inner = sum(self.qk_dim(self.kv_of(i, j)) for j in heads) + sum(map(self.qk_dim, keys))
            inner += sum(map(self.value_dim, keys))
            outer = sum(self.value_dim(self.kv_of(i, j)) for j in heads) * self.output_projection
            usual = self.head_dim * (self.n_heads + 2 * self.n_kv_heads)
            total += (inner - usual) * (d + bias) + (outer - self.head_dim * self.n_heads * self.output_projection) * d
            matrices = 3 if self.gated else 2
            total += (self.hidden_of(i) - self.d_ff) * (matrices * d + (matrices - 1) * self.mlp_bias)
        return total

    @property
    def rotary(self) -> int:
        """How many features of a head RoPE turns."""
        return int(self.head_dim * self.rotary_fraction) if self.positions == "rope" else self.head_dim

    def least_size(self) -> tuple[int, int]:
        layers = range(self.n_layers if self.heads_by_layer else 1)  # else they are alike
        heads = [self.least_heads(i) for i in layers]
        rows = self.n_layers * 4 * self.d_model + sum(heads) * self.n_layers // len(heads) + self.least_hidden()
        widest = max(self.d_model, *map(self.values_of, layers)) if self.output_projection else self.d_model
        # Beside the widest matrix: scores, masked scores, exponentials and pattern, each a column per token.
        return 2 * self.vocab_size + rows, max(widest, self.widest_hidden()) + 4 * self.n_tokens

    def least_heads(self, i: int) -> int:
        """Rows of the heads of layer i, at least: Q, V and the scores of each."""
        groups = self.kv_heads_of(i)
        queries = sum(self.qk_dims[:groups]) if self.qk_dims else groups * self.head_dim
        return queries * self.heads_of(i) // groups + self.values_of(i) + self.heads_of(i) * self.n_tokens

    def values_of(self, i: int) -> int:
        """Length of the values of all heads of layer i together."""
        groups = self.kv_heads_of(i)
        values = sum(self.value_dims[:groups]) if self.value_dims else groups * self.head_dim
        return values * self.heads_of(i) // groups

    def least_hidden(self) -> int:
        """Rows of the feed-forward blocks of all layers, at least."""
        return sum(self.d_ff_by_layer) or self.n_layers * self.d_ff

    def widest_hidden(self) -> int:
        """The widest layer of a feed-forward network."""
        return max(self.d_ff_by_layer, default=self.d_ff)

    def more_sizes(self) -> dict[str, float]:
        return {
            "ffn_matrices": 3 if self.gated else 2,
            "ffn_bias": self.mlp_bias,
            "qkv_bias": self.attention_bias != "none",
            "o_bias": self.attention_bias == "all" and self.output_projection,
            "o_matrix": self.output_projection,
            "attention_extra": self.uneven() / self.n_layers,
            "norm_size": 1 if self.norm == "rms" else 2,
            "head_norm": self.qk_norm == "head",
            "full_norm": self.qk_norm == "all",
            "n_positions": self.n_positions if self.positions == "learned" else 0,
        }

    def prediction(self, trace: Trace) -> str:
        words, word, p = (trace[path].value[0] for path in ("words", "next_word", "next_prob"))
        return f"{' '.join(words)} → {word[-1]} ({p[-1]:.2f})"

    # --- forward pass, in reading order --------------------------------------------------------------------------

    def forward(self, controls: Controls) -> None:
        """Words → next-word probabilities."""
        with section("Input: words, ids, embedding"):
            sentence = text("words", self.n_tokens, across=True)
            table = text("vocabulary", self.vocab_size, across=False, where="left")
            one_hot, embedding = nn.look_up(sentence, table, weight, self.d_model)
            x = self.embed(one_hot, embedding, controls)
        with section("Positions: masks and rotation tables"):
            position = constant("position", np.arange(x.columns)[None], ("", "words"), "below")
            key = constant("key_position", np.arange(x.columns)[:, None], ("words", ""))
            context = Context(controls, position, self.masks(key, position, controls), self.ropes(position, controls))
            context = self.more(context)
        for i in range(self.n_layers):
            with scope(f"layer_{i}"):
                x = self.layer(i, x, context)
        with section("Output: next-word probabilities"):
            x = self.normalise(x, "final_norm", context)
            head = embedding.named("W_U", "left") if self.tied else None
            nn.predict(x, weight, table, controls, head)

    def declare(self, c: Controls) -> None:
        c.group = "Attention"
        c.switch("causal")
        self.declare_limits(c)
        declare_softmax(c)
        c.group = "Positions"
        if self.positions == "rope":
            c.switch("rope")
            c.number("rope_theta", self.rope_theta, low=1)
        c.switch("added_positions", "on" if self.positions == "learned" else "off", extra=self.positions != "learned")
        declare_output(c, self.norm, self.norm_eps)
        self.declare_feed_forward(c)
        declare_layers(c, [self.heads_of(i) for i in range(self.n_layers)])

    def declare_limits(self, c: Controls) -> None:
        """Controls of how far a query sees."""
        declare_sight(c, self.window)

    def declare_feed_forward(self, c: Controls) -> None:
        """Controls of the feed-forward blocks."""
        c.group = "Feed-forward"
        c.switch("activation", self.activation, tuple(nn.CURVES), extra=True)
        if self.gated:
            c.switch("gated", extra=True)

    def embed(self, one_hot: Tensor, table: Tensor, controls: Controls) -> Tensor:
        """The input of layer 0. [V, T] → [d, T]."""
        if self.positions == "learned":
            words = (table.T @ one_hot).named("word_embed")
            place = constant("place", np.arange(self.n_positions)[:, None], ("place", ""))
            where = weight("W_P", self.n_positions, self.d_model, axes=("place", "d_model"))
            position = constant("place_of_token", np.arange(words.columns)[None], ("", "words"), "below")
            places = times(equal(place, position), controls.factor("added_positions")).named("one_hot_place")
            return (words + (where.T @ places).named("place_embed")).named("embed")
        words = table.T @ one_hot
        if self.embed_scale:
            words = words.named("word_embed")
            words = words * sqrt(rows_of(words))
        added = controls.factor("added_positions")
        if added is not None:
            if not self.embed_scale:
                words = words.named("word_embed")
            place = constant("place", np.arange(words.columns)[None], ("", "words"), "below")
            words = words + nn.sinusoids(place, 10000.0, self.d_model, "interleaved", added)
        return words.named("embed")

    def masks(self, key: Tensor, query: Tensor, controls: Controls) -> dict[str, Tensor]:
        """The masks that the layers choose from: "local" if any layer sees less than another, and "causal"."""
        local = [self.is_local(i) for i in range(self.n_layers)]
        if not any(local):  # then the controls `window` and chunk size act on all layers
            return {"causal": nn.live_mask(key, query, controls)}
        name = "mask_window" if self.window else "mask_chunked"
        found = {"local": nn.live_mask(key, query, controls, name)}
        return found if all(local) else found | {"causal": nn.live_mask(key, query, controls, local=False)}

    def is_local(self, i: int) -> bool:
        """Whether layer i sees only nearby tokens."""
        return self.window > 0 and i >= self.window_from

    def mask_of(self, i: int, context: Context) -> Tensor:
        """The mask of layer i."""
        return context.masks["local" if self.is_local(i) else "causal"]

    def ropes(self, position: Tensor, controls: Controls) -> dict[int, nn.Rope]:
        """Tables of the rotation for each length of the queries; none when positions do not turn them."""
        found = {}
        for size in sorted({self.head_dim, *self.qk_dims}) if self.positions == "rope" else ():
            usual = size == self.head_dim
            with scope("rope" if usual else f"rope_{size}", "RoPE tables" + ("" if usual else f" of length {size}")):
                found[size] = self.rotation(position, controls, size)
        return found

    def rotation(self, position: Tensor, controls: Controls, size: int) -> nn.Rope:
        """Tables of the rotation by these positions, as this model scales it."""
        scaling = None
        if self.rope_scaling == "linear":
            position = (position / self.rope_factor).named("slow_position")
        if self.rope_scaling == "llama3":
            scaling = nn.Slower(self.rope_factor, self.rope_low_freq, self.rope_high_freq, self.rope_original)
        rotary = self.rotary if size == self.head_dim else size
        return nn.rope_tables(position, controls, size, rotary, self.rope_pairing, scaling)

    def more(self, context: Context) -> Context:
        """Rows of positions that only some models have."""
        return context

    def layer(self, i: int, x: Tensor, context: Context) -> Tensor:
        """One layer. [d, T] → [d, T]."""
        before = self.norm_place == "before"
        with section("Attention"):
            h = self.normalise(x, "norm_1", context) if before else x
            y = self.attention(i, h, context)
            y = y if before else self.normalise(y, "norm_1", context)
            x = nn.add_back(x, y, context.controls, "1").named("mid")
        with section("Feed-forward"):
            h = self.normalise(x, "norm_2", context) if before else x
            y = self.feed_forward(i, h, context)
            y = y if before else self.normalise(y, "norm_2", context)
            return nn.add_back(x, y, context.controls, "2").named("out")

    def normalise(self, x: Tensor, name: str, context: Context) -> Tensor:
        """The norm of this model. [d, T] → [d, T]."""
        norm = nn.rms_norm if self.norm == "rms" else nn.layer_norm
        return norm(x, weight, context.controls, name, self.unit_offset)

    def attention(self, i: int, x: Tensor, context: Context) -> Tensor:
        """All heads of a layer and their projection back. K and V belong to the head, or to a group of heads."""
        x = nn.with_ones(x) if self.attention_bias != "none" else x
        queries, keys = self.shared_norms(x, context)
        made: list[tuple[Tensor, Tensor]] = []
        if self.grouped:
            for g in range(self.kv_heads_of(i)):
                with scope(f"kv_{g}", f"Keys and values {g}, shared by heads {self.shared_by(g, i)}"):
                    k = self.prepare(i, self.project("K", g, g, x, keys, context), "K", context)
                    made.append((k, self.value(x, g)))
        heads = []
        for j in range(self.heads_of(i)):
            g = self.kv_of(i, j)
            with scope(f"head_{j}"):
                if self.grouped:
                    k, shared_v = made[g]
                else:
                    k = self.prepare(i, self.project("K", j, g, x, keys, context), "K", context)
                q = self.prepare(i, self.project("Q", j, g, x, queries, context), "Q", context)
                pattern = nn.attend(q, k, self.mask_of(i, context), context.controls)
                v = shared_v.named("V") if self.grouped else self.value(x, g)
                heads.append(times((v @ pattern).named("z"), context.controls.here()))
        return nn.project_out(heads, weight, self.d_model, self.attention_bias == "all", self.output_projection)

    def shared_norms(self, x: Tensor, context: Context) -> tuple[Tensor | None, Tensor | None]:
        """What the heads share for their QK norm: all queries and keys at once ("all"), or the gain ("head")."""
        if self.qk_norm == "all":
            return tuple(
                nn.projected_norm(name, n * self.head_dim, x, weight, context.controls["norm_eps"])
                for name, n in (("Q", self.n_heads), ("K", self.n_kv_heads))
            )  # type: ignore[return-value]
        if self.qk_norm == "head":
            return tuple(
                weight(f"w_{name}_norm", self.head_dim, 1, axes=("head_dim", ""), around=1.0, where="below")
                for name in "QK"
            )  # type: ignore[return-value]
        return None, None

    def project(self, name: str, j: int, g: int, x: Tensor, shared: Tensor | None, context: Context) -> Tensor:
        """Query or key of head j, which uses the keys g: W·x, and its norm. [d, T] → [h, T]."""
        if self.qk_norm == "all" and shared is not None:
            return shared.slice(j * self.head_dim, (j + 1) * self.head_dim).named(name)
        made = weight(f"W_{name}", self.qk_dim(g), x.rows, axes=("head_dim", x.axes[0])) @ x
        if self.qk_norm == "head" and shared is not None:
            return nn.head_norm(made.named(f"{name}_raw"), shared, context.controls["norm_eps"], name)
        return made.named(name)

    def value(self, x: Tensor, g: int) -> Tensor:
        """Values g: W·x. [d, T] → [h, T]."""
        return (weight("W_V", self.value_dim(g), x.rows, axes=("head_dim", x.axes[0])) @ x).named("V")

    def shared_by(self, g: int, i: int = 0) -> str:
        """The heads of layer i that use the keys and values g."""
        size = self.heads_of(i) // self.n_kv_heads
        return ", ".join(str(j) for j in range(g * size, (g + 1) * size))

    def prepare(self, i: int, x: Tensor, name: str, context: Context) -> Tensor:
        """What happens to a query or key between its projection and the scores."""
        if not context.ropes:
            return x
        # In a workbook somebody may have inserted rows: the product below then says what does not fit.
        return nn.rotate(x, context.ropes.get(x.rows) or context.ropes[min(context.ropes)], name)

    def feed_forward(self, i: int, x: Tensor, context: Context) -> Tensor:
        """The feed-forward block of layer i."""
        with scope("ffn", "Feed-forward network"):
            return self.network(x, self.hidden_of(i), context.controls)

    def network(self, x: Tensor, hidden: int, controls: Controls, out: int | None = None) -> Tensor:
        """One feed-forward network. [d, T] → [d, T], or [out, T]."""
        made = nn.gated_mlp if self.gated else nn.mlp
        return made(x, weight, hidden, self.activation, controls, self.mlp_bias, out)
