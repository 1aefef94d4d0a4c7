"""A copy of a workbook in which the wrong cells are marked, each with a note what was expected.

The XML of the copy gets a conditional format and an input message (shown when the cell is selected), nothing else is
touched: cells and formulas stay byte for byte as they are.
"""

from __future__ import annotations

import itertools
import re
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from sheetgen.base import atomic
from sheetgen.base.cells import Range, cell_name, parse_range
from sheetgen.base.errors import InputError
from sheetgen.look import theme
from sheetgen.proof.report import Difference, Report
from sheetgen.xlsx.guard import damage_told
from sheetgen.xlsx.read import worksheets
from sheetgen.xlsx.splice import Element, Splice, elements

LONGEST_NOTE = 255  # letters that an input message may have
# What follows conditional formats and input messages in a worksheet, in the order that the format demands.
AFTER_FORMATS = ("dataValidations",)
AFTER_NOTES = (
    *("hyperlinks", "printOptions", "pageMargins", "pageSetup", "headerFooter", "rowBreaks", "colBreaks"),
    *("customProperties", "cellWatches", "ignoredErrors", "smartTags", "drawing", "legacyDrawing", "legacyDrawingHF"),
    *("drawingHF", "picture", "oleObjects", "controls", "webPublishItems", "tableParts", "extLst"),
)
AFTER_DXFS = ("tableStyles", "colors", "extLst")


def mark(path: Path, report: Report, target: Path) -> int:
    """Write the marked copy of the workbook `path` to `target`; how many cells are marked.

    Raises InputError when the target exists, or the workbook is written in a way that cannot be marked; OSError when
    the target cannot be written.
    """
    if target.suffix.lower() != ".xlsx":
        raise InputError(f"--mark {target} does not end in .xlsx: choose such a name")
    if target.exists():
        raise InputError(f"--mark {target} exists already: choose another name")
    by_sheet: dict[str, list[Difference]] = {}
    for difference in report.differences:
        if difference.cells:
            by_sheet.setdefault(difference.range.sheet, []).append(difference)
    with damage_told(path), zipfile.ZipFile(path) as book:
        parts = worksheets(path)
        styles = next((name for name in book.namelist() if name.endswith("styles.xml")), "")
        if not styles or not set(by_sheet) <= set(parts):
            raise InputError(f"{path} cannot be marked: save it once with Excel or LibreOffice")
        changed = {}
        changed[styles], first = _with_looks(path, book.read(styles))
        for sheet, differences in by_sheet.items():
            changed[parts[sheet]] = _marked(path, book.read(parts[sheet]), differences, first)
        _write(book, changed, target)
    return sum(len(difference.cells) for difference in report.differences)


def _write(book: zipfile.ZipFile, changed: dict[str, bytes], target: Path) -> None:
    with atomic.replacing(target) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as copy:
        for part in book.infolist():
            data = changed.get(part.filename)
            copy.writestr(part, book.read(part) if data is None else data, zipfile.ZIP_DEFLATED)


def _children(path: Path, xml: bytes) -> list[Element]:
    """The children of the root in their order, then the root; InputError where they are written with prefixes."""
    found = list(elements(xml, deepest=1))
    if ":" in found[-1].tag:
        raise InputError(f"{path} cannot be marked: save it once with Excel or LibreOffice")
    return found


def _before(children: Sequence[Element], names: Iterable[str]) -> int:
    """Where the first of these elements begins, or the root ends."""
    wanted = set(names)
    *_, root = children
    return next((child.begin for child in children if child.name in wanted), root.closing)


def _with_looks(path: Path, xml: bytes) -> tuple[bytes, int]:
    """The styles with those of the marks, and the number of the first: of a cause, then of what follows."""
    looks = "".join(
        f'<dxf><font>{"<b/>" if cause else "<i/>"}<color rgb="FF{font[1:]}"/></font>'
        f'<fill><patternFill patternType="solid"><fgColor rgb="FF{fill[1:]}"/><bgColor rgb="FF{fill[1:]}"/>'
        f"</patternFill></fill></dxf>"
        for cause, (font, fill) in zip((True, False), (theme.MARK_CAUSE, theme.MARK_FOLLOWS), strict=True)
    ).encode()
    children = _children(path, xml)
    dxfs = next((child for child in children if child.name == "dxfs"), None)
    begin, end, contents = _contents(xml, dxfs, _before(children, AFTER_DXFS))
    count = len(re.findall(rb"<dxf[ />]", contents))
    styles = Splice(xml)
    styles.put(begin, end, f'<dxfs count="{count + 2}">'.encode() + contents + looks + b"</dxfs>")
    return styles.done(), count


