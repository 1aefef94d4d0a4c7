"""What a workbook is made of, before a library writes it: models on their sheets, pages of plain cells, tables.

A model stands on a sheet by its layout (`Placed`). A page holds cells that are no tensors (`Page`); a table is a page
that computes by itself (`Table`). Knows no Excel library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sheetgen.base.cells import Range
from sheetgen.look.load import LIGHT
from sheetgen.look.roles import FrameKind
from sheetgen.look.theme import Theme
from sheetgen.model.choices import Style
from sheetgen.model.families import Config
from sheetgen.model.presets import Request
from sheetgen.sheet.build import Build
from sheetgen.sheet.layout import Layout, lay_out
from sheetgen.sheet.names import MODEL
from sheetgen.trace.limits import Limits
from sheetgen.trace.ops import Array
from sheetgen.trace.recorder import Frame, Trace
from sheetgen.trace.tensor import Block, Tensor

# --- models ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ran:
    """A model of a workbook as far as sheets that compute with several models need it."""

    key: str
    config: Config
    trace: Trace
    build: Build

    def seen(self, path: str) -> Block:
        """One of its blocks as an operand for other sheets."""
        block = self.trace[path]
        return Block(
            block.value, axes=block.axes, path=workbook_path(path, self.key), frame=block.frame, kind=block.kind
        )


@dataclass(frozen=True)
class Placed:
    """One model of a workbook.

    key: heads its column of Config and begins its defined names; "" for the only model of a workbook. title: heads
    its sheet. links: where another model has the words and numbers that this one is given, too (path → range): its
    own cells repeat those.
    """

    request: Request
    build: Build
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
    build: Build,
    trace: Trace,
    *,
    key: str = "",
    title: str = "",
    sheet: str = MODEL,
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


# --- pages and tables --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """A text or number with the name of its look (`theme`) and, perhaps, the defined name it links to.

    named: it is a name, the same in every language, whatever the column holds besides.
    """

    row: int
    column: int
    value: str | float | bool
    look: str = "CELL"
    link: str = ""
    indent: int = 0
    kind: FrameKind | None = None  # of a box of the Map, the frame it stands for …
    edges: str = ""  # … and the sides of it that the cell is at
    note: str = ""
    named: bool = False


@dataclass(frozen=True)
class Grid:
    """Numbers beside and below each other, from a cell on, that look as ordinary cells do."""

    row: int
    column: int
    values: Array


@dataclass(frozen=True)
class Mirror:
    """A live copy of the block `owner` elsewhere: `tensor` says how its cells are computed.

    cell: the look of its cells; number: their number format.
    """

    owner: str
    range: Range
    tensor: Tensor
    cell: Cell = Cell(0, 0, "", "LIVE")
    number: str = "0.00"


@dataclass(frozen=True)
class LiveCell:
    """A cell that tells something about the model, but is no tensor of it: `check` does not compare it.

    text: a formula, or what a reader chooses from `choices`. frame, depth: of the bar that it stands in.
    name: its defined name, if it has one.
    """

    range: Range
    text: str
    value: str | float
    look: str = "CELL"
    number: str = "General"
    array: bool = False
    frame: Frame | None = None
    depth: int = 0
    name: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """Cells that are marked as changed while a formula, written for the first of them, is true."""

    range: Range
    formula: str


@dataclass(frozen=True)
class Series:
    """One colour of a chart: its name, and the cells of its values."""

    name: str
    values: Range


@dataclass(frozen=True)
class Chart:
    """A chart of live cells. alt: what it shows, for those who do not see it."""

    shape: Literal["bars", "stacked", "shares", "lines"]
    title: str
    across: str  # names of the axes
    up: str
    names: Range  # cells that name the places along the axis
    series: tuple[Series, ...]
    alt: str


@dataclass
class Page:
    """One sheet of plain cells, some in `grids`; `mirrors` are live copies of blocks of the model.

    names: columns whose ordinary cells hold names, values and formulas, which are the same in every language.
    """

    name: str
    widths: list[float]
    names: frozenset[int] = frozenset()
    cells: list[Cell] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)
    mirrors: list[Mirror] = field(default_factory=list)
    levels: dict[int, bool] = field(default_factory=dict)  # rows that belong to the one above: folded up or not
    charts: list[Chart] = field(default_factory=list)
    live: list[LiveCell] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)

    def cell(self, row: int, column: int, value: str | float | bool, look: str = "CELL", indent: int = 0) -> None:
        """One cell."""
        self.cells.append(Cell(row, column, value, look, "", indent))

    def link(self, row: int, column: int, text: str, name: str) -> None:
        """One cell that leads to a defined name."""
        self.cells.append(Cell(row, column, text, "LINK", name))

    def row(self, row: int, *values: str | float | bool, look: str = "CELL", link: str = "", indent: int = 0) -> None:
        """A row from column A on; the first cell carries the link and the indent."""
        for column, value in enumerate(values):
            if value != "":
                here = link if column == 0 else ""
                self.cells.append(Cell(row, column, value, "LINK" if here else look, here, 0 if column else indent))


@dataclass
class Table:
    """A sheet that computes by itself: a trace that is no model, its places, and the plain cells around it."""

    page: Page
    trace: Trace
    places: dict[str, Range] = field(default_factory=dict)
    formats: dict[str, str] = field(default_factory=dict)  # path → number format
    notes: dict[tuple[int, int], str] = field(default_factory=dict)  # (row, column) → comment of the cell
    freeze: tuple[int, int] = (0, 0)  # the first cell that scrolls
    free: int | None = None  # row of the sheet in which a reader types
    typed: Limits = Limits()  # what may be typed there, and over the numbers above
    states: list[Range] = field(default_factory=list)  # cells that say to do, doing or done

    def put(self, path: str, place: Range, number_format: str) -> None:
        """Where a block of the trace stands, and how its numbers look."""
        self.places[path] = place
        self.formats[path] = number_format

    def remark(self, row: int, column: int, text: str) -> None:
        """A comment on a cell, unless there is nothing to say."""
        if text:
            self.notes[row, column] = text


# --- the whole ---------------------------------------------------------------------------------------------------


@dataclass
class Workbook:
    """What is written: the sheets in their order, and how."""

    title: str
    subject: str
    sheets: Sequence[Placed | Page | Table]
    style: Style = "blocks"
    theme: Theme = LIGHT
    panels: Sequence[Page] = ()  # more plain cells for sheets that are there
    marked: frozenset[str] = frozenset()  # paths of blocks with a ★ at their titles

    @property
    def models(self) -> list[Placed]:
        """The models in their order."""
        return [sheet for sheet in self.sheets if isinstance(sheet, Placed)]

    @property
    def tables(self) -> list[Table]:
        """The sheets that compute by themselves."""
        return [sheet for sheet in self.sheets if isinstance(sheet, Table)]
