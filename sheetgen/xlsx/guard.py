"""Looks at files that strangers made before anything parses them: ordinary files, workbooks without traps.

Nothing here unpacks to disk, follows a link in a file, or runs what a file holds.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

from sheetgen.base.errors import InputError
from sheetgen.base.files import DAMAGE, opened

MAX_FILE = 128 << 20  # bytes as it lies on the disk
MAX_BYTES = 384 << 20  # of all parts together, unpacked; a million cells have about 50
MAX_RATIO = 300  # of one part, unpacked to packed; sheets reach about 50
MAX_PARTS = 5_000
MAX_READ = 8 << 20  # bytes in one read: more than a list of MAX_PARTS parts has
MAX_DEPTH = 100  # of elements in each other; sheets have about 10
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # as spreadsheet programs do it; LZMA may ask for 4 GiB

# Parts that run, or that reach out of the workbook, by what their names hold; and what to do about them.
REACHING = {
    "vbaproject": "macros: save it as .xlsx without them",
    "macrosheets/": "macros: save it as .xlsx without them",
    "externallinks/": "links to other workbooks: break them (Data, Edit Links) and save it again",
    "connections": "connections to outside data: remove them (Data, Queries & Connections) and save it again",
    "embeddings/": "embedded objects: remove them and save it again",
    "activex/": "ActiveX controls: remove them and save it again",
    "webextensions/": "add-ins: remove them and save it again",
}


# The same by the last word of a relationship's type, whatever the part that it leads to is called.
REACHING_TYPES = {
    "vbaproject": REACHING["vbaproject"],
    "xlmacrosheet": REACHING["macrosheets/"],
    "xlintlmacrosheet": REACHING["macrosheets/"],
    "externallink": REACHING["externallinks/"],
    "externallinkpath": REACHING["externallinks/"],
    "connections": REACHING["connections"],
    "querytable": REACHING["connections"],
    "volatiledependencies": REACHING["connections"],
    "oleobject": REACHING["embeddings/"],
    "package": REACHING["embeddings/"],
    "control": REACHING["activex/"],
    "activexcontrolbinary": REACHING["activex/"],
    "webextension": REACHING["webextensions/"],
    "webextensiontaskpanes": REACHING["webextensions/"],
}
RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"
# Large, and looked at when they are read; or without formulas; or (VML) not given to engines, and not always XML.
ONLY_BEGUN = frozenset({"worksheet", "sst", "styleSheet", "calcChain", "xml"})


class BookError(InputError):
    """A workbook cannot be read; the message says what, where and the remedy."""


class _Bounded:
    """A file whose single reads are bounded: zipfile reads the list of parts at once, however long it claims to be."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > MAX_READ:
            raise zipfile.BadZipFile(f"a list of parts of {size:,} bytes")
        return self._file.read(size)


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """What the bytes of a damaged file make their readers raise becomes a BookError; a slip of ours does not."""
    try:
        yield
    except DAMAGE as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise BookError(f"{path} is damaged ({reason}): save it again as .xlsx") from None


@contextmanager
def workbook(path: Path) -> Iterator[zipfile.ZipFile]:
    """The parts of an .xlsx file, once they look harmless.

    What a file can cause, also in the block that reads the parts, becomes a BookError; a slip in that block does not.
    """
    try:
        with damage_told(path), opened(path) as file:
            yield _examined(path, file)
    except FileNotFoundError:
        raise BookError(f"{path} does not exist: check the name") from None
    except IsADirectoryError:
        raise BookError(f"{path} is a folder: give the .xlsx file in it") from None
    except PermissionError:
        raise BookError(f"{path} cannot be opened: you lack the permission to read it") from None
    except OSError as error:
        raise BookError(f"{path} cannot be read: {error.strerror or error}; give an .xlsx file") from None
    except MemoryError:
        raise BookError(f"{path} needs more memory than there is: it is not read") from None


