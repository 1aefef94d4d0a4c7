"""Files of strangers: each kind is refused, or found different, with one line, in bounded time and memory.

A kind is a small function that makes the file, with the exit code and the words of the message that it must give.
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from fuzz import fault
from helpers import build
from limited import limited

from sheetgen.base.cells import cell_name, column_index
from sheetgen.cli import main
from sheetgen.model.families import FAMILIES
from sheetgen.xlsx.parts import _SheetReader

BASE = "llama1", "--layers", 1, "--dim", 4, "--heads", 2, "--ffn", 4, "--text", "the cat sat", "--vocab", 4
SHEETS = "xl/worksheets/"
MODEL, CONFIG = f"{SHEETS}Model.xml", f"{SHEETS}Config.xml"  # as `parts_of` calls them
RELATIONS = "xl/_rels/workbook.xml.rels"
BOOK, TYPES, STRINGS = "xl/workbook.xml", "[Content_Types].xml", "xl/sharedStrings.xml"

Parts = dict[str, bytes]


@dataclass(frozen=True)
class Here:
    """An empty folder and the small workbook."""

    folder: Path
    base: Path


@dataclass(frozen=True)
class Kind:
    """How a hostile file is made, and what `check` must say about it."""

    make: Callable[..., Path | None]
    words: str
    code: int


FILES: dict[str, Kind] = {}  # made from nothing in an empty folder
EDITS: dict[str, Kind] = {}  # made from the parts of a small workbook
PRIVILEGED = hasattr(os, "geteuid") and os.geteuid() == 0


def file(words: str, code: int = 2) -> Callable[[Callable[[Here], Path]], None]:
    """A kind: a function that returns the path to check."""
    return lambda make: FILES.__setitem__(make.__name__, Kind(make, words, code))


def parts(words: str, code: int = 2) -> Callable[[Callable[[Parts], None]], None]:
    """A kind: a function that changes the parts of the small workbook."""
    return lambda make: EDITS.__setitem__(make.__name__, Kind(make, words, code))


def parts_of(path: Path) -> Parts:
    """The parts of a workbook, each sheet called by its name instead of its number."""
    with zipfile.ZipFile(path) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    for number, name in enumerate(re.findall(rb'<sheet name="(\w+)"', found[BOOK]), start=1):
        old, new = rf"\bsheet{number}\.xml".encode(), name + b".xml"
        found = {
            re.sub(old.decode(), new.decode(), part): re.sub(old, new, content)
            if "rels" in part or part == TYPES
            else content
            for part, content in found.items()
        }
    return found


def pack(target: Path, found: Parts) -> Path:
    """A zip file of these parts."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in found.items():
            archive.writestr(name, content)
    return target


def swap(found: Parts, part: str, old: str, new: str) -> None:
    """Replace the first `old` of a part, which must be there."""
    assert old.encode() in found[part], old
    found[part] = found[part].replace(old.encode(), new.encode(), 1)


def cell(found: Parts, part: str, at: str, content: str) -> None:
    """Give a cell, which must be there, other contents: `<v>1</v>`, or ` t="b"><v>1</v>` with attributes."""
    attributes, _, inside = content.partition(">") if content.startswith(" ") else ("", "", content)
    pattern = rf'<c r="{at}"[^>]*?(?:/>|>.*?</c>)'.encode()
    changed, count = re.subn(pattern, f'<c r="{at}"{attributes}>{inside}</c>'.encode(), found[part], count=1)
    assert count == 1, at
    found[part] = changed


def setting(found: Parts, name: str, content: str) -> None:
    """Give a row of Config another value."""
    texts = [re.sub(rb"<[^>]*>", b"", text) for text in found[STRINGS].split(b"<si>")[1:]]
    row = re.search(rf'<c r="A(\d+)"[^>]*t="s"><v>{texts.index(name.encode())}</v>'.encode(), found[CONFIG])
    assert row, name
    cell(found, CONFIG, f"B{row.group(1).decode()}", content)


def names(found: Parts, text: str) -> None:
    """Put defined names before the others."""
    swap(found, BOOK, "<definedNames>", f"<definedNames>{text}")


def corner(found: Parts, name: str, right: int = 0) -> str:
    """The first cell of a block, or one further right."""
    place = re.search(rf'<definedName name="{name}">Model!\$([A-Z]+)\$(\d+)'.encode(), found[BOOK])
    assert place, name
    return cell_name(int(place.group(2)) - 1, column_index(place.group(1).decode()) + right)


def moved(found: Parts, name: str, target: str) -> None:
    """Let a defined name point elsewhere."""
    pattern = rf'(<definedName name="{name}">)[^<]*'.encode()
    changed, count = re.subn(pattern, rf"\g<1>{target}".encode(), found[BOOK])
    assert count == 1, name
    found[BOOK] = changed


def added_cells(found: Parts, rows: str) -> None:
    """Rows behind the others of the Model sheet."""
    swap(found, MODEL, "</sheetData>", f"{rows}</sheetData>")


def formula(found: Parts, text: str, row: int = 900) -> None:
    """One more formula, far below the model."""
    added_cells(found, f'<row r="{row}"><c r="A{row}"><f>{text}</f><v>0</v></c></row>')


# --- no workbooks ------------------------------------------------------------------------------------------------


@file("does not exist")
def missing(here: Here) -> Path:
    return here.folder / "none.xlsx"


@file("is a folder")
def a_folder(here: Here) -> Path:
    return here.folder


@file("is no .xlsx workbook")
def empty(here: Here) -> Path:
    (here.folder / "a.xlsx").touch()
    return here.folder / "a.xlsx"


@file("no ordinary file")
def fifo(here: Here) -> Path:
    os.mkfifo(here.folder / "a.xlsx")
    return here.folder / "a.xlsx"


