"""Reads a workbook once, into plain data: constants, formulas and names.

The file is looked at by `guard` before, and streamed by `sheets`, so that a hostile one costs little.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sheetgen.base.cells import Range, cell_name, parse_range
from sheetgen.xlsx import guard
from sheetgen.xlsx.guard import BookError
from sheetgen.xlsx.parts import (
    MAX_CELLS,
    Cell,
    Constant,
    Formula,
    Outline,
    Sheet,
    read_outline,
    read_sheet,
    read_strings,
    read_targets,
    read_types,
)

__all__ = ["MAX_CELLS", "Book", "BookError", "Cell", "Constant", "Formula", "Sheet"]


@dataclass
class Book:
    """A workbook: its sheets in their order and its names that are plain ranges."""

    path: Path
    sheets: dict[str, Sheet]
    names: dict[str, Range]  # of the workbook, not those of one sheet

    def constants(self, area: Range) -> np.ndarray:
        """The constants of a range as objects, None where a cell is empty or holds a formula."""
        cells, columns = self.sheets[area.sheet].cells, range(area.left, area.right + 1)
        found = np.empty(area.shape, object)
        for row in range(area.rows):
            found[row] = [cells.get((area.top + row, column)) for column in columns]
        return found


def read_book(path: str | Path) -> Book:
    """Reads an .xlsx file; raises BookError, with a message of one line, for whatever cannot be read."""
    return _read(Path(path), cached=False)


def read_values(path: Path) -> dict[str, dict[Cell, Any]]:
    """The filled cells of each sheet with the values they were saved with; errors as text (`#N/A`)."""
    book = _read(path, cached=True)
    return {
        name: {
            at: float(value) if isinstance(value, int) and not isinstance(value, bool) else value
            for at, value in (sheet.cells | sheet.cached).items()
        }
        for name, sheet in book.sheets.items()
    }


def sheets_shown(path: Path) -> dict[str, bool]:
    """The names of all sheets in their order, those of charts included, and whether each is visible."""
    with guard.workbook(path) as archive:
        return _outline(archive)[1].shown


def tokens(formula: str) -> list[tuple[str, str]] | None:
    """The parts of a formula: kind and text; None when it is no formula.

    Kinds: blank, prefix, infix, postfix, bracket, separator, call (`SUM(`), range (names too), number, text, logical,
    error.
    """
    from openpyxl.formula import tokenizer  # here, since importing openpyxl takes as long as checking a small workbook

    token = tokenizer.Token
    kinds = {token.WSPACE: "blank", token.OP_PRE: "prefix", token.OP_IN: "infix", token.OP_POST: "postfix"}
    kinds |= {token.PAREN: "bracket", token.ARRAY: "bracket", token.SEP: "separator"}
    try:
        items = tokenizer.Tokenizer(formula).items
    except (tokenizer.TokenizerError, IndexError):  # the latter for a closing bracket too many
        return None
    found = []
    for item in items:
        kind = kinds.get(item.type)
        if kind is None and item.type == token.FUNC:
            kind = "call" if item.subtype == token.OPEN else "bracket"
        found.append((kind or item.subtype.lower(), item.value))
    return found


def check_file(path: str | Path) -> None:
    """Raises BookError when the file is no plain .xlsx workbook; its sheets are not read."""
    with guard.workbook(Path(path)):
        pass


def worksheets(path: Path) -> dict[str, str]:
    """The part of each worksheet, by its name; raises BookError as reading it does."""
    with guard.workbook(path) as archive:
        return _worksheets(archive, *_outline(archive))


def _read(path: Path, cached: bool) -> Book:
    with guard.workbook(path) as archive:
        main, outline = _outline(archive)
        strings: list[str] = []
        texts = [target for kind, target in _targets(archive, main).values() if kind == "sharedStrings"]
        if len(texts) > 1:
            raise ValueError("two parts of shared texts")
        for target in texts:
            with archive.open(_part(archive, main, target, "sharedStrings+xml")) as stream:
                strings = read_strings(stream)
        sheets = {}
        for name, part in _worksheets(archive, main, outline).items():
            with archive.open(part) as stream:
                sheets[name] = read_sheet(name, stream, strings, _translate, cached)
        if not sheets:
            raise BookError(f"{path} has no worksheet: nothing to read")
    _refuse_shadows(path, outline, sheets)
    ranges = {name: parse_range(text) for name, text in outline.names.items()}
    names = {name: area for name, area in ranges.items() if area is not None and area.sheet in sheets}
    return Book(path, sheets, names)


def _refuse_shadows(path: Path, outline: Outline, sheets: dict[str, Sheet]) -> None:
    """Raise BookError for a formula that uses a name of one sheet only, which may hide one of the workbook."""
    hiding = outline.local_names & {name.casefold() for name in outline.names}
    if not hiding:
        return
    for sheet in sheets.values():
        for formula in sheet.formulas:
            if found := hiding & set(_WORD.findall(formula.text.casefold())):
                raise BookError(
                    f"{path}: {formula.range} uses the name {min(found)[:40]}, which a sheet has for other cells than "
                    "the workbook: delete the name of the sheet (Formulas, Name Manager)"
                )


_WORD = re.compile(r"[\w.\\]+")


def _worksheets(archive: zipfile.ZipFile, main: str, outline: Outline) -> dict[str, str]:
    """The part of each worksheet, by its name."""
    targets = _targets(archive, main)
    parts: dict[str, str] = {}
    for name, identity in outline.sheets.items():
        kind, target = targets[identity]
        if kind == "worksheet":
            parts[name] = _part(archive, main, target, "spreadsheetml.worksheet+xml")
    if len(set(parts.values())) < len(parts):
        raise ValueError("two sheets are one part")
    return parts


def _outline(archive: zipfile.ZipFile) -> tuple[str, Outline]:
    """The part of the workbook itself, and what it says."""
    mains = [target for kind, target in _targets(archive, "").values() if kind == "officeDocument"]
    if len(mains) != 1:
        raise ValueError("no part is the workbook" if not mains else "two parts are the workbook")
    main = _part(archive, "", mains[0], ".main+xml")
    with archive.open(main) as stream:
        return main, read_outline(stream)


def _targets(archive: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """The relationships of a part; those of the whole file for none."""
    folder, _, name = part.rpartition("/")
    relations = posixpath.join("/", folder, "_rels", f"{name}.rels")
    with archive.open(_part(archive, part, relations, "relationships+xml")) as stream:
        return read_targets(stream)


def _part(archive: zipfile.ZipFile, part: str, target: str, kind: str) -> str:
    """The part that a relationship of `part` leads to, of a content type that ends so; names do not tell A from a."""
    if "%" in target:  # programs differ in whether it stands for a sign
        raise ValueError(f"the address {target[:80]} of a part")
    wanted = posixpath.normpath(posixpath.join("/", posixpath.dirname(part), target)).lstrip("/").lower()
    found = next((name for name in archive.namelist() if name.lower() == wanted), None)
    if found is None:
        raise ValueError(f"no part {wanted[:80]}")
    types = next(name for name in archive.namelist() if name.lower() == "[content_types].xml")
    with archive.open(types) as stream:
        said = read_types(stream)
    if not said.get(f"/{wanted}", said.get(wanted.rpartition(".")[2], "")).endswith(kind):
        raise ValueError(f"the part {wanted[:80]} is not said to be of the kind {kind}")
    return found


def _translate(text: str, origin: Cell, at: Cell) -> str:
    return str(_translator(text, cell_name(*origin)).translate_formula(cell_name(*at)))[1:]


@lru_cache(maxsize=1024)
def _translator(text: str, origin: str) -> Any:
    from openpyxl.formula.translate import Translator

    return Translator(f"={text}", origin)
