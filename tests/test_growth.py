"""Rows and columns that somebody has inserted in a spreadsheet program: `check` follows, or names what does not fit."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xlsxwriter
from helpers import BARE, build, needs_libreoffice, sheetgen

from sheetgen.base.cells import Range, column_index, parse_range
from sheetgen.base.errors import InputError
from sheetgen.proof.check import check, check_book
from sheetgen.xlsx.read import Book, Sheet, read_book

# --- what Excel does when cells are inserted ---------------------------------------------------------------------

REFERENCE = re.compile(r"((?:\w+|'[^']+')!)?\$?([A-Z]{1,3})\$?([0-9]+)(?::\$?([A-Z]{1,3})\$?([0-9]+))?(?![\w(])")
Move = Callable[[Range], Range]


def row_inserted(sheet: str, row: int) -> Move:
    """A whole row before `row`: what is below moves down, what it goes through grows."""

    def move(area: Range) -> Range:
        if area.sheet != sheet:
            return area
        return dataclasses.replace(area, top=area.top + (area.top >= row), bottom=area.bottom + (area.bottom >= row))

    return move


def cells_inserted(through: Range, column: int) -> Move:
    """Cells before `column` in the rows of a block: what stands right of them there moves right."""

    def move(area: Range) -> Range:
        inside = area.sheet == through.sheet and through.top <= area.top and area.bottom <= through.bottom
        more = (inside and area.left >= column, inside and area.right >= column)
        return dataclasses.replace(area, left=area.left + more[0], right=area.right + more[1])

    return move


def inserted(book: Book, move: Move) -> Book:
    """The book after an insertion: cells, formulas, array ranges and names, as Excel leaves them."""

    def moved(text: str, sheet: str) -> str:
        def reference(found: re.Match[str]) -> str:
            area = parse_range(found.group(0), sheet)
            assert area is not None
            return (found.group(1) or "") + move(area).a1

        return REFERENCE.sub(reference, text)

    sheets = {}
    for name, sheet in book.sheets.items():
        cells = {move(Range(name, *at, *at)): value for at, value in sheet.cells.items()}
        made = Sheet(name, {(place.top, place.left): value for place, value in cells.items()})
        for formula in sheet.formulas:
            new = dataclasses.replace(formula, text=moved(formula.text, name), range=move(formula.range))
            made.formulas.append(new)
            for row in range(new.range.top, new.range.bottom + 1):
                made.formula_at |= {(row, column): new for column in range(new.range.left, new.range.right + 1)}
        sheets[name] = made
    return Book(book.path, sheets, {name: move(area) for name, area in book.names.items()})


def typed(book: Book, area: Range) -> Book:
    """The book with numbers in cells that were empty."""
    cells = book.sheets[area.sheet].cells
    for row, column in np.ndindex(area.shape):
        cells[area.top + row, area.left + column] = round(0.3 * row - 0.2 * column + 0.1, 1)
    return book


def row_through(book: Book, name: str, row: int) -> Book:
    """A row inserted within a block; new weights are typed into it."""
    place = book.names[name]
    book = inserted(book, row_inserted(place.sheet, place.top + row))
    grown = book.names[name]
    assert grown.rows == place.rows + 1
    held = (grown.top + row, grown.left) in book.sheets[grown.sheet].formula_at
    return book if held else typed(book, grown.part(row, slice(0, grown.columns)))


def column_through(book: Book, name: str, column: int) -> Book:
    """Cells inserted within a block of weights and the two rows above it; new weights are typed."""
    place = book.names[name]
    book = inserted(book, cells_inserted(dataclasses.replace(place, top=place.top - 2), place.left + column))
    return typed(book, book.names[name].part(slice(0, place.rows), column))


def saved(book: Book, path: Path) -> Path:
    """The book as a file."""
    with xlsxwriter.Workbook(str(path), {"strings_to_formulas": False}) as file:
        for name, sheet in book.sheets.items():
            page = file.add_worksheet(name)
            for (row, column), value in sheet.cells.items():
                page.write(row, column, value)
            for formula in sheet.formulas:
                area = formula.range
                if formula.array:
                    page.write_dynamic_array_formula(area.top, area.left, area.bottom, area.right, formula.text)
                else:
                    page.write_formula(area.top, area.left, formula.text)
        for name, area in book.names.items():
            file.define_name(name, f"={area.absolute}")
    return path


# --- the edits ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Book:
    return read_book(build(tmp_path_factory.mktemp("growth") / "llama1.xlsx", "llama1", *BARE))


def wider_values(book: Book) -> list[Book]:
    """Head 0 of layer 0 gets a longer value, step by step: through W_V, V and z; the concat; W_O."""
    steps = [row_through(book, "layer_0__head_0__W_V", 2)]
    steps.append(row_through(steps[-1], "layer_0__concat", 2))
    return [*steps, column_through(steps[-1], "layer_0__W_O", 2)]


def wider_hidden(book: Book) -> list[Book]:
    """The feed-forward block of layer 1 gets another hidden unit: through gate, up with h, and W_down."""
    steps = [row_through(book, "layer_1__ffn__W_gate", 3)]
    steps.append(row_through(steps[-1], "layer_1__ffn__W_up", 3))
    return [*steps, column_through(steps[-1], "layer_1__ffn__W_down", 3)]


def test_a_row_through_one_heads_values(llama: Book) -> None:
    *_, done = wider_values(llama)
    assert done.names["layer_0__head_0__V"].shape == (5, 6)
    assert done.names["layer_0__head_1__V"].shape == (4, 6)
    assert check_book(done).difference is None


def test_a_row_through_a_feed_forward_block(llama: Book) -> None:
    *_, done = wider_hidden(llama)
    assert done.names["layer_1__ffn__h"].shape == (9, 6)
    assert check_book(done).difference is None


@needs_libreoffice
def test_the_edited_files(llama: Book, tmp_path: Path) -> None:
    """Both edits in one file, recalculated by LibreOffice, too; and the half-done one through the command line."""
    both = wider_hidden(wider_values(llama)[-1])[-1]
    path = saved(both, tmp_path / "both.xlsx")
    assert sheetgen("check", path).code == 0
    assert check(path, "libreoffice").difference is None
    half = sheetgen("check", saved(wider_values(llama)[0], tmp_path / "half.xlsx"))
    assert half.code == 2
    assert "layer_0.W_O (8×8)" in half.err
    assert "layer_0.concat (9×6)" in half.err
    assert "insert" in half.err


@pytest.mark.parametrize(("edit", "step", "named"), [
    (wider_values, 0, ("layer_0.W_O (8×8)", "layer_0.concat (9×6)")),
    (wider_values, 1, ("layer_0.W_O (8×8)", "layer_0.concat (9×6)")),
    (wider_hidden, 0, ("layer_1.ffn.gate (9×6)", "layer_1.ffn.up (8×6)")),
    (wider_hidden, 1, ("layer_1.ffn.W_down (8×8)", "layer_1.ffn.h (9×6)")),
])  # fmt: skip
def test_a_half_done_edit_names_both_blocks(
    llama: Book, edit: Callable[[Book], list[Book]], step: int, named: tuple[str, str]
) -> None:
    with pytest.raises(InputError) as error:
        check_book(edit(llama)[step])
    assert all(name in str(error.value) for name in named), error.value


def test_a_row_through_keys_does_not_fit_the_rotation(llama: Book) -> None:
    with pytest.raises(InputError, match=r"layer_0\.head_0\.P_K .*\(4×4\).*layer_0\.head_0\.K \(5×6\)"):
        check_book(row_through(llama, "layer_0__head_0__W_K", 2))


def test_more_words_in_the_vocabulary(llama: Book) -> None:
    """A row through the table and what is right of it; another through the head: the last words are typed."""
    book = row_through(llama, "W_E", 5)
    for name, value in (("vocabulary", "zebra"), ("id", 5.0)):
        place = book.names[name]
        book.sheets["Model"].cells[place.top + 5, place.left] = value
    ids = book.names["id"]
    for row in range(ids.rows):
        book.sheets["Model"].cells[ids.top + row, ids.left] = float(row)
    with pytest.raises(InputError, match="insert or delete"):
        check_book(book)
    assert check_book(row_through(book, "W_U", 5)).difference is None


def test_a_name_of_half_the_sheet_is_no_growth(llama: Book) -> None:
    names = llama.names | {"layer_0__W_O": Range("Model", 0, 0, 900, column_index("CZ"))}
    with pytest.raises(InputError, match="build the workbook anew"):
        check_book(dataclasses.replace(llama, names=names))
