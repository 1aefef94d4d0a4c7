"""The sheet Scale of a workbook: its own models beside the published ones that they belong to."""

from __future__ import annotations

import itertools
from collections.abc import Container, Sequence

from sheetgen.published import counts as published
from sheetgen.published.counts import Columns
from sheetgen.sheet.names import SCALE
from sheetgen.sheet.workbook import Ran, Table
from sheetgen.trace.recorder import Trace


def table(models: Sequence[Ran], names: Sequence[str] = (), source: Columns | None = None) -> Table | None:
    """The sheet, a row for each model that belongs to published ones, called by `names`; None when none does.

    source: a workbook whose numbers count instead of the published ones. Raises InputError for a group of published
    models that is not known, or groups that are counted differently.
    """
    groups = groups_of(models)
    return published.table_of(groups, _toys(models, names), source) if groups else None


def recomputed(models: Sequence[Ran], sheets: Container[str], source: Columns) -> Trace | None:
    """The sheet once more, from a workbook that has these sheets; None when it has no Scale."""
    found = table(models, source=source) if SCALE in sheets else None
    return None if found is None else found.trace


def groups_of(models: Sequence[Ran]) -> list[str]:
    """The groups of published models that the workbook shows, as its Config says, each once."""
    return list(dict.fromkeys(name for model in models for name in model.build.published or ()))


def _toys(models: Sequence[Ran], names: Sequence[str]) -> list[published.Toy]:
    """The rows of the workbook's own models."""
    found = []
    for model, name in itertools.zip_longest(models, names, fillvalue=published.TOY):
        assert isinstance(model, Ran)
        if model.build.published:
            sizes = {**published.find_group(model.build.published[0]).common, **published.sizes_of(model.config)}
            found.append(published.Toy(sizes, model.trace.parameters(), str(name)))
    return found
