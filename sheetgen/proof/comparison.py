"""Compares a model, tensor by tensor, with the cells that must hold it: their values, or their formulas."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sheetgen.base.cells import Range, cell_name
from sheetgen.engines.values import Values
from sheetgen.model.choices import Style
from sheetgen.proof import explain
from sheetgen.proof.cause import cause_first
from sheetgen.proof.notation import Notation
from sheetgen.proof.report import Difference, Group, Layer, Report
from sheetgen.proof.workbook import name_of, numbers_in
from sheetgen.sheet.formula import ApartError, formulas_of
from sheetgen.sheet.layout import Label, Layout
from sheetgen.sheet.names import MAP, MODEL
from sheetgen.sheet.pages.map import mirrors
from sheetgen.sheet.workbook import workbook_path
from sheetgen.trace.ops import HIDDEN, Array, in_cells
from sheetgen.trace.recorder import Frame, Trace
from sheetgen.trace.roles import ON_STREAM
from sheetgen.trace.tensor import Block, Tensor
from sheetgen.xlsx.read import Book, Formula

TOLERANCE = 1e-9  # relative, or absolute below 1
SHOWN_HIDDEN = HIDDEN, -1e9  # what a cell shows for −∞: now, and in the workbooks of 0.1.0


@dataclass(frozen=True)
class _Area:
    """Cells that must hold `tensor`: the block `path`, or names along it, or its copy on the Map."""

    path: str
    tensor: Tensor
    range: Range


@dataclass
class Comparison:
    """One model, or one table, beside the cells of the workbook; what it finds goes into the report."""

    book: Book
    values: Values | None  # None: compare the formulas instead
    places: dict[str, Range]
    style: Style
    report: Report
    key: str = ""  # of the model that is compared

    def run(self, trace: Trace, layout: Layout | None) -> None:
        """Fill the report, tensor by tensor in the order of computation, names along the axes right after."""
        groups = {id(frame): Group(title) for title, frame in _frames(trace.root, self.key)}
        areas = self._areas(trace, layout)
        differences: list[Difference] = []
        for path, tensor in trace.blocks.items():
            group = groups[id(tensor.frame)]
            group.tensors += 1
            group.cells += tensor.value.size
            found = [d for area in areas.get(path, []) if (d := self._differs(area, group))]
            if path not in self.places:
                found = [_without_cells(path, f"has no cells: the name {name_of(path, self.key)} is gone")]
            group.equal &= not found
            differences += found[:1]
        if differences and self.values is not None:
            found_there = (map(self._formulas_differ, areas.get(path, [])) for path in trace.blocks)
            formulas = [first for found in found_there if (first := next(filter(None, found), None))]
            self.report.formulas += [self._told(d) for d in formulas]
            differences = cause_first(differences, formulas, trace)
        if self.values is not None:
            outs = [path for path in trace.blocks if path in self.places and trace[path].role == "layer"]
            self.report.layers += [
                Layer(workbook_path(path, self.key), _relative(self.values.range(self.places[path]), trace[path].value))
                for path in outs
            ]
        self.report.differences += [self._told(d) for d in differences]
        self.report.groups += [group for group in groups.values() if group.tensors]

    def _told(self, difference: Difference) -> Difference:
        """With the model before the path, where there are several."""
        path = difference.path
        return dataclasses.replace(difference, path=f"{self.key}.{path}") if self.key else difference

    def _areas(self, trace: Trace, layout: Layout | None) -> dict[str, list[_Area]]:
        """What must stand where, by path; nothing of a block whose name is gone."""
        found = {path: [_Area(path, trace[path], place)] for path, place in self.places.items() if path in trace.blocks}
        for label in layout.labels if layout else ():
            if layout and label.words is not None and label.owner in found:
                moved = self._moved(label, layout.places[label.owner], self.places[label.owner])
                found[label.owner].append(_Area(label.owner, label.words, moved))
        for mirror in mirrors(trace) if layout and not self.key and MAP in self.book.sheets else ():
            found.setdefault(mirror.owner, []).append(_Area(mirror.owner, mirror.tensor, mirror.range))
        return found

    def _moved(self, label: Label, owner: Range, now: Range) -> Range:
        """The place of a label beside its block, wherever that has gone from `owner`; or at the top of the sheet."""
        place, down, right = label.range, now.top - owner.top, now.left - owner.left
        if label.side == "top":  # rows inserted above it are among those that the block has moved by
            formulas = self.book.sheets[now.sheet].formula_at
            rows = range(place.top, place.top + max(down, 0) + 1)
            top = next((row for row in rows if (row, now.left) in formulas), place.top)
            return Range(now.sheet, top, now.left, top, now.right)
        if label.side == "above":  # as wide as the block
            return Range(now.sheet, place.top + down, now.left, place.bottom + down, now.right)
        return Range(now.sheet, now.top, place.left + right, now.bottom, place.right + right)

    def _differs(self, area: _Area, group: Group) -> Difference | None:
        """What is wrong with the values (or formulas) of some cells; None when nothing is."""
        if self.values is None:
            return self._formulas_differ(area)
        if area.range.shape != area.tensor.shape:
            return self._other_size(area)
        found = self.values.range(area.range)
        worst, wrong = _compare_values(found, area.tensor.value)
        group.worst = max(group.worst, worst)
        if wrong.any():
            wrong &= ~_as_likely(found, area.tensor)
        if wrong.any():
            return self._difference(area, "is not what the model computes", wrong)
        if area.tensor.kind != "computed":
            return None
        return self._stale(area, self._held(area.range))

    def _formulas_differ(self, area: _Area) -> Difference | None:
        """What is wrong with the formulas, or the constants, of some cells, whatever they give."""
        tensor, place = area.tensor, area.range
        if place.shape != tensor.shape:
            return self._other_size(area)
        held = self._held(place)
        if tensor.kind == "constant":
            wrong = _compare_values(self.book.constants(place), tensor.value)[1]
            return self._difference(area, "holds other numbers than the model has", wrong) if wrong.any() else None
        if tensor.kind != "computed":
            return None
        if stale := self._stale(area, held):
            return stale
        try:
            expected = list(formulas_of(tensor, place, self.places, self.style))
        except KeyError:  # the name of an operand is gone, which is told of the operand
            return None
        except ApartError as error:
            return self._difference(area, f"cannot be computed: {error}", np.ones(place.shape, dtype=bool))
        wrong = np.zeros(place.shape, dtype=bool)
        for formula in expected:
            top, left = formula.range.top - place.top, formula.range.left - place.left
            part = slice(top, top + formula.range.rows), slice(left, left + formula.range.columns)
            first = held[part][0, 0]
            if self.notation.same(first, formula.text, formula.range, formula.array):
                wrong[part] = held[part] != first
                continue
            here = self.notation.read(formula.text, place.sheet)
            others = np.array([[self.notation.read(f.text, place.sheet) != here for f in row] for row in held[part]])
            wrong[part] = others if others.any() else True  # nothing but what it fills: a part, more, no array
        return self._difference(area, "has another formula than the model", wrong) if wrong.any() else None

    @functools.cached_property
    def notation(self) -> Notation:
        return Notation(self.book)

    def _held(self, place: Range) -> Array:
        """The formula that fills each cell, None where there is none."""
        formulas = self.book.sheets[place.sheet].formula_at
        held = np.empty(place.shape, dtype=object)
        for row in range(place.rows):
            for column in range(place.columns):
                held[row, column] = formulas.get((place.top + row, place.left + column))
        return held

    def _stale(self, area: _Area, held: Array) -> Difference | None:
        stale = np.array([[formula is None for formula in row] for row in held])
        return self._difference(area, "holds a number where a formula belongs", stale) if stale.any() else None

    def _other_size(self, area: _Area) -> Difference:
        place, tensor = area.range, area.tensor
        size = f"{place.rows}×{place.columns} cells instead of {tensor.rows}×{tensor.columns}"
        first = np.zeros(place.shape, dtype=bool)
        first[0, 0] = True
        return self._difference(area, f"has {size}", first)

    def _difference(self, area: _Area, reason: str, wrong: Array) -> Difference:
        tensor, place = area.tensor, area.range
        cells = [(int(row), int(column)) for row, column in np.argwhere(wrong)]
        row, column = cells[0]
        at = place.top + row, place.left + column
        sheet = self.book.sheets[place.sheet]
        formula = sheet.formula_at.get(at)
        inside = row < tensor.rows and column < tensor.columns
        known = self.values is not None
        value = self.values.range(place.part(row, column))[0, 0] if self.values else sheet.cells.get(at)
        expected = self._expected_formula(tensor, place, at)
        return Difference(
            area.path,
            reason,
            place,
            [cell_name(place.top + r, place.left + c) for r, c in cells],
            value,
            in_cells(tensor.value)[row, column] if inside and (known or tensor.kind == "constant") else None,
            formula.text if formula else f"none: the cell holds {sheet.cells.get(at)!r}",
            expected,
            self._explained(area, formula, expected, value, wrong),
        )

    def _explained(self, area: _Area, found: Formula | None, expected: str, value: Any, wrong: Array) -> str:
        """A sentence about the first of the wrong cells."""
        tensor, place = area.tensor, area.range
        if place.shape != tensor.shape:
            return ""
        subject = explain.spoken(area.path)
        if place != self.places.get(area.path):
            subject = f"The names along {subject}" if place.sheet != MAP else f"The copy of {subject} on the Map"
        if tensor.kind == "constant":
            return explain.constants(area.path, self.book.constants(place), tensor.value)
        if tensor.kind != "computed" or not expected.startswith("="):
            return ""
        if found is None:
            return explain.number(subject, value, wrong)
        one, other = self.notation.read(found.text, place.sheet), self.notation.read(expected, place.sheet)
        if one == other:
            return explain.unexplained(subject, value)
        part = (
            "" if wrong.all() else f" The other {int((~wrong).sum())} of its {wrong.size} cells are as they should be."
        )
        added_to = isinstance(tensor, Block) and tensor.role in ON_STREAM
        return explain.formula(area.path, subject, one, other, self.places, added_to) + part

    def _expected_formula(self, tensor: Tensor, place: Range, at: tuple[int, int]) -> str:
        if tensor.kind != "computed":
            return "none: these are constants"
        try:
            formulas = formulas_of(tensor, place, self.places, self.style)
            return next((f.text for f in formulas if at in f.range), "")
        except KeyError as missing:
            return f"(cannot be written: the name of {missing.args[0]} is gone)"
        except ApartError as error:
            return f"(cannot be written: {error})"


def _without_cells(path: str, reason: str) -> Difference:
    return Difference(path, reason, Range(MODEL, 0, 0, 0, 0), [], None, None, "", "")


def _relative(found: Array, expected: Array) -> float:
    """‖found − expected‖ / ‖expected‖; NaN where a cell holds no number."""
    if found.shape != expected.shape:
        return math.nan
    size = float(np.linalg.norm(expected))
    distance = float(np.linalg.norm(numbers_in(found) - expected))
    return distance / size if size else distance


def _frames(frame: Frame, above: str = "") -> Iterator[tuple[str, Frame]]:
    for item in frame.items:
        if isinstance(item, Frame):
            title = f"{above} › {item.title}" if above else item.title
            yield title, item
            yield from _frames(item, title)


def _as_likely(found: Array, tensor: Tensor) -> Array:
    """Where the most probable word is another one than the model's, but just as probable: the last digit decides."""
    words = _as_good(tensor)
    if words is None:
        return np.zeros(found.shape, dtype=bool)
    return np.array(
        [[word in right for word, right in zip(*row, strict=True)] for row in zip(found, words, strict=True)]
    )


def _as_good(tensor: Tensor) -> Array | None:
    """For each cell the set of values that are as good, when the last digit decides; None for any other tensor."""
    if tensor.op.ties:
        return tensor.op.ties(TOLERANCE, *(operand.value for operand in tensor.operands))
    if not tensor.op.moves or len(tensor.operands) > 1:
        return None
    inner = _as_good(tensor.operands[0])
    return None if inner is None else tensor.op.numpy(inner, **tensor.settings)


def _compare_values(found: Array, expected: Array) -> tuple[float, Array]:
    """Largest difference (relative above 1), and which cells differ by more than the tolerance."""
    if expected.dtype == object:
        return 0.0, np.array(found != expected, dtype=bool)
    with np.errstate(invalid="ignore"):
        distance = np.abs(numbers_in(found) - expected) / np.maximum(1.0, np.abs(expected))
    if (hidden := np.isneginf(expected)).any():
        distance[hidden] = [0.0 if value in SHOWN_HIDDEN else np.nan for value in found[hidden]]
    wrong = ~(distance <= TOLERANCE)
    known = distance[~np.isnan(distance)]
    return float(known.max()) if known.size else 0.0, wrong
