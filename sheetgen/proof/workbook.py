"""The model that a workbook holds: its settings from Config, its numbers and words from the cells as they stand now."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sheetgen.base.cells import Range
from sheetgen.base.errors import InputError, TooLarge
from sheetgen.base.lang import ENGLISH, catalogues, everywhere
from sheetgen.base.text import folded
from sheetgen.engines.values import Values
from sheetgen.model.config import Config, decode, run
from sheetgen.model.families import FAMILIES
from sheetgen.proof.notation import Notation
from sheetgen.proof.resized import Resized
from sheetgen.sheet.names import CONFIG, MODEL
from sheetgen.sheet.pages.config import MEANING, SETTING, VALUE
from sheetgen.sheet.workbook import defined_name, workbook_path
from sheetgen.trace.limits import Limits, Live
from sheetgen.trace.ops import Array
from sheetgen.trace.recorder import Trace
from sheetgen.trace.tensor import ShapeError
from sheetgen.xlsx.read import Book

GROWN = 10  # times as large as it was built, a block is no longer one that rows were inserted into
STAND_IN = 1.0  # without an engine, for a number that somebody typed as a formula: no formula depends on numbers


def settings_of(book: Book) -> dict[str, dict[str, Any]]:
    """What Config says of each model, by its key: the name of a setting → its value."""
    sheet = book.sheets.get(CONFIG)
    if sheet is None:
        raise _without(CONFIG, book)
    names = {row: value for (row, column), value in sheet.cells.items() if column == 0 and isinstance(value, str)}
    twice = next((name for name, count in Counter(names.values()).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"{book.path}: Config has the row {twice!r} twice: delete one of them")
    head = next((row for row, name in names.items() if name in everywhere(SETTING)), None)
    keys = {column: value for (row, column), value in sheet.cells.items() if row == head and column > 0}
    heads = everywhere(MEANING) | everywhere(VALUE)
    columns = {str(key): column for column, key in keys.items() if key not in heads} or {"": 1}
    if "" in columns and MODEL not in book.sheets and not _ours(book):
        raise _without(MODEL, book)
    return {
        key: {name: sheet.cells[row, column] for row, name in names.items() if (row, column) in sheet.cells}
        for key, column in columns.items()
    }


def _ours(book: Book) -> bool:
    """Whether it has names of tensors, which stay when a sheet is renamed."""
    return any(name.rpartition("__")[2] in ("tokens", "words", "embed", "logits", "out") for name in book.names)


def _without(sheet: str, book: Book) -> InputError:
    """What to say of a workbook that lacks a sheet."""
    if _ours(book):
        return InputError(f"{book.path} has no sheet {sheet}: if it was renamed, rename it back")
    return InputError(f"{book.path} is not a workbook of sheetgen (no {sheet}): make one by `sheetgen build`")


def language_of(settings: dict[str, dict[str, Any]], path: Path) -> str:
    """The language of the workbook: formulas speak it, too. Older ones are in English."""
    code = next((str(mine["language"]) for mine in settings.values() if "language" in mine), ENGLISH)
    if code not in catalogues():
        raise InputError(f"{path}: Config says language {code!r}; this sheetgen knows {', '.join(catalogues())}")
    return code


def config_of(settings: dict[str, Any], path: Path) -> Config:
    """The settings of one model as its family has them; InputError where a row is missing or says what cannot be."""
    family = FAMILIES.get(str(settings.get("family")))
    if family is None:
        known = ", ".join(FAMILIES)
        raise InputError(f"{path}: Config says family {settings.get('family')!r}; this sheetgen knows {known}")
    try:
        return decode(family, settings)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def rebuilt(config: Config, workbook: WorkbookSource) -> Trace:
    """The model in the sizes that the blocks of the workbook have now, which somebody may have let grow."""
    try:
        return run(config, workbook, workbook.alike)
    except TooLarge as error:
        raise InputError(f"{workbook.book.path}: with what Config says {error}") from None
    except ShapeError as error:
        raise InputError(
            f"{workbook.book.path}: {error}: insert or delete rows or columns until both fit, "
            "or undo what was inserted, or changed in Config"
        ) from error


def finite(config: Config, workbook: WorkbookSource) -> Trace:
    """The model with the numbers of the workbook; raises InputError where they grow beyond what a cell holds."""
    trace = rebuilt(config, workbook)
    try:
        trace.refuse_infinite("make red cells smaller, or set controls otherwise")
    except InputError as error:
        raise InputError(f"{workbook.book.path}: {error}") from None
    return trace


def resized_by(book: Book, values: Values | None, key: str, config: Config) -> Resized:
    """The blocks that have not the shape that these settings ask for."""
    workbook = WorkbookSource(book, values, key)
    run(config, workbook, workbook.alike)
    return workbook.resized


@dataclass
class WorkbookSource:
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
        if not np.isnan(plain := numbers_in(found)).any():  # as nearly always
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
        return found if isinstance(found, str) else float(found)

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
        key = str.lower if self.alike else str
        known = set(map(key, words))
        for path in self.sentences:
            place = self._place(path)
            for column, word in enumerate(self._now(place)[0]):
                if key(str(word)) not in known:
                    near = next((each for each in words if folded(each) == folded(str(word))), None)
                    raise InputError(
                        f"{self.book.path}: the word {word!r} at {place.part(0, column)} is not in the vocabulary "
                        f"({vocabulary}){f', which has {near!r}' if near else ''}: choose one from its list"
                    )

    @functools.cached_property
    def alike(self) -> bool:
        """Whether words that differ in case alone are one: sheetgen 0.1.0 looked them up by =, not by EXACT."""
        formulas = (f.text for sheet in self.book.sheets.values() for f in sheet.formula_at.values())
        return not any("EXACT(" in formula for formula in formulas)

    def _place(self, path: str) -> Range:
        name = name_of(path, self.key)
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


def name_of(path: str, key: str) -> str:
    """The workbook's name of a tensor of the model `key`."""
    return defined_name(workbook_path(path, key))


def places_of(book: Book, trace: Trace, key: str = "") -> dict[str, Range]:
    """Where each tensor stands now; those whose name is gone are left out."""
    found = {path: book.names.get(name_of(path, key)) for path in trace.blocks}
    return {path: place for path, place in found.items() if place is not None and place.sheet in book.sheets}


def numbers_in(found: Array) -> Array:
    """The numbers among the values of cells, NaN for all others."""

    def number(value: Any) -> float:
        return value if isinstance(value, int | float) and not isinstance(value, bool) else np.nan

    values = [v if type(v) is float else number(v) for v in found.ravel().tolist()]
    return np.array(values, dtype=float).reshape(found.shape)
