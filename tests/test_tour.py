"""`sheetgen tour`: every step right in both engines, every folded answer what plain NumPy says, states that follow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from helpers import by_libreoffice, cells_of, edited, far, right_in_both, sheetgen

from sheetgen.base.errors import InputError
from sheetgen.base.lang import speaking, tr
from sheetgen.engines import ENGINES
from sheetgen.engines.values import Values
from sheetgen.proof.check import check_book, standing
from sheetgen.proof.report import STATIC
from sheetgen.published.models import all_groups
from sheetgen.sheet.names import STEPS
from sheetgen.trace.ops import HIDDEN, Array
from sheetgen.workbooks import tour
from sheetgen.xlsx.read import Book, read_book

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tour")]  # its workbooks are built once

TOURS = tour.names()
Arrays = dict[str, Array]


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One workbook per tour."""
    folder = tmp_path_factory.mktemp("tour")
    for name in TOURS:
        result = sheetgen("tour", name, "-o", folder / f"{name}.xlsx")
        assert result.code == 0, result.err
    return {name: folder / f"{name}.xlsx" for name in TOURS}


@pytest.fixture(scope="module")
def recomputed(books: dict[str, Path]) -> dict[str, Values]:
    return by_libreoffice(books)


@pytest.mark.parametrize("name", TOURS)
def test_every_step_is_right_in_both_engines(name: str, books: dict[str, Path], recomputed: dict[str, Values]) -> None:
    right = right_in_both(books[name], recomputed.get(name))
    assert sum(group.tensors for group in right.report.groups) == len(right.book.names)
    assert list(right.report.predictions) == [step.key for step in tour.find(name).steps if step.preset]


