"""The sheet Scale of a workbook: its own models beside the published ones that they belong to."""

from __future__ import annotations

import itertools
from collections.abc import Container, Sequence

from sheetgen.published.models import TOY, Toy, find_group, sizes_of
from sheetgen.published.table import PUBLISHED, Columns, ModelTable, model_table
from sheetgen.sheet.names import SCALE
from sheetgen.sheet.pages.scale import scale_page
from sheetgen.sheet.workbook import Ran, Table
from sheetgen.trace.recorder import Trace


def table(models: Sequence[Ran], names: Sequence[str] = ()) -> Table | None:
    """The sheet, a row for each model that belongs to published ones, called by `names`; None when none does.

    Raises InputError for a group of published models that is not known, or groups that are counted differently.
    """
    found = _counted(models, names, PUBLISHED)
    return scale_page(found) if found else None


def recomputed(models: Sequence[Ran], sheets: Container[str], source: Columns) -> Trace | None:
    """The sheet once more, from a workbook that has these sheets; None when it has no Scale."""
    found = _counted(models, (), source) if SCALE in sheets else None
    return found.trace if found else None


def groups_of(models: Sequence[Ran]) -> list[str]:
    """The groups of published models that the workbook shows, as its Config says, each once."""
    return list(dict.fromkeys(name for model in models for name in model.build.published or ()))


def _counted(models: Sequence[Ran], names: Sequence[str], source: Columns) -> ModelTable | None:
    groups = groups_of(models)
    return model_table(groups, _toys(models, names), source) if groups else None


def _toys(models: Sequence[Ran], names: Sequence[str]) -> list[Toy]:
    """The rows of the workbook's own models."""
    found = []
    for model, name in itertools.zip_longest(models, names, fillvalue=TOY):
        assert isinstance(model, Ran)
        if model.build.published:
            sizes = {**find_group(model.build.published[0]).common, **sizes_of(model.config)}
            found.append(Toy(sizes, model.trace.parameters(), str(name)))
    return found
