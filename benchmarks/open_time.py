"""Times how long LibreOffice takes to load and recalculate each preset's workbook, with its look and without.

    python benchmarks/open_time.py [--runs 3] [PRESET ...]

Whole processes of `soffice --headless --convert-to xlsx` on a workbook of the theme light and on one of the theme
plain (no colours, borders, notes, groups or formats by condition; the same cells and formulas), in turns, so that a
busy machine slows both alike; the medians count. The exit code is 1 when a ratio is above 2.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sheetgen.engines.libreoffice import recalculated_copy
from sheetgen.model.presets import all_presets

GOAL = 2.0


def main() -> None:
    """Build, time, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="of each; the median counts")
    parser.add_argument("presets", nargs="*", help="all without any")
    arguments = parser.parse_args()
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("preset", "with look, s", "without, s", "ratio"):
        table.add_column(column, justify="left" if column == "preset" else "right")
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for preset in arguments.presets or all_presets():
            files = [built(Path(folder), preset, theme) for theme in ("light", "plain")]
            times: list[list[float]] = [[], []]
            for _ in range(arguments.runs):
                for file, spent in zip(files, times, strict=True):
                    start = time.perf_counter()
                    recalculated_copy(file, file.with_suffix(".copy.xlsx"))
                    spent.append(time.perf_counter() - start)
            look, plain = map(statistics.median, times)
            worst = max(worst, look / plain)
            table.add_row(preset, f"{look:.2f}", f"{plain:.2f}", f"{look / plain:.2f}")
    Console().print(table)
    sys.exit(0 if worst <= GOAL else 1)


def built(folder: Path, preset: str, theme: str) -> Path:
    """A workbook of the preset in this theme."""
    path = folder / f"{preset}-{theme}.xlsx"
    command = [sys.executable, "-m", "sheetgen", "build", preset, "--theme", theme, "-o", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


if __name__ == "__main__":
    main()
