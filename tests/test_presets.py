"""Every preset, blocks and cells: both engines agree with NumPy on every tensor, and no cell shows an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import by_libreoffice, in_both_styles, right_in_both

from sheetgen.model.presets import all_presets, find


@pytest.mark.parametrize("preset", all_presets())
def test_preset_is_equal(preset: str, tmp_path: Path) -> None:
    books = in_both_styles(tmp_path, preset)
    recomputed = by_libreoffice(books)
    for style, path in books.items():
        report = right_in_both(path, recomputed.get(style)).report
        assert any(group.title.startswith("Scale") for group in report.groups) == bool(find(preset).published)
