"""A model in its workbook: what was asked for, its tensors and where they stand. A workbook holds one or more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sheetgen.base.cells import Range
from sheetgen.model.families import Config
from sheetgen.model.presets import Request
from sheetgen.sheet.layout import SHEET, Layout, lay_out
from sheetgen.trace.tensor import Tensor, Trace


@dataclass(frozen=True)
class Ran:
    """A model of a workbook as far as sheets that compute with several models need it.

    build: what Config says of it before its sizes.
    """

    key: str
    config: Config
    trace: Trace
    build: Mapping[str, Any]

    def seen(self, path: str) -> Tensor:
        """One of its blocks as an operand for other sheets."""
        block = self.trace[path]
        tensor = Tensor(block.value, kind=block.kind, axes=block.axes)
        tensor.path = workbook_path(path, self.key)
        return tensor


@dataclass(frozen=True)
class Placed:
    """One model of a workbook.

    build: how it was built, the rows of Config before the sizes. key: heads its column of Config and begins its
    defined names; "" for the only model of a workbook. title: heads its sheet. links: where another model has the
    words and numbers that this one is given, too (path → range): its own cells repeat those.
    """

    request: Request
    build: Mapping[str, str | int]
    trace: Trace
    layout: Layout
    key: str = ""
    title: str = ""
    links: Mapping[str, Range] = field(default_factory=dict)

    @property
    def sheet(self) -> str:
        """The sheet it stands on."""
        return self.layout.sheet

    @property
    def ran(self) -> Ran:
        """What other sheets compute with."""
        return Ran(self.key, self.request.config, self.trace, self.build)

    def path(self, path: str) -> str:
        """The path of one of its tensors within the workbook."""
        return workbook_path(path, self.key)

    def name(self, path: str) -> str:
        """The workbook's name of one of its tensors."""
        return defined_name(self.path(path))


def place(
    request: Request,
    build: Mapping[str, str | int],
    trace: Trace,
    *,
    key: str = "",
    title: str = "",
    sheet: str = SHEET,
    given_by: Placed | None = None,
    free: int = 0,
) -> Placed:
    """The model on its sheet, `free` rows below the title left free.

    given_by: the model whose words and inputs it repeats, as far as both have them. Raises InputError when it has no
    numbers that cells could hold, or finds no room.
    """
    trace.refuse_infinite("choose other settings, smaller weights or inputs")
    links = _shared(given_by, trace) if given_by else {}
    return Placed(request, build, trace, lay_out(trace, sheet, free), key, title or request.preset.title, links)


def workbook_path(path: str, key: str) -> str:
    """The path of a tensor of the model `key` within the workbook: `layer_0.out` → `a.layer_0.out`."""
    return f"{key}.{path}" if key else path


def defined_name(path: str) -> str:
    """The workbook's name of a tensor: `layer_0.head_1.Q` → `layer_0__head_1__Q`."""
    return path.replace(".", "__")


def _shared(first: Placed, trace: Trace) -> dict[str, Range]:
    """Where `first` has what the model is given, too; of a longer vocabulary the part that both have."""
    found = {}
    for path, tensor in trace.blocks.items():
        twin = first.trace.blocks.get(path)
        if tensor.kind in ("text", "input") and twin is not None:
            rows, columns = min(tensor.rows, twin.rows), min(tensor.columns, twin.columns)
            if (tensor.value[:rows, :columns] == twin.value[:rows, :columns]).all():
                found[path] = first.layout.places[path].part(slice(0, rows), slice(0, columns))
    return found
