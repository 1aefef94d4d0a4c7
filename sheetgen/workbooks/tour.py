"""A lecture as one workbook: a sheet per step, each a small model, with what to say, an exercise and its answer.

The steps are data (templates/tours/*.toml): presets and settings, sentences, the blocks that are new. The answers are
computed: kinds of answers are functions here, so that formula and value come from one line as everywhere.
"""

from __future__ import annotations

import dataclasses
import functools
import textwrap
import tomllib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from sheetgen.base.cells import Range
from sheetgen.base.errors import InputError
from sheetgen.base.files import tables, templates
from sheetgen.base.lang import tr
from sheetgen.look.load import LIGHT
from sheetgen.look.theme import Theme
from sheetgen.model import presets
from sheetgen.model.choices import Style, Weights
from sheetgen.model.families import run
from sheetgen.model.given import Given
from sheetgen.model.weights import Drawn
from sheetgen.published.table import PUBLISHED, Columns
from sheetgen.sheet.build import TOUR, Build
from sheetgen.sheet.names import SCALE, STEPS
from sheetgen.sheet.pages.config import config_page
from sheetgen.sheet.pages.contents import contents_page
from sheetgen.sheet.workbook import Page, Placed, Ran, Table, Workbook, defined_name, place
from sheetgen.text.equation import title_of
from sheetgen.trace.limits import Limits, Live
from sheetgen.trace.recorder import Source, Trace, scope
from sheetgen.trace.tensor import Block, Tensor, apply, control, max_rows, stack, sum_rows, when
from sheetgen.workbooks import scale

SCOPE = "tour"
STATES = ("to do", "doing", "done")
LINE = 105  # letters of a sentence in one row
LINK_COLUMNS = 5  # of a model's sheet, for one of the links of a step


@dataclass(frozen=True)
class Answer:
    """What an exercise asks for: a kind of `ANSWERS`, blocks by their paths (with * for many), which rows."""

    kind: str
    blocks: tuple[str, ...]
    rows: tuple[int, int] | None = None


@dataclass(frozen=True)
class Step:
    """A step of a lecture; a model, or the sheet Scale when there is no preset."""

    key: str
    title: str
    say: str
    preset: str | None
    settings: Mapping[str, Any]
    controls: Mapping[str, Live]
    text: str | None
    target: str | None
    new: tuple[str, ...]
    question: str
    answer: Answer
    published: tuple[str, ...]


@dataclass(frozen=True)
class Tour:
    """A lecture: its steps in their order."""

    name: str
    title: str
    summary: str
    steps: tuple[Step, ...]


def names() -> list[str]:
    """All tours."""
    return list(tables(templates() / "tours"))


@functools.cache
def find(name: str) -> Tour:
    """The tour of this name; raises InputError with those there are."""
    if name not in names():
        raise InputError(f"{name!r} is no tour: choose {' or '.join(names())}")
    source = templates() / "tours" / f"{name}.toml"
    data = tomllib.loads(source.read_text(encoding="utf-8"))
    shared = data.get("shared", {})
    return Tour(name, data["title"], data["summary"], tuple(_step(step, shared) for step in data["steps"]))


def _step(data: Mapping[str, Any], shared: Mapping[str, Mapping[str, Any]]) -> Step:
    """One entry of [[steps]]; `like` names the settings of [shared] that it begins from."""
    ((kind, blocks),) = [(key, value) for key, value in data["answer"].items() if key != "rows"]
    rows = data["answer"].get("rows")
    return Step(
        key=data["key"],
        title=data["title"],
        say=data["say"],
        preset=data.get("preset"),
        settings={**shared.get(data.get("like", ""), {}), **data.get("set", {})},
        controls=data.get("controls", {}),
        text=data.get("text"),
        target=data.get("target"),
        new=tuple(data.get("new", ())),
        question=data["question"],
        answer=Answer(kind, tuple([blocks] if isinstance(blocks, str) else blocks), tuple(rows) if rows else None),
        published=tuple(data.get("published", ())),
    )