@file("no ordinary file")
def device(here: Here) -> Path:
    assert here.base.exists()
    return Path("/dev/zero")


@file("symbolic links")
def symlink_loop(here: Here) -> Path:
    (here.folder / "a.xlsx").symlink_to(here.folder / "b.xlsx")
    (here.folder / "b.xlsx").symlink_to(here.folder / "a.xlsx")
    return here.folder / "a.xlsx"


@file("does not exist")
def dangling_link(here: Here) -> Path:
    (here.folder / "a.xlsx").symlink_to(here.folder / "gone.xlsx")
    return here.folder / "a.xlsx"


@file("cannot be read")
def name_too_long(here: Here) -> Path:
    return here.folder / ("a" * 300 + ".xlsx")


@file("cannot be read")
def file_as_folder(here: Here) -> Path:
    return here.base / "inside.xlsx"


@file("does not exist")
def name_with_escapes(here: Here) -> Path:
    return here.folder / "a\x1b[31m\nb\u202e.xlsx"


@file("old .xls")
def old_xls(here: Here) -> Path:
    (here.folder / "a.xls").write_bytes(bytes.fromhex("D0CF11E0A1B11AE1") + bytes(5000))
    return here.folder / "a.xls"


@file("encrypted")
def encrypted_workbook(here: Here) -> Path:
    (here.folder / "a.xlsx").write_bytes(bytes.fromhex("D0CF11E0A1B11AE1") + b"EncryptedPackage" * 300)
    return here.folder / "a.xlsx"


@file("is no .xlsx workbook")
def csv(here: Here) -> Path:
    (here.folder / "a.csv").write_text("=1+1,2\n" * 1000)
    return here.folder / "a.csv"


@file("is no .xlsx workbook")
def random_bytes(here: Here) -> Path:
    (here.folder / "a.xlsx").write_bytes(np.random.default_rng(0).bytes(100_000))
    return here.folder / "a.xlsx"


@file("is no .xlsx workbook")
def sparse_gigabytes(here: Here) -> Path:
    with (here.folder / "a.xlsx").open("wb") as hollow:
        hollow.truncate(8 << 30)
    return here.folder / "a.xlsx"


@file("OpenDocument")
def ods(here: Here) -> Path:
    return pack(
        here.folder / "a.ods", {"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": b""}
    )


@file("no .xlsx workbook")
def a_zip_of_photos(here: Here) -> Path:
    return pack(here.folder / "a.xlsx", {"photo.jpg": b"\xff\xd8" * 99})


@file("damaged")
def a_word_document(here: Here) -> Path:
    return pack(here.folder / "a.xlsx", {TYPES: b"<Types/>", "word/document.xml": b"<w/>"})


