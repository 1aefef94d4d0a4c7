"""Engines: programs that recompute a workbook. `ENGINES[name](path)` gives the recomputed values.

An engine may be given the `Book` already read from the path. It is imported when it is first called.
BookError tells of a file that is no workbook, EngineError of an engine that cannot do its work.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np

from sheetgen.base.cells import Range, cell_name
from sheetgen.engines.quiet import quiet
from sheetgen.xlsx.read import Book, check_file

MAX_GRID = 20_000_000  # cells of a sheet from A1 to its last one


class EngineError(Exception):
    """An engine could not recompute a workbook."""


class EngineUnavailable(EngineError):
    """The program or package of an engine is missing; the message says how to get it."""


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


class Engine(Protocol):
    """Recomputes every formula of the workbook at `path`; `book` saves reading it again."""

    def __call__(self, path: Path, book: Book | None = None) -> Values: ...


def soffice() -> str | None:
    """The path of LibreOffice's command, None when it is not installed."""
    for command in ("soffice", "libreoffice", "/Applications/LibreOffice.app/Contents/MacOS/soffice"):
        if found := shutil.which(command):
            return found
    return None


# name: (module here, package it needs (None: LibreOffice), how to get that)
_ENGINES = {
    "formulas": ("formulas", "formulas", "pip install formulas"),
    "formulas-model": ("formulas_model", "formulas", "pip install 'formulas[excel]'"),
    "libreoffice": ("libreoffice", None, "install LibreOffice, so that the command soffice is found"),
    "ironcalc": ("ironcalc", "ironcalc", "pip install ironcalc"),
}


def available(name: str) -> bool:
    """Whether the program or package of this engine is installed."""
    package = _ENGINES[name][1]
    return soffice() is not None if package is None else find_spec(package) is not None


def _lazily(name: str) -> Engine:
    module, _, remedy = _ENGINES[name]

    def recompute(path: Path, book: Book | None = None) -> Values:
        if not available(name):
            raise EngineUnavailable(f"the engine {name} is not installed: {remedy}")
        if book is None:
            check_file(path)
        with quiet():
            values: Values = import_module(f"{__name__}.{module}").recompute(path, book)
        return values

    return recompute


ENGINES: dict[str, Engine] = {name: _lazily(name) for name in _ENGINES}
