"""Breaks workbooks in the ways in which workbooks made by hand were found broken, and sees whether `check` notices.

    python tests/mutations.py [--presets llama4,nsa] [--every 10] [--write docs/mutations.md]

Every block of a preset (and the names along it, its copy on the Map, the columns of Scale) is broken in every way that
it can be, in memory. Only what depends on the broken formula is computed again. Whether a value changes is decided by
comparing the values before and after; `check` must name the broken tensor whenever one does, `check --static` always.
"""

from __future__ import annotations

import argparse
import heapq
import multiprocessing
import os
import re
import sys
import tempfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from helpers import BARE, build

from sheetgen.base.cells import Range, parse_range
from sheetgen.engines import ENGINES
from sheetgen.engines import formulas as formulas_engine
from sheetgen.engines.values import Values, cut
from sheetgen.model import presets
from sheetgen.model.choices import Style
from sheetgen.model.families import run
from sheetgen.proof import check as checking
from sheetgen.proof import comparison as comparing
from sheetgen.proof import workbook as reading
from sheetgen.proof.check import check_book
from sheetgen.proof.notation import Notation
from sheetgen.proof.report import STATIC, Report
from sheetgen.published.table import model_table
from sheetgen.sheet.formula import formulas_of
from sheetgen.sheet.layout import lay_out
from sheetgen.trace.ops import HIDDEN
from sheetgen.trace.tensor import Block
from sheetgen.workbooks import scale
from sheetgen.xlsx.read import Book, Constant, Formula, Sheet, read_book, tokens

STYLES: tuple[Style, ...] = ("blocks", "cells")
At = tuple[str, int, int]  # sheet, row and column


# --- a workbook to be broken -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutation:
    """Formulas taken away, others put in their place, constants typed over cells; all of it in the block `path`."""

    kind: str
    path: str
    removed: tuple[Formula, ...] = ()
    added: tuple[Formula, ...] = ()
    typed: tuple[tuple[At, Constant], ...] = ()

    def __str__(self) -> str:
        before, after = (", ".join(f"{f.range} {f.text}" for f in fs[:2]) for fs in (self.removed, self.added))
        return f"{self.kind} in {self.path}: {before or 'constants'} → {after or self.typed[:2]}"


@dataclass(frozen=True)
class Area:
    """Cells of the workbook that belong to a tensor, with the formulas that fill them."""

    path: str
    tensor: Block
    range: Range
    formulas: list[Formula]


@dataclass(frozen=True)
class Broken:
    """A broken workbook, its values, whether one of them has changed, and which cells have."""

    book: Book
    values: Values
    changed: bool
    touched: list[Range]


