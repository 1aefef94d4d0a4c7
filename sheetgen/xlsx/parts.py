"""The XML of a workbook's parts → plain data, as a stream with limits: twice as fast as a library that keeps all.

Of a worksheet only the contents of cells are read: constants and formulas, no looks and no cached values.

They are read by namespace and strictly by place. Where programs disagree on what a file says (a cell given twice, or
where none may stand; an array that begins elsewhere), it is refused: else one could read something else than computes.
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

# Of the elements of worksheets, workbooks and texts; Excel can write the second ("Strict Open XML").
NAMESPACES = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",
)
# Before the last word of a relationship's type, and of the attribute that names a relationship.
RELATIONS = (
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    "http://purl.oclc.org/ooxml/officeDocument/relationships",
)
CONTENT_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"


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
    local_names: set[str] = field(default_factory=set)  # of one sheet, in small letters; none of Excel's own


def local(tag: str) -> str:
    """The name of an element or attribute without its prefix."""
    return tag.rpartition(":")[2]


class _Places:
    """The elements that are open, each of which may stand in certain others only.

    places: name → the names of the elements that it may stand in, for those of the namespace of spreadsheets; "" is
    outside the root. An element of such a name anywhere else is one that some program may read, and raises ValueError.
    """

    def __init__(self, places: dict[str, tuple[str, ...]]) -> None:
        self._places = places
        self._known = {f"{space} {name}": name for space in NAMESPACES for name in places}
        self._open = [""]

    def begin(self, tag: str) -> str:
        """The name of the element that begins; "" for one that has no meaning here."""
        name = self._known.get(tag, "")
        if len(self._open) == 1 and not name:
            raise ValueError(f"{tag[:80]} where a part of a workbook begins")
        if name and self._open[-1] not in self._places[name]:
            raise ValueError(f"an element {name} out of its place")
        self._open.append(name or tag)
        return name

    def end(self, tag: str) -> str:
        """The same of the element that ends."""
        self._open.pop()
        return self._known.get(tag, "")


def read_outline(stream: IO[bytes]) -> Outline:
    """The part xl/workbook.xml."""
    outline, name, text = Outline(), "", [""]
    folded: set[tuple[str, str]] = set()  # names, and of which sheet: programs do not tell A from a
    places = _Places(
        {
            "workbook": ("",),
            "sheets": ("workbook",),
            "sheet": ("sheets",),
            "definedNames": ("workbook",),
            "definedName": ("definedNames",),
            "calcPr": ("workbook",),
        }
    )

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal name
        match places.begin(tag):
            case "sheet":
                title = attributes["name"]
                if title.casefold() in map(str.casefold, outline.sheets):
                    raise ValueError(f"two sheets are called {title[:40]}")
                identity = next(attributes[f"{space} id"] for space in RELATIONS if f"{space} id" in attributes)
                if identity in outline.sheets.values():
                    raise ValueError(f"two sheets are one part, {identity[:40]}")
                outline.shown[title] = attributes.get("state", "visible") == "visible"
                outline.sheets[title] = identity
            case "definedName":
                text[:] = []
                name = attributes["name"]
                own = attributes.get("localSheetId", "")
                if (name.casefold(), own) in folded:
                    raise ValueError(f"two names are {name[:40]}")
                folded.add((name.casefold(), own))
                if len(folded) > MAX_NAMES:
                    raise ValueError(f"more than {MAX_NAMES:,} names")
                if own and not name.startswith("_xlnm."):
                    outline.local_names.add(name.casefold())
                if not own:
                    outline.names[name] = ""
            case "calcPr" if attributes.get("fullPrecision", "1") not in ("1", "true"):
                raise ValueError("it computes with numbers as displayed (Options, Advanced: set precision)")

    def end(tag: str) -> None:
        if places.end(tag) == "definedName":
            content = "".join(text)
            if reaches_outside(content):
                raise ValueError(f"the name {name[:40]} reaches out of the workbook")
            if outline.names.get(name) == "":
                outline.names[name] = content

    parser = plain_parser(namespaces=True)
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text.append
    feed(parser, stream)
    return outline


def read_targets(stream: IO[bytes]) -> dict[str, tuple[str, str]]:
    """A part of relationships: id → (the last word of its type, its target); of types of others the whole."""
    found = {}

    def start(tag: str, attributes: dict[str, str]) -> None:
        if local(tag) == "Relationship":
            space, _, kind = attributes["Type"].rpartition("/")
            found[attributes["Id"]] = kind if space in RELATIONS else attributes["Type"], attributes["Target"]

    parser = plain_parser()
    parser.StartElementHandler = start
    feed(parser, stream)
    return found


def read_types(stream: IO[bytes]) -> dict[str, str]:
    """The part [Content_Types].xml: what kind each part is, by /name or by the ending of its name, in small letters."""
    found: dict[str, str] = {}

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag in (f"{CONTENT_TYPES} Override", f"{CONTENT_TYPES} Default"):
            key = (attributes["PartName"] if tag.endswith("Override") else attributes["Extension"]).lower()
            if found.setdefault(key, attributes["ContentType"]) != attributes["ContentType"]:
                raise ValueError(f"{key[:80]} is said to be of two kinds")

    parser = plain_parser(namespaces=True)
    parser.StartElementHandler = start
    feed(parser, stream)
    return found


def read_strings(stream: IO[bytes]) -> list[str]:
    """The part of shared strings; runs of rich text are joined, phonetic hints left out."""
    found: list[str] = []
    text: list[str] = []
    taking = False
    places = _Places({"sst": ("",), "si": ("sst",), "r": ("si",), "rPh": ("si",), "t": ("si", "r", "rPh")})
    hinting = False

    def start(tag: str, _: dict[str, str]) -> None:
        nonlocal taking, hinting
        match places.begin(tag):
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
        match places.end(tag):
            case "si":
                found.append(unescaped("".join(text)))
                if len(found) > MAX_CELLS:
                    raise ValueError(f"more than {MAX_CELLS:,} texts")
            case "t":
                taking = False
            case "rPh":
                hinting = False

    parser = plain_parser(namespaces=True)
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
    parser = plain_parser(namespaces=True)
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    feed(parser, stream)
    return reader.sheet


# Where the elements of a worksheet that hold its cells may stand; nothing else may stand between them.
_CELLS = {
    "worksheet": ("",),
    "sheetData": ("worksheet",),
    "row": ("sheetData",),
    "c": ("row",),
    "f": ("c",),
    "v": ("c",),
    "is": ("c",),
    "t": ("is", "r", "rPh"),
    "r": ("is",),
    "rPh": ("is",),
}
_CLOSED = frozenset({"sheetData", "f", "v", "t"})
_KINDS = frozenset({"n", "s", "b", "e", "str", "inlineStr", "d"})
_FORMULAS = frozenset({"normal", "array", "shared", "dataTable"})


class _SheetReader:
    """The handlers of expat for one worksheet."""

    def __init__(self, sheet: Sheet, strings: list[str], translate: Translate, cached: bool) -> None:
        self.sheet, self.strings, self.translate, self.cached = sheet, strings, translate, cached
        self.known = {f"{space} {name}": name for space in NAMESPACES for name in _CELLS}
        self.open = [""]  # the elements around what is read now
        self.columns: dict[str, int] = {}  # of the letters of columns met so far
        self.shared: dict[str, tuple[str, Cell]] = {}  # formulas that other cells repeat, and where they stand
        self.repeated = 0
        self.row, self.column, self.digits = -1, -1, ""  # the last: of the number of the row
        self.kind = ""  # of the cell that is open
        self.in_cell = self.taking = self.begun = False
        self.text: list[str] = []
        self.value: str | None = None
        self.formula: tuple[str, dict[str, str]] | None = None
        self.attributes: dict[str, str] = {}

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name, around = self.known.get(tag), self.open[-1]
        if name is None:
            self._other(tag, attributes)
            return
        if around not in _CELLS[name]:
            raise ValueError(f"an element {name} of {self.sheet.name} out of its place, which some programs read")
        self.open.append(name)
        if name == "c":
            self.kind = attributes.get("t", "n")
            self.in_cell, self.value, self.formula = True, None, None
            before, at = self.column, attributes.get("r")
            if at is None:
                self.column += 1
            else:
                letters = at.rstrip("0123456789")
                if at[len(letters) :] != self.digits:
                    raise ValueError(f"the cell {at[:20]} stands in row {self.digits} of {self.sheet.name}")
                self.column = self.columns[letters] if letters in self.columns else self._place(letters)
            if not before < self.column < MAX_COLUMNS:
                raise ValueError(f"{self._here()} is given twice, behind its place, or is no cell")
            if self.kind not in _KINDS:
                raise ValueError(f"{self.kind[:20]!r} is no kind of cell")
        elif name == "v":
            self._only_one(self.value)
            self.taking = True
            self.text.clear()
        elif name == "row":
            row = _whole(attributes["r"]) - 1 if "r" in attributes else self.row + 1
            if row <= self.row:
                raise ValueError(f"row {row + 1} of {self.sheet.name} stands behind row {self.row + 1}")
            if row >= MAX_ROWS:
                raise ValueError(f"{self.sheet.name} has a row {row + 1}")
            self.row, self.column, self.digits = row, -1, str(row + 1)
        elif name == "f":
            self._only_one(self.formula)
            self.taking, self.attributes = True, attributes
            self.text.clear()
        elif name == "t":
            self.taking = around != "rPh"
        elif name == "is":
            self._only_one(self.value)
            self.text.clear()
        elif name == "sheetData":
            self._only_one(self.begun or None)
            self.begun = True

    def data(self, text: str) -> None:
        if self.taking:
            self.text.append(text)

    def end(self, tag: str) -> None:
        self.open.pop()
        name = self.known.get(tag)
        if name == "v":
            self.value, self.taking = "".join(self.text), False
            if self.kind == "inlineStr":
                raise ValueError(f"{self._here()} is an inline text and has a value")
        elif name == "c":
            self.in_cell = False
            self._done()
        elif name == "t":
            self.taking = False
        elif name == "is":
            self.value = "".join(self.text)
            if self.kind != "inlineStr":
                raise ValueError(f"{self._here()} has an inline text, and is of another kind")
        elif name == "f" or (name is None and self.taking):
            self._formula_text()

    def _other(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins that holds no cell; it may hold a formula."""
        around = self.open[-1]
        if not around:
            raise ValueError(f"{tag[:80]} where a worksheet begins")
        if around in _CLOSED:
            raise ValueError(f"an element {tag.rpartition(' ')[2][:40]} in {around} of {self.sheet.name}")
        self.open.append(tag)
        if len(self.open) > MAX_DEPTH:
            raise ValueError(f"elements more than {MAX_DEPTH} deep in each other")
        name = tag.rpartition(" ")[2]
        if name == "f" or name.startswith("formula"):
            self.taking = True
            self.text.clear()
        elif name == "cfvo" and reaches_outside(attributes.get("val", "")):
            raise ValueError(f"a format of {self.sheet.name} reaches out of the workbook")

    def _only_one(self, before: object) -> None:
        if before is not None:
            raise ValueError(f"{self._here() if self.in_cell else self.sheet.name} has two contents")

    def _here(self) -> str:
        return f"{self.sheet.name}!{cell_name(self.row, self.column)}" if self.in_cell else self.sheet.name

    def _place(self, letters: str) -> int:
        if not re.fullmatch("[A-Z]{1,3}", letters):
            raise ValueError(f"{letters[:20]!r} is no column")
        return self.columns.setdefault(letters, column_index(letters))

    def _formula_text(self) -> None:
        text = "".join(self.text)
        self.text.clear()
        self.taking = False
        where = self._here()
        if len(text) > MAX_FORMULA:
            raise ValueError(f"the formula of {where} is longer than {MAX_FORMULA:,} signs")
        if reaches_outside(text):
            raise ValueError(f"the formula of {where} reaches out of the workbook")
        if self.in_cell:
            if not text and self.attributes.get("t") not in ("shared", "dataTable"):
                raise ValueError(f"{where} has a formula of no letter")
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
            return self.strings[_whole(value)][:MAX_TEXT]
        if kind == "b":
            if value not in ("0", "1"):
                raise ValueError(f"{value[:20]!r} is neither 0 nor 1")
            return value == "1"
        if kind == "e":
            return ErrorValue(value[:MAX_TEXT])
        return unescaped(value)[:MAX_TEXT]  # a text, or a date as a text

    def _add(self, text: str, attributes: dict[str, str], at: Cell) -> None:
        sheet, kind = self.sheet, attributes.get("t", "normal")
        if kind not in _FORMULAS:
            raise ValueError(f"{kind[:20]!r} is no kind of formula")
        if kind == "shared":
            index = attributes["si"]
            if text:
                if index in self.shared:
                    raise ValueError(f"two formulas of {sheet.name} are shared as {index[:20]}")
                self.shared[index] = text, at
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
            if kind == "array" and (area.top, area.left) != at:
                raise ValueError(f"the array formula of {sheet.name}!{cell_name(*at)} fills other cells, {area.a1}")
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
                if covered.setdefault((row, column), formula) is not formula:
                    raise ValueError(f"two formulas fill {area.sheet}!{cell_name(row, column)}")


def _number(text: str) -> float | int:
    """A number of a cell; whole ones as int, as a person typed them."""
    try:
        if not text.isascii() or "_" in text:  # Python reads ١ and 1_0 as numbers
            raise ValueError
        if len(text) < 16 and text.isdecimal():
            return int(text)
        number = float(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no number") from None
    if not -MAX_NUMBER <= number <= MAX_NUMBER:
        raise ValueError(f"{text[:40]} is no number that a cell can hold")
    return int(number) if abs(number) < 1e15 and number.is_integer() and "." not in text else number


def _whole(text: str) -> int:
    """A whole number of plain digits: Python's int() takes ١, +1 and 1_0 for one, too."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise ValueError(f"{text[:20]!r} is no whole number")
    return int(text)
