"""Writes the workbook: with `worksheet` the only module that knows XlsxWriter."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xlsxwriter
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.format import Format

from sheetgen.base.cells import Range
from sheetgen.base.lang import tr
from sheetgen.look.theme import Look
from sheetgen.sheet.formula import CellFormula, formulas_of
from sheetgen.sheet.frames import Decor, Mark
from sheetgen.sheet.layout import Label, Title
from sheetgen.sheet.workbook import Cell, LiveCell, Page, Placed, Table, Workbook, defined_name
from sheetgen.text.equation import equation_of, note_of, sentence_of
from sheetgen.trace.limits import Limits
from sheetgen.trace.ops import Array
from sheetgen.trace.tensor import Tensor
from sheetgen.xlsx import atomic, seal
from sheetgen.xlsx.fast import Sheet
from sheetgen.xlsx.setup import insert_charts, prepare, set_paper

CREATED = datetime.datetime(2026, 1, 1)  # the same command writes the same bytes
Progress = Callable[[str], None]  # called with the path of each block that has been written
Looks = Callable[[int, int], Format]  # (row, column) → the format of that cell


@dataclass
class Summary:
    """What a workbook holds."""

    sheets: list[str] = field(default_factory=list)
    cells: int = 0
    formulas: int = 0


def write(target: Path, workbook: Workbook, progress: Progress = lambda _: None) -> Summary:
    """Write the workbook to `target`, sealed (see `seal`); an existing file is replaced only by a whole one."""
    with atomic.workshop(target) as folder:
        draft = folder / "draft.xlsx"
        options = {"strings_to_formulas": False, "strings_to_urls": False, "tmpdir": str(folder)}
        book = xlsxwriter.Workbook(draft, options)
        book.set_properties({"title": workbook.title, "subject": workbook.subject, "created": CREATED})
        book.set_custom_property(seal.PROPERTY, seal.BLANK)
        book.set_calc_mode("auto")
        summary = _Writer(book, workbook, progress).write(workbook)
        try:
            book.close()
        except FileCreateError as error:  # an OSError in disguise
            raise OSError(*getattr(error.args[0], "args", error.args)) from error
        seal.seal(draft)
        atomic.put(draft, target)
    return summary


class _Writer:
    """One workbook in the making."""

    def __init__(self, book: Any, workbook: Workbook, progress: Progress) -> None:
        self.book, self.style, self.theme, self.progress = book, workbook.style, workbook.theme, progress
        first = workbook.sheets[0]
        first = first.page if isinstance(first, Table) else first
        self.home = first.name if isinstance(first, Page) else ""
        self.formats: dict[tuple[tuple[str, Any], ...], Format] = {}
        # By identity, which is faster; the properties are kept, so that no others can get their identity.
        self.known: dict[int, tuple[Look, Format]] = {}
        self.plain: dict[tuple[Any, ...], Format] = {}  # of plain cells, by what their looks depend on
        self.summary = Summary()
        self.places: dict[str, Range] = {}  # of every block of the workbook
        self.marked = workbook.marked
        self.sheets: dict[str, Sheet] = {}

    def look(self, properties: Look) -> Format:
        """The format with these properties; one for each look, however many cells have it."""
        known = self.known.get(id(properties))
        if known is None:
            key = tuple(sorted(properties.items()))
            if key not in self.formats:
                self.formats[key] = self.book.add_format(properties)
            known = self.known[id(properties)] = properties, self.formats[key]
        return known[1]

    def write(self, workbook: Workbook) -> Summary:
        for model in workbook.models:
            self.places |= {model.path(path): place for path, place in model.layout.places.items()}
        for table in workbook.tables:
            self.places |= table.places
        for sheet in workbook.sheets:
            if isinstance(sheet, Placed):
                self.model(sheet, alone=len(workbook.models) == 1)
            else:
                self.beside(sheet)
        for panel in workbook.panels:
            self.fill(self.sheets[panel.name], panel)
        for table in workbook.tables:
            self.compute(table)
        for path, place in self.places.items():
            self.book.define_name(defined_name(path), f"={place.absolute}")
        return self.summary

    # --- the model ---------------------------------------------------------------------------------------------

    def model(self, model: Placed, alone: bool) -> None:
        theme, layout = self.theme, model.layout
        sheet = self.add_sheet(layout.sheet)
        if alone:
            sheet.activate()
        prepare(sheet, layout, theme, self.look(theme.text()))
        self.text(sheet, 0, 0, model.title, theme.text("HEADING"))
        hint = "Every number is a formula; red cells are trainable. Change one and look below."
        self.text(sheet, 1, 0, hint, theme.text("SUBTITLE"))
        for (row, column), mark in Decor(layout, theme, self.home).marks.items():
            self.mark(sheet, row, column, mark)
        for path, tensor in model.trace.blocks.items():
            self.block(sheet, model, tensor, layout.places[path])
            self.progress(path)
        for title in layout.titles:
            self.title(sheet, title, model.path(str(title.tensor.path)) in self.marked)
            self.note(sheet, title.row, title.column, note_of(title.tensor, model.request.preset.paper))
        for shape in layout.shapes:
            self.text(sheet, shape.row, shape.column, shape.text, theme.text("SHAPE"))
        for label in layout.labels:
            self.label(sheet, model, label)
        for heading in layout.headings:
            look = {"": "TITLE", "above": "NAME_ABOVE", "left": "NAME_LEFT"}[heading.side]
            self.text(sheet, heading.row, heading.column, heading.text, self.theme.text(look))

    def mark(self, sheet: Sheet, row: int, column: int, mark: Mark) -> None:
        look = self.look(mark.look)
        if mark.link:
            sheet.write_url(row, column, mark.link, look, tr(mark.text))
            self.summary.cells += 1
        elif mark.text:
            self.text(sheet, row, column, mark.text, mark.look)
        else:
            sheet.write_blank(row, column, None, look)

    def title(self, sheet: Sheet, title: Title, marked: bool = False) -> None:
        """Name and shape, and the equation behind them where there is room; else it is in the note alone."""
        theme = self.theme
        look = theme.text("TITLE_RIGHT" if title.right else "TITLE") | (theme.new if marked else {})
        text = f"★ {title.text}" if marked else title.text
        equation = equation_of(title.tensor) if title.tensor.kind == "computed" else ""
        if theme.bare or title.right or not equation or not theme.fits(text, equation, title.columns):
            self.text(sheet, title.row, title.column, text, look)
            return
        self.summary.cells += 1
        sheet.write_rich_string(
            title.row,
            title.column,
            *(self.look(look), text),
            *(self.look(theme.text("EQUATION")), f"   {equation}"),
            self.look(look),
        )

    def block(self, sheet: Sheet, model: Placed, tensor: Tensor, place: Range) -> None:
        """The numbers or formulas of one block, its validation and conditional formats."""
        look = self.looks(tensor, place)
        if tensor.kind == "computed":
            for formula in formulas_of(tensor, place, model.layout.places, self.style):
                self.formula(sheet, formula, look)
        elif link := model.links.get(str(tensor.path)):
            self.repeated(sheet, tensor, place, link, look)
        else:
            self.constants(sheet, place, tensor.value, look)
        if tensor.kind == "control":
            self.limits(sheet, tensor, place)
        elif tensor.name == "words":
            self.sentence(sheet, model, tensor, place)
        elif tensor.name == "image":
            self.picture(sheet, place)
        elif tensor.name in ("pattern", "probs") and not self.theme.bare:
            self.heat(sheet, place, hidden=tensor.name == "pattern")

    def looks(self, tensor: Tensor, place: Range) -> Looks:
        """The formats of the cells of a block: those at its sides have its outline."""
        base, made = self.theme.block(tensor), dict[tuple[bool, ...], Format]()

        def at(row: int, column: int) -> Format:
            here = column == place.left, column == place.right, row == place.top, row == place.bottom
            if here not in made:
                sides = " ".join(itertools.compress(("left", "right", "top", "bottom"), here))
                made[here] = self.look(base | self.theme.outline(tensor, sides))
            return made[here]

        return at

    def one(self, properties: Look) -> Looks:
        """The same format for all cells."""
        look = self.look(properties)
        return lambda _row, _column: look

    def heat(self, sheet: Sheet, place: Range, hidden: bool) -> None:
        """Weights from 0 to 1 as a colour; those that a mask hides (if any are) are exactly 0, and hatched."""
        area = place.top, place.left, place.bottom, place.right
        if hidden:
            zero = {"criteria": f"={place.part(0, 0).a1}=0", "format": self.look(self.theme.masked)}
            sheet.conditional_format(*area, {"type": "formula", "stop_if_true": True} | zero)
        scale = {"type": "2_color_scale", "min_type": "num", "max_type": "num", "min_value": 0, "max_value": 1}
        colours = {"min_color": self.theme.paper, "max_color": self.theme.heat}
        sheet.conditional_format(*area, scale | colours)

    def formula(self, sheet: Sheet, formula: CellFormula, looks: Looks) -> None:
        place, value = formula.range, formula.value
        self.summary.cells += value.size
        self.summary.formulas += 1
        first, look = value[0, 0], looks(place.top, place.left)
        if not formula.array:
            sheet.write_formula(place.top, place.left, formula.text, look, first)
            return
        sheet.write_corner(place, formula.text, look, first)
        # The rest is what a viewer that does not calculate should show.
        self.cells(sheet, place, value, looks, skip=1)

    def constants(self, sheet: Sheet, place: Range, value: Array, looks: Looks) -> None:
        """Numbers and texts, from the corner of `place` on."""
        self.summary.cells += value.size
        self.cells(sheet, place, value, looks)

    def cells(self, sheet: Sheet, place: Range, value: Array, looks: Looks, skip: int = 0) -> None:
        """The contents of a block or of a part of it, but for the first `skip` cells; cells inside a row look alike."""
        left, width = place.left, value.shape[1]
        for row, contents in enumerate(value.tolist(), start=place.top):
            for start, end in ((skip, 1), (max(skip, 1), width - 1), (max(skip, 1, width - 1), width)):
                if start >= end:
                    continue
                look = looks(row, left + start)
                if value.dtype == object:
                    for column in range(start, end):
                        sheet.write_string(row, left + column, contents[column], look)
                else:
                    sheet.write_numbers(row, left + start, contents[start:end], look)
            skip = 0

    def repeated(self, sheet: Sheet, tensor: Tensor, place: Range, source: Range, looks: Looks) -> None:
        """Words or numbers that another model was given: links to its cells, constants where it has none."""
        for row, column in np.ndindex(tensor.shape):
            cell, value = place.part(row, column), tensor.value[row : row + 1, column : column + 1]
            if row < source.rows and column < source.columns:
                text = f"={source.part(row, column).seen_from(place.sheet)}"
                self.formula(sheet, CellFormula(cell, text, False, value), looks)
            else:
                self.constants(sheet, cell, value, looks)

    def limits(self, sheet: Sheet, tensor: Tensor, place: Range) -> None:
        """What may be typed into the cells of a control."""
        limits: Limits = tensor.settings["limits"]
        rule: dict[str, Any] = {"validate": "list", "source": list(limits.choices)}
        if not limits.choices:
            rule = {
                "validate": "integer" if limits.whole else "decimal",
                "criteria": "between",
                "minimum": limits.low,
                "maximum": min(limits.high, 1e15),
            }
        rule |= {"error_title": tensor.name[:32], "error_message": tr(f"{tensor.name} {limits.rule}.")[:255]}
        if tensor.kind == "control":
            rule |= {"input_title": tensor.name[:32], "input_message": tr(sentence_of(tensor))[:255]}
        sheet.data_validation(place.top, place.left, place.bottom, place.right, rule)

    def picture(self, sheet: Sheet, place: Range) -> None:
        """Pixels as shades of grey: the smallest black, the largest white; light numbers on dark."""
        area = place.top, place.left, place.bottom, place.right
        scale = {"type": "2_color_scale", "min_color": self.theme.black, "max_color": self.theme.white}
        sheet.conditional_format(*area, scale)
        pixels = place.absolute.partition("!")[2]
        dark = f"=2*{place.part(0, 0).a1}<MAX({pixels})+MIN({pixels})"
        sheet.conditional_format(
            *area, {"type": "formula", "criteria": dark, "format": self.look({"font_color": self.theme.white})}
        )

    def sentence(self, sheet: Sheet, model: Placed, tensor: Tensor, place: Range) -> None:
        """Words are chosen from the vocabulary, or repeated from another model; one that it does not have is marked."""
        area = place.top, place.left, place.bottom, place.right
        if tensor.path not in model.links:
            sheet.data_validation(
                *area,
                {
                    "validate": "list",
                    "source": f"={model.layout.places['vocabulary'].absolute}",
                    "error_title": tr("Not in the vocabulary"),
                    "error_message": tr("Choose a word from the list: the model knows no other."),
                },
            )
        known = model.layout.places[str(tensor.path).removesuffix("words") + "in_vocabulary"].part(0, 0).a1
        unknown = f'={known}="✗"'
        sheet.conditional_format(
            *area, {"type": "formula", "criteria": unknown, "format": self.look(self.theme.wrong_word)}
        )

    def label(self, sheet: Sheet, model: Placed, label: Label) -> None:
        names = {"left": "NAME_LEFT", "above": "NAME_ABOVE", "top": "NAME_TOP"}
        look = self.look(self.theme.text(names[label.side]))
        if label.words is None:
            for i in range(label.range.rows * label.range.columns):
                row, column = (i, 0) if label.side == "left" else (0, i)
                sheet.write_number(label.range.top + row, label.range.left + column, i, look)
            self.summary.cells += label.range.rows * label.range.columns
            return
        for formula in formulas_of(label.words, label.range, model.layout.places, self.style):
            self.formula(sheet, formula, lambda _row, _column: look)

    # --- the sheets around it ------------------------------------------------------------------------------------

    def beside(self, sheet: Page | Table) -> None:
        """A sheet that is no model."""
        if isinstance(sheet, Table):
            self.table(sheet)
        else:
            self.page(sheet)

    def cell(self, cell: Cell) -> Look:
        """The look of a plain cell."""
        if cell.kind:
            return self.theme.box(cell.look, cell.kind, cell.edges)
        return self.theme.text(cell.look, **({"indent": cell.indent} if cell.indent else {}))

    def plain_look(self, cell: Cell) -> Format:
        """Its format, found again for the many that look alike."""
        key = cell.look, cell.kind, cell.edges, cell.indent
        if key not in self.plain:
            self.plain[key] = self.look(self.cell(cell))
        return self.plain[key]

    def note(self, sheet: Sheet, row: int, column: int, text: str) -> None:
        """What a cell tells when one points at it."""
        if self.theme.bare:
            return
        sheet.write_comment(row, column, tr(text), {"x_scale": 2.5, "author": "sheetgen", "font_size": 10})

    def page(self, page: Page) -> Sheet:
        sheet = self.add_sheet(page.name)
        blank = self.look(self.theme.text())
        if self.theme.beyond:
            sheet.set_column(0, len(page.widths) + self.theme.beyond, None, blank)
        for column, width in enumerate(page.widths):
            sheet.set_column(column, column, width, blank)
        sheet.hide_gridlines(2)
        rows = max([1 + cell.row for cell in page.cells] + [grid.row + len(grid.values) for grid in page.grids])
        width = sum(page.widths)
        set_paper(sheet, self.theme.page(rows, width))
        if not self.theme.bare:
            sheet.set_row(0, self.theme.heading_height)
        self.fill(sheet, page)
        return sheet

    def fill(self, sheet: Sheet, page: Page) -> None:
        """The plain cells of a page, its links, and the rows that are folded up."""
        if page.levels:
            sheet.outline_settings(symbols_below=False)
        for row, folded in page.levels.items():
            sheet.set_row(row, None, None, {"level": 1, "hidden": folded})
            if folded and row - 1 not in page.levels:
                sheet.set_row(row - 1, None, None, {"collapsed": True})
        for cell in page.cells:
            look = self.plain_look(cell)
            if cell.value == "":
                sheet.write_blank(cell.row, cell.column, None, look)
                continue
            named = cell.column in page.names and cell.look in ("CELL", "LINK")
            value = tr(cell.value) if isinstance(cell.value, str) and not named else cell.value
            self.summary.cells += 1
            if cell.link:
                # To the defined name, so that the link follows when rows are inserted.
                sheet.write_url(cell.row, cell.column, f"internal:{cell.link}", look, str(value))
            else:
                sheet.write(cell.row, cell.column, value, look)
            if cell.note:
                self.note(sheet, cell.row, cell.column, cell.note)
        for grid in page.grids:
            self.summary.cells += grid.values.size
            for row, numbers in enumerate(grid.values.tolist(), start=grid.row):
                sheet.write_numbers(row, grid.column, numbers, self.plain_look(Cell(0, 0, 0)))
        for mirror in page.mirrors:
            looks = self.one(self.cell(mirror.cell) | {"num_format": tr(mirror.number)})
            for formula in formulas_of(mirror.tensor, mirror.range, self.places, self.style):
                self.formula(sheet, formula, looks)
        for live in page.live:
            self.live(sheet, live)
        for rule in () if self.theme.bare else page.rules:
            area = rule.range.top, rule.range.left, rule.range.bottom, rule.range.right
            changed = {"type": "formula", "criteria": rule.formula, "format": self.look(self.theme.changed)}
            sheet.conditional_format(*area, changed)
        insert_charts(self.book, sheet, page.charts, self.theme)

    def live(self, sheet: Sheet, live: LiveCell) -> None:
        """A cell about the model: a formula, or a choice."""
        place, look = live.range, self.theme.text(live.look) | {"num_format": live.number}
        if live.frame:
            look = self.theme.frame(live.frame, live.depth) | {"bold": False}
        if live.choices:
            self.text(sheet, place.top, place.left, live.text, look)
            sheet.data_validation(*(place.top, place.left) * 2, {"validate": "list", "source": list(live.choices)})
        else:
            value = np.array([[live.value]], dtype=object)
            self.formula(sheet, CellFormula(place, live.text, live.array, value), self.one(look))
        if live.name:
            self.book.define_name(live.name, f"={place.absolute}")

    def table(self, table: Table) -> None:
        """The plain cells of a sheet that computes by itself."""
        sheet = self.page(table.page)
        sheet.freeze_panes(*table.freeze)
        for (row, column), note in table.notes.items():
            self.note(sheet, row, column, note)

    def compute(self, table: Table) -> None:
        """What it computes, wherever that stands; yellow is what a reader is meant to change."""
        for area in table.states:
            self.states(self.sheets[area.sheet], area)
        for path, tensor in table.trace.blocks.items():
            place = table.places[path]
            sheet = self.sheets[place.sheet]
            look = self.one(self.theme.block(tensor, table.formats[path]))
            if tensor.kind == "computed":
                for formula in formulas_of(tensor, place, self.places, self.style):
                    self.formula(sheet, formula, look)
                continue
            free = 1 if place.bottom == table.free else 0
            self.constants(sheet, place, tensor.value[: place.rows - free], look)
            if free:
                own = self.one(self.theme.block(tensor, table.formats[path]) | self.theme.own_row)
                self.constants(sheet, place.part(place.rows - 1, 0), tensor.value[-1:], own)
            self.limits(sheet, tensor, place)

    def states(self, sheet: Sheet, area: Range) -> None:
        """What is done is struck out, what is being done stands out."""
        for state, look in self.theme.states.items():
            rule = {"type": "cell", "criteria": "==", "value": f'"{state}"', "format": self.look(look)}
            sheet.conditional_format(area.top, area.left, area.bottom, area.right, rule)

    def add_sheet(self, name: str) -> Sheet:
        self.summary.sheets.append(name)
        sheet: Sheet = self.book.add_worksheet(name, Sheet)
        self.sheets[name] = sheet
        return sheet

    def text(self, sheet: Sheet, row: int, column: int, text: str, look: Look) -> None:
        sheet.write_string(row, column, tr(text), self.look(look))
        self.summary.cells += 1
