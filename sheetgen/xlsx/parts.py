"""The XML of a workbook's parts → plain data, as a stream with limits: twice as fast as a library that keeps all.

Of a worksheet only the contents of cells are read: constants and formulas, no looks and no cached values.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO

from sheetgen.base.cells import MAX_COLUMNS, MAX_ROWS, Range, cell_name, column_index, parse_range
from sheetgen.xlsx.guard import MAX_DEPTH, feed, plain_parser, reaches_outside

Cell = tuple[int, int]  # row and column, counted from 0
Constant = float | int | str | bool | None

MAX_CELLS = 1_500_000  # of one sheet: constants, and what formulas fill; a gigabyte and ten seconds read them
MAX_FORMULA = 8_192  # characters: Excel's limit
MAX_SHARED = 100_000  # cells that repeat the formula of another one
MAX_NAMES = 100_000
MAX_NUMBER = 1.7976931348623157e308
MAX_TEXT = 32_767  # characters in a cell: Excel's limit


class ErrorValue(str):
    """An error value as a constant, such as #N/A; not a text that only looks like one."""

    __slots__ = ()


Translate = Callable[[str, Cell, Cell], str]  # a formula, its cell, another cell → the formula as filled to there


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
    cached: dict[Cell, Constant] = field(default_factory=dict)  # of formulas, when they are asked for


@dataclass
class Outline:
    """What xl/workbook.xml says: the sheets in their order with the ids of their parts, and the names."""

    sheets: dict[str, str] = field(default_factory=dict)
    shown: dict[str, bool] = field(default_factory=dict)  # whether each sheet is visible
    names: dict[str, str] = field(default_factory=dict)  # of the workbook, not those of one sheet


def local(tag: str) -> str:
    """The name of an element or attribute without its prefix."""
    return tag.rpartition(":")[2]


def read_outline(stream: IO[bytes]) -> Outline:
    """The part xl/workbook.xml."""
    outline, name, text = Outline(), "", [""]
    folded: set[str] = set()  # names: programs do not tell A from a

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal name
        match local(tag):
            case "sheet":
                title = attributes["name"]
                if title.casefold() in map(str.casefold, outline.sheets):
                    raise ValueError(f"two sheets are called {title[:40]}")
                outline.shown[title] = attributes.get("state", "visible") == "visible"
                outline.sheets[title] = next(v for k, v in attributes.items() if k.endswith(":id"))
            case "definedName":
                text[:] = []
                name = "" if "localSheetId" in attributes else attributes["name"]

    def end(tag: str) -> None:
        if local(tag) == "definedName" and name:
            content = "".join(text)
            if reaches_outside(content):
                raise ValueError(f"the name {name[:40]} reaches out of the workbook")
            if name.casefold() in folded:
                raise ValueError(f"two names are {name[:40]}")
            folded.add(name.casefold())
            outline.names[name] = content
            if len(outline.names) > MAX_NAMES:
                raise ValueError(f"more than {MAX_NAMES:,} names")

    parser = plain_parser()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text.append
    feed(parser, stream)
    return outline


def read_targets(stream: IO[bytes]) -> dict[str, tuple[str, str]]:
    """A part of relationships: id → (the last word of its type, its target)."""
    found = {}

    def start(tag: str, attributes: dict[str, str]) -> None:
        if local(tag) == "Relationship":
            found[attributes["Id"]] = attributes["Type"].rpartition("/")[2], attributes["Target"]

    parser = plain_parser()
    parser.StartElementHandler = start
    feed(parser, stream)
    return found


def read_strings(stream: IO[bytes]) -> list[str]:
    """The part of shared strings; runs of rich text are joined, phonetic hints left out."""
    found: list[str] = []
    text: list[str] = []
    taking = hinting = False

    def start(tag: str, _: dict[str, str]) -> None:
        nonlocal taking, hinting
        match local(tag):
            case "si":
                text.clear()
            case "t":
                taking = not hinting
            case "rPh":
                hinting = True

    def data(piece: str) -> None:
        if taking:
            text.append(piece)

    def end(tag: str) -> None:
        nonlocal taking, hinting
        match local(tag):
            case "si":
                found.append(unescaped("".join(text)))
                if len(found) > MAX_CELLS:
                    raise ValueError(f"more than {MAX_CELLS:,} texts")
            case "t":
                taking = False
            case "rPh":
                hinting = False

    parser = plain_parser()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, data
    feed(parser, stream)
    return found


_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")


def unescaped(text: str) -> str:
    """Signs that XML cannot hold are written as _x000D_ in a workbook."""
    return _ESCAPE.sub(lambda sign: chr(int(sign.group(1), 16)), text) if "_x" in text else text


def read_sheet(name: str, stream: IO[bytes], strings: list[str], translate: Translate, cached: bool = False) -> Sheet:
    """The cells of a worksheet part; in a file the first cell of an array stands before the others.

    Raises ValueError, KeyError or IndexError for what is no worksheet, and for one beyond the limits.
    """
    reader = _SheetReader(Sheet(name), strings, translate, cached)
    parser = plain_parser()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    feed(parser, stream)
    return reader.sheet


