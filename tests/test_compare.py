"""`sheetgen compare`: both models right, and exactly the blocks told that differ, by what the file itself holds."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from helpers import by_libreoffice, cells_of, edited, make, right_in_both, sheetgen

from sheetgen.base.cells import Range, parse_range
from sheetgen.engines import ENGINES
from sheetgen.engines.values import Values
from sheetgen.model.families import FAMILIES
from sheetgen.proof.check import check_book
from sheetgen.published.models import all_groups
from sheetgen.sheet.names import CHANGES
from sheetgen.text.reasons import REASONS, reason
from sheetgen.workbooks import blame
from sheetgen.xlsx.read import Book, read_book

pytestmark = pytest.mark.xdist_group("compare")  # its workbooks are built once

PAIRS = [
    ("llama1", "llama2"),
    ("llama2", "llama3"),
    ("llama3", "llama4"),
    ("llama1", "mistral"),
    ("mistral", "mixtral"),
    ("gpt2", "llama1"),
    ("llama2 --heads 3", "llama2 --heads 4 --set gated=false"),
]
IDS = [f"{a} {b}" for a, b in PAIRS]
TEXT = "the cat sat on"


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One workbook per pair."""
    folder = tmp_path_factory.mktemp("compare")
    found = {}
    for i, (a, b) in enumerate(PAIRS):
        # One layer tells the same as two, but of Llama 4: its second layer differs from its first.
        small = "" if "llama4" in b else " --layers 1"
        result = sheetgen("compare", a + small, b + small, "--text", TEXT, "-o", folder / f"{i}.xlsx")
        assert result.code == 0, result.err
        found[IDS[i]] = folder / f"{i}.xlsx"
    return found


@pytest.fixture(scope="module")
def recomputed(books: dict[str, Path]) -> dict[str, Values]:
    return by_libreoffice(books)


@pytest.mark.slow
@pytest.mark.parametrize("pair", IDS)
def test_both_are_right_in_both_engines(pair: str, books: dict[str, Path], recomputed: dict[str, Values]) -> None:
    right = right_in_both(books[pair], recomputed.get(pair))
    assert any(group.title.startswith("What changes › Outputs") for group in right.report.groups)
    assert sum(group.tensors for group in right.report.groups) == len(right.book.names)


# --- exactly the blocks that differ ------------------------------------------------------------------------------

REFERENCE = re.compile(r"(?:('[^']+'|[A-Za-z_]\w*)!)?(\$?[A-Z]{1,3}\$?\d+(?::\$?[A-Z]{1,3}\$?\d+)?)(?![\w(])")
GIVEN = {"words", "vocabulary"}


def told(path: Path) -> list[str]:
    """The paths that the sheet lists, from the notes of its rows."""
    sheet = openpyxl.load_workbook(path)[CHANGES]
    return [line for (cell,) in sheet.iter_rows(max_col=1) if cell.comment for line in cell.comment.text.split("\n")]


def differing_in_file(book: Book) -> set[str]:
    """Blocks whose cells differ, every reference read as the block that it means."""
    sides = {}
    for key in ("a", "b"):
        own = {n.removeprefix(f"{key}__"): place for n, place in book.names.items() if n.startswith(f"{key}__")}
        sides[key] = {name: cells(book, own, name) for name in own}
    names = {*sides["a"], *sides["b"]}
    return {name for name in names if sides["a"].get(name) != sides["b"].get(name)}


def cells(book: Book, own: dict[str, Range], name: str) -> Any:
    """The shape of a block and, cell by cell, its number or its formula over names; of words the shape only."""
    place = own[name]
    if name in GIVEN:
        return place.shape
    sheet = book.sheets[place.sheet]
    found = []
    for row in range(place.top, place.bottom + 1):
        for column in range(place.left, place.right + 1):
            formula = sheet.formula_at.get((row, column))
            found.append(sheet.cells[row, column] if formula is None else "".join(spelled(formula.text, own, place)))
    return place.shape, found


def spelled(text: str, own: dict[str, Range], place: Range) -> Iterator[str]:
    at = 0
    for match in REFERENCE.finditer(text):
        yield text[at : match.start()]
        area = parse_range(match.group(0), place.sheet)
        assert area is not None
        yield from meant(area, own)
        at = match.end()
    yield text[at:]


