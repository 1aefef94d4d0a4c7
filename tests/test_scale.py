"""The table of published models: its counts, its formulas in every engine, and what a reader may change."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xlsxwriter
from helpers import engines, errors_in, ids, make

from sheetgen.base.errors import InputError
from sheetgen.cli import scale as terminal
from sheetgen.engines import ENGINES
from sheetgen.engines.values import Values
from sheetgen.model.choices import Style
from sheetgen.model.families import Config
from sheetgen.published.columns import COLUMNS, PARTS, SIZES
from sheetgen.published.models import TOY, Toy, all_groups, find_models, sizes_of
from sheetgen.published.table import PUBLISHED, Columns, Counted, counted, model_table
from sheetgen.sheet.formula import formulas_of
from sheetgen.sheet.names import SCALE
from sheetgen.sheet.pages.scale import scale_page
from sheetgen.sheet.workbook import Table, defined_name
from sheetgen.trace.limits import Limits, Live
from sheetgen.trace.ops import Array
from sheetgen.xlsx.read import Book, read_book

MODELS = counted(find_models())


def toy_of(group: str) -> dict[str, float]:
    """Small sizes for the group; what they leave open, the group says."""
    toy = {"d_model": 8, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "head_dim": 4, "d_ff": 10, "vocab_size": 12}
    toy |= {"n_encoder_layers": 2, "n_decoder_layers": 3, "patch_size": 2, "n_patches": 9, "n_classes": 5}
    if group in ("gpt2", "transformer"):
        toy |= {"n_positions": 6}
    if group in ("deepseek", "gpt-oss", "llama4", "mixtral"):
        toy |= {"n_experts": 3, "top_k": 1}
    if group in ("deepseek", "llama4"):
        toy |= {"n_dense_layers": 1, "d_ff_dense": 16}
    if group == "deepseek":
        toy |= {"q_lora_rank": 6, "kv_lora_rank": 4, "qk_nope_head_dim": 4, "qk_rope_head_dim": 2, "v_head_dim": 3}
    return dict(toy)


def table_of(
    groups: Sequence[str], toy: Mapping[str, float] | None = None, parameters: int = 0, source: Columns = PUBLISHED
) -> Table:
    """The sheet for some groups, with a row for one model of a workbook, if there is one."""
    return scale_page(model_table(groups, [] if toy is None else [Toy(toy, parameters)], source))


by_engines = pytest.mark.parametrize("engine", engines("formulas", "libreoffice", "ironcalc"))


def save(table: Table, path: Path, typed: Mapping[str, float | None] | None = None, style: Style = "blocks") -> Path:
    """The table as a workbook. No cached value is right. `typed`: what a reader types into the free row."""
    with xlsxwriter.Workbook(str(path), {"strings_to_formulas": False}) as book:
        sheet = book.add_worksheet(SCALE)
        for cell in table.page.cells:
            sheet.write(cell.row, cell.column, cell.value)
        for at, text in table.notes.items():
            sheet.write_comment(*at, text)
        for tensor_path, tensor in table.trace.blocks.items():
            place = table.places[tensor_path]
            book.define_name(defined_name(tensor_path), f"={place.absolute}")
            if tensor.kind != "computed":
                for row in range(place.rows):
                    value = tensor.value[row, 0]
                    if typed is not None and place.top + row == table.free and tensor.name in typed:
                        value = typed[tensor.name]
                    sheet.write(place.top + row, place.left, value)
                continue
            for f in formulas_of(tensor, place, table.places, style):
                if f.array:
                    area = f.range.top, f.range.left, f.range.bottom, f.range.right
                    sheet.write_dynamic_array_formula(*area, f.text, None, -1)
                else:
                    sheet.write_formula(f.range.top, f.range.left, f.text, None, -1)
    return path


def column(values: Values, table: Table, name: str) -> list[object]:
    """The recomputed numbers of a column."""
    return list(values.range(table.places[f"scale.{name}"])[:, 0])


class FromBook:
    """A workbook as it stands (`Columns`), as `check` reads it."""

    def __init__(self, book: Book) -> None:
        self.book = book

    def _now(self, path: str) -> Array:
        held = self.book.constants(self.book.names[defined_name(path)])
        return np.array([[0.0 if value is None else value for value in row] for row in held], dtype=float)

    def column(self, path: str, default: Array) -> Array:
        return self._now(path)

    def control(self, path: str, default: Live, limits: Limits) -> Live:
        return float(self._now(path)[0, 0])

    def weight(self, path: str, shape: tuple[int, int], around: float | None) -> Array:
        raise AssertionError(path)

    def text(self, path: str, count: int) -> list[str]:
        raise AssertionError(path)

    def numbers(self, path: str, shape: tuple[int, int]) -> Array:
        raise AssertionError(path)


# --- the published counts ----------------------------------------------------------------------------------------


def test_all_models_are_here() -> None:
    assert len(MODELS) == len({entry.model.name for entry in MODELS}) == 83
    stated = [entry.model.counts for entry in MODELS]
    # The sums of the columns, from the published counts: none of its counts was mistyped.
    sums = {"total": 3827678937048, "active": 222583464832, "active_without_embedding": 216233042816, "kv": 10641664}
    assert {name: sum(counts.get(name, 0) for counts in stated) for name in sums} == sums


@pytest.mark.parametrize("entry", MODELS, ids=lambda entry: entry.model.name)
def test_counts_are_the_published_ones(entry: Counted) -> None:
    for name, stated in entry.model.counts.items():
        assert entry.numbers[name] == stated, name
    assert entry.numbers["exact"] == 1
    parts = [entry.numbers[name] for name in PARTS]
    assert min(parts) > 0
    assert sum(parts) == entry.numbers["total"]
    assert sum(entry.numbers[f"share_{name}"] for name in PARTS) == pytest.approx(1)


@pytest.mark.slow
@by_engines
@pytest.mark.parametrize("group", all_groups())
def test_recalculated_counts_are_the_published_ones(group: str, engine: str, tmp_path: Path) -> None:
    table = table_of([group], toy_of(group))
    values = ENGINES[engine](save(table, tmp_path / "scale.xlsx"))
    models = all_groups()[group].models
    for name in ("total", "trained", "active", "active_without_embedding", "kv"):
        stated = [model.counts.get(name) for model in models]
        if any(stated):
            found = column(values, table, name)[: len(models)]
            assert [f if s else None for f, s in zip(found, stated, strict=True)] == stated
    assert set(column(values, table, "exact")[: len(models)]) == {1}
    assert not values.problems
    assert not list(errors_in(values.sheets[SCALE]))
    for path, tensor in table.trace.blocks.items():
        recomputed = values.range(table.places[path]).astype(float)
        np.testing.assert_allclose(recomputed, tensor.value, rtol=1e-12, err_msg=path)


@by_engines
def test_one_formula_per_cell_gives_the_same(engine: str, tmp_path: Path) -> None:
    table = table_of(["llama4"], toy_of("llama4"))
    values = ENGINES[engine](save(table, tmp_path / "scale.xlsx", style="cells"))
    assert column(values, table, "total") == table.trace["scale.total"].value[:, 0].tolist()
    assert column(values, table, "flops") == table.trace["scale.flops"].value[:, 0].tolist()


def test_cache_and_work_of_one_model() -> None:
    (entry,) = counted(find_models(["Llama-3 8B"]), bytes_per_number=1, n=1000)
    assert entry.numbers["kv_bytes"] == 65_536
    assert entry.numbers["kv_context"] == 65_536_000
    # 32 layers of 32 heads of 128: a query meets 1000 keys, a weight each of 1000 values; 2 for multiply and add.
    assert entry.numbers["flops"] == 2 * 8_030_261_248 + 32 * 32 * (2 * 1000 * 128 + 2 * 1000 * 128)
    assert entry.numbers["active_without_embedding"] == 8_030_261_248 - 128_256 * 4096


# --- the toy of the workbook -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "sizes"),
    [
        ("llama1", {}),
        ("llama1", {"n_layers": 1, "n_heads": 1, "d_model": 6, "d_ff": 5, "vocab_size": 17}),
        ("llama2", {"n_heads": 4, "n_kv_heads": 1, "head_dim": 6}),
        ("llama3", {}),
        ("llama3", {"n_heads": 6, "n_kv_heads": 3, "n_layers": 3, "d_model": 10}),
        ("llama4", {}),
        ("llama4", {"n_experts": 6, "top_k": 3, "n_layers": 4}),
        ("llama4", {"n_experts": 1, "n_layers": 3, "moe_every": 2, "d_ff_dense": 7}),
        ("llama4", {"n_layers": 1, "moe_every": 2}),
    ],
)
def test_toy_is_counted_as_its_red_cells(preset: str, sizes: dict[str, Any]) -> None:
    made = make(preset, tokens=ids(4), **sizes)
    table = table_of(
        ["llama4" if preset == "llama4" else "llama"],
        sizes_of(made.request.config),
        made.trace.parameters(),
    )
    assert table.free is not None
    toy = table.free - 1 - table.places["scale.total"].top
    assert table.trace["scale.total"].value[toy, 0] == made.trace.parameters()
    assert table.trace["scale.exact"].value.min() == 1
    (name,) = {cell.value for cell in table.page.cells if (cell.row, cell.column) == (table.free - 1, 0)}
    assert name == TOY


@dataclass(frozen=True, kw_only=True)
class Translator(Config):
    """A config such as a family of encoders and decoders may have."""

    d_model: int = 8
    n_layers: int = 2
    n_heads: int = 2
    d_ff: int = 16
    vocab_size: int = 12
    o_bias: bool = False
    activation: str = "relu"

    def __post_init__(self) -> None:
        """No field has limits here."""


def test_a_config_says_what_it_knows() -> None:
    """Every field that is called like a size is one; layers serve both sides, heads share the width."""
    sizes = sizes_of(Translator())
    assert sizes["n_encoder_layers"] == sizes["n_decoder_layers"] == 2
    assert (sizes["n_kv_heads"], sizes["head_dim"], sizes["o_bias"]) == (2, 4, 0)
    assert "qkv_bias" not in sizes
    toy = table_of(["transformer"], sizes).trace["scale.total"].value[-2, 0]
    attention, ffn = 4 * 8 * 8 + 3 * 8, 2 * 8 * 16 + 16 + 8  # qkv_bias as in the group
    assert toy == 12 * 8 + 2 * (attention + ffn + 4 * 8) + 2 * (2 * attention + ffn + 6 * 8)


def test_toy_with_what_no_published_llama_has() -> None:
    """A column appears as soon as the toy differs in it."""
    assert "scale.head_norm" not in table_of(["llama"], toy_of("llama")).places
    table = table_of(["llama"], toy_of("llama") | {"head_norm": 1, "attention_extra": 7})
    plain = table_of(["llama"], toy_of("llama"))
    more = table.trace["scale.total"].value - plain.trace["scale.total"].value
    assert more[:-2].max() == 0
    assert more[-2, 0] == 2 * (2 * 4 + 7)


def test_attention_alone() -> None:
    """No layers around it, no head: only W_Q, W_K and W_V."""
    bare = (
        toy_of("llama")
        | dict.fromkeys(("d_ff", "vocab_size", "o_matrix", "n_norms", "final_norm"), 0)
        | {"n_layers": 1}
    )
    table = table_of(["llama"], bare)
    assert table.trace["scale.total"].value[-2, 0] == 8 * 4 * (4 + 2 + 2)


# --- what a reader may change ------------------------------------------------------------------------------------

Row = Mapping[str, int]


def _llama(s: Row, norms: int = 2, tied: int | None = None, extra: int = 0) -> int:
    d, h, heads, kv = s["d_model"], s["head_dim"], s["n_heads"], s["n_kv_heads"]
    attention = 2 * d * heads * h + 2 * d * kv * h + extra
    tables = 2 - (s["tied"] if tied is None else tied)
    return s["vocab_size"] * d * tables + s["n_layers"] * (attention + 3 * d * s["d_ff"] + norms * d) + d


def _gpt2(s: Row) -> int:
    d, f = s["d_model"], s["d_ff"]
    width = s["n_heads"] * s["head_dim"]
    kv = s["n_kv_heads"] * s["head_dim"]
    attention = 2 * d * width + 2 * d * kv + width + 2 * kv + d
    layer = attention + 2 * d * f + f + d + 4 * d
    return s["vocab_size"] * d + s["n_positions"] * d + s["n_layers"] * layer + 2 * d


def _nemotron(s: Row) -> int:
    d, h = s["d_model"], s["head_dim"]
    attention = 2 * d * s["n_heads"] * h + 2 * d * s["n_kv_heads"] * h
    return 2 * s["vocab_size"] * d + s["n_layers"] * (attention + 2 * d * s["d_ff"] + 4 * d) + 2 * d


def _mixture(s: Row, experts: str, dense: int = 0, shared: int = 0, biased: bool = False) -> int:
    """Mixtral, Llama 4 and gpt-oss; `experts` is n_experts, or top_k for the active parameters."""
    d, f, h, heads, kv = s["d_model"], s["d_ff"], s["head_dim"], s["n_heads"], s["n_kv_heads"]
    attention = 2 * d * heads * h + 2 * d * kv * h + ((heads + 2 * kv) * h + d + heads if biased else 0)
    expert = 3 * d * f + (2 * f + d if biased else 0)
    router = s["n_experts"] * (d + biased)
    mixtures = (s["n_layers"] - dense) * (router + (s[experts] + shared) * expert)
    rest = dense * 3 * d * s.get("d_ff_dense", 0)
    return 2 * s["vocab_size"] * d + s["n_layers"] * (attention + 2 * d) + d + mixtures + rest


def _deepseek(s: Row, experts: str = "n_experts") -> int:
    d, heads, q, c = s["d_model"], s["n_heads"], s["q_lora_rank"], s["kv_lora_rank"]
    nope, rope, v = s["qk_nope_head_dim"], s["qk_rope_head_dim"], s["v_head_dim"]
    query = d * q + q + q * heads * (nope + rope) if q else d * heads * (nope + rope)
    attention = query + d * (c + rope) + c + c * heads * (nope + v) + heads * v * d
    dense = s["n_dense_layers"]
    mixture = s["n_experts"] * d + 3 * d * s["d_ff"] * (s["n_shared_experts"] + s[experts])
    layers = s["n_layers"] * (attention + 2 * d) + dense * 3 * d * s["d_ff_dense"]
    return 2 * s["vocab_size"] * d + layers + d + (s["n_layers"] - dense) * mixture


def _vit(s: Row) -> int:
    d, f, n, c = s["d_model"], s["d_ff"], s["n_patches"], s["n_classes"]
    width = s["n_heads"] * s["head_dim"]
    layer = 4 * d * width + 3 * width + d + 2 * d * f + f + d + 4 * d
    return 3 * s["patch_size"] ** 2 * d + d + d + (n + 1) * d + s["n_layers"] * layer + 2 * d + d * c + c


def _transformer(s: Row) -> int:
    d, f = s["d_model"], s["d_ff"]
    width = s["n_heads"] * s["head_dim"]
    attention = 4 * d * width + 3 * width + d
    ffn = 2 * d * f + f + d
    encoder = s["n_encoder_layers"] * (attention + ffn + 4 * d)
    decoder = s["n_decoder_layers"] * (2 * attention + ffn + 6 * d)
    return s["vocab_size"] * d + encoder + decoder + 2 * s["n_positions"] * d


def _qwen(s: Row, experts: str = "n_experts") -> int:
    d, h = s["d_model"], s["head_dim"]
    extra = s["qkv_bias"] * (s["n_heads"] + 2 * s["n_kv_heads"]) * h + s["head_norm"] * 2 * h
    routed = s["n_experts"] * d + (s[experts] + s["n_shared_experts"] - 1) * 3 * d * s["d_ff"]
    return _llama(s, extra=extra + routed)


def _gemma(s: Row) -> int:
    return _llama(s, s["n_norms"], tied=1, extra=s["head_norm"] * 2 * s["head_dim"])


def _olmo(s: Row) -> int:
    return _llama(s, tied=0, extra=(s["n_heads"] + s["n_kv_heads"]) * s["head_dim"])


# The closed formulas of the parameters, total and (for mixtures) active, written apart from those of `scale`.
CLOSED: dict[str, tuple[Callable[[Row], int], Callable[[Row], int] | None]] = {
    "deepseek": (_deepseek, lambda s: _deepseek(s, "top_k")),
    "gemma": (_gemma, None),
    "gpt-oss": (
        lambda s: _mixture(s, "n_experts", biased=True),
        lambda s: _mixture(s, "top_k", biased=True),
    ),
    "gpt2": (_gpt2, None),
    "llama": (_llama, None),
    "llama4": (
        lambda s: _mixture(s, "n_experts", s["n_dense_layers"], 1),
        lambda s: _mixture(s, "top_k", s["n_dense_layers"], 1),
    ),
    "mistral": (lambda s: _llama(s, tied=0), None),
    "mixtral": (lambda s: _mixture(s, "n_experts"), lambda s: _mixture(s, "top_k")),
    "nemotron": (_nemotron, None),
    "olmo": (_olmo, None),
    "phi": (_llama, None),
    "qwen": (_qwen, lambda s: _qwen(s, "top_k")),
    "transformer": (_transformer, None),
    "vit": (_vit, None),
}


def own_sizes(table: Table, seed: int) -> dict[str, int]:
    """Sizes that nobody published, for every column that the table has."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    names = [path.removeprefix("scale.") for path, t in table.trace.blocks.items() if t.kind == "constant"]
    flags = ("tied", "qkv_bias", "head_norm")
    return {name: draw.randint(0, 1) if name in flags else draw.randint(2, 40) for name in names if name in SIZES}


