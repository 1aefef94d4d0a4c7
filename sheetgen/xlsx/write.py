"""Writes a workbook: the order of work. What a sheet looks like is told by `model` and `page`."""

from __future__ import annotations

import datetime
from pathlib import Path

import xlsxwriter
from xlsxwriter.exceptions import FileCreateError

from sheetgen.base import atomic
from sheetgen.sheet.workbook import Placed, Table, Workbook, defined_name
from sheetgen.xlsx import library, seal
from sheetgen.xlsx.draft import Draft, Summary
from sheetgen.xlsx.model import ModelSheet, Progress
from sheetgen.xlsx.page import add_page, add_table, compute, fill

CREATED = datetime.datetime(2026, 1, 1)  # the same command writes the same bytes


def write(target: Path, workbook: Workbook, progress: Progress = lambda _: None) -> Summary:
    """Write the workbook to `target`, sealed (see `seal`); an existing file is replaced only by a whole one."""
    with atomic.replacing(target) as draft:
        options = {"strings_to_formulas": False, "strings_to_urls": False, "tmpdir": str(draft.parent)}
        book: library.Workbook = xlsxwriter.Workbook(draft, options)
        book.set_properties({"title": workbook.title, "subject": workbook.subject, "created": CREATED})
        book.set_custom_property(seal.PROPERTY, seal.BLANK)
        book.set_calc_mode("auto")
        summary = _fill(book, workbook, progress)
        try:
            book.close()
        except FileCreateError as error:  # an OSError in disguise
            raise OSError(*getattr(error.args[0], "args", error.args)) from error
        seal.seal(draft)
    return summary


def _fill(book: library.Workbook, workbook: Workbook, progress: Progress) -> Summary:
    """All sheets in their order, then what reads them, then the names."""
    places = {model.path(path): place for model in workbook.models for path, place in model.layout.places.items()}
    for table in workbook.tables:
        places |= table.places
    draft = Draft(book, workbook.theme, workbook.style, places)
    first = workbook.sheets[0]
    home = "" if isinstance(first, Placed) else (first.page if isinstance(first, Table) else first).name
    for sheet in workbook.sheets:
        if isinstance(sheet, Placed):
            ModelSheet(draft, sheet, home, workbook.marked).write(progress, activate=len(workbook.models) == 1)
        elif isinstance(sheet, Table):
            add_table(draft, sheet)
        else:
            add_page(draft, sheet)
    for panel in workbook.panels:
        fill(draft, panel)
    for table in workbook.tables:
        compute(draft, table)
    for path, place in places.items():
        book.define_name(defined_name(path), f"={place.absolute}")
    return draft.summary
