"""The command line in a forked process with limits, so that a hostile file can neither hang nor fill the machine."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import resource
import signal
import sys
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path

from sheetgen.cli import TRACEBACK, main
from sheetgen.engines import formulas as formulas_engine
from sheetgen.huggingface import convert
from sheetgen.proof import check
from sheetgen.sheet import layout
from sheetgen.sheet.pages import scale
from sheetgen.xlsx import write

SECONDS = 10  # of the processor: a busy machine fails nobody
MEMORY = 1 << 30  # bytes, besides what this process has already

PRELOADED = check, convert, layout, scale, write, formulas_engine  # imported once, not in every child


@dataclass(frozen=True)
class Limited:
    """How a call ended: its exit code (negative: the signal that killed it) and what it printed."""

    code: int
    out: str
    err: str

    @property
    def traceback(self) -> bool:
        return "Traceback" in self.err or self.code == 70

    @property
    def message(self) -> str:
        """The one line on stderr."""
        lines = self.err.splitlines()
        return lines[0] if len(lines) == 1 else f"{len(lines)} lines: {self.err}"


def limited(
    *arguments: object, seconds: int = SECONDS, memory: int = MEMORY, file_size: int = resource.RLIM_INFINITY
) -> Limited:
    """`sheetgen ARGUMENTS` in a child process that may use so much of the processor, of memory and of each file."""
    return ended(*started(*arguments, seconds=seconds, memory=memory, file_size=file_size))


def started(
    *arguments: object, seconds: int = SECONDS, memory: int = MEMORY, file_size: int = resource.RLIM_INFINITY
) -> tuple[int, int]:
    """The process, and the pipe that its end will be told through."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads of the test runner do not matter here
        child = os.fork()
    if child == 0:
        os.close(reading)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, resource.RLIM_INFINITY))
        _in_child(writing, [str(argument) for argument in arguments], seconds, memory)
    os.close(writing)
    return child, reading


def ended(child: int, reading: int) -> Limited:
    """How the process that was started ends."""
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) or not told:
        name = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "nothing said"
        return Limited(-os.WTERMSIG(status) if os.WIFSIGNALED(status) else 70, "", f"killed: {name}")
    return Limited(*pickle.loads(told))  # noqa: S301 - our own child wrote it


def _in_child(writing: int, arguments: list[str], seconds: int, memory: int) -> None:
    """Run, tell the result through the pipe and end, whatever happens."""
    out, err = io.StringIO(), io.StringIO()
    code = 70
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        signal.alarm(12 * seconds)  # for what waits without computing
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + memory, size + memory))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                os.environ[TRACEBACK] = "1"
                main(arguments)
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 70
            except BaseException:  # noqa: BLE001 - told to the parent, which judges
                err.write(traceback.format_exc())
    finally:
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump((code, out.getvalue(), err.getvalue()), pipe)
        os._exit(0)
