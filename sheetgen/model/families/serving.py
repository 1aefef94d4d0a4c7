"""Attention while a model is used: how far a window reaches, what a cache keeps, how prompts share a run.

Each is one head and nothing else, beside the attention over the whole sentence that it must equal. Facts: Jiang et al.
2023, arXiv:2310.06825, sections 2 and 3; mistralai/mistral-inference, cache.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sheetgen.base.errors import InputError
from sheetgen.model import nn
from sheetgen.model.config import Config, setting
from sheetgen.model.controls import Controls
from sheetgen.model.families.attention import BARE, embed
from sheetgen.trace.recorder import Trace, scope, section
from sheetgen.trace.roles import Role
from sheetgen.trace.tensor import (
    Tensor,
    constant,
    equal,
    floor,
    join,
    known,
    less,
    less_equal,
    lookup,
    sum_rows,
    text,
    weight,
)

EMPTY = -1.0  # owner of a slot that nobody has written to


@dataclass(frozen=True, kw_only=True)
class Head(Config):
    """One head over a short sentence: embedding, positions, queries, keys and values."""

    d_model: int = setting(4, "Numbers per token.")
    head_dim: int = setting(2, "Length of one query, key or value.")
    vocab_size: int = setting(6, "Words in the vocabulary.")
    n_tokens: int = setting(6, "Words in the sentence: token columns.")

    def declare(self, c: Controls) -> None:
        """No switches: what is shown is how the same numbers come about in another order."""

    def more_sizes(self) -> dict[str, float]:
        return BARE

    def prediction(self, trace: Trace) -> str:
        worst = float(np.abs(trace["difference"].value).max())
        return f"at most {worst:.0e} from attention over the whole sentence"

    def begin(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Positions [1, T]; queries, keys and values [h, T]."""
        x = embed(self.n_tokens, self.vocab_size, self.d_model)
        with section("Queries, keys and values"):
            position = constant("position", np.arange(self.n_tokens)[None], ("", "words"), "below")
            q, k, v = nn.query_key_value(self.head_dim, x, weight)
        return position, q, k, v

    def at_once(self, position: Tensor, q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
        """Attention over the whole sentence, with the window: what the rest must equal. [h, T]."""
        with scope("whole", "For comparison: the whole sentence at once"):
            key = position.T.named("key_position", "left")
            mask = sees(key, position, window).named("mask")
            pattern = nn.attend(q, k, mask, Controls())
            return (v.named("V") @ pattern).named("z", role="mixed")


def sees(key: Tensor, query: Tensor, window: int) -> Tensor:
    """1 for the last `window` keys up to the query's own. [S, 1], [1, T] → [S, T]."""
    return less_equal(key, query) * less(query, key + float(window))


def piece(x: Tensor, start: int, stop: int, name: str, role: Role | None = None) -> Tensor:
    """Some columns as a block of their own; its columns are counted, since they are no longer those of the words."""
    return x.slice_columns(start, stop).named(name, axes=(x.axes[0], ""), role=role)


def compare(made: Sequence[Tensor], whole: Tensor) -> None:
    """The pieces side by side, and how far they are from attention over the whole sentence."""
    with section("Together: the same as the whole sentence at once"):
        (join(made).named("z", axes=whole.axes, role="mixed") - whole).named("difference")


@dataclass(frozen=True, kw_only=True)
class RollingBuffer(Head):
    """Token by token with a cache of `window` slots: token t is written to slot t mod window, over the oldest."""

    family: ClassVar[str] = "rolling_buffer"

    window: int = setting(3, "Slots of the cache: so many keys a query sees, its own included.")

    def forward(self, controls: Controls) -> None:
        """Words → the head's output, one token after the other."""
        position, q, k, v = self.begin()
        whole = self.at_once(position, q, k, v, self.window)
        with section("The cache before the first token: empty"):
            slot = constant("slot", np.arange(self.window)[None], where="below")
            owner = constant("owner", np.full((1, self.window), EMPTY), where="below")
            keys = constant("K_cache", np.zeros((self.head_dim, self.window)), ("head_dim", ""), "below")
            values = constant("V_cache", np.zeros((self.head_dim, self.window)), ("head_dim", ""), "below")
        made = []
        for t in range(self.n_tokens):
            with scope(f"token_{t}", f"Token {t}: written to slot {t % self.window}, then attention over the slots"):
                now = piece(position, t, t + 1, "now")
                here = equal(slot, now - float(self.window) * floor(now / float(self.window))).named("here")
                owner = (owner + here * (now - owner)).named("owner")
                filled = less_equal(0.0, owner.T).named("filled", "left")
                keys = (keys + here * (piece(k, t, t + 1, "k") - keys)).named("K_cache")
                values = (values + here * (piece(v, t, t + 1, "v") - values)).named("V_cache")
                scores = nn.score(piece(q, t, t + 1, "q"), keys, Controls())
                pattern = nn.softmax_of_seen(filled, scores, "pattern", Controls(), "beside")
                made.append((values.named("V_mixed", "left") @ pattern).named("z", role="mixed"))
        compare(made, whole)


@dataclass(frozen=True, kw_only=True)
class ChunkedPrefill(Head):
    """A prompt in chunks: the queries of a chunk see the keys in the cache and those of the chunk itself."""

    family: ClassVar[str] = "chunked_prefill"

    window: int = setting(3, "Sliding window: a query sees so many keys, its own included; so many stay in the cache.")
    chunk: int = setting(2, "Tokens per chunk.")

    def forward(self, controls: Controls) -> None:
        """Words → the head's output, one chunk after the other."""
        position, q, k, v = self.begin()
        whole = self.at_once(position, q, k, v, self.window)
        made = []
        for i, start in enumerate(range(0, self.n_tokens, self.chunk)):
            stop = min(start + self.chunk, self.n_tokens)
            first = max(0, start - self.window)  # the oldest token that the cache still has
            with scope(f"chunk_{i}", f"Chunk {i}: tokens {start} to {stop - 1}, keys from {first} on"):
                query = piece(position, start, stop, "query_position")
                key = piece(position, first, stop, "seen_position").T.named("key_position", "left")
                mask = sees(key, query, self.window).named("mask")
                q_here, k_here = piece(q, start, stop, "Q"), piece(k, first, stop, "K", "cache")
                pattern = nn.attend(q_here, k_here, mask, Controls())
                made.append((piece(v, first, stop, "V", "cache") @ pattern).named("z", role="mixed"))
        compare(made, whole)


@dataclass(frozen=True, kw_only=True)
class PackedPrompts(Head):
    """Several prompts in one run, one behind the other: the mask is block-diagonal, so that none sees another."""

    family: ClassVar[str] = "packed_prompts"

    lengths: str = setting("3,2,1", "Words of each prompt, in the order of the sentence; together all its words.")

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = [part.strip() for part in self.lengths.split(",")]
        if not all(part.isdecimal() and int(part) for part in sizes) or sum(map(int, sizes)) != self.n_tokens:
            raise InputError(
                f"lengths {self.lengths!r} must be whole numbers that add up to the {self.n_tokens} words: "
                f"such as {self.n_tokens - 1},1"
            )

    @property
    def prompts(self) -> list[int]:
        """How many words each prompt has."""
        return [int(part) for part in self.lengths.split(",")]

    def prediction(self, trace: Trace) -> str:
        weights, without = int(trace["mask_packed"].value.sum()), int(np.tri(self.n_tokens).sum())
        return f"{len(self.prompts)} prompts in one run, {weights} weights instead of {without}"

    def forward(self, controls: Controls) -> None:
        """Words of all prompts → the head's output for all of them at once."""
        position, q, k, v = self.begin()
        with section("Which prompt each word belongs to"):
            number = np.repeat(np.arange(len(self.prompts)), self.prompts)[None]
            prompt = constant("prompt", number, ("", "words"), "below")
            starts = np.cumsum([0, *self.prompts])[number[0]][None]
            first = constant("prompt_first", starts, ("", "words"), "below")
            (position - first).named("place_in_prompt")
        with section("Mask: earlier words of the same prompt"):
            key = position.T.named("key_position", "left")
            same = equal(prompt.T.named("key_prompt", "left"), prompt).named("same_prompt")
            mask = (less_equal(key, position) * same).named("mask_packed")
            sum_rows(mask).named("seen")
        with section("Attention: all prompts at once"):
            pattern = nn.attend(q, k, mask, Controls())
            (v.named("V_mixed") @ pattern).named("z", role="mixed")


@dataclass(frozen=True, kw_only=True)
class ReceptiveField(Config):
    """How far a sliding window reaches through several layers: n·(W − 1) + 1 tokens after n of them."""

    family: ClassVar[str] = "receptive_field"

    n_layers: int = setting(3, "Number of layers.")
    window: int = setting(2, "Sliding window: a query sees so many keys, its own included; a control.")
    vocab_size: int = setting(6, "Words in the vocabulary.")
    n_tokens: int = setting(6, "Words in the sentence: token columns.")

    def declare(self, c: Controls) -> None:
        c.number("window", self.window, low=1, whole=True)

    def more_sizes(self) -> dict[str, float]:
        return BARE | {"n_layers": self.n_layers, "d_model": 0, "head_dim": 0}  # nothing is trained

    def prediction(self, trace: Trace) -> str:
        seen = int(trace[f"layer_{self.n_layers - 1}.seen"].value[0, -1])
        return f"after {self.n_layers} layers the last word has heard of {seen} words"

    def forward(self, c: Controls) -> None:
        """Words → which word hears of which, layer by layer."""
        with section("Input: words"):
            words = text("words", self.n_tokens, across=True, role="sentence")
            vocabulary = text("vocabulary", self.vocab_size, across=False)
            ids = lookup(words, vocabulary).named("tokens")
            known(ids, words, vocabulary).named("in_vocabulary")
        with section("Window: what one layer sees"):
            position = constant("position", np.arange(self.n_tokens)[None], ("", "words"), "below")
            key = position.T.named("key_position", "left")
            mask = (less_equal(key, position) * less(position, key + c["window"])).named("mask")
        reach = mask
        for i in range(self.n_layers):
            with scope(f"layer_{i}", f"After layer {i}: what has come through"):
                if i == 0:
                    reach = mask.named("reach")
                else:
                    below, here = reach.named("reach_below", "left"), mask.named("mask")
                    reach = less(0.0, below @ here).named("reach")
                sum_rows(reach).named("seen")
