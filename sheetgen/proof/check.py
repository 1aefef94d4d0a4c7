"""Proves a workbook: rebuilds its model, has an engine recompute it, compares tensor by tensor.

Or, without an engine, compares the formulas themselves with those that the model has (`STATIC`).

Nothing is trusted but what a person may edit: Config, red cells, controls and words. Blocks are found through their
defined names, which spreadsheet programs move when rows are inserted.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sheetgen.base.cells import Range, cell_name
from sheetgen.base.errors import InputError
from sheetgen.base.lang import ENGLISH, catalogues, everywhere, speaking
from sheetgen.engines import ENGINES, Values
from sheetgen.model.families import FAMILIES, Config, as_sizes, fit_a_worksheet, run
from sheetgen.proof import explain
from sheetgen.proof.notation import Notation
from sheetgen.proof.resized import Resized, remarks
from sheetgen.sheet.formula import ApartError, Style, formulas_of
from sheetgen.sheet.layout import Label, Layout, lay_out
from sheetgen.sheet.names import CHANGES, CONFIG, MAP, MODEL, SCALE, STEPS
from sheetgen.sheet.pages import published as scale
from sheetgen.sheet.pages.config import MEANING, SETTING, VALUE
from sheetgen.sheet.pages.map import mirrors
from sheetgen.sheet.workbook import Ran, defined_name, workbook_path
from sheetgen.trace.limits import Limits, Live
from sheetgen.trace.ops import OPS, Array
from sheetgen.trace.recorder import Frame, Trace
from sheetgen.trace.tensor import Tensor
from sheetgen.workbooks import compare, tour
from sheetgen.xlsx.read import Book, Formula, read_book

TOLERANCE = 1e-9  # relative, or absolute below 1
GROWN = 10  # times as large as it was built, a block is no longer one that rows were inserted into
STATIC = "static"  # in place of an engine: formulas are compared, nothing is calculated
STAND_IN = 1.0  # then, for a number that somebody typed as a formula: no formula depends on numbers


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


@dataclass
class Report:
    """The result of one file and one engine."""

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


def check(path: Path, engine: str = "formulas") -> Report:
    """Recompute the workbook and compare every tensor; with engine `STATIC`, compare formulas only.

    Raises InputError, BookError or EngineError when that cannot be done, with the reason.
    """
    return check_book(read_book(path), engine)


def check_book(book: Book, engine: str = "formulas") -> Report:
    """`check` of a workbook that has been read already."""
    settings = _settings(book)
    with speaking(_language(settings, book.path)):
        return _check(book, settings, engine)


def _check(book: Book, settings: dict[str, dict[str, Any]], engine: str) -> Report:
    configs = {key: _config(mine, book.path) for key, mine in settings.items()}
    values = None if engine == STATIC else ENGINES[engine](book.path, book)
    report = Report(book.path, engine)
    places: dict[str, Range] = {}  # of every tensor of the workbook
    models = []
    style: Style = "cells" if any(mine.get("formulas") == "cells" for mine in settings.values()) else "blocks"
    for key, config in configs.items():
        workbook = _Workbook(book, values, key)
        trace = _finite(book, config, workbook)
        told = remarks(config, functools.partial(_resized, book, values, key), workbook.resized)
        report.remarks += [f"{key}: {remark}" if key else remark for remark in told]
        models.append(Ran(key, config, trace, settings[key]))
        report.predictions[key] = config.prediction(trace)
        mine = _places(book, trace, key)
        _Comparison(book, values, mine, style, report, key).run(trace, lay_out(trace))
        places |= {workbook_path(path, key): place for path, place in mine.items()}
    for table in _tables(book, models, _Workbook(book, values)):
        places |= _places(book, table)
        _Comparison(book, values, places, style, report).run(table, None)
    return report


@dataclass(frozen=True)
class Standing:
    """A model as its workbook stands now: its tensors, and their recomputed values by path."""

    trace: Trace
    values: dict[str, Array]


def standing(book: Book, engine: str = "formulas") -> dict[str, Standing]:
    """The models of a workbook by their keys, nothing compared; raises as `check` does."""
    values = ENGINES[engine](book.path, book)
    found = {}
    for key, settings in _settings(book).items():
        trace = _run(book, _config(settings, book.path), _Workbook(book, values, key))
        places = _places(book, trace, key)
        found[key] = Standing(trace, {path: values.range(place) for path, place in places.items()})
    return found


def _tables(book: Book, models: list[Ran], workbook: _Workbook) -> Iterator[Trace]:
    """What the workbook computes besides its models, on sheets that are still there."""
    published: Trace | None = None
    if (groups := compare.groups_of(models)) and SCALE in book.sheets:
        published = scale.table_of(groups, compare.toys(models), workbook).trace
        yield published
    kind, _, name = str(models[0].build.get("workbook") or "").partition(" ")
    if kind == compare.KIND and CHANGES in book.sheets:
        yield compare.computed(models, published)
    if kind == tour.KIND and STEPS in book.sheets:
        yield tour.computed(tour.find(name), models, published, workbook)


# --- the model, from the workbook alone --------------------------------------------------------------------------


def _settings(book: Book) -> dict[str, dict[str, Any]]:
    """What Config says of each model, by its key: the name of a setting → its value."""
    sheet = book.sheets.get(CONFIG)
    if sheet is None:
        raise InputError(f"{book.path} is not a workbook of sheetgen (no {CONFIG}): make one by `sheetgen build`")
    names = {row: value for (row, column), value in sheet.cells.items() if column == 0 and isinstance(value, str)}
    twice = next((name for name, count in Counter(names.values()).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"{book.path}: Config has the row {twice!r} twice: delete one of them")
    head = next((row for row, name in names.items() if name in everywhere(SETTING)), None)
    keys = {column: value for (row, column), value in sheet.cells.items() if row == head and column > 0}
    heads = everywhere(MEANING) | everywhere(VALUE)
    columns = {str(key): column for column, key in keys.items() if key not in heads} or {"": 1}
    if "" in columns and MODEL not in book.sheets:
        raise InputError(f"{book.path} is not a workbook of sheetgen (no {MODEL}): make one by `sheetgen build`")
    return {
        key: {name: sheet.cells[row, column] for row, name in names.items() if (row, column) in sheet.cells}
        for key, column in columns.items()
    }


def _language(settings: dict[str, dict[str, Any]], path: Path) -> str:
    """The language of the workbook: formulas speak it, too. Older ones are in English."""
    code = next((str(mine["language"]) for mine in settings.values() if "language" in mine), ENGLISH)
    if code not in catalogues():
        raise InputError(f"{path}: Config says language {code!r}; this sheetgen knows {', '.join(catalogues())}")
    return code


def _config(settings: dict[str, Any], path: Path) -> Config:
    family = FAMILIES.get(str(settings.get("family")))
    if family is None:
        known = ", ".join(FAMILIES)
        raise InputError(f"{path}: Config says family {settings.get('family')!r}; this sheetgen knows {known}")
    values = {}
    for f in dataclasses.fields(family):
        if f.name not in settings:
            raise InputError(f"{path}: Config has no row {f.name!r}: put it back, or build the workbook anew")
        value = settings[f.name]
        if str(f.type) == "Sizes":
            value = as_sizes(value)
        elif str(f.type) == "bool":
            value = {"yes": True, "no": False}.get(str(value).lower(), value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            value = float(value) if str(f.type) == "float" else int(value) if value == int(value) else value
        values[f.name] = value
    try:
        config = family(**values)
        fit_a_worksheet(config)
    except InputError as error:
        raise InputError(f"{path}: Config: {error}") from error
    return config


def _run(book: Book, config: Config, workbook: _Workbook) -> Trace:
    """The model in the sizes that the blocks of the workbook have now, which somebody may have let grow."""
    try:
        return run(config, workbook)
    except (ValueError, IndexError) as error:
        raise InputError(
            f"{book.path}: {error}: insert or delete rows or columns until both fit, or undo what was inserted, "
            "or changed in Config"
        ) from error


def _finite(book: Book, config: Config, workbook: _Workbook) -> Trace:
    """The model with the numbers of the workbook; raises InputError where they grow beyond what a cell holds."""
    trace = _run(book, config, workbook)
    try:
        trace.refuse_infinite("make red cells smaller, or set controls otherwise")
    except InputError as error:
        raise InputError(f"{book.path}: {error}") from None
    return trace


def _resized(book: Book, values: Values | None, key: str, config: Config) -> Resized:
    """The blocks that have not the shape that these settings ask for."""
    workbook = _Workbook(book, values, key)
    run(config, workbook)
    return workbook.resized


@dataclass
class _Workbook:
    """The numbers and words that the workbook holds now (a `recorder.Source`)."""

    book: Book
    values: Values | None
    key: str = ""  # of the model; "" also for what belongs to no model
    sentences: list[str] = field(default_factory=list)  # text blocks that hold words of the vocabulary
    vocabulary: tuple[Range, list[str]] | None = None
    resized: Resized = field(default_factory=dict)

    def weight(self, path: str, shape: tuple[int, int], around: float | None) -> Array:
        return self.numbers(path, shape)

    def numbers(self, path: str, shape: tuple[int, int]) -> Array:
        place = self._place(path)
        self._refuse_far(path, place, shape)
        self._compare(path, shape, place)
        found = self._now(place)
        if not np.isnan(plain := _numbers(found)).any():  # as nearly always
            return plain
        result = np.empty(place.shape)
        for (row, column), value in np.ndenumerate(found):
            result[row, column] = self._number(path, place.part(row, column), value)
        return result

    def _refuse_far(self, path: str, place: Range, built: tuple[int, int]) -> None:
        """Raise InputError for a block that no insertion of rows and columns has made of the one that was built."""
        if place.rows > GROWN * (built[0] + 1) or place.columns > GROWN * (built[1] + 1):
            raise InputError(
                f"{self.book.path}: {path} has {place.rows}×{place.columns} cells ({place}), but it was built with "
                f"{built[0]}×{built[1]}: build the workbook anew in the size you want"
            )

    def _compare(self, path: str, shape: tuple[int, int], place: Range) -> None:
        """Note a block that has another shape than Config asks for."""
        if place.shape != shape:
            self.resized[path] = shape, place.shape

    def column(self, path: str, default: Array) -> Array:
        """A column of the sheet Scale, with as many rows as it has now; an empty cell is 0."""
        place = self._place(path)
        now = self._now(place)[:, 0]
        cells = [0.0 if v is None else self._number(path, place.part(i, 0), v) for i, v in enumerate(now)]
        return np.array(cells)[:, None]

    def control(self, path: str, default: Live, limits: Limits) -> Live:
        place = self._place(path).part(0, 0)
        found = self._now(place)[0, 0]
        if not limits.allows(found):
            what = "is empty" if found is None else f"holds {found!r}"
            raise InputError(
                f"{self.book.path}: {place}, the control {path.rpartition('.')[2]}, {what}: it {limits.rule}"
            )
        return found.lower() if isinstance(found, str) else float(found)

    def text(self, path: str, count: int) -> list[str]:
        place = self._place(path)
        self._refuse_far(path, place, (count, count))
        self._compare(path, (1, count) if place.rows == 1 else (count, 1), place)
        found = list(self._now(place).flat)
        for i, word in enumerate(found):
            if not isinstance(word, str):
                cell = place.part(*divmod(i, place.columns))
                raise InputError(f"{self.book.path}: {cell} holds {word!r}, which is no word: format it as text")
        if place.rows == 1:
            self.sentences.append(path)
        elif path.rpartition(".")[2] == "vocabulary":
            self.vocabulary = place, found
        if self.vocabulary:
            self._all_known(*self.vocabulary)
        return found

    def _all_known(self, vocabulary: Range, words: list[str]) -> None:
        known = {word.lower() for word in words}
        for path in self.sentences:
            place = self._place(path)
            for column, word in enumerate(self._now(place)[0]):
                if str(word).lower() not in known:
                    raise InputError(
                        f"{self.book.path}: the word {word!r} at {place.part(0, column)} is not in the vocabulary "
                        f"({vocabulary}): choose one from its list"
                    )

    def _place(self, path: str) -> Range:
        name = _name(path, self.key)
        place = self.book.names.get(name)
        if place is None or place.sheet not in self.book.sheets:
            raise InputError(
                f"{self.book.path}: no cells are named {name}, but Config asks for {path}: "
                "undo the deletion, or build the workbook anew"
            )
        return place

    def _now(self, place: Range) -> Array:
        """What the cells hold; where somebody typed a formula, its recomputed value."""
        held = self.book.constants(place).copy()
        formulas = self.book.sheets[place.sheet].formula_at
        for row, column in np.ndindex(held.shape):
            if (place.top + row, place.left + column) in formulas:
                at = place.part(row, column)
                held[row, column] = self._shown(at) if self.values is None else self.values.range(at)[0, 0]
        return held

    @functools.cached_property
    def notation(self) -> Notation:
        """Reads the formulas of the workbook."""
        return Notation(self.book)

    def _shown(self, cell: Range) -> Any:
        """What a cell shows that repeats another one; of another formula a stand-in."""
        formula = self.book.sheets[cell.sheet].formula_at[cell.top, cell.left]
        source = self.notation.source(formula, cell)
        if source is None or (source.top, source.left) in self.book.sheets[source.sheet].formula_at:
            return STAND_IN
        return self.book.constants(source)[0, 0]

    def _number(self, path: str, cell: Range, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            what = "is empty" if value is None else f"holds {value!r}"
            raise InputError(f"{self.book.path}: {cell} in {path} {what}: it must be a number")
        return float(value)


def _name(path: str, key: str) -> str:
    """The workbook's name of a tensor of the model `key`."""
    return defined_name(workbook_path(path, key))


