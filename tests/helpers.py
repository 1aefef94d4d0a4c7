"""Models and workbooks for the tests, and the command line called in this process."""

from __future__ import annotations

import contextlib
import io
import re
import zipfile
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import openpyxl
import pytest

from sheetgen.base.cells import cell_name
from sheetgen.cli import main
from sheetgen.engines import ENGINES, available
from sheetgen.engines.libreoffice import recompute_all
from sheetgen.engines.values import Values
from sheetgen.model import presets
from sheetgen.model.choices import Weights
from sheetgen.model.families import run
from sheetgen.model.given import Given
from sheetgen.model.presets import Request
from sheetgen.model.weights import Drawn
from sheetgen.proof.check import check_book
from sheetgen.proof.report import Report
from sheetgen.sheet.layout import Layout, lay_out
from sheetgen.sheet.workbook import defined_name
from sheetgen.trace.ops import HIDDEN, Array
from sheetgen.trace.recorder import Source, Trace
from sheetgen.xlsx.read import Book, read_book

Key = TypeVar("Key", bound=Hashable)
PRESETS = ("llama1", "llama2", "llama3", "llama4")
RED = "FFFFC7C7"  # as openpyxl tells the fill of a trainable cell
BARE = ("--no-baseline", "--theme", "plain")  # options of build where only numbers are asked for

# Functions that Excel 2016, Google Sheets, LibreOffice and the package formulas compute alike.
AGREED = {
    *("MMULT", "TRANSPOSE", "EXP", "LN", "SQRT", "SIN", "COS", "TANH", "NORMSDIST", "INT", "MOD", "ABS", "ROUND"),
    *("SUM", "SUMSQ", "SUMPRODUCT", "MAX", "MIN", "COUNT", "ROWS", "COLUMNS", "INDEX", "MATCH"),
    *("IF", "IFERROR", "ISNA", "NA", "AND", "OR", "EXACT", "TRIM"),
}


def installed(name: str) -> bool:
    """Whether an engine, or a package that not everyone has, is here."""
    return available(name) if name in ENGINES else find_spec(name) is not None


def needs(name: str) -> pytest.MarkDecorator:
    """The mark of a test that is left out where an engine or a package is missing."""
    return pytest.mark.skipif(not installed(name), reason=f"{name} is not installed")


def engines(*names: str) -> list[Any]:
    """Engines as parameters of a test; each is left out where it is missing."""
    return [pytest.param(name, marks=needs(name)) for name in names]


needs_libreoffice = needs("libreoffice")
BOTH_ENGINES = engines("formulas", "libreoffice")


@dataclass(frozen=True)
class Made:
    """A model that has run: what was asked for, and all its tensors."""

    request: Request
    trace: Trace

    @cached_property
    def values(self) -> dict[str, Array]:
        return {path: tensor.value for path, tensor in self.trace.blocks.items()}

    @cached_property
    def weights(self) -> dict[str, Array]:
        return {path: t.value for path, t in self.trace.blocks.items() if t.kind == "weight"}

    @cached_property
    def layout(self) -> Layout:
        return lay_out(self.trace)


def make(
    preset: str,
    text: str | None = None,
    tokens: list[int] | None = None,
    *,
    seed: int = 0,
    weights: Weights = "byhand",
    source: Source | None = None,
    **sizes: Any,
) -> Made:
    """The model of a preset with some sizes changed."""
    request = presets.request(presets.find(preset), sizes, Given(text, tokens))
    return Made(request, run(request.config, source or Drawn(seed, weights, request.texts, request.arrays)))


def ids(count: int, vocabulary: int = 12) -> list[int]:
    """A sentence of so many token ids, every one different from the one before it."""
    return [(5 * i + 3) % vocabulary for i in range(count)]


@dataclass(frozen=True)
class Result:
    """What a call of the command line left behind."""

    code: int
    out: str
    err: str


