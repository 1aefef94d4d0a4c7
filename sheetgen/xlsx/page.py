"""The sheets around the models: pages of plain cells, and the tables that compute by themselves."""

from __future__ import annotations

import numpy as np

from sheetgen.base.lang import tr
from sheetgen.sheet.formula import CellFormula
from sheetgen.sheet.workbook import Cell, LiveCell, Page, Table
from sheetgen.trace.tensor import Control
from sheetgen.xlsx import rules
from sheetgen.xlsx.charts import insert_charts
from sheetgen.xlsx.draft import Draft
from sheetgen.xlsx.library import Worksheet
from sheetgen.xlsx.paper import set_paper


def add_page(draft: Draft, page: Page) -> Worksheet:
    """A sheet of plain cells."""
    theme, sheet = draft.theme, draft.add_sheet(page.name)
    blank = draft.look(theme.text())
    if theme.beyond:
        sheet.set_column(0, len(page.widths) + theme.beyond, None, blank)
    for column, width in enumerate(page.widths):
        sheet.set_column(column, column, width, blank)
    sheet.hide_gridlines(2)
    rows = max([1 + cell.row for cell in page.cells] + [grid.row + len(grid.values) for grid in page.grids])
    set_paper(sheet, theme.page(rows, sum(page.widths)))
    if not theme.bare:
        sheet.set_row(0, theme.heading_height)
    fill(draft, page)
    return sheet


def add_table(draft: Draft, table: Table) -> None:
    """The plain cells of a sheet that computes by itself."""
    sheet = add_page(draft, table.page)
    sheet.freeze_panes(*table.freeze)
    for (row, column), note in table.notes.items():
        draft.note(sheet, row, column, note)


def fill(draft: Draft, page: Page) -> None:
    """What a page holds, on its sheet: rows that fold, plain cells, live ones, rules and charts."""
    sheet = draft.sheets[page.name]
    _fold(sheet, page.levels)
    for cell in page.cells:
        named = cell.named or (cell.column in page.names and cell.look in ("CELL", "LINK"))
        _plain(draft, sheet, cell, named)
    for grid in page.grids:
        draft.summary.cells += grid.values.size
        look = draft.plain(Cell(0, 0, 0))
        for row, numbers in enumerate(grid.values.tolist(), start=grid.row):
            sheet.write_numbers(row, grid.column, numbers, look)
    for mirror in page.mirrors:
        looks = draft.everywhere(draft.cell_look(mirror.cell) | {"num_format": tr(mirror.number)})
        draft.computed(mirror.tensor, mirror.range, draft.places, looks)
    for live in page.live:
        _live(draft, sheet, live)
    for rule in () if draft.theme.bare else page.rules:
        rules.changed(draft, rule)
    insert_charts(draft.book, sheet, page.charts, draft.theme)


def _fold(sheet: Worksheet, levels: dict[int, bool]) -> None:
    """Rows that belong to the one above them, some folded up."""
    if levels:
        sheet.outline_settings(symbols_below=False)
    for row, folded in levels.items():
        sheet.set_row(row, None, None, {"level": 1, "hidden": folded})
        if folded and row - 1 not in levels:
            sheet.set_row(row - 1, None, None, {"collapsed": True})


def _plain(draft: Draft, sheet: Worksheet, cell: Cell, named: bool) -> None:
    """One plain cell. named: it holds a name, a value or a formula, which is the same in every language."""
    look = draft.plain(cell)
    if cell.value == "":
        sheet.write_blank(cell.row, cell.column, None, look)
        return
    value = tr(cell.value) if isinstance(cell.value, str) and not named else cell.value
    draft.summary.cells += 1
    if cell.link:
        # To the defined name, so that the link follows when rows are inserted.
        sheet.write_url(cell.row, cell.column, f"internal:{cell.link}", look, str(value))
    else:
        sheet.write(cell.row, cell.column, value, look)
    if cell.note:
        draft.note(sheet, cell.row, cell.column, cell.note)


def _live(draft: Draft, sheet: Worksheet, live: LiveCell) -> None:
    """A cell about the model: a formula, or a choice."""
    place, look = live.range, draft.theme.text(live.look) | {"num_format": live.number}
    if live.frame:
        look = draft.theme.frame(live.frame, live.depth) | {"bold": False}
    if live.choices:
        draft.text(sheet, place.top, place.left, live.text, look)
        rules.one_of(draft, place, live.choices)
    else:
        value = np.array([[live.value]], dtype=object)
        draft.formula(CellFormula(place, live.text, live.array, value), draft.everywhere(look))
    if live.name:
        draft.book.define_name(live.name, f"={place.absolute}")


def compute(draft: Draft, table: Table) -> None:
    """What a table computes, wherever that stands; yellow is what a reader is meant to change."""
    theme = draft.theme
    for area in table.states:
        rules.states(draft, area)
    for path, tensor in table.trace.blocks.items():
        place, look = table.places[path], theme.block(tensor, table.formats[path])
        looks = draft.everywhere(look)
        if tensor.kind == "computed":
            draft.computed(tensor, place, draft.places, looks)
            continue
        free = 1 if place.bottom == table.free else 0
        draft.constants(place, tensor.value[: place.rows - free], looks)
        if free:
            own = draft.everywhere(look | theme.own_row)
            draft.constants(place.part(place.rows - 1, 0), tensor.value[-1:], own)
        rules.limited(draft, place, tensor, tensor.limits if isinstance(tensor, Control) else table.typed)