def _examined(path: Path, file: IO[bytes]) -> zipfile.ZipFile:
    """The zip file, once its list of parts and the head of each part show no trap."""
    if file.read(8) == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":  # OLE, the container of both
        raise BookError(f"{path} is encrypted or an old .xls: save it as .xlsx without a password")
    if not zipfile.is_zipfile(file):
        raise BookError(f"{path} is no .xlsx workbook, or it is cut off: save or copy it again")
    if (size := os.fstat(file.fileno()).st_size) > MAX_FILE:
        raise BookError(
            f"{path} has {size >> 20} MiB, more than the {MAX_FILE >> 20} that are read: build a smaller one"
        )
    archive = zipfile.ZipFile(_Bounded(file))  # it has all that zipfile asks of a file
    parts = archive.infolist()
    names = {part.filename.lower() for part in parts}
    if "mimetype" in names and "content.xml" in names:
        raise BookError(f"{path} is an OpenDocument spreadsheet (.ods): save it as .xlsx")
    if "[content_types].xml" not in names:
        raise BookError(f"{path} is a zip file but no .xlsx workbook: save it as .xlsx")
    if len(parts) > MAX_PARTS:
        raise BookError(f"{path} has {len(parts):,} parts, more than the {MAX_PARTS:,} that are read: save it again")
    if len(names) < len(parts):
        raise BookError(f"{path} has two parts of one name, so that programs disagree on it: save it again as .xlsx")
    if sum(part.file_size for part in parts) > MAX_BYTES:
        raise BookError(f"{path} unpacks to more than {MAX_BYTES >> 20} MiB: it is not read; build a smaller one")
    for part in parts:
        _refuse_part(path, part)
    for part in parts:
        with archive.open(part) as stream:
            if part.filename.lower().endswith(".rels"):
                _refuse_relationships(path, part.filename, stream)
            elif part.filename.lower().endswith((".xml", ".vml")) or _like_xml(stream):
                _refuse_xml(path, part.filename, stream)
    return archive


def _refuse_part(path: Path, part: zipfile.ZipInfo) -> None:
    if part.flag_bits & 1:
        raise BookError(f"{path}: {part.filename} is encrypted: save it as .xlsx without a password")
    if part.compress_type not in PACKED:
        raise BookError(f"{path}: {part.filename} is packed as no spreadsheet program does: save it again as .xlsx")
    if part.file_size > 1 << 20 and part.file_size > MAX_RATIO * part.compress_size:
        raise BookError(f"{path}: {part.filename} is packed absurdly tight: it is not read; save it again as .xlsx")
    for sign, remedy in REACHING.items():
        if sign in part.filename.lower():
            raise BookError(f"{path} holds {remedy}")


class NotPlain(ValueError):
    """XML that only a program with other habits reads as we do; the message says what it holds."""


def plain_parser(namespaces: bool = False) -> Any:
    """A parser of XML as spreadsheet programs write it: in UTF-8, and without a DOCTYPE, whose entities blow a file up.

    namespaces: tags are told with the address of their namespace, a space and their name.
    """
    parser = expat.ParserCreate(namespace_separator=" " if namespaces else None)
    parser.buffer_text = True

    def doctype(*_: object) -> None:
        raise NotPlain("holds a DOCTYPE, as no spreadsheet has: it is not read")

    def declaration(_version: str, encoding: str | None, _standalone: int) -> None:
        if (encoding or "utf-8").lower() not in ("utf-8", "us-ascii"):
            raise NotPlain(_ENCODING)

    parser.StartDoctypeDeclHandler, parser.XmlDeclHandler = doctype, declaration
    return parser


_ENCODING = "is not written in UTF-8, as every spreadsheet program does: save it again with one"


def feed(parser: Any, stream: IO[bytes]) -> None:
    """Parse a part to its end."""
    chunk = stream.read(1 << 16)
    _refuse_utf16(chunk)
    while chunk:
        parser.Parse(chunk)
        chunk = stream.read(1 << 16)
    parser.Parse(b"", True)


def _refuse_utf16(head: bytes) -> None:
    """Two bytes for a sign: expat would read it, but not what looks for places among the bytes."""
    if b"\0" in head[:4] or head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise NotPlain(_ENCODING)


