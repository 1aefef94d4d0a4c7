"""The ExcelModel of the `formulas` package, as it comes: slow, and a check on our own `formulas`."""

from __future__ import annotations

import io
import shutil
from contextlib import redirect_stderr
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from sheetgen.engines import EngineError
from sheetgen.engines.formulas import EMPTY, mapped, outward
from sheetgen.engines.values import Values, grid_of
from sheetgen.xlsx.read import Book, read_book

MISSING = "#MISSING!"  # a formula cell that the solution lacks: ExcelModel reports no error for it


def recompute(path: Path, book: Book | None = None) -> Values:
    """Every formula computed by ExcelModel; EngineError when it gives up, as it does for one bad formula."""
    from formulas.excel import ExcelModel
    from formulas.ranges import Ranges

    book = book or read_book(path)
    grids = {
        sheet.name: grid_of({**dict.fromkeys(sheet.formula_at, MISSING), **sheet.cells}, EMPTY)
        for sheet in book.sheets.values()
    }
    # ExcelModel trips over a % in the name, and shows a bar of progress.
    with TemporaryDirectory(prefix="sheetgen-") as folder, redirect_stderr(io.StringIO()), np.errstate(all="ignore"):
        copy = shutil.copyfile(path, Path(folder) / "book.xlsx")
        try:
            solution = ExcelModel().loads(str(copy)).finish().calculate()
        except Exception as error:  # noqa: BLE001 - it raises many kinds, some by accident; nothing of ours runs
            reason = " ".join(str(error).split())[:200]
            raise EngineError(f"ExcelModel gave up on {path}: {type(error).__name__} {reason}") from None
    for sheet in book.sheets.values():
        for found in solution.values():
            for place, values in found.values.values() if isinstance(found, Ranges) else ():
                if place["sheet_id"].rpartition("]")[2].rstrip("'") == sheet.name.upper():
                    top, left = int(place["r1"]) - 1, place["n1"] - 1
                    for (row, column), value in np.ndenumerate(values):
                        if (top + row, left + column) in sheet.formula_at:
                            grids[sheet.name][top + row, left + column] = value
    return Values({name: mapped(outward, grid) for name, grid in grids.items()})
