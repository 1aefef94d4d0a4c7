"""Engines: programs that recompute a workbook. `ENGINES[name](path)` gives the recomputed values.

An engine may be given the `Book` already read from the path. It is imported when it is first called, and NumPy with
it: the command line tells the names of the engines without.
BookError tells of a file that is no workbook, EngineError of an engine that cannot do its work.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sheetgen.engines.quiet import quiet

if TYPE_CHECKING:
    from sheetgen.engines.values import Values
    from sheetgen.xlsx.read import Book


class EngineError(Exception):
    """An engine could not recompute a workbook."""


class EngineUnavailable(EngineError):
    """The program or package of an engine is missing; the message says how to get it."""


class Engine(Protocol):
    """Recomputes every formula of the workbook at `path`; `book` saves reading it again."""

    def __call__(self, path: Path, book: Book | None = None) -> Values: ...


def soffice() -> str | None:
    """The path of LibreOffice's command, None when it is not installed."""
    for command in ("soffice", "libreoffice", "/Applications/LibreOffice.app/Contents/MacOS/soffice"):
        if found := shutil.which(command):
            return found
    return None


@dataclass(frozen=True)
class _Known:
    module: str  # here
    installed: Callable[[], bool]  # whether the package or program that it needs is there
    remedy: str  # how to get that
    slow: bool = False


def _package(name: str) -> Callable[[], bool]:
    return lambda: find_spec(name) is not None


_ENGINES = {
    "formulas": _Known("formulas", _package("formulas"), "pip install formulas"),
    "libreoffice": _Known(
        "libreoffice", lambda: soffice() is not None, "install LibreOffice, so that the command soffice is found"
    ),
    "formulon": _Known("formulon", _package("formulon"), "pip install 'sheetgen[formulon]'"),
    "ironcalc": _Known("ironcalc", _package("ironcalc"), "pip install ironcalc"),
    "formulas-model": _Known("formulas_model", _package("formulas"), "pip install 'formulas[excel]'", slow=True),
}


def available(name: str) -> bool:
    """Whether the program or package of this engine is installed."""
    return _ENGINES[name].installed()


def quick() -> list[str]:
    """The engines that are installed, but those that take long."""
    return [name for name, known in _ENGINES.items() if not known.slow and available(name)]


def _lazily(name: str) -> Engine:
    known = _ENGINES[name]

    def recompute(path: Path, book: Book | None = None) -> Values:
        from sheetgen.xlsx.read import check_file

        if not available(name):
            raise EngineUnavailable(f"the engine {name} is not installed: {known.remedy}")
        if book is None:
            check_file(path)
        with quiet():
            values: Values = import_module(f"{__name__}.{known.module}").recompute(path, book)
        return values

    return recompute


ENGINES: dict[str, Engine] = {name: _lazily(name) for name in _ENGINES}
