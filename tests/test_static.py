"""Formulas compared without calculation: what programs rewrite is no difference, what a person changes is one."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import BARE, build, cells_of, edited, make, needs_libreoffice, sheetgen
from openpyxl.worksheet.formula import ArrayFormula

from sheetgen.base.cells import Range
from sheetgen.engines.libreoffice import recalculated_copy
from sheetgen.model import presets
from sheetgen.proof.check import check, check_book
from sheetgen.proof.notation import Notation
from sheetgen.proof.report import STATIC
from sheetgen.xlsx.read import Book, Formula, Sheet, read_book, tokens

HERE = Range("Model", 0, 0, 0, 0)
BOOK = Book(
    Path("book.xlsx"),
    {name: Sheet(name) for name in ("Model", "Other one")},
    {"layer_0__Q": Range("Model", 1, 1, 2, 3)},
)


def same(found: str, expected: str, array: bool = False) -> bool:
    return Notation(BOOK).same(Formula(found, HERE, array), expected, HERE, array)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("=MMULT( B2:D3 ,A1 ) / SQRT(2)", "=MMULT(B2:D3,A1)/SQRT(2)"),
        ("=MMULT($B$2:D$3,A1)", "=MMULT(B2:D3,A1)"),
        ("=MMULT(Model!B2:D3,A1)", "=MMULT(B2:D3,A1)"),
        ("=mmult('MODEL'!b2:d3,a1)", "=MMULT(B2:D3,A1)"),
        ("=MMULT(D3:B2,A1)", "=MMULT(B2:D3,A1)"),
        ("=SUM(Layer_0__q)", "=SUM(B2:D3)"),
        ("=SUM('Other one'!A1)", "=SUM('other one'!$A$1)"),
        ("=IF(A1=1,B2,-1000000000)", "=IF(A1=1,B2,-1E+9)"),
        ("=A1+0.00001", "=A1+1E-05"),
        ("=A1*1303.79729380881", "=A1*1303.7972938088065"),
        ("=_xlfn.NORM.S.DIST(A1,TRUE)", "=NORM.S.DIST(A1,TRUE)"),
        ("=_xlfn._xlws.SORT(A1)", "=SORT(A1)"),
        ("=IF(A1,true(),FALSE())", "=IF(A1,TRUE,FALSE)"),
    ],
)
def test_spelling_is_no_difference(found: str, expected: str) -> None:
    assert same(found, expected)
    assert same(expected, found)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("=MMULT(B2:D4,A1)", "=MMULT(B2:D3,A1)"),
        ("=MMULT(A1,B2:D3)", "=MMULT(B2:D3,A1)"),
        ("='Other one'!A1", "=A1"),
        ("=Gone!A1", "=A1"),
        ("=LOG(A1)", "=LN(A1)"),
        ("=A1-B1", "=A1+B1"),
        ("=A1<B1", "=A1<=B1"),
        ("=-A1", "=A1"),
        ("=A1+0.1001", "=A1+0.1"),
        ('="A"', '="a"'),
        ("=(A1+B1)*C1", "=A1+B1*C1"),
        ("=SUM(A1:B2 B1:C2)", "=SUM(A1:B2,B1:C2)"),
        ("=SUM(A1:B2 B1:C2)", "=SUM(A1:B2)"),
        ("=#REF!", "=A1"),
        ("=A1#", "=A1"),
        ("=unknown", "=A1"),
        ("=@A1", "=A1"),
        ("=ROUND(A1,9)", "=A1"),
        ("=A1,", "=A1"),
    ],
)
def test_what_computes_something_else_differs(found: str, expected: str) -> None:
    assert not same(found, expected)
    assert not same(expected, found)


def test_an_array_of_one_cell_computes_what_a_plain_formula_does_but_not_the_other_way_round() -> None:
    plain, array = Formula("=SUM(A1:A3)", HERE, False), Formula("=SUM(A1:A3)", HERE, True)
    notation = Notation(BOOK)
    assert notation.same(array, plain.text, HERE, array=False)
    assert not notation.same(plain, plain.text, HERE, array=True)
    assert not notation.same(array, plain.text, Range("Model", 0, 0, 1, 0), array=True)
    assert not notation.same(None, plain.text, HERE, array=False)


def test_a_formula_that_repeats_a_cell() -> None:
    notation, area = Notation(BOOK), Range("Model", 5, 0, 5, 2)
    cell = area.part(0, 1)
    assert notation.source(Formula("='Other one'!$C$2:E2", area, True), cell) == Range("Other one", 1, 3, 1, 3)
    assert notation.source(Formula("=C2:D2", area, True), cell) is None
    assert notation.source(Formula("=2*C2:E2", area, True), cell) is None


def test_what_is_no_formula_has_no_tokens() -> None:
    assert tokens("=A1#") is None
    assert tokens("=1") == [("number", "1")]


@pytest.mark.parametrize("preset", presets.all_presets())
def test_names_differ_whatever_their_case(preset: str) -> None:
    """Excel and LibreOffice take two names that differ only in case for one."""
    names = Counter(path.casefold() for path in make(preset).trace.blocks)
    assert not [name for name, count in names.items() if count > 1]


# --- whole workbooks ---------------------------------------------------------------------------------------------

SMALL = ("--layers", 1, "--heads", 1)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("static") / "llama4.xlsx", "llama4", *SMALL, "--experts", 2, "--top-k", 1)


def set_formula(name: str, change: Callable[[str], str], column: int = 0) -> Callable[[Any], None]:
    def edit(book: Any) -> None:
        cell = cells_of(book, name)[0][column]
        if isinstance(cell.value, ArrayFormula):
            cell.value = ArrayFormula(cell.value.ref, change(cell.value.text))
        else:
            cell.value = change(cell.value)

    return edit


def test_as_built(built: Path) -> None:
    result = sheetgen("check", "--static", built)
    assert (result.code, result.err) == (0, "")
    assert "tensors have the formulas of the model" in result.out
    assert "formulas compared, not calculated" in result.out.replace("\n", "")


@pytest.mark.parametrize("preset", ["nsa-lecture", "vit", "transformer", "attention", "qwen3"])
@pytest.mark.parametrize("style", ["blocks", "cells"])
def test_other_families_as_built(preset: str, style: str, tmp_path: Path) -> None:
    path = build(tmp_path / "book.xlsx", preset, *BARE, "--formulas", style)
    assert check(path, STATIC).differences == []


def test_saved_by_openpyxl(built: Path) -> None:
    assert check(edited(built, lambda _: None), STATIC).differences == []


@needs_libreoffice
@pytest.mark.parametrize(("preset", "style"), [("llama4", "cells"), ("qwen3", "blocks")])
def test_saved_by_libreoffice(preset: str, style: str, tmp_path: Path) -> None:
    path = build(tmp_path / "book.xlsx", preset, *SMALL, "--formulas", style)
    copy = tmp_path / "copy.xlsx"
    recalculated_copy(path, copy)
    assert check(copy, STATIC).differences == []
    text = {formula.text for sheet in read_book(path).sheets.values() for formula in sheet.formulas}
    assert text != {formula.text for sheet in read_book(copy).sheets.values() for formula in sheet.formulas}


def test_a_formula_that_gives_the_same_today_is_named(built: Path) -> None:
    """Rounded far behind the point, where this sentence has no digits."""
    path = edited(built, set_formula("layer_0__head_0__z", lambda text: f"=ROUND({text[1:]},12)"))
    assert check(path).differences == []
    result = sheetgen("check", "--static", path)
    assert result.code == 1
    assert "layer_0.head_0.z has another formula than the model" in result.out
    assert "ROUND(MMULT(" in result.out


def test_names_along_a_block_are_compared(built: Path) -> None:
    book = read_book(built)
    sheet = book.sheets["Model"]
    top = book.names["layer_0__norm_1"].top - 1
    (label,) = [formula for formula in sheet.formulas if formula.range.top == top]
    sheet.formulas.remove(label)
    other = Formula("=" + Range("Model", 0, 0, 0, label.range.columns - 1).a1, label.range, True)
    sheet.formula_at |= {cell: other for cell, formula in sheet.formula_at.items() if formula is label}
    assert [d.path for d in check_book(book, STATIC).differences] == ["layer_0.norm_1"]


def test_constants_are_compared(built: Path) -> None:
    def swap(book: Any) -> None:
        rows = cells_of(book, "rope__P")
        for one, other in zip(rows[0], rows[1], strict=True):
            one.value, other.value = other.value, one.value

    (difference,) = check(edited(built, swap), STATIC).differences
    assert difference.path == "rope.P"
    assert difference.reason == "holds other numbers than the model has"
    assert difference.formula_expected == "none: these are constants"


def test_a_red_cell_may_hold_a_formula(built: Path) -> None:
    def change(book: Any) -> None:
        cells_of(book, "W_E")[0][0].value = "=1/3"

    assert check(edited(built, change), STATIC).differences == []


def test_all_that_differ_are_told(built: Path) -> None:
    def change(book: Any) -> None:
        set_formula("layer_0__norm_1_rms", lambda text: text.replace("SQRT", "LN"), 2)(book)
        set_formula("logits", lambda text: text + "+0")(book)
        cells_of(book, "final_norm_rms")[0][1].value = 1

    path = edited(built, change)
    found = check(path, STATIC).differences
    assert [(d.path, len(d.cells)) for d in found] == [
        ("layer_0.norm_1_rms", 1),
        ("final_norm_rms", 1),
        ("logits", 72),
    ]
    assert found[1].reason == "holds a number where a formula belongs"
    assert found[1].found == 1
    assert "2 more have other formulas" in sheetgen("check", "--static", path).out


def test_a_row_of_ones_that_is_called_from_elsewhere(tmp_path: Path) -> None:
    """One reference must cover a block and its row of ones: other ones of the same numbers do not do."""
    book = read_book(build(tmp_path / "book.xlsx", "gpt2", "--layers", 2))
    moved = dataclasses.replace(book, names=book.names | {"layer_0__norm_1_ones": book.names["layer_1__norm_1_ones"]})
    difference = check_book(moved, STATIC).difference
    assert difference is not None
    assert "do not stand under each other" in difference.reason
    assert check_book(moved).difference is None  # but the numbers are the same