def meant(area: Range, own: dict[str, Range]) -> Iterator[str]:
    """The blocks that a reference covers, and which of their cells."""
    for name, place in own.items():
        top, bottom = max(area.top, place.top), min(area.bottom, place.bottom)
        left, right = max(area.left, place.left), min(area.right, place.right)
        if top <= bottom and left <= right:
            # A block as a whole is named, whatever its size.
            part = Range("", top - place.top, left - place.left, bottom - place.top, right - place.left)
            yield f"<{name}{'' if part.shape == place.shape else part.a1}>"


@pytest.mark.parametrize("pair", IDS)
def test_exactly_the_blocks_that_differ_are_listed(pair: str, books: dict[str, Path]) -> None:
    listed = told(books[pair])
    assert len(listed) == len(set(listed)), "a block is listed twice"
    assert {path.replace(".", "__") for path in listed} == differing_in_file(read_book(books[pair]))


def test_equal_models_differ_in_nothing(tmp_path: Path) -> None:
    path = tmp_path / "same.xlsx"
    assert sheetgen("compare", "llama1", "llama1", "-o", path).code == 0
    assert told(path) == []
    assert not differing_in_file(read_book(path))


def test_in_another_look(books: dict[str, Path], tmp_path: Path) -> None:
    dark = tmp_path / "dark.xlsx"
    models = [f"{name} --layers 1" for name in ("llama1", "llama2")]
    assert sheetgen("compare", *models, "--text", TEXT, "--theme", "dark", "-o", dark).code == 0
    assert check_book(read_book(dark)).difference is None
    looks = [openpyxl.load_workbook(path) for path in (dark, books["llama1 llama2"])]
    assert looks[0][CHANGES]["A1"].fill != looks[1][CHANGES]["A1"].fill
    rows = [{row[0].value: row[1].value for row in book["Config"].iter_rows()} for book in looks]
    assert rows[0].pop("theme") == "dark"
    assert rows[0] == rows[1]
    refused = sheetgen("compare", *models, "--theme", "pink", "-o", tmp_path / "pink.xlsx")
    assert (refused.code, "--theme pink" in refused.err) == (2, True)


def test_causes_of_gpt2_and_llama1() -> None:
    a, b = make("gpt2"), make("llama1")
    found = {c.setting: c for c in blame.causes(a.request.config, b.request.config, a.trace, b.trace)}
    assert {"positions", "norm", "attention_bias", "gated", "activation", "tied"} <= set(found)
    norms = {row.name for row in found["norm"].rows}
    assert {"layer_*.norm_1", "final_norm", "layer_*.b_norm_1"} <= norms
    assert [row.name for row in found["tied"].rows] == ["W_U"]
    assert [row.name for row in found["activation"].rows] == ["layer_*.ffn.h"]
    assert {row.where for row in found["norm"].rows if "*" in row.name} == {"layers 0, 1"}


def test_a_part_that_one_model_lacks_is_one_row() -> None:
    a, b = make("llama3"), make("llama4")
    rows = [row for c in blame.causes(a.request.config, b.request.config, a.trace, b.trace) for row in c.rows]
    (experts,) = [row for row in rows if row.name == "layer_*.expert_*"]
    assert (experts.whole, experts.where) == (True, "layers 0, 1, experts 0–2")
    assert set(experts.paths) == {path for path in b.trace.blocks if re.match(r"layer_\d\.expert_\d\.", path)}


def test_the_other_way_round_the_same_blocks() -> None:
    a, b = make("llama4"), make("llama1")
    there = blame.causes(a.request.config, b.request.config, a.trace, b.trace)
    back = blame.causes(b.request.config, a.request.config, b.trace, a.trace)
    blocks = [{c.setting: {p for row in c.rows for p in row.paths} for c in causes} for causes in (there, back)]
    assert blocks[0] == blocks[1]


