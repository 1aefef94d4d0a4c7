"""Keeps what engines chatter from stdout, which belongs to results: `check --json` prints JSON and nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from threading import Lock

STDOUT, STDERR = 1, 2  # descriptors: native code writes to them, past `sys.stdout`

_lock = Lock()
_within = 0  # how many threads, and calls in each other, are within: the first turns stdout aside, the last one back
_back = ExitStack()


@contextmanager
def quiet() -> Iterator[None]:
    """Within, what Python or native code of this process writes to stdout comes out on stderr instead."""
    global _within
    with _lock:
        if not _within:
            _back.enter_context(_turned_aside())
        _within += 1
    try:
        yield
    finally:
        with _lock:
            _within -= 1
            if not _within:
                _back.close()


@contextmanager
def _turned_aside() -> Iterator[None]:
    if sys.__stdout__ is not None:
        sys.__stdout__.flush()  # what was printed before is a result
    with redirect_stdout(sys.stderr):
        try:
            kept = os.dup(STDOUT)
        except OSError:  # the process has none
            yield
            return
        try:
            os.dup2(STDERR, STDOUT)
            yield
        finally:
            os.dup2(kept, STDOUT)
            os.close(kept)
