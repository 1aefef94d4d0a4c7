"""A workbook in the making: its sheets and formats, and how cells are filled. What stands where is told elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from sheetgen.base.cells import Range
from sheetgen.base.lang import tr
from sheetgen.look.theme import Look, Theme
from sheetgen.model.choices import Style
from sheetgen.sheet.formula import CellFormula, formulas_of
from sheetgen.sheet.workbook import Cell
from sheetgen.trace.ops import Array, in_cells
from sheetgen.trace.tensor import Tensor
from sheetgen.xlsx.library import Format, Workbook, Worksheet
from sheetgen.xlsx.worksheet import FastWorksheet

Looks = Callable[[int, int], Format]  # (row, column) → the format of that cell


@dataclass
class Summary:
    """What a workbook holds."""

    sheets: list[str] = field(default_factory=list)
    cells: int = 0
    formulas: int = 0


class Draft:
    """One workbook in the making. places: of every block of it, which formulas on any sheet may read."""

    def __init__(self, book: Workbook, theme: Theme, style: Style, places: dict[str, Range]) -> None:
        self.book, self.theme, self.style, self.places = book, theme, style, places
        self.sheets: dict[str, Worksheet] = {}
        self.summary = Summary()
        self._formats: dict[tuple[tuple[str, object], ...], Format] = {}
        # By identity, which is faster; the properties are kept, so that no others can get their identity.
        self._known: dict[int, tuple[Look, Format]] = {}
        self._plain: dict[tuple[object, ...], Format] = {}  # of plain cells, by what their looks depend on

    def add_sheet(self, name: str) -> Worksheet:
        """A sheet behind those that are there."""
        self.summary.sheets.append(name)
        self.sheets[name] = self.book.add_worksheet(name, FastWorksheet)
        return self.sheets[name]

    # --- formats -------------------------------------------------------------------------------------------------

    def look(self, properties: Look) -> Format:
        """The format with these properties; one for each look, however many cells have it."""
        known = self._known.get(id(properties))
        if known is None:
            key = tuple(sorted(properties.items()))
            if key not in self._formats:
                self._formats[key] = self.book.add_format(properties)
            known = self._known[id(properties)] = properties, self._formats[key]
        return known[1]

    def everywhere(self, properties: Look) -> Looks:
        """The same format for all cells."""
        look = self.look(properties)
        return lambda _row, _column: look

    def plain(self, cell: Cell) -> Format:
        """The format of a plain cell, found again for the many that look alike."""
        key = cell.look, cell.kind, cell.edges, cell.indent
        if key not in self._plain:
            self._plain[key] = self.look(self.cell_look(cell))
        return self._plain[key]

    def cell_look(self, cell: Cell) -> Look:
        """How a plain cell looks."""
        if cell.kind:
            return self.theme.box(cell.look, cell.kind, cell.edges)
        return self.theme.text(cell.look, **({"indent": cell.indent} if cell.indent else {}))

    # --- cells ---------------------------------------------------------------------------------------------------

    def text(self, sheet: Worksheet, row: int, column: int, text: str, look: Look) -> None:
        """A text in the language of the reader."""
        sheet.write_string(row, column, tr(text), self.look(look))
        self.summary.cells += 1

    def note(self, sheet: Worksheet, row: int, column: int, text: str) -> None:
        """What a cell tells when one points at it."""
        if self.theme.bare:
            return
        sheet.write_comment(row, column, tr(text), {"x_scale": 2.5, "author": "sheetgen", "font_size": 10})

    def computed(self, tensor: Tensor, place: Range, places: Mapping[str, Range], looks: Looks) -> None:
        """The formulas of a tensor, with its values. places: where the blocks are that they read, by their paths."""
        for formula in formulas_of(tensor, place, places, self.style):
            self.formula(formula, looks)

    def formula(self, formula: CellFormula, looks: Looks) -> None:
        """One formula, with its values for viewers that do not calculate."""
        place, value = formula.range, in_cells(formula.value)
        sheet = self.sheets[place.sheet]
        self.summary.cells += value.size
        self.summary.formulas += 1
        first, look = value[0, 0], looks(place.top, place.left)
        if not formula.array:
            sheet.write_formula(place.top, place.left, formula.text, look, first)
            return
        sheet.write_corner(place, formula.text, look, first)
        self._fill(place, value, looks, skip=1)

    def constants(self, place: Range, value: Array, looks: Looks) -> None:
        """Numbers and texts, from the corner of `place` on."""
        self.summary.cells += value.size
        self._fill(place, value, looks)

    def _fill(self, place: Range, value: Array, looks: Looks, skip: int = 0) -> None:
        """The contents of a block or of a part of it, but for the first `skip` cells; cells inside a row look alike."""
        sheet, left, width = self.sheets[place.sheet], place.left, value.shape[1]
        for row, contents in enumerate(value.tolist(), start=place.top):
            for start, end in ((skip, 1), (max(skip, 1), width - 1), (max(skip, 1, width - 1), width)):
                if start >= end:
                    continue
                look = looks(row, left + start)
                if value.dtype == object:
                    for column in range(start, end):
                        write = sheet.write_string if isinstance(contents[column], str) else sheet.write_number
                        write(row, left + column, contents[column], look)
                else:
                    sheet.write_numbers(row, left + start, contents[start:end], look)
            skip = 0

    def repeated(self, tensor: Tensor, place: Range, source: Range, looks: Looks) -> None:
        """Words or numbers that another model was given: links to its cells, constants where it has none."""
        for row, column in np.ndindex(tensor.shape):
            cell, value = place.part(row, column), tensor.value[row : row + 1, column : column + 1]
            if row < source.rows and column < source.columns:
                text = f"={source.part(row, column).seen_from(place.sheet)}"
                self.formula(CellFormula(cell, text, False, value), looks)
            else:
                self.constants(cell, value, looks)
