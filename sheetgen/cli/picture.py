"""Pictures of a workbook: each sheet whole, on one page (PDF) or in one image (PNG).

LibreOffice recalculates and prints a copy, whose print setup is replaced: pages so large that a sheet takes one
or, if it is very long, a few. PDFium finds where there is something on the pages and puts them together again.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sheetgen.base import atomic
from sheetgen.base.errors import InputError
from sheetgen.engines.libreoffice import recalculated_copy
from sheetgen.xlsx.read import read_book, sheets_shown

if TYPE_CHECKING:
    from PIL.Image import Image

DPI = 96
MAX_PIXELS = 250_000_000  # of one image: a gigabyte while it is drawn
MARGIN = 9.0  # points of white around what is drawn
COARSE = 0.25  # pixels per point, to find what is drawn
LONGEST = 14_400  # points: the side of a page of a PDF that all viewers can show
COLOURS = 64  # flat fills and smooth letters need no more, and the file is a third as large

# A wider sheet is scaled down; a longer one goes on, on the next page. LibreOffice 7.4 prints at most 1,024 rows
# on a page and leaves out the others, so a page must not be too long, although a PDF could have it.
_WIDTH, _HEIGHT = "5000mm", "3000mm"
_PRINT_SETUP = re.compile(
    rb"<(?P<tag>(?:\w+:)?(?:printOptions|pageMargins|pageSetup|headerFooter|rowBreaks|colBreaks))\b"
    rb"(?:[^>]*/>|.*?</(?P=tag)>)",
    re.DOTALL,
)
_PRINT_NAMES = re.compile(rb"<(?P<tag>(?:\w+:)?definedName)\b[^>]*_xlnm\.Print_[^>]*>.*?</(?P=tag)>", re.DOTALL)


@dataclass(frozen=True)
class Picture:
    """A file that has been written, and what it shows."""

    path: Path
    sheets: list[str]
    size: tuple[int, int] | None = None  # in pixels; a PDF has none
    dpi: int = 0  # less than was asked for when a sheet is very large


@dataclass(frozen=True)
class _Piece:
    """What is drawn on one page of a sheet: lines from `top` to `bottom`, in points from the upper edge."""

    number: int  # of the page in the PDF
    top: float
    bottom: float


@dataclass(frozen=True)
class _Drawing:
    """A sheet: its pieces one below the other, all from `left` to `right`."""

    sheet: str
    left: float
    right: float
    pieces: list[_Piece]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points, with the margins."""
        height = sum(piece.bottom - piece.top for piece in self.pieces)
        return self.right - self.left + 2 * MARGIN, height + 2 * MARGIN


def draw(path: Path, output: Path | None = None, sheets: Sequence[str] = (), dpi: int = DPI) -> list[Picture]:
    """Draw `sheets`, or all that are shown, as they look when recalculated; the workbook is only read.

    `output` ends in .pdf (all sheets in one file) or .png (`out-Map.png`, `out-Model.png` …, for one sheet
    `out.png`); without it PNGs stand beside the workbook. Empty sheets give none. Raises InputError, BookError
    or EngineError when it cannot be done, OSError when a picture cannot be written.
    """
    target = _target(path, output, sheets)
    read_book(path)  # refuses what must not be given to LibreOffice
    shown = [name for name, visible in sheets_shown(path).items() if visible]
    for sheet in sheets:
        if sheet not in shown:
            raise InputError(f"{path} shows no sheet {sheet!r}: choose one of {', '.join(shown)}")
    _need_packages()
    import pypdfium2

    with tempfile.TemporaryDirectory(prefix="sheetgen-") as folder:
        printed = Path(folder) / "printed.pdf"
        recalculated_copy(path, printed, "pdf", _with_large_pages)
        with pypdfium2.PdfDocument(printed) as pdf:
            found = [_drawing(pdf, name, pages) for name, pages in _pages(pdf).items() if not sheets or name in sheets]
            drawings = [drawing for drawing in found if drawing.pieces]
            if not drawings:
                raise InputError(f"{path}: there is nothing to draw on {' or '.join(sheets) or 'its sheets'}")
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.suffix.lower() == ".pdf":
                return [_write_pdf(pdf, drawings, target)]
            files = [
                target if len(sheets) == 1 else target.with_name(f"{target.stem}-{_in_a_file_name(drawing.sheet)}.png")
                for drawing in drawings
            ]
            return [_write_png(pdf, drawing, file, dpi) for drawing, file in zip(drawings, files, strict=True)]


def _target(path: Path, output: Path | None, sheets: Sequence[str]) -> Path:
    if output is None:
        output = path.with_name(f"{path.stem}{f'-{_in_a_file_name(sheets[0])}' if len(sheets) == 1 else ''}.png")
    if output.suffix.lower() not in (".png", ".pdf"):
        raise InputError(f"{output} is neither .png nor .pdf: choose such a name with -o")
    if output.exists() and path.exists() and output.samefile(path):
        raise InputError(f"{output} is the workbook itself: choose another name with -o")
    return output


