"""Workbooks that sheetgen 0.1.0 wrote, kept as they were: whoever has one must still be able to check it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sheetgen.proof.check import check

WORKBOOKS = sorted((Path(__file__).parent / "old").glob("*.xlsx"))


def test_there_are_old_workbooks() -> None:
    assert len(WORKBOOKS) == 20


@pytest.mark.parametrize("path", WORKBOOKS, ids=lambda path: path.stem)
def test_an_old_workbook_is_still_found_right(path: Path) -> None:
    report = check(path)
    assert report.difference is None, report.difference
    assert sum(group.tensors for group in report.groups) > 10
