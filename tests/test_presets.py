"""Every preset, blocks and cells: both engines agree with NumPy on every tensor, and no cell shows an error."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import (
    PRESETS,
    Checked,
    by_libreoffice,
    contract,
    errors_in,
    far,
    in_batches,
    in_both_styles,
    make,
    right_in_both,
)

from sheetgen.engines.values import Values
from sheetgen.model.presets import all_presets, find
from sheetgen.sheet.pages.baseline import SWITCH

pytestmark = pytest.mark.slow

Recomputed = dict[tuple[str, str], tuple[Path, Values | None]]  # preset, style → workbook, as LibreOffice has it


@pytest.fixture(scope="module")
def recomputed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[str, ...]], Recomputed]:
    """The workbooks of a batch of presets in both styles, recomputed by one start of LibreOffice."""

    @cache
    def of_batch(batch: tuple[str, ...]) -> Recomputed:
        books = {
            (preset, style): path
            for preset in batch
            for style, path in in_both_styles(tmp_path_factory.mktemp(preset), preset).items()
        }
        values = by_libreoffice(books)
        return {key: (path, values.get(key)) for key, path in books.items()}

    return of_batch


@pytest.mark.parametrize(("preset", "batch"), in_batches(list(all_presets())))
def test_preset_is_equal(
    preset: str, batch: tuple[str, ...], recomputed: Callable[[tuple[str, ...]], Recomputed]
) -> None:
    for style in ("blocks", "cells"):
        right = right_in_both(*recomputed(batch)[preset, style])
        assert any(group.title.startswith("Scale") for group in right.report.groups) == bool(find(preset).published)
        if preset in PRESETS:
            for values in right.values:
                equals_numpy(preset, right, values)


def equals_numpy(preset: str, right: Checked, values: Values) -> None:
    """Without what `check` knows: no error anywhere, the promised names and no others, probabilities, patterns."""
    assert values.problems == ()
    assert {name: list(errors_in(grid)) for name, grid in values.sheets.items()} == {name: [] for name in values.sheets}

    made = make(preset)
    config: Any = made.request.config
    found = {name: values.range(area) for name, area in right.book.names.items()}
    assert {name for name in found if not name.startswith("scale__")} == {SWITCH} | {
        path.replace(".", "__") for path in made.values
    }
    assert {path.replace(".", "__") for path in contract(config)} <= set(found)
    wrong = {path for path, value in made.values.items() if not far(found[path.replace(".", "__")], value) <= 1e-9}
    assert wrong == set()
    np.testing.assert_allclose(found["probs"].astype(float).sum(axis=0), 1, atol=1e-12)
    key, query = np.ogrid[: config.n_tokens, : config.n_tokens]
    for name, pattern in found.items():
        if name.endswith("__pattern"):
            layer = int(name.split("__")[0].removeprefix("layer_"))
            seen = key <= query
            if preset == "llama4" and (layer + 1) % 2:
                seen = seen & (key // 4 == query // 4)
            assert ((pattern == 0) == ~seen).all(), name
