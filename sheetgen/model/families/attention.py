"""Attention by itself, in three steps: without parameters, with queries, keys and values, and causal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sheetgen.model import nn
from sheetgen.model.config import Config, declare_sight, declare_softmax, setting
from sheetgen.model.controls import Controls
from sheetgen.trace.recorder import Trace, scope, section
from sheetgen.trace.tensor import Tensor, constant, text, weight

# Of the sheet Scale: one layer that is one head, and nothing else but the embedding table.
BARE: dict[str, float] = {
    "n_layers": 1,
    "n_heads": 1,
    "o_matrix": 0,
    "d_ff": 0,
    "n_norms": 0,
    "final_norm": 0,
    "tied": 1,
}


@dataclass(frozen=True, kw_only=True)
class Attention(Config):
    """softmax(XᵀX/√d); softmax(KᵀQ/√h) with Q, K, V = W·X; the same with the future hidden.

    Source: Vaswani et al. 2017, arXiv:1706.03762, equation 1.
    """

    family: ClassVar[str] = "attention"

    d_model: int = setting(4, "Numbers per token.")
    head_dim: int = setting(3, "Length of one query, key or value.")
    vocab_size: int = setting(6, "Words in the vocabulary.")
    n_tokens: int = setting(6, "Words in the sentence: token columns.")

    def more_sizes(self) -> dict[str, float]:
        return BARE

    def prediction(self, trace: Trace) -> str:
        words, pattern = trace["words"].value[0], trace["step_3.pattern"].value[:, -1]
        most = int(np.argmax(pattern))
        return f"the last word, {words[-1]}, looks most at {words[most]} ({pattern[most]:.2f})"

    def declare(self, c: Controls) -> None:
        c.group = "Attention"
        c.switch("causal")
        declare_sight(c)
        declare_softmax(c)

    def forward(self, c: Controls) -> None:
        """Words → three mixtures of their vectors."""
        x = embed(self.n_tokens, self.vocab_size, self.d_model)
        with section("Positions: what is hidden in step 3"):
            position = constant("position", np.arange(self.n_tokens)[None], ("", "words"), "below")
            mask = nn.live_mask(position.T.named("key_position", "left"), position, c)
        with scope("step_1", "Step 1, no parameters: tokens mix with those they resemble"):
            x_here = x.named("X")
            scores = nn.score(x_here, x_here, c)
            pattern = nn.softmax(scores, "pattern", c, role="pattern")
            (x.named("X_mixed") @ pattern).named("z", role="mixed")
        with scope("step_2", "Step 2, learned: what a token seeks (Q), shows (K), gives (V)"):
            x_here = x.named("X")
            q, k, v = nn.query_key_value(self.head_dim, x_here, weight)
            scores = nn.score(q, k, c)
            pattern = nn.softmax(scores, "pattern", c, role="pattern")
            (v.named("V_mixed") @ pattern).named("z", role="mixed")
        with scope("step_3", "Step 3, causal: the same, but no token sees a later one"):
            pattern = nn.softmax_of_seen(mask, scores.named("scores"), "pattern", c, "beside")
            (v.named("V_mixed") @ pattern).named("z", role="mixed")


def embed(n_tokens: int, vocab_size: int, d_model: int) -> Tensor:
    """The sentence as vectors, words to be chosen in the sheet. [d, T]."""
    with section("Input: words, ids, embedding"):
        sentence = text("words", n_tokens, across=True, role="sentence")
        table = text("vocabulary", vocab_size, across=False, where="left")
        one_hot, embedding = nn.look_up(sentence, table, weight, d_model)
        return (embedding.T @ one_hot).named("embed", role="embedding")