class Lab:
    """A workbook, what the engine makes of it, and of it with one mutation."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.formulas = [formula for sheet in book.sheets.values() for formula in sheet.formulas]
        self.number = {id(formula): i for i, formula in enumerate(self.formulas)}
        self._split = formulas_engine._Splitter(book)
        self._pieces = [self._split(formula) for formula in self.formulas]
        self._empty = {name: formulas_engine._grid(sheet) for name, sheet in book.sheets.items()}
        owners = formulas_engine._owners(self._empty, self.formulas)
        needs = formulas_engine._needs(owners, [ranges for _, ranges in self._pieces])
        order = formulas_engine._Order(needs).groups(range(len(needs)))
        self._position = {i: position for position, (i,) in enumerate(order)}
        self._users = defaultdict(set)
        for user, needed in enumerate(needs):
            for i in needed:
                self._users[i].add(user)
        self._owner = {name: np.full(grid.shape, -1, np.int32) for name, grid in self._empty.items()}
        for i, formula in enumerate(self.formulas):
            formulas_engine._put(self._owner, formula.range, i)
        self._functions: dict[Any, Any] = {}
        self._grids = {name: grid.copy() for name, grid in self._empty.items()}
        for i in sorted(range(len(self.formulas)), key=self._position.__getitem__):
            formulas_engine._put(self._grids, self.formulas[i].range, self._compute(self.formulas[i], self._grids))
        self.values = Values({name: _shown(grid) for name, grid in self._grids.items()})
        self.areas = list(self._areas())
        self.owner_of = {area.path: area.range for area in self.areas[::-1]}

    def _areas(self) -> Iterator[Area]:
        """All cells that `check` compares, as it finds them."""
        found: list[Any] = []
        original = comparing.Comparison._areas

        def spy(self: Any, *arguments: Any) -> Any:
            areas = original(self, *arguments)
            for of_path in areas.values():
                found.extend((area.path, area.tensor, area.range) for area in of_path)
            return areas

        with mock.patch.object(comparing.Comparison, "_areas", spy):
            self.check(self.book, self.values)
        for path, tensor, place in found:
            at = self.book.sheets[place.sheet].formula_at
            cells = ((row, column) for row in range(place.top, place.bottom + 1)
                     for column in range(place.left, place.right + 1))  # fmt: skip
            yield Area(path, tensor, place, list({id(at[c]): at[c] for c in cells if c in at}.values()))

    def _compute(self, formula: Formula, grids: dict[str, np.ndarray]) -> Any:
        template, ranges = (
            self._pieces[self.number[id(formula)]] if id(formula) in self.number else self._split(formula)
        )
        own = formula.range if formulas_engine._TAKES_OWN_CELL.search(template) else None
        key = template, own
        if key not in self._functions:
            self._functions[key] = formulas_engine._compile(template, len(ranges), own)
        try:
            with np.errstate(all="ignore"):
                values = [formulas_engine._take(grids, area) for area in ranges]
                return formulas_engine._fit(self._functions[key](values, ranges), formula)
        except formulas_engine._FormulaError as failure:
            return failure.error

    def recompute(self, mutation: Mutation, thorough: bool) -> Broken:
        """The workbook with a mutation, its values, and whether any of them is another one than before.

        Where a value of the broken block itself changes, what is made from it comes later in the order of computation
        and cannot be named first; it is computed, too, when `thorough`.
        """
        book = broken(self.book, mutation)
        removed = [self.number[id(formula)] for formula in mutation.removed]
        if self._circular(mutation, removed):
            if thorough:  # let the engine itself find the circle
                values = formulas_engine.recompute(book.path, book)
                everywhere = [Range(name, 0, 0, grid.shape[0] - 1, grid.shape[1] - 1)
                              for name, grid in values.sheets.items()]  # fmt: skip
                return Broken(book, values, True, everywhere)
            shown = {name: grid.copy() for name, grid in self.values.sheets.items()}
            for formula in mutation.added:
                formulas_engine._put(shown, formula.range, str(formulas_engine.CYCLE))
            return Broken(book, Values(shown), True, [formula.range for formula in mutation.added])
        grids = {name: grid.copy() for name, grid in self._grids.items()}
        shown = {name: grid.copy() for name, grid in self.values.sheets.items()}
        touched = [formula.range for formula in mutation.removed]
        for (sheet, row, column), value in mutation.typed:
            grids[sheet][row, column] = value
            touched.append(Range(sheet, row, column, row, column))
        for formula in mutation.added:
            formulas_engine._put(grids, formula.range, self._compute(formula, grids))
        changed = self._changed(touched, grids)
        if thorough or not changed:
            touched += self._follow(touched, removed, grids)
            changed = changed or self._changed(touched, grids)
        for area in touched:
            formulas_engine._put(shown, area, _shown(formulas_engine._take(grids, area)))
        return Broken(book, Values(shown), changed, touched)

    def _circular(self, mutation: Mutation, removed: list[int]) -> bool:
        """Whether a new formula needs itself, or what was made from the one it replaces."""
        after = self._downstream(removed)
        for formula in mutation.added:
            for area in self._split(formula)[1]:
                if area.meets(formula.range) or self._owners(area) & (after - set(removed)):
                    return True
        return False

    def _follow(self, touched: list[Range], removed: list[int], grids: dict[str, np.ndarray]) -> list[Range]:
        """Compute what is made from these cells, as far as anything changes; the cells that did."""
        known = set(removed) | {user for area in touched for user in self._users_of(area)}
        heap = [(self._position[i], i) for i in known - set(removed)]
        heapq.heapify(heap)
        found = []
        while heap:
            _, i = heapq.heappop(heap)
            area = self.formulas[i].range
            new = np.empty(area.shape, object)
            new[...] = self._compute(self.formulas[i], grids)
            if np.array_equal(new, formulas_engine._take(self._grids, area)):
                continue
            formulas_engine._put(grids, area, new)
            found.append(area)
            for user in self._users[i] - known:
                known.add(user)
                heapq.heappush(heap, (self._position[user], user))
        return found

    def _changed(self, touched: list[Range], grids: dict[str, np.ndarray]) -> bool:
        new = (_shown(formulas_engine._take(grids, area)) for area in touched)
        return any(_other(self.values.range(area), values) for area, values in zip(touched, new, strict=True))

    def _owners(self, area: Range) -> set[int]:
        grid = self._owner.get(area.sheet)
        if grid is None:
            return set()
        return set(grid[area.top : area.bottom + 1, area.left : area.right + 1].ravel().tolist()) - {-1}

    def _users_of(self, area: Range) -> set[int]:
        """Formulas that read some of these cells, whether these hold formulas or constants."""
        found = {user for i in self._owners(area) for user in self._users[i]}
        if not self._owners(area):
            found |= {i for i, (_, ranges) in enumerate(self._pieces) if any(area.meets(other) for other in ranges)}
        return found

    def _downstream(self, formulas: list[int]) -> set[int]:
        found, waiting = set(formulas), list(formulas)
        while waiting:
            for user in self._users[waiting.pop()] - found:
                found.add(user)
                waiting.append(user)
        return found

    def check(self, book: Book, values: Values, engine: str = "formulas") -> Report:
        """`check` of the broken workbook, whose values are known already."""
        with mock.patch.dict(ENGINES, {"formulas": lambda _path, _book=None: values}):
            return check_book(book, engine)


def _shown(grid: np.ndarray) -> np.ndarray:
    return formulas_engine.mapped(formulas_engine.outward, grid)


def _other(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether a value has changed: by more than 1e-9, relative above 1, or into something else than a number."""
    for old, new in zip(before.ravel(), after.ravel(), strict=True):
        if isinstance(old, float) and isinstance(new, float):
            if not abs(new - old) <= 1e-9 * max(1.0, abs(old)):
                return True
        elif old != new:
            return True
    return False


