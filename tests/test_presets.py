"""Every preset, blocks and cells: both engines agree with NumPy on every tensor, and no cell shows an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import build, errors_in, needs_libreoffice

from sheetgen.book import read_book
from sheetgen.check import check
from sheetgen.engines import ENGINES
from sheetgen.presets import all_presets


@pytest.mark.parametrize("style", ["blocks", "cells"])
@pytest.mark.parametrize("engine", ["formulas", pytest.param("libreoffice", marks=needs_libreoffice)])
@pytest.mark.parametrize("preset", all_presets())
def test_preset_is_equal(preset: str, engine: str, style: str, tmp_path: Path) -> None:
    path = build(tmp_path / "book.xlsx", preset, "--formulas", style)
    report = check(path, engine)
    assert report.difference is None, report.difference
    assert any(group.title.startswith("Scale") for group in report.groups)
    if style == "blocks" and engine == "formulas":
        values = ENGINES[engine](path, read_book(path))
        assert [error for grid in values.sheets.values() for error in errors_in(grid)] == []
