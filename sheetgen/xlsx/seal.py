"""How sheetgen knows that a workbook is just as it wrote it.

A custom document property holds a SHA-256 over the names, sizes and checksums of all other parts of the file. Any
program that saves the workbook changes some part, so the seal no longer fits and `build` asks for --force.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import Path

from sheetgen.xlsx import guard

PROPERTY = "sheetgen seal"
BLANK = "0" * 64
PART = "docProps/custom.xml"


def seal(draft: Path) -> None:
    """Put the seal into a freshly written workbook, in place of the blank one; no other part is packed again."""
    with zipfile.ZipFile(draft, "a", zipfile.ZIP_DEFLATED) as book:
        blank = book.getinfo(PART)
        sealed = zipfile.ZipInfo(PART, blank.date_time)
        sealed.external_attr = blank.external_attr
        data = book.read(blank).replace(BLANK.encode(), _digest(book).encode())
        book.filelist.remove(blank)  # its bytes stay in the file, unlisted: a few hundred
        del book.NameToInfo[PART]
        book.writestr(sealed, data, zipfile.ZIP_DEFLATED)


def untouched(path: Path) -> bool:
    """True when the file is a workbook of ours that nobody has saved since."""
    try:
        with guard.workbook(path) as book:
            found = re.search(rb"<vt:lpwstr>([0-9a-f]{64})</vt:lpwstr>", book.read(PART))
            return found is not None and found.group(1).decode() == _digest(book)
    except guard.BookError:
        return False


def _digest(book: zipfile.ZipFile) -> str:
    lines = (f"{i.filename}|{i.file_size}|{i.CRC:08x}" for i in book.infolist() if i.filename != PART)
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
