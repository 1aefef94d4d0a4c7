"""The faster worksheet: it writes what XlsxWriter's own writes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import xlsxwriter
from xlsxwriter.worksheet import Worksheet

import sheetgen
from sheetgen.base.cells import Range
from sheetgen.xlsx import draft
from sheetgen.xlsx.worksheet import FastWorksheet


class Plain(Worksheet):  # type: ignore[misc]
    """What `FastWorksheet` has besides, by what XlsxWriter promises to keep."""

    def write_numbers(self, row, column, numbers, look):  # type: ignore[no-untyped-def]
        for at, number in enumerate(numbers, start=column):
            self.write_number(row, at, number, look)

    def write_corner(self, place, formula, look, value):  # type: ignore[no-untyped-def]
        area = place.top, place.left, place.bottom, place.right
        self.write_dynamic_array_formula(*area, formula, look, value)


@pytest.mark.parametrize(("preset", "theme"), [("attention", "light"), ("gpt2", "plain")])
def test_the_file_is_that_of_xlsxwriter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, preset: str, theme: str
) -> None:
    book, made = sheetgen.build(preset, theme=theme), []
    for sheet in (FastWorksheet, Plain):
        monkeypatch.setattr(draft, "FastWorksheet", sheet)
        path = tmp_path / f"{sheet.__name__}.xlsx"
        book.save(path)
        made.append(path.read_bytes())
    assert made[0] == made[1]


def written(path: Path, sheet: type[Worksheet], numbers: list[float]) -> bytes:
    """A file of these numbers in a row, and of an array formula."""
    with xlsxwriter.Workbook(str(path)) as book:
        book.set_properties({"created": datetime(2000, 1, 1, tzinfo=UTC)})  # not the second in which it is written
        page = book.add_worksheet("A", sheet)
        look = book.add_format({"bold": True})
        page.write_numbers(40, 3, numbers, look)
        page.write_numbers(2, 1, numbers[:1], None)
        page.write_numbers(3, 1, [], None)
        page.write_corner(Range("A", 41, 0, 41, 1), "=A1:B1+1", look, 1.0)
        page.write_numbers(41, 1, [0.0], look)
    return path.read_bytes()


@pytest.mark.parametrize("numbers", [[0.1, -2.0, 1e-300, 12345678901234567.0], [1.7e308, 1.7e308]])
def test_numbers_are_those_of_xlsxwriter(tmp_path: Path, numbers: list[float]) -> None:
    one, other = (written(tmp_path / f"{sheet.__name__}.xlsx", sheet, numbers) for sheet in (FastWorksheet, Plain))
    assert one == other


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(tmp_path: Path, number: float) -> None:
    book = xlsxwriter.Workbook(str(tmp_path / "a.xlsx"))
    sheet = book.add_worksheet("A", FastWorksheet)
    with pytest.raises(TypeError, match="NAN/INF"):
        sheet.write_numbers(0, 0, [1.0, number], None)
