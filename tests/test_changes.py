"""What a change does and what each part costs: Baseline, marks on Model, the columns beside the Map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from helpers import BOTH_ENGINES, build, cells_of, edited, far, make
from test_growth import row_through, wider_values

from sheetgen.base.cells import Range
from sheetgen.engines import ENGINES
from sheetgen.engines.values import Values
from sheetgen.proof.check import check, standing
from sheetgen.sheet.names import BASELINE
from sheetgen.sheet.pages.baseline import COSTS, SWITCH
from sheetgen.xlsx.read import Book, read_book

WEIGHT, NEW = "layer_0__W_O", 5.0
LLAMA1 = make("llama1")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("changes") / "llama1.xlsx", "llama1")


@pytest.fixture(scope="module")
def changed(path: Path) -> Path:
    def change(book: Any) -> None:
        cells_of(book, WEIGHT)[0][0].value = NEW

    return edited(path, change)


def numeric(value: Any) -> float:
    """NaN for an error: this engine cannot compare a block that has grown with its baseline; Excel and others can."""
    return float("nan") if isinstance(value, str) else float(value)


def table(values: Values) -> dict[str, list[float]]:
    """The rows beside the Map: the part with those around it → its numbers."""
    grid = values.sheets["Map"]
    ((top, left),) = [(r, c) for (r, c), value in np.ndenumerate(grid) if value == "part"]
    assert list(grid[top, left + 1 : left + 1 + len(COSTS)]) == list(COSTS)
    found: dict[str, list[float]] = {}
    for row in range(top + 1, grid.shape[0]):
        if grid[row, left] is None:
            break
        name = str(grid[row, left])
        layer = max((key for key in found if key.startswith("Layer") and "/" not in key), default="")
        key = f"{layer}/{name}" if layer and not name.startswith(("Layer", "Output", "total")) else name
        found[key] = [numeric(value) for value in grid[row, left + 1 : left + 1 + len(COSTS)]]
    return found


def test_costs_are_those_of_the_model(path: Path) -> None:
    """Counted by hand from the sizes: d 8, 2 heads of 4, d_ff 8, 12 words, 6 tokens."""
    costs = table(ENGINES["formulas"](path, read_book(path)))
    d, h, f, v, t = 8, 4, 8, 12, 6
    assert costs["Layer 1/Head 0"][0] == 3 * h * d
    # W·x three times, P·Q and P·K of the rotation, Kᵀ·Q, V·pattern
    assert costs["Layer 1/Head 0"][1] == 3 * h * d * t + 2 * h * h * t + 2 * t * h * t
    assert costs["Layer 1/Head 0"][3] == 2 * h * t
    assert costs["Layer 1/Attention"][0] == 2 * 3 * h * d + d * 2 * h + d
    assert costs["Layer 1/Feed-forward"][:2] == [3 * d * f + d, 3 * d * f * t]
    assert costs["Output"][:2] == [v * d + d, v * d * t]
    assert costs["total"][0] == LLAMA1.trace.parameters()
    assert costs["total"][3] == 2 * 2 * 2 * h * t
    assert all(row[4] == 0 for row in costs.values())


@pytest.mark.parametrize("engine", BOTH_ENGINES)
def test_the_map_says_how_far_each_part_has_moved(changed: Path, engine: str) -> None:
    moved = table(ENGINES[engine](changed, read_book(changed)))
    now = standing(read_book(changed))[""].model.trace
    numbers = {p: t.value for p, t in now.blocks.items() if t.value.dtype != object}
    with np.errstate(invalid="ignore"):  # −∞ stays where it is: it has not moved
        moves = {p: float(np.nanmax(np.abs(value - LLAMA1.values[p]))) for p, value in numbers.items()}
    for title, scope in (("Layer 0", "layer_0."), ("Layer 1/Head 1", "layer_1.head_1."), ("total", "")):
        largest = max(distance for p, distance in moves.items() if p.startswith(scope))
        assert moved[title][4] == pytest.approx(largest, abs=1e-8), title
        assert largest > 0.01
    assert moved["Input"][4] == moved["Layer 0/Head 0"][4] == 0


def test_baseline_holds_every_value_where_it_stands(path: Path) -> None:
    book = read_book(path)
    for block, tensor in LLAMA1.trace.blocks.items():
        place = book.names[block.replace(".", "__")]
        found = book.constants(Range(BASELINE, place.top, place.left, place.bottom, place.right))
        if tensor.value.dtype == object:
            assert found.tolist() == tensor.value.tolist()
        else:
            assert far(found, tensor.value) <= 1e-15, block


def rules_of(path: Path) -> dict[str, list[str]]:
    """The conditional formats on Model that look at Baseline: their cells → their formulas."""
    formats = openpyxl.load_workbook(path)["Model"].conditional_formatting
    rules = {str(area.sqref): [f for rule in area.rules for f in rule.formula if BASELINE in f] for area in formats}
    return {area: formulas for area, formulas in rules.items() if formulas}


def test_every_block_is_marked_when_it_changes(path: Path) -> None:
    rules = rules_of(path)
    places = read_book(path).names
    for block in LLAMA1.trace.blocks:
        (formula,) = rules[places[block.replace(".", "__")].a1]
        assert f'{SWITCH}="on"' in formula


@pytest.mark.parametrize("engine", BOTH_ENGINES)
def test_the_rule_of_a_mark_is_true_for_what_changed_alone(changed: Path, engine: str) -> None:
    """The rules are formulas: written into free cells of the changed workbook, they say which cells are marked."""
    rules, names = rules_of(changed), read_book(changed).names
    blocks = [WEIGHT, "layer_0__attention", "layer_0__concat", "words", "layer_0__head_0__scale"]

    def write(book: Any) -> None:
        for column, block in enumerate(blocks, start=1):
            (formula,) = rules[names[block].a1]
            corner = names[block].part(0, 0)
            # ROW() and COLUMN() mean the cell that is formatted: here the one that the rule is written for.
            text = formula.replace("ROW()", f"ROW({corner.a1})").replace("COLUMN()", f"COLUMN({corner.a1})")
            book["Model"].cell(2000, column).value = f"=1*({text.removeprefix('=')})"

    probe = edited(changed, write, f"probe-{engine}.xlsx")
    grid = ENGINES[engine](probe, read_book(probe)).sheets["Model"]
    assert [float(x) for x in grid[1999, : len(blocks)]] == [1, 1, 0, 0, 0]


def test_costs_follow_rows_that_are_inserted(path: Path) -> None:
    before = read_book(path)
    after: Book = wider_values(row_through(before, "layer_1__head_0__W_V", 1))[-1]
    old, new = (table(ENGINES["formulas"](path, book)) for book in (before, after))
    assert new["Layer 0/Head 0"][0] == old["Layer 0/Head 0"][0] + 8
    assert new["Layer 0/Attention"][0] == old["Layer 0/Attention"][0] + 16
    assert new["Layer 0/Head 0"][3] == old["Layer 0/Head 0"][3] + 6


def test_without_baseline(tmp_path: Path) -> None:
    path = build(tmp_path / "book.xlsx", "attention", "--no-baseline")
    book = read_book(path)
    assert BASELINE not in book.sheets
    assert SWITCH not in book.names
    assert check(path).difference is None
