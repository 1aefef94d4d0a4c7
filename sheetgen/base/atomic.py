"""Writes a file so that its name always stands for a whole one: the old one, or the new one.

Everything on the way is in a hidden folder beside the target, locked while its maker lives. Makers that were killed
leave theirs behind; the next one to write there removes them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows, which does not remove a file that somebody has open, as the maker has the lock
    fcntl = None

PREFIX, LOCK = ".sheetgen-", "lock"


@contextmanager
def workshop(target: Path) -> Iterator[Path]:
    """A folder beside `target` for files in the making; it is gone in the end, and with it those of killed makers."""
    for left in target.parent.glob(f"{PREFIX}*/{LOCK}"):
        _remove_if_dead(left)
    made = tempfile.TemporaryDirectory(dir=target.parent, prefix=PREFIX, ignore_cleanup_errors=True)
    with made as name, (Path(name) / LOCK).open("w") as lock:
        _take(lock, wait=True)
        yield Path(name)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A draft that gets the name `target` when the block has written it; when it fails, nothing has changed."""
    with workshop(target) as folder:
        draft = folder / f"draft{target.suffix}"
        yield draft
        put(draft, target)


def put(draft: Path, target: Path) -> None:
    """Give the finished `draft` the name `target`, in one step that also a power cut leaves whole."""
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.replace(target)


def _remove_if_dead(lock: Path) -> None:
    """Remove a workshop whose maker does not live any more: nobody holds its lock."""
    try:
        with lock.open("r+") as file:
            _take(file, wait=False)
            shutil.rmtree(lock.parent, ignore_errors=True)
    except OSError:
        return


def _take(lock: IO[str], wait: bool) -> None:
    """Lock an open file until it is closed, also by the death of this process; OSError when another one has it."""
    if fcntl:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