def _places(book: Book, trace: Trace, key: str = "") -> dict[str, Range]:
    """Where each tensor stands now; those whose name is gone are left out."""
    found = {path: book.names.get(_name(path, key)) for path in trace.blocks}
    return {path: place for path, place in found.items() if place is not None and place.sheet in book.sheets}


# --- comparison --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Area:
    """Cells that must hold `tensor`: the block `path`, or names along it, or its copy on the Map."""

    path: str
    tensor: Tensor
    range: Range


@dataclass
class _Comparison:
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
                found = [_without_cells(path, f"has no cells: the name {_name(path, self.key)} is gone")]
            group.equal &= not found
            differences += found[:1]
        if differences and self.values is not None:
            found_there = (map(self._formulas_differ, areas.get(path, [])) for path in trace.blocks)
            formulas = [first for found in found_there if (first := next(filter(None, found), None))]
            self.report.formulas += [self._told(d) for d in formulas]
            differences = _cause_first(differences, formulas, trace)
        if self.values is not None:
            outs = [path for path in trace.blocks if path in self.places and _OUT.fullmatch(path)]
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
            tensor.value[row, column] if inside and (known or tensor.kind == "constant") else None,
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
        return explain.formula(area.path, subject, one, other, self.places) + part

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


def _cause_first(values: list[Difference], formulas: list[Difference], trace: Trace) -> list[Difference]:
    """The tensor that is wrong by itself before those that are wrong because of it.

    A formula may be off by so little that only what is made from it leaves the tolerance.
    """
    wrong = {d.path: d for d in formulas}
    told = [values[0], *(dataclasses.replace(d, cause=d.path in wrong) for d in values[1:])]
    told = [dataclasses.replace(d, explanation=wrong[d.path].explanation) if d.path in wrong else d for d in told]
    told = [d if d.cause else dataclasses.replace(d, explanation="") for d in told]
    first = values[0].path
    if first in wrong or first not in trace.blocks:
        return told
    above, waiting = set(), [trace[first]]
    while waiting:
        for operand in waiting.pop().blocks_used():
            if operand.path not in above:
                above.add(operand.path)
                waiting.append(operand)
    cause = next((d for path, d in wrong.items() if path in above), None)
    return [cause, dataclasses.replace(told[0], cause=False, explanation=""), *told[1:]] if cause else told


