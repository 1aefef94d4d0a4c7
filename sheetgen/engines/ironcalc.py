"""IronCalc, a spreadsheet engine in Rust: it loads the file and evaluates every formula anew.

It takes cached texts in the range of an array formula for contents, over which the formula may not spill
(`#SPILL!`): so the cached values are dropped before.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import ironcalc

from sheetgen.engines import EngineError
from sheetgen.engines.uncached import drop_cached_values
from sheetgen.engines.values import Values, grid_of
from sheetgen.xlsx.read import Book


def recompute(path: Path, _book: Book | None = None) -> Values:
    """Every formula computed by IronCalc; EngineError when it cannot load the file."""
    with TemporaryDirectory(prefix="sheetgen-") as folder:
        copy = Path(folder) / "book.xlsx"
        drop_cached_values(path, copy)
        try:
            model = ironcalc.load_from_xlsx(str(copy), "en", "UTC", "en")
            model.evaluate()
        except Exception as error:  # noqa: BLE001 - WorkbookError, and what pyo3 makes of others; nothing of ours runs
            raise EngineError(f"IronCalc cannot load {path}: {error}") from None
        except BaseException as error:  # a panic in Rust is no Exception
            if type(error).__name__ != "PanicException":
                raise
            raise EngineError(f"IronCalc crashed on {path}: {error}") from None
    names = [sheet["name"] for sheet in model.get_worksheets_properties()]
    cells: list[dict[tuple[int, int], object]] = [{} for _ in names]
    for sheet, row, column in model.get_all_cells():
        cells[sheet][row - 1, column - 1] = model.get_cell_value(sheet, row, column)
    return Values(dict(zip(names, map(grid_of, cells), strict=True)))