@file("cut off")
def cut_in_half(here: Here) -> Path:
    (here.folder / "a.xlsx").write_bytes(here.base.read_bytes()[: here.base.stat().st_size // 2])
    return here.folder / "a.xlsx"


@file("not a workbook of sheetgen")
def somebody_elses(here: Here) -> Path:
    book = openpyxl.Workbook()
    book.active["A1"] = "=SUM(B1:B9)"
    book.save(here.folder / "a.xlsx")
    return here.folder / "a.xlsx"


@file("Config")
def somebody_elses_with_our_sheets(here: Here) -> Path:
    book = openpyxl.Workbook()
    for name in ("Model", "Config"):
        book.create_sheet(name)["A1"] = "hello"
    book.save(here.folder / "a.xlsx")
    return here.folder / "a.xlsx"


if not PRIVILEGED:  # nothing is forbidden to root

    @file("permission")
    def no_permission(here: Here) -> Path:
        shutil.copyfile(here.base, here.folder / "a.xlsx")
        (here.folder / "a.xlsx").chmod(0)
        return here.folder / "a.xlsx"


# --- zip files with traps ----------------------------------------------------------------------------------------


@parts("absurdly tight")
def zip_bomb(found: Parts) -> None:
    found[MODEL] += b" " * (64 << 20)


@parts("absurdly tight")
def zip_bomb_beside(found: Parts) -> None:
    found["xl/media/image1.png"] = bytes(64 << 20)


@file("unpacks to more than")
def zip_bomb_of_many_parts(here: Here) -> Path:
    shutil.copyfile(here.base, here.folder / "a.xlsx")
    with zipfile.ZipFile(here.folder / "a.xlsx", "a") as archive:
        for i in range(1000):
            archive.writestr(f"xl/media/{i}.bin", b"")
            archive.filelist[-1].file_size = 999_999  # each too small to be called tight
    return here.folder / "a.xlsx"


@file("damaged")
def zip_list_that_lies(here: Here) -> Path:
    whole = bytearray(here.base.read_bytes())
    at = whole.rindex(b"PK\x05\x06")
    whole[at + 12 : at + 16] = (at - 1).to_bytes(4, "little")  # the size of the list
    (here.folder / "a.xlsx").write_bytes(whole)
    return here.folder / "a.xlsx"


@file("damaged")
def zip_list_of_a_million(here: Here) -> Path:
    entry = b"PK\x01\x02" + bytes(24) + (1).to_bytes(2, "little") + bytes(16) + b"a"
    listed = entry * 1_000_000
    end = b"PK\x05\x06" + bytes(4) + b"\xff\xff\xff\xff" + len(listed).to_bytes(4, "little") + bytes(6)
    (here.folder / "a.xlsx").write_bytes(b"PK\x03\x04" + bytes(26) + listed + end)
    return here.folder / "a.xlsx"


@parts("parts, more than")
def ten_thousand_parts(found: Parts) -> None:
    found |= {f"xl/media/{i}": b"" for i in range(10_000)}


@file("packed as no spreadsheet program does")
def packed_by_lzma(here: Here) -> Path:
    with zipfile.ZipFile(here.base) as source, zipfile.ZipFile(here.folder / "a.xlsx", "w", zipfile.ZIP_LZMA) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    return here.folder / "a.xlsx"


@file("two parts of one name")
def a_part_twice(here: Here) -> Path:
    shutil.copyfile(here.base, here.folder / "a.xlsx")
    with zipfile.ZipFile(here.folder / "a.xlsx", "a") as archive:
        archive.writestr("XL/WORKBOOK.XML", b"<workbook/>")
    return here.folder / "a.xlsx"


@file("is encrypted")
def encrypted_part(here: Here) -> Path:
    whole = bytearray(here.base.read_bytes())
    at = whole.index(b"PK\x01\x02")
    whole[at + 8] |= 1
    (here.folder / "a.xlsx").write_bytes(whole)
    return here.folder / "a.xlsx"


@parts("prediction", code=0)
def names_that_climb_out(found: Parts) -> None:
    found |= {"../../evil.txt": b"out", "/tmp/evil.txt": b"out", "C:\\evil.txt": b"out"}  # noqa: S108 - never written


# --- XML with traps ----------------------------------------------------------------------------------------------


def doctype(found: Parts, part: str, text: str) -> None:
    swap(found, part, "?>", f"?><!DOCTYPE x [{text}]>")


@parts("DOCTYPE")
def billion_laughs(found: Parts) -> None:
    lines = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    doctype(found, MODEL, f'<!ENTITY l0 "lol">{lines}')


@parts("DOCTYPE")
def external_entity(found: Parts) -> None:
    doctype(found, STRINGS, '<!ENTITY x SYSTEM "file:///etc/passwd">')


@parts("DOCTYPE")
def external_dtd(found: Parts) -> None:
    swap(found, BOOK, "?>", '?><!DOCTYPE x SYSTEM "http://127.0.0.1:9/evil.dtd">')


@parts("DOCTYPE")
def entity_in_the_types(found: Parts) -> None:
    doctype(found, TYPES, '<!ENTITY x "y">')


@parts("damaged")
def ten_thousand_deep(found: Parts) -> None:
    swap(found, MODEL, "<sheetData>", "<a>" * 10_000 + "</a>" * 10_000 + "<sheetData>")


@parts("not written in UTF-8")
def another_encoding(found: Parts) -> None:
    swap(found, MODEL, "UTF-8", "UTF-7")


def in_utf16(content: bytes, encoding: str = "utf-16") -> bytes:
    return content.decode().replace("UTF-8", "UTF-16").encode(encoding)


@parts("not written in UTF-8")
def a_sheet_in_utf16(found: Parts) -> None:
    found[MODEL] = in_utf16(found[MODEL])


@parts("not written in UTF-8")
def texts_in_utf16_without_a_mark(found: Parts) -> None:
    found[STRINGS] = in_utf16(found[STRINGS], "utf-16-be")


@parts("not written in UTF-8")
def relationships_in_utf16(found: Parts) -> None:
    found[RELATIONS] = in_utf16(found[RELATIONS])


@parts("not written in UTF-8")
def all_parts_in_utf16(found: Parts) -> None:
    found |= {name: in_utf16(content) for name, content in found.items()}


@parts("DOCTYPE")
def a_doctype_in_a_part_that_is_called_a_picture(found: Parts) -> None:
    found["xl/media/image1.png"] = b'\xef\xbb\xbf <!DOCTYPE x SYSTEM "http://127.0.0.1:9/evil.dtd"><x/>'


@parts("damaged")
def a_control_character(found: Parts) -> None:
    swap(found, STRINGS, "<t>", "<t>\x00")


@parts("damaged")
def a_sheet_without_end(found: Parts) -> None:
    found[MODEL] = found[MODEL][: len(found[MODEL]) * 2 // 3]


@parts("damaged")
def a_missing_part(found: Parts) -> None:
    del found[CONFIG]


@parts("damaged")
def no_shared_texts(found: Parts) -> None:
    del found[STRINGS]


@parts("damaged")
def shared_text_out_of_range(found: Parts) -> None:
    cell(found, CONFIG, "A6", ' t="s"><v>99999999</v>')


@parts("damaged")
def shared_text_before_the_first(found: Parts) -> None:
    cell(found, CONFIG, "A6", ' t="s"><v>-1</v>')


@parts("damaged")
def two_sheets_of_one_name(found: Parts) -> None:
    swap(found, BOOK, 'name="Contents"', 'name="model"')


# --- what runs, or reaches out -----------------------------------------------------------------------------------


@parts("macros")
def macros(found: Parts) -> None:
    found["xl/vbaProject.bin"] = bytes.fromhex("D0CF11E0A1B11AE1") + bytes(512)


@parts("macros")
def excel4_macros(found: Parts) -> None:
    found["xl/macrosheets/sheet1.xml"] = b"<xm:macrosheet xmlns:xm='x'/>"


@parts("links to other workbooks")
def external_link(found: Parts) -> None:
    found["xl/externalLinks/externalLink1.xml"] = b"<externalLink/>"


@parts("connections")
def connection(found: Parts) -> None:
    found["xl/connections.xml"] = b"<connections/>"


@parts("embedded")
def embedded_object(found: Parts) -> None:
    found["xl/embeddings/oleObject1.bin"] = bytes(512)


@parts("ActiveX")
def active_x(found: Parts) -> None:
    found["xl/activeX/activeX1.bin"] = bytes(512)


@parts("outside the workbook")
def linked_picture(found: Parts) -> None:
    relation = '<Relationship Id="rId99" Type="x/image" Target="file:///etc/passwd" TargetMode="External"/>'
    swap(found, "xl/_rels/workbook.xml.rels", "</Relationships>", f"{relation}</Relationships>")


@parts("outside the workbook")
def a_part_elsewhere_that_is_called_inside(found: Parts) -> None:
    related(found, "image", "http://127.0.0.1:9/a.png")


@parts("outside the workbook")
def a_part_on_another_machine(found: Parts) -> None:
    related(found, "theme", r"\\127.0.0.1\a.xml")


@parts("links to other workbooks")
def an_external_link_of_another_name(found: Parts) -> None:
    found["xl/harmless1.xml"] = b"<x/>"
    related(found, "externalLink", "harmless1.xml")


@parts("macros")
def macros_of_another_name(found: Parts) -> None:
    related(found, "vbaProject", "harmless.bin")


@parts("connections")
def a_web_query_of_another_name(found: Parts) -> None:
    related(found, "queryTable", "harmless.xml")


@parts("reaches out")
def a_name_of_one_sheet_to_another_file(found: Parts) -> None:
    names(found, '<definedName name="aa" localSheetId="0">\'http://127.0.0.1:9/a.ods\'#$Sheet1.$A$1</definedName>')


@parts("reaches out")
def a_formula_between_names_of_sheets_with_quotes(found: Parts) -> None:
    formula(found, "'a\"b'!A1+WEBSERVICE(&quot;127.0.0.1&quot;)+'a\"b'!A1")


@parts("reaches out")
def a_chart_of_another_file(found: Parts) -> None:
    found["xl/charts/chart9.xml"] = b"<c:f xmlns:c='x'>'[http://127.0.0.1:9/a.xlsx]Sheet1'!$A$1</c:f>"


@parts("reaches out")
def a_shape_that_shows_another_file(found: Parts) -> None:
    found["xl/drawings/drawing9.xml"] = b"<sp xmlns='x' textlink=\"'[http://127.0.0.1:9/a.xlsx]S'!A1\"/>"


@parts("reaches out")
def a_format_that_asks_the_web(found: Parts) -> None:
    rule = '<cfRule type="colorScale" priority="9"><colorScale><cfvo type="formula" val="WEBSERVICE(A1)"/></colorScale>'
    rules = f'<conditionalFormatting sqref="A1">{rule}</cfRule></conditionalFormatting>'
    swap(found, MODEL, "</sheetData>", f"</sheetData>{rules}")


@parts("reaches out")
def formula_to_another_file(found: Parts) -> None:
    formula(found, "'[/etc/passwd]Sheet1'!A1")


@parts("reaches out")
def formula_of_the_web(found: Parts) -> None:
    formula(found, '_xlfn.WEBSERVICE("http://127.0.0.1:9/")')


@parts("reaches out")
def dde(found: Parts) -> None:
    formula(found, "cmd|'/c calc'!A0")


@parts("reaches out")
def name_to_another_file(found: Parts) -> None:
    names(found, "<definedName name=\"aa\">'file:///etc/passwd'#$Sheet1.$A$1</definedName>")


@parts("reaches out")
def validation_of_the_web(found: Parts) -> None:
    swap(found, MODEL, "<formula1>", '<formula1>WEBSERVICE("http://127.0.0.1:9/")+')


# --- too much ----------------------------------------------------------------------------------------------------


@parts("damaged")
def a_million_names(found: Parts) -> None:
    names(found, "".join(f'<definedName name="n{i}">Model!$A${i + 1}</definedName>' for i in range(1_000_000)))


@parts("filled cells")
def a_sheet_of_millions(found: Parts) -> None:
    rows = (f'<row r="{r}">' + "<c><v>1</v></c>" * 400 + "</row>" for r in range(1000, 5000))
    added_cells(found, "".join(rows))


@parts("prediction", code=0)
def a_million_empty_rows(found: Parts) -> None:
    added_cells(found, "".join(f'<row r="{r}"/>' for r in range(300, 1_000_300)))


@parts("too large to recompute")
def a_far_corner(found: Parts) -> None:
    added_cells(found, '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')


@parts("too large to recompute")
def far_rows_on_every_sheet(found: Parts) -> None:
    for part in [part for part in found if part.startswith(SHEETS) and part.endswith(".xml")]:
        swap(found, part, "</sheetData>", '<row r="400000"><c r="Y400000"><v>1</v></c></row></sheetData>')


@parts("prediction", code=0)
def a_dimension_that_lies(found: Parts) -> None:
    found[MODEL] = re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1:XFD1048576"', found[MODEL])


@parts("damaged")
def a_cell_beyond_the_sheet(found: Parts) -> None:
    added_cells(found, '<row r="1048577"><c r="A1048577"><v>1</v></c></row>')


@parts("damaged")
def a_row_of_many_digits(found: Parts) -> None:
    added_cells(found, f'<row r="{"9" * 5000}"><c><v>1</v></c></row>')


@parts("damaged")
def an_array_over_everything(found: Parts) -> None:
    added_cells(found, '<row r="900"><c r="A900"><f t="array" ref="A900:XFD1048576">1</f></c></row>')


@parts("longer than 8,192")
def a_formula_of_100_000_signs(found: Parts) -> None:
    formula(found, "1" + "+1" * 50_000)


@parts("too long formulas")
def a_formula_of_many_sums(found: Parts) -> None:
    formula(found, "1" + "+1" * 4000)


@parts("prediction", code=0)
def deeply_nested(found: Parts) -> None:
    formula(found, "(" * 900 + "1" + ")" * 900)


@parts("too many different")
def ten_thousand_different_formulas(found: Parts) -> None:
    cells = (f'<row r="{r}"><c r="A{r}"><f>{r}+A{r + 1}</f></c></row>' for r in range(900, 10_900))
    added_cells(found, "".join(cells))


@parts("share formulas")
def a_formula_shared_by_all(found: Parts) -> None:
    first = '<row r="900"><c r="A900"><f t="shared" ref="A900:A400900" si="0">A899+1</f></c></row>'
    rest = (f'<row r="{r}"><c r="A{r}"><f t="shared" si="0"/></c></row>' for r in range(901, 400_901))
    added_cells(found, first + "".join(rest))


@parts("prediction", code=0)
def sums_of_everything(found: Parts) -> None:
    cells = (f'<row r="{r}"><c r="A{r}"><f>SUM(B1:XFD1048576)</f></c></row>' for r in range(900, 1900))
    added_cells(found, "".join(cells))


@parts("read")
def a_thousand_large_sums(found: Parts) -> None:
    cells = (f'<row r="{r}"><c r="A{r}"><f>SUM(B1:B1000000)</f></c></row>' for r in range(900, 1900))
    added_cells(found, "".join(cells))


@parts("prediction", code=0)
def a_column_times_a_row(found: Parts) -> None:
    formula(found, "SUM(C1:C90000*A2:XFD2)")


@parts("prediction", code=0)
def a_text_that_doubles(found: Parts) -> None:
    first = '<row r="900"><c r="A900" t="str"><v>xxxxxxxx</v></c></row>'
    rest = (f'<row r="{r}"><c r="A{r}"><f>A{r - 1}&amp;A{r - 1}</f></c></row>' for r in range(901, 960))
    added_cells(found, first + "".join(rest))


@parts("prediction", code=0)
def a_function_that_makes_much(found: Parts) -> None:
    formula(found, 'LEN(REPT("x",2000000000))+SUM(_xlfn.MAKEARRAY(99999,99999,1))+FACT(99999999)')


@parts("prediction", code=0)
def a_power_tower(found: Parts) -> None:
    formula(found, "9^9^9^9^9+1E308*1E308+99999999999999999999999999^99999999")


@parts("circle", code=1)
def a_circle_through_the_model(found: Parts) -> None:
    text = re.search(rf'<c r="{corner(found, "embed")}"[^>]*><f[^>]*>([^<]*)</f>'.encode(), found[MODEL])
    assert text
    now = text.group(1).decode()
    swap(found, MODEL, f">{now}</f>", f">{now}+0*{corner(found, 'final_norm')}</f>")


@parts("prediction", code=0)
def a_circle_beside_it(found: Parts) -> None:
    formula(found, "A900+1")


# --- Config ------------------------------------------------------------------------------------------------------


@parts("no group of published models")
def published_models_that_nobody_knows(found: Parts) -> None:
    setting(found, "published", ' t="inlineStr"><is><t>nobody</t></is>')


@parts("choose smaller sizes")
def config_of_a_billion_cells(found: Parts) -> None:
    setting(found, "d_model", "<v>1000000000</v>")


@parts("Config")
def config_of_many_layers(found: Parts) -> None:
    setting(found, "n_layers", "<v>1000000</v>")


@parts("Config")
def config_of_many_heads(found: Parts) -> None:
    setting(found, "n_heads", "<v>100000000</v>")
    setting(found, "n_kv_heads", "<v>100000000</v>")


@parts("Config says vocab_size 1000000", code=0)  # as any size that the blocks have otherwise
def config_of_a_large_vocabulary(found: Parts) -> None:
    setting(found, "vocab_size", "<v>1000000</v>")


@parts("d_ff 'four' is not a whole number")
def config_with_a_word(found: Parts) -> None:
    setting(found, "d_ff", ' t="str"><v>four</v>')


@parts("d_ff 4.5 is not a whole number")
def config_with_a_fraction(found: Parts) -> None:
    setting(found, "d_ff", "<v>4.5</v>")


@parts("at least 1")
def config_with_zero(found: Parts) -> None:
    setting(found, "n_heads", "<v>0</v>")


@parts("at least 1")
def config_with_a_negative_number(found: Parts) -> None:
    setting(found, "n_layers", "<v>-3</v>")


@parts("d_ff True is not a whole number")
def config_with_a_boolean(found: Parts) -> None:
    setting(found, "d_ff", ' t="b"><v>1</v>')


@parts("d_ff '#N/A' is not a whole number")
def config_with_an_error(found: Parts) -> None:
    setting(found, "d_ff", ' t="e"><v>#N/A</v>')


@parts("no row 'd_ff'")
def config_with_a_formula(found: Parts) -> None:
    setting(found, "d_ff", "<f>2+2</f><v>4</v>")


@parts("no row 'n_heads'")
def config_without_a_row(found: Parts) -> None:
    swap(found, STRINGS, "<t>n_heads</t>", "<t>n_hats</t>")


@parts("is not known")
def config_with_another_choice(found: Parts) -> None:
    setting(found, "activation", ' t="str"><v>__import__("os")</v>')


@parts("family")
def config_of_no_family(found: Parts) -> None:
    setting(found, "family", ' t="str"><v>../../decoder</v>')


@parts("twice")
def config_with_a_row_twice(found: Parts) -> None:
    swap(found, STRINGS, "<t>parameters</t>", "<t>d_ff</t>")


@parts("damaged")
def config_with_infinity(found: Parts) -> None:
    setting(found, "rope_theta", "<v>1E999</v>")


@parts("has no sheet Config: if it was renamed, rename it back")
def config_is_gone(found: Parts) -> None:
    swap(found, BOOK, 'name="Config"', 'name="Settings"')


# --- weights, controls, words ------------------------------------------------------------------------------------


@parts("in W_E holds '#DIV/0!'")
def an_error_in_a_weight(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), ' t="e"><v>#DIV/0!</v>')


@parts("in W_E holds 'one'")
def a_text_in_a_weight(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), ' t="str"><v>one</v>')


@parts("in W_E holds True")
def a_boolean_in_a_weight(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), ' t="b"><v>1</v>')