def sheetgen(*arguments: object) -> Result:
    """`sheetgen ARGUMENTS`, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert isinstance(stop.value.code, int)
    return Result(stop.value.code, out.getvalue(), err.getvalue())


def build(path: Path, preset: str, *options: object) -> Path:
    """A workbook, written by the command line."""
    result = sheetgen("build", preset, *options, "-o", path)
    assert result.code == 0, result.err
    return path


def edited(path: Path, change: Callable[[Any], None], name: str = "edited.xlsx") -> Path:
    """A copy of the workbook that openpyxl has opened, changed and saved."""
    book = openpyxl.load_workbook(path)
    change(book)
    target = path.with_name(name)
    book.save(target)
    return target


def retyped(path: Path, name: str, value: float | str, copy: str, column: int = 0) -> Path:
    """A copy of the workbook with another constant in the first row of this name, and nothing else touched."""
    book = read_book(path)
    place = book.names[name].part(0, column)
    cell = re.compile(rf'(<c r="{cell_name(place.top, place.left)}"[^>]*?)( t="\w+")?(/>|>.*?</c>)')
    content = f"<v>{value}</v>" if not isinstance(value, str) else f'<is><t xml:space="preserve">{value}</t></is>'
    kind = ' t="inlineStr"' if isinstance(value, str) else ""
    part = f"xl/worksheets/sheet{list(book.sheets).index(place.sheet) + 1}.xml"  # as XlsxWriter numbers them
    target = path.with_name(copy)
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as after:
        for each in before.infolist():
            text = before.read(each)
            if each.filename == part:
                changed, count = cell.subn(lambda found: f"{found[1]}{kind}>{content}</c>", text.decode())
                assert count == 1, name
                text = changed.encode()
            after.writestr(each, text)
    assert read_book(target).constants(place).tolist() == [[value]]
    return target


def in_both_styles(folder: Path, preset: object, *options: object) -> dict[str, Path]:
    """The workbook with a formula for each block, and with one for each cell."""
    return {
        style: build(folder / f"{style}.xlsx", str(preset), *options, "--formulas", style)
        for style in ("blocks", "cells")
    }


def by_libreoffice(books: Mapping[Key, Path]) -> dict[Key, Values]:
    """All of these recomputed, LibreOffice started once; none when it is not installed."""
    return dict(zip(books, recompute_all(list(books.values())), strict=True)) if installed("libreoffice") else {}


def in_batches(names: Sequence[str], size: int = 6) -> list[Any]:
    """Each name with the batch that it is in. A batch shares a worker, and in it one start of LibreOffice."""
    batches = [tuple(names[first : first + size]) for first in range(0, len(names), size)]
    return [
        pytest.param(name, batch, id=name, marks=pytest.mark.xdist_group(f"{batch[0]} to {batch[-1]}"))
        for batch in batches
        for name in batch
    ]


@dataclass(frozen=True)
class Checked:
    """A workbook that is right, and what each engine makes of it."""

    book: Book
    report: Report
    values: list[Values]

    def of(self, path: str) -> list[Array]:
        """The values of a tensor, by each engine."""
        return [values.range(self.book.names[defined_name(path)]) for values in self.values]


def right_in_both(path: Path, recomputed: Values | None) -> Checked:
    """No error and no difference by the engine of formulas, nor as LibreOffice recomputed it (if it is installed)."""
    book = read_book(path)
    values = [ENGINES["formulas"](path, book), *([] if recomputed is None else [recomputed])]
    for found in values:
        assert not [error for grid in found.sheets.values() for error in errors_in(grid)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(ENGINES, "formulas", lambda *_, found=found: found)
            report = check_book(book)
        assert report.difference is None, report.difference
    return Checked(book, report, values)


def cells_of(book: Any, name: str) -> list[list[Any]]:
    """The openpyxl cells of a workbook-level defined name, row by row."""
    ((sheet, area),) = book.defined_names[name].destinations
    found = book[sheet][area.replace("$", "")]
    return [list(row) for row in found] if isinstance(found, tuple) else [[found]]


def far(found: Any, expected: Array) -> float:
    """The largest difference, relative above 1; texts that differ and what is no number are infinitely far.

    −∞ is expected to be shown as it is, or by its text.
    """
    if np.shape(found) != expected.shape:
        return np.inf
    if expected.dtype != object and (hidden := np.isneginf(expected)).any():
        shown = np.asarray(found, dtype=object)
        if not all(value in (HIDDEN, -np.inf) for value in shown[hidden]):
            return np.inf
        return far(np.where(hidden, 0.0, shown), np.where(hidden, 0.0, expected))
    if expected.dtype == object:
        return 0.0 if np.array_equal(found, expected) else np.inf
    numbers = np.asarray(found, dtype=object).ravel().tolist()
    if not all(isinstance(value, float | int) and not isinstance(value, bool) for value in numbers):
        return np.inf
    distance = np.abs(np.asarray(found, dtype=float) - expected) / np.maximum(1.0, np.abs(expected))
    return float(distance.max()) if distance.size and not np.isnan(distance).any() else np.inf


def errors_in(grid: Array) -> Iterator[tuple[int, int, str]]:
    """Row, column and text of every error value."""
    for (row, column), value in np.ndenumerate(grid):
        if isinstance(value, str) and value.startswith("#"):
            yield row, column, value


def contract(c: Any) -> set[str]:
    """The paths that are promised to other tools."""
    heads = [f"head_{j}.{name}" for j in range(c.n_heads) for name in ("Q", "pattern")]
    owners = [f"kv_{g}" for g in range(c.n_kv_heads)] if c.n_kv_heads < c.n_heads else []
    owners = owners or [f"head_{j}" for j in range(c.n_heads)]
    inside = ["norm_1", "norm_2", "out", *heads, *(f"{owner}.{name}" for owner in owners for name in "KV")]
    layers = {f"layer_{i}.{name}" for i in range(c.n_layers) for name in inside}
    return {"tokens", "embed", "final_norm", "logits", "probs"} | layers
