"""A copy of a workbook that no longer says what its formulas gave, so that an engine can only compute it.

The copy leads nowhere: of the relationships of its parts only those are left that an engine may follow.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from sheetgen.base.cells import cell_name, parse_range
from sheetgen.base.files import DAMAGE
from sheetgen.engines import EngineError
from sheetgen.xlsx.parts import RELATIONS
from sheetgen.xlsx.read import MAX_CELLS, worksheets
from sheetgen.xlsx.splice import Element, Splice, elements

Change = Callable[[str, bytes], bytes]  # the name of a part and its content → the content that it shall have

UNREADABLE: tuple[type[Exception], ...] = (OSError, *DAMAGE)
# What engines may follow, by the last word of its type: the numbers, and what pictures of sheets show. Nothing outside,
# no hyperlinks (a picture may be linked through one), nothing that runs.
_FOLLOWED = frozenset(
    {"officeDocument", "worksheet", "chartsheet", "sharedStrings", "styles", "theme", "sheetMetadata"}
    | {"drawing", "chart", "image", "comments"}
)
_RASTER = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"BM")  # images that cannot name other files, as SVG can
_TYPE = re.compile(rb"""\st\s*=\s*("[^"]*"|'[^']*')""")


def drop_cached_values(path: Path, target: Path, change: Change | None = None) -> None:
    """Copies a workbook without the values of the cells that formulas fill, those of arrays included.

    Raises BookError or EngineError when the workbook cannot be read.
    """
    sheets = set(worksheets(path).values())
    try:
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy:
            for part in source.infolist():
                content = source.read(part)
                if part.filename in sheets:
                    content = _without_cached_values(content)
                elif part.filename.lower().endswith(".rels"):
                    content = _closed(source, part.filename, content)
                copy.writestr(part.filename, change(part.filename, content) if change else content)
    except UNREADABLE as error:
        raise EngineError(f"{path} cannot be read: {error}") from None


def _closed(book: zipfile.ZipFile, part: str, xml: bytes) -> bytes:
    """A part of relationships with only those that an engine may follow."""
    spliced = Splice(xml)
    folder = posixpath.dirname(posixpath.dirname(part))
    for element in elements(xml, ("Relationship",)):
        space, _, kind = element.attributes["Type"].rpartition("/")
        followed = space in RELATIONS and kind in _FOLLOWED and "TargetMode" not in element.attributes
        if followed and kind == "image":
            target = posixpath.normpath(posixpath.join("/", folder, element.attributes["Target"])).lstrip("/")
            followed = target in book.namelist() and book.read(target).startswith(_RASTER)
        if not followed:
            spliced.put(element.begin, element.end)
    return spliced.done()


def _without_cached_values(xml: bytes) -> bytes:
    """A worksheet whose formula cells hold their formula only, with empty cells where array formulas will fill in."""
    covered: set[str] = set()  # by arrays; the file has the formula before the other cells
    spliced = Splice(xml)
    formula: Element | None = None
    for element in elements(xml, ("c", "f")):
        if element.name == "f":
            formula = element
            continue
        cell = element.attributes.get("r", "")
        filled = cell in covered
        if filled or formula:
            # The type is that of the value, too: without one, "str" would be an empty text. Where a formula has none,
            # IronCalc misses it.
            name_ends = element.begin + 1 + len(element.tag)
            spliced.put(name_ends, name_ends, b"" if filled else b' t="n"')
            if found := _TYPE.search(xml, name_ends, element.opened):
                spliced.put(*found.span())
            if filled or not formula:
                spliced.put(element.opened, element.closing)
            else:
                spliced.put(element.opened, formula.begin)
                spliced.put(formula.end, element.closing)
        if formula and formula.attributes.get("t") == "array":
            _cover(covered, formula.attributes.get("ref", cell))
        formula = None
    return spliced.done()


def _cover(covered: set[str], ref: str) -> None:
    """Add the cells that an array formula fills; EngineError when they are too many."""
    area = parse_range(ref, "")
    if area is None:
        return
    if len(covered) + area.rows * area.columns > MAX_CELLS:
        raise EngineError(f"the array formulas up to {area.a1} fill more than {MAX_CELLS} cells")
    for row in range(area.top, area.bottom + 1):
        covered.update(cell_name(row, column) for column in range(area.left, area.right + 1))