@parts("in W_E is empty")
def an_empty_weight(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), "")


@parts("in W_E holds '2026-01-01'")
def a_date_in_a_weight(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), ' t="d"><v>2026-01-01</v>')


@parts("damaged")
def nan_in_a_weight(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), "<v>NaN</v>")


@parts("damaged")
def infinity_in_a_weight(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), "<v>1e999</v>")


@parts("damaged")
def a_minus_infinity_in_a_weight(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), "<v>-inf</v>")


@parts("", code=0)
def a_formula_in_a_weight(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), "<f>1/4</f><v>9</v>")


@parts("holds '#DIV/0!'")
def a_formula_that_fails_in_a_weight(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), "<f>1/0</f><v>9</v>")


@parts("too large")
def a_weight_beyond_reason(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), "<v>1e300</v>")


@parts("the control rope_theta, holds 'ten'")
def a_text_in_a_control(found: Parts) -> None:
    cell(found, MODEL, corner(found, "control__rope_theta"), ' t="str"><v>ten</v>')


@parts("must be a number of at least 1")
def a_control_out_of_range(found: Parts) -> None:
    cell(found, MODEL, corner(found, "control__rope_theta"), "<v>-10000</v>")


@parts("holds 7, which is no word")
def a_number_for_a_word(found: Parts) -> None:
    cell(found, MODEL, corner(found, "words"), "<v>7</v>")


