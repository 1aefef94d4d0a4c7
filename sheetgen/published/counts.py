"""The sheet `Scale`: published models in numbers, and live formulas for what follows from their sizes.

The table is a trace like the model itself: a size is a column of cells, n×1, and what follows from the sizes is
arithmetic over these columns. So formulas, values and the check come from one line each, and so does the
terminal's table. Published sizes and counts: templates/published/*.toml.

A column is left out where it would say the same in every row: the number then stands in the formulas.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import numpy as np

from sheetgen.base.cells import Range
from sheetgen.base.errors import InputError, suggest
from sheetgen.base.files import tables, templates
from sheetgen.model.families import Config
from sheetgen.model.weights import Drawn
from sheetgen.sheet.names import SCALE
from sheetgen.sheet.workbook import Cell, Page, Table
from sheetgen.text import blocks as words
from sheetgen.trace.limits import Limits
from sheetgen.trace.ops import Array
from sheetgen.trace.recorder import Source, Trace, scope
from sheetgen.trace.tensor import Tensor, apply, control, equal

SCOPE = "scale"  # d_model → scale.d_model, which the workbook calls scale__d_model
TOY, FREE = "this workbook", "your own: type its sizes"
PARTS_ROW = 5  # of the sheet: what groups of columns are; below it their heads, then the models
COUNT, SHARE, MARK, KNOWN = "#,##0", "0.0%", '"✓";"✗";"✗"', "#,##0;;"

Number = Tensor | float  # a column of cells, or one number for all models
Sizes = Mapping[str, Number]


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
class Control:
    """A number that holds for the whole table: its cell is above it."""

    head: str
    doc: str
    default: float
    limits: Limits


CONTROLS = {
    "bytes_per_number": Control(
        "bytes per number", "In the KV cache: 2 for bfloat16, 1 for 8 bits, 0.5 for 4 bits.", 2, Limits(0, 64)
    ),
    "n": Control(
        "n: tokens of context",
        "For the size of the KV cache and the work of attention.",
        8192,
        Limits(1, 1e9, whole=True),
    ),
}


# --- arithmetic that leaves out what is 0 or 1 for all models ----------------------------------------------------


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
    tokens = s["n_patches"] + 1
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


# --- published models --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Model:
    """A published model: its sizes, and the counts of its weights (columns of COLUMNS)."""

    name: str
    group: str
    equation: str
    sizes: Mapping[str, float]
    counts: Mapping[str, int]
    context: int | None  # tokens it was made for
    note: str


@dataclass(frozen=True)
class Group:
    """One file of templates/published/. `common` are the sizes of all its models, also of a toy made like them."""

    title: str
    equation: str
    common: Mapping[str, float]
    models: tuple[Model, ...]


@cache
def published() -> dict[str, Group]:
    """Every group of published models by the name of its file; raises InputError for a key that is no size."""
    return {
        name: _group(name, tomllib.loads(file.read_text(encoding="utf-8")))
        for name, file in tables(templates() / "published").items()
    }


def groups() -> list[str]:
    """The names of all groups of published models."""
    return list(published())


def _group(name: str, data: Mapping[str, Any]) -> Group:
    equation, common = data["equation"], data.get("common", {})
    models = []
    for model, row in data["models"].items():
        sizes = common | {key: value for key, value in row.items() if key in SIZES}
        counts = {key: value for key, value in row.items() if key in COLUMNS and key != "context"}
        unknown = row.keys() - sizes.keys() - counts.keys() - {"context", "note"}
        if unknown:
            raise InputError(f"published/{name}.toml: {model} has {', '.join(sorted(unknown))}, which is no size")
        models.append(Model(model, name, equation, sizes, counts, row.get("context"), row.get("note", "")))
    return Group(data["title"], equation, common, tuple(models))


def sizes_of(config: Config) -> dict[str, float]:
    """What the config of a family says of the sizes; what it leaves open, its group says (`table`).

    A field that is called like a size is that size; True is 1.
    """
    fields = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)} | config.more_sizes()
    found = {name: float(fields[name]) for name in SIZES if isinstance(fields.get(name), int | float)}
    if "n_heads" in found:
        found.setdefault("n_kv_heads", found["n_heads"])
        found.setdefault("head_dim", found["d_model"] // found["n_heads"])
    if "n_layers" in found:
        found.setdefault("n_encoder_layers", found["n_layers"])
        found.setdefault("n_decoder_layers", found["n_layers"])
        if every := fields.get("moe_every"):  # each n-th layer is a mixture of experts
            found.setdefault("n_dense_layers", found["n_layers"] - found["n_layers"] // every)
    return found


# --- the table ---------------------------------------------------------------------------------------------------


class Columns(Source, Protocol):
    """Where the table's numbers come from: templates/published/, or a workbook as it stands now."""

    def column(self, path: str, default: Array) -> Array:
        """The numbers of one column [n, 1]; a workbook may hold more rows than `default`. An empty cell is 0."""