@pytest.mark.parametrize("name", TOURS)
def test_in_another_language_and_look(name: str, books: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "de.xlsx"
    result = sheetgen("tour", name, "--lang", "de", "--theme", "dark", "-o", path)
    assert result.code == 0, result.err
    report = check_book(read_book(path))
    assert report.difference is None, report.difference
    steps = tour.find(name).steps
    assert list(report.predictions) == [step.key for step in steps if step.preset]  # a key is no word
    german, english = (openpyxl.load_workbook(path) for path in (path, books[name]))
    config = {row[0].value: row[1].value for row in german["Config"].iter_rows()}
    assert (config["language"], config["theme"]) == ("de", "dark")
    assert "theme" not in {row[0].value for row in english["Config"].iter_rows()}
    assert german[STEPS]["A1"].fill != english[STEPS]["A1"].fill
    with speaking("de"):
        for row, step in enumerate(steps, start=6):
            assert german[STEPS].cell(row, 2).value == tr(step.title)
            assert german[STEPS].cell(row, 5).value == tr(step.question) != step.question
            lines = german.worksheets[row - 5].iter_rows(max_row=20, values_only=True)
            cells = [cell for line in lines for cell in line if isinstance(cell, str)]
            if step.preset:  # wrapped anew: no line is half a sentence that was translated
                assert tr(f"Say: {step.say}").replace(" ", "") in "".join(cells).replace(" ", "")


# --- answers -----------------------------------------------------------------------------------------------------


def size(values: Arrays, *starts: str) -> int:
    """Trainable numbers of the blocks whose paths begin so."""
    return sum(
        v.size for p, v in values.items() if p.startswith(starts) and p.rpartition(".")[2][:2] in ("W_", "w_", "b_")
    )


def softmax(x: Array) -> Array:
    return np.asarray(np.exp(x) / np.exp(x).sum(axis=0))


def heaviest_of_two(logits: Array) -> Array:
    """The largest weight of each column when the best two share 1."""
    return softmax(np.sort(logits, axis=0)[-2:])[1:]


# What an exercise asks, by the values of its step and of the step before (the workbook's, as it recomputes them).
EXPECTED: dict[tuple[str, str], Callable[[Arrays, Arrays], Any]] = {
    ("llama", "vit"): lambda _v, _b: 5 * (9 + 1),
    ("llama", "qk"): lambda _v, _b: 2 * (4 * 4),
    ("llama", "values"): lambda _v, _b: 4 * (5 + 3),
    ("llama", "vocabulary"): lambda _v, _b: 2 * 8 * 4,
    ("llama", "embedding"): lambda v, b: size(v, "") - size(b, ""),
    ("llama", "heads"): lambda _v, _b: 3 * (3 * 4),
    ("llama", "gqa"): lambda _v, _b: 2 * 3 * 4,
    ("llama", "layers"): lambda v, _b: size(v, "layer_1."),
    ("llama", "residual"): lambda v, _b: (v["layer_0.mid"] - v["embed"])[:1],
    ("llama", "equal"): lambda _v, _b: np.full((1, 4), 0.5),
    ("llama", "gated"): lambda v, _b: np.exp(np.diff(v["layer_0.router.logits"][::-1], axis=0)),
    ("llama", "sparse"): lambda _v, _b: np.ones((1, 4)),
    ("llama", "wider"): lambda v, _b: size(v, "layer_0.expert_1."),
    ("llama", "nsa"): lambda v, _b: (v["selected.pattern"] > 0).sum(axis=0, keepdims=True),
    ("llama", "neighbours"): lambda _v, _b: np.array([[1, 2, 2, 2]]),
    ("llama", "rmsnorm"): lambda _v, _b: -3 * 4,
    ("llama", "rope"): lambda _v, _b: np.arange(4)[None],
    ("llama", "llama4"): lambda _v, _b: np.array([[1, 2, 1, 2]]),
    ("attention", "plain"): lambda v, _b: softmax(v["embed"].T @ v["embed"] / 2)[:1],
    ("attention", "qkv"): lambda _v, _b: 3 * (3 * 4),
    ("attention", "heads"): lambda _v, _b: 2 * 4 * 4,
    ("attention", "causal"): lambda v, _b: v["vocabulary"][v["probs"].argmax(axis=0), 0],
    ("attention", "cross"): lambda _v, _b: 3 * 4,
    ("mistral", "window"): lambda _v, _b: [1, 2, 3, 3, 3, 3],
    ("mistral", "reach"): lambda _v, _b: np.minimum(np.arange(6) + 1, 2 * (3 - 1) + 1),
    ("mistral", "cache"): lambda _v, _b: [3, 4, 2],
    ("mistral", "prefill"): lambda _v, _b: [3, 3],
    ("mistral", "packed"): lambda _v, _b: [1, 2, 3, 1, 2, 1],
    ("mistral", "experts"): lambda v, _b: heaviest_of_two(v["layer_0.router.logits"]),
}


def answers(book: Book, values: Values) -> Arrays:
    found = {}
    for step in {name.split("__")[1] for name in book.names if name.startswith("tour__") and name.endswith("__answer")}:
        found[step] = values.range(book.names[f"tour__{step}__answer"])
    return found


@pytest.mark.parametrize("name", TOURS)
def test_answers_are_what_numpy_says(name: str, books: dict[str, Path]) -> None:
    book = read_book(books[name])
    found = answers(book, ENGINES["formulas"](book.path, book))
    models = standing(book)
    before: Arrays = {}
    for step in tour.find(name).steps:
        if step.key in models:
            standing_now = models[step.key]
            trace = standing_now.model.trace
            now = {path: np.asarray(value, dtype=object) for path, value in standing_now.values.items()}
            now = {p: np.where(v == HIDDEN, -np.inf, v) if trace[p].op.hides else v for p, v in now.items()}
            now = {p: v.astype(float) if trace[p].value.dtype == float else v for p, v in now.items()}
            expected = np.atleast_2d(EXPECTED[name, step.key](now, before))
            expected = expected if expected.dtype == object else expected.astype(float)
            assert far(found[step.key], expected) <= 1e-9, step.key
            before = now
    assert set(found) == {step.key for step in tour.find(name).steps}


def test_answer_of_the_table(books: dict[str, Path]) -> None:
    book = read_book(books["llama"])
    found = answers(book, ENGINES["formulas"](book.path, book))["table"][0]
    known = [model for group in ("llama", "llama4") for model in all_groups()[group].models]
    for share, model in zip(found, known, strict=False):
        s = model.sizes
        attention = s["n_layers"] * 2 * s["d_model"] * s["head_dim"] * (s["n_heads"] + s["n_kv_heads"])
        assert share == pytest.approx(attention / model.counts["total"]), model.name


# --- the lecture itself ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TOURS)
def test_steps_are_linked_marked_and_folded(name: str, books: dict[str, Path]) -> None:
    book = openpyxl.load_workbook(books[name])
    steps = tour.find(name).steps
    first = book[STEPS]
    assert book.sheetnames[0] == STEPS
    links = [cell.hyperlink.location for (cell,) in first.iter_rows(min_col=2, max_col=2) if cell.hyperlink]
    assert links == [f"tour__{step.key}__status" for step in steps]
    assert set(links) <= set(book.defined_names)
    for i, step in enumerate(steps):
        (status,) = (cell for row in cells_of(book, f"tour__{step.key}__status") for cell in row)
        sheet = status.parent
        shown = {str(cell.value) for row in sheet.iter_rows() for cell in row if isinstance(cell.value, str)}
        text = " ".join(shown)
        around = {cell.hyperlink.location for cell in sheet[status.row] if cell.hyperlink}
        wanted = [f"tour__{other.key}__status" for other in (*steps[max(0, i - 1) : i], *steps[i + 1 : i + 2])]
        assert around == {"tour__progress", *wanted}, step.key
        assert "Say: " in text
        assert "Exercise: " in text
        (answer, *_) = cells_of(book, f"tour__{step.key}__answer")[0]
        row = sheet.row_dimensions[answer.row]
        assert (row.hidden, row.outlineLevel) == (True, 1), step.key
        assert ("★" in text) == bool(step.new), step.key
        rules = [v for v in sheet.data_validations.dataValidation if status.coordinate in v.sqref]
        assert [v.formula1 for v in rules] == ['"to do,doing,done"']


def test_what_a_lecturer_changes(books: dict[str, Path]) -> None:
    """States show on the first sheet, words are changed once for all steps, and a wrong answer is found."""

    def change(book: Any) -> None:
        for key, state in (("vit", "done"), ("qk", "done"), ("values", "doing")):
            cells_of(book, f"tour__{key}__status")[0][0].value = state
        cells_of(book, "qk__words")[0][3].value = "mat"
        cells_of(book, "tour__heads__answer")[0][0].value = 40

    book = read_book(edited(books["llama"], change, "taught.xlsx"))
    values = ENGINES["formulas"](book.path, book)
    assert values.range(book.names["tour__progress"])[:4, 0].tolist() == ["done", "done", "doing", "to do"]
    assert values.range(book.names["tour__done"])[0, 0] == 2
    report = check_book(book)
    assert report.difference is not None
    assert [difference.path for difference in report.differences] == ["tour.heads.answer"]
    for key in ("heads", "gated", "llama4"):
        assert report.predictions[key].startswith("the cat sat mat →"), key


def test_what_config_has_lost_is_named(books: dict[str, Path]) -> None:
    book = read_book(books["llama"])
    cells = book.sheets["Config"].cells
    names = {value: row for (row, column), value in cells.items() if column == 0}
    published = {at: value for at, value in cells.items() if at[0] == names["published"] and at[1] > 0}
    cells |= dict.fromkeys(published, None)
    with pytest.raises(InputError, match="step table: no step is among published models"):
        check_book(book, STATIC)
    cells |= published
    first = next(at for at, value in cells.items() if value == "qk")
    del cells[first]
    with pytest.raises(InputError, match="Config has no column qk, a step of the tour"):
        check_book(book, STATIC)


def test_a_lecture_with_the_table_needs_a_published_model() -> None:
    found = tour.find("llama")
    steps = [dataclasses.replace(step, published=()) for step in found.steps if step.key in ("qk", "table")]
    with pytest.raises(InputError, match="tour llama, step table: no step is among published models"):
        tour.workbook(dataclasses.replace(found, steps=tuple(steps)))


def test_unknown_tour(tmp_path: Path) -> None:
    result = sheetgen("tour", "lama", "-o", tmp_path / "x.xlsx")
    assert (result.code, result.out) == (2, "")
    assert "'lama' is no tour: choose" in result.err
