"""The stack of a decoder: embedding, layers, last norm, head. Attention and feed-forward are parts that fill it.

A family is put together of one part of each kind: `class Mixture(GroupedQuery, Experts)`. A part is one class that says
all about itself: its settings, what it refuses, its controls, its trainable numbers on the sheet Scale, its equations.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sheetgen.base.errors import InputError
from sheetgen.model import nn
from sheetgen.model.config import Config, declare_layers, declare_output, setting
from sheetgen.model.controls import Controls, times
from sheetgen.trace.recorder import Trace, scope, section
from sheetgen.trace.tensor import Tensor, constant, equal, rows_of, sqrt, text, weight

NormPlace = Literal["before", "after"]

# The order of the settings on the sheet Config, whichever part they are of. What is not named here follows.
ROWS = (
    *("controls", "precision", "d_model", "n_layers", "n_heads", "n_kv_heads", "head_dim", "qk_dims", "value_dims"),
    *("heads_by_layer", "output_projection", "d_ff", "d_ff_by_layer", "vocab_size", "n_tokens"),
    *("norm", "norm_eps", "unit_offset", "norm_place", "qk_norm", "attention_bias", "mlp_bias", "activation", "gated"),
    *("positions", "n_positions", "rope_theta", "rope_pairing", "rotary_fraction"),
    *("rope_scaling", "rope_factor", "rope_low_freq", "rope_high_freq", "rope_original"),
    *("window", "window_from", "tied", "embed_scale"),
)


@dataclass(frozen=True)
class Context:
    """What all layers share: live numbers, rows of positions, masks and rotation tables."""

    controls: Controls
    position: Tensor
    masks: dict[str, Tensor]
    ropes: dict[int, nn.Rope]  # tables of the rotation, by the length of the queries; none when nothing turns


@dataclass(frozen=True, kw_only=True)
class Stack(Config):
    """x + Attention(norm(x)), then + FeedForward(norm(x)), layer by layer; last norm, head, softmax."""

    d_model: int = setting(8, "Width of the residual stream: numbers per token.")
    n_layers: int = setting(2, "Number of layers, one below the other.")
    vocab_size: int = setting(12, "Words in the vocabulary.")
    n_tokens: int = setting(6, "Words in the sentence: token columns.")
    norm: nn.NormKind = setting("rms", "rms: RMSNorm; layer: LayerNorm, which also takes off the mean and adds a bias.")
    norm_eps: float = setting(1e-5, "Added under the root of each norm; a control, live in the sheet.", low=0)
    unit_offset: bool = setting(False, "Norms multiply by 1 + w instead of w.")
    norm_place: NormPlace = setting("before", "Norms stand before attention and feed-forward, or after them.")
    positions: Literal["rope", "learned", "none"] = setting(
        "rope", "rope: positions turn queries and keys; learned: they are added once; none."
    )
    n_positions: int = setting(16, "Rows of the table of learned positions.")
    tied: bool = setting(False, "The head uses the embedding table.")
    embed_scale: bool = setting(False, "Embeddings are multiplied by √d_model.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.positions == "learned" and self.n_positions < self.n_tokens:
            raise InputError(f"n_positions {self.n_positions} is less than the {self.n_tokens} words: choose more")

    @classmethod
    def settings(cls) -> tuple[dataclasses.Field[Any], ...]:
        found = {f.name: f for f in super().settings()}
        return tuple(({name: found[name] for name in ROWS if name in found} | found).values())

    # --- what the parts say ------------------------------------------------------------------------------------------

    def attention(self, i: int, x: Tensor, context: Context) -> Tensor:
        """The attention of layer i. [d, T] → [d, T]."""
        raise NotImplementedError

    def heads_of(self, i: int) -> int:
        """How many heads layer i has."""
        raise NotImplementedError

    def context(self, key: Tensor, query: Tensor, controls: Controls) -> Context:
        """What the layers share, for keys and queries at these positions. [S, 1], [1, T]."""
        raise NotImplementedError

    def declare_attention(self, c: Controls) -> None:
        """Controls of the attention."""

    def declare_positions(self, c: Controls) -> None:
        """Controls of how the attention knows positions."""

    def feed_forward(self, i: int, x: Tensor, context: Context) -> Tensor:
        """The feed-forward block of layer i. [d, T] → [d, T]."""
        raise NotImplementedError

    def declare_feed_forward(self, c: Controls) -> None:
        """Controls of the feed-forward blocks."""

    def uneven(self) -> int:
        """How many trainable numbers all layers have more than the sheet Scale counts by the sizes that it knows."""
        return 0

    # --- the stack itself --------------------------------------------------------------------------------------------

    def more_sizes(self) -> dict[str, float]:
        return {
            "attention_extra": self.uneven() / self.n_layers,
            "norm_size": 1 if self.norm == "rms" else 2,
            "n_positions": self.n_positions if self.positions == "learned" else 0,
        }

    def layer_cells(self, tokens: int) -> int:
        return 12 * self.d_model * tokens

    def prediction(self, trace: Trace) -> str:
        words, word, p = (trace[path].value[0] for path in ("words", "next_word", "next_prob"))
        return f"{' '.join(words)} → {word[-1]} ({p[-1]:.2f})"

    def declare(self, c: Controls) -> None:
        c.group = "Attention"
        self.declare_attention(c)
        c.group = "Positions"
        self.declare_positions(c)
        c.switch("added_positions", "on" if self.positions == "learned" else "off", extra=self.positions != "learned")
        declare_output(c, self.norm, self.norm_eps)
        self.declare_feed_forward(c)
        declare_layers(c, [self.heads_of(i) for i in range(self.n_layers)])

    # --- forward pass, in reading order --------------------------------------------------------------------------

    def forward(self, controls: Controls) -> None:
        """Words → next-word probabilities."""
        with section("Input: words, ids, embedding"):
            sentence = text("words", self.n_tokens, across=True, role="sentence")
            vocabulary = text("vocabulary", self.vocab_size, across=False, where="left")
            one_hot, table = nn.look_up(sentence, vocabulary, weight, self.d_model)
            x = self.embed(one_hot, table, controls)
        with section("Positions: masks and rotation tables"):
            query = constant("position", np.arange(x.columns)[None], ("", "words"), "below")
            key = constant("key_position", np.arange(x.columns)[:, None], ("words", ""))
            context = self.context(key, query, controls)
        x = self.layers(x, context)
        with section("Output: next-word probabilities"):
            self.predict(x, vocabulary, table, context)

    def embed(self, one_hot: Tensor, table: Tensor, controls: Controls) -> Tensor:
        """The input of layer 0. [V, T] → [d, T]."""
        words = table.T @ one_hot
        if self.positions == "learned":
            words = words.named("word_embed")
            place = constant("place", np.arange(self.n_positions)[:, None], ("place", ""))
            where = weight("W_P", self.n_positions, self.d_model, axes=("place", "d_model"))
            position = constant("place_of_token", np.arange(words.columns)[None], ("", "words"), "below")
            places = times(equal(place, position), controls.factor("added_positions")).named("one_hot_place")
            return (words + (where.T @ places).named("place_embed")).named("embed", role="embedding")
        if self.embed_scale:
            words = words.named("word_embed")
            words = words * sqrt(rows_of(words))
        added = controls.factor("added_positions")
        if added is not None:
            if not self.embed_scale:
                words = words.named("word_embed")
            place = constant("place", np.arange(words.columns)[None], ("", "words"), "below")
            words = words + nn.sinusoids(place, 10000.0, self.d_model, "interleaved", added)
        return words.named("embed", role="embedding")

    def layers(self, x: Tensor, context: Context) -> Tensor:
        """All layers, one after the other. [d, T] → [d, T]."""
        for i in range(self.n_layers):
            with scope(f"layer_{i}"):
                x = self.layer(i, x, context)
        return x

    def layer(self, i: int, x: Tensor, context: Context) -> Tensor:
        """One layer. [d, T] → [d, T]."""
        before = self.norm_place == "before"
        with section("Attention"):
            h = self.normalise(x, "norm_1", context) if before else x
            y = self.attention(i, h, context)
            y = y if before else self.normalise(y, "norm_1", context)
            x = nn.add_back(x, y, context.controls, "1").named("mid", role="stream")
        with section("Feed-forward"):
            h = self.normalise(x, "norm_2", context) if before else x
            y = self.feed_forward(i, h, context)
            y = y if before else self.normalise(y, "norm_2", context)
            return nn.add_back(x, y, context.controls, "2").named("out", role="layer")

    def normalise(self, x: Tensor, name: str, context: Context) -> Tensor:
        """The norm of this model. [d, T] → [d, T]."""
        norm = nn.rms_norm if self.norm == "rms" else nn.layer_norm
        return norm(x, weight, context.controls, name, self.unit_offset)

    def predict(self, x: Tensor, vocabulary: Tensor, table: Tensor, context: Context) -> None:
        """Last norm and head. [d, T]."""
        x = self.normalise(x, "final_norm", context)
        head = table.named("W_U", "left") if self.tied else None
        nn.predict(x, weight, vocabulary, context.controls, head)
