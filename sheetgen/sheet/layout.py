"""Tensors → addresses: where every block of a model stands on the sheet. Knows no Excel library.

Which block stands in which band and lane is told by `plan`; here bands and lanes get rows and columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sheetgen.base.cells import MAX_COLUMNS, MAX_ROWS, Range
from sheetgen.base.errors import InputError
from sheetgen.sheet.names import MODEL
from sheetgen.sheet.plan import CONTROLS, Band, Plan, plan_of
from sheetgen.text.equation import shape_of, title_of
from sheetgen.trace.recorder import Frame, Trace
from sheetgen.trace.roles import ON_STREAM
from sheetgen.trace.tensor import Block, Control, Tensor, apply

MARGIN = 3  # columns left of everything, for the borders of nested frames: at least so many
TITLE_ROWS = 2  # of the sheet; below them the words, which stay in sight
NAME = 4  # columns that the name of a control runs over, to the left of its cell


@dataclass(frozen=True)
class Label:
    """Names along an axis of the block `owner`: live words (a tensor) or numbers counted from 0."""

    owner: str
    range: Range
    words: Tensor | None  # shape of the range; None for numbers
    side: str  # "above" or "left" of the block; "top" of the sheet, over its columns


@dataclass(frozen=True)
class Title:
    """Name and shape of a block in one cell, from where it runs over `columns` cells, to the left when `right`."""

    tensor: Block
    row: int
    column: int
    text: str
    right: bool
    columns: int = 1


@dataclass(frozen=True)
class Box:
    """A frame on the sheet: its cells from the title to the last row."""

    frame: Frame
    range: Range
    depth: int


@dataclass(frozen=True)
class Arrow:
    """A sign in a free cell: `→` from what stands left of a block, `↓` from what stands above it."""

    row: int
    column: int
    text: str


@dataclass(frozen=True)
class Heading:
    """A plain text over or beside some blocks: the name of a group of controls, of a row or a column of switches."""

    row: int
    column: int
    text: str
    side: str = ""  # "above" or "left" of a row of switches, as in `Label`; empty over a group


@dataclass(frozen=True)
class Stream:
    """The residual stream as a line beside the tokens: one column of cells, and the rows where something is added.

    links: free cells between the line and the blocks on it, where there are fewer tokens than columns.
    """

    range: Range
    joins: tuple[int, ...]
    links: tuple[Range, ...] = ()


@dataclass
class Layout:
    """Addresses of all blocks of a trace on one sheet, and what is written around them.

    margin: so many narrow columns stand at the left; label: the column of the row names of the blocks over the tokens;
    end: the last column of these; head: so many rows stay in sight.
    """

    sheet: str = MODEL
    places: dict[str, Range] = field(default_factory=dict)
    titles: list[Title] = field(default_factory=list)
    shapes: list[Title] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    headings: list[Heading] = field(default_factory=list)
    margin: int = MARGIN
    label: int = 0
    end: int = 0
    head: int = TITLE_ROWS

    @property
    def right(self) -> int:
        """The last column of the frames."""
        return max(box.range.right for box in self.boxes)

    @property
    def bottom(self) -> int:
        """The last row of the frames."""
        return max(box.range.bottom for box in self.boxes)


def lay_out(trace: Trace, sheet: str = MODEL, free: int = 0) -> Layout:
    """Places on `sheet` for every named tensor of the trace, `free` rows below the title left free.

    Raises InputError when the sheet has too few rows or columns.
    """
    plans = [plan_of(item) for item in trace.root.items if isinstance(item, Frame)]
    slots = [slot for each in plans for slot in each.all_slots() if slot.lane == 0]
    margin = max(MARGIN, *(each.depth for each in plans))
    label = margin + max(slot.left_width for slot in slots)
    end = label + max(slot.width for slot in slots)
    sentences = [t for t in trace.blocks.values() if t.kind == "text" and t.axes[1] == t.path]
    layout = Layout(sheet, margin=margin, label=label, end=end, head=TITLE_ROWS + len(sentences))
    row = layout.head + (free or not sentences)
    for each in plans:
        row = _Placer(layout, trace, label, end).place(each, row, 0)[0] + 1
    for at, sentence in enumerate(sentences, start=TITLE_ROWS):
        place = layout.places[sentence.path]
        top = Range(sheet, at, place.left, at, place.right)
        layout.labels.append(Label(sentence.path, top, apply("link", sentence), "top"))
    layout.streams = list(_streams(trace, layout))
    bottom = max(place.bottom for place in layout.places.values())
    right = max(place.right for place in layout.places.values())
    if bottom >= MAX_ROWS or right >= MAX_COLUMNS:
        raise InputError(
            f"this model needs {bottom + 1:,} rows × {right + 1:,} columns, but a worksheet has "
            f"{MAX_ROWS:,} × {MAX_COLUMNS:,}: choose smaller sizes"
        )
    return layout


def _streams(trace: Trace, layout: Layout) -> Iterator[Stream]:
    """From every embedding down to the last block that adds to it, in the column right of the tokens."""
    for path, first in layout.places.items():
        if trace[path].role != "embedding":
            continue
        inside = path.removesuffix(trace[path].name)
        blocks = {p: t for p, t in trace.blocks.items() if p.startswith(inside) and t.role in ON_STREAM}
        joins = tuple(layout.places[p].top for p, t in blocks.items() if t.op.joins)
        if joins:
            bottom = max(layout.places[p].bottom for p in blocks)
            line = Range(layout.sheet, first.top, layout.end + 1, bottom, layout.end + 1)
            ends = [first, *(layout.places[p] for p in blocks)]
            links = (Range(layout.sheet, p.top, p.right + 1, p.top, layout.end) for p in ends if p.right < layout.end)
            yield Stream(line, joins, tuple(links))


def _part_of(switch: Control) -> str:
    """Over the column of a switch: `head 1`."""
    return switch.part.rpartition(".")[2].replace("_", " ").replace("residual", "skip")


# --- rows and columns --------------------------------------------------------------------------------------------


@dataclass
class _Placer:
    """Writes addresses into `layout`. Lane 0 has its product columns at `label` + 1 on the whole sheet."""

    layout: Layout
    trace: Trace
    label: int
    end: int

    def place(self, plan: Plan, row: int, depth: int) -> tuple[int, int]:
        """Place a frame from `row` on; returns the first row after it and its last column."""
        if plan.frame.path == CONTROLS:
            return self._place_controls(plan.frame, row)
        top, right = row, self.end + 1  # the residual stream stands right of the tokens
        row += 1  # the frame's own title
        lanes = self._lanes(plan.bands)
        previous: Band | Plan | None = None
        for item in plan.items:
            if isinstance(item, Plan):
                row, inner_right = self.place(item, row + (previous is not None), depth + 1)
                right = max(right, inner_right + 1)
            else:
                # Rows without a header follow one another closely; a frame's title needs no gap either.
                tight = isinstance(previous, Band) and previous.header == item.header == 0
                row += 0 if tight or previous is None else 1
                self._place_band(item, row, lanes, gap=not tight and previous is not None)
                row += item.height
            previous = item
        right = max([right, *(label + width for label, width in lanes.values())]) + 1
        self.layout.boxes.append(Box(plan.frame, Range(self.layout.sheet, top, depth, row, right), depth))
        return row + 1, right

    def _place_controls(self, frame: Frame, row: int) -> tuple[int, int]:
        """Groups of controls side by side, below them a table of switches: a row for each layer."""
        blocks = [item for item in frame.items if isinstance(item, Block)]
        top, first = row, self.label + 1
        groups: dict[str, list[Control]] = {}
        table: dict[str, list[Control]] = {}
        for block in blocks:
            if not isinstance(block, Control):  # the message
                row += 1
                self._set(block, row, first)
            elif block.row:
                table.setdefault(block.row, []).append(block)
            else:
                groups.setdefault(block.group, []).append(block)
        row, right = row + 1, self.end
        for i, (group, members) in enumerate(groups.items()):
            column = self.end + 2 + NAME + (i - 1) * (NAME + 2) if i else first
            self.layout.headings.append(Heading(row, column, group))
            for j, block in enumerate(members, start=1):
                self._set(block, row + j, column)
                title = Title(block, row + j, column - 1, title_of(block), right=True, columns=NAME)
                self.layout.titles.append(title)
            right = max(right, column + 1)
        row += 1 + max(map(len, groups.values()), default=0)
        names = dict.fromkeys(_part_of(block) for members in table.values() for block in members)
        # The column right of the tokens is the narrow one of the residual stream.
        columns = {name: first + i + (first + i > self.end) for i, name in enumerate(names)}
        for name, column in columns.items():
            self.layout.headings.append(Heading(row, column, name, "above"))
            right = max(right, column + 1)
        for i, (name, members) in enumerate(table.items(), start=1):
            self.layout.headings.append(Heading(row + i, self.label, name, "left"))
            for block in members:
                self._set(block, row + i, columns[_part_of(block)])
        row += 1 + len(table) if table else 0
        self.layout.boxes.append(Box(frame, Range(self.layout.sheet, top, 0, row, right), 0))
        return row + 1, right

    def _lanes(self, bands: list[Band]) -> dict[int, tuple[int, int]]:
        """For each lane of a frame the column of its row names, and the width of its blocks."""
        slots = [slot for band in bands for slot in band.slots.values()]
        lanes = {0: (self.label, self.end - self.label)}
        end = self.end
        for lane in range(1, max((slot.lane for slot in slots), default=0) + 1):
            here = [slot for slot in slots if slot.lane == lane]
            gap = 3 if lane == 1 else 2
            label = end + gap + max((slot.left_width for slot in here), default=0)
            width = max((slot.width for slot in here), default=0)
            lanes[lane] = label, width
            end = label + width
        return lanes

    def _place_band(self, band: Band, row: int, lanes: dict[int, tuple[int, int]], gap: bool) -> None:
        """gap: whether the row above it is free."""
        for slot in band.slots.values():
            label = lanes[slot.lane][0]
            body_row = row + band.header
            if band.header and slot.body.kind == "computed":
                if slot.lefts or slot.lane:
                    self.layout.arrows.append(Arrow(body_row - 1, label, "→"))
                if gap and slot.lane == 0:
                    middle = label + slot.body.starts_at + (slot.body.columns + 1) // 2
                    self.layout.arrows.append(Arrow(row - 1, middle, "↓"))
            column = label
            for left in reversed(slot.lefts):
                column -= left.columns
                self._left(left, body_row, column)
            label += slot.body.starts_at
            self._body(slot.body, body_row, label, titled=band.header > 0)
            for i, foot in enumerate(slot.feet):
                self._body(foot, body_row + slot.body.rows + i, label, titled=False)

    def _set(self, tensor: Block, row: int, column: int) -> Range:
        place = Range(self.layout.sheet, row, column, row + tensor.rows - 1, column + tensor.columns - 1)
        self.layout.places[tensor.path] = place
        return place

    def _left(self, tensor: Block, row: int, column: int) -> None:
        place = self._set(tensor, row, column)
        name, size = title_of(tensor), shape_of(tensor)
        if tensor.columns == 1:  # too narrow for both in one line; a single column needs no names above
            self.layout.titles.append(Title(tensor, row - 2, column, name, right=True))
            self.layout.shapes.append(Title(tensor, row - 1, column, size, right=True))
        else:
            self.layout.titles.append(Title(tensor, row - 2, place.right, f"{name}  {size}", right=True))
            self._name_columns(tensor, place)

    def _body(self, tensor: Block, row: int, label: int, titled: bool) -> None:
        place = self._set(tensor, row, label + 1)
        text = title_of(tensor) if tensor.kind == "control" else f"{title_of(tensor)}  {shape_of(tensor)}"
        if not titled:
            self.layout.titles.append(Title(tensor, row, label, text, right=True))
            return
        room = tensor.columns + (place.right != self.end)  # right of the tokens stands the residual stream
        self.layout.titles.append(Title(tensor, row - 2, label + 1, text, right=False, columns=room))
        self._name_columns(tensor, place)
        if tensor.rows > 1 or tensor.axes[0]:
            side = Range(self.layout.sheet, place.top, label, place.bottom, label)
            self.layout.labels.append(Label(tensor.path, side, self._names(tensor, vertical=True), "left"))

    def _name_columns(self, tensor: Block, place: Range) -> None:
        above = Range(self.layout.sheet, place.top - 1, place.left, place.top - 1, place.right)
        self.layout.labels.append(Label(tensor.path, above, self._names(tensor, vertical=False), "above"))

    def _names(self, tensor: Block, vertical: bool) -> Tensor | None:
        """The words along an axis, as the sheet has them at that moment; a block of some columns has some of them."""
        block = self.trace.blocks.get(tensor.axes[0] if vertical else tensor.axes[1])
        if block is None or block.kind != "text":
            return None
        if not vertical and tensor.columns < block.columns:
            return block.slice_columns(tensor.starts_at, tensor.starts_at + tensor.columns)
        return apply("link", block) if (block.columns == 1) == vertical else apply("transpose", block)
