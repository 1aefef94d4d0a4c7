"""Writes the workbook: the only module that knows XlsxWriter."""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from sheetgen import seal, theme, words
from sheetgen.address import Range
from sheetgen.formula import CellFormula, Style, formulas_of
from sheetgen.layout import Label, Title
from sheetgen.ops import Array
from sheetgen.pages import Page, Table
from sheetgen.placed import Placed, defined_name
from sheetgen.tensor import Tensor

CREATED = datetime.datetime(2026, 1, 1)  # the same command writes the same bytes
Progress = Callable[[str], None]  # called with the path of each block that has been written


@dataclass
class Workbook:
    """What is written: the sheets in their order, those of the models between `first` and `last`."""

    title: str
    subject: str
    models: Sequence[Placed]
    first: Sequence[Page | Table]
    last: Sequence[Page | Table]
    style: Style = "blocks"


@dataclass
class Summary:
    """What a workbook holds."""

    sheets: list[str] = field(default_factory=list)
    cells: int = 0
    formulas: int = 0


def write(target: Path, workbook: Workbook, progress: Progress = lambda _: None) -> Summary:
    """Write the workbook to `target`, sealed (see `seal`); an existing file is replaced only by a whole one."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".sheetgen-") as folder:
        draft = Path(folder) / "draft.xlsx"
        book = xlsxwriter.Workbook(draft, {"strings_to_formulas": False, "strings_to_urls": False})
        book.set_properties({"title": workbook.title, "subject": workbook.subject, "created": CREATED})
        book.set_custom_property(seal.PROPERTY, seal.BLANK)
        book.set_calc_mode("auto")
        summary = _Writer(book, workbook.style, progress).write(workbook)
        book.close()
        seal.seal(draft, target)
    return summary


class _Writer:
    """One workbook in the making."""

    def __init__(self, book: Any, style: Style, progress: Progress) -> None:
        self.book, self.style, self.progress = book, style, progress
        self.formats: dict[tuple[tuple[str, Any], ...], Format] = {}
        self.summary = Summary()
        self.places: dict[str, Range] = {}  # of every block of the workbook

    def look(self, properties: dict[str, Any]) -> Format:
        """The format with these properties; one for each look, however many cells have it."""
        key = tuple(sorted(properties.items()))
        if key not in self.formats:
            self.formats[key] = self.book.add_format(properties)
        return self.formats[key]

    def write(self, workbook: Workbook) -> Summary:
        for model in workbook.models:
            self.places |= {model.path(path): place for path, place in model.layout.places.items()}
        for sheet in (*workbook.first, *workbook.last):
            self.places |= sheet.places if isinstance(sheet, Table) else {}
        for sheet in workbook.first:
            self.beside(sheet)
        for model in workbook.models:
            self.model(model, alone=len(workbook.models) == 1)
        for sheet in workbook.last:
            self.beside(sheet)
        for path, place in self.places.items():
            self.book.define_name(defined_name(path), f"={place.absolute}")
        return self.summary

    # --- the model ---------------------------------------------------------------------------------------------

    def model(self, model: Placed, alone: bool) -> None:
        layout = model.layout
        sheet = self.add_sheet(layout.sheet)
        right = max(box.range.right for box in layout.boxes)
        sheet.set_default_row(theme.ROW_HEIGHT)
        sheet.set_column(0, 2, theme.MARGIN_WIDTH, self.look(theme.CELL))
        sheet.set_column(3, right, theme.COLUMN_WIDTH, self.look(theme.CELL))
        sheet.hide_gridlines(2)
        sheet.set_zoom(theme.ZOOM)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        if alone:
            sheet.activate()
        self.text(sheet, 0, 0, model.title, theme.HEADING)
        self.text(
            sheet,
            1,
            0,
            "Every number is a formula; red cells are trainable. Change one and look below.",
            theme.SUBTITLE,
        )
        for box in layout.boxes:
            look = self.look(theme.frame(box.depth))
            for column in range(box.range.left, box.range.right + 1):
                sheet.write_blank(box.range.top, column, None, look)
            sheet.write_string(box.range.top, box.range.left, box.frame.title, look)
            self.summary.cells += 1
        for path, tensor in model.trace.blocks.items():
            self.block(sheet, model, tensor, layout.places[path])
            self.progress(path)
        for title in layout.titles:
            self.title(sheet, title)
            note = words.sentence(title.tensor)
            if title.tensor.kind == "computed":
                note = f"{title.tensor.name} = {words.equation(title.tensor)}\n{note}"
            sheet.write_comment(title.row, title.column, note, {"x_scale": 2, "author": "sheetgen", "font_size": 10})
        for shape in layout.shapes:
            self.text(sheet, shape.row, shape.column, shape.text, theme.SHAPE)
        for label in layout.labels:
            self.label(sheet, model, label)

    def title(self, sheet: Worksheet, title: Title) -> None:
        """Name and shape, and the equation behind them where there is room; else it is in the note alone."""
        look = theme.TITLE_RIGHT if title.right else theme.TITLE
        equation = words.equation(title.tensor) if title.tensor.kind == "computed" else ""
        if title.right or not equation or not theme.fits(title.text, equation, title.columns):
            self.text(sheet, title.row, title.column, title.text, look)
            return
        self.summary.cells += 1
        sheet.write_rich_string(
            title.row,
            title.column,
            *(self.look(theme.TITLE), title.text),
            *(self.look(theme.EQUATION), f"   {equation}"),
            self.look(look),
        )

    def block(self, sheet: Worksheet, model: Placed, tensor: Tensor, place: Range) -> None:
        """The numbers or formulas of one block, its validation and conditional formats."""
        look = self.look(theme.block(tensor))
        if tensor.kind == "computed":
            for formula in formulas_of(tensor, place, model.layout.places, self.style):
                self.formula(sheet, formula, look)
        elif link := model.links.get(str(tensor.path)):
            self.repeated(sheet, tensor, place, link, look)
        else:
            self.constants(sheet, place, tensor.value, look)
        if tensor.kind == "control":
            self.limits(sheet, tensor, place)
            self.text(sheet, place.top, place.right + 1, words.sentence(tensor), theme.EQUATION)
        elif tensor.name == "words":
            self.sentence(sheet, model, tensor, place)
        elif tensor.name == "image":
            self.picture(sheet, place)
        elif tensor.name in ("pattern", "probs"):
            low, high = theme.HEAT
            scale = {
                "type": "2_color_scale",
                "min_type": "num",
                "max_type": "num",
                "min_value": 0,
                "max_value": 1,
            }
            sheet.conditional_format(
                place.top,
                place.left,
                place.bottom,
                place.right,
                scale | {"min_color": low, "max_color": high},
            )

    def formula(self, sheet: Worksheet, formula: CellFormula, look: Format) -> None:
        place, value = formula.range, formula.value
        self.summary.cells += value.size
        self.summary.formulas += 1
        first = value[0, 0]
        if not formula.array:
            sheet.write_formula(place.top, place.left, formula.text, look, first)
            return
        sheet.write_dynamic_array_formula(place.top, place.left, place.bottom, place.right, formula.text, look, first)
        # The call above fills the rest with zeros: write what a viewer that does not calculate should show.
        for row in range(place.rows):
            start = 1 if row == 0 else 0
            sheet.write_row(place.top + row, place.left + start, value[row, start:].tolist(), look)

    def constants(self, sheet: Worksheet, place: Range, value: Array, look: Format) -> None:
        """Numbers and texts, from the corner of `place` on."""
        self.summary.cells += value.size
        for (row, column), cell in np.ndenumerate(value):
            write = sheet.write_string if isinstance(cell, str) else sheet.write_number
            write(place.top + row, place.left + column, cell, look)

    def repeated(self, sheet: Worksheet, tensor: Tensor, place: Range, source: Range, look: Format) -> None:
        """Words or numbers that another model was given: links to its cells, constants where it has none."""
        for row, column in np.ndindex(tensor.shape):
            cell, value = place.part(row, column), tensor.value[row : row + 1, column : column + 1]
            if row < source.rows and column < source.columns:
                text = f"={source.part(row, column).seen_from(place.sheet)}"
                self.formula(sheet, CellFormula(cell, text, False, value), look)
            else:
                self.constants(sheet, cell, value, look)

    def limits(self, sheet: Worksheet, tensor: Tensor, place: Range) -> None:
        """What may be typed into the cells of a control."""
        low, high, whole = (tensor.settings[key] for key in ("low", "high", "whole"))
        sheet.data_validation(
            *(place.top, place.left, place.bottom, place.right),
            {
                "validate": "integer" if whole else "decimal",
                "criteria": "between",
                "minimum": low,
                "maximum": high,
                "error_title": tensor.name,
                "error_message": f"{tensor.name} must be {'a whole number ' if whole else ''}from {low:g} to {high:g}.",
            },
        )

    def picture(self, sheet: Worksheet, place: Range) -> None:
        """Pixels as shades of grey: the smallest black, the largest white; light numbers on dark."""
        area = place.top, place.left, place.bottom, place.right
        low, high = theme.GREYS
        sheet.conditional_format(*area, {"type": "2_color_scale", "min_color": low, "max_color": high})
        pixels = place.absolute.partition("!")[2]
        dark = f"=2*{place.part(0, 0).a1}<MAX({pixels})+MIN({pixels})"
        sheet.conditional_format(*area, {"type": "formula", "criteria": dark, "format": self.look(theme.ON_DARK)})

    def sentence(self, sheet: Worksheet, model: Placed, tensor: Tensor, place: Range) -> None:
        """Words are chosen from the vocabulary, or repeated from another model; one that it does not have is marked."""
        area = place.top, place.left, place.bottom, place.right
        if tensor.path not in model.links:
            sheet.data_validation(
                *area,
                {
                    "validate": "list",
                    "source": f"={model.layout.places['vocabulary'].absolute}",
                    "error_title": "Not in the vocabulary",
                    "error_message": "Choose a word from the list: the model knows no other.",
                },
            )
        known = model.layout.places[str(tensor.path).removesuffix("words") + "in_vocabulary"].part(0, 0).a1
        unknown = f'={known}="✗"'
        sheet.conditional_format(*area, {"type": "formula", "criteria": unknown, "format": self.look(theme.WRONG_WORD)})

    def label(self, sheet: Worksheet, model: Placed, label: Label) -> None:
        look = self.look(theme.NAME_LEFT if label.side == "left" else theme.NAME_ABOVE)
        if label.words is None:
            for i in range(label.range.rows * label.range.columns):
                row, column = (i, 0) if label.side == "left" else (0, i)
                sheet.write_number(label.range.top + row, label.range.left + column, i, look)
            self.summary.cells += label.range.rows * label.range.columns
            return
        for formula in formulas_of(label.words, label.range, model.layout.places, self.style):
            self.formula(sheet, formula, look)

    # --- the sheets around it ------------------------------------------------------------------------------------

    def beside(self, sheet: Page | Table) -> None:
        """A sheet that is no model."""
        if isinstance(sheet, Table):
            self.table(sheet)
        else:
            self.page(sheet)

    def page(self, page: Page) -> Worksheet:
        sheet = self.add_sheet(page.name)
        sheet.hide_gridlines(2)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        for column, width in enumerate(page.widths):
            sheet.set_column(column, column, width, self.look(theme.CELL))
        for cell in page.cells:
            look = self.look(getattr(theme, cell.look) | ({"indent": cell.indent} if cell.indent else {}))
            self.summary.cells += 1
            if cell.link:
                # To the defined name, so that the link follows when rows are inserted.
                sheet.write_url(cell.row, cell.column, f"internal:{cell.link}", look, str(cell.value))
            else:
                sheet.write(cell.row, cell.column, cell.value, look)
        for mirror in page.mirrors:
            look = self.look(theme.CELL | {"num_format": "0.00", "align": "left"})
            for formula in formulas_of(mirror.tensor, mirror.range, self.places, self.style):
                self.formula(sheet, formula, look)
        return sheet

    def table(self, table: Table) -> None:
        """A sheet that computes by itself; yellow is what a reader is meant to change."""
        sheet = self.page(table.page)
        sheet.freeze_panes(*table.freeze)
        for (row, column), note in table.notes.items():
            sheet.write_comment(row, column, note, {"x_scale": 3, "author": "sheetgen", "font_size": 10})
        for path, tensor in table.trace.blocks.items():
            place, number = table.places[path], {"num_format": table.formats[path]}
            look = self.look(theme.block(tensor) | number)
            if tensor.kind == "computed":
                for formula in formulas_of(tensor, place, self.places, self.style):
                    self.formula(sheet, formula, look)
                continue
            free = 1 if place.bottom == table.free else 0
            self.constants(sheet, place, tensor.value[: place.rows - free], look)
            if free:
                own = self.look(theme.block(tensor) | number | {"bg_color": theme.FILLS["control"]})
                self.constants(sheet, place.part(place.rows - 1, 0), tensor.value[-1:], own)
            self.limits(sheet, tensor, place)

    def add_sheet(self, name: str) -> Worksheet:
        self.summary.sheets.append(name)
        sheet: Worksheet = self.book.add_worksheet(name)
        return sheet

    def text(self, sheet: Worksheet, row: int, column: int, text: str, look: dict[str, Any]) -> None:
        sheet.write_string(row, column, text, self.look(look))
        self.summary.cells += 1
