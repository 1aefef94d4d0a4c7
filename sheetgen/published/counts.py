"""How many trainable numbers a model of given sizes has, what its cache keeps, and how much work a token is.

An equation is written once over numbers or columns of cells: with one model's sizes it counts that model; with tensors
n×1 it is the arithmetic of a table of n models, so its formulas, values and check come from the same line. What is
0 or 1 for all models is left out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sheetgen.trace.tensor import Tensor, apply

Number = Tensor | float  # a column of cells, or one number for all models
Sizes = Mapping[str, Number]


# --- arithmetic that leaves out what is 0 or 1 for all models ----------------------------------------------------


def shown(value: Number, name: str) -> Number:
    """In a table a column of its own, which others refer to."""
    return value.named(name) if isinstance(value, Tensor) else value


def plus(*terms: Number) -> Number:
    """The sum of the terms; plain zeros are left out."""
    total: Number = 0.0
    for term in terms:
        if isinstance(term, Tensor) or term:
            total = term if not isinstance(total, Tensor) and not total else total + term
    return total


def times(*factors: Number) -> Number:
    """The product of the factors; a plain zero makes it 0, plain ones are left out."""
    product: Number = 1.0
    for factor in factors:
        if not isinstance(factor, Tensor) and not factor:
            return 0.0
        if isinstance(factor, Tensor) or factor != 1:
            product = factor if not isinstance(product, Tensor) and product == 1 else product * factor
    return product


def minus(a: Number, b: Number) -> Number:
    """a − b; a plain zero is not taken away."""
    return a - b if isinstance(b, Tensor) or b else a


# --- equations ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What an equation says of a model: trainable numbers by part, and what follows for cache and work."""

    attention: Number
    feed_forward: Number
    embedding: Number
    norms: Number
    idle: Number = 0.0  # rest while a given token is computed: experts outside the top k
    looked_up: Number = 0.0  # the input table, unless it is the head as well
    frozen: Number = 0.0  # counted, but never trained
    kv: Number = 0.0  # numbers that the cache keeps per token
    flops: Number  # of attention, per token and per token that it sees
    tokens: Number = 0.0  # a context that the sizes fix


def decoder(s: Sizes) -> Counts:
    """Decoder with (grouped-query) attention; feed-forward blocks are dense or mixtures of experts."""
    d, layers, heads, kv_heads, h = (s[n] for n in ("d_model", "n_layers", "n_heads", "n_kv_heads", "head_dim"))
    attention = plus(
        times(1 + s["o_matrix"], d, heads, h),  # W_Q and W_O
        times(2, d, kv_heads, h),  # W_K and W_V
        times(s["qkv_bias"], heads + 2 * kv_heads, h),
        times(s["o_bias"], d),
        times(s["sinks"], heads),
        s["attention_extra"],
    )
    norms = plus(
        times(s["n_norms"], s["norm_size"], d),
        times(s["head_norm"], 2, h),
        times(s["full_norm"], heads + kv_heads, h),
    )
    ffn, idle = feed_forward(s)
    return Counts(
        attention=times(layers, attention),
        feed_forward=ffn,
        embedding=embedding(s),
        norms=plus(times(layers, norms), times(s["final_norm"], s["norm_size"], d)),
        idle=idle,
        looked_up=looked_up(s),
        kv=2 * layers * kv_heads * h,
        flops=4 * layers * heads * h,
    )