class _Published(Drawn):
    """The numbers as published (a `Columns`)."""

    def column(self, path: str, default: Array) -> Array:
        return default


PUBLISHED = _Published(0, "zeros", {})


@dataclass(frozen=True)
class Toy:
    """A model of the workbook: its sizes (`sizes_of`), its red cells, and what its row is called."""

    sizes: Mapping[str, float]
    parameters: int = 0
    name: str = TOY


def table(
    names: Sequence[str],
    toy: Mapping[str, float] | None = None,
    parameters: int | None = None,
    source: Columns | None = None,
) -> Table:
    """The sheet for the groups `names`, with a row for the one model of the workbook: its sizes and red cells."""
    return table_of(names, [] if toy is None else [Toy(toy, parameters or 0)], source)


def table_of(names: Sequence[str], toys: Sequence[Toy], source: Columns | None = None) -> Table:
    """The sheet for the groups `names`, which share an equation, with a row for each toy and a free one.

    What a toy does not say is as in the first group. source: a workbook whose numbers count instead of the published
    ones. Raises InputError for an unknown group, groups of two kinds, or a size that a toy lacks.
    """
    chosen = [find_group(name) for name in names]
    if len({group.equation for group in chosen}) != 1:
        raise InputError(f"{', '.join(names)} cannot share a table: their models are counted differently")
    equation = EQUATIONS[chosen[0].equation]
    models = [model for group in chosen for model in group.models]
    rows = [_row(model.name, model.sizes, equation) for model in models]
    notes = {model.name: model.note for model in models}
    facts = _facts(models)
    own: Mapping[str, float] = models[-1].sizes
    for toy in toys:
        own = {**chosen[0].common, **toy.sizes}
        rows.append(_row(toy.name, own, equation))
        notes[toy.name] = "A model of this workbook. What it is compared with is the number of its red cells."
        facts["total"].append(float(toy.parameters))
        facts["context"].append(0.0)
    if len(toys) == 1:
        notes[toys[0].name] = "The model of this workbook. What it is compared with is the number of its red cells."
    rows.append(_row(FREE, own, equation))
    notes[FREE] = "Type sizes here. The row begins as a copy of the one above."
    facts["context"].append(0.0)
    trace = _trace(equation, rows, facts, source or PUBLISHED, {})
    # The heads of the columns and the names of the models stay when the sheet is scrolled.
    scale = Table(Page(SCALE, []), trace, freeze=(PARTS_ROW + 2, 1))
    _lay_out(scale, equation, [group.title for group in chosen], notes)
    return scale


def _facts(models: Sequence[Model]) -> dict[str, list[float]]:
    """The published columns that nothing is computed from."""
    return {
        "context": [float(model.context or 0) for model in models],
        "total": [float(model.counts["total"]) for model in models],
    }


def find_group(name: str) -> Group:
    """A group of published models; raises InputError when there is none of that name."""
    known = published()
    if name not in known:
        raise InputError(f"{name!r} is no group of published models: choose one of {', '.join(known)}")
    return known[name]


def _row(name: str, sizes: Mapping[str, float], equation: Equation) -> dict[str, float]:
    """All sizes that the equation needs."""
    row = {}
    for size in equation.sizes:
        value = sizes.get(size, SIZES[size].default)
        if value is None:
            raise InputError(f"{name} has no {size}: the table of published models needs it")
        row[size] = float(value)
    return row