def _contents(xml: bytes, existing: Element | None, here: int) -> tuple[int, int, bytes]:
    """Where an element stands and what it contains; an empty one `here`, when it does not exist."""
    if existing is None:
        return here, here, b""
    return existing.begin, existing.end, xml[existing.opened : existing.closing]


def _marked(path: Path, xml: bytes, differences: list[Difference], first: int) -> bytes:
    """A worksheet with conditional formats and input messages for these cells."""
    children = _children(path, xml)
    formats = [child for child in children if child.name == "conditionalFormatting"]
    at = formats[0].begin if formats else _before(children, (*AFTER_FORMATS, *AFTER_NOTES))
    rules = "".join(
        f'<conditionalFormatting sqref="{_area(d)}"><cfRule type="expression" dxfId="{first + (not d.cause)}" '
        f'priority="{i}" stopIfTrue="1"><formula>TRUE</formula></cfRule></conditionalFormatting>'
        for i, d in enumerate(differences, start=1)
    ).encode()
    existing = next((child for child in children if child.name == "dataValidations"), None)
    here, after, contents = _contents(xml, existing, _before(children, AFTER_NOTES))
    sheet = differences[0].range.sheet
    refs = (ref.decode(errors="replace") for text in re.findall(rb'sqref="([^"]*)"', contents) for ref in text.split())
    taken = [area for area in (parse_range(ref, sheet) for ref in refs) if area]
    notes = [_note(d, differences) for d in differences if not any(d.range.meets(area) for area in taken)]
    count = len(re.findall(rb"<dataValidation[ >]", contents)) + len(notes)
    validations = b""
    if count:
        validations = f'<dataValidations count="{count}">'.encode() + contents + "".join(notes).encode()
        validations += b"</dataValidations>"
    # Rules of the sheet itself come after those of the marks.
    between = re.sub(
        rb'(<cfRule[^>]*\spriority=")(\d+)',
        lambda found: found[1] + str(int(found[2]) + len(differences)).encode(),
        xml[at:here],
    )
    marked = Splice(xml)
    marked.put(at, here, rules + between)
    marked.put(here, after, validations)
    return marked.done()


def _note(difference: Difference, differences: list[Difference]) -> str:
    if difference.cause:
        title = "Wrong"
        expected = f" Expected: {difference.formula_expected}" if difference.formula_expected else ""
        number = difference.expected
        shown = f"{number:.6g}" if isinstance(number, float) else number
        value = "" if number is None else f", {shown} in {difference.cells[0]}"
        text = f"{difference.explanation or f'{difference.path} {difference.reason}.'}{expected}{value}"
    else:
        title = "Follows"
        text = f"{difference.path} is wrong because of what it is made from: begin with {differences[0].path}."
    short = text if len(text) <= LONGEST_NOTE else f"{text[: LONGEST_NOTE - 1]}…"
    return (
        f'<dataValidation allowBlank="1" showInputMessage="1" promptTitle="{title}" prompt={_quoted(short)} '
        f'sqref="{_area(difference)}"/>'
    )


def _quoted(text: str) -> str:
    printable = "".join(c if c.isprintable() else " " for c in text)
    return '"' + escape(printable, {'"': "&quot;"}) + '"' if '"' in printable else quoteattr(printable)


def _area(difference: Difference) -> str:
    """The cells of a difference, neighbours in a row as one range."""
    place = difference.range
    if len(difference.cells) == place.rows * place.columns:
        return place.a1
    cells = [area for area in (parse_range(cell, place.sheet) for cell in difference.cells) if area]
    runs: list[Range] = []
    for row, group in itertools.groupby(cells, key=lambda cell: cell.top):
        for cell in group:
            if runs and runs[-1].top == row and runs[-1].right == cell.left - 1:
                runs[-1] = Range(place.sheet, row, runs[-1].left, row, cell.left)
            else:
                runs.append(cell)
    return " ".join(run.a1 for run in runs) or cell_name(place.top, place.left)