def broken(book: Book, mutation: Mutation) -> Book:
    """The workbook with the mutation; the book itself stays as it is."""
    (name,) = {f.range.sheet for f in (*mutation.removed, *mutation.added)} | {at[0] for at, _ in mutation.typed}
    sheet = book.sheets[name]
    gone = {id(formula) for formula in mutation.removed}
    formulas = [formula for formula in sheet.formulas if id(formula) not in gone] + list(mutation.added)
    cells, at = dict(sheet.cells), dict(sheet.formula_at)
    for formula in mutation.removed:
        for cell in _cells(formula.range):
            del at[cell]
    for formula in mutation.added:
        at.update(dict.fromkeys(_cells(formula.range), formula))
    for (_, row, column), value in mutation.typed:
        cells[row, column] = value
    return replace(book, sheets=book.sheets | {name: Sheet(name, cells, formulas, at)})


def _cells(area: Range) -> Iterator[tuple[int, int]]:
    for row in range(area.top, area.bottom + 1):
        for column in range(area.left, area.right + 1):
            yield row, column


# --- the ways to break it ----------------------------------------------------------------------------------------

Tokens = list[tuple[str, str]]
Kind = Callable[[Lab, Area, Formula], Iterator[Mutation | Tokens]]


def _reference(text: str, formula: Formula) -> Range:
    found = parse_range(text, formula.range.sheet)
    assert found is not None, text
    return found