def _trace(
    equation: Equation,
    rows: Sequence[Mapping[str, float]],
    facts: Mapping[str, Sequence[float]],
    source: Columns,
    controls: Mapping[str, float],
) -> Trace:
    """The table: its sizes as columns, then all that follows from them, in the order of computation.

    facts: published columns that nothing is computed from.
    """
    with Trace(source) as trace, scope(SCOPE, "Scale: published models"):
        for name, values in facts.items():
            if any(values) and name != "total":
                _column(name, values, source)
        # A size that the equation does not have among its own is as usual.
        sizes: dict[str, Number] = {name: size.default or 0.0 for name, size in SIZES.items()}
        for name in equation.sizes:
            values = [row[name] for row in rows]
            sizes[name] = values[0] if _needless(name, values) else _column(name, values, source)
        _same_length(trace)
        _derive(equation.counts(sizes), facts["total"], source, controls)
    return trace


def _needless(name: str, values: Sequence[float]) -> bool:
    """Whether a size needs no column: a switch that all models have alike, another size that none has."""
    return len(set(values)) == 1 and (SIZES[name].switch or values[0] == 0)


def _column(name: str, values: Sequence[float], source: Columns) -> Tensor:
    """A column of numbers that may be edited."""
    default = np.array(values, dtype=float)[:, None]
    tensor = Tensor(default, settings={"limits": Limits(0, 1e15, whole=True)}, kind="constant").named(name)
    tensor.value = source.column(str(tensor.path), default)
    return tensor


def _same_length(trace: Trace) -> None:
    first, *others = trace.blocks.values()
    for tensor in others:
        if tensor.rows != first.rows:
            raise InputError(
                f"{tensor.path} has {tensor.rows} rows, but {first.path} has {first.rows}: "
                f"the sheet {SCALE} needs whole rows"
            )


def _derive(model: Counts, totals: Sequence[float], source: Columns, controls: Mapping[str, float]) -> None:
    """The computed columns."""

    def named(value: Number, name: str) -> Tensor:
        assert isinstance(value, Tensor), f"{name} is one number for all models"
        return value.named(name)

    def control_of(name: str) -> Tensor:
        c = CONTROLS[name]
        return control(name, controls.get(name, c.default), c.limits)

    own_context = named(model.tokens, "tokens") if isinstance(model.tokens, Tensor) else None
    parts = {name: named(getattr(model, name), name) for name in PARTS}
    total = named(plus(*parts.values()), "total")
    stated = _column("published", totals, source)
    equal(apply("rows", total, start=0, stop=stated.rows), stated).named("exact")
    if isinstance(model.frozen, Tensor):
        named(total - model.frozen, "trained")
    active = named(minus(total, model.idle), "active")
    if isinstance(model.looked_up, Tensor):
        named(active - model.looked_up, "active_without_embedding")
    if own_context is not None:  # as long as the image
        context = own_context
    else:  # it grows token by token, and a cache with it
        size = named(control_of("bytes_per_number") * named(model.kv, "kv"), "kv_bytes")
        context = control_of("n")
        named(context * size, "kv_context")
    named(2 * active + model.flops * context, "flops")
    for name, part in parts.items():
        # A row without sizes has no parameters: its shares are 0 then, not an error.
        named(part / (total + equal(total, 0)), f"share_{name}")


# --- on the sheet ------------------------------------------------------------------------------------------------


def _lay_out(scale: Table, equation: Equation, titles: Sequence[str], notes: Mapping[str, str]) -> None:
    """Places for all columns, side by side from column B on, and the page around them.

    notes: the names of the models in the order of their rows, each with its note.
    """
    page, top = scale.page, PARTS_ROW + 2
    scale.free = top + len(notes) - 1
    page.row(0, f"Scale: {', '.join(titles)}", look="HEADING")
    page.row(
        1, "Sizes are cells, all else is computed from them: change one, or type sizes of your own.", look="SUBTITLE"
    )
    page.row(PARTS_ROW + 1, "model", look="TABLE_HEAD")
    for row, (name, note) in enumerate(notes.items(), start=top):
        page.row(row, name)
        scale.remark(row, 0, note)
    page.widths.append(max(map(len, notes)) + 3.0)
    part = ""
    for path, tensor in scale.trace.blocks.items():
        if tensor.kind == "control":
            row = 3 + list(CONTROLS).index(tensor.name)
            page.row(row, CONTROLS[tensor.name].head, look="KEY")
            page.cells.append(Cell(row, 2, CONTROLS[tensor.name].doc, "EQUATION"))
            scale.places[path] = Range(SCALE, row, 1, row, 1)
            scale.formats[path] = "General"
            continue
        column = len(page.widths)
        about = COLUMNS.get(tensor.name) or Column(tensor.name, SIZES[tensor.name].doc, "sizes")
        if about.part != part:
            part = about.part
            page.cells.append(Cell(PARTS_ROW, column, part, "SUBTITLE"))
        page.cells.append(Cell(PARTS_ROW + 1, column, about.head, "TABLE_HEAD"))
        doc = equation.docs.get(tensor.name, about.doc)
        if tensor.kind == "computed" and tensor.name != "exact":
            doc = f"{tensor.name} = {words.equation(tensor).replace(' ⊙ ', '·')}\n{doc}"
        scale.remark(PARTS_ROW + 1, column, doc)
        scale.places[path] = Range(SCALE, top, column, top + tensor.rows - 1, column)
        scale.formats[path] = about.number_format
        largest = len(f"{tensor.value.max():,.0f}")
        page.widths.append(max(len(about.head), largest) + 3.0)


