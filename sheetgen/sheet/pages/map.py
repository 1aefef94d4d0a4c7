"""The Map: the model as a block diagram of cells and borders, from the input down to the output.

Frames that hold other frames are drawn as boxes around them; the others, and the blocks that stand between them, as
small boxes side by side: their name leads to the cells, below it stands what matters, live. The residual stream is a
line at the left; what adds to it is a row of its own. Every live cell is a tensor (`Mirror`), so `check` verifies it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from sheetgen.base.cells import Range
from sheetgen.look.roles import FrameKind, kind_of
from sheetgen.model.rounding import EFFECT, TWIN
from sheetgen.sheet.names import MAP
from sheetgen.sheet.pages.boxes import MapBox, holds_frames, items_of, parameters_of
from sheetgen.sheet.workbook import Cell, Mirror, Page, Placed
from sheetgen.text.blocks import PURPOSES
from sheetgen.text.equation import equation_of, part_name, sentence_of, title_of
from sheetgen.trace.recorder import Frame, Trace
from sheetgen.trace.tensor import Block, Tensor, apply

ABREAST = 4  # boxes side by side
STREAM, BRANCH = 1, 2  # columns: the residual stream, the arrow out of it
NAME_WIDTH, VALUE_WIDTH, GAP_WIDTH, EDGE_WIDTH = 15.0, 10.0, 3.0, 1.4
FIRST_ROW = 4
FLOWS: set[FrameKind] = {"attention", "feed_forward", "head"}  # frames in which one box feeds the next


@dataclass
class Diagram:
    """Cells and live cells of the Map, drawn from the top to the bottom."""

    trace: Trace
    cells: list[Cell] = field(default_factory=list)
    mirrors: list[Mirror] = field(default_factory=list)
    row: int = FIRST_ROW
    started: int | None = None  # row in which the residual stream begins
    joins: list[int] = field(default_factory=list)  # rows in which something is added to it

    def __post_init__(self) -> None:
        self.pads = max(_nesting(self.trace.root), 1)
        self.first = BRANCH + 1 + self.pads
        self.last = self.first + 3 * ABREAST - 2
        self.content(self.trace.root, 0)
        self.end_stream()
        self.table()

    @property
    def widths(self) -> list[float]:
        boxes = [NAME_WIDTH, VALUE_WIDTH, GAP_WIDTH] * ABREAST
        edges = [EDGE_WIDTH] * self.pads
        return [1.5, 3.5, GAP_WIDTH, *edges, *boxes[:-1], *edges]

    # --- boxes -----------------------------------------------------------------------------------------------------

    def content(self, frame: Frame, depth: int, flows: bool = False) -> None:
        """What a frame holds: runs of small boxes, boxes around others, additions to the residual stream.

        flows: whether one box feeds the next.
        """
        for item in items_of(self.trace, frame):
            if isinstance(item, Frame):
                self.large(item, depth)
            elif isinstance(item, Block):
                self.addition(item)
            else:
                self.run(item, flows)

    def large(self, frame: Frame, depth: int) -> None:
        """A box around others."""
        kind, blocks = kind_of(frame), frame.blocks()
        if frame.path.rpartition(".")[2] in ("encoder", "decoder"):
            self.end_stream()
        left, right = BRANCH + 1 + depth, self.last + self.pads - depth
        top = self.row
        bar = {left: Cell(top, left, part_name(frame), "BOX_TITLE", str(blocks[0].path), kind=kind, note=frame.title)}
        bar[self.first + 3] = Cell(top, self.first + 3, PURPOSES.get(kind, ""), "BOX_TEXT", kind=kind)
        count, number = parameters_of(blocks), Cell(top, self.last, "", "BOX_COUNT", kind=kind)
        if count:
            bar[self.last - 1] = Cell(top, self.last - 1, "parameters", "BOX_COUNT", kind=kind)
            self.live(number, count.value, count.owner, count.number)
        free = [at for at in range(left, right + 1) if not (count and at == self.last)]
        self.cells += [bar.get(at) or Cell(top, at, "", "BOX_TITLE", kind=kind) for at in free]
        self.row += 2
        if kind in ("attention", "feed_forward") and self.started is not None:
            self.cells.append(Cell(self.row, BRANCH, "→", "ARROW"))
        self.content(frame, depth + 1, flows=kind in FLOWS)
        bottom = self.row - 1
        for row in range(top + 1, bottom):
            self.cells.append(Cell(row, left, "", kind=kind, edges="left"))
            self.cells.append(Cell(row, right, "", kind=kind, edges="right"))
        for column in range(left, right + 1):
            corner = " left" if column == left else " right" if column == right else ""
            self.cells.append(Cell(bottom, column, "", kind=kind, edges=f"bottom{corner}"))
        self.row += 1

    def run(self, boxes: list[MapBox], flows: bool) -> None:
        """Small boxes side by side, so many in a row."""
        for start in range(0, len(boxes), ABREAST):
            abreast = boxes[start : start + ABREAST]
            height = 1 + max(len(box.lines) for box in abreast)
            if self.started is None and any("embedding" in box.holds for box in abreast):
                self.started = self.row + height - 1
            for place, box in enumerate(abreast):
                self.small(box, self.first + 3 * place, height)
                if flows and place and abreast[place - 1].family != box.family:
                    self.cells.append(Cell(self.row, self.first + 3 * place - 1, "→", "ARROW"))
            self.row += height + 1

    def small(self, box: MapBox, column: int, height: int) -> None:
        """One box: its name, which leads to its cells, and its lines."""
        top, path = self.row, box.target.path
        sides = "left top bottom"
        self.cells.append(Cell(top, column, box.title, "BOX_TITLE", path, kind=box.kind, edges=sides, note=box.note))
        self.cells.append(Cell(top, column + 1, "", "BOX_TITLE", kind=box.kind, edges="right top bottom"))
        for at in range(height - 1):
            row, bottom = top + 1 + at, " bottom" if at == height - 2 else ""
            left, right = f"left{bottom}", f"right{bottom}"
            if at >= len(box.lines):
                self.cells.append(Cell(row, column, "", "BOX_NAME", kind=box.kind, edges=left))
                self.cells.append(Cell(row, column + 1, "", "BOX_VALUE", kind=box.kind, edges=right))
                continue
            line = box.lines[at]
            name = Cell(row, column, "", "BOX_NAME", kind=box.kind, edges=left)
            if isinstance(line.name, Tensor):
                self.live(name, line.name, line.owner, line.named)
            else:
                self.cells.append(dataclasses.replace(name, value=line.name))
            value = Cell(row, column + 1, "", "BOX_VALUE", kind=box.kind, edges=right)
            self.live(value, line.value, line.owner, line.number)

    def addition(self, tensor: Block) -> None:
        """A row for what is added to the residual stream."""
        row = self.row
        self.joins.append(row)
        self.cells.append(Cell(row, BRANCH, "←", "ARROW"))
        title, path = title_of(tensor), tensor.path
        self.cells.append(Cell(row, self.first, title, "LINK", path, note=sentence_of(tensor)))
        self.live(Cell(row, self.first + 1, "", "BOX_VALUE"), apply("shape", tensor), path, "@")
        self.cells.append(Cell(row, self.first + 3, f"{title} = {equation_of(tensor)}", "EQUATION"))
        self.row += 2

    def end_stream(self) -> None:
        """The residual stream as it has been drawn so far ends with its last addition."""
        if self.started is not None and self.joins:
            for row in range(self.started, self.joins[-1] + 1):
                self.cells.append(Cell(row, STREAM, "⊕" if row in self.joins else "", "STREAM"))
        self.started, self.joins = None, []

    def table(self) -> None:
        """Each word, and what the model expects after it."""
        blocks = [block for path, block in self.trace.blocks.items() if not path.startswith((f"{TWIN}.", f"{EFFECT}."))]
        live = [block for block in blocks if block.role in ("sentence", "prediction", "confidence")]
        columns = [self.first + 3 * i + j for i in range(ABREAST) for j in (0, 1)]
        top = self.row + 1
        for column, tensor in zip(columns, live, strict=False):
            self.cells.append(Cell(self.row, column, title_of(tensor), "TABLE_HEAD"))
            place = Range(MAP, top, column, top + tensor.columns - 1, column)
            self.mirrors.append(Mirror(tensor.path, place, apply("transpose", tensor)))

    # --- cells -------------------------------------------------------------------------------------------------------

    def live(self, cell: Cell, tensor: Tensor, owner: str, number: str) -> None:
        """A formula where `cell` stands, with its look."""
        place = Range(MAP, cell.row, cell.column, cell.row, cell.column)
        self.mirrors.append(Mirror(owner, place, tensor, cell, number))


def map_page(model: Placed) -> Page:
    """The architecture as a diagram, each part a link; what matters in it, and the prediction, live."""
    preset, drawn = model.request.preset, Diagram(model.trace)
    page = Page(MAP, drawn.widths)
    page.row(0, preset.title, look="HEADING")
    page.row(1, preset.summary, look="SUBTITLE")
    page.row(2, "Data flows down, along the line of the residual stream; click a name to go there.", look="SUBTITLE")
    page.cells += [dataclasses.replace(cell, link=cell.link and model.name(cell.link)) for cell in drawn.cells]
    page.mirrors = drawn.mirrors
    return page


def mirrors(trace: Trace) -> list[Mirror]:
    """The live cells of the Map."""
    return Diagram(trace).mirrors


def _nesting(frame: Frame) -> int:
    """How many boxes stand one around the other in a frame."""
    inner = [item for item in frame.items if isinstance(item, Frame) and holds_frames(item)]
    return max((1 + _nesting(item) for item in inner), default=0)