@pytest.mark.parametrize("group", all_groups())
def test_own_sizes_are_counted_as_the_equations_say(group: str, tmp_path: Path) -> None:
    table = table_of([group], toy_of(group))
    total, active = CLOSED[group]
    for seed in range(3):
        typed = own_sizes(table, seed)
        if group == "deepseek" and not seed:
            typed["q_lora_rank"] = 0
        values = ENGINES["formulas"](save(table, tmp_path / f"{seed}.xlsx", typed))
        assert column(values, table, "total")[-1] == total(typed)
        assert column(values, table, "active")[-1] == (active or total)(typed)
        shares = [column(values, table, f"share_{part}")[-1] for part in PARTS]
        assert sum(float(str(share)) for share in shares) == pytest.approx(1)
        assert set(column(values, table, "exact")[:-2]) == {1}, "typing in one row changes no other"


@by_engines
def test_an_empty_row_is_no_error(engine: str, tmp_path: Path) -> None:
    table = table_of(["llama4"], toy_of("llama4"))
    values = ENGINES[engine](save(table, tmp_path / "scale.xlsx", dict.fromkeys(SIZES)))
    assert not list(errors_in(values.sheets[SCALE]))
    assert column(values, table, "total")[-1] == 0


@by_engines
def test_a_changed_workbook_is_read_as_it_stands(engine: str, tmp_path: Path) -> None:
    table = table_of(["qwen"], toy_of("qwen"))
    table.trace["scale.d_model"].value[3, 0] = 5000  # somebody types over a published size,
    table.trace["scale.n"].value[0, 0] = 100  # and another context
    path = save(table, tmp_path / "scale.xlsx", own_sizes(table, 7))
    values = ENGINES[engine](path)
    now = table_of(["qwen"], toy_of("qwen"), source=FromBook(read_book(path)))
    assert now.trace["scale.exact"].value[3, 0] == 0
    for name, tensor in now.trace.blocks.items():
        found = values.range(table.places[name]).astype(float)
        np.testing.assert_allclose(found, tensor.value, rtol=1e-12, err_msg=name)