def _like_xml(stream: IO[bytes]) -> bool:
    """Whether a part, whatever it is called, begins as XML does; the stream stands at its beginning again."""
    head = stream.read(256)
    stream.seek(0)
    return head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\0\xff\xfe \t\r\n").startswith(b"<")


def _refuse_xml(path: Path, part: str, stream: IO[bytes]) -> None:
    """Raise BookError for a DOCTYPE, UTF-16, and formulas that reach out: those of charts, shapes, controls and tables.

    Worksheets and texts are only begun here: whoever reads them sees the rest.
    """
    root = ""
    taking = False
    text: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal root, taking
        name = tag.rpartition(":")[2]
        root = root or name
        taking = name == "f" or name.lower().startswith(("formula", "fmla", "calculatedcolumn"))
        text.clear()
        for key, value in attributes.items():
            if key.rpartition(":")[2].lower().startswith(("fmla", "textlink")) and reaches_outside(value):
                raise NotPlain("reaches out of the workbook: remove that and save it again")

    def data(piece: str) -> None:
        if taking:
            text.append(piece)

    def end(_tag: str) -> None:
        nonlocal taking
        if taking and reaches_outside("".join(text)):
            raise NotPlain("reaches out of the workbook: remove that and save it again")
        taking = False

    parser = plain_parser()
    parser.StartElementHandler, parser.CharacterDataHandler, parser.EndElementHandler = start, data, end
    with _told(path, part):
        size = 1024
        _refuse_utf16(chunk := stream.read(size))
        while chunk and root not in ONLY_BEGUN:
            parser.Parse(chunk)
            chunk = stream.read(1 << 16 if root else size)


def _refuse_relationships(path: Path, part: str, stream: IO[bytes]) -> None:
    """Raise BookError for what leads out of the workbook, but hyperlinks, which nobody opens unasked, and what is
    given twice.
    """
    seen: set[str] = set()

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == f"{RELATIONSHIPS} Relationships":
            return
        if tag != f"{RELATIONSHIPS} Relationship":
            raise NotPlain("holds what is no relationship, so that programs disagree on it: save it again as .xlsx")
        identity, kind = attributes["Id"], attributes["Type"].rpartition("/")[2].lower()
        mode, target = attributes.get("TargetMode", "Internal"), attributes["Target"]
        if identity in seen:
            raise NotPlain(f"gives {identity[:20]} twice, so that programs disagree on it: save it again as .xlsx")
        seen.add(identity)
        if kind in REACHING_TYPES:
            raise BookError(f"{path} holds {REACHING_TYPES[kind]}")
        if kind != "hyperlink" and (mode != "Internal" or _outside(target)):
            raise NotPlain("refers to a file outside the workbook: remove that and save it again")

    parser = plain_parser(namespaces=True)
    parser.StartElementHandler = start
    with _told(path, part):
        feed(parser, stream)


def _outside(target: str) -> bool:
    """Whether an address is none of a part: it has a scheme, a host, or is a path of Windows."""
    return ":" in target or "\\" in target or target.startswith("//")


@contextmanager
def _told(path: Path, part: str) -> Iterator[None]:
    try:
        yield
    except NotPlain as error:
        raise BookError(f"{path}: {part} {error}") from None


_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""")  # names of sheets, in which a " is a sign, and texts
_OUTSIDE = re.compile(
    r"\[[^\]]*\][^!()]*!"  # another workbook
    r"|#\$|://|\|'"  # a file or page; DDE
    r"|\b(?:WEBSERVICE|DDE|RTD|CALL|REGISTER(?:\.ID)?|IMAGE|IMPORT\w+|QUERY|EXEC|INFO|STOCKHISTORY|CUBE\w+)\s*\(",
    re.IGNORECASE,
)


def reaches_outside(formula: str) -> bool:
    """Whether a formula refers to another file or page, or calls what could touch one."""
    plain = _QUOTED.sub(lambda found: found[0] if found[0][0] == "'" else '""', formula)
    return _OUTSIDE.search(plain) is not None
