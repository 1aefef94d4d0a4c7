"""A few of the broken files of `make fuzz`, other ones in each run; and what is written is what is read."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path

import xlsxwriter
from fuzz import make_bases, run_case
from hypothesis import given, settings
from hypothesis import strategies as st

from sheetgen.xlsx.read import read_book

CASES = 40


def test_broken_files(tmp_path: Path) -> None:
    """`python tests/fuzz.py --seed N --first I --cases 1` makes one of them again."""
    seed = int(os.environ["SHEETGEN_SEED"])
    bases = make_bases(tmp_path)
    for number in range(CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        case, _, wrong = run_case(seed, number, bases, folder)
        assert not wrong, f"seed {seed}, case {number}: {case.what}: {wrong}"


# Files hold 16 digits: the very largest double would be rounded to more than a cell can hold.
NUMBERS = st.integers(-(10**14), 10**14) | st.floats(-1.79e308, 1.79e308)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
CELLS = st.dictionaries(st.tuples(st.integers(0, 30), st.integers(0, 30)), NUMBERS | TEXTS | st.booleans(), max_size=30)
NAMES = st.sampled_from(["Model", "Config", "My sheet", "it's", "A1", "ß", "🦙"])


@settings(max_examples=60)
@given(st.dictionaries(NAMES, CELLS, min_size=1, max_size=3))
def test_what_is_written_is_read(sheets: dict[str, dict[tuple[int, int], float | str | bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.xlsx"
        with xlsxwriter.Workbook(str(path), {"strings_to_formulas": False, "strings_to_urls": False}) as workbook:
            for name, cells in sheets.items():
                sheet = workbook.add_worksheet(name)
                for at, value in cells.items():
                    sheet.write(*at, value)
        book = read_book(path)
    assert list(book.sheets) == list(sheets)
    for name, cells in sheets.items():
        found = book.sheets[name].cells
        assert found.keys() == cells.keys()
        for at, value in cells.items():
            if isinstance(value, str | bool):
                assert found[at] == value
                assert type(found[at]) is type(value)
            else:
                assert math.isclose(found[at], value, rel_tol=1e-15)  # type: ignore[arg-type]  # 17 digits are written