# --- answers -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where an exercise stands: the step and the one before it (None: there is none), and the sheet Scale."""

    now: Ran | None
    before: Ran | None
    table: Trace | None

    def blocks(self, patterns: Sequence[str], model: Ran | None = None) -> list[Block]:
        """The blocks whose paths fit one of the patterns, in the order of computation."""
        if model is None and self.now is None:
            assert self.table is not None
            return [self.table[path] for path in patterns]
        model = model or self.now
        assert model is not None
        fitting = [p for p in model.trace.blocks if any(fnmatchcase(p, pattern) for pattern in patterns)]
        if not fitting:
            raise InputError(f"no block of {model.key} is called {' or '.join(patterns)}")
        return [model.seen(path) for path in fitting]

    def trainable(self, model: Ran | None) -> list[Block]:
        """All red blocks of a step."""
        assert model is not None
        return [model.seen(path) for path, block in model.trace.blocks.items() if block.kind == "weight"]


def _count(blocks: Sequence[Tensor]) -> Tensor:
    """How many cells the blocks have together."""
    return apply("count", *blocks)


# Kinds of answers: where the exercise stands and which blocks it is about → one row of numbers or words.
ANSWERS: dict[str, Callable[[Place, Answer], Tensor]] = {
    "cells": lambda p, a: _count(p.blocks(a.blocks)),
    "trainable": lambda p, a: _count([block for block in p.blocks(a.blocks) if block.kind == "weight"]),
    "more": lambda p, _: _count(p.trainable(p.now)) - _count(p.trainable(p.before)),
    "row": lambda p, a: _rows(p.blocks(a.blocks)[0], a),
    "sum": lambda p, a: sum_rows(p.blocks(a.blocks)[0]),
    "largest": lambda p, a: max_rows(p.blocks(a.blocks)[0]),
    "table": lambda p, a: p.blocks(a.blocks)[0].T,
    "ratio": lambda p, a: _ratio(p.blocks(a.blocks), a),
}


def _rows(block: Tensor, answer: Answer) -> Tensor:
    start, stop = answer.rows or (0, 1)
    return block.slice(start, stop)


def _ratio(blocks: Sequence[Tensor], answer: Answer) -> Tensor:
    """One row of a block, divided by another row of it."""
    first, second = answer.rows or (0, 1)
    return blocks[0][first] / blocks[0][second]


def computed(tour: Tour, models: Sequence[Ran], table: Trace | None, source: Source) -> Trace:
    """The status of every step, how many are done, and all answers; `table`: the trace of the sheet Scale."""
    by_key = {model.key: model for model in models}
    with Trace(source) as trace, scope(SCOPE, "Tour"):
        states = []
        before: Ran | None = None
        for step in tour.steps:
            with scope(step.key, step.title):
                states.append(control("status", STATES[0], Limits(choices=STATES)))
                now = by_key.get(step.key)
                _refuse_without(tour, step, now, table)
                ANSWERS[step.answer.kind](Place(now, before, table), step.answer).named("answer")
                before = now or before
        stack(states).named("progress")
        done = [when(state, STATES[-1], 1.0, 0.0) for state in states]
        functools.reduce(lambda a, b: a + b, done).named("done")
    return trace


def _refuse_without(tour: Tour, step: Step, model: Ran | None, table: Trace | None) -> None:
    """Raise InputError for a step that has not what it is about: its model, or the sheet Scale."""
    if model is None and step.preset is not None:
        raise InputError(
            f"Config has no column {step.key}, a step of the tour: put it back, or build the workbook anew"
        )
    if model is None and table is None:
        none = f"no step is among published models, so that there is no sheet {SCALE}"
        raise InputError(f"tour {tour.name}, step {step.key}: {none}")


def recomputed(models: Sequence[Ran], sheets: Container[str], source: Columns) -> Iterator[Trace]:
    """What the workbook computes besides its models, on those of its sheets that are still there."""
    table = scale.recomputed(models, sheets, source)
    if table is not None:
        yield table
    if STEPS in sheets:
        yield computed(find(models[0].build.tour), models, table, source)


# --- the workbook ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Drawn(Drawn):
    """Drawn weights, and controls that a step sets otherwise than its preset."""

    controls: Mapping[str, Live] = None  # type: ignore[assignment]

    def control(self, path: str, default: Live, limits: Limits) -> Live:
        return self.controls.get(path.removeprefix("control."), default)


