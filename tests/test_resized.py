"""Config and the blocks of a workbook tell a size differently: check says so, whatever else it finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import BARE, build, edited, sheetgen

from sheetgen.proof.check import check_book
from sheetgen.proof.report import STATIC, Report
from sheetgen.xlsx.read import Book, read_book


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one layer, whose heads are uneven."""
    options = [
        "--layers",
        "1",
        "--value-dims",
        "5,4,4",
        "--head-dim",
        "4",
        "--vocab",
        "11",
        "--bias",
        *BARE,
        "--text",
    ]
    return build(tmp_path_factory.mktemp("resized") / "book.xlsx", "llama2", *options, "the cat sat on")


def says(book: Book, **settings: int | str) -> Report:
    """What check says when Config holds this."""
    config = book.sheets["Config"]
    rows = {value: row for (row, column), value in config.cells.items() if column == 0}
    for name, value in settings.items():
        config.cells[rows[name], 1] = value
    return check_book(book, STATIC)


@pytest.mark.parametrize(
    ("settings", "remarks"),
    [
        ({}, []),
        ({"d_ff": 9}, ["d_ff 9, the blocks have 8"]),
        ({"d_model": 10}, ["d_model 10, the blocks have 8"]),
        ({"vocab_size": 10}, ["vocab_size 10, the blocks have 11"]),
        ({"n_tokens": 5}, ["n_tokens 5, the blocks have 4"]),
        ({"d_ff": 7, "vocab_size": 12}, ["vocab_size 12, the blocks have 11", "d_ff 7, the blocks have 8"]),
        ({"value_dims": "5 5 4"}, ["value_dims 5,5,4, the blocks have 5,4,4"]),
    ],
)
def test_the_setting_is_named(built: Path, settings: dict[str, Any], remarks: list[str]) -> None:
    report = says(read_book(built), **settings)
    assert report.remarks == [f"Config says {remark}: the blocks are what counts" for remark in remarks]
    assert report.difference is None


def test_several_heads_at_once(tmp_path: Path) -> None:
    """The queries of all heads are one block here, which has so many rows for each head; and the heads do differ."""
    book = read_book(build(tmp_path / "olmo.xlsx", "olmo2", "--layers", 1, "--set", "positions=none"))
    report = says(book, head_dim=2)
    assert report.difference is not None
    assert report.remarks == ["Config says head_dim 2, the blocks have 4: the blocks are what counts"]


def test_report_json_and_code(built: Path) -> None:
    def change(book: Any) -> None:
        (row,) = (row for row in book["Config"].iter_rows() if row[0].value == "d_ff")
        row[1].value = 9

    path = edited(built, change)
    result = sheetgen("check", path)
    remark = "Config says d_ff 9, the blocks have 8: the blocks are what counts"
    assert (result.code, result.out.count(f"note: {remark}")) == (0, 1)
    assert "tensors equal" in result.out
    (told,) = json.loads(sheetgen("check", "--static", "--json", path).out)
    assert (told["equal"], told["remarks"]) == (True, [remark])


def test_of_several_models_the_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "two.xlsx"
    small = "--layers 1 --heads 1"
    assert sheetgen("compare", f"llama1 {small}", f"llama2 {small}", "--text", "the cat", "-o", path).code == 0
    book = read_book(path)
    rows = {value: row for (row, column), value in book.sheets["Config"].cells.items() if column == 0}
    book.sheets["Config"].cells[rows["d_ff"], 2] = 9
    report = check_book(book, STATIC)
    assert report.remarks == ["b: Config says d_ff 9, the blocks have 8: the blocks are what counts"]
