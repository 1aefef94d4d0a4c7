"""The file that a command writes: what must not be replaced unasked, and what went wrong in writing it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sheetgen.base.errors import InputError
from sheetgen.xlsx import seal


def refuse(target: Path, force: bool) -> None:
    """Raise InputError for what is no workbook's name, or a workbook that somebody has edited (unless `force`)."""
    if target.suffix.lower() != ".xlsx":
        raise InputError(f"{target} does not end in .xlsx: choose such a name, so that spreadsheet programs open it")
    if target.is_dir():
        raise InputError(f"{target} is a folder: give the name of a file in it")
    if target.exists() and not force and not seal.untouched(target):
        raise InputError(f"{target} was edited since it was built: give another name with -o, or --force to replace it")


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """What the file system refuses becomes an InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}; choose another place with -o") from error