def _in_a_file_name(sheet: str) -> str:
    return re.sub(r"[^\w .()+-]+", "_", sheet)


def _need_packages() -> None:
    for package in ("pypdfium2", "PIL"):
        if find_spec(package) is None:
            raise InputError(f"pictures need the package {package}: pip install 'sheetgen[picture]'")


def _with_large_pages(part: str, xml: bytes) -> bytes:
    """The XML of a part of the workbook with our print setup instead of its own.

    Ours stands at the end of a sheet, where Excel would not look for it; LibreOffice does.
    """
    if part == "xl/workbook.xml":
        return _PRINT_NAMES.sub(b"", xml)
    if not (part.startswith("xl/worksheets/") and part.endswith(".xml")):
        return xml
    xml = _PRINT_SETUP.sub(b"", xml)
    end = xml.rindex(b"</")
    prefix = xml[end + 2 : xml.index(b">", end)].rpartition(b"worksheet")[0].decode()
    setup = (
        f'<{prefix}sheetPr><{prefix}pageSetUpPr fitToPage="1"/></{prefix}sheetPr>'
        f'<{prefix}pageMargins left="0" right="0" top="0" bottom="0" header="0" footer="0"/>'
        f'<{prefix}pageSetup paperWidth="{_WIDTH}" paperHeight="{_HEIGHT}" fitToWidth="1" fitToHeight="0"/>'
    )
    return xml[:end] + setup.encode() + xml[end:]


def _pages(pdf: Any) -> dict[str, range]:
    """The pages of each sheet, by the bookmarks that LibreOffice gives to the first of them."""
    starts = {mark.get_title(): mark.get_dest().get_index() for mark in pdf.get_toc()}
    ends = [*list(starts.values())[1:], len(pdf)]
    return {name: range(start, end) for (name, start), end in zip(starts.items(), ends, strict=True)}


def _drawing(pdf: Any, sheet: str, pages: range) -> _Drawing:
    """What there is to draw of a sheet, without the empty space around it (and at the end of a page)."""
    from PIL import Image, ImageChops

    left, right, pieces = math.inf, 0.0, list[_Piece]()
    for number in pages:
        coarse: Image.Image = pdf[number].render(scale=COARSE).to_pil().convert("RGB")
        box = ImageChops.difference(coarse, Image.new("RGB", coarse.size, "white")).getbbox()
        if box is not None:
            first, top, last, bottom = (side / COARSE for side in box)
            left, right = min(left, first), max(right, last)
            pieces.append(_Piece(number, 0.0 if pieces else top, bottom))
    return _Drawing(sheet, left, right, pieces)


def _write_png(pdf: Any, drawing: _Drawing, target: Path, dpi: int) -> Picture:
    """One sheet as an image of few colours."""
    from PIL import Image

    area = math.prod(drawing.size)
    scale = min(dpi / 72, math.sqrt(MAX_PIXELS / area))
    width, height = (math.ceil(side * scale) for side in drawing.size)
    image = Image.new("RGB", (width, height), "white")
    y = MARGIN
    for piece in drawing.pieces:
        page = pdf[piece.number]
        page_width, page_height = page.get_size()
        crop = drawing.left, page_height - piece.bottom, page_width - drawing.right, piece.top
        image.paste(page.render(scale=scale, crop=crop).to_pil(), (round(MARGIN * scale), round(y * scale)))
        y += piece.bottom - piece.top
    flat = image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    with atomic.replacing(target) as draft:
        flat.save(draft, optimize=True)
    return Picture(target, [drawing.sheet], image.size, round(72 * scale))


def _write_pdf(pdf: Any, drawings: list[_Drawing], target: Path) -> Picture:
    """The sheets as the pages of one file, each as large as its sheet, if a page can be."""
    import pypdfium2

    with pypdfium2.PdfDocument.new() as chosen:
        for drawing in drawings:
            width, height = drawing.size
            scale = min(1.0, LONGEST / max(width, height))
            page = chosen.new_page(width * scale, height * scale)
            y = MARGIN
            for piece in drawing.pieces:
                form = pdf.page_as_xobject(piece.number, chosen).as_pageobject()
                # Both pages are measured from their lower edge; the line `top` of one is the line y of the other.
                down = height - y - (pdf[piece.number].get_height() - piece.top)
                form.set_matrix(pypdfium2.PdfMatrix().translate(MARGIN - drawing.left, down).scale(scale, scale))
                page.insert_obj(form)
                y += piece.bottom - piece.top
            page.gen_content()
        with atomic.replacing(target) as draft:
            chosen.save(draft)
    return Picture(target, [drawing.sheet for drawing in drawings])
