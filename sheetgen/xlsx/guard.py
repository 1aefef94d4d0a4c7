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
            if part.filename.endswith(".rels"):
                _refuse_outside(path, part.filename, stream)
            elif part.filename.endswith((".xml", ".vml")):
                _refuse_doctype(path, part.filename, stream)
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


def plain_parser() -> Any:
    """A parser that refuses a DOCTYPE: no spreadsheet program writes one, and its entities can blow a file up."""
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def doctype(*_: object) -> None:
        raise ValueError("DOCTYPE")

    parser.StartDoctypeDeclHandler = doctype
    return parser


def feed(parser: Any, stream: IO[bytes]) -> None:
    """Parse a part to its end."""
    while chunk := stream.read(1 << 16):
        parser.Parse(chunk)
    parser.Parse(b"", True)


def _refuse_doctype(path: Path, part: str, stream: IO[bytes]) -> None:
    """A DOCTYPE stands before the first element: as far as that the part is parsed."""
    started = False

    def start(*_: object) -> None:
        nonlocal started
        started = True

    parser = plain_parser()
    parser.StartElementHandler = start
    with _told(path, part):
        while not started and (chunk := stream.read(1024)):
            parser.Parse(chunk)


def _refuse_outside(path: Path, part: str, stream: IO[bytes]) -> None:
    """A relationship may name a file or a page elsewhere only as a hyperlink, which nobody opens unasked."""

    def start(_tag: str, attributes: dict[str, str]) -> None:
        outside = attributes.get("TargetMode", "").lower() == "external"
        if outside and not attributes.get("Type", "").endswith("/hyperlink"):
            raise BookError(f"{path}: {part} refers to a file outside the workbook: remove that and save it again")

    parser = plain_parser()
    parser.StartElementHandler = start
    with _told(path, part):
        feed(parser, stream)


@contextmanager
def _told(path: Path, part: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        if str(error) != "DOCTYPE":
            raise
        raise BookError(f"{path}: {part} holds a DOCTYPE, as no spreadsheet has: it is not read") from None


_TEXT = re.compile(r'"(?:[^"]|"")*"')
_OUTSIDE = re.compile(
    r"\[[^\]]*\][^!()]*!"  # another workbook
    r"|#\$|://|\|'"  # a file or page; DDE
    r"|\b(?:WEBSERVICE|DDE|RTD|CALL|REGISTER(?:\.ID)?|IMAGE|IMPORT\w+|QUERY|EXEC|INFO|STOCKHISTORY|CUBE\w+)\s*\(",
    re.IGNORECASE,
)


def reaches_outside(formula: str) -> bool:
    """Whether a formula refers to another file or page, or calls what could touch one."""
    return _OUTSIDE.search(_TEXT.sub('""', formula)) is not None