_OUT = re.compile(r"(?:.*\.)?layer_\d+\.out")


def _relative(found: Array, expected: Array) -> float:
    """‖found − expected‖ / ‖expected‖; NaN where a cell holds no number."""
    if found.shape != expected.shape:
        return math.nan
    size = float(np.linalg.norm(expected))
    distance = float(np.linalg.norm(_numbers(found) - expected))
    return distance / size if size else distance


def _frames(frame: Frame, above: str = "") -> Iterator[tuple[str, Frame]]:
    for item in frame.items:
        if isinstance(item, Frame):
            title = f"{above} › {item.title}" if above else item.title
            yield title, item
            yield from _frames(item, title)


def _as_likely(found: Array, tensor: Tensor) -> Array:
    """Where the most probable word is another one than the model's, but just as probable: the last digit decides."""
    words = _likeliest(tensor)
    if words is None:
        return np.zeros(found.shape, dtype=bool)
    return np.array(
        [[word in right for word, right in zip(*row, strict=True)] for row in zip(found, words, strict=True)]
    )


def _likeliest(tensor: Tensor) -> Array | None:
    """The set of words that are most probable to within the tolerance, cell by cell; None for any other tensor."""
    if tensor.op in ("link", "transpose", "rows", "columns"):
        inner = _likeliest(tensor.operands[0])
        return None if inner is None else OPS[tensor.op].numpy(inner, **tensor.settings)
    if tensor.op != "likeliest":
        return None
    probs, vocabulary = (operand.value for operand in tensor.operands)
    sets = np.empty((1, probs.shape[1]), dtype=object)
    for column, p in enumerate(probs.T):
        sets[0, column] = set(vocabulary.ravel()[p >= p.max() - TOLERANCE])
    return sets


def _compare_values(found: Array, expected: Array) -> tuple[float, Array]:
    """Largest difference (relative above 1), and which cells differ by more than the tolerance."""
    if expected.dtype == object:
        return 0.0, np.array(found != expected, dtype=bool)
    numbers = _numbers(found)
    distance = np.abs(numbers - expected) / np.maximum(1.0, np.abs(expected))
    wrong = ~(distance <= TOLERANCE)
    known = distance[~np.isnan(distance)]
    return float(known.max()) if known.size else 0.0, wrong


def _numbers(found: Array) -> Array:
    """The numbers among the values of cells, NaN for all others."""

    def number(value: Any) -> float:
        return value if isinstance(value, int | float) and not isinstance(value, bool) else np.nan

    values = [v if type(v) is float else number(v) for v in found.ravel().tolist()]
    return np.array(values, dtype=float).reshape(found.shape)