class WithRow:
    """A workbook into which somebody inserted a row behind the second model (`Columns`)."""

    def __init__(self, forgotten: Sequence[str] = ()) -> None:
        self.forgotten = forgotten

    def column(self, path: str, default: Array) -> Array:
        return default if path in self.forgotten else np.insert(default, 2, 3.0, axis=0)

    def control(self, path: str, default: Live, limits: Limits) -> Live:
        return default

    def weight(self, path: str, shape: tuple[int, int], around: float | None) -> Array:
        raise AssertionError(path)

    def text(self, path: str, count: int) -> list[str]:
        raise AssertionError(path)

    def numbers(self, path: str, shape: tuple[int, int]) -> Array:
        raise AssertionError(path)


def test_a_workbook_may_have_more_rows(tmp_path: Path) -> None:
    before = table_of(["llama"], toy_of("llama")).trace
    longer = table_of(["llama"], toy_of("llama"), source=WithRow())
    assert longer.trace["scale.total"].rows == before["scale.total"].rows + 1
    path = save(longer, tmp_path / "scale.xlsx")
    values = ENGINES["formulas"](path)
    now = table_of(["llama"], toy_of("llama"), source=FromBook(read_book(path))).trace
    assert column(values, longer, "total") == now["scale.total"].value[:, 0].tolist()
    assert column(values, longer, "exact") == [1, 1, 0, *[1] * 12, 0]  # of the new row and of a toy nobody counted
    with pytest.raises(InputError, match=r"scale.d_ff has 16 rows, but scale.context has 17"):
        table_of(["llama"], toy_of("llama"), source=WithRow(["scale.d_ff"]))