def _moved(area: Range, down: int, right: int) -> Range:
    if area.top + down < 0 or area.left + right < 0:
        down, right = abs(down), abs(right)
    return Range(area.sheet, area.top + down, area.left + right, area.bottom + down, area.right + right)


def _pick(area: Area, salt: str, count: int) -> int:
    """One of `count`, another for every block."""
    return zlib.crc32(f"{salt} {area.path} {area.range}".encode()) % count


def _with(parts: Tokens, at: int, *texts: str) -> Tokens:
    return [*parts[:at], *(("", text) for text in texts), *parts[at + 1 :]]


def _ranges(parts: Tokens, formula: Formula) -> Iterator[tuple[int, Range]]:
    for i, (kind, text) in enumerate(parts):
        if kind == "range":
            yield i, _reference(text, formula)


def shifted(down: int, right: int) -> Kind:
    """One operand a row lower (or higher), or a column further right (or left)."""

    def kind(_lab: Lab, area: Area, formula: Formula) -> Iterator[Tokens]:
        parts = _parts(formula)
        for i, place in _ranges(parts, formula):
            sign = (1, -1)[_pick(area, f"{i}", 2)]
            yield _with(parts, i, _moved(place, sign * down, sign * right).seen_from(formula.range.sheet))

    return kind


def absolute(_lab: Lab, area: Area, formula: Formula) -> Iterator[Tokens]:
    """Filled to its neighbours, a reference that should have moved along stayed where it was."""
    before = _neighbour(area, formula)
    if before is None:
        return
    here, there = _parts(formula), _parts(before)
    for i, (kind, text) in enumerate(here):
        if len(here) == len(there) and kind == "range" and there[i][1] != text:
            yield _with(here, i, there[i][1])


def _neighbour(area: Area, formula: Formula) -> Formula | None:
    """The formula to the left, or above, within the same block."""
    place = formula.range
    beside = [f for f in area.formulas if f.range.right == place.left - 1 and f.range.top == place.top]
    above = [f for f in area.formulas if f.range.bottom == place.top - 1 and f.range.left == place.left]
    return next(iter(beside + above), None)


def another(pattern: str) -> Kind:
    """An operand taken from the same block of another head, layer or expert."""

    def kind(lab: Lab, _area: Area, formula: Formula) -> Iterator[Tokens]:
        parts = _parts(formula)
        for i, place in _ranges(parts, formula):
            for path, home in lab.owner_of.items():
                inside = place.within(home)
                found = re.search(pattern, path) if inside else None
                if not found:
                    continue
                number = int(found.group(1))
                for other in (number + 1, number - 1):
                    twin = path[: found.start(1)] + str(other) + path[found.end(1) :]
                    there = lab.owner_of.get(twin)
                    if there is not None and there.shape == home.shape:
                        there = _moved(place, there.top - home.top, there.left - home.left)
                        yield _with(parts, i, there.seen_from(formula.range.sheet))
                        break

    return kind


def mask(lab: Lab, area: Area, formula: Formula) -> Iterator[Tokens]:
    """< for ≤ or the other way round in a mask; the mask itself, where it is used, a row or a column off."""
    parts = _parts(formula)
    name = area.path.rpartition(".")[2]
    masks = [place for path, place in lab.owner_of.items() if "mask" in path.rpartition(".")[2]]
    for i, (kind, text) in enumerate(parts):
        if "mask" in name and kind == "infix" and text in ("<=", "<"):
            yield _with(parts, i, {"<=": "<", "<": "<="}[text])
        if kind == "range" and any(_reference(text, formula).within(place) for place in masks):
            for down, right in ((1, 0), (0, 1)):
                yield _with(parts, i, _moved(_reference(text, formula), down, right).seen_from(formula.range.sheet))


def residual(_lab: Lab, _area: Area, formula: Formula) -> Iterator[Tokens]:
    """A sum of blocks without one of them."""
    parts = _parts(formula)
    if len(parts) >= 3 and all((kind, text)[i % 2] == ("range", "+")[i % 2] for i, (kind, text) in enumerate(parts)):
        for i in range(0, len(parts), 2):
            left = [part for j, part in enumerate(parts) if j not in ((i, i + 1) if i == 0 else (i - 1, i))]
            yield left


