"""Nothing reaches out: whatever a stranger's file names, LibreOffice asks for nothing while it checks or draws it.

A listener on the loopback must hear nothing. It is a witness only as long as LibreOffice has a network: here it has.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import build, needs_libreoffice, sheetgen
from test_hostile import BASE, OFFICE, RELATIONS, TYPES, Parts, pack, parts_of, related, swap

from sheetgen.base.errors import InputError
from sheetgen.engines import EngineError, libreoffice
from sheetgen.engines.uncached import drop_cached_values
from sheetgen.xlsx.read import read_book

MAP = "xl/worksheets/Map.xml"
DRAWING = (
    '<xdr:wsDr xmlns:xdr="http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    f'xmlns:r="{OFFICE}" xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"><xdr:twoCellAnchor>'
    "<xdr:from><xdr:col>1</xdr:col><xdr:colOff>0</xdr:colOff><xdr:row>1</xdr:row><xdr:rowOff>0</xdr:rowOff></xdr:from>"
    "<xdr:to><xdr:col>9</xdr:col><xdr:colOff>0</xdr:colOff><xdr:row>9</xdr:row><xdr:rowOff>0</xdr:rowOff></xdr:to>"
    "{}<xdr:clientData/></xdr:twoCellAnchor></xdr:wsDr>"
)
PICTURE = (
    '<xdr:pic><xdr:nvPicPr><xdr:cNvPr id="2" name="p"/><xdr:cNvPicPr/></xdr:nvPicPr><xdr:blipFill>'
    '<a:blip r:{}="rId1">{}</a:blip><a:stretch><a:fillRect/></a:stretch></xdr:blipFill><xdr:spPr><a:xfrm>'
    '<a:off x="0" y="0"/><a:ext cx="900000" cy="900000"/></a:xfrm><a:prstGeom prst="rect"/></xdr:spPr></xdr:pic>'
)
CONTENT = "application/vnd.openxmlformats-officedocument.drawing+xml"
SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink">'
    b'<image width="9" height="9" x:href="%s"/></svg>'
)
Attempt = Callable[[Parts, str], None]  # changes the parts of a workbook so that it names an address


def relationships(kind: str, target: str, rest: str) -> bytes:
    return (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="rId1" Type="{OFFICE}/{kind}" Target="{target}"{rest}/></Relationships>'
    ).encode()


def drawn(found: Parts, shape: str, kind: str, target: str, rest: str = ' TargetMode="External"') -> None:
    """A shape on the Map, in a drawing that has one relationship."""
    found["xl/drawings/drawing77.xml"] = DRAWING.replace("{}", shape, 1).encode()
    found["xl/drawings/_rels/drawing77.xml.rels"] = relationships(kind, target, rest)
    found["xl/worksheets/_rels/Map.xml.rels"] = relationships("drawing", "../drawings/drawing77.xml", "")
    swap(found, TYPES, "</Types>", f'<Override PartName="/xl/drawings/drawing77.xml" ContentType="{CONTENT}"/></Types>')
    end = found[MAP].rindex(b"</worksheet>")
    tail = f'<drawing xmlns:r="{OFFICE}" r:id="rId1"/></worksheet>'.encode()
    found[MAP] = found[MAP][:end].replace(b'<legacyDrawing r:id="rId1"/>', b"") + tail


def linked(attribute: str, kind: str, rest: str = ' TargetMode="External"', inside: str = "") -> Attempt:
    return lambda found, url: drawn(found, PICTURE.format(attribute, inside), kind, url, rest)


def formula(text: str) -> Attempt:
    def change(found: Parts, url: str) -> None:
        row = f'<row r="900"><c r="A900"><f>{text.format(url)}</f></c></row>'
        swap(found, MAP, "</sheetData>", f"{row}</sheetData>")

    return change


def name(attributes: str, text: str) -> Attempt:
    def change(found: Parts, url: str) -> None:
        defined = f'<definedName name="reach" {attributes}>{text.format(url)}</definedName>'
        swap(found, "xl/workbook.xml", "<definedNames>", f"<definedNames>{defined}")

    return change


def svg(extension: str) -> Attempt:
    def change(found: Parts, url: str) -> None:
        drawn(found, PICTURE.format("embed", ""), "image", f"../media/image9.{extension}", "")
        found[f"xl/media/image9.{extension}"] = SVG % url.encode()

    return change


def outside(kind: str) -> Attempt:
    return lambda found, url: related(found, kind, url, rest=' TargetMode="External"')


def part(kind: str, text: str) -> Attempt:
    """A part of the workbook that names the address in its own relationships, or by itself."""

    def change(found: Parts, url: str) -> None:
        found["xl/other9.xml"] = text.format(url).encode()
        found["xl/_rels/other9.xml.rels"] = relationships("externalLinkPath", url, ' TargetMode="External"')
        related(found, kind, "other9.xml")

    return change


def chart(found: Parts, url: str) -> None:
    name = next(each for each in found if each.startswith("xl/charts/chart"))
    swap(found, name, "<c:f>", f"<c:f>'[{url}]Sheet1'!$A$1</c:f></c:numRef></c:val><c:val><c:numRef><c:f>")


def doctype(found: Parts, url: str) -> None:
    swap(found, MAP, "?>", f'?><!DOCTYPE x SYSTEM "{url}">')


def entity(found: Parts, url: str) -> None:
    swap(found, "xl/styles.xml", "?>", f'?><!DOCTYPE x [<!ENTITY % x SYSTEM "{url}"> %x;]>')


def stylesheet(found: Parts, url: str) -> None:
    swap(found, MAP, "?>", f'?><?xml-stylesheet type="text/xsl" href="{url}"?>')


def included(found: Parts, url: str) -> None:
    more = f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{url}"/>'
    swap(found, MAP, "</sheetData>", f"</sheetData>{more}")


def web_query(found: Parts, url: str) -> None:
    found["xl/queryTables/q.xml"] = f'<queryTable name="q" url="{url}"/>'.encode()
    found["xl/worksheets/_rels/Map.xml.rels"] = relationships("queryTable", "../queryTables/q.xml", "")


def background(found: Parts, url: str) -> None:
    found["xl/worksheets/_rels/Map.xml.rels"] = relationships("hyperlink", url, ' TargetMode="External"')
    swap(found, MAP, "</worksheet>", f'<picture xmlns:r="{OFFICE}" r:id="rId1"/></worksheet>')


def of_the_theme(found: Parts, url: str) -> None:
    found["xl/theme/_rels/theme1.xml.rels"] = relationships("hyperlink", url, ' TargetMode="External"')
    swap(found, "xl/theme/theme1.xml", "<a:bgFillStyleLst>", '<a:bgFillStyleLst><a:blipFill><a:blip '
         f'xmlns:r="{OFFICE}" r:link="rId1"/></a:blipFill>')  # fmt: skip


def in_a_note(found: Parts, url: str) -> None:
    vml = next(each for each in found if each.endswith(".vml"))
    swap(found, vml, "<v:path", f'<v:imagedata src="{url}" o:href="{url}"/><v:fill type="frame" src="{url}"/><v:path')


def validation(found: Parts, url: str) -> None:
    rule = f'<dataValidations count="1"><dataValidation type="list" sqref="A900"><formula1>\'[{url}]S\'!A1</formula1>'
    swap(found, MAP, "</sheetData>", f"</sheetData>{rule}</dataValidation></dataValidations>")


def condition(found: Parts, url: str) -> None:
    rule = f'<cfRule type="expression" priority="1"><formula>WEBSERVICE("{url}")=1</formula></cfRule>'
    swap(found, MAP, "</sheetData>", f'</sheetData><conditionalFormatting sqref="A1">{rule}</conditionalFormatting>')


def hyperlink(found: Parts, url: str) -> None:
    found["xl/worksheets/_rels/Map.xml.rels"] = relationships("hyperlink", url, ' TargetMode="External"')


HLINK = '<a:extLst><a:ext uri="{{96DAC541-7B7A-43D3-8B79-37D633B846F1}}"><asvg:svgBlip r:{}="rId1" xmlns:asvg='
HLINK += '"http://schemas.microsoft.com/office/drawing/2016/SVG/main"/></a:ext></a:extLst>'

ATTEMPTS: dict[str, Attempt] = {
    "a linked picture": linked("link", "image"),
    "a linked picture as a hyperlink": linked("link", "hyperlink"),
    "an embedded picture as a hyperlink": linked("embed", "hyperlink"),
    "a picture inside, by an address outside": linked("embed", "image", ""),
    "a hyperlink inside, by an address outside": linked("embed", "hyperlink", ""),
    "a linked picture of that mode in other letters": linked("link", "hyperlink", ' TargetMode="external"'),
    "a linked picture of Strict Open XML": linked("link", "../../../ooxml/officeDocument/relationships/hyperlink"),
    "a linked drawing beside a picture": linked("embed", "hyperlink", inside=HLINK.format("link")),
    "an embedded drawing beside a picture": linked("link", "hyperlink", inside=HLINK.format("embed")),
    "a picture that links": svg("svg"),
    "a picture that links, called otherwise": svg("png"),
    "a film": linked("link", "video"),
    "a chart elsewhere": lambda found, url: drawn(found, '<c:chart r:id="rId1"/>', "chart", url),
    "a picture behind a sheet": background,
    "a picture of the theme": of_the_theme,
    "a picture in a note": in_a_note,
    "a hyperlink": hyperlink,
    "a formula of the web": formula('WEBSERVICE("{0}")'),
    "a formula of the web by its full name": formula('_xlfn.WEBSERVICE("{0}")'),
    "a formula of another workbook": formula("'[{0}]Sheet1'!A1"),
    "a formula of another file": formula("'{0}'#$Sheet1.A1"),
    "a formula by DDE": formula('DDE("soffice","{0}","Sheet1.A1")'),
    "a formula by a channel": formula("soffice|'{0}'!A1"),
    "a formula of a picture": formula('_xlfn.IMAGE("{0}")'),
    "a formula hidden by quotes": formula("'a\"b'!A1+WEBSERVICE(&quot;{0}&quot;)+'a\"b'!A1"),
    "a name": name("", "'{0}'#$Sheet1.A1"),
    "a name of one sheet": name('localSheetId="0"', "'{0}'#$Sheet1.A1"),
    "a name of one sheet, of another workbook": name('localSheetId="0"', "'[{0}]Sheet1'!A1"),
    "a hidden name": name('hidden="1"', 'WEBSERVICE("{0}")'),
    "a link to another workbook": part("externalLink", "<externalLink/>"),
    "a connection": part("connections", '<connections><connection><webPr url="{0}"/></connection></connections>'),
    "an outside link to another workbook": outside("externalLinkPath"),
    "an outside object": outside("oleObject"),
    "outside styles": outside("styles"),
    "outside texts": outside("sharedStrings"),
    "a web query": web_query,
    "a chart of another workbook": chart,
    "a document type": doctype,
    "an entity": entity,
    "a stylesheet": stylesheet,
    "an inclusion": included,
    "a validation": validation,
    "a condition": condition,
}


@contextlib.contextmanager
def listening() -> Iterator[tuple[str, list[bytes]]]:
    """An address on the loopback, and what has been asked there."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            with contextlib.suppress(OSError):
                while True:
                    caller, _ = server.accept()
                    with caller:
                        caller.settimeout(1)
                        heard.append(caller.recv(200))

        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", heard
        server.shutdown(socket.SHUT_RDWR)


