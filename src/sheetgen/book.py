"""Reads a workbook once, into plain data: constants, formulas and names.

openpyxl does the reading, in its read-only mode (twice as fast, and the cells are not kept twice).
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

import numpy as np
import openpyxl
from openpyxl.formula import Tokenizer
from openpyxl.formula.tokenizer import Token, TokenizerError
from openpyxl.worksheet.formula import ArrayFormula, DataTableFormula

from sheetgen.address import Range, cell_name, parse_range

Cell = tuple[int, int]  # row and column, counted from 0
Constant = float | int | str | bool | None

MAX_BYTES = 1 << 30  # of all parts together, unpacked
MAX_RATIO = 300  # of one part, unpacked to packed; sheets reach about 50
MAX_ARRAY_CELLS = 5_000_000  # filled by the formulas of one sheet


class BookError(Exception):
    """A workbook cannot be read; the message says what, where and the remedy."""


@dataclass(frozen=True, slots=True)
class Formula:
    """One formula and the cells it fills: one cell, or the whole `ref` of an array formula."""

    text: str  # starts with =
    range: Range
    array: bool


@dataclass
class Sheet:
    """The contents of a worksheet. Cached values of formulas are not kept."""

    name: str
    cells: dict[Cell, Constant] = field(default_factory=dict)
    formulas: list[Formula] = field(default_factory=list)
    formula_at: dict[Cell, Formula] = field(default_factory=dict)  # every cell a formula fills


@dataclass
class Book:
    """A workbook: its sheets in their order and its names that are plain ranges."""

    path: Path
    sheets: dict[str, Sheet]
    names: dict[str, Range]  # of the workbook, not those of one sheet

    def constants(self, area: Range) -> np.ndarray:
        """The constants of a range as objects, None where a cell is empty or holds a formula."""
        cells = self.sheets[area.sheet].cells
        found = np.empty(area.shape, object)
        for row in range(area.rows):
            for column in range(area.columns):
                found[row, column] = cells.get((area.top + row, area.left + column))
        return found


def read_book(path: str | Path) -> Book:
    """Reads an .xlsx file; raises BookError, with a message of one line, for whatever cannot be read."""
    path = Path(path)
    with _opened(path) as file:
        return _read(path, file)


def read_values(path: Path) -> dict[str, dict[Cell, Any]]:
    """The filled cells of each sheet with the values they were saved with; errors as text (`#N/A`)."""
    workbook = openpyxl.load_workbook(path, read_only=True, data_only=True)
    found = {}
    for sheet in workbook.worksheets:
        sheet.reset_dimensions()
        cells = (cell for row in sheet.iter_rows() for cell in row if cell.value is not None)
        found[sheet.title] = {
            (cell.row - 1, cell.column - 1): float(cell.value) if cell.data_type == "n" else cell.value
            for cell in cells
        }
    workbook.close()
    return found


_KINDS = {
    Token.WSPACE: "blank",
    Token.OP_PRE: "prefix",
    Token.OP_IN: "infix",
    Token.OP_POST: "postfix",
    Token.PAREN: "bracket",
    Token.ARRAY: "bracket",
    Token.SEP: "separator",
}


def tokens(formula: str) -> list[tuple[str, str]] | None:
    """The parts of a formula: kind and text; None when it is no formula.

    Kinds: blank, prefix, infix, postfix, bracket, separator, call (`SUM(`), range (names too), number, text, logical,
    error.
    """
    try:
        items = Tokenizer(formula).items
    except TokenizerError:
        return None
    found = []
    for item in items:
        kind = _KINDS.get(item.type)
        if kind is None and item.type == Token.FUNC:
            kind = "call" if item.subtype == Token.OPEN else "bracket"
        found.append((kind or item.subtype.lower(), item.value))
    return found


def sheets_shown(path: Path) -> dict[str, bool]:
    """The names of all sheets in their order, those of charts included, and whether each is visible."""
    with _opened(path) as file, _no_warnings():
        book = openpyxl.load_workbook(file, read_only=True, keep_links=False)
        return {name: book[name].sheet_state == "visible" for name in book.sheetnames}


def check_file(path: str | Path) -> None:
    """Raises BookError when the file is no plain .xlsx workbook; its sheets are not read."""
    with _opened(Path(path)):
        pass


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The open file, once its parts look harmless; every error becomes a BookError."""
    try:
        with path.open("rb") as file:
            _refuse_what_is_no_workbook(path, file)
            yield file
    except BookError:
        raise
    except FileNotFoundError:
        raise BookError(f"{path} does not exist: check the name") from None
    except IsADirectoryError:
        raise BookError(f"{path} is a folder: give the .xlsx file in it") from None
    except PermissionError:
        raise BookError(f"{path} cannot be opened: you lack the permission to read it") from None
    # Whatever else the bytes of a damaged file make zipfile, expat and openpyxl raise.
    except Exception as error:  # noqa: BLE001
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise BookError(f"{path} is damaged ({reason}): save it again as .xlsx") from None