def logarithm(_lab: Lab, _area: Area, formula: Formula) -> Iterator[Tokens]:
    """LOG, which is to base 10, for LN."""
    parts = _parts(formula)
    for i, (kind, text) in enumerate(parts):
        if kind == "call" and text == "LN(":
            yield _with(parts, i, "LOG(")


def variance(_lab: Lab, _area: Area, formula: Formula) -> Iterator[Tokens]:
    """Divided by n − 1 instead of n."""
    parts = _parts(formula)
    for i in range(1, len(parts)):
        if parts[i - 1] == ("infix", "/") and parts[i] == ("call", "ROWS("):
            end = next(j for j in range(i, len(parts)) if parts[j][1] == ")")
            yield [*parts[:i], ("", "("), *parts[i : end + 1], ("", "-1)"), *parts[end + 1 :]]


def root(_lab: Lab, _area: Area, formula: Formula) -> Iterator[Tokens]:
    """The root of the number of columns instead of rows, or of a number that was right once."""
    parts = _parts(formula)
    for i in range(1, len(parts)):
        if parts[i - 1] == ("call", "SQRT(") and parts[i] == ("call", "ROWS("):
            yield _with(parts, i, "COLUMNS(")
            end = next(j for j in range(i, len(parts)) if parts[j][1] == ")")
            rows = _reference(parts[i + 1][1], formula).rows
            yield [*parts[:i], ("", str(rows)), *parts[end + 1 :]]


def stale(lab: Lab, area: Area, formula: Formula) -> Iterator[Mutation]:
    """Numbers instead of a formula: those of today, and others in the last column."""
    place = formula.range
    now = lab.values.range(place)
    cells = [((place.sheet, place.top + r, place.left + c), value) for (r, c), value in np.ndenumerate(now)]
    yield Mutation("", area.path, (formula,), (), tuple(cells))
    first = cells[0][1]
    other = first * 1.5 + 1 if isinstance(first, float) else 7.0
    if place.columns == 1:
        yield Mutation("", area.path, (formula,), (), ((cells[0][0], other), *cells[1:]))
    else:  # the array ends one column earlier, beside it stand numbers
        shorter = replace(formula, range=place.part(slice(None), slice(0, place.columns - 1)))
        last = tuple((at, other) for at, _ in cells if at[2] == place.right)
        yield Mutation("", area.path, (formula,), (shorter,), last)


def unlike(_lab: Lab, area: Area, formula: Formula) -> Iterator[Mutation]:
    """The last column repeats the one before it, instead of computing its own; of a single column the last row."""
    place = area.range
    across = place.columns > 1
    if place.shape == (1, 1) or formula is not area.formulas[0]:
        return
    last = place.part(slice(None), place.columns - 1) if across else place.part(place.rows - 1, slice(None))
    removed = tuple(f for f in area.formulas if f.range.meets(last))
    kept = []
    for f in removed:
        if f.range.columns > 1 and across:
            kept.append(replace(f, range=f.range.part(slice(None), slice(0, f.range.columns - 1))))
        elif f.range.rows > 1 and not across:
            kept.append(replace(f, range=f.range.part(slice(0, f.range.rows - 1), slice(None))))
    cells = [last.part(r, c) for r, c in np.ndindex(last.shape)]
    links = [Formula(f"={_moved(cell, 0 if across else -1, -1 if across else 0).a1}", cell, False) for cell in cells]
    yield Mutation("", area.path, removed, (*kept, *links))


def rotation(lab: Lab, area: Area, formula: Formula) -> Iterator[Tokens]:
    """cos for sin, minus for plus where queries and keys are turned."""
    parts = _parts(formula)
    tables = {path: place for path, place in lab.owner_of.items() if path.rpartition(".")[2] in ("cos", "sin")}
    for i, place in _ranges(parts, formula):
        for path, home in tables.items():
            twin = path[:-3] + {"cos": "sin", "sin": "cos"}[path[-3:]]
            if place.within(home) and twin in tables:
                there = tables[twin]
                there = _moved(place, there.top - home.top, there.left - home.left)
                yield _with(parts, i, there.seen_from(formula.range.sheet))
    if area.path.endswith("_rot"):
        for i, part in enumerate(parts):
            if part == ("infix", "+"):
                yield _with(parts, i, "-")


