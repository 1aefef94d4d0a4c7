"""Tensors and their addresses → the text of formulas.

`Style` says how: "blocks" gives one array formula for a whole block, "cells" one formula for every cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sheetgen.base.cells import Range, column_name, sheet_prefix
from sheetgen.model.choices import Style
from sheetgen.trace.ops import ALL, PRODUCT, Array, Index
from sheetgen.trace.tensor import Block, Tensor, apply


@dataclass(frozen=True)
class CellFormula:
    """One formula as it is entered: over `range`, with '=' before it; `value` is what it must give."""

    range: Range
    text: str
    array: bool
    value: Array


@dataclass(frozen=True)
class _Operand:
    """A tensor as the formula on `sheet` sees it (see `ops.View`)."""

    tensor: Tensor
    places: Mapping[str, Range]
    sheet: str
    fixed: bool  # write $ where the reference must stay when the formula is filled to neighbouring cells

    @property
    def rows(self) -> int:
        return self.tensor.rows

    @property
    def columns(self) -> int:
        return self.tensor.columns

    def at(self, rows: Index, columns: Index, binding: int = 0) -> str:
        if self.tensor.in_cells:
            return self._reference(_cells_of(self.tensor, self.places), rows, columns)
        text = expression(self.tensor, self.places, self.sheet, self.fixed, rows, columns)
        binds = min(self.tensor.op.binding, PRODUCT) if text.startswith("-") else self.tensor.op.binding
        return f"({text})" if binds < binding else text

    def _reference(self, place: Range, rows: Index, columns: Index) -> str:
        rows = 0 if place.rows == 1 and isinstance(rows, int) else rows
        columns = 0 if place.columns == 1 and isinstance(columns, int) else columns
        part = place.part(rows, columns)
        prefix = "" if part.sheet == self.sheet else sheet_prefix(part.sheet)
        row_sign = "$" if self.fixed and (isinstance(rows, slice) or place.rows == 1) else ""
        column_sign = "$" if self.fixed and (isinstance(columns, slice) or place.columns == 1) else ""
        first = f"{column_sign}{column_name(part.left)}{row_sign}{part.top + 1}"
        last = f"{column_sign}{column_name(part.right)}{row_sign}{part.bottom + 1}"
        return prefix + (first if part.shape == (1, 1) else f"{first}:{last}")


class ApartError(ValueError):
    """Blocks that one reference should cover do not stand right under each other."""


def _cells_of(tensor: Tensor, places: Mapping[str, Range]) -> Range:
    """Where a tensor that is `in_cells` stands."""
    if isinstance(tensor, Block):
        return places[tensor.path]
    assert tensor.op.range is not None
    found = tensor.op.range(*(_cells_of(operand, places) for operand in tensor.operands), **tensor.settings)
    if found is None:
        raise ApartError(f"{' and '.join(map(str, tensor.operands))} do not stand under each other")
    return found


def expression(
    tensor: Tensor, places: Mapping[str, Range], sheet: str, fixed: bool, rows: Index, columns: Index
) -> str:
    """The formula of some cells of `tensor`, without '='."""
    views = [_Operand(operand, places, sheet, fixed) for operand in tensor.operands]
    return tensor.op.formula(rows, columns, *views, **tensor.settings)


def formulas_of(tensor: Tensor, place: Range, places: Mapping[str, Range], style: Style) -> Iterator[CellFormula]:
    """The formulas that fill `place` with `tensor`, in reading order."""
    if tensor.op.along:
        at = 0
        for part in tensor.operands:
            size = part.rows if tensor.op.along == "rows" else part.columns
            here = slice(at, at + size)
            area = place.part(here, ALL) if tensor.op.along == "rows" else place.part(ALL, here)
            yield from formulas_of(apply("link", part) if part.in_cells else part, area, places, style)
            at += size
        return
    if style == "blocks" and _fills_blocks(tensor):
        for part in parts_of(tensor):
            # Excel takes the branch as it is: a number instead of a block would fill one cell of it.
            if part.op.whole_branches and any(branch.shape != part.shape for branch in part.operands[1:]):
                raise ValueError(f"{tensor}: what a control chooses between must have the whole shape of the block")
        text = expression(tensor, places, place.sheet, False, ALL, ALL)
        # One cell needs no array, unless the formula computes over arrays inside.
        array = place.shape != (1, 1) or _computes_arrays(tensor)
        yield CellFormula(place, f"={text}", array, tensor.value)
        return
    array, fixed = _computes_arrays(tensor), style == "cells"
    for row in range(place.rows):
        for column in range(place.columns):
            text = expression(tensor, places, place.sheet, fixed, row, column)
            value = tensor.value[row : row + 1, column : column + 1]
            yield CellFormula(place.part(row, column), f"={text}", array, value)


def parts_of(tensor: Tensor) -> Iterator[Tensor]:
    """The operations that the formula of `tensor` spells out: its own and those of operands that stand in no cells."""
    yield tensor
    for operand in tensor.operands:
        if not operand.in_cells:
            yield from parts_of(operand)


def _fills_blocks(tensor: Tensor) -> bool:
    return all(part.op.spread == "block" for part in parts_of(tensor))


def _computes_arrays(tensor: Tensor) -> bool:
    return any(part.op.array for part in parts_of(tensor))
