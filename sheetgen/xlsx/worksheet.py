"""XlsxWriter's worksheet, faster where a workbook of ours spends its time. The file is the same, byte for byte.

It reaches into what XlsxWriter does not promise to keep: the table of cells, and the methods that begin with `_`. A
test writes the same workbook with the worksheet as it comes.
"""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Sequence
from itertools import chain, repeat
from typing import Any

from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from sheetgen.base.cells import Range, column_name

Number = namedtuple("Number", "number, format")  # XlsxWriter knows the kinds of cells by the names of their classes
SPAN = 16  # rows that are said to be equally wide


class FastWorksheet(Worksheet):  # type: ignore[misc]  # the library has no types
    """A sheet on which neighbouring cells are written together."""

    def write_numbers(self, row: int, column: int, numbers: Sequence[float], look: Format | None) -> None:
        """Numbers side by side that look alike, from a cell on.

        Raises TypeError for what is no number, and for numbers that a cell cannot hold.
        """
        if not numbers:
            return
        if not math.isfinite(sum(numbers)):  # perhaps only the sum is too large
            for at, number in enumerate(numbers, start=column):
                self.write_number(row, at, number, look)
            return
        self._check_dimensions(row, column)
        self._check_dimensions(row, column + len(numbers) - 1)
        self.table[row].update(enumerate(map(Number, numbers, repeat(look)), start=column))

    def write_corner(self, place: Range, formula: str, look: Format | None, value: float | str) -> None:
        """The first cell of an array formula that fills `place`; the values of the others are still to be written."""
        top, left = place.top, place.left
        self.write_dynamic_array_formula(top, left, top, left, formula, look, value)
        self.table[top][left] = self.table[top][left]._replace(range=place.a1)

    def _prepare_formula(self, formula: str, expand_future_functions: bool = False) -> str:
        """Nothing to replace: none of our formulas has a function that is younger than Excel 2016."""
        return formula.removeprefix("=")

    def _write_cell(self, row: int, col: int, cell: Any) -> None:
        """One cell as XML; the kinds that are many in one piece."""
        kind = type(cell).__name__
        if kind not in ("Number", "String", "Blank") or cell.format is None:
            super()._write_cell(row, col, cell)
            return
        start = f'<c r="{column_name(col)}{row + 1}" s="{cell.format._get_xf_index()}"'
        if kind == "Number":
            self.fh.write(f"{start}><v>{cell[0]:.16G}</v></c>")
        elif kind == "String":
            self.fh.write(f'{start} t="s"><v>{cell[0]}</v></c>')
        else:
            self.fh.write(f"{start}/>")

    def _calculate_spans(self) -> None:
        """The first and last column of every so many rows, from the cells that there are rather than all between."""
        spans: dict[int, tuple[int, int]] = {}
        for row, cells in chain(self.table.items(), self.comments.items()):
            if cells:
                first, last = spans.get(row // SPAN, (math.inf, 0))
                spans[row // SPAN] = min(first, *cells), max(last, *cells)
        self.row_spans = {group: f"{first + 1}:{last + 1}" for group, (first, last) in spans.items()}