def swapped_rows(area: Area, lab: Lab) -> Iterator[Mutation]:
    """Two rows of a block of constants that RoPE is made from."""
    name, place = area.path.rpartition(".")[2], area.range
    if area.tensor.kind == "constant" and name in ("P", "pair") and place.rows > 1:
        now = lab.values.range(place)
        for one, other in {(0, 1), (0, place.rows - 1)}:
            typed = [
                ((place.sheet, place.top + row, place.left + c), now[there, c])
                for row, there in ((one, other), (other, one))
                for c in range(place.columns)
            ]
            if (now[one] != now[other]).any():
                yield Mutation("rope", area.path, (), (), tuple(typed))


def gate(lab: Lab, _area: Area, formula: Formula) -> Iterator[Tokens]:
    """The gate of the next expert."""
    parts = _parts(formula)
    gates = [place for path, place in lab.owner_of.items() if path.endswith("router.g")]
    for i, place in _ranges(parts, formula):
        for home in gates:
            if place.within(home) and place.rows == 1 < home.rows:
                down = 1 if place.bottom < home.bottom else -1
                yield _with(parts, i, _moved(place, down, 0).seen_from(formula.range.sheet))


def rounding(_lab: Lab, area: Area, formula: Formula) -> Iterator[Tokens]:
    """Rounded within the stack: to a few digits, or to so many that only later blocks show it."""
    if area.tensor.value.dtype != object:
        for digits in (3, 9):
            yield [("", "ROUND("), *_parts(formula), ("", f",{digits})")]


def shared(_lab: Lab, _area: Area, formula: Formula) -> Iterator[Tokens]:
    """Another number or text where sheet and model share one, such as what stands for −∞ or where a curve is flat."""
    parts = _parts(formula)
    for i, (kind, text) in enumerate(parts):
        if kind == "number":
            yield _with(parts, i, f"(1.5*{text}+1)")
        elif kind == "text":
            yield _with(parts, i, '"?"')
            if text == f'"{HIDDEN}"':
                yield _with(parts, i, "-1E+8")


def _parts(formula: Formula) -> Tokens:
    found = tokens(formula.text)
    assert found is not None, formula
    return found


# The name of each kind in the table, and what makes its mutations from a formula.
KINDS: dict[str, tuple[str, Kind]] = {
    "row": ("operand a row off", shifted(1, 0)),
    "column": ("operand a column off", shifted(0, 1)),
    "absolute": ("reference did not move along", absolute),
    "head": ("another head's operand", another(r"(?:head|kv)_(\d+)\.")),
    "layer": ("another layer's operand", another(r"layer_(\d+)\.")),
    "mask": ("mask off by one", mask),
    "residual": ("residual missing", residual),
    "log": ("LOG for LN", logarithm),
    "variance": ("n − 1 for n", variance),
    "root": ("root of a wrong size", root),
    "stale": ("number in place of a formula", stale),
    "unlike": ("one column unlike its neighbours", unlike),
    "rope": ("RoPE: rows, sine or sign", rotation),
    "gate": ("another expert's gate or operand", gate),
    "rounding": ("rounded within the stack", rounding),
    "shared": ("another constant than the model has", shared),
}