@needs_libreoffice
@pytest.mark.slow
@pytest.mark.xdist_group("reaching out")
def test_nothing_reaches_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attempt is refused, or LibreOffice checks and draws the file without asking anybody."""
    monkeypatch.setattr(libreoffice, "without_network", tuple)  # else the listener could not be reached anyway
    base = build(tmp_path / "base.xlsx", *BASE)
    passed = {}
    with listening() as (address, heard):
        for number, (what, attempt) in enumerate(ATTEMPTS.items()):
            found = parts_of(base)
            attempt(found, f"{address}/{number}.png")
            path = pack(tmp_path / f"{number}.xlsx", found)
            with contextlib.suppress(InputError, EngineError):
                read_book(path)
                passed[what] = path
        # As check and picture have it read, but LibreOffice started once for all of them.
        libreoffice.recompute_all(list(passed.values()))
        assert heard == []
        libreoffice._recalculate(list(passed.values()), [tmp_path / f"{i}.pdf" for i in range(len(passed))], "pdf")
        assert heard == []
    assert len(ATTEMPTS) >= 40
    assert not [what for what in passed if "formula" in what or "name" in what]
    assert {"a linked picture as a hyperlink", "a picture that links", "a picture behind a sheet"} <= set(passed)


@needs_libreoffice
def test_the_listener_hears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the test above would prove nothing: a file as it came does reach out, with the settings of every day."""
    monkeypatch.setattr(libreoffice, "without_network", tuple)
    monkeypatch.setattr(libreoffice, "_PROFILE", "<oor:items xmlns:oor='http://openoffice.org/2001/registry'/>")
    monkeypatch.setattr(libreoffice, "_PROXIES", {})

    def as_it_came(source: Path, target: Path, _: object) -> None:
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr(libreoffice, "drop_cached_values", as_it_came)
    found = parts_of(build(tmp_path / "base.xlsx", *BASE))
    with listening() as (address, heard):
        ATTEMPTS["a linked picture as a hyperlink"](found, f"{address}/a.png")
        libreoffice.recalculated_copy(pack(tmp_path / "a.xlsx", found), tmp_path / "a.pdf", "pdf")
        assert heard


