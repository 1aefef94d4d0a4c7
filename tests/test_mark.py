"""The copy with marks: its cells are as they were, the wrong ones are marked and say what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl
import pytest
from helpers import build, cells_of, edited, needs_libreoffice, sheetgen

from sheetgen.engines import ENGINES
from sheetgen.xlsx.read import read_book


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    path = build(tmp_path_factory.mktemp("mark") / "llama1.xlsx", "llama1", "--layers", 1, "--heads", 1)

    def change(book: Any) -> None:
        cells_of(book, "final_norm_rms")[0][1].value = 7

    broken = edited(path, change, "broken.xlsx")
    target = path.with_name("marked.xlsx")
    result = sheetgen("check", broken, "--mark", target)
    assert (result.code, result.err) == (1, "")
    return broken, target


def test_cells_are_as_they_were(marked: tuple[Path, Path]) -> None:
    before, after = (read_book(path) for path in marked)
    assert before.sheets == after.sheets
    assert before.names == after.names


def test_wrong_cells_are_marked_and_noted(marked: tuple[Path, Path]) -> None:
    book = openpyxl.load_workbook(marked[1])
    sheet = book["Model"]
    cell = cells_of(book, "final_norm_rms")[0][1].coordinate
    rules = {
        str(area.sqref): rule
        for area in sheet.conditional_formatting
        for rule in area.rules
        if rule.formula == ["TRUE"]
    }
    assert rules[cell].priority == 1
    assert rules[cell].dxf.fill.bgColor.rgb == "FF7030A0"
    logits = cells_of(book, "logits")
    assert any(logits[0][1].coordinate in area for area in rules)
    notes = {str(note.sqref): note for note in sheet.data_validations.dataValidation}
    assert notes[cell].promptTitle == "Wrong"
    assert "holds the number 7 where a formula belongs" in notes[cell].prompt
    assert "Expected: =" in notes[cell].prompt
    assert all(len(note.prompt or "") <= 255 for note in notes.values())


def test_what_may_not_be_marked(marked: tuple[Path, Path]) -> None:
    broken, target = marked
    before = target.read_bytes()
    assert "exists already" in sheetgen("check", broken, "--mark", target).err
    assert "give one FILE" in sheetgen("check", broken, broken, "--mark", target).err
    assert ".xlsx" in sheetgen("check", broken, "--mark", target.with_name("marked.txt")).err
    assert target.read_bytes() == before


@needs_libreoffice
def test_the_copy_recalculates(marked: tuple[Path, Path]) -> None:
    before, after = (ENGINES["libreoffice"](path).sheets["Model"] for path in marked)
    assert before.shape == after.shape
    assert (before == after).all()
