"""Reading a workbook: what `Book` holds, and the files that are refused."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import openpyxl
import pytest
import xlsxwriter

from sheetgen.base.cells import Range
from sheetgen.xlsx import guard
from sheetgen.xlsx.read import BookError, check_file, read_book

SHEET = "xl/worksheets/sheet1.xml"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Constants in A1:D2, a formula in A3, a dynamic array in A5:B6, a classic one in A9:B10."""
    path = tmp_path / "small book.xlsx"
    with xlsxwriter.Workbook(str(path)) as workbook:
        sheet = workbook.add_worksheet("My sheet")
        sheet.write_row(0, 0, [1.5, 2, True, "text"])
        sheet.write_string(1, 0, "=no formula")
        sheet.write_blank(1, 1, None, workbook.add_format({"bold": True}))
        sheet.write_formula(2, 0, "=A1+B1", None, 99)
        sheet.write_dynamic_array_formula(4, 0, 5, 1, "=A1:B1*2", None, 99)
        sheet.write_array_formula(8, 0, 9, 1, "{=A1:B1*2}", None, 99)
        workbook.add_worksheet("Other")
        workbook.define_name("layer_0__Q", "='My sheet'!$A$5:$B$6")
        workbook.define_name("one_cell", "='My sheet'!$A$1")
        workbook.define_name("a_number", "=3")
        workbook.define_name("Other!local", "='My sheet'!$A$1")
    return path


def rewritten(path: Path, edit: Callable[[str], str], part: str = SHEET) -> Path:
    """A copy of the workbook with one part changed."""
    target = path.with_name("rewritten.xlsx")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy:
        for name in source.namelist():
            text = source.read(name).decode()
            changed = edit(text) if name == part else text
            assert name != part or changed != text
            copy.writestr(name, changed)
    return target


def test_constants_formulas_and_names(path: Path) -> None:
    book = read_book(path)
    assert list(book.sheets) == ["My sheet", "Other"]
    sheet = book.sheets["My sheet"]
    assert sheet.cells == {(0, 0): 1.5, (0, 1): 2, (0, 2): True, (0, 3): "text", (1, 0): "=no formula"}
    assert [(f.text, f.range.a1, f.array) for f in sheet.formulas] == [
        ("=A1+B1", "A3", False),
        ("=A1:B1*2", "A5:B6", True),
        ("=A1:B1*2", "A9:B10", True),
    ]
    assert len(sheet.formula_at) == 1 + 4 + 4
    assert sheet.formula_at[5, 1] is sheet.formulas[1]
    assert book.names == {
        "layer_0__Q": Range("My sheet", 4, 0, 5, 1),
        "one_cell": Range("My sheet", 0, 0, 0, 0),
    }


def test_constants_of_a_range(path: Path) -> None:
    found = read_book(path).constants(Range("My sheet", 0, 0, 2, 1))
    assert found.tolist() == [[1.5, 2], ["=no formula", None], [None, None]]


def test_openpyxl_saves_a_dynamic_array_as_a_classic_one(path: Path) -> None:
    workbook = openpyxl.load_workbook(path)
    workbook["My sheet"]["D1"] = "#N/A"  # an error value as a constant
    workbook.save(path)
    again = read_book(path).sheets["My sheet"]
    assert again.formulas[1].range.a1 == "A5:B6"
    assert (4, 1) not in again.cells
    assert again.cells[0, 3] == "#N/A"


def test_shared_formulas_are_written_out(path: Path) -> None:
    shared = '<f t="shared" ref="A3:A4" si="0">A1+$B$1</f>'
    second = '<row r="4"><c r="A4"><f t="shared" si="0"/><v>9</v></c></row>'
    copy = rewritten(path, lambda xml: xml.replace("<f>A1+B1</f>", shared).replace('<row r="5"', second + '<row r="5"'))
    assert [f.text for f in read_book(copy).sheets["My sheet"].formulas[:2]] == ["=A1+$B$1", "=A2+$B$1"]