class _SheetReader:
    """The handlers of expat for one worksheet."""

    def __init__(self, sheet: Sheet, strings: list[str], translate: Translate, cached: bool) -> None:
        self.sheet, self.strings, self.translate, self.cached = sheet, strings, translate, cached
        self.places: dict[str, int] = {}  # of the letters of columns met so far
        self.shared: dict[str, tuple[str, Cell]] = {}  # formulas that other cells repeat, and where they stand
        self.repeated = 0
        self.depth = 0
        self.row, self.column = -1, -1
        self.kind = ""  # of the cell that is open
        self.in_cell = self.taking = False
        self.text: list[str] = []
        self.value: str | None = None
        self.formula: tuple[str, dict[str, str]] | None = None
        self.attributes: dict[str, str] = {}

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if tag == "c":
            self.kind = attributes.get("t", "n")
            self.in_cell, self.value, self.formula = True, None, None
            at = attributes.get("r")
            if at is None:
                self.column += 1
            else:
                letters = at.rstrip("0123456789")
                self.row = int(at[len(letters) :]) - 1
                self.column = self.places[letters] if letters in self.places else self._place(letters)
            if not (0 <= self.row < MAX_ROWS and self.column < MAX_COLUMNS):
                raise ValueError(f"{cell_name(self.row, self.column)} is no cell")
        elif tag == "v" or tag == "t" or tag == "is":
            self.taking = self.in_cell
            if tag != "t":  # of which rich text has several
                self.text.clear()
        elif tag == "row":
            self.row = int(attributes["r"]) - 1 if "r" in attributes else self.row + 1
            self.column = -1
        elif tag == "f" or tag.startswith("formula"):
            self.taking, self.attributes = True, attributes
            self.text.clear()
        elif ":" in tag:
            self.depth -= 1
            self.start(local(tag), attributes)
        elif self.depth > MAX_DEPTH:
            raise ValueError(f"elements more than {MAX_DEPTH} deep in each other")

    def data(self, text: str) -> None:
        if self.taking:
            self.text.append(text)

    def end(self, tag: str) -> None:
        self.depth -= 1
        if tag == "v":
            self.value, self.taking = "".join(self.text), False
        elif tag == "c":
            self.in_cell = False
            self._done()
        elif tag == "t":
            self.taking = False
        elif tag == "is":
            self.value = "".join(self.text)
        elif tag == "f" or tag.startswith("formula"):
            self._formula_text()
        elif ":" in tag:
            self.depth += 1
            self.end(local(tag))

    def _place(self, letters: str) -> int:
        if not re.fullmatch("[A-Z]{1,3}", letters):
            raise ValueError(f"{letters[:20]!r} is no column")
        return self.places.setdefault(letters, column_index(letters))

    def _formula_text(self) -> None:
        text = "".join(self.text)
        self.text.clear()
        self.taking = False
        where = f"{self.sheet.name}!{cell_name(self.row, self.column)}" if self.in_cell else self.sheet.name
        if len(text) > MAX_FORMULA:
            raise ValueError(f"the formula of {where} is longer than {MAX_FORMULA:,} signs")
        if reaches_outside(text):
            raise ValueError(f"the formula of {where} reaches out of the workbook")
        if self.in_cell:
            self.formula = text, self.attributes

    def _done(self) -> None:
        """The cell that ends here holds a constant, a formula, or the cached value of an array formula."""
        sheet, at = self.sheet, (self.row, self.column)
        if self.formula is not None:
            self._add(*self.formula, at)
        elif at not in sheet.formula_at:
            value = self._constant()
            if value is not None:
                sheet.cells[at] = value
                if len(sheet.cells) > MAX_CELLS:
                    raise ValueError(f"{sheet.name} has more than {MAX_CELLS:,} filled cells")
            return
        if self.cached and (value := self._constant()) is not None:
            sheet.cached[at] = value

    def _constant(self) -> Constant:
        """What the cell that ends here holds."""
        kind, value = self.kind, self.value
        if value is None:
            return None
        if kind == "n":
            return _number(value) if value else None
        if kind == "s":
            index = int(value)
            if index < 0:
                raise IndexError(f"no shared text {index}")
            return self.strings[index][:MAX_TEXT]
        if kind == "b":
            return value.strip() not in ("0", "false")
        if kind == "e":
            return ErrorValue(value[:MAX_TEXT])
        return unescaped(value)[:MAX_TEXT]  # a text, or a date as a text

    def _add(self, text: str, attributes: dict[str, str], at: Cell) -> None:
        sheet, kind = self.sheet, attributes.get("t", "normal")
        if kind == "shared":
            index = attributes["si"]
            if text:
                self.shared.setdefault(index, (text, at))
            else:
                first, origin = self.shared[index]
                self.repeated += 1
                if self.repeated > MAX_SHARED:
                    raise ValueError(f"more than {MAX_SHARED:,} cells of {sheet.name} share formulas")
                text = self.translate(first, origin, at)
        if kind in ("array", "dataTable"):
            area = parse_range(attributes.get("ref", cell_name(*at)), sheet.name)
            if area is None:
                raise ValueError(f"{attributes['ref'][:40]} is no range for the formula of {cell_name(*at)}")
            formula = Formula(f"={text}" if kind == "array" else "=TABLE()", area, array=True)
        else:
            formula = Formula(f"={text}", Range(sheet.name, *at, *at), array=False)
        sheet.formulas.append(formula)
        self._cover(formula)

    def _cover(self, formula: Formula) -> None:
        area, covered = formula.range, self.sheet.formula_at
        if len(covered) + area.rows * area.columns > MAX_CELLS:
            raise ValueError(f"the array formulas up to {area} fill more than {MAX_CELLS:,} cells")
        for row in range(area.top, area.bottom + 1):
            for column in range(area.left, area.right + 1):
                covered[row, column] = formula


def _number(text: str) -> float | int:
    """A number of a cell; whole ones as int, as a person typed them."""
    try:
        if len(text) < 16 and text.isdecimal():
            return int(text)
        number = float(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no number") from None
    if not -MAX_NUMBER <= number <= MAX_NUMBER:
        raise ValueError(f"{text[:40]} is no number that a cell can hold")
    return int(number) if abs(number) < 1e15 and number.is_integer() and "." not in text else number
