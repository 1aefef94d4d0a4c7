"""Proves a workbook: rebuilds its model, has an engine recompute it, compares tensor by tensor.

Or, without an engine, compares the formulas themselves with those that the model has (`STATIC`).

Nothing is trusted but what a person may edit: Config, red cells, controls and words. Blocks are found through their
defined names, which spreadsheet programs move when rows are inserted.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sheetgen.base.cells import Range
from sheetgen.base.lang import speaking
from sheetgen.engines import ENGINES
from sheetgen.model.choices import Style
from sheetgen.proof.comparison import Comparison
from sheetgen.proof.report import STATIC, Report
from sheetgen.proof.resized import remarks
from sheetgen.proof.workbook import (
    WorkbookSource,
    config_of,
    finite,
    language_of,
    places_of,
    rebuilt,
    resized_by,
    settings_of,
)
from sheetgen.sheet.build import SINGLE, Build
from sheetgen.sheet.layout import lay_out
from sheetgen.sheet.workbook import Ran, workbook_path
from sheetgen.trace.ops import Array
from sheetgen.workbooks.kinds import KINDS, compared_sheets
from sheetgen.xlsx.read import Book, read_book


def check(path: Path, engine: str = "formulas") -> Report:
    """Recompute the workbook and compare every tensor; with engine `STATIC`, compare formulas only.

    Raises InputError, BookError or EngineError when that cannot be done, with the reason.
    """
    return check_book(read_book(path), engine)


def check_book(book: Book, engine: str = "formulas") -> Report:
    """`check` of a workbook that has been read already."""
    settings = settings_of(book)
    with speaking(language_of(settings, book.path)):
        return _check(book, settings, engine)


def _check(book: Book, settings: dict[str, dict[str, Any]], engine: str) -> Report:
    configs = {key: config_of(mine, book.path) for key, mine in settings.items()}
    values = None if engine == STATIC else ENGINES[engine](book.path, book)
    report = Report(book.path, engine)
    places: dict[str, Range] = {}  # of every tensor of the workbook
    models = []
    builds = {key: Build.decode(mine) for key, mine in settings.items()}
    style: Style = "cells" if any(build.formulas == "cells" for build in builds.values()) else "blocks"
    for key, config in configs.items():
        workbook = WorkbookSource(book, values, key)
        trace = finite(config, workbook)
        told = remarks(config, functools.partial(resized_by, book, values, key), workbook.resized)
        report.remarks += [f"{key}: {remark}" if key else remark for remark in told]
        models.append(Ran(key, config, trace, builds[key]))
        report.predictions[key] = config.prediction(trace)
        mine = places_of(book, trace, key)
        Comparison(book, values, mine, style, report, key).run(trace, lay_out(trace))
        places |= {workbook_path(path, key): place for path, place in mine.items()}
    report.remarks += [
        f"The sheet {name} is not there: what it computes was not compared. If it was renamed, rename it back."
        for name in compared_sheets(models)
        if name not in book.sheets
    ]
    recomputed = KINDS.get(models[0].build.kind, KINDS[SINGLE])
    for table in recomputed(models, book.sheets, WorkbookSource(book, values)):
        places |= places_of(book, table)
        Comparison(book, values, places, style, report).run(table, None)
    return report


@dataclass(frozen=True)
class Standing:
    """A model as its workbook stands now: the preset it was made from, its tensors, their recomputed values by path."""

    preset: str
    model: Ran
    values: dict[str, Array]


def standing(book: Book, engine: str = "formulas") -> dict[str, Standing]:
    """The models of a workbook by their keys, nothing compared; raises as `check` does."""
    values = ENGINES[engine](book.path, book)
    found = {}
    for key, settings in settings_of(book).items():
        config = config_of(settings, book.path)
        model = Ran(key, config, rebuilt(config, WorkbookSource(book, values, key)), Build.decode(settings))
        now = {path: values.range(place) for path, place in places_of(book, model.trace, key).items()}
        found[key] = Standing(str(settings.get("preset", "")), model, now)
    return found