@parts("not in the vocabulary")
def an_unknown_word(found: Parts) -> None:
    cell(found, MODEL, corner(found, "words"), ' t="inlineStr"><is><t>=1+1</t></is>')


@parts("is no word")
def no_word(found: Parts) -> None:
    cell(found, MODEL, corner(found, "words"), "")


# --- names and blocks --------------------------------------------------------------------------------------------


@parts("no cells are named W_E")
def a_name_that_is_gone(found: Parts) -> None:
    swap(found, BOOK, 'name="W_E"', 'name="W_F"')


@parts("no cells are named W_E")
def a_name_of_deleted_cells(found: Parts) -> None:
    moved(found, "W_E", "#REF!")


@parts("no cells are named W_E")
def a_name_on_no_sheet(found: Parts) -> None:
    moved(found, "W_E", "Nowhere!$H$16:$K$19")


@parts("no cells are named W_E")
def a_name_of_whole_columns(found: Parts) -> None:
    moved(found, "W_E", "Model!$H:$K")


@parts("1048576×4 cells")
def a_name_of_nearly_whole_columns(found: Parts) -> None:
    moved(found, "W_E", "Model!$H$1:$K$1048576")


@parts("no cells are named W_E")
def a_name_of_two_areas(found: Parts) -> None:
    moved(found, "W_E", "Model!$A$16:$D$17,Model!$A$18:$D$19")


