"""What `sheetgen check` prints."""

from __future__ import annotations

import math
import re
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sheetgen.proof.report import MANY, STATIC, Report


def show(report: Report) -> None:
    """Print the result per part of the model and, on a difference, where it begins."""
    console = Console(highlight=False)
    static = report.engine == STATIC
    how = "formulas compared, not calculated" if static else f"recomputed by {report.engine}"
    console.print(Text(f"{report.path}, {how}"), soft_wrap=True)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column, side in (
        ("part", "left"),
        ("tensors", "right"),
        ("cells", "right"),
        ("" if static else "difference", "right"),
        ("", "left"),
    ):
        table.add_column(column, justify=side, overflow="fold")  # type: ignore[arg-type]
    for group in report.groups:
        mark = Text("equal", "green") if group.equal else Text("DIFFERS", "bold red")
        title = " › ".join(re.split("[,:]", part)[0] for part in group.title.split(" › "))
        distance = "" if static else f"{group.worst:.1e}"
        table.add_row(Text(title), str(group.tensors), f"{group.cells:,}", distance, mark)
    console.print(table)
    for remark in report.remarks:
        console.print(Text(f"note: {remark}"), soft_wrap=True)
    difference = report.difference
    if difference is None:
        tensors, worst = sum(g.tensors for g in report.groups), max(g.worst for g in report.groups)
        if static:
            console.print(Text(f"all {tensors} tensors have the formulas of the model", "bold green"))
            return
        console.print(Text(f"all {tensors} tensors equal (largest difference {worst:.1e})", "bold green"))
        for key, prediction in report.predictions.items():
            console.print(Text(f"prediction{f' of {key}' if key else ''}: {prediction}"))
        return
    console.print(Text(f"{difference.path} {difference.reason}", "bold red"))
    others = len(report.differences) - 1
    if static and others:
        console.print(Text(f"It is the first in the order of computation; {others} more have other formulas."))
    elif not static:
        console.print(Text("It is the first in the order of computation; what follows from it differs too."))
    if difference.explanation:
        console.print(Text(difference.explanation), soft_wrap=True)
    cells = ", ".join(difference.cells[:MANY]) + (" …" if len(difference.cells) > MANY else "")
    for name, value in (
        ("range", str(difference.range)),
        ("cells", f"{len(difference.cells)}: {cells}"),
        *(() if static else (("found", _number(difference.found)), ("expected", _number(difference.expected)))),
        ("formula found", difference.formula_found),
        ("formula expected", difference.formula_expected),
    ):
        console.print(Text(f"  {name:<17} {value}"), soft_wrap=True)
    for layer in report.layers:
        told = "a cell holds no number" if math.isnan(layer.error) else f"{layer.error:.1e}"
        console.print(Text(f"  {'‖error‖ / ‖right‖' if layer is report.layers[0] else '':<17} {layer.path}  {told}"))


def _number(value: Any) -> str:
    return f"{value:.12g}" if isinstance(value, float) else "nothing" if value is None else str(value)
