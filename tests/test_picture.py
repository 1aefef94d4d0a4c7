"""Pictures: every visible sheet whole, whatever the print setup says; clear words where they cannot be drawn."""

from __future__ import annotations

import shutil
from pathlib import Path

import openpyxl
import pypdfium2
import pytest
from helpers import build, needs_libreoffice, sheetgen
from openpyxl.styles import PatternFill
from openpyxl.worksheet.pagebreak import Break
from PIL import Image, ImageChops, ImageStat

import sheetgen.cli.picture as picture
import sheetgen.engines.libreoffice as libreoffice_engine

BLUE = (0, 0, 255)


@pytest.fixture(scope="module")
def workbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("picture") / "a.xlsx", "attention", "--tokens", "1,0", "--no-baseline")


@pytest.fixture(scope="module")
def adverse(workbook: Path) -> Path:
    """The workbook with a print setup that hides, cuts and shrinks; one sheet hidden, one empty, one very long."""
    book = openpyxl.load_workbook(workbook)
    model = book["Model"]
    model.print_area = "B2:C3"
    model.print_title_rows = "1:3"
    model.sheet_properties.pageSetUpPr.fitToPage = False
    model.page_setup.scale = 30
    model.page_setup.blackAndWhite = True
    model.row_breaks.append(Break(id=10))
    model.oddHeader.center.text = "A header"
    book["Config"].sheet_state = "hidden"
    book.create_sheet("Empty")
    long = book.create_sheet("Long <&> 1")
    long["A2500"].fill = PatternFill("solid", "0000FF")
    for row in range(1, 2501):
        long.cell(row, 1, row)
    path = workbook.with_name("adverse.xlsx")
    book.save(path)
    return path


@needs_libreoffice
def test_every_visible_sheet_is_one_picture_and_the_workbook_stays(workbook: Path, adverse: Path) -> None:
    before = adverse.read_bytes()
    result = sheetgen("picture", adverse, "--dpi", 48)
    assert result.code == 0, result.err
    made = {path.name for path in adverse.parent.glob("adverse-*.png")}
    names = {"Map", "Model", "Pictures", "Contents", "Scale"}
    assert made == {f"adverse-{name}.png" for name in names} | {"adverse-Long _ 1.png"}
    assert all(name in result.out for name in made)
    assert adverse.read_bytes() == before

    with Image.open(adverse.with_name("adverse-Long _ 1.png")) as image:
        assert image.mode == "P"
        colours = [colour for _, colour in image.convert("RGB").getcolors() or []]
        assert image.height * 72 / 48 > 2500 * 12
    assert BLUE in colours, "the last row is missing"

    one = workbook.with_name("one.png")
    result = sheetgen("picture", workbook, "--sheet", "Model", "--dpi", 48, "-o", one)
    assert result.code == 0, result.err
    with Image.open(one) as plain, Image.open(adverse.with_name("adverse-Model.png")) as same:
        assert plain.size == same.size
        apart = ImageStat.Stat(ImageChops.difference(plain.convert("L"), same.convert("L"))).mean[0]
    assert apart < 1, "but for the italics that openpyxl drops, they are the same"


@needs_libreoffice
def test_a_pdf_has_a_page_for_every_sheet(adverse: Path) -> None:
    target = adverse.with_name("new") / "book.pdf"
    result = sheetgen("picture", adverse, "-o", target)
    assert result.code == 0, result.err
    with pypdfium2.PdfDocument(target) as pdf:
        texts = [page.get_textpage().get_text_bounded() for page in pdf]
        sizes = [page.get_size() for page in pdf]
    assert len(texts) == 6
    assert "Attention" in texts[0]
    assert texts[-1].split() == [str(row) for row in range(1, 2501)]
    assert max(sizes[-1]) == pytest.approx(picture.LONGEST)  # longer than a page can be: scaled to fit


def test_what_is_no_workbook_or_no_picture_is_refused(workbook: Path) -> None:
    def refused(*arguments: object) -> str:
        result = sheetgen("picture", *arguments)
        assert result.code == 2
        assert not result.out
        assert len(result.err.splitlines()) == 1
        return result.err

    text = workbook.with_name("text.xlsx")
    text.write_text("no workbook")
    assert "is no .xlsx workbook" in refused(text)
    assert "does not exist" in refused(workbook.with_name("gone.xlsx"))
    assert "choose one of Map, Model" in refused(workbook, "--sheet", "Modell")
    assert "neither .png nor .pdf" in refused(workbook, "-o", "a.jpg")
    same = workbook.with_name("same.png")
    shutil.copy(workbook, same)
    assert "is the workbook itself" in refused(same, "-o", same)
    assert same.read_bytes() == workbook.read_bytes()


def test_what_is_missing_is_named_with_its_remedy(workbook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as no_package:
        no_package.setattr(picture, "find_spec", lambda _: None)
        result = sheetgen("picture", workbook)
    assert result.code == 2
    assert "pip install 'sheetgen[picture]'" in result.err
    monkeypatch.setattr(libreoffice_engine, "soffice", lambda: None)
    result = sheetgen("picture", workbook)
    assert result.code == 2
    assert "LibreOffice is not installed: install it" in result.err
