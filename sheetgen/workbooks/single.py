"""The workbook of one model: its Map and Model, and the pages around it."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from sheetgen.look.theme import Theme
from sheetgen.model.families import run
from sheetgen.model.presets import Request
from sheetgen.published.table import Columns
from sheetgen.sheet.build import Build
from sheetgen.sheet.pages import baseline
from sheetgen.sheet.pages.charts import pictures_page
from sheetgen.sheet.pages.config import config_page
from sheetgen.sheet.pages.contents import contents_page
from sheetgen.sheet.pages.map import map_page
from sheetgen.sheet.workbook import Page, Ran, Table, Workbook, place
from sheetgen.trace.recorder import Source, Trace
from sheetgen.workbooks import scale


def workbook(request: Request, source: Source, build: Build, theme: Theme, kept: bool = True) -> Workbook:
    """The workbook of what is asked for, with the numbers of `source`.

    kept: it keeps the values that it is built with, to mark what changes later (the sheet Baseline). Raises InputError
    when the model has no numbers that cells could hold, or is too large.
    """
    model = place(request, build, run(request.config, source))
    table = scale.table([model.ran])
    charts = pictures_page(model, table)
    after: list[Page | Table] = [charts] if charts else []
    after += [config_page([model]), contents_page([model]), *([table] if table else [])]
    overview, panels = map_page(model), list[Page]()
    if kept:
        values, panels = baseline.add(model, overview)
        after.append(values)
    preset = request.preset
    return Workbook(preset.title, preset.summary, [overview, model, *after], build.formulas, theme, panels)


def recomputed(models: Sequence[Ran], sheets: Container[str], source: Columns) -> Iterator[Trace]:
    """What the workbook computes besides its model, on those of its sheets that are still there."""
    if (table := scale.recomputed(models, sheets, source)) is not None:
        yield table