@parts("no cells are named W_E")
def a_name_that_computes(found: Parts) -> None:
    moved(found, "W_E", "OFFSET(Model!$H$16,0,0,4,4)")


@parts("W_E")
def a_name_on_another_sheet(found: Parts) -> None:
    moved(found, "W_E", "Config!$A$16:$D$19")


@parts("logits", code=1)
def a_result_name_on_another_sheet(found: Parts) -> None:
    moved(found, "logits", "Contents!$A$1:$C$4")


@parts("logits is not what the model computes", code=1)
def names_that_overlap(found: Parts) -> None:
    place = re.search(rb'name="W_E">([^<]*)<', found[BOOK])
    assert place
    moved(found, "W_U", place.group(1).decode().replace("$", r"$"))


@parts("two names")
def a_name_twice(found: Parts) -> None:
    names(found, '<definedName name="w_e">Model!$H$206:$K$209</definedName>')


@parts("has no cells", code=1)
def a_result_name_that_is_gone(found: Parts) -> None:
    moved(found, "logits", "#REF!")


@parts("in W_U is empty")
def a_deleted_block(found: Parts) -> None:
    row = re.search(r"\d+", corner(found, "logits"))
    assert row
    for at in range(int(row.group()), int(row.group()) + 4):
        found[MODEL] = re.sub(rf'<row r="{at}".*?</row>'.encode(), b"", found[MODEL])