# --- the sheet ---------------------------------------------------------------------------------------------------


def test_columns_of_the_llamas() -> None:
    table = table_of(["llama"], toy_of("llama"))
    assert {path.removeprefix("scale."): place.a1 for path, place in table.places.items()} == {
        "context": "B8:B23",
        "d_model": "C8:C23",
        "n_layers": "D8:D23",
        "n_heads": "E8:E23",
        "n_kv_heads": "F8:F23",
        "head_dim": "G8:G23",
        "d_ff": "H8:H23",
        "vocab_size": "I8:I23",
        "tied": "J8:J23",
        "attention": "K8:K23",
        "feed_forward": "L8:L23",
        "embedding": "M8:M23",
        "norms": "N8:N23",
        "total": "O8:O23",
        "published": "P8:P22",  # the free row is nobody's
        "exact": "Q8:Q22",
        "active": "R8:R23",
        "active_without_embedding": "S8:S23",
        "bytes_per_number": "B4",
        "kv": "T8:T23",
        "kv_bytes": "U8:U23",
        "n": "B5",
        "kv_context": "V8:V23",
        "flops": "W8:W23",
        "share_attention": "X8:X23",
        "share_feed_forward": "Y8:Y23",
        "share_embedding": "Z8:Z23",
        "share_norms": "AA8:AA23",
    }


