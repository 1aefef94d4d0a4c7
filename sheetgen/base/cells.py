"""Cells and ranges: where a block stands, as the spreadsheet writes it.

Rows and columns are counted from 0, as XlsxWriter does; `A1` text counts from 1.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

MAX_ROWS = 1_048_576  # of a worksheet: Excel, Google Sheets and LibreOffice alike
MAX_COLUMNS = 16_384

_A1 = re.compile(r"^\$?([A-Z]{1,3})\$?([0-9]{1,7})$")


@functools.cache
def column_name(column: int) -> str:
    """Letters of a column counted from 0: 0 → A, 26 → AA."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def column_index(letters: str) -> int:
    """Inverse of `column_name`: AA → 26."""
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - 64
    return index - 1


def cell_name(row: int, column: int) -> str:
    """A1 text of one cell counted from 0: (0, 1) → B1."""
    return f"{column_name(column)}{row + 1}"


def sheet_prefix(sheet: str) -> str:
    """The sheet as a formula quotes it: `Model!`, `'My sheet'!`."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", sheet) and not _A1.match(sheet.upper()):
        return f"{sheet}!"
    return "'" + sheet.replace("'", "''") + "'!"


@dataclass(frozen=True, slots=True)
class Range:
    """A rectangle of cells on a sheet; both corners belong to it."""

    sheet: str
    top: int
    left: int
    bottom: int
    right: int

    @property
    def rows(self) -> int:
        return self.bottom - self.top + 1

    @property
    def columns(self) -> int:
        return self.right - self.left + 1

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.columns

    @property
    def a1(self) -> str:
        """`C10:G13`, or `C10` for one cell; without the sheet."""
        first = cell_name(self.top, self.left)
        return first if self.shape == (1, 1) else f"{first}:{cell_name(self.bottom, self.right)}"

    @property
    def absolute(self) -> str:
        """`Model!$C$10:$G$13`, as a defined name wants it."""
        first = f"${column_name(self.left)}${self.top + 1}"
        last = f"${column_name(self.right)}${self.bottom + 1}"
        return sheet_prefix(self.sheet) + (first if self.shape == (1, 1) else f"{first}:{last}")

    def seen_from(self, sheet: str) -> str:
        """The reference as a formula on `sheet` writes it."""
        return self.a1 if sheet == self.sheet else sheet_prefix(self.sheet) + self.a1

    def part(self, rows: slice | int, columns: slice | int) -> Range:
        """Rows and columns of this range, counted from its own corner (no negative numbers)."""
        top, bottom = _span(rows, self.rows)
        left, right = _span(columns, self.columns)
        return Range(self.sheet, self.top + top, self.left + left, self.top + bottom, self.left + right)

    def __contains__(self, cell: tuple[int, int]) -> bool:
        return self.top <= cell[0] <= self.bottom and self.left <= cell[1] <= self.right

    def within(self, outer: Range) -> bool:
        """Whether all cells of this range belong to the other one."""
        corners = (self.top, self.left), (self.bottom, self.right)
        return self.sheet == outer.sheet and all(corner in outer for corner in corners)

    def meets(self, other: Range) -> bool:
        """Whether the two have a cell in common."""
        rows = self.top <= other.bottom and other.top <= self.bottom
        return self.sheet == other.sheet and rows and self.left <= other.right and other.left <= self.right

    def __str__(self) -> str:
        return sheet_prefix(self.sheet) + self.a1


def _span(index: slice | int, size: int) -> tuple[int, int]:
    """First and last position that an index takes of `size`."""
    if isinstance(index, int):
        return index, index
    start, stop, _ = index.indices(size)
    return start, stop - 1


def parse_range(text: str, sheet: str | None = None) -> Range | None:
    """`Model!$C$10:$G$13` → Range; None when the text is no plain range of one sheet."""
    if "!" in text:
        quoted, _, text = text.rpartition("!")
        sheet = quoted[1:-1].replace("''", "'") if quoted.startswith("'") else quoted
    corners = [_A1.match(corner) for corner in text.split(":")]
    if sheet is None or len(corners) not in (1, 2) or None in corners:
        return None
    columns = [column_index(c.group(1)) for c in corners if c]
    rows = [int(c.group(2)) - 1 for c in corners if c]
    found = Range(sheet, min(rows), min(columns), max(rows), max(columns))
    return found if found.top >= 0 and found.bottom < MAX_ROWS and found.right < MAX_COLUMNS else None
