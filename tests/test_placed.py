"""Several models in one workbook: their names, their columns of Config, the words that they share."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest
from helpers import BOTH_ENGINES, cells_of, edited, errors_in, make, sheetgen

from sheetgen.base.errors import InputError
from sheetgen.engines import ENGINES
from sheetgen.model.choices import Style
from sheetgen.proof.check import check_book
from sheetgen.sheet.build import Build
from sheetgen.sheet.pages.config import config_page
from sheetgen.sheet.pages.contents import contents_page
from sheetgen.sheet.workbook import Placed, Workbook, place
from sheetgen.xlsx.read import read_book
from sheetgen.xlsx.write import write


def two(path: Path, style: Style = "blocks") -> tuple[list[Placed], Path]:
    """A Llama 2 and, under the words that it was given, a Llama 4 with a larger vocabulary."""
    made = [make("llama2", n_layers=1, n_heads=1), make("llama4", n_layers=1, n_heads=2, vocab_size=14)]
    first = place(made[0].request, Build(formulas=style), made[0].trace, key="a", sheet="A llama2")
    second = place(made[1].request, Build(formulas=style), made[1].trace, key="b", sheet="B llama4", given_by=first)
    models = [first, second]
    write(path, Workbook("Two", "Both", [*models, config_page(models), contents_page(models)], style))
    return models, path


@pytest.mark.slow
@pytest.mark.parametrize("engine", BOTH_ENGINES)
@pytest.mark.parametrize("style", ["blocks", "cells"])
def test_each_is_checked_by_itself(style: Style, engine: str, tmp_path: Path) -> None:
    models, path = two(tmp_path / "two.xlsx", style)
    book = read_book(path)
    assert set(book.names) == {model.name(tensor) for model in models for tensor in model.trace.blocks}
    assert {book.names[model.name("embed")].sheet for model in models} == {"A llama2", "B llama4"}
    values = ENGINES[engine](path, book)
    assert not [error for grid in values.sheets.values() for error in errors_in(grid)]
    report = check_book(book, engine)
    assert report.difference is None
    assert {group.title.partition(" › ")[0] for group in report.groups} == {"a", "b"}
    assert sum(group.tensors for group in report.groups) == sum(len(model.trace.blocks) for model in models)
    assert list(report.predictions) == ["a", "b"]


def test_a_word_changed_once_changes_in_both(tmp_path: Path) -> None:
    _, path = two(tmp_path / "two.xlsx")

    def change(book: object) -> None:
        cells_of(book, "a__words")[0][1].value = "mat"

    changed = sheetgen("check", edited(path, change))
    assert changed.code == 0, changed.out + changed.err
    said = [line for line in changed.out.splitlines() if line.startswith("prediction of ")]
    assert len(said) == 2
    assert all("the mat sat on the mat → " in line for line in said)


def test_a_longer_vocabulary_keeps_its_own_words(tmp_path: Path) -> None:
    _, path = two(tmp_path / "two.xlsx")
    vocabulary = [row[0].value for row in cells_of(openpyxl.load_workbook(path), "b__vocabulary")]
    assert [str(word).startswith("=") for word in vocabulary] == [True] * 12 + [False] * 2


def test_a_difference_is_told_with_its_model(tmp_path: Path) -> None:
    _, path = two(tmp_path / "two.xlsx")

    def change(book: object) -> None:
        cells_of(book, "b__layer_0__mid")[0][0].value = 1

    report = check_book(read_book(edited(path, change)))
    assert report.difference is not None
    assert report.difference.path == "b.layer_0.mid"
    assert report.difference.range.sheet == "B llama4"
    with pytest.raises(InputError, match="no cells are named b__words"):
        check_book(read_book(edited(path, lambda book: book.defined_names.pop("b__words"), "gone.xlsx")))