@pytest.mark.parametrize("group", all_groups())
def test_every_column_has_a_head_a_note_and_a_format(group: str) -> None:
    table = table_of([group], toy_of(group))
    cells = {(cell.row, cell.column): cell.value for cell in table.page.cells}
    assert len(cells) == len(table.page.cells), "two texts in one cell"
    filled: set[tuple[int, int]] = set()
    for path, place in table.places.items():
        assert table.formats[path]
        inside = {(place.top + row, place.left) for row in range(place.rows)}
        assert not inside & (filled | cells.keys()), f"{path} covers other cells"
        filled |= inside
        if table.trace[path].kind != "control":
            assert cells[place.top - 1, place.left]
            assert table.notes[place.top - 1, place.left].strip()
    assert len(table.page.widths) == max(place.right for place in table.places.values()) + 1


@pytest.mark.parametrize("group", all_groups())
def test_no_column_that_says_nothing(group: str) -> None:
    for path, tensor in table_of([group], toy_of(group)).trace.blocks.items():
        name = path.removeprefix("scale.")
        if name in SIZES:
            assert tensor.value.any(), path
            assert not SIZES[name].switch or np.unique(tensor.value).size > 1, path


def test_formulas_are_the_equations() -> None:
    table = table_of(["mixtral"], toy_of("mixtral"))
    notes = {path: table.notes.get((place.top - 1, place.left), "") for path, place in table.places.items()}
    assert notes["scale.feed_forward"].startswith(
        "feed_forward = n_layers·(n_experts·d_model + n_experts·3·d_model·d_ff)\n"
    )
    assert notes["scale.active"].startswith("active = total − n_layers·(n_experts − top_k)·3·d_model·d_ff\n")
    (formula,) = formulas_of(table.trace["scale.kv"], table.places["scale.kv"], table.places, "blocks")
    assert formula.text == "=2*D8:D12*F8:F12*G8:G12"


