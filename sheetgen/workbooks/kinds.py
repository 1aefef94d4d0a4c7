"""Every kind of workbook, and how a file of it is computed once more.

How one is made differs (`single.workbook`, `compare.workbook`, `tour.workbook`); what follows from its models, on
sheets that compute by themselves, is asked of all alike.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence

from sheetgen.published.table import Columns
from sheetgen.sheet.build import COMPARE, SINGLE, TOUR
from sheetgen.sheet.names import CHANGES, MAP, SCALE, STEPS
from sheetgen.sheet.workbook import Ran
from sheetgen.trace.recorder import Trace
from sheetgen.workbooks import compare, scale, single, tour

# (the models as the file has them, the sheets that are still there, the file's numbers) → what those sheets compute
KINDS: dict[str, Callable[[Sequence[Ran], Container[str], Columns], Iterator[Trace]]] = {
    SINGLE: single.recomputed,
    COMPARE: compare.recomputed,
    TOUR: tour.recomputed,
}
_OWN = {SINGLE: MAP, COMPARE: CHANGES, TOUR: STEPS}  # the sheet that a kind always has, and that is compared


def compared_sheets(models: Sequence[Ran]) -> list[str]:
    """The sheets that are compared besides the models', in a workbook of which nobody has deleted or renamed one."""
    own = _OWN.get(models[0].build.kind, MAP)
    return [own, *([SCALE] if scale.groups_of(models) else [])]