def test_a_data_table_is_a_formula(path: Path) -> None:
    table = '<f t="dataTable" ref="A3:A4" dt2D="0" dtr="0" r1="A1"/>'
    book = read_book(rewritten(path, lambda xml: xml.replace("<f>A1+B1</f>", table)))
    assert book.sheets["My sheet"].formulas[0].range.a1 == "A3:A4"


def refused(path: Path, *words: str) -> None:
    """The file is refused with one line that names it and holds the words."""
    with pytest.raises(BookError) as caught:
        read_book(path)
    message = str(caught.value)
    assert "\n" not in message
    for word in (str(path), *words):
        assert word in message


def test_no_file(tmp_path: Path) -> None:
    refused(tmp_path / "none.xlsx", "does not exist")
    refused(tmp_path, "is a folder")


def test_no_permission(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> NoReturn:
        raise PermissionError

    monkeypatch.setattr("sheetgen.base.files.os.open", denied)  # chmod does not stop root
    refused(path, "permission")


@pytest.mark.parametrize("content", [b"", b"a text", b"PK\x03\x04 and no more"])
def test_no_zip_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "book.xlsx"
    file.write_bytes(content)
    refused(file, "no .xlsx workbook")


def test_encrypted(tmp_path: Path) -> None:
    file = tmp_path / "book.xlsx"
    file.write_bytes(bytes.fromhex("D0CF11E0A1B11AE1") + bytes(600))
    refused(file, "encrypted", "without a password")


def test_cut_off(path: Path) -> None:
    whole = path.read_bytes()
    for length in (100, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:length])
        refused(path, "cut off")


def test_every_damaged_byte_is_told_in_one_line(path: Path) -> None:
    whole = path.read_bytes()
    messages = []
    for position in range(0, len(whole), 97):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        try:
            read_book(path)
        except BookError as error:
            messages.append(str(error))
    assert messages
    assert all("\n" not in message for message in messages)


def test_a_zip_file_without_workbook(tmp_path: Path) -> None:
    file = tmp_path / "book.xlsx"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("notes.txt", "hello")
    refused(file, "no .xlsx workbook")
    with zipfile.ZipFile(file, "a") as archive:
        types = "http://schemas.openxmlformats.org/package/2006/content-types"
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{types}"/>')
    refused(file, "damaged")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("</sheetData>", "</sheet>"),  # not well formed
        ("<v>1.5</v>", "<v>one</v>"),  # no number
        ('r="A1"', 'r="1A"'),  # no cell
        ('ref="A5:B6"', 'ref="A5:B"'),  # no range
        ('ref="A5:B6"', 'ref="A5:XFD1048576"'),  # more cells than memory
        ('<c r="D1" t="s"><v>0</v>', '<c r="D1" t="s"><v>77</v>'),  # no such shared text
    ],
)
def test_broken_xml(path: Path, old: str, new: str) -> None:
    refused(rewritten(path, lambda xml: xml.replace(old, new)), "damaged")


@pytest.mark.parametrize("part", [SHEET, "xl/workbook.xml", "xl/_rels/workbook.xml.rels"])
@pytest.mark.parametrize("before", ["", " " * 5000])
def test_doctype(path: Path, part: str, before: str) -> None:
    lol = f'{before}<!DOCTYPE x [<!ENTITY lol "lol">]>'
    copy = rewritten(path, lambda xml: xml.replace("?>", "?>" + lol, 1), part)
    refused(copy, part, "DOCTYPE")
    with pytest.raises(BookError, match="DOCTYPE"):
        check_file(copy)


def test_zip_bombs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = rewritten(path, lambda xml: xml + " " * (2 << 20))
    refused(bomb, SHEET, "absurdly tight")
    monkeypatch.setattr(guard, "MAX_BYTES", 1000)
    refused(path, "unpacks to more than")