def test_groups_of_one_kind_share_a_table() -> None:
    table = table_of(["mixtral", "mistral"], toy_of("mixtral"))
    assert table.trace["scale.exact"].value[:-1].min() == 1
    assert table.trace["scale.n_shared_experts"].value[:, 0].tolist() == [0] * 3 + [1] * 4 + [0, 0]


def test_without_a_toy_the_free_row_is_the_last_model() -> None:
    table = table_of(["olmo"])
    total = table.trace["scale.total"].value
    assert total.shape == (5, 1)
    assert total[-1, 0] == total[-2, 0]
    assert table.free == table.places["scale.total"].bottom == 11


def test_what_cannot_be_a_table() -> None:
    with pytest.raises(InputError, match="'lama' is no group of published models: choose one of deepseek, gemma"):
        table_of(["lama"])
    with pytest.raises(InputError, match="llama, vit cannot share a table"):
        table_of(["llama", "vit"])
    with pytest.raises(InputError, match="this workbook has no d_model"):
        table_of(["llama"], {"n_layers": 2})


def test_counts_are_exact_in_floating_point() -> None:
    largest = max(max(entry.numbers[name] for name in COLUMNS if name in entry.numbers) for entry in MODELS)
    assert largest < 2**53


# --- the terminal ------------------------------------------------------------------------------------------------