def mutations(lab: Lab) -> Iterator[Mutation]:
    """Every way to break the workbook; of the many alike formulas of a block one is broken."""
    expert = another(r"expert_(\d+)\.")
    for area in lab.areas:
        is_block = area.range == lab.owner_of[area.path]
        yield from swapped_rows(area, lab)
        if not area.formulas or area.tensor.kind != "computed":
            continue
        chosen = area.formulas[_pick(area, "formula", len(area.formulas))]
        for name, (_, kind) in KINDS.items():
            if not is_block and name not in ("row", "stale"):
                continue  # names along a block, the same for all
            kinds = [kind, expert] if name == "gate" else [kind]
            formula = area.formulas[0] if name == "unlike" else chosen
            for made in (m for k in kinds for m in k(lab, area, formula)):
                if isinstance(made, Mutation):
                    yield replace(made, kind=name)
                else:
                    text = "=" + "".join(part for _, part in made)
                    if text != formula.text:
                        yield Mutation(name, area.path, (formula,), (replace(formula, text=text),))


# --- trying them all ---------------------------------------------------------------------------------------------


@dataclass
class Result:
    """Of one workbook, by kind: how many mutations, how many change a value, how many were caught; those missed."""

    preset: str
    style: str
    total: Counter[str] = field(default_factory=Counter)
    changing: Counter[str] = field(default_factory=Counter)
    caught: Counter[str] = field(default_factory=Counter)
    static: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)


Memory = dict[Any, Any]  # of `check` for one workbook: (function, what its arguments say) → what it gave