@parts("in W_E is empty")
def merged_cells(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E", right=1), "")
    swap(found, MODEL, "</sheetData>", '</sheetData><mergeCells count="1"><mergeCell ref="H16:I16"/></mergeCells>')


@parts("prediction", code=0)
def hidden_sheets(found: Parts) -> None:
    for name in ("Model", "Config"):
        swap(found, BOOK, f'name="{name}"', f'name="{name}" state="veryHidden"')


@parts("prediction", code=0)
def a_sheet_twice(found: Parts) -> None:
    found["xl/worksheets/sheet9.xml"] = found[MODEL]
    swap(found, BOOK, "</sheets>", '<sheet name="Model (2)" sheetId="99" r:id="rId99"/></sheets>')
    related(found, "worksheet", "worksheets/sheet9.xml")
    swap(
        found, TYPES, "</Types>", f'<Override PartName="/xl/worksheets/sheet9.xml" ContentType="{WORKSHEET}"/></Types>'
    )


# --- what programs read differently ------------------------------------------------------------------------------

WORKSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def related(found: Parts, kind: str, target: str, identity: str = "rId99", *, rest: str = "") -> None:
    """One more relationship of the workbook."""
    relation = f'<Relationship Id="{identity}" Type="{OFFICE}/{kind}" Target="{target}"{rest}/>'
    swap(found, RELATIONS, "</Relationships>", f"{relation}</Relationships>")


def block(found: Parts, name: str) -> re.Match[bytes]:
    """The first cell of a block, with its formula."""
    pattern = rf'<c r="{corner(found, name)}"[^>]*><f[^>]*ref="([^"]*)"[^>]*>([^<]*)</f>.*?</c>'
    match = re.search(pattern.encode(), found[MODEL])
    assert match, name
    return match


@parts("out of its place")
def cells_in_an_extension(found: Parts) -> None:
    q = block(found, "layer_0__head_0__Q")[0].decode()
    swap(found, MODEL, "</worksheet>", f'<extLst><ext uri="x">{q}</ext></extLst></worksheet>')


@parts("out of its place")
def rows_for_other_programs(found: Parts) -> None:
    choice = '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"><mc:Choice>'
    rows = '<sheetData><row r="900"><c r="A900"><v>1</v></c></row></sheetData>'
    swap(found, MODEL, "</sheetData>", f"</sheetData>{choice}{rows}</mc:Choice></mc:AlternateContent>")


@parts("in sheetData of Model")
def a_row_of_another_namespace(found: Parts) -> None:
    added_cells(found, '<x:row xmlns:x="elsewhere" r="900"><c r="A900"><v>1</v></c></x:row>')


@parts("two contents")
def two_sheets_of_cells_in_one(found: Parts) -> None:
    swap(found, MODEL, "</sheetData>", "</sheetData><sheetData/>")


@parts("out of its place")
def a_cell_in_a_cell(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), '<v>1</v><extLst><ext uri="x"><c r="A1"><v>2</v></c></ext></extLst>')


@parts("out of its place")
def a_text_where_none_is(found: Parts) -> None:
    swap(found, STRINGS, "</si>", '<x:si xmlns:x="elsewhere"><t>more</t></x:si></si>')


@parts("out of its place")
def a_sheet_in_an_extension(found: Parts) -> None:
    more = '<sheet name="Model" sheetId="98" r:id="rId1"/>'
    swap(found, BOOK, "</workbook>", f'<extLst><ext uri="x">{more}</ext></extLst></workbook>')


@parts("fills other cells")
def an_array_that_stands_elsewhere(found: Parts) -> None:
    added_cells(
        found, f'<row r="900"><c r="A900"><f t="array" ref="{block(found, "logits")[1].decode()}">1</f></c></row>'
    )


@parts("fills other cells")
def an_array_that_begins_before_its_cell(found: Parts) -> None:
    added_cells(found, '<row r="900"><c r="B900"><f t="array" ref="A900:C901">1</f></c></row>')


@parts("two formulas fill")
def an_array_across_another(found: Parts) -> None:
    rows = '<row r="900"><c r="A900"><f t="array" ref="A900:B902">1</f></c></row>'
    added_cells(found, rows + '<row r="901"><c r="B901"><f t="array" ref="B901:C901">2</f></c></row>')


@parts("two formulas fill")
def a_formula_inside_an_array(found: Parts) -> None:
    rows = '<row r="900"><c r="A900"><f t="array" ref="A900:B902">1</f></c></row>'
    added_cells(found, rows + '<row r="901"><c r="B901"><f>2</f></c></row>')


@parts("given twice")
def a_cell_twice(found: Parts) -> None:
    first = block(found, "layer_0__head_0__Q")[0].decode()
    swap(found, MODEL, first, f"{first}{first.replace('MMULT', '0*MMULT')}")


@parts("stands behind row")
def a_row_twice(found: Parts) -> None:
    row = int(re.sub(r"\D", "", corner(found, "W_E")))
    added_cells(found, f'<row r="{row}"><c r="{corner(found, "W_E")}"><v>9</v></c></row>')


@parts("given twice, behind its place")
def cells_from_right_to_left(found: Parts) -> None:
    added_cells(found, '<row r="900"><c r="B900"><v>1</v></c><c r="A900"><v>1</v></c></row>')


@parts("stands in row 900")
def a_cell_in_another_row(found: Parts) -> None:
    added_cells(found, f'<row r="900"><c r="{corner(found, "W_E")}"><v>9</v></c></row>')


@parts("two contents")
def a_cell_with_two_values(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), "<v>1</v><v>2</v>")


@parts("has two contents")
def a_cell_with_two_formulas(found: Parts) -> None:
    formula(found, "1</f><f>2")


@parts("of another kind")
def an_inline_text_in_a_number(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), "<is><t>1</t></is>")


@parts("is an inline text and has a value")
def a_value_in_an_inline_text(found: Parts) -> None:
    cell(found, MODEL, corner(found, "words"), ' t="inlineStr"><v>the</v>')


@parts("in v of Model")
def an_element_in_a_value(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), '<v>1<x:y xmlns:x="elsewhere">2</x:y></v>')


@parts("is no number")
def a_number_of_python(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), "<v>1_0</v>")


@parts("is no number")
def a_number_in_other_digits(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), "<v>\N{ARABIC-INDIC DIGIT ONE}</v>")


@parts("is neither 0 nor 1")
def a_boolean_in_a_word(found: Parts) -> None:
    cell(found, MODEL, corner(found, "words"), ' t="b"><v>true</v>')


@parts("is no kind of cell")
def a_kind_that_nobody_knows(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), ' t="number"><v>1</v>')


@parts("are shared as 0")
def two_shared_formulas_of_one_number(found: Parts) -> None:
    cells = (f'<row r="{r}"><c r="A{r}"><f t="shared" ref="A{r}:A{r + 1}" si="0">{r}</f></c></row>' for r in (900, 902))
    added_cells(found, "".join(cells))


@parts("formula of no letter")
def an_empty_formula(found: Parts) -> None:
    cell(found, MODEL, corner(found, "W_E"), "<f></f><v>1</v>")


