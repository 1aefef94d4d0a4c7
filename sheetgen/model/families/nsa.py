"""Native sparse attention: each query reads compressed blocks, a few chosen blocks, and a window.

This is the published form, as the layer of a decoder; `nsa_lecture` has the small form of the lecture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from sheetgen.base.errors import InputError
from sheetgen.model import nn
from sheetgen.model.config import divisors, setting
from sheetgen.model.controls import Controls
from sheetgen.model.families.feed_forward import FeedForward
from sheetgen.model.families.grouped_query import GroupedQuery
from sheetgen.model.families.stack import Context
from sheetgen.trace.recorder import running, scope, section
from sheetgen.trace.tensor import (
    Tensor,
    choose,
    constant,
    flatten,
    less,
    less_equal,
    max_rows,
    rank,
    sigmoid,
    weight,
)

FORCED = 1e9  # score of a block that is read in any case


@dataclass(frozen=True, kw_only=True)
class Blocks(Context):
    """What the blocks of tokens are: t tokens, c compressed blocks, s blocks to select from."""

    complete: Tensor  # 1 where the block (row) has ended when the query comes [c, t]
    any_complete: Tensor  # 1 where there is such a block [1, t]
    member: Tensor  # 1 where the token (row) is in the block to select from [t, s]
    shares: Tensor  # strides that a compressed block shares with one to select from [s, c]
    forced: Tensor | None  # 1 where the block is read whatever its score [s, t]
    block_rope: nn.Rope | None  # rotation by the place of a compressed block's first token


def between(first: Tensor, key: Tensor, length: int) -> Tensor:
    """1 where first ≤ key < first + length. [1, n], [t, 1] → [t, n]."""
    return less_equal(first, key) * less(key, first + float(length))


def enough_words(n_tokens: int, block: int) -> None:
    """Refuse a sentence that fills no block."""
    if n_tokens < block:
        raise InputError(
            f"the sentence has {n_tokens} words, but a block has {block}: give at least {block} words, "
            f"or --set block={n_tokens}"
        )


@dataclass(frozen=True, kw_only=True)
class SparseAttention(GroupedQuery):
    """Native sparse attention: z = g_c·compressed + g_s·selected + g_w·window, g = σ(W·x).

    Source: Yuan et al. 2025, arXiv:2502.11089, equations 5–12. Keys and values are shared by the three branches and
    the gates are one linear map, as public implementations have it (fla-org/native-sparse-attention;
    XunhaoLai/native-sparse-attention-triton, whose order of compression and RoPE is `rope_blocks` = "after").
    """

    block: int = setting(2, "Tokens in a block that is compressed to one key and one value.")
    stride: int = setting(1, "Tokens from the start of one such block to the next; less than block: they overlap.")
    select_block: int = setting(2, "Tokens in a block that is selected; a multiple of stride.")
    n_select: int = setting(2, "Blocks that a query reads in full, forced ones included; a control, live in the sheet.")
    n_initial: int = setting(0, "First blocks of the sentence that are always among them.", low=0)
    n_local: int = setting(1, "Latest blocks, the query's own included, that are always among them.", low=0)
    window: int = setting(2, "The window branch sees so many keys, the query's own included; 0: all.", low=0)
    phi: Literal["linear", "mean"] = setting("linear", "Compression of a block: a trainable matrix, or the mean.")
    phi_shared: bool = setting(False, "Keys and values are compressed by the same matrix.")
    block_positions: bool = setting(True, "Trainable numbers are added to the keys by their place in the block.")
    rope_blocks: Literal["after", "before", "none"] = setting(
        "after", "In the compressed branch: RoPE turns the compressed keys by their first place, the keys, or nothing."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("qk_dims", "value_dims", "heads_by_layer", "d_ff_by_layer"):
            if getattr(self, name):
                raise InputError(f"{name} is not for native sparse attention: all its heads and layers are alike")
        if not self.output_projection:
            raise InputError("native sparse attention has an output_projection: leave it true")
        for name in ("block", "select_block"):
            size = getattr(self, name)
            if size % self.stride:
                raise InputError(
                    f"{name} {size} is no multiple of stride {self.stride}: choose "
                    f"{size + -size % self.stride}, or a stride of {' or '.join(map(str, divisors(size)))}"
                )
        enough_words(self.n_tokens, self.block)
        if self.n_select < self.n_initial + self.n_local:
            raise InputError(
                f"n_select {self.n_select} cannot hold n_initial {self.n_initial} and n_local {self.n_local} blocks: "
                f"choose at least {self.n_initial + self.n_local}"
            )

    def uneven(self) -> int:
        flat = self.block * self.head_dim
        matrices = 0 if self.phi == "mean" else 1 if self.phi_shared else 2
        compression = matrices * self.head_dim * flat + self.block_positions * flat
        return super().uneven() + self.n_layers * (self.n_heads * 3 * self.d_model + self.n_kv_heads * compression)

    @property
    def n_blocks(self) -> int:
        """How many blocks are compressed; tokens that fill no block are left over."""
        return (self.n_tokens - self.block) // self.stride + 1

    def declare_limits(self, c: Controls) -> None:
        c.number("window", self.window, whole=True)
        c.number("n_select", self.n_select, low=1, whole=True)

    def masks(self, key: Tensor, query: Tensor, controls: Controls) -> dict[str, Tensor]:
        """One for the window branch, and one for the others, which see all that is earlier."""
        return {
            "causal": nn.live_mask(key, query, controls, local=False),
            "local": nn.live_mask(key, query, controls, "mask_window"),
        }

    def context(self, key: Tensor, query: Tensor, controls: Controls) -> Blocks:
        """The blocks: which tokens they hold, which queries may see them, how the two kinds overlap."""
        context = super().context(key, query, controls)
        position = context.position
        with section("Blocks to compress"):
            first = constant("block_first", np.arange(self.n_blocks)[None] * self.stride, where="below")
            key = position.T.named("key_of_block", "left")
            inside = between(first, key, self.block).named("in_block")
            last = (first.T + (self.block - 1.0)).named("block_last", "left")
            complete = less_equal(last, position).named("complete")
            any_complete = max_rows(complete).named("any_complete")
        with section("Blocks to select from"):
            starts = np.arange(0, self.n_tokens, self.select_block)[None]
            select_first = constant("select_first", starts, where="below")
            key = position.T.named("key_of_selected", "left")
            member = between(select_first, key, self.select_block).named("in_selected")
            shares = (member.T @ inside / float(self.stride)).named("shares")
            forced = self.forced(select_first, position)
        block_rope = None
        if self.positions == "rope" and self.rope_blocks == "after":
            with scope("rope_blocks", "RoPE tables of the compressed keys"):
                block_rope = self.rotation(first, controls, self.head_dim)
        return Blocks(
            **vars(context),
            complete=complete,
            any_complete=any_complete,
            member=member,
            shares=shares,
            forced=forced,
            block_rope=block_rope,
        )

    def forced(self, select_first: Tensor, position: Tensor) -> Tensor | None:
        """1 for the blocks that a query reads whatever their score; None when there are none. [s, t] or [s, 1]."""
        first, size = select_first.T, self.select_block
        rules = []
        if self.n_initial:
            rules.append(less(first, float(size * self.n_initial)))
        if self.n_local:
            rules.append(less_equal(first, position) * less(position, first + float(size * self.n_local)))
        if not rules:
            return None
        return (choose(rules[0], 1.0, rules[1]) if len(rules) > 1 else rules[0]).named("forced")

    def attention(self, i: int, x: Tensor, context: Context) -> Tensor:
        """All heads of layer i and their projection back; heads that share keys and values choose the same blocks."""
        assert isinstance(context, Blocks)
        x = nn.with_ones(x) if self.attention_bias != "none" else x
        norms = self.shared_norms(x, context)
        heads = []
        for g in range(self.n_kv_heads):
            heads += self.group(i, g, x, norms, context)
        return nn.project_out(heads, weight, self.d_model, self.attention_bias == "all")

    def group(
        self, i: int, g: int, x: Tensor, norms: tuple[Tensor | None, Tensor | None], context: Blocks
    ) -> list[Tensor]:
        """The heads that share keys and values g. [d, t] → [h, t] each."""
        size = self.n_heads // self.n_kv_heads
        heads = range(g * size, (g + 1) * size)
        owner, whose = (f"kv_{g}", f"heads {self.shared_by(g)}") if size > 1 else (f"head_{g}", f"head {g}")
        with scope(owner, f"Keys and values of {whose}, and their blocks compressed"):
            raw = self.project("K", g, g, x, norms[1], context)
            k, v = self.prepare(i, raw, "K", context), self.value(x, g)
            k_blocks, v_blocks = self.compress(raw, k, v, context)
        c = context.controls
        queries, patterns, compressed = dict[int, Tensor](), list[Tensor](), dict[int, Tensor]()
        for j in heads:
            with scope(f"head_{j}", f"Head {j}: query and compressed branch"):
                raw = self.project("Q", j, g, x, norms[0], context)
                queries[j] = self.prepare(i, raw, "Q", context)
                q = raw if self.rope_blocks == "none" else queries[j]
                with scope("compressed", "Compressed branch: every complete block as one key and one value"):
                    q = q.named("query")
                    scores = nn.score(q, k_blocks, c)
                    patterns.append(weigh(scores, context.complete, context.any_complete))
                    compressed[j] = (v_blocks.named("V") @ patterns[-1]).named("z_branch")
        with scope(owner, f"Selection: which blocks {whose} will read in full"):
            mask = self.select(patterns, context)
            # Where no block is forced, those that are chosen may all be later than the query.
            any_selected = max_rows(mask).named("any_selected") if context.forced is None else None

        def z(j: int) -> Tensor:
            parts = [compressed[j]]
            scores = nn.score(queries[j].named("query"), k, c)
            for name, title, seen, anything in (
                ("selected", "Selected branch: all tokens of the chosen blocks", mask, any_selected),
                ("window", "Window branch: the latest tokens", context.masks["local"], None),
            ):
                with scope(name, title):
                    if anything is None:
                        pattern = nn.softmax_of_seen(seen, scores, "pattern", c)
                    else:
                        pattern = weigh(scores, seen, anything)
                    parts.append((v.named("V") @ pattern).named("z_branch"))
            gates = sigmoid(weight("W_branch", 3, x.rows, axes=("", x.axes[0])) @ x).named("branch_gates")
            return nn.total([gates[b] * part for b, part in enumerate(parts)]).named("z_gated")

        return nn.heads(heads, z, c, "selected blocks, window, and the sum of the branches")

    def compress(self, raw: Tensor, k: Tensor, v: Tensor, context: Blocks) -> tuple[Tensor, Tensor]:
        """One key and one value for each block: φ of its tokens, one below the other. [h, t] → [h, c] each."""
        keys = flatten(k if self.rope_blocks == "before" else raw, self.block, self.stride)
        if self.block_positions:
            keys = keys + weight("block_positions", keys.rows, 1)
        keys = keys.named("K_blocks")
        phi = self.phi_of("K", keys)
        k_blocks = (phi @ keys).named("K_cmp")
        values = flatten(v, self.block, self.stride).named("V_blocks")
        phi = phi.named("phi_V", "left") if self.phi_shared or self.phi == "mean" else self.phi_of("V", values)
        v_blocks = (phi @ values).named("V_cmp")
        return nn.rotate(k_blocks, context.block_rope, "K_cmp") if context.block_rope else k_blocks, v_blocks

    def phi_of(self, name: str, blocks: Tensor) -> Tensor:
        """The matrix that makes one vector of a flattened block. [h, block · h]."""
        if self.phi == "linear":
            return weight(f"phi_{name}", self.head_dim, blocks.rows, axes=("head_dim", ""))
        running().room((self.head_dim, blocks.rows))
        mean = np.tile(np.eye(self.head_dim), self.block) / self.block
        return constant(f"phi_{name}", mean, axes=("head_dim", ""))

    def select(self, patterns: list[Tensor], context: Blocks) -> Tensor:
        """The tokens of the best blocks, scored by what the compressed branch of all heads took. c×t each → [t, t]."""
        taken = nn.total(patterns).named("taken")
        scores = (context.shares.named("shares", "left") @ taken).named("block_scores")
        if context.forced is not None:
            scores = choose(context.forced, FORCED, scores).named("with_forced", "beside")
        place = rank(scores).named("block_rank", "beside")
        chosen = less(place, context.controls["n_select"]).named("chosen_blocks", "beside")
        tokens = (context.member.named("in_selected", "left") @ chosen) * context.masks["causal"]
        return tokens.named("mask_selected")


def weigh(scores: Tensor, seen: Tensor, anything: Tensor) -> Tensor:
    """Softmax of each column over what is seen; 0 where nothing is. [k, t], [k, t], [1, t] → [k, t].

    The maximum is always taken off: without it, a column that sees nothing would be 0 / 0.
    """
    weights = nn.softmax_of_seen(seen, scores, "softmax", Controls(), "beside", anything)
    return (anything * weights).named("pattern", "beside", role="pattern")


@dataclass(frozen=True, kw_only=True)
class Nsa(SparseAttention, FeedForward):
    """A decoder of native sparse attention and dense feed-forward blocks."""

    family: ClassVar[str] = "nsa"

    n_layers: int = setting(1, "Number of layers, one below the other.")
