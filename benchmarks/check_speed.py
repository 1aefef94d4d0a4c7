"""Times `sheetgen check` against LibreOffice and against the ExcelModel of `formulas`, on the same files, side by side.

    python benchmarks/check_speed.py [--runs 3] [--quick]

Two comparisons, each with its runs interleaved so that a busy machine slows both sides alike; the table has medians:

* whole processes: `sheetgen check FILE` against `soffice --headless --convert-to xlsx FILE`, which recalculates a copy
  without its cached values. The profile asks for a hard recalculation and was made by a run that is not timed.
* recomputation alone, in this process: the engine `formulas` on a workbook that has been read (and with reading it)
  against `ExcelModel().loads(FILE).finish().calculate()`.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sheetgen.book import read_book
from sheetgen.engines import soffice, with_formulas
from sheetgen.engines.with_libreoffice import _ALWAYS_RECALCULATE, drop_cached_values

WORDS = "a b c d e f g h i j k l"
MODELS = {  # name: options of `sheetgen build`
    "llama4": "llama4",
    "llama4, cells": "llama4 --formulas cells",
    "llama4, large": f"llama4 --layers 6 --heads 8 --experts 8 --text {shlex.quote(WORDS)}",
}
QUICK = ["llama4"]
PATIENCE = 10_000  # filled cells from which on ExcelModel would take many minutes


def main() -> None:
    """Build, time, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="of each side; the median counts")
    parser.add_argument("--quick", action="store_true", help="the default workbook only")
    arguments = parser.parse_args()
    console = Console(width=120)
    console.print(machine(), highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("workbook")
    for column in ("formulas", "cells"):
        table.add_column(column, justify="right")
    for column in ("sheetgen check", "LibreOffice", "ratio", "formulas", "with reading", "ExcelModel", "ratio"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory(prefix="sheetgen-benchmark-") as name:
        folder = Path(name)
        convert = libreoffice(folder)
        for model in QUICK if arguments.quick else MODELS:
            table.add_row(model, *row(model, folder, convert, arguments.runs))
    console.print(table)
    console.print(
        "Seconds; a ratio below 1 means that sheetgen is faster. Left: whole processes. Right: in one process."
    )


def row(model: str, folder: Path, convert: Callable[[Path], None] | None, runs: int) -> list[str]:
    """The cells of a workbook's row in the table."""
    path = folder / f"{model.replace(', ', '_')}.xlsx"
    sheetgen("build", *shlex.split(MODELS[model]), "-o", str(path))
    bare = path.with_name(f"bare_{path.name}")
    drop_cached_values(path, bare)
    book = read_book(path)
    sides: dict[str, Callable[[], object]] = {"check": lambda: sheetgen("check", str(path))}
    if convert is not None:
        sides["libreoffice"] = lambda: convert(bare)
    whole = interleaved(sides, runs)
    inside: dict[str, Callable[[], object]] = {
        "formulas": lambda: with_formulas.recompute(path, book),
        "reading": lambda: with_formulas.recompute(path, read_book(path)),
    }
    cells = sum(len(sheet.formula_at) for sheet in book.sheets.values())
    if cells <= PATIENCE:
        inside["model"] = lambda: excel_model(path)
    alone = interleaved(inside, runs)
    count = sum(len(sheet.formulas) for sheet in book.sheets.values())
    other, slow = whole.get("libreoffice"), alone.get("model")
    return [
        f"{count:,}",
        f"{cells:,}",
        f"{whole['check']:.2f}",
        "not installed" if other is None else f"{other:.2f}",
        "" if other is None else f"{whole['check'] / other:.2f}",
        f"{alone['formulas']:.3f}",
        f"{alone['reading']:.3f}",
        "too slow" if slow is None else f"{slow:.2f}",
        "" if slow is None else f"{alone['formulas'] / slow:.3f}",
    ]


def interleaved(sides: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Median seconds of each side, run in turns. A first round of each but ExcelModel is not counted."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(runs + 1):
        for name, run in sides.items():
            if turn == 0 and name == "model":  # what it imports has been imported by then
                continue
            start = time.perf_counter()
            run()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def sheetgen(*arguments: str) -> None:
    """The command line, in a process of its own."""
    subprocess.run([sys.executable, "-m", "sheetgen", *arguments], check=True, stdout=subprocess.DEVNULL)


def libreoffice(folder: Path) -> Callable[[Path], None] | None:
    """Conversion of one file by LibreOffice with a profile that recalculates; None when it is not installed."""
    command = soffice()
    if command is None:
        return None
    profile = folder / "profile"
    (profile / "user").mkdir(parents=True)
    (profile / "user" / "registrymodifications.xcu").write_text(_ALWAYS_RECALCULATE, encoding="utf-8")
    out = folder / "out"

    def convert(path: Path) -> None:
        subprocess.run(
            [
                *(command, f"-env:UserInstallation={profile.as_uri()}", "--headless", "--norestore"),
                *("--convert-to", "xlsx", "--outdir", str(out), str(path)),
            ],
            check=True,
            capture_output=True,
        )
        (out / path.name).unlink()  # which fails when nothing was written

    return convert


def excel_model(path: Path) -> None:
    """Load and compute a workbook as the package `formulas` does by itself."""
    from formulas.excel import ExcelModel

    with redirect_stderr(io.StringIO()):  # a bar of progress
        ExcelModel().loads(str(path)).finish().calculate()


def machine() -> str:
    """Processor and versions, in a few lines."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    packages = ", ".join(f"{name} {version(name)}" for name in ("sheetgen", "formulas", "openpyxl", "numpy"))
    command = soffice()
    office = "no LibreOffice"
    if command is not None:
        told = subprocess.run([command, "--version"], capture_output=True, text=True, check=False).stdout.split()
        office = " ".join(told[:2])
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"{model}, {os.cpu_count()} processors{load}, {platform.system()} {platform.release()}\n"
        f"Python {platform.python_version()}, {packages}, {office}"
    )


if __name__ == "__main__":
    main()