def latent(s: Sizes) -> Counts:
    """Decoder with multi-head latent attention (DeepSeek): one compressed key and value per token for all heads."""
    d, layers, heads, q_rank, rank = (s[n] for n in ("d_model", "n_layers", "n_heads", "q_lora_rank", "kv_lora_rank"))
    nope, rope, v = (s[n] for n in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
    plain = apply("equal", q_rank, 0) if isinstance(q_rank, Tensor) else float(q_rank == 0)
    attention = plus(
        times(q_rank, d),  # down to the compressed query
        times(q_rank, heads, nope + rope),  # and up to the queries of all heads,
        times(plain, d, heads, nope + rope),  # or straight to them
        times(d, rank + rope),  # the same for keys and values; RoPE's part of the key stays as it is
        times(rank, heads, nope + v),
        times(heads, v, d),  # W_O
    )
    ffn, idle = feed_forward(s)
    return Counts(
        attention=times(layers, attention),
        feed_forward=ffn,
        embedding=embedding(s),
        norms=plus(times(layers, plus(2 * d, q_rank, rank)), d),
        idle=idle,
        looked_up=looked_up(s),
        kv=layers * (rank + rope),
        flops=2 * layers * heads * (nope + rope + v),
    )


def encoder_decoder(s: Sizes) -> Counts:
    """Encoder and decoder with post-norm (Vaswani et al. 2017); one table serves both inputs and the head."""
    d, heads, h, vocabulary = s["d_model"], s["n_heads"], s["head_dim"], s["vocab_size"]
    encoders, decoders = s["n_encoder_layers"], s["n_decoder_layers"]
    attention = plus(4 * d * heads * h, times(s["qkv_bias"], 3, heads, h), times(s["o_bias"], d))
    sinusoids = times(2, s["n_positions"], d)
    return Counts(
        attention=times(encoders + 2 * decoders, attention),  # a decoder layer has two
        feed_forward=times(encoders + decoders, block(d, s["d_ff"], 2, 1)),
        embedding=plus(vocabulary * d, sinusoids, times(s["logits_bias"], vocabulary)),
        norms=times(4 * encoders + 6 * decoders, d),  # two and three norms, gain and bias
        frozen=sinusoids,
        kv=4 * decoders * heads * h,
        flops=(4 * encoders + 8 * decoders) * heads * h,
    )


def vision(s: Sizes) -> Counts:
    """Vision Transformer: patches and a class token through an encoder, classes from the class token."""
    d, layers, heads, h, classes = (s[n] for n in ("d_model", "n_layers", "n_heads", "head_dim", "n_classes"))
    tokens = shown(s["n_patches"] + 1, "tokens")
    patches = times(s["n_channels"], s["patch_size"], s["patch_size"], d)
    return Counts(
        attention=times(layers, plus(4 * d * heads * h, times(s["qkv_bias"], 3, heads, h), d, s["attention_extra"])),
        feed_forward=times(layers, block(d, s["d_ff"], 2, 1)),
        embedding=plus(patches, d, d, tokens * d, d * classes, classes),  # d, d: bias of the patches, class token
        norms=4 * layers * d + 2 * d,
        flops=4 * layers * heads * h,
        tokens=tokens,
    )


def feed_forward(s: Sizes) -> tuple[Number, Number]:
    """Numbers in all feed-forward blocks, and how many of them rest while a token is computed."""
    experts, shared = s["n_experts"], s["n_shared_experts"]
    mixtures = minus(s["n_layers"], s["n_dense_layers"])
    expert = block(s["d_model"], s["d_ff"], s["ffn_matrices"], s["ffn_bias"])
    dense = block(s["d_model"], s["d_ff_dense"], s["ffn_matrices"], s["ffn_bias"])
    router = times(experts, plus(s["d_model"], s["ffn_bias"]))
    layer = plus(router, times(plus(experts, shared), expert))
    idle = times(mixtures, minus(experts, s["top_k"]), expert)
    return plus(times(mixtures, layer), times(s["n_dense_layers"], dense)), idle


def block(d: Number, hidden: Number, matrices: Number, bias: Number) -> Number:
    """Numbers in one feed-forward block, gated (3 matrices) or not (2); every matrix but the last widens."""
    return plus(times(matrices, d, hidden), times(bias, plus(times(minus(matrices, 1), hidden), d)))


def embedding(s: Sizes) -> Number:
    """Input table, positions, and the head unless it is the input table."""
    tables = times(s["vocab_size"], s["d_model"], minus(2, s["tied"]))
    return plus(tables, times(s["n_positions"], s["d_model"]))


def looked_up(s: Sizes) -> Number:
    """The input table where it is no head: a token reads one row of it."""
    return times(s["vocab_size"], s["d_model"], minus(1, s["tied"]))


@dataclass(frozen=True)
class Equation:
    """How the models of a table are counted: from which sizes, in the order of the columns."""

    counts: Callable[[Sizes], Counts]
    sizes: tuple[str, ...]
    docs: Mapping[str, str] = field(default_factory=dict)  # where a column of COLUMNS means something else


_MIXTURE = ("n_experts", "top_k", "n_shared_experts", "n_dense_layers", "d_ff_dense")
EQUATIONS = {
    "decoder": Equation(
        decoder,
        (
            *("d_model", "n_layers", "n_heads", "n_kv_heads", "head_dim", "d_ff", "ffn_matrices"),
            *_MIXTURE,
            *("vocab_size", "tied", "n_positions", "qkv_bias", "o_bias", "o_matrix", "sinks", "attention_extra"),
            *("ffn_bias", "n_norms", "norm_size", "final_norm", "head_norm", "full_norm"),
        ),
    ),
    "mla": Equation(
        latent,
        (
            *("d_model", "n_layers", "n_heads", "q_lora_rank", "kv_lora_rank", "qk_nope_head_dim"),
            *("qk_rope_head_dim", "v_head_dim", "d_ff", *_MIXTURE, "vocab_size", "tied"),
        ),
        {
            "kv": "Numbers that the cache keeps per token: in each layer the compressed key and value, and the part "
            "of the key that RoPE turns.",
            "flops": "Floating-point operations for one token: 2 per active parameter (multiply, add), and in each "
            "layer 2·n·n_heads·(nope + rope) for its queries times n keys and 2·n·n_heads·v for its weights times n "
            "values, keys and values unpacked. That is the last token of a context of n, which sees all n; the "
            "average over the context is half as much attention. The input table is counted, as the rule of thumb "
            "2·N does.",
        },
    ),
    "transformer": Equation(
        encoder_decoder,
        (
            *("d_model", "n_encoder_layers", "n_decoder_layers", "n_heads", "head_dim", "d_ff", "vocab_size"),
            *("n_positions", "qkv_bias", "o_bias", "logits_bias"),
        ),
        {
            "n_positions": "Rows of each of the two frozen tables of sinusoids, where they are stored and counted.",
            "kv": "Numbers that the cache keeps per source and target token together: in each decoder layer a key and "
            "a value of the target token, and those of the source token for cross-attention.",
            "kv_context": "Bytes of the cache for n source and n target tokens.",
            "flops": "Floating-point operations for one source and one target token: 2 per parameter (multiply, add), "
            "and 4·n·n_heads·head_dim for each of the three attentions (encoder, decoder, across), n tokens on either "
            "side. That is the last target token, which sees all n.",
        },
    ),
    "vit": Equation(
        vision,
        (
            *("d_model", "n_layers", "n_heads", "head_dim", "d_ff", "patch_size", "n_channels"),
            *("n_patches", "n_classes", "qkv_bias", "attention_extra"),
        ),
        {
            "embedding": "Numbers in the patch projection, the class token, the positions and the head.",
            "active": "All parameters work on every image.",
            "share_embedding": "Part of the total that is patch projection, class token, positions and head.",
            "flops": "Floating-point operations per token of an image: 2 per parameter (multiply, add), and in each "
            "layer 4·tokens·n_heads·head_dim for attention among all tokens of the image.",
        },
    ),
}