def workbook(
    tour: Tour, seed: int = 0, weights: Weights = "byhand", style: Style = "blocks", theme: Theme = LIGHT
) -> Workbook:
    """The lecture as a workbook; raises InputError for a lecture that does not fit together."""
    drawn = Build(kind=TOUR, tour=tour.name, seed=seed, weights=weights, formulas=style, theme=theme.name)
    models = list(_place_all(tour, drawn, weights))
    ran = [model.ran for model in models]
    shown = scale.table(ran, [model.title for model in models])
    sheets = _sheets(tour, models)
    steps = _page(tour, models, computed(tour, ran, shown.trace if shown else None, PUBLISHED), shown)
    marked = {model.path(p) for model, step in _with_models(tour, models) for p in _new(model, step)}
    after: list[Page | Table] = [config_page(models, tour.title), contents_page(models, tour.title)]
    by_key: dict[str, Placed] = {model.key: model for model in models}
    in_order: list[Placed | Page | Table] = [steps]
    for step in tour.steps:
        sheet = by_key.get(step.key, shown)
        assert sheet is not None  # else `computed` has refused the step
        in_order.append(sheet)
    if shown is not None and shown not in in_order:
        after.append(shown)
    book = Workbook(tour.title, tour.summary, [*in_order, *after], style, theme)
    book.panels = [_panel(tour, i, sheets, by_key.get(step.key), shown) for i, step in enumerate(tour.steps)]
    book.marked = frozenset(marked)
    return book


def _place_all(tour: Tour, drawn: Build, weights: Weights) -> Iterator[Placed]:
    """The models of the steps; all that are given words are given those of the first."""
    seed = drawn.seed or 0
    first: Placed | None = None
    for number, step in enumerate(tour.steps, start=1):
        if step.preset is None:
            continue
        given = Given(text=step.text, target=step.target)
        try:
            request = presets.request(presets.find(step.preset), step.settings, given)
        except InputError as error:
            raise InputError(f"tour {tour.name}, step {step.key}: {error}") from error
        build = dataclasses.replace(drawn, published=step.published or None)
        trace = run(request.config, _Drawn(seed, weights, request.texts, request.arrays, step.controls))
        title = f"{number}. {tr(step.title)}"
        sheet = f"{number} {step.key}"
        made = place(request, build, trace, key=step.key, title=title, sheet=sheet, given_by=first, free=_height(step))
        first = first or (made if "words" in trace.blocks else None)
        yield made


def _with_models(tour: Tour, models: Sequence[Placed]) -> Iterator[tuple[Placed, Step]]:
    by_key = {model.key: model for model in models}
    for step in tour.steps:
        if step.key in by_key:
            yield by_key[step.key], step


def _sheets(tour: Tour, models: Sequence[Placed]) -> list[str]:
    """The sheet of each step."""
    by_key = {model.key: model.sheet for model in models}
    return [by_key.get(step.key, SCALE) for step in tour.steps]


def _new(model: Placed, step: Step) -> list[str]:
    """The blocks that a step brings, by its patterns; raises InputError for a pattern that none fits."""
    found = []
    for pattern in step.new:
        fitting = [path for path in model.trace.blocks if fnmatchcase(path, pattern)]
        if not fitting:
            raise InputError(f"step {step.key} has no block {pattern}")
        found += fitting
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class _Corner:
    """The rows of a step's sheet that tell of the step: what to say, status and links, the exercise, its answer."""

    sheet: str
    top: int
    column: int
    say: list[str]
    asked: list[str]

    @property
    def status(self) -> int:
        """The row of the status and the links."""
        return self.top + len(self.say)

    @property
    def answer(self) -> int:
        """The row of the answer."""
        return self.status + 1 + len(self.asked)


def _corner(step: Step, model: Placed | None, shown: Table | None) -> _Corner:
    """Above a model; below the table Scale, when that is the step."""
    say, asked = _told(step)
    if model is None:
        assert shown is not None
        top = max(place.bottom for place in shown.places.values()) + 3
        return _Corner(SCALE, top, 0, say, asked)
    return _Corner(model.sheet, model.layout.head, model.layout.margin, say, asked)


