"""What a formula says, apart from how a program spells it.

Excel, LibreOffice and others rewrite formulas when they save: blanks, `$`, the case of functions, `_xlfn.` before
newer ones, `Model!` before cells of the same sheet, 0.00001 for 1E-05, TRUE() for TRUE. `Notation.read` takes all of
that away.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache

from sheetgen.base.cells import Range, parse_range
from sheetgen.xlsx.read import Book, Formula, tokens

# The kind of a token ("range", "number", "call", …) and what it stands for.
Token = tuple[str, Range | float | str]

_PREFIXES = re.compile(r"^(?:_xlfn\.|_xlws\.|_xludf\.)+", re.IGNORECASE)
_CLOSE = 1e-13  # numbers that differ by less were written with fewer digits


class Notation:
    """Reads the formulas of one workbook, each once: names and sheets are looked up there."""

    def __init__(self, book: Book) -> None:
        self._sheets = {name.casefold(): name for name in book.sheets}
        self._names = {name.casefold(): area for name, area in book.names.items()}
        self.read = lru_cache(maxsize=None)(self._read)

    def same(self, found: Formula | None, expected: str, area: Range, array: bool) -> bool:
        """Whether `found` says what `expected` says, over `area`.

        A plain formula may have become an array of one cell; the other way round it would compute with single cells
        instead of arrays in most programs.
        """
        if found is None or found.range != area or (array and not found.array):
            return False
        if found.text == expected:
            return True
        one, other = self.read(found.text, area.sheet), self.read(expected, area.sheet)
        return len(one) == len(other) and all(map(_alike, one, other))

    def source(self, formula: Formula, cell: Range) -> Range | None:
        """The cell that `cell` repeats by a formula such as `=B7` or, over several cells, `=B7:G7`; else None."""
        found = self.read(formula.text, cell.sheet)
        if len(found) != 1 or not isinstance(found[0][1], Range) or found[0][1].shape != formula.range.shape:
            return None
        return found[0][1].part(cell.top - formula.range.top, cell.left - formula.range.left)

    def _read(self, formula: str, sheet: str) -> tuple[Token, ...]:
        """The tokens of a formula that stands on `sheet`; of one that cannot be read, its text."""
        found = tokens(formula)
        if found is None:
            return (("unreadable", formula),)
        result: list[Token] = []
        blank = False
        for kind, text in found:
            if kind == "blank":
                blank = True
                continue
            token = self._token(kind, text, sheet)
            # Between two ranges a blank means what they have in common.
            if blank and token[0] == "range" and result and result[-1][0] == "range":
                result.append(("infix", " "))
            blank = False
            if token == ("bracket", ")") and result and result[-1] in (("call", "TRUE"), ("call", "FALSE")):
                token = "logical", str(result.pop()[1])
            result.append(token)
        return tuple(result)

    def _token(self, kind: str, text: str, sheet: str) -> Token:
        match kind:
            case "number":
                return kind, float(text)
            case "call":
                return kind, _PREFIXES.sub("", text.removesuffix("(")).upper()
            case "range":
                area = self._range(text, sheet)
                return (kind, area) if area else ("name", text.casefold())
            case "text":
                return kind, text
            case _:
                return kind, text.upper()

    def _range(self, text: str, sheet: str) -> Range | None:
        where, sign, cells = text.rpartition("!")
        area = parse_range(where + sign + cells.upper(), sheet)
        if area is None:
            return self._names.get(text.casefold())
        known = self._sheets.get(area.sheet.casefold())
        return Range(known, area.top, area.left, area.bottom, area.right) if known else None


def _alike(found: Token, expected: Token) -> bool:
    if isinstance(found[1], float) and isinstance(expected[1], float):
        return math.isclose(found[1], expected[1], rel_tol=_CLOSE)
    return found == expected
