"""What a change does, and what each part costs: the sheet Baseline, marks on Model, live columns beside the Map.

Baseline holds the values that the workbook was built with, at the addresses of Model. The formulas follow the blocks
when rows are inserted: they name both ranges, and look a cell up by its place within its block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sheetgen.base.cells import Range
from sheetgen.base.lang import tr
from sheetgen.model.rounding import EFFECT, TWIN
from sheetgen.sheet.formula import parts_of
from sheetgen.sheet.names import BASELINE, MAP
from sheetgen.sheet.workbook import Cell, Grid, LiveCell, Page, Placed, Rule
from sheetgen.text.equation import part_name
from sheetgen.trace.ops import in_cells
from sheetgen.trace.recorder import Frame
from sheetgen.trace.tensor import Block, Tensor

SWITCH = "mark_changes"  # the name of the cell that turns the marks on and off
MOVED = "0.000000001"  # less is rounding
COSTS = {
    "parameters": "Trainable numbers: red cells.",
    "multiply–adds": "Of the matrix products: rows × columns × inner size.",
    "activations": "Numbers that are computed on the way.",
    "KV cache": "Numbers of keys and values that a cache keeps, for all tokens here.",
    "moved": "The largest difference from the sheet Baseline.",
}
FIRST_ROW = 4
COUNTED = '#,##0;-#,##0;"–"'
STAYED = '0.000;-0.000;"–"'  # format of what has moved, rounded to what is no noise


@dataclass
class PartCost:
    """A part of the model: its own blocks, where its inner parts are among the rows, and what it costs as a whole."""

    frame: Frame
    depth: int
    own: list[Block]
    inner: list[int]
    costs: list[int]


def add(model: Placed, page: Page) -> tuple[Page, list[Page]]:
    """The sheet Baseline, and what comes onto the Map (`page`) and onto the sheet of the model besides."""
    here = Page(model.sheet, [])
    for path, place in model.layout.places.items():
        here.rules.append(Rule(place, _differs(place, model.trace[path])))
    left = len(page.widths) + 1
    page.widths += [3.0, 34.0, *([14.0] * len(COSTS))]
    _table(model, page, here, left)
    return baseline_page(model), [here]


def baseline_page(model: Placed) -> Page:
    """The values that the workbook was built with, each where it stands on the sheet of the model."""
    page = Page(BASELINE, [6.0] * (1 + model.layout.right))
    page.cell(0, 0, "Baseline: the values that this workbook was built with", "HEADING")
    page.cell(
        1,
        0,
        f"Cells of {model.sheet} that differ from it are marked. To compare with the present state instead: select all "
        f"of {model.sheet}, copy, and paste it here at A1 as values only.",
        "SUBTITLE",
    )
    for title in model.layout.titles:
        page.cell(title.row, title.column, title.text, "TITLE_RIGHT" if title.right else "TITLE")
    for path, place in model.layout.places.items():
        values = in_cells(model.trace[path].value)
        if values.dtype != object:
            page.grids.append(Grid(place.top, place.left, values))
            continue
        for (row, column), value in np.ndenumerate(values):
            page.cell(place.top + row, place.left + column, value)
    return page


def _differs(place: Range, tensor: Block) -> str:
    """The rule of a block: its first cell is not what Baseline has in the same place of the block."""
    first, corner = place.part(0, 0).a1, place.part(0, 0).absolute.partition("!")[2]
    base = _base(place).absolute
    was = f"INDEX({base},ROW()-ROW({corner})+1,COLUMN()-COLUMN({corner})+1)"
    if place.shape == (1, 1):
        was = base
    if tensor.value.dtype == object:
        return f'=AND({SWITCH}="on",{first}<>{was})'
    # A text, or one in place of a number or the other way round, cannot be subtracted.
    return f'=AND({SWITCH}="on",IFERROR(ABS({first}-{was})>{MOVED},{first}<>{was}))'


def _base(place: Range) -> Range:
    return Range(BASELINE, place.top, place.left, place.bottom, place.right)


# --- cost ----------------------------------------------------------------------------------------------------------


def _table(model: Placed, page: Page, here: Page, left: int) -> None:
    """A row for each part of the model, each a link; the totals; the switch of the marks."""
    top = FIRST_ROW
    page.cell(top, left, "What each part costs, and how far it has moved", "TITLE")
    page.cell(top + 1, left, f"mark what has changed on {model.sheet}", "KEY")
    page.live.append(LiveCell(_cell(top + 1, left + 1), "on", "on", "CONTROL", name=SWITCH, choices=("on", "off")))
    page.cell(top + 3, left, "part", "TABLE_HEAD")
    for i, (name, note) in enumerate(COSTS.items(), start=1):
        page.cells.append(Cell(top + 3, left + i, name, "COUNT_HEAD", note=note))
    rows, first = _rows(model.trace.root), top + 4
    for at, row in enumerate(rows):
        name = model.name(str(row.frame.blocks()[0].path))
        page.cells.append(Cell(first + at, left, part_name(row.frame), "LINK", name, indent=row.depth))
        for i, own in enumerate(_formulas(model, row.own), start=1):
            inner = [_cell(first + at_inner, left + i).a1 for at_inner in row.inner]
            page.live.append(_total(_cell(first + at, left + i), own, inner, row.costs, i - 1))
        parameters, products = (_cell(first + at, left + i) for i in (1, 2))
        _beside_frame(model, row, parameters, products, here)
    page.cell(first + len(rows), left, "total", "KEY")
    outer = [at for at, row in enumerate(rows) if row.depth == 0]
    costs = [sum(rows[at].costs[i] for at in outer) for i in range(len(COSTS))]
    for i in range(1, 1 + len(COSTS)):
        parts = [_cell(first + at, left + i).a1 for at in outer]
        page.live.append(_total(_cell(first + len(rows), left + i), "", parts, costs, i - 1))


def _cell(row: int, column: int) -> Range:
    return Range(MAP, row, column, row, column)


def _rows(frame: Frame, start: int = 0, depth: int = 0) -> list[PartCost]:
    """The parts of a frame, outer before inner; `start` is the place of the first among all."""
    found: list[PartCost] = []
    for item in frame.items:
        if not isinstance(item, Frame) or item.path in (TWIN, EFFECT):  # no part of the model's cost
            continue
        at = start + len(found)
        inside = _rows(item, at + 1, depth + 1)
        own = [block for block in item.items if isinstance(block, Block)]
        inner = [at + 1 + i for i, row in enumerate(inside) if row.depth == depth + 1]
        costs = np.sum([_costs(own), *(row.costs for row in inside if row.depth == depth + 1)], axis=0)
        found += [PartCost(item, depth, own, inner, costs.tolist()), *inside]
    return found


def _total(cell: Range, own: str, inner: Sequence[str], costs: Sequence[int], column: int) -> LiveCell:
    """What the own blocks and the inner parts make together: their sum; in the last column the largest of them."""
    parts = [part for part in (own, *inner) if part]
    if column == len(COSTS) - 1:
        return LiveCell(cell, f"=ROUND(MAX({','.join(parts) or 0}),9)", 0.0, "COUNT", STAYED, array=bool(own))
    return LiveCell(cell, "=" + ("+".join(parts) or "0"), costs[column], "COUNT", COUNTED)


def _weights(blocks: Sequence[Block]) -> list[Block]:
    return [block for block in blocks if block.kind == "weight"]


def _computed(blocks: Sequence[Block]) -> list[Block]:
    """Blocks of numbers that are new: links and rounded ones only show again what stands elsewhere."""
    made = (block for block in blocks if block.kind == "computed" and not block.op.copies and not block.op.mark)
    return [block for block in made if block.value.dtype != object]


def _cached(blocks: Sequence[Block]) -> list[Block]:
    return [block for block in _computed(blocks) if block.role == "cache"]


def _products(blocks: Sequence[Block]) -> list[tuple[Block, Tensor]]:
    """The matrix products in the formulas of these blocks: (block, product)."""
    return [(block, part) for block in _computed(blocks) for part in parts_of(block) if part.op.axes == "product"]


def _costs(blocks: Sequence[Block]) -> list[int]:
    """What these blocks cost, one number for each of `COSTS`; they have not moved."""
    sizes = (sum(block.value.size for block in found(blocks)) for found in (_weights, _computed, _cached))
    weights, computed, cached = sizes
    products = sum(p.rows * p.columns * p.operands[0].columns for _, p in _products(blocks))
    return [weights, products, computed, cached, 0]


def _formulas(model: Placed, blocks: Sequence[Block]) -> list[str]:
    """For each of `COSTS` the formula over these blocks, without '='; empty when there is nothing to count."""

    def area(block: Block) -> str:
        return model.layout.places[block.path].seen_from(MAP)

    def sizes(found: Sequence[Block]) -> str:
        return "+".join(f"ROWS({area(block)})*COLUMNS({area(block)})" for block in found)

    def work(block: Block, product: Tensor) -> str:
        a, b = product.operands
        if isinstance(a, Block):
            inner = f"COLUMNS({area(a)})"
        elif isinstance(b, Block):
            inner = f"ROWS({area(b)})"
        else:
            return str(product.rows * product.columns * a.columns)
        if product.shape != block.shape:  # it is only a part of the formula
            return f"{product.rows}*{product.columns}*{inner}"
        return f"ROWS({area(block)})*COLUMNS({area(block)})*{inner}"

    numbers = [model.layout.places[block.path] for block in blocks if block.value.dtype != object]
    # A row that was inserted has nothing on Baseline to be compared with: it counts as not moved.
    moved = (f"IFERROR(ABS({place.seen_from(MAP)}-{_base(place)}),0)" for place in numbers)
    products = "+".join(work(block, product) for block, product in _products(blocks))
    return [sizes(_weights(blocks)), products, sizes(_computed(blocks)), sizes(_cached(blocks)), ",".join(moved)]


def _beside_frame(model: Placed, row: PartCost, parameters: Range, products: Range, here: Page) -> None:
    """The cost of a part in the bar of its frame on the sheet of the model."""
    box = next(box for box in model.layout.boxes if box.frame is row.frame)
    column = model.layout.end + 2
    many, work = tr("parameters ·"), tr("multiply–adds")
    # No TEXT: programs read its format in the reader's locale, where a comma may be the decimal sign.
    text = f'={parameters}&" {many} "&{products}&" {work}"'
    value = f"{row.costs[0]} {many} {row.costs[1]} {work}"
    place = Range(model.sheet, box.range.top, column, box.range.top, column)
    if row.costs[1]:
        here.live.append(LiveCell(place, text, value, frame=row.frame, depth=box.depth))
