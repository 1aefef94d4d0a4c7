"""The sheets around the model, as plain cells: Map, Config and Contents. Knows no Excel library.

Reading Config back (`check`) relies on its form: the name of a setting in column A, its value in column B.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from sheetgen import words
from sheetgen.address import Range
from sheetgen.layout import Layout
from sheetgen.presets import Request
from sheetgen.tensor import Frame, Tensor, Trace, apply

MAP, MODEL, CONFIG, CONTENTS = "Map", "Model", "Config", "Contents"


@dataclass(frozen=True)
class Cell:
    """A text or number with the name of its look (`theme`) and, perhaps, the defined name it links to."""

    row: int
    column: int
    value: str | float | bool
    look: str = "CELL"
    link: str = ""
    indent: int = 0


@dataclass(frozen=True)
class Mirror:
    """A live copy of the block `owner` elsewhere: `tensor` says how its cells are computed."""

    owner: str
    range: Range
    tensor: Tensor


@dataclass
class Page:
    """One sheet of plain cells; `mirrors` are live copies of blocks of the model."""

    name: str
    widths: list[float]
    cells: list[Cell] = field(default_factory=list)
    mirrors: list[Mirror] = field(default_factory=list)

    def row(self, row: int, *values: str | float | bool, look: str = "CELL", link: str = "", indent: int = 0) -> None:
        """A row from column A on; the first cell carries the link and the indent."""
        for column, value in enumerate(values):
            if value != "":
                here = link if column == 0 else ""
                self.cells.append(Cell(row, column, value, "LINK" if here else look, here, 0 if column else indent))


def defined_name(path: str) -> str:
    """The workbook's name of a tensor: `layer_0.head_1.Q` → `layer_0__head_1__Q`."""
    return path.replace(".", "__")


def settings_of(request: Request, build: Mapping[str, str | int]) -> dict[str, Any]:
    """What Config holds: how the workbook was built, then every size of the family."""
    sizes = {f.name: getattr(request.config, f.name) for f in dataclasses.fields(request.config)}
    # As words, since LibreOffice saves TRUE and FALSE as formulas.
    sizes |= {name: "yes" if value else "no" for name, value in sizes.items() if isinstance(value, bool)}
    return {"preset": request.preset.name, "family": request.config.family, **build, **sizes}


def config_page(request: Request, build: Mapping[str, str | int], trace: Trace) -> Page:
    """Every setting of the workbook, one per row, with a sentence."""
    page = Page(CONFIG, [24, 18, 100])
    page.row(0, f"{request.preset.title}: settings", look="HEADING")
    page.row(
        1,
        "What this workbook was built with. `sheetgen check` reads it; to change a size, build anew.",
        look="SUBTITLE",
    )
    page.row(3, "setting", "value", "meaning", look="TABLE_HEAD")
    sentences = {
        "preset": f"{request.preset.summary}",
        "family": "Which equations.",
        "published": "The published models on the sheet Scale, by group.",
        "seed": "Weights are drawn from it, each number by itself: growing the model leaves the others as they are.",
        "weights": "How weights were drawn: byhand (one decimal), normal, zeros; checkpoint: they were read from one.",
        "cut": "What of the checkpoint is not in this workbook.",
        "formulas": "blocks: one array formula per block; cells: one formula per cell.",
    } | {f.name: f.metadata["doc"] for f in dataclasses.fields(request.config)}
    row = 4
    for name, value in settings_of(request, build).items():
        page.row(row, name, value, sentences[name])
        row += 1
    page.row(row + 1, "parameters", trace.parameters(), "Trainable numbers: the red cells of the Model sheet.")
    page.row(row + 2, "paper", request.preset.paper)
    page.row(row + 3, "made by", f"sheetgen {version('sheetgen')}")
    return page


def contents_page(request: Request, trace: Trace, layout: Layout) -> Page:
    """Every tensor in the order of computation: link, cells, shape, operation, sentence."""
    page = Page(CONTENTS, [34, 14, 10, 12, 46, 100])
    page.row(0, f"{request.preset.title}: every tensor", look="HEADING")
    page.row(1, "In the order of computation. Click a name to jump to its cells.", look="SUBTITLE")
    page.row(3, "tensor", "cells", "shape", "kind", "equation", "what it is", look="TABLE_HEAD")
    for row, (path, tensor) in enumerate(trace.blocks.items(), start=4):
        equation = f"{tensor.name} = {words.equation(tensor)}" if tensor.kind == "computed" else ""
        cells = layout.places[path].a1
        kind = "trainable" if tensor.kind == "weight" else tensor.kind
        page.row(
            row,
            path,
            cells,
            words.shape(tensor),
            kind,
            equation,
            words.sentence(tensor),
            link=defined_name(path),
        )
    return page


def map_page(request: Request, trace: Trace) -> Page:
    """The architecture from the input down to the output, each part a link; the prediction, live."""
    longest = max(len(frame.title) + 3 * depth for depth, frame in _frames(trace.root))
    page = Page(MAP, [max(40, 0.95 * longest), 12, 14, 80])
    page.row(0, request.preset.title, look="HEADING")
    page.row(1, request.preset.summary, look="SUBTITLE")
    page.row(
        2,
        f"{trace.parameters():,} parameters (red cells). Data flows down; click a part to go there.",
        look="SUBTITLE",
    )
    page.row(4, "part", "result", "shape", "what it does", look="TABLE_HEAD")
    row = 5
    for depth, frame in _frames(trace.root):
        first, last = _blocks(frame)[0], _blocks(frame)[-1]
        page.row(
            row,
            frame.title,
            words.title(last),
            words.shape(last),
            words.sentence(last),
            link=defined_name(str(first.path)),
            indent=2 * depth,
        )
        row += 1
    page.mirrors = mirrors(trace)
    for mirror in page.mirrors:
        name = words.title(trace[mirror.owner])
        page.cells.append(Cell(mirror.range.top - 1, mirror.range.left, name, "TABLE_HEAD"))
    return page


def mirrors(trace: Trace) -> list[Mirror]:
    """The live part of the Map: each word, and what the model expects after it."""
    top = 5 + len(list(_frames(trace.root))) + 2
    shown = ("words", "encoder.words", "decoder.words", "next_word", "next_prob", "label", "label_prob")
    live = [trace.blocks[path] for path in shown if path in trace.blocks]
    return [
        Mirror(str(t.path), Range(MAP, top, column, top + t.columns - 1, column), apply("transpose", t))
        for column, t in enumerate(live)
    ]


def _frames(frame: Frame, depth: int = 0) -> Iterator[tuple[int, Frame]]:
    for item in frame.items:
        if isinstance(item, Frame):
            yield depth, item
            yield from _frames(item, depth + 1)


def _blocks(frame: Frame) -> list[Tensor]:
    return [block for item in frame.items for block in ([item] if isinstance(item, Tensor) else _blocks(item))]
