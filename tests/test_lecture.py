"""docs/lecture.md: every row of its table is carried out, checked, and gives what it promises."""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from helpers import sheetgen

from sheetgen.proof.check import Standing, check_book, standing
from sheetgen.trace.limits import Live
from sheetgen.xlsx.read import Book, read_book

pytestmark = pytest.mark.xdist_group("lecture")  # the workbook of a command is built once

PAGE = Path(__file__).parents[1] / "docs" / "lecture.md"
CELLS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.read_text().splitlines() if line[:1] == "|"]
ROWS = [row for row in CELLS if row[0].isdigit()]
TOLD = {"mark_changes"}  # cells that change what is shown, not what is computed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lecture")


@cache
def made(command: str, folder: Path) -> Book:
    """The workbook of a command, checked."""
    path = folder / f"{re.sub(r'[^a-z0-9]+', '-', command)}.xlsx"
    built = sheetgen(*command.split(), "-o", path)
    assert built.code == 0, built.err
    checked = sheetgen("check", path)
    assert checked.code == 0, checked.out + checked.err
    return read_book(path)


@cache
def as_built(command: str, folder: Path) -> Standing:
    return standing(made(command, folder))[""]


def changed(book: Book, name: str, value: Live) -> Book:
    """The book with the first cell of a block changed."""
    place = book.names[name.replace(".", "__")]
    sheet = book.sheets[place.sheet]
    cells = sheet.cells | {(place.top, place.left): value}
    return dataclasses.replace(book, sheets=book.sheets | {sheet.name: dataclasses.replace(sheet, cells=cells)})


def test_the_whole_lecture_is_there() -> None:
    assert {int(row[0]) for row in ROWS} == set(range(1, 41))


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_a_row_of_the_lecture(row: list[str], folder: Path) -> None:
    _, _, command, cell, then = row
    command = command.strip("`")
    book = made(command, folder)
    if cell:
        name, value = re.fullmatch(r"`(\S+)` = (\S+)", cell).groups()  # type: ignore[union-attr]
        book = changed(book, name, value if value.isalpha() else float(value))
        report = check_book(book)
        assert report.difference is None, report.difference
        before, after = as_built(command, folder), standing(book)[""]
        output = "probs" if "probs" in after.values else "logits"
        moved = float(np.abs(after.values[output].astype(float) - before.values[output].astype(float)).max())
        assert (moved == 0) if name in TOLD else (moved > 1e-6)
    assert then
    for promise in then.split(", "):
        if promise.startswith("sheet "):
            assert promise.removeprefix("sheet ") in book.sheets
        elif promise.startswith("no "):
            assert promise.removeprefix("no ").strip("`").replace(".", "__") not in book.names
        else:
            name, rows, columns = re.fullmatch(r"`(\S+)` (\d+)×(\d+)", promise).groups()  # type: ignore[union-attr]
            assert book.names[name.replace(".", "__")].shape == (int(rows), int(columns)), name
