"""What engines give: the values of every cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sheetgen.base.cells import Range, cell_name
from sheetgen.engines import EngineError

MAX_GRID = 20_000_000  # cells of a sheet from A1 to its last one


@dataclass(frozen=True)
class Values:
    """The recomputed cells of each sheet, and what could not be computed.

    A grid of objects begins at A1: None for an empty cell, float, str, bool; errors as text (`#N/A`).
    """

    sheets: Mapping[str, np.ndarray]
    problems: tuple[str, ...] = ()  # one line each: the cell, its formula and what is wrong

    def range(self, area: Range) -> np.ndarray:
        """The values of a range, in its shape; None outside the grid, KeyError for an unknown sheet."""
        return cut(self.sheets[area.sheet], area, None)


def cut(grid: np.ndarray, area: Range, empty: object) -> np.ndarray:
    """The cells of `area` as a slice of the grid; where the grid ends, a copy filled up with `empty`."""
    found = grid[area.top : area.bottom + 1, area.left : area.right + 1]
    if found.shape == area.shape:
        return found
    padded = np.empty(area.shape, object)
    padded.fill(empty)  # np.full would turn a subclass of str into str
    padded[: found.shape[0], : found.shape[1]] = found
    return padded


def grid_of(cells: Mapping[tuple[int, int], object], empty: object = None) -> np.ndarray:
    """A grid from A1 to the last of the cells, `empty` where there is none."""
    rows = max((row for row, _ in cells), default=-1) + 1
    columns = max((column for _, column in cells), default=-1) + 1
    if rows * columns > MAX_GRID:
        last = cell_name(rows - 1, columns - 1)
        raise EngineError(f"a sheet reaches to {last}, which is too large to recompute")
    grid = np.empty((rows, columns), object)
    grid.fill(empty)
    for cell, value in cells.items():
        grid[cell] = value
    return grid
