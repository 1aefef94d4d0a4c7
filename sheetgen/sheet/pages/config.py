"""The sheets around the model, as plain cells: Config and Contents (the Map is in `diagram`). Knows no Excel library.

Reading Config back (`check`) relies on its form: below the row that begins with "setting", the name of a setting in
column A and its values in a column per model, which is headed by the model's key ("value" for the only one).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Literal

from sheetgen.base import lang
from sheetgen.base.cells import Range
from sheetgen.look.theme import LIGHT, Kind, Theme
from sheetgen.model.config import ALIKE
from sheetgen.sheet.formula import Style
from sheetgen.sheet.workbook import Placed
from sheetgen.text import blocks as words
from sheetgen.trace.ops import Array
from sheetgen.trace.tensor import Frame, Tensor, Trace

MAP, MODEL, CONFIG, CONTENTS = "Map", "Model", "Config", "Contents"
SETTING, VALUE, MEANING = "setting", "value", "meaning"  # heads of the columns of Config


@dataclass(frozen=True)
class Cell:
    """A text or number with the name of its look (`theme`) and, perhaps, the defined name it links to."""

    row: int
    column: int
    value: str | float | bool
    look: str = "CELL"
    link: str = ""
    indent: int = 0
    kind: Kind | None = None  # of a box of the Map, the frame it stands for …
    edges: str = ""  # … and the sides of it that the cell is at
    note: str = ""


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
class Live:
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
    live: list[Live] = field(default_factory=list)
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
    states: list[Range] = field(default_factory=list)  # cells that say to do, doing or done

    def put(self, path: str, place: Range, number_format: str) -> None:
        """Where a block of the trace stands, and how its numbers look."""
        self.places[path] = place
        self.formats[path] = number_format

    def remark(self, row: int, column: int, text: str) -> None:
        """A comment on a cell, unless there is nothing to say."""
        if text:
            self.notes[row, column] = text


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


def settings_of(model: Placed) -> dict[str, Any]:
    """What Config holds: how the model was built, then every size of the family."""
    request = model.request
    sizes = {f.name: getattr(request.config, f.name) for f in dataclasses.fields(request.config)}
    # As words, since LibreOffice saves TRUE and FALSE as formulas.
    sizes |= {name: "yes" if value else "no" for name, value in sizes.items() if isinstance(value, bool)}
    # With blanks, since 5,3,3 might be read as a number.
    sizes |= {name: " ".join(map(str, value)) or ALIKE for name, value in sizes.items() if isinstance(value, tuple)}
    made = {"preset": request.preset.name, "family": request.config.family, "language": lang.spoken()}
    return {**made, **model.build, **sizes}


def config_page(models: Sequence[Placed], title: str = "") -> Page:
    """Every setting of the models, one per row, with a sentence; a column for each model."""
    first, alone = models[0], len(models) == 1
    page = Page(CONFIG, [24, *([18] * len(models)), 100], frozenset(range(1 + len(models))))
    page.row(0, f"{title or first.request.preset.title}: settings", look="HEADING")
    page.row(
        1,
        "What this workbook was built with. `sheetgen check` reads it; to change a size, build anew.",
        look="SUBTITLE",
    )
    page.row(3, SETTING, *(model.key or VALUE for model in models), MEANING, look="TABLE_HEAD")
    sentences: dict[str, str] = {
        "preset": first.request.preset.summary if alone else "What it was made from.",
        "family": "Which equations.",
        "language": "The language of the texts; names of settings and tensors are the same in every language.",
        "published": "The published models on the sheet Scale, by group.",
        "workbook": "What the models were put together for; empty when there is only one.",
        "like": "The published models that it is a small form of.",
        "seed": "Weights are drawn from it, each number by itself: growing the model leaves the others as they are.",
        "weights": "How weights were drawn: byhand (one decimal), normal, zeros; checkpoint: they were read from one.",
        "cut": "What of the checkpoint is not in this workbook.",
        "formulas": "blocks: one array formula per block; cells: one formula per cell.",
        "theme": "How it looks: light, dark, print, plain, or the TOML file that says so.",
    }
    settings = [settings_of(model) for model in models]
    for model in models:
        sentences |= {f.name: f.metadata["doc"] for f in dataclasses.fields(model.request.config)}
    row = 4
    for name in dict.fromkeys(name for mine in settings for name in mine):
        page.row(row, name, *(mine.get(name, "") for mine in settings), sentences[name])
        row += 1
    red = "the red cells of the Model sheet." if alone else "the red cells."
    page.row(
        row + 1, lang.tr("parameters"), *(model.trace.parameters() for model in models), f"Trainable numbers: {red}"
    )
    page.row(row + 2, lang.tr("paper"), *(model.request.preset.paper for model in models))
    page.row(row + 3, lang.tr("made by"), f"sheetgen {version('sheetgen')}")
    return page


def contents_page(models: Sequence[Placed], title: str = "") -> Page:
    """Every tensor in the order of computation: link, cells, shape, operation, sentence."""
    page = Page(CONTENTS, [34, 14, 10, 12, 46, 100], frozenset({0, 1, 2, 4}))
    page.row(0, f"{title or models[0].request.preset.title}: every tensor", look="HEADING")
    page.row(1, "In the order of computation. Click a name to jump to its cells.", look="SUBTITLE")
    page.row(3, "tensor", "cells", "shape", "kind", "equation", "what it is", look="TABLE_HEAD")
    row = 4
    for model in models:
        if model.key:
            page.row(row, model.title, look="KEY")
            row += 1
        for path, tensor in model.trace.blocks.items():
            equation = f"{tensor.name} = {words.equation(tensor)}" if tensor.kind == "computed" else ""
            cells = model.layout.places[path]
            page.row(
                row,
                path,
                str(cells) if model.key else cells.a1,
                words.shape(tensor),
                "trainable" if tensor.kind == "weight" else tensor.kind,
                equation,
                words.sentence(tensor),
                link=model.name(path),
            )
            row += 1
    return page
