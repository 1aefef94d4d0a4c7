"""The record of how a workbook was built: Config says it, and it is read back from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import sheetgen
from hypothesis import given
from hypothesis import strategies as st

from sheetgen.proof.check import check_book
from sheetgen.sheet.build import COMPARE, ROWS, SINGLE, TOUR, Build
from sheetgen.workbooks.kinds import KINDS
from sheetgen.xlsx.read import read_book

NAMES = st.text("abc-2.", min_size=1, max_size=5)
GROUPS = st.lists(NAMES, max_size=3).map(tuple)


@st.composite
def builds(draw: st.DrawFn) -> Build:
    """What the three kinds of workbook say; the lists only where their kind has them."""
    kind = draw(st.sampled_from(list(ROWS)))
    return Build(
        kind=kind,
        tour=draw(NAMES) if kind == TOUR else "",
        seed=draw(st.none() | st.integers(-(2**40), 2**40)),
        weights=draw(st.sampled_from(["byhand", "normal", "zeros", "checkpoint"])),
        cut=draw(st.none() | NAMES) if kind != TOUR else None,
        formulas=draw(st.sampled_from(["blocks", "cells"])),
        theme=draw(st.sampled_from(["light", "dark", "mine"])),
        published=draw(GROUPS if kind == SINGLE else st.none() | GROUPS),
        like=draw(st.none() | GROUPS) if kind == COMPARE else None,
        language=draw(st.sampled_from(["en", "de"])),
    )


@given(builds())
def test_what_is_written_is_read_back(build: Build) -> None:
    rows = build.encode()
    assert list(rows) == [name for name in ROWS[build.kind] if name in rows]
    assert Build.decode(rows) == build
    cells = {name: float(value) if isinstance(value, int) else value for name, value in rows.items()}
    assert Build.decode(cells) == build, "LibreOffice saves whole numbers as others"


CELLS = st.none() | st.text() | st.floats() | st.booleans() | st.integers()
TABLES = {  # the first parts of what is recomputed besides the models
    SINGLE: {"Scale: published models"},
    COMPARE: {"Scale: published models", "What changes"},
    TOUR: {"Tour"},
}


@given(st.dictionaries(st.sampled_from(ROWS[COMPARE]), CELLS))
def test_whatever_stands_in_config_is_read(rows: dict[str, Any]) -> None:
    assert Build.decode(rows).formulas in ("blocks", "cells")


def test_a_row_that_is_missing_means_the_usual() -> None:
    assert Build.decode({}) == Build()


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (["build", "llama1", "--layers", "1"], SINGLE),
        (["compare", "llama1 --layers 1", "llama2 --layers 1"], COMPARE),
        (["tour", "attention"], TOUR),
    ],
    ids=str,
)
def test_every_kind_is_recomputed_as_it_was_made(command: list[str], kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    assert sheetgen(*command, "-o", path).code == 0
    report = check_book(read_book(path))
    assert report.difference is None
    assert {group.title.partition(" › ")[0] for group in report.groups} >= TABLES[kind]
    assert list(KINDS) == list(ROWS)