@needs_libreoffice
def test_check_and_picture_ask_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the commands, as people run them: one that LibreOffice gets without its picture, one that it never gets."""
    monkeypatch.setattr(libreoffice, "without_network", tuple)
    base = build(tmp_path / "base.xlsx", *BASE)
    with listening() as (address, heard):
        for what, code in {"a linked picture as a hyperlink": 0, "a formula of the web": 2}.items():
            found = parts_of(base)
            ATTEMPTS[what](found, f"{address}/a.png")
            path = pack(tmp_path / "a.xlsx", found)
            assert sheetgen("check", "--engine", "libreoffice", path).code == code
            assert sheetgen("picture", path, "--sheet", "Map", "-o", tmp_path / "a.png").code == code
        assert heard == []


def test_a_copy_has_no_relationship_that_leads_outside(tmp_path: Path) -> None:
    found = parts_of(build(tmp_path / "base.xlsx", *BASE))
    ATTEMPTS["a linked picture as a hyperlink"](found, "http://127.0.0.1:9/a.png")
    drop_cached_values(pack(tmp_path / "a.xlsx", found), tmp_path / "copy.xlsx")
    with zipfile.ZipFile(tmp_path / "copy.xlsx") as copy:
        kept = {part: copy.read(part) for part in copy.namelist() if part.endswith(".rels")}
    assert not [part for part, xml in kept.items() if b"TargetMode" in xml]
    assert kept[RELATIONS].count(b"/worksheet") == found[RELATIONS].count(b"/worksheet")