def _refuse_what_is_no_workbook(path: Path, file: IO[bytes]) -> None:
    """Looks at the zip directory and at the head of each part, so that openpyxl meets no trap."""
    if file.read(8) == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":  # OLE, the container of both
        raise BookError(f"{path} is encrypted or an old .xls: save it as .xlsx without a password")
    if not zipfile.is_zipfile(file):
        raise BookError(f"{path} is no .xlsx workbook, or it is cut off: save or copy it again")
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
        if sum(part.file_size for part in parts) > MAX_BYTES:
            raise BookError(f"{path} unpacks to more than {MAX_BYTES >> 20} MiB: it is not read")
        for part in parts:
            if part.file_size > 1 << 20 and part.file_size > MAX_RATIO * part.compress_size:
                raise BookError(f"{path}: {part.filename} is packed absurdly tight: it is not read")
        if "[Content_Types].xml" not in archive.namelist():
            raise BookError(f"{path} is a zip file but no .xlsx workbook: save it as .xlsx")
        for part in parts:
            if part.filename.endswith((".xml", ".rels")):
                with archive.open(part) as stream:
                    _refuse_doctype(path, part.filename, stream)
    file.seek(0)


def _refuse_doctype(path: Path, part: str, stream: IO[bytes]) -> None:
    """No spreadsheet program writes a DOCTYPE; with one, entities could blow a small file up."""
    started = False

    def start(*_: object) -> None:
        nonlocal started
        started = True

    def doctype(*_: object) -> None:
        raise BookError(f"{path}: {part} holds a DOCTYPE, as no spreadsheet has: it is not read")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = doctype
    while not started and (chunk := stream.read(1024)):
        parser.Parse(chunk)


def _read(path: Path, file: IO[bytes]) -> Book:
    with _no_warnings():
        book = openpyxl.load_workbook(file, read_only=True, keep_links=False)
        sheets = {sheet.title: _read_sheet(sheet) for sheet in book.worksheets}
    if not sheets:
        raise BookError(f"{path} has no worksheet: nothing to read")
    ranges = {name: parse_range(defined.attr_text or "") for name, defined in book.defined_names.items()}
    names = {name: area for name, area in ranges.items() if area is not None and area.sheet in sheets}
    return Book(path, sheets, names)


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Extensions that openpyxl does not know are none of a reader's business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _read_sheet(worksheet: Any) -> Sheet:
    """The cells of one openpyxl worksheet; in a file the first cell of an array stands before the others."""
    sheet = Sheet(worksheet.title)
    worksheet.reset_dimensions()  # what the file says of them may be wrong
    for row in worksheet.iter_rows():
        for cell in row:
            value = cell.value
            if value is None:
                continue
            at = (cell.row - 1, cell.column - 1)
            if cell.data_type == "f":
                formula = _formula(sheet.name, at, value)
                sheet.formulas.append(formula)
                if formula.array:
                    _cover(sheet, formula)
                else:
                    sheet.formula_at[at] = formula
            elif at not in sheet.formula_at:  # else it is the cached value of an array formula
                sheet.cells[at] = value
    return sheet


def _formula(sheet: str, at: Cell, value: Any) -> Formula:
    """openpyxl's formula at a cell: a text, an array formula or a data table (which has no text)."""
    if isinstance(value, ArrayFormula | DataTableFormula):
        area = parse_range(value.ref, sheet)
        if area is None:
            raise ValueError(f"{value.ref} is no range for the formula of {sheet}!{cell_name(*at)}")
        return Formula(getattr(value, "text", "=TABLE()"), area, array=True)
    return Formula(value, Range(sheet, *at, *at), array=False)


def _cover(sheet: Sheet, formula: Formula) -> None:
    area = formula.range
    if len(sheet.formula_at) + area.rows * area.columns > MAX_ARRAY_CELLS:
        raise ValueError(f"the array formulas up to {area} fill more than {MAX_ARRAY_CELLS} cells")
    for row in range(area.top, area.bottom + 1):
        for column in range(area.left, area.right + 1):
            sheet.formula_at[row, column] = formula
