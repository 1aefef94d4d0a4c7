"""The transformer of 2017: an encoder reads a sentence, a decoder writes its translation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sheetgen.base.errors import InputError
from sheetgen.model import nn
from sheetgen.model.config import Config, declare_output, declare_sight, declare_softmax, setting
from sheetgen.model.controls import Controls
from sheetgen.model.given import TRANSLATION, Inputs
from sheetgen.trace.recorder import Trace, scope, section
from sheetgen.trace.tensor import Tensor, constant, equal, known, lookup, rows_of, sqrt, text, weight


@dataclass(frozen=True, kw_only=True)
class Seq2Seq(Config):
    """Encoder and decoder with cross-attention, a norm after every part, one vocabulary and embedding table for all.

    In the decoder, `layer_<i>.head_<h>` is the causal self-attention and `layer_<i>.cross.head_<h>` reads the encoder.
    Source: Vaswani et al. 2017, arXiv:1706.03762; transformers/models/marian/modeling_marian.py.
    """

    family: ClassVar[str] = "seq2seq"
    inputs: ClassVar[Inputs] = TRANSLATION

    d_model: int = setting(8, "Width of the residual stream: numbers per token; even, for sine and cosine.")
    n_layers: int = setting(2, "Layers of the encoder, and as many of the decoder.")
    n_heads: int = setting(2, "Attention heads per layer.")
    head_dim: int = setting(4, "Length of one query, key or value.")
    d_ff: int = setting(16, "Hidden width of the feed-forward block.")
    vocab_size: int = setting(12, "Words in the vocabulary of both languages.")
    n_source: int = setting(3, "Words in the sentence: columns of the encoder.")
    n_target: int = setting(4, "Words of the translation, the start sign included: columns of the decoder.")
    norm_eps: float = setting(1e-5, "Added under the root of each norm; a control, live in the sheet.", low=0)
    bias: bool = setting(True, "Whether the matrices of attention add a bias: Marian has it, the paper has not.")
    logits_bias: bool = setting(True, "Whether the logits add a bias per word, as Marian's.")
    activation: nn.Activation = setting("relu", "Curve of the feed-forward block.")
    position_base: float = setting(10000.0, "Base of the wavelengths of the positions; a control, live in the sheet.")
    position_order: nn.Order = setting(
        "concatenated", "concatenated: all sines, then all cosines, as Marian; interleaved: in turn, as the paper."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.d_model % 2:
            raise InputError(f"d_model {self.d_model} is odd, but sine and cosine are pairs: choose {self.d_model + 1}")

    def more_sizes(self) -> dict[str, float]:
        return {"qkv_bias": self.bias, "o_bias": self.bias, "n_positions": 0}

    def prediction(self, trace: Trace) -> str:
        source, target, word, p = (
            trace[path].value[0] for path in ("encoder.words", "decoder.words", "next_word", "next_prob")
        )
        return f"{' '.join(source)} → {' '.join(target)} → {word[-1]} ({p[-1]:.2f})"

    def declare(self, c: Controls) -> None:
        c.group = "Attention"
        c.switch("causal")
        declare_sight(c)
        declare_softmax(c)
        c.group = "Positions"
        c.switch("added_positions")
        c.number("position_base", self.position_base, low=1)
        declare_output(c, "layer", self.norm_eps)
        c.switch("activation", self.activation, tuple(nn.CURVES), extra=True)
        layers = range(self.n_layers)
        sides = {f"{side} {i}": f"{side}.layer_{i}" for side in ("encoder", "decoder") for i in layers}
        cross = {f"cross {i}": f"decoder.layer_{i}.cross" for i in layers}
        twice = {row: [f"{path}.residual_1", f"{path}.residual_2"] for row, path in sides.items()}
        c.parts("residuals", twice | {row: [f"{path}.residual_1"] for row, path in cross.items()})
        heads = range(self.n_heads)
        c.parts("heads", {row: [f"{path}.head_{j}" for j in heads] for row, path in (sides | cross).items()})

    def forward(self, c: Controls) -> None:
        """Words of both sentences → next-word probabilities of the translation."""
        with section("Embedding table, shared by both sides"):
            vocabulary = text("vocabulary", self.vocab_size, across=False, where="left")
            constant("id", np.arange(self.vocab_size)[:, None], ("vocabulary", ""))
            shape = self.vocab_size, self.d_model
            table = weight("W_E", *shape, axes=("vocabulary", "d_model"), where="below", role="table")
        with section("Positions, shared by both sides"):
            place = constant("position", np.arange(max(self.n_source, self.n_target))[None], where="below")
            places = nn.sinusoids(
                place, c["position_base"], self.d_model, self.position_order, c.factor("added_positions")
            )
        with scope("encoder"):
            with section("Input: the sentence"):
                x = self.embed(self.n_source, vocabulary, table, places)
            for i in range(self.n_layers):
                with scope(f"layer_{i}"):
                    x = self.encode(x, c)
            memory = x.named("out", role="memory")
        with scope("decoder"):
            with section("Input: the translation so far"):
                x = self.embed(self.n_target, vocabulary, table, places)
            with section("Mask: a word sees itself and those before it"):
                query = constant("position", np.arange(self.n_target)[None], ("", "decoder.words"), "below")
                key = constant("key_position", np.arange(self.n_target)[:, None], ("decoder.words", ""))
                mask = nn.live_mask(key, query, c)
            for i in range(self.n_layers):
                with scope(f"layer_{i}"):
                    x = self.decode(x, memory, mask, c)
        with section("Output: next-word probabilities"):
            nn.predict(x, weight, vocabulary, c, table.named("W_U", "left"), self.logits_bias)

    def embed(self, count: int, vocabulary: Tensor, table: Tensor, places: Tensor) -> Tensor:
        """W_Eᵀ·one-hot · √d + positions. [d, T]."""
        words = text("words", count, across=True, role="sentence")
        ids = lookup(words, vocabulary).named("tokens")
        known(ids, words, vocabulary).named("in_vocabulary")
        rows = constant("id", np.arange(self.vocab_size)[:, None], ("vocabulary", ""))
        shown = table.named("W_E", "left", role="table")
        one_hot = equal(rows, ids).named("one_hot")
        x = (shown.T @ one_hot).named("word_embed")
        return (x * sqrt(rows_of(x)) + places.slice_columns(0, count)).named("embed", role="embedding")

    @property
    def heads(self) -> nn.HeadSizes:
        return nn.HeadSizes(self.n_heads, self.head_dim, self.bias, self.bias)

    def encode(self, x: Tensor, c: Controls) -> Tensor:
        """One layer of the encoder: every word sees every other. [d, S] → [d, S]."""
        with section("Attention"):
            y = nn.multi_head(x, x, weight, self.heads, None, c)
            x = nn.add_back(x, y, c, "1").named("mid", role="stream")
            x = nn.layer_norm(x, weight, c, "norm_1")
        return self.feed_forward(x, c)

    def decode(self, x: Tensor, memory: Tensor, mask: Tensor, c: Controls) -> Tensor:
        """One layer of the decoder: earlier words of the translation, then the whole sentence. [d, T] → [d, T]."""
        with section("Self-attention"):
            y = nn.multi_head(x, x, weight, self.heads, mask, c)
            x = nn.add_back(x, y, c, "1").named("mid", role="stream")
            x = nn.layer_norm(x, weight, c, "norm_1")
        with scope("cross", "Cross-attention: queries from the translation, keys and values from the sentence"):
            y = nn.multi_head(x, memory, weight, self.heads, None, c)
            x = nn.add_back(x, y, c, "1").named("mid", role="stream")
            x = nn.layer_norm(x, weight, c, "norm")
        return self.feed_forward(x, c)

    def feed_forward(self, x: Tensor, c: Controls) -> Tensor:
        """norm(x + W_down·curve(W_up·x + b) + b): the end of a layer of either side. [d, T] → [d, T]."""
        with section("Feed-forward"):
            with scope("ffn", "Feed-forward network"):
                y = nn.mlp(x, weight, self.d_ff, self.activation, c, bias=True)
            x = nn.add_back(x, y, c, "2").named("added", role="stream")
            return nn.layer_norm(x, weight, c, "norm_2").named("out", role="layer")