def names_of(*wanted: str) -> list[str]:
    return [model.name for model in find_models(wanted)]


def test_models_are_found_by_a_part_of_their_name() -> None:
    assert names_of("llama 3 8b") == ["Llama-3 8B"]
    assert names_of("LLAMA-3.2") == ["Llama-3.2 1B", "Llama-3.2 3B"]
    assert names_of("transformer") == ["Transformer base (Vaswani 2017)", "Transformer big (Vaswani 2017)"]
    assert names_of("phi-4-mini", "OLMo-2 1B") == ["OLMo-2 1B", "Phi-4-mini"]
    assert names_of("nemotron") == [model.name for model in all_groups()["nemotron"].models]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lamma 3 8b", "'lamma 3 8b' is no published model: did you mean .*'Llama-3 8B'"),
        ("mixtrall", "did you mean .*'mixtral'"),
        ("zzzz", "'zzzz' is no published model: choose from deepseek, gemma, .*, or a part of a model's name"),
        ("-", "'-' is no published model"),
    ],
)
def test_an_unknown_model_names_the_nearest(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_models(["gpt2", name])


def test_the_terminal_shows_whole_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show(counted(find_models(["deepseek-v3", "vit-b/16", "llama 3 8b"])))
    head, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["DeepSeek-V3", "Llama-3", "ViT-B/16"]
    assert head.split()[:2] == ["model", "d_model"]
    assert "671,026,404,352" in lines[0]
    assert "37,552,282,624" in lines[0]
    assert "8,030,261,248" in lines[1]
    assert "86,567,656" in lines[2]