@contextmanager
def remembered(memory: Memory, dirty: Callable[[Range], bool] = lambda _: True) -> Iterator[None]:
    """`check` with a memory: the model and its layout, since no mutation changes a red cell or a size; what is expected
    of cells; and that cells which are not `dirty` are as they were, which is right.
    """

    def once(function: Callable[..., Any], key: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            at = function.__name__, key(*arguments)
            if at not in memory:
                made = function(*arguments)
                # The arguments are kept, too, so that no other object gets their identity.
                memory[at] = (list(made) if isinstance(made, Iterator) else made), arguments
            return memory[at][0]

        return call

    comparison = comparing.Comparison
    areas_of = once(comparison._areas, lambda _, trace, *__: id(trace))

    def touched_areas(self: Any, trace: Any, *more: Any) -> Any:
        areas = areas_of(self, trace, *more)
        return {path: [area for area in found if dirty(area.range)] for path, found in areas.items()}

    with (
        mock.patch.object(reading, "run", once(run, lambda config, _source, alike: (config, alike))),
        mock.patch.object(checking, "lay_out", once(lay_out, lambda trace, *_: id(trace))),
        mock.patch.object(scale, "model_table", once(model_table, lambda groups, *_: tuple(groups))),
        mock.patch.object(comparing, "formulas_of", once(formulas_of, lambda tensor, place, *_: (id(tensor), place))),
        mock.patch.object(comparing, "Notation", once(Notation, lambda _: "")),
        mock.patch.object(reading, "Notation", once(Notation, lambda _: "")),
        mock.patch.object(comparison, "_areas", touched_areas),
    ):
        yield


THOROUGH = 10  # all that follows from a mutation is computed for one in so many


def try_all(preset: str, style: str, every: int = 1, *options: object) -> Result:
    """All mutations of a preset (or each `every`-th)."""
    result = Result(preset, style)
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(read_book(build(Path(folder) / "book.xlsx", preset, *BARE, "--formulas", style, *options)))
        report = lab.check(lab.book, lab.values)
        assert report.difference is None, report.difference
        assert lab.check(lab.book, lab.values, STATIC).difference is None
        dirty = {name: np.zeros(grid.shape, bool) for name, grid in lab.values.sheets.items()}
        with remembered({}, lambda area: bool(cut(dirty[area.sheet], area, False).any())):
            for i, mutation in enumerate(mutations(lab)):
                if i % every == 0:
                    made = lab.recompute(mutation, thorough=i // every % THOROUGH == 0)
                    for name, grid in dirty.items():
                        grid[:] = False
                        for area in made.touched:
                            if area.sheet == name:
                                formulas_engine._put(dirty, area, True)
                    _judge(lab, mutation, made, result)
    return result


def _judge(lab: Lab, mutation: Mutation, made: Broken, result: Result) -> None:
    found, static = (lab.check(made.book, made.values, engine).difference for engine in ("formulas", STATIC))
    kind, changed = mutation.kind, made.changed
    named, static_named = (d is not None and d.path == mutation.path for d in (found, static))
    result.total[kind] += 1
    result.changing[kind] += changed
    result.caught[kind] += changed and named
    result.static[kind] += static_named
    if changed and not named:
        result.missed.append(f"check names {found.path if found else 'nothing'}: {mutation}")
    if found is not None and not changed and kind != "stale":
        result.missed.append(f"check names {found.path}, though no value changes: {mutation}")
    if kind == "stale" and not named:
        result.missed.append(f"check does not see the number: {mutation}")
    if not static_named:
        result.missed.append(f"--static names {static.path if static else 'nothing'}: {mutation}")


def _job(arguments: tuple[str, str, int]) -> Result:
    return try_all(*arguments)


def main() -> int:
    """Try them, print what was missed, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", help="only these, with commas between them")
    parser.add_argument("--every", type=int, default=1, help="only each n-th mutation")
    parser.add_argument("--write", type=Path, help="the file of the table")
    arguments = parser.parse_args()
    chosen = arguments.presets.split(",") if arguments.presets else list(presets.all_presets())
    jobs = [(preset, style, arguments.every) for preset in chosen for style in STYLES]
    results = []
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for result in pool.imap_unordered(_job, jobs, chunksize=1):
            results.append(result)
            missed = f", {len(result.missed)} missed" if result.missed else ""
            print(f"{result.preset} {result.style}: {result.total.total()} mutations{missed}", flush=True)
            for line in result.missed[:20]:
                print(f"  {line}", flush=True)
    if arguments.write:
        arguments.write.write_text(page(results, arguments.every), encoding="utf-8")
    return 1 if any(result.missed for result in results) else 0


PAGE = """# Mutations: what `check` finds

Every block of every preset, the names along it, its copy on the Map and the columns of Scale were broken in all ways
below that apply, one at a time, with formulas per block and per cell: {total:,} broken workbooks. Of the many alike
formulas of a block one is broken. `make mutations` writes this page anew.{share}

`check` must name the broken tensor, and no other, as soon as any value changes by more than 1e-9 (relative above 1):
**{caught:,} of {changing:,}**. `check --static` must name it always, also where no value changes today: **{static:,} of
{total:,}**. A number in place of a formula is named by both, whatever the number. {missed}

{legend}

## `check`: mutations that change a value, caught / all

{check_table}

## `check --static`: all mutations, caught / all

{static_table}
"""


def page(results: list[Result], every: int) -> str:
    """The results as docs/mutations.md."""
    legend = "\n".join(f"* **{name}**: {words}" for name, (words, _) in KINDS.items())
    caught, changing, static, total = (_sum(results, name) for name in ("caught", "changing", "static", "total"))
    missed = sum(len(result.missed) for result in results)
    share = "" if every == 1 else f" Of all these, each {every}th was tried for this page."
    return PAGE.format(
        share=share,
        total=total.total(),
        caught=caught.total(),
        changing=changing.total(),
        static=static.total(),
        missed=f"**{missed} times something was missed or wrongly named.**" if missed else "Nothing was missed.",
        legend=legend,
        check_table=_table(results, "caught", "changing"),
        static_table=_table(results, "static", "total"),
    )


def _sum(results: list[Result], name: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for result in results:
        counts += getattr(result, name)
    return counts


def _table(results: list[Result], part: str, whole: str) -> str:
    """Presets down, kinds across, and the sum of each."""
    presets_ = sorted({result.preset for result in results})
    lines = [["preset", *KINDS, "all"], [":--", *["--:"] * (len(KINDS) + 1)]]
    for preset in [*presets_, "all"]:
        mine = [result for result in results if preset in (result.preset, "all")]
        some, many = _sum(mine, part), _sum(mine, whole)
        cells = [(some[kind], many[kind]) for kind in KINDS] + [(some.total(), many.total())]
        lines.append([f"`{preset}`" if preset != "all" else "all", *(f"{a}/{b}" if b else "–" for a, b in cells)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