@parts("gives rId1 twice")
def an_id_twice(found: Parts) -> None:
    related(found, "worksheet", "worksheets/Config.xml", "rId1")


@parts("two sheets are one part")
def a_part_of_two_sheets(found: Parts) -> None:
    swap(found, BOOK, "</sheets>", '<sheet name="Copy" sheetId="99" r:id="rId2"/></sheets>')


@parts("two sheets are one part")
def a_part_reached_in_two_ways(found: Parts) -> None:
    swap(found, BOOK, "</sheets>", '<sheet name="Copy" sheetId="99" r:id="rId99"/></sheets>')
    related(found, "worksheet", "/xl/charts/../worksheets/Model.xml")


@parts("two parts of shared texts")
def two_parts_of_texts(found: Parts) -> None:
    related(found, "sharedStrings", "sharedStrings.xml")


@parts("two parts are the workbook")
def two_workbooks(found: Parts) -> None:
    relation = f'<Relationship Id="rId99" Type="{OFFICE}/officeDocument" Target="xl/workbook2.xml"/>'
    swap(found, "_rels/.rels", "</Relationships>", f"{relation}</Relationships>")


@parts("has no worksheet")
def a_relationship_of_a_type_that_lies(found: Parts) -> None:
    found[RELATIONS] = found[RELATIONS].replace(f'{OFFICE}/worksheet"'.encode(), b'elsewhere/worksheet"')


@parts("is no relationship")
def a_relationship_of_another_namespace(found: Parts) -> None:
    swap(found, RELATIONS, "<Relationship ", '<Relationship xmlns="elsewhere" ')


@parts("the address")
def a_part_with_a_coded_name(found: Parts) -> None:
    swap(found, RELATIONS, "worksheets/Model.xml", "worksheets/%4dodel.xml")


@parts("is not said to be of the kind")
def a_sheet_of_another_content_type(found: Parts) -> None:
    pattern = rf'(PartName="/{MODEL}" ContentType=")[^"]*'.encode()
    found[TYPES] = re.sub(pattern, rb"\1application/vnd.openxmlformats-officedocument.theme+xml", found[TYPES])


@parts("is not said to be of the kind")
def texts_of_no_content_type(found: Parts) -> None:
    found[TYPES] = re.sub(rf'<Override PartName="/{STRINGS}"[^>]*>'.encode(), b"", found[TYPES])


@parts("said to be of two kinds")
def a_content_type_twice(found: Parts) -> None:
    swap(found, TYPES, "</Types>", f'<Override PartName="/{MODEL}" ContentType="text/xml"/></Types>')


@parts("two names")
def a_name_of_a_sheet_twice(found: Parts) -> None:
    names(found, '<definedName name="aa" localSheetId="1">Model!$A$1</definedName>' * 2)


@parts("which a sheet has for other cells")
def a_name_of_a_sheet_that_hides_one(found: Parts) -> None:
    names(found, '<definedName name="w_e" localSheetId="1">Model!$A$1:$D$4</definedName>')
    formula(found, "SUM(W_E)")


@parts("prediction", code=0)
def names_of_a_sheet_that_was_copied(found: Parts) -> None:
    names(found, '<definedName name="W_E" localSheetId="1">Model!$A$1:$D$4</definedName>')


@parts("numbers as displayed")
def precision_as_displayed(found: Parts) -> None:
    swap(found, BOOK, "<calcPr ", '<calcPr fullPrecision="0" ')


# --- the tests ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("base") / "base.xlsx", *BASE)


def judge(path: Path, kind: Kind) -> None:
    """`check` ends with this code, says these words, and leaves the folder as it was."""
    before = {file: file.stat().st_mtime_ns for file in path.parent.glob("*") if not file.is_symlink()}
    result = limited("check", path)
    assert not result.traceback, result.err
    assert result.code == kind.code, result
    assert "more memory" not in result.err
    if kind.code == 2:
        assert result.message.startswith("sheetgen: "), result
        assert kind.words in result.message
        assert result.message.isprintable()
        assert len(result.message) < 1000
    else:
        assert result.err == ""
        assert kind.words in result.out
    assert {file: file.stat().st_mtime_ns for file in path.parent.glob("*") if not file.is_symlink()} == before


@pytest.mark.parametrize("name", FILES)
def test_hostile_file(name: str, base: Path, tmp_path: Path) -> None:
    path = FILES[name].make(Here(tmp_path, base))
    assert path is not None
    judge(path, FILES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", EDITS)
def test_hostile_edit(name: str, base: Path, tmp_path: Path) -> None:
    found = parts_of(base)
    EDITS[name].make(found)
    judge(pack(tmp_path / "hostile.xlsx", found), EDITS[name])


def test_there_are_many_kinds() -> None:
    assert len(FILES) + len(EDITS) >= 60


def slip(self: _SheetReader) -> Any:
    return self.kind.is_decimal()  # type: ignore[attr-defined]  # no str has it


def test_a_slip_of_ours_is_not_told_as_a_damaged_file(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It surfaces, and the fuzz counts it as a fault."""
    monkeypatch.setattr(_SheetReader, "_constant", slip)
    with pytest.raises(AttributeError, match="is_decimal"):
        main(["check", str(base)])
    assert "AttributeError" in fault(limited("check", base))


@pytest.mark.parametrize("error", [ValueError, IndexError, TypeError])
def test_a_slip_in_the_equations_is_no_advice_to_the_user(
    error: type[Exception], base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(*_: object) -> None:
        raise error("a slip")

    monkeypatch.setattr(FAMILIES["decoder"], "forward", forward)
    with pytest.raises(error, match="a slip"):
        main(["check", str(base)])


def test_the_base_is_fine(base: Path) -> None:
    """Else every file above would be refused for the wrong reason."""
    assert limited("check", base).code == 0