def _told(step: Step) -> tuple[list[str], list[str]]:
    """The lines of what to say and of the exercise: translated as a whole, since no catalogue knows half a sentence."""
    say, asked = (textwrap.wrap(tr(text), LINE) for text in (f"Say: {step.say}", f"Exercise: {step.question}"))
    return say, asked


def _height(step: Step) -> int:
    """Rows of the corner, with a free one below."""
    return sum(map(len, _told(step))) + 3


def _status(step: Step) -> str:
    return f"{SCOPE}.{step.key}.status"


def _page(tour: Tour, models: Sequence[Placed], trace: Trace, shown: Table | None) -> Table:
    """The list of steps; the cells of status and answers that stand on the sheets of the steps belong to it, too."""
    page = Page(STEPS, [5, 44, 12, 64, 100])
    steps = Table(page, trace)
    page.row(0, tour.title, look="HEADING")
    page.row(1, tour.summary, look="SUBTITLE")
    page.row(2, "", "done:", "", f"of {len(tour.steps)} steps", look="SUBTITLE")
    steps.put(f"{SCOPE}.done", Range(STEPS, 2, 2, 2, 2), "0")
    page.row(4, "", "step", "status", "new in it (★)", "exercise", look="TABLE_HEAD")
    top = 5
    by_key = {model.key: model for model in models}
    for row, step in enumerate(tour.steps, start=top):
        page.cell(row, 0, row - top + 1)
        page.link(row, 1, step.title, defined_name(_status(step)))
        model = by_key.get(step.key)
        page.cell(row, 3, _names(model, step) if model else "the table of published models")
        page.cell(row, 4, step.question, "SUBTITLE")
        corner = _corner(step, model, shown)
        steps.put(_status(step), _cell(corner, corner.status, 1), "@")
        answer = trace[f"{SCOPE}.{step.key}.answer"]
        form = "@" if answer.value.dtype == object else "#,##0.###"
        steps.put(answer.path, _cell(corner, corner.answer, 2, answer.columns), form)
    steps.put(f"{SCOPE}.progress", Range(STEPS, top, 2, top + len(tour.steps) - 1, 2), "@")
    steps.states = [place for path, place in steps.places.items() if path.endswith((".status", ".progress"))]
    hint = "The status is chosen on the sheet of the step, above its model. Answers are folded up there: + at the left."
    page.row(top + len(tour.steps) + 1, "", hint, look="SUBTITLE")
    return steps


def _names(model: Placed, step: Step) -> str:
    """What is new, in short: each name once."""
    return ", ".join(dict.fromkeys(title_of(model.trace[path]) for path in _new(model, step)))


def _cell(corner: _Corner, row: int, column: int, count: int = 1) -> Range:
    """So many cells of a row of the corner."""
    left = corner.column + column
    return Range(corner.sheet, row, left, row, left + count - 1)


def _panel(tour: Tour, i: int, sheets: Sequence[str], model: Placed | None, shown: Table | None) -> Page:
    """The plain cells of a corner."""
    step = tour.steps[i]
    corner = _corner(step, model, shown)
    column, page = corner.column, Page(corner.sheet, [])
    for row, line in enumerate(corner.say, start=corner.top):
        page.cell(row, column, line)
    page.cell(corner.status, column, "status", "KEY")
    wide = LINK_COLUMNS if model else 1
    goals = {0: (i - 1, "◂ "), 1: (None, "☰ all steps"), 2: (i + 1, "▸ ")}
    for at, (other, sign) in goals.items():
        where = column + 3 + at * wide
        if other is None:
            page.link(corner.status, where, sign, defined_name(f"{SCOPE}.progress"))
        elif 0 <= other < len(tour.steps):
            page.link(corner.status, where, sign + sheets[other], defined_name(_status(tour.steps[other])))
    for row, line in enumerate(corner.asked, start=corner.status + 1):
        page.cell(row, column, line, "KEY")
    page.cell(corner.answer, column, "answer", "KEY")
    page.levels[corner.answer] = True
    return page
