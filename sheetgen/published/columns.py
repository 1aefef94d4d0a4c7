"""What the table of published models says of each: sizes, which are typed, and columns, which are computed from them.

Every name that templates/published/*.toml may use is a key here.
"""

from __future__ import annotations

from dataclasses import dataclass

from sheetgen.trace.limits import Limits

COUNT, SHARE, MARK, KNOWN = "#,##0", "0.0%", '"✓";"✗";"✗"', "#,##0;;"  # formats of numbers


@dataclass(frozen=True)
class Size:
    """A size of a model. A switch needs no column where all models have it alike; another size, where all have 0."""

    doc: str
    default: float | None = None  # None: every model must say it
    switch: bool = False


SIZES = {
    "d_model": Size("Width of the residual stream: numbers per token."),
    "n_layers": Size("Number of layers."),
    "n_encoder_layers": Size("Layers of the encoder."),
    "n_decoder_layers": Size("Layers of the decoder; each attends to itself and to the encoder."),
    "n_heads": Size("Attention heads per layer, each with its own queries."),
    "n_kv_heads": Size("Key/value heads per layer; fewer than n_heads: grouped-query attention."),
    "head_dim": Size("Length of one query, key or value."),
    "q_lora_rank": Size("Length of the compressed query; 0: queries are not compressed.", 0),
    "kv_lora_rank": Size("Length of the compressed key and value, which the cache keeps."),
    "qk_nope_head_dim": Size("Part of each query and key that knows no position."),
    "qk_rope_head_dim": Size("Part of each query and key that RoPE turns; all heads share this part of the key."),
    "v_head_dim": Size("Length of one value."),
    "d_ff": Size("Hidden width of a feed-forward block, or of one expert."),
    "ffn_matrices": Size("Matrices per feed-forward block: 3 with a gate, 2 without.", 3, switch=True),
    "n_experts": Size("Routed experts per layer; 0: no mixture of experts.", 0),
    "top_k": Size("Routed experts that a token is sent to.", 0),
    "n_shared_experts": Size(
        "Feed-forward blocks that every token passes: 1 in a dense model, else the shared experts.", 1, switch=True
    ),
    "n_dense_layers": Size("Layers with one dense feed-forward block instead of experts.", 0),
    "d_ff_dense": Size("Hidden width of the feed-forward block of those layers.", 0),
    "vocab_size": Size("Words (tokens) in the vocabulary."),
    "tied": Size("1: the output head is the embedding table, counted once. 0: it is a matrix of its own.", 0, True),
    "n_positions": Size("Rows of the table of positions.", 0),
    "patch_size": Size("Pixels along each side of a patch."),
    "n_channels": Size("Numbers per pixel: 3 colours.", 3, switch=True),
    "n_patches": Size("Patches of an image; with the class token, tokens less one."),
    "n_classes": Size("Classes that the head tells apart."),
    "qkv_bias": Size("1: the projections to queries, keys and values have biases.", 0, switch=True),
    "o_bias": Size("1: the projection out of attention has biases.", 0, switch=True),
    "o_matrix": Size("1: a matrix projects the heads back to the residual stream. 0: there is none.", 1, switch=True),
    "sinks": Size("1: each head has a sink, one number in the denominator of its softmax.", 0, switch=True),
    "attention_extra": Size("Other trainable numbers per layer (gates, compression, parts of other sizes).", 0),
    "ffn_bias": Size("1: feed-forward blocks (and routers) have biases.", 0, switch=True),
    "logits_bias": Size("1: every word has a bias in the output.", 0, switch=True),
    "n_norms": Size("Norms per layer.", 2, switch=True),
    "norm_size": Size("Numbers per feature in a norm: 1 a gain (RMSNorm), 2 a gain and a bias (LayerNorm).", 1, True),
    "final_norm": Size("1: a norm before the head.", 1, switch=True),
    "head_norm": Size("1: queries and keys have a norm over head_dim, its gain shared by all heads.", 0, switch=True),
    "full_norm": Size("1: queries and keys have a norm over all heads together.", 0, switch=True),
}


@dataclass(frozen=True)
class Column:
    """A computed column: what stands above it, its sentence, its part of the table and how its numbers look."""

    head: str
    doc: str
    part: str
    number_format: str = COUNT


COLUMNS = {
    "context": Column("context", "Tokens that the model was made for.", "sizes", KNOWN),
    "attention": Column("attention", "Numbers in the matrices (and biases) of attention, all layers.", "parts"),
    "feed_forward": Column("feed-forward", "Numbers in all feed-forward blocks, experts and routers.", "parts"),
    "embedding": Column("embedding", "Numbers in the embedding table, the positions and the output head.", "parts"),
    "norms": Column("norms", "Numbers in all norms: gains and biases.", "parts"),
    "total": Column("total", "All parameters: the four parts together.", "parameters"),
    "published": Column(
        "published", "The count of the published weights; for this workbook, its red cells.", "parameters"
    ),
    "exact": Column("✓", "✓: the total is the published count, to the last digit.", "parameters", MARK),
    "trained": Column("trained", "The total without the two frozen tables of sinusoids.", "parameters"),
    "active": Column(
        "active", "Parameters that work on one token: routed experts outside the top k are left out.", "parameters"
    ),
    "active_without_embedding": Column(
        "active − input",
        "Active parameters without the input table, where a token only looks up its row; "
        "a tied table stays, it is the head.",
        "parameters",
    ),
    "kv": Column("KV / token", "Numbers kept per token: a key and a value per layer and KV head.", "KV cache"),
    "kv_bytes": Column("bytes / token", "The same in bytes.", "KV cache"),
    "kv_context": Column(
        "bytes at n",
        "Bytes of the cache for a context of n tokens, every layer keeping all of them (no window).",
        "KV cache",
    ),
    "tokens": Column("tokens", "Tokens of one image: its patches and the class token.", "parts"),
    "flops": Column(
        "FLOPs / token",
        "Floating-point operations for one token: 2 per active parameter (multiply, add), and in each layer "
        "2·n·n_heads·head_dim for its queries times n keys and as many for its weights times n values. That is the "
        "last token of a context of n, which sees all n; the average over the context is half as much attention. "
        "No window or chunk is counted; the input table is counted, as the rule of thumb 2·N does.",
        "work",
    ),
    "share_attention": Column("attention", "Part of the total that is attention.", "shares", SHARE),
    "share_feed_forward": Column("feed-forward", "Part of the total that is feed-forward.", "shares", SHARE),
    "share_embedding": Column("embedding", "Part of the total that is embedding and head.", "shares", SHARE),
    "share_norms": Column("norms", "Part of the total that is norms.", "shares", SHARE),
}
PARTS = ("attention", "feed_forward", "embedding", "norms")


@dataclass(frozen=True)
class Assumption:
    """A number that holds for the whole table: its cell is above it."""

    head: str
    doc: str
    default: float
    limits: Limits


ASSUMPTIONS = {
    "bytes_per_number": Assumption(
        "bytes per number", "In the KV cache: 2 for bfloat16, 1 for 8 bits, 0.5 for 4 bits.", 2, Limits(0, 64)
    ),
    "n": Assumption(
        "n: tokens of context",
        "For the size of the KV cache and the work of attention.",
        8192,
        Limits(1, 1e9, whole=True),
    ),
}
