"""How sheetgen knows that a workbook is just as it wrote it.

A custom document property holds a SHA-256 over the names, sizes and checksums of all other parts of the file. Any
program that saves the workbook changes some part, so the seal no longer fits and `build` asks for --force.
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from pathlib import Path

from sheetgen import guard

PROPERTY = "sheetgen seal"
BLANK = "0" * 64
PART = "docProps/custom.xml"


def seal(draft: Path, target: Path) -> None:
    """Copy the freshly written workbook `draft` to `target`, with its seal; the target is replaced in one step."""
    sealed = draft.with_name("sealed.xlsx")
    with zipfile.ZipFile(draft) as source, zipfile.ZipFile(sealed, "w", zipfile.ZIP_DEFLATED) as result:
        digest = _digest(source)
        for info in source.infolist():
            data = source.read(info)
            if info.filename == PART:
                data = data.replace(BLANK.encode(), digest.encode())
            result.writestr(info, data, zipfile.ZIP_DEFLATED)
    with sealed.open("rb") as file:
        os.fsync(file.fileno())
    sealed.replace(target)


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