def test_places() -> None:
    assert blame.places(["layer_0.norm_1", "layer_1.norm_1", "layer_3.norm_1"]) == "layers 0, 1, 3"
    assert blame.places([f"layer_{i}.head_{j}.Q" for i in (0, 1) for j in range(3)]) == "layers 0, 1, heads 0–2"
    assert blame.places(["layer_0.head_1.Q", "layer_1.head_0.Q"]) == "layer 0, head 1; layer 1, head 0"
    assert blame.places(["probs"]) == ""


def test_every_setting_of_a_language_model_has_its_reason() -> None:
    """Grouped-query attention is told from both numbers of heads."""
    settings = {"n_heads": 4, "n_kv_heads": 4}, {"n_heads": 4, "n_kv_heads": 2}
    assert "share" in reason("n_kv_heads", *settings)
    assert "again" in reason("n_kv_heads", *reversed(settings))
    fields = {key if isinstance(key, str) else key[0] for key in REASONS}
    known = {f.name for family in FAMILIES.values() for f in dataclasses.fields(family)} | {"family"}
    assert fields <= known, "a reason for a setting that no family has"


# --- sizes, costs, outputs ---------------------------------------------------------------------------------------


def test_sizes_and_costs_are_those_of_scale(books: dict[str, Path]) -> None:
    path = books["llama2 llama3"]
    cached = openpyxl.load_workbook(path, data_only=True)
    parameters = [cell.value for cell in cells_of(cached, "changes__total")[0]]
    a, b = make("llama2", TEXT, n_layers=1), make("llama3", TEXT, n_layers=1)
    published = {model.name: model.counts["total"] for model in all_groups()["llama"].models}
    names = ["Llama-2 7B", "Llama-2 13B", "Llama-2 70B", "Llama-3 8B", "Llama-3 70B"]
    assert parameters == [a.trace.parameters(), b.trace.parameters(), *(published[name] for name in names)]
    (heads,) = [
        [cell.value for cell in cells] for cells in cached[CHANGES].iter_rows() if cells[0].value == "sizes and costs"
    ]
    assert heads[1:8] == ["llama2 --layers 1", "llama3 --layers 1", *names]
    macs, kv = (np.array([cell.value for cell in cells_of(cached, f"changes__{n}")[0]]) for n in ("macs", "kv"))
    assert kv[:2].tolist() == [2 * 2 * 4, 2 * 2 * 4]  # K and V, kv heads, head_dim, of one layer
    assert (macs > 0).all()


def test_outputs_follow_the_words(books: dict[str, Path]) -> None:
    def change(book: Any) -> None:
        cells_of(book, "a__words")[0][0].value = "mat"

    path = edited(books["gpt2 llama1"], change, "words.xlsx")
    report = check_book(read_book(path))
    assert report.difference is None
    assert all(said.startswith("mat cat sat") for said in report.predictions.values())
    book = read_book(path)
    values = ENGINES["formulas"](path, book)
    assert values.range(book.names["changes__words"])[0, 0] == "mat"
    for name in ("a_next_word", "b_next_prob"):
        shown = values.range(book.names[f"changes__{name}"])
        assert shown.T.tolist() == values.range(book.names[name.replace("_", "__", 1)]).tolist()


def test_a_sheet_that_is_gone_does_not_stop_check(books: dict[str, Path]) -> None:
    def change(book: Any) -> None:
        del book[CHANGES]

    path = edited(books["llama1 llama2"], change, "without.xlsx")
    assert check_book(read_book(path)).difference is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("llama1", "lama2"), "did you mean"),
        (("llama1 --heads x", "llama2"), "llama1 --heads x"),
        (("llama1 --nonsense 3", "llama2"), "--nonsense"),
        (("", "llama2"), "a model is missing"),
        (('llama1 --set "x', "llama2"), "quote"),
        (("vit", "llama1"), "vit reads an image but llama1 reads a sentence"),
        (("llama1", "llama2 --heads 4 --kv-heads 3"), "divisor"),
        (("llama1",), "Missing argument 'B'"),
    ],
)
def test_refused(arguments: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    result = sheetgen("compare", *arguments, "-o", tmp_path / "x.xlsx")
    assert (result.code, result.out) == (2, "")
    assert expected in result.err
    assert len(result.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
