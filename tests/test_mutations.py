"""A few of the mutations of every kind (`make mutations` tries all of them), and what tries them tried itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mutations
import numpy as np
import pytest
from helpers import BARE, build
from mutations import Lab, Mutation, Result, try_all

from sheetgen.engines import ENGINES
from sheetgen.proof import comparison
from sheetgen.xlsx.read import read_book

pytestmark = pytest.mark.slow

SMALL = ("--set", "n_layers=2", "--set", "n_heads=2")
# Every so-manieth, another share of each; together they have all kinds.
SAMPLES = [
    ("llama4", "blocks", 43, (*SMALL, "--set", "n_kv_heads=1", "--set", "n_experts=2")),
    ("llama1", "cells", 71, SMALL),
    ("transformer", "blocks", 97, ()),
    ("nsa", "blocks", 61, ()),
    ("vit", "cells", 71, ()),
]


@pytest.mark.parametrize(("preset", "style", "every", "options"), SAMPLES, ids=lambda value: str(value)[:12])
def test_every_mutation_is_found(preset: str, style: str, every: int, options: tuple[str, ...]) -> None:
    result = try_all(preset, style, every, *options)
    assert result.missed == []
    assert result.total.total() > 20
    assert result.caught == +result.changing
    assert result.static == result.total
    assert 0 < result.changing.total() < result.total.total()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    options = (*SMALL, "--set", "n_kv_heads=1", "--set", "n_experts=2")
    return Lab(read_book(build(tmp_path_factory.mktemp("lab") / "llama4.xlsx", "llama4", *BARE, *options)))


def test_all_kinds_occur(lab: Lab) -> None:
    kinds = {mutation.kind for mutation in mutations.mutations(lab)}
    assert kinds == set(mutations.KINDS)


def test_only_what_depends_is_computed_and_that_is_right(lab: Lab) -> None:
    """Against the engine, which computes the whole broken workbook anew; circles among them."""
    made = list(mutations.mutations(lab))
    for mutation in made[:: len(made) // 12]:
        quick = lab.recompute(mutation, thorough=True)
        whole = ENGINES["formulas"](lab.book.path, quick.book)
        for name, grid in whole.sheets.items():
            assert np.array_equal(grid, quick.values.sheets[name]), mutation


def test_a_check_that_sees_nothing_is_found_out(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison.Comparison, "_differs", lambda *_: None)
    result = Result("llama4", "blocks")
    mutation = next(m for m in mutations.mutations(lab) if m.path == "layer_0.norm_1" and m.kind == "row")
    mutations._judge(lab, mutation, lab.recompute(mutation, thorough=True), result)
    assert len(result.missed) == 2
    assert "check names nothing" in result.missed[0]


def test_the_cause_is_named_where_it_stays_within_the_tolerance(lab: Lab) -> None:
    """The root of the mean square a little off, below 1e-9: only the norm, which divides by it, is off by more."""
    embed = lab.book.names["embed"]
    small = dict(lab.book.sheets["Model"].cells)
    table = lab.book.names["W_E"]
    for row in range(table.top, table.bottom + 1):
        for column in range(table.left, table.right + 1):
            small[row, column] = 1e-3 * float(str(small[row, column]))
    for name in ("control__norm_eps",):
        place = lab.book.names[name]
        small[place.top, place.left] = 1e-12
    sheet = replace(lab.book.sheets["Model"], cells=small)
    book = replace(lab.book, sheets=lab.book.sheets | {"Model": sheet})
    rms = lab.book.names["layer_0__norm_1_rms"]
    formula = next(f for f in sheet.formulas if (f.range.top, f.range.left) == (rms.top, rms.left))
    off = replace(formula, text=f"{formula.text}+5E-10")
    book = mutations.broken(book, Mutation("", "", (formula,), (off,)))
    values = ENGINES["formulas"](Path("book.xlsx"), book)
    assert abs(values.range(embed)[0, 0]) < 0.01
    difference = lab.check(book, values).difference
    assert difference is not None
    assert difference.path == "layer_0.norm_1_rms"
    assert difference.formula_found == off.text