# --- in the terminal ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """A published model as the terminal shows it: its sizes and computed numbers by column (without `scale.`)."""

    model: Model
    numbers: Mapping[str, float]


def select(names: Iterable[str] = (), bytes_per_number: float = 2, n: float = 8192) -> list[Entry]:
    """The published models whose names contain one of `names` (or whose group is called so); all when there is none.

    Signs and case do not matter: "llama 3 8b" finds Llama-3 8B. Raises InputError for a name that nothing contains.
    """
    models = [model for group in published().values() for model in group.models]
    wanted: dict[str, Model] = {}
    for name in names:
        found = [m for m in models if _plain(name) in _plain(m.name) or name.casefold() == m.group]
        if not found or not _plain(name):
            raise InputError(f"{name!r} is no published model: {_close(name, models)}")
        wanted |= {model.name: model for model in found}
    chosen = [model for model in models if not wanted or model.name in wanted]
    numbers = {}
    controls = {"bytes_per_number": bytes_per_number, "n": n}
    for kind, equation in EQUATIONS.items():
        kin = [model for model in chosen if model.equation == kind]
        if kin:
            rows = [_row(model.name, model.sizes, equation) for model in kin]
            trace = _trace(equation, rows, _facts(kin), PUBLISHED, controls)
            computed = {t.name: t.value[:, 0] for t in trace.blocks.values() if t.kind == "computed"}
            for i, model in enumerate(kin):
                numbers[model.name] = rows[i] | {name: float(values[i]) for name, values in computed.items()}
    return [Entry(model, numbers[model.name]) for model in chosen]


# What the terminal shows; the sheet has more.
SHOWN = (
    *("d_model", "n_layers", "n_heads", "n_kv_heads", "total", "active", "active_without_embedding"),
    *("kv", "kv_bytes", "kv_context", "flops", *(f"share_{part}" for part in PARTS)),
)


def show(entries: Sequence[Entry]) -> None:
    """Print the table, a line for each model, however wide it is."""
    from rich.console import Console  # here, since who builds a workbook prints no table
    from rich.table import Table as TerminalTable

    table = TerminalTable(box=None, padding=(0, 2, 0, 0))
    table.add_column("model", no_wrap=True)
    shown = [name for name in SHOWN if any(name in entry.numbers for entry in entries)]
    for name in shown:
        head = COLUMNS[name].head if name in COLUMNS else name
        table.add_column(f"% {head}" if name.startswith("share_") else head, justify="right", no_wrap=True)
    for entry in entries:
        table.add_row(entry.model.name, *(_text(name, entry.numbers.get(name)) for name in shown))
    Console(highlight=False, width=WIDE).print(table)


WIDE = 1000  # a table that is wider than the terminal is wrapped by the terminal, not cut


def _text(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{100 * value:.1f}" if name.startswith("share_") else f"{value:,.0f}"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9.]", "", name.casefold())


def _close(name: str, models: Sequence[Model]) -> str:
    known = [*(model.name for model in models), *(model.group for model in models)]
    otherwise = f"choose from {', '.join(groups())}, or a part of a model's name"
    return suggest(name, known, otherwise, most=3, likeness=0.5, plain=_plain)
