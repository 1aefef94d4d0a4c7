"""What a check has found: the report, and the same as plain data for `--json`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sheetgen.base import html
from sheetgen.base.cells import Range
from sheetgen.base.errors import printable

MANY = 8  # cells named one by one
STATIC = "static"  # in place of an engine: formulas are compared, nothing is calculated


@dataclass(frozen=True)
class Difference:
    """A tensor that is not what the model says, and where."""

    path: str
    reason: str
    range: Range
    cells: list[str]  # those that differ, in reading order
    found: Any
    expected: Any
    formula_found: str
    formula_expected: str
    explanation: str = ""  # a sentence, where the tensor is wrong by itself
    cause: bool = True  # False: nothing is wrong here but what it is made from


@dataclass(frozen=True)
class Layer:
    """The residual stream after a layer: ‖found − expected‖ / ‖expected‖, NaN where a cell holds no number."""

    path: str
    error: float


@dataclass
class Group:
    """The tensors of one frame: how many, how many cells, how far from the reference at most."""

    title: str
    tensors: int = 0
    cells: int = 0
    worst: float = 0.0
    equal: bool = True


@dataclass(repr=False)
class Report:
    """The result of one file and one engine. In a notebook it shows itself."""

    path: Path
    engine: str
    groups: list[Group] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)  # the cause first, then in the order of computation
    formulas: list[Difference] = field(default_factory=list)  # those whose formulas differ, when anything does
    layers: list[Layer] = field(default_factory=list)
    predictions: dict[str, str] = field(default_factory=dict)  # what each model says, by its key
    remarks: list[str] = field(default_factory=list)  # what a reader should know, right or wrong as the workbook is

    @property
    def difference(self) -> Difference | None:
        """The first tensor that is wrong by itself, not because of those it is made from."""
        return self.differences[0] if self.differences else None

    @property
    def equal(self) -> bool:
        """Whether every tensor is what the model says."""
        return not self.differences

    @property
    def tensors(self) -> int:
        """How many tensors were compared."""
        return sum(group.tensors for group in self.groups)

    def __repr__(self) -> str:
        return f"<Report {printable(str(self.path))}: {printable(self._result)}>"

    def _repr_html_(self) -> str:
        parts = [html.paragraph(str(self.path), strong=True), html.paragraph(self._result)]
        if (first := self.difference) is not None:
            cells = f"{first.range.sheet}: {', '.join(first.cells[:MANY])}{' …' if len(first.cells) > MANY else ''}"
            rows = {"what it means": first.explanation, "cells": cells, "found": first.found}
            rows |= {"expected": first.expected, "formula found": first.formula_found}
            rows |= {"formula expected": first.formula_expected}
            parts.append(html.table((), [(name, value) for name, value in rows.items() if value not in ("", None)]))
        says = [(key, prediction) for key, prediction in self.predictions.items()]
        parts += [html.table((), says), *map(html.paragraph, self.remarks)]
        return "".join(parts)

    @property
    def _result(self) -> str:
        """The result in a line."""
        static, first = self.engine == STATIC, self.difference
        how = "formulas compared, nothing calculated" if static else f"by {self.engine}"
        if first is not None:
            return f"{first.path} {first.reason}, {how}"
        return f"all {self.tensors} tensors {'have the formulas of the model' if static else 'equal'}, {how}"


def as_data(report: Report) -> dict[str, Any]:
    """The report as plain data, for `--json`: numbers, texts and None. The keys are part of the public interface."""
    return {
        "file": str(report.path),
        "engine": report.engine,
        "equal": report.difference is None,
        "error": None,
        "predictions": report.predictions,
        "remarks": report.remarks,
        "layers": [{"tensor": layer.path, "relative_error": _plain(layer.error)} for layer in report.layers],
        "parts": [
            {
                "title": group.title,
                "tensors": group.tensors,
                "cells": group.cells,
                "largest_difference": _plain(group.worst),
                "equal": group.equal,
            }
            for group in report.groups
        ],
        "differences": [
            {
                "tensor": d.path,
                "cause": d.cause,
                "reason": d.reason,
                "explanation": d.explanation,
                "sheet": d.range.sheet,
                "range": d.range.a1 if d.cells else None,
                "cells": d.cells,
                "found": _plain(d.found),
                "expected": _plain(d.expected),
                "formula_found": d.formula_found,
                "formula_expected": d.formula_expected,
            }
            for d in report.differences
        ],
    }


def as_failure(path: Path, engine: str, message: str) -> dict[str, Any]:
    """The same for a workbook that could not be checked."""
    nothing: dict[str, Any] = {"predictions": {}, "remarks": [], "layers": [], "parts": [], "differences": []}
    return {"file": str(path), "engine": engine, "equal": False, "error": message, **nothing}


def _plain(value: Any) -> Any:
    """A value as JSON has it; what is no finite number becomes None."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
