"""Both ends of a language model: words to columns of the embedding table, columns to next-word probabilities."""

from __future__ import annotations

import numpy as np

from sheetgen.model.controls import Controls
from sheetgen.model.nn.norm import softmax
from sheetgen.trace.recorder import unrounded
from sheetgen.trace.tensor import Tensor, Weight, constant, equal, known, likeliest, lookup, max_rows


def look_up(words: Tensor, vocabulary: Tensor, w: Weight, d_model: int) -> tuple[Tensor, Tensor]:
    """One-hot columns of the words' ids [V, T], and the embedding table W_E [V, d_model] whose rows they pick."""
    ids = lookup(words, vocabulary).named("tokens")
    known(ids, words, vocabulary).named("in_vocabulary")
    index = constant("id", np.arange(vocabulary.rows)[:, None], ("vocabulary", ""))
    table = w("W_E", vocabulary.rows, d_model, axes=("vocabulary", "d_model"), role="table")
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
    logits = scores.named("logits", role="logits")
    with unrounded():
        probs = softmax(logits, "probs", c, c.made.get("output_temperature"), "probabilities")
        likeliest(probs, vocabulary).named("next_word", role="prediction")
        max_rows(probs).named("next_prob", role="confidence")
    return probs
