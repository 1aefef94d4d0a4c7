"""Formulon, a spreadsheet engine in C++ that its makers compare with Excel 365 bit for bit; here as WebAssembly.

Cached values are dropped before it loads the file, so that none of them can come through.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import formulon

from sheetgen.engines import EngineError
from sheetgen.engines.uncached import drop_cached_values
from sheetgen.engines.values import Values, grid_of
from sheetgen.xlsx.read import Book, read_values


def recompute(path: Path, _book: Book | None = None) -> Values:
    """Every formula computed by Formulon; EngineError when it cannot load the file."""
    with TemporaryDirectory(prefix="sheetgen-") as folder:
        copy = Path(folder) / "book.xlsx"
        drop_cached_values(path, copy)
        try:
            with formulon.Workbook.load(copy.read_bytes()) as workbook:
                workbook.recalc()
                saved = workbook.save()
        except formulon.FormulonError as error:
            raise EngineError(f"Formulon cannot load {path}: {error}") from None
        copy.write_bytes(saved)  # reading this is many times faster than asking for each cell
        return Values({name: grid_of(cells) for name, cells in read_values(copy).items()})
