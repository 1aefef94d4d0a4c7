"""IronCalc, a spreadsheet engine in Rust: it loads the file and evaluates every formula anew."""

from __future__ import annotations

from pathlib import Path

import ironcalc
import numpy as np

from sheetgen.book import Book
from sheetgen.engines import EngineError, Values


def recompute(path: Path, _book: Book | None = None) -> Values:
    """Every formula computed by IronCalc; EngineError when it cannot load the file."""
    try:
        model = ironcalc.load_from_xlsx(str(path), "en", "UTC", "en")
        model.evaluate()
    except Exception as error:
        raise EngineError(f"IronCalc cannot load {path}: {error}") from None
    except BaseException as error:  # a panic in Rust is no Exception
        if type(error).__name__ != "PanicException":
            raise
        raise EngineError(f"IronCalc crashed on {path}: {error}") from None
    names = [sheet["name"] for sheet in model.get_worksheets_properties()]
    grids = []
    for number in range(len(names)):
        _, rows, _, columns = model.get_sheet_dimensions(number)
        grids.append(np.empty((rows, columns), object))
    for sheet, row, column in model.get_all_cells():
        grids[sheet][row - 1, column - 1] = model.get_cell_value(sheet, row, column)
    return Values(dict(zip(names, grids, strict=True)))
