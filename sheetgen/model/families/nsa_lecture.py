"""Native sparse attention in the small form of the lecture: one head, three branches that are added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sheetgen.model import nn
from sheetgen.model.config import Config, declare_softmax, setting
from sheetgen.model.controls import Controls
from sheetgen.model.families.attention import BARE, embed
from sheetgen.model.families.nsa import between, enough_words, weigh
from sheetgen.trace.recorder import Trace, scope, section
from sheetgen.trace.tensor import Tensor, constant, flatten, less, less_equal, rank, weight


@dataclass(frozen=True, kw_only=True)
class NsaLecture(Config):
    """The lecture's form: blocks of queries meet blocks of keys, each flattened and compressed by one Linear.

    The published NSA (`Nsa`) compresses keys and values only, and weighs its branches by gates.
    """

    family: ClassVar[str] = "nsa_lecture"

    d_model: int = setting(4, "Numbers per token.")
    head_dim: int = setting(3, "Length of one query, key or value.")
    block: int = setting(3, "Tokens in a block; tokens that fill no block are left over.")
    window: int = setting(3, "The slide sees so many keys, the query's own included; a control, live in the sheet.")
    vocab_size: int = setting(6, "Words in the vocabulary.")
    n_tokens: int = setting(6, "Words in the sentence: token columns.")

    def __post_init__(self) -> None:
        super().__post_init__()
        enough_words(self.n_tokens, self.block)

    def more_sizes(self) -> dict[str, float]:
        return BARE | {"attention_extra": self.block * self.head_dim**2}

    def declare(self, c: Controls) -> None:
        c.group = "Attention"
        c.switch("causal")
        c.number("window", self.window, whole=True)
        declare_softmax(c)

    def prediction(self, trace: Trace) -> str:
        chosen = trace["selected.chosen_blocks"].value[:, -1]
        words, first = trace["words"].value[0], int(np.argmax(chosen)) * self.block
        return f"the last block reads block {first // self.block}: {' '.join(words[first : first + self.block])}"

    def forward(self, c: Controls) -> None:
        """Words → what compression, selection and the slide make of them."""
        count = self.n_tokens // self.block
        x = embed(self.n_tokens, self.vocab_size, self.d_model)
        with section("Positions: the slide, and which token is in which block"):
            position = constant("position", np.arange(self.n_tokens)[None], ("", "words"), "below")
            key = position.T.named("key_position", "left")
            causal = nn.live_mask(key, position, c, local=False)
            slide = nn.live_mask(key, position, c, "mask_window")
            first = constant("block_first", np.arange(count)[None] * self.block, where="below")
            key = position.T.named("key_of_block", "left")
            member = between(first, key, self.block).named("in_block")
            has_block = less(position, float(count * self.block)).named("has_block")
            earlier = less_equal(first.T.named("key_block_first", "left"), first).named("mask_blocks")
        with section("Queries, keys and values"):
            q, k, v = nn.query_key_value(self.head_dim, x, weight)
            scores = nn.score(q, k, c)
        with scope("compressed", "Compress: queries too (the published NSA compresses keys and values only)"):
            linear = weight("W_C", self.head_dim, self.block * self.head_dim, axes=("head_dim", ""), where="below")
            q_cmp, k_cmp, v_cmp = (self.compress(name, x, linear) for name, x in (("Q", q), ("K", k), ("V", v)))
            pattern = nn.attend(q_cmp, k_cmp, earlier, c)
            by_block = (v_cmp.named("V") @ pattern).named("z_blocks")
            compressed = (by_block @ member.T).named("z_branch")
        with scope("selected", "Select: the block with the largest weight"):
            chosen = less(rank(pattern).named("block_rank"), 1.0).named("chosen_blocks", "beside")
            seen = (member @ chosen @ member.T * causal).named("mask_selected")
            pattern = weigh(scores, seen, has_block)
            selected = (v.named("V") @ pattern).named("z_branch")
        with scope("window", "Slide: the latest tokens"):
            pattern = nn.softmax_of_seen(slide, scores, "pattern", c)
            latest = (v.named("V") @ pattern).named("z_branch")
        with section("Output: the three added"):
            (compressed + selected + latest).named("three", role="result")

    def compress(self, name: str, x: Tensor, linear: Tensor) -> Tensor:
        """One vector for each block: the Linear times its tokens, one below the other. [h, t] → [h, blocks]."""
        blocks = flatten(x, self.block, self.block).named(f"{name}_blocks")
        return (linear.named(f"W_C_{name}", "left") @ blocks).named(f"{name}_cmp")
