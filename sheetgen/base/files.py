"""Files: where ours are, and how those of strangers are opened."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO
from xml.parsers import expat

# What the bytes of a damaged file make the readers of archives, XML and arrays raise. Left out is what only a slip of
# ours raises: AttributeError, TypeError, NameError, AssertionError.
DAMAGE: tuple[type[Exception], ...] = (
    *(zipfile.BadZipFile, expat.ExpatError, zlib.error, struct.error, EOFError),
    *(ValueError, LookupError, OverflowError, NotImplementedError, RecursionError),
)


@cache
def templates() -> Traversable:
    """The folder templates/: inside the installed package; in a checkout beside it, where readers find it."""
    inside = files("sheetgen") / "templates"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "templates"


def tables(folder: Traversable) -> dict[str, Traversable]:
    """The TOML files of a folder by their names without the ending, in the order of these names."""
    found = {file.name.removesuffix(".toml"): file for file in folder.iterdir() if file.name.endswith(".toml")}
    return dict(sorted(found.items()))


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """An ordinary file, open for reading; a folder, a pipe or a device raises OSError without being waited for."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(0, "it is a folder" if stat.S_ISDIR(mode) else "it is no ordinary file (a pipe, a device)")
        yield file
