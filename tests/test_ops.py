"""Every operation: its NumPy rule against numbers worked out by hand, its formula against its NumPy rule."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xlsxwriter
from helpers import AGREED, BOTH_ENGINES, far
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sheetgen.base.cells import Range
from sheetgen.base.errors import InputError
from sheetgen.engines import ENGINES
from sheetgen.engines.formulas import COMPUTED
from sheetgen.engines.values import Values
from sheetgen.model.choices import Style
from sheetgen.model.weights import Drawn
from sheetgen.sheet.formula import CellFormula, formulas_of
from sheetgen.trace import tensor as t
from sheetgen.trace.limits import Limits
from sheetgen.trace.ops import OPS, Array, Nature
from sheetgen.trace.recorder import Trace
from sheetgen.trace.tensor import Block, Tensor, apply
from sheetgen.xlsx.read import Book, Formula, Sheet

STYLES: tuple[Style, ...] = ("blocks", "cells")
STALE = -99.5  # the cached value of every formula: no engine may pass it on


def array(*rows: list[Any]) -> Array:
    return np.array(rows, dtype=object if isinstance(rows[0][0], str) else float)


# --- NumPy against numbers worked out by hand --------------------------------------------------------------------

E = math.e
WORDS = array(["the", "Cat", "~x?", "*"])
VOCABULARY = array(["Cat"], ["dog"], ["the"], ["*"], ["~x?"], ["?"], ["cat"], ["THE"])

BY_HAND: list[tuple[str, tuple[Array, ...], Array]] = [
    ("add", (array([1, 2], [3, 4]), array([10], [20])), array([11, 12], [23, 24])),
    ("sub", (array([5]), array([1, 2])), array([4, 3])),
    ("mul", (array([1, 2], [3, 4]), array([0, -1])), array([0, -2], [0, -4])),
    ("div", (array([1, -6]), array([4])), array([0.25, -1.5])),
    ("pow", (array([4, 9]), array([0.5])), array([2, 3])),
    ("pow", (array([2]), array([-1, 0, 3])), array([0.5, 1, 8])),
    ("sqrt", (array([0, 2.25]),), array([0, 1.5])),
    ("exp", (array([0, 1], [-1e9, -1]),), array([1, E], [0, 1 / E])),
    ("log", (array([1, E**3]),), array([0, 3])),
    ("cos", (array([0, math.pi]),), array([1, -1])),
    ("sin", (array([0, math.pi / 2]),), array([0, 1])),
    ("floor", (array([1.9, -0.1, -2, 2]),), array([1, -1, -2, 2])),
    ("sigmoid", (array([0, math.log(3), -math.log(3)]),), array([0.5, 0.75, 0.25])),
    ("silu", (array([0, math.log(3), -math.log(3)]),), array([0, math.log(3) * 0.75, -math.log(3) * 0.25])),
    ("less_equal", (array([1], [2]), array([1, 2])), array([1, 1], [0, 1])),
    ("less", (array([1], [2]), array([1, 2])), array([0, 1], [0, 0])),
    ("equal", (array([1], [2]), array([1, 2, 3])), array([1, 0, 0], [0, 1, 0])),
    ("positive", (array([1, 0, -1]), array([5, 6, 7]), array([0])), array([5, 0, 0])),
    ("largest", (array([1, 5]), array([3]), array([2, 9])), array([3, 9])),
    ("smallest", (array([1, 5]), array([3]), array([2, 9])), array([1, 3])),
    ("masked", (array([1, 0], [0, 1]), array([5, 6], [7, 8])), array([5, -np.inf], [-np.inf, 8])),
    ("link", (array([1, 2]),), array([1, 2])),
    ("matmul", (array([1, 2], [3, 4]), array([5, 6], [7, 8])), array([19, 22], [43, 50])),
    ("matmul", (array([1, 2, 3]), array([4], [5], [6])), array([32])),
    ("transpose", (array([1, 2, 3], [4, 5, 6]),), array([1, 4], [2, 5], [3, 6])),
    ("size", (array([1, 2, 3], [4, 5, 6]),), array([2])),
    ("sum", (array([1, -2], [3, 4]),), array([4, 2])),
    ("max", (array([-5, -2], [-3, -4]),), array([-3, -2])),
    ("mean_square", (array([3, 1], [4, -1]),), array([12.5, 1])),
    ("rank", (array([1, 7, 0], [3, 7, 0], [2, 7, 1]),), array([2, 0, 1], [0, 1, 2], [1, 2, 0])),
    ("rank", (array([4]),), array([0])),
    ("stack", (array([1, 2]), array([3, 4], [5, 6])), array([1, 2], [3, 4], [5, 6])),
    ("lookup", (WORDS, VOCABULARY), array([2, 0, 4, 3])),
    ("same_words", (array(["the", "ﬁn", "a"]), array(["The", "fin", "a"])), array([0, 0, 1])),
    ("lookup", (array(["a"]), array(["b"], ["A"], ["a"], ["a"])), array([2])),  # the first of equal ones
    ("known", (array([3, 0]), WORDS[:, :2], VOCABULARY), array(["✓", "✓"])),
    ("shape", (array([1, 2, 3], [4, 5, 6]),), array(["2×3"])),
    ("count", (array([1, 2, 3], [4, 5, 6]), array([7])), array([7])),
    ("likeliest", (array([0.1, 0.4], [0.5, 0.4], [0.4, 0.2]), array(["a"], ["b"], ["c"])), array(["b", "a"])),
]


@pytest.mark.parametrize(("name", "operands", "expected"), BY_HAND, ids=[case[0] for case in BY_HAND])
def test_numpy_rule(name: str, operands: tuple[Array, ...], expected: Array) -> None:
    assert far(OPS[name].numpy(*operands), expected) <= 1e-15


def test_numpy_rule_of_rows() -> None:
    x = array([1, 2], [3, 4], [5, 6])
    assert OPS["rows"].numpy(x, start=1, stop=3).tolist() == [[3, 4], [5, 6]]


@pytest.mark.parametrize("score", [5, -5e9, -1e300, 1e308])
def test_a_masked_score_weighs_exactly_nothing(score: float) -> None:
    scores = OPS["masked"].numpy(array([0]), array([score]))
    assert np.exp(scores - score).tolist() == [[0.0]]


FAR_OUT = array([-1e300, -1e10, -2000, -710, -709, -700.5, -699], [1e300, 1e10, 2000, 710, 709, 700.5, 699])


@pytest.mark.parametrize("name", ["sigmoid", "silu", "gelu", "gelu_tanh", "relu"])
def test_a_curve_is_a_number_wherever_its_operand_is(name: str) -> None:
    """Beyond 700 all of them are flat, or as x is."""
    found = OPS[name].numpy(FAR_OUT)
    assert far(found, array([0] * 7, [1] * 7 if name == "sigmoid" else FAR_OUT[1])) <= 1e-15


def test_lookup_of_an_unknown_word_names_it() -> None:
    with pytest.raises(InputError, match="word 2 of the sentence, 'bird'"):
        OPS["lookup"].numpy(array(["cat", "bird"]), VOCABULARY)


# --- formulas against NumPy, by two engines ----------------------------------------------------------------------

X = np.round(np.sin(np.arange(12.0)).reshape(4, 3) * 2, 3)
UP = np.round(np.abs(X) + 0.25, 3)  # positive, for roots and powers
LOW = np.round(np.cos(np.arange(12.0)).reshape(4, 3), 3)
ROW, COLUMN, CELL = UP[1:2] + 1, UP[:, 1:2] + 2, np.array([[0.75]])
TIES = np.array([[1.0, 2, 2], [3, 2, 2], [3, 2, 1], [0, 2, 2]])
MASK = (X > 0).astype(float)
FP16 = np.array([[10.0]]), np.array([[2.0**-14]]), np.array([[65520.0]])
TINY = np.array([[0.0, -0.0, 1e-8, 1e-7], [2049.0, -2051.0, 65519.0, 2.0**-14]])  # ties; no normal numbers

ON = array(["On"])

Equation = Callable[..., Tensor]


def rounded(x: Tensor, *form: Tensor) -> Tensor:
    return apply("rounded", x, *form)


def complaints_of(*limits: Limits) -> Equation:
    """What is wrong with controls called c0, c1 … that have these limits."""
    named = [(f"c{i}", limit) for i, limit in enumerate(limits)]
    return lambda *controls: apply("complaints", *controls, limits=named)


@dataclass(frozen=True)
class Case:
    """An equation over named blocks."""

    label: str
    equation: Equation
    blocks: tuple[Array, ...]


def of_one(name: str) -> Iterator[Case]:
    """An operation of a block, a row, a column and one cell."""
    for x in (UP, UP[:1], UP[:, :1], UP[:1, :1]):
        yield Case(f"{name} {x.shape}", lambda x: apply(name, x), (x,))


def of_two(name: str) -> Iterator[Case]:
    """An operation of all pairs of shapes that fit, and of numbers that stand in the formula itself."""
    for x in (UP, ROW, COLUMN, CELL):
        for y in (UP[::-1], ROW + 1, COLUMN + 1, CELL + 1):
            yield Case(f"{name} {x.shape} {y.shape}", lambda x, y: apply(name, x, y), (x, y))
    for value in (2.0, 0.75, 1e-5, -1.5, -0.123456789):
        yield Case(f"{name} block {value}", lambda x, v=value: apply(name, x, v), (UP,))
        if value > 0 or name != "pow":  # a negative number to the power of a fraction is none
            yield Case(f"{name} {value} block", lambda x, v=value: apply(name, v, x), (UP,))


def of_products() -> Iterator[Case]:
    for m, k, n in [(2, 3, 4), (1, 3, 4), (2, 3, 1), (2, 1, 4), (1, 3, 1), (1, 1, 1), (4, 4, 4)]:
        a, b = np.resize(X, (m, k)), np.resize(LOW, (k, n))
        yield Case(f"matmul {m}×{k}×{n}", lambda a, b: a @ b, (a, b))
        yield Case(f"matmul {m}×{k}×{n} transposed", lambda a, b: a.T @ b, (a.T, b))


UNARY = ["sqrt", "exp", "log", "cos", "sin", "floor", "sigmoid", "silu", "link"]
BINARY = ["add", "sub", "mul", "div", "pow"]
ALONE = [case for name in (*UNARY, "transpose") for case in of_one(name)]
PAIRS = [case for name in (*BINARY, "less_equal", "less", "equal") for case in of_two(name)]
OTHERS = [
    Case("floor of negative", t.floor, (X,)),
    Case("sigmoid of both signs", t.sigmoid, (X * 20,)),
    Case("silu of both signs", t.silu, (X * 20,)),
    *(Case(f"{n} far out", lambda x, n=n: apply(n, x), (FAR_OUT,))
      for n in ("sigmoid", "silu", "gelu", "gelu_tanh", "relu")),
    *of_products(),
    *(Case(f"{n} {x.shape}", lambda x, n=n: apply(n, x), (x,)) for n in ("sum", "max", "mean_square", "rank")
      for x in (X, X[:1], X[:, :1], X[:1, :1], TIES)),
    *(Case(f"{n} of both signs", lambda x, n=n: apply(n, x), (X * 3,)) for n in ("relu", "relu2", "gelu", "gelu_tanh")),
    *(Case(f"mean {x.shape}", t.mean_rows, (x,)) for x in (UP, X, X[:1])),
    Case("choose", t.choose, (MASK, X, UP)),
    Case("some columns", lambda x: x.slice_columns(1, 3) * 1.0, (X,)),
    Case("join", lambda a, b: t.join([a, b]), (X, UP[:, :2])),
    Case("join of results, doubled", lambda a, b: t.join([a + 1.0, b]) * 2.0, (X, UP[:, :2])),
    Case("stack of results, doubled", lambda a, b: t.stack([a + 1.0, b]) * 2.0, (X, UP[:2])),
    Case("a column times a block", lambda g, x: g.slice_columns(1, 2) * x, (X, UP)),
    Case("a sum, transposed, doubled", lambda a, b: (a + b).T * 2.0, (X, UP)),
    Case("flatten", lambda x: t.flatten(x, 2, 1), (X,)),
    Case("patches", lambda x: t.patches(x, 1, 2), (np.arange(16.0).reshape(4, 4),)),
    Case("masked", t.masked, (MASK, X)),
    Case("masked by a row", t.masked, (MASK[:1], X)),
    Case("masked row by a column", t.masked, (MASK[:, :1], X[:1])),
    Case("masked, weighed", lambda m, x: t.choose(m, t.exp(t.masked(m, x) - 1.0), 0.0), (MASK, X)),
    Case("masked, far out", t.masked, (MASK, X * 1e300)),
    Case("rounded", rounded, (X, *FP16)),
    Case("rounded, tiny and even", rounded, (TINY, *FP16)),
    Case("rounded result", lambda x, *form: rounded(x * 1.1, *form), (X, *FP16)),
    Case("size", t.rows_of, (X,)),
    *(Case(f"row {i}", lambda x, i=i: x[i] * 1.0, (X,)) for i in range(4)),
    Case("row, shown", lambda x: x[2], (X,)),
    Case("some rows", lambda x: apply("rows", x, start=1, stop=3), (X,)),
    Case("row times block", lambda g, x: g[1] * x, (X, UP)),
    Case("stack", lambda a, b: t.stack([a, b]), (X, UP[:2])),
    Case("stack of rows", lambda a, b, c: t.stack([a, b, c]), (ROW, ROW + 1, X)),
    Case("lookup", t.lookup, (WORDS, VOCABULARY)),
    Case("lookup of one", t.lookup, (WORDS[:, 3:], VOCABULARY)),
    Case("lookup in one", t.lookup, (WORDS[:, 1:2], VOCABULARY[:1])),
    Case("known", t.known, (ROW, WORDS[:, :3], VOCABULARY)),
    Case("same_words", t.same_words, (WORDS, array(["The", "Cat", "~x?", "x"]))),
    Case("likeliest", t.likeliest, (TIES, VOCABULARY[:4])),
    Case("likeliest of a row of words", t.likeliest, (TIES[:, :2], VOCABULARY[:4].T)),
    Case("likeliest of one column", lambda x, w: t.likeliest(x.slice_columns(1, 2), w), (TIES, VOCABULARY[:4])),
    Case("largest of a cell", lambda x: t.max_rows(x.slice(1, 2).slice_columns(0, 1)), (X,)),
    *(Case(f"shape {x.shape}", lambda x: apply("shape", x), (x,)) for x in (X, X[:1, :1])),
    *(Case(f"count of {len(xs)}", lambda *xs: apply("count", *xs), xs) for xs in ((X,), (X, UP[:1], CELL))),
    Case("likeliest of one", t.likeliest, (TIES[:1], VOCABULARY[3:4])),
]  # fmt: skip
FOLDED = [  # what has no name stands inside the formula of its user
    Case("a−(b−c)", lambda a, b, c: a - (b - c), (X, UP, ROW)),
    Case("a−(b+c)", lambda a, b, c: a - (b + c), (X, UP, ROW)),
    Case("a/(b/c)", lambda a, b, c: a / (b / c), (X, UP, ROW)),
    Case("a/(b·c)", lambda a, b, c: a / (b * c), (X, UP, ROW)),
    Case("(a+b)·(a−b)", lambda a, b: (a + b) * (a - b), (X, COLUMN)),
    Case("(a^b)^c", lambda a, b, c: (a**b) ** c, (UP, ROW, CELL)),
    Case("a^(b^c)", lambda a, b, c: a ** (b**c), (UP, ROW, CELL)),
    Case("a^−2", lambda a: a**-2.0, (UP,)),
    Case("(−2)^a", lambda a: (-2.0) ** a, (TIES,)),
    Case("0−a^2", lambda a: 0.0 - a**2.0, (X,)),
    Case("a−−2", lambda a: a - -2.0, (X,)),
    Case("a·−2+b", lambda a, b: a * -2.0 + b, (X, UP)),
    Case("σ(a−b)", lambda a, b: t.sigmoid(a - b), (X, UP)),
    Case("1/σ(a)", lambda a: 1.0 / t.sigmoid(a), (X,)),
    Case("σ(a)^2", lambda a: t.sigmoid(a) ** 2.0, (X,)),
    Case("SiLU(a−b)·a", lambda a, b: t.silu(a - b) * a, (X, UP)),
    Case("a/SiLU(b)", lambda a, b: a / t.silu(b), (X, UP)),
    Case("a−[b≤c]", lambda a, b, c: a - t.less_equal(b, c), (X, UP, ROW)),
    Case("[a≤b]·[b<c]", lambda a, b, c: t.less_equal(a, b) * t.less(b, c), (X, UP, ROW)),
    Case("[a+b=b+a]", lambda a, b: t.equal(a + b, b + a), (X, ROW)),
    Case("mask of [a<b]", lambda a, b, c: t.masked(t.less(a, b), c - a), (X, LOW, UP)),
    Case("chunks", lambda k, q, c: t.equal(t.floor(k / c), t.floor(q / c)), (TIES[:, :1], TIES[3:], CELL)),
    Case("RoPE frequency", lambda a, b: b ** ((-2.0) * a / t.rows_of(a)), (COLUMN, CELL)),
    Case("temperature", lambda a: 1.0 + 0.1 * t.log(1.0 + t.floor((a + 1.0) / 4)), (ROW,)),
    Case("RMSNorm", lambda w, x, r: w * x / r, (COLUMN, X, ROW)),
    Case("root mean square", lambda x, e: t.sqrt(t.mean_square(x) + e), (X, CELL)),
    Case("scores", lambda k, q: k.T @ q / t.sqrt(t.rows_of(q)), (X, UP)),
    Case("(a·b)@c", lambda a, b, c: (a * b) @ c, (X.T, LOW.T, UP)),
    Case("a@(b+c)", lambda a, b, c: a @ (b + c), (X.T, LOW, ROW)),
    Case("(a@b)@c", lambda a, b, c: (a @ b) @ c, (X, UP.T, LOW)),
    Case("(a+b)ᵀ", lambda a, b: (a + b).T, (X, ROW)),
    Case("rank(a·b)", lambda a, b: t.rank(a * b), (X, UP)),
    Case("rank + 1", lambda a: t.rank(a) * 2.0, (TIES,)),
    Case("top-k", lambda a, b: t.less(t.rank(a), b) * t.sigmoid(a), (TIES, CELL + 1)),
    Case("while a control is on", lambda c, a, b: t.when(c, "on", a, b * 2.0), (ON, X, UP)),
    Case("a while a control says none", lambda c, a: a * t.when(c, "none", 1.0, 0.5), (ON, X)),
    Case("1 row or another", lambda c, a, b: t.when(c, "on", a, t.max_rows(b)), (ON, ROW, X)),
    Case("if positive", lambda c, a: t.positive(c - 0.5, a, a + 1.0) + t.positive(c - 1.0, a, a * 2.0), (CELL, ROW)),
    Case("largest and smallest", lambda a, b: t.largest(a, b, 1.2) - t.smallest(b, a), (X, LOW)),
    Case("no chunk is a division by 0", lambda a, c: t.positive(c, t.floor(a / c) * c, a), (ROW, CELL * 0)),
    Case("what is wrong", complaints_of(Limits(1, 3, whole=True), Limits(0, 1)), (CELL, CELL)),
    Case("words that are wrong", complaints_of(Limits(choices=("on", "off")), Limits(choices=("a",))), (ON, ON)),
    Case("a word for a number", complaints_of(Limits(0, 1), Limits(0.001)), (ON, CELL)),
    Case("ids + 1", lambda a, b: t.lookup(a, b) * 2.0 + 1.0, (WORDS, VOCABULARY)),
]
CASES = [*ALONE, *PAIRS, *OTHERS, *FOLDED]
FAR = "Another sheet"
STRIPE = 12  # rows of each case


@dataclass(frozen=True)
class Laid:
    """A case on the sheet: its operands, and the formulas of its result in both styles and on another sheet."""

    blocks: list[tuple[Range, Array]]
    value: Array
    formulas: dict[str, tuple[Range, list[CellFormula]]]


def block_of(name: str, value: Array) -> Block:
    """A block that nothing computes."""
    return t.leaf(name, value.shape, lambda _path: value, "text" if value.dtype == object else "constant")


def lay(number: int, case: Case) -> Laid:
    """The case in its own rows: operands one beside the other, results to the right of them."""
    places: dict[str, Range] = {}
    column = 1

    def next_place(shape: tuple[int, ...], sheet: str = "Cases") -> Range:
        nonlocal column
        top, left = number * STRIPE, column
        column += shape[1] + 1
        return Range(sheet, top, left, top + shape[0] - 1, left + shape[1] - 1)

    with Trace(Drawn(0, "byhand", {})):
        operands = []
        for i, block in enumerate(case.blocks):
            operands.append(block_of(f"x{i}", block))
            places[f"x{i}"] = next_place(block.shape)
        result = case.equation(*operands).named("y")
    formulas = {}
    for style, sheet in ((STYLES[0], "Cases"), (STYLES[1], "Cases"), (STYLES[0], FAR)):
        place = next_place(result.shape, sheet)
        formulas[f"{style} on {sheet}"] = place, list(formulas_of(result, place, places, style))
    return Laid([(places[x.path], x.value) for x in operands], result.value, formulas)


LAID = [lay(number, case) for number, case in enumerate(CASES)]


@pytest.mark.parametrize("name", [name for name, op in OPS.items() if op.of_cells])
def test_what_reads_cells_needs_a_name(name: str) -> None:
    with Trace(Drawn(0, "byhand", {})):
        x = block_of("x", X)
        with pytest.raises(ValueError, match="name first"):
            apply(name, x * 2.0)


def results() -> dict[str, list[Tensor]]:
    """All results among the cases, of each operation."""
    found: dict[str, list[Tensor]] = {}

    def collect(tensor: Tensor) -> None:
        found.setdefault(tensor.op.name, []).append(tensor)
        for operand in tensor.operands:
            collect(operand)

    with Trace(Drawn(0, "byhand", {})):
        for number, case in enumerate(CASES):
            collect(case.equation(*(block_of(f"x{number}_{i}", block) for i, block in enumerate(case.blocks))))
    return found


RESULTS = results()


def test_every_operation_is_among_the_cases() -> None:
    assert set(OPS) - set(RESULTS) == set()


def nature_of(block: Block) -> Nature:
    """What the numbers of a block happen to be; of others than 0 and 1 the format is said to hold them."""
    if block.value.dtype == object:
        return Nature.HELD
    if np.isin(block.value, (0, 1)).all():
        return Nature.ONE_HOT if (block.value.sum(axis=0) <= 1).all() else Nature.SWITCH
    return Nature.WHOLE if (block.value == np.round(block.value)).all() else Nature.HELD


@pytest.mark.parametrize("name", OPS)
def test_what_an_operation_gives_is_what_it_says(name: str) -> None:
    for result in RESULTS[name]:
        nature, value = t.nature(result, nature_of), result.value
        if value.dtype == object:
            assert nature is Nature.HELD, "words are not rounded"
            continue
        value = value[np.isfinite(value)]  # ∞ · 0 is no number
        if nature <= Nature.SWITCH:
            assert np.isin(value, (0, 1)).all(), result
        if nature <= Nature.WHOLE:
            assert (value == np.round(value)).all(), result
        if nature is Nature.HELD and name != "rounded":  # no number that was not there before, but 0
            before = [number for operand in result.operands for number in operand.value.flat]
            assert np.isin(value, [*before, 0.0]).all(), result


@pytest.mark.parametrize("name", OPS)
def test_an_operation_says_its_fields_as_they_are(name: str) -> None:
    """What can be seen in its results is what its entry says, and the other way round."""
    op, found = OPS[name], RESULTS[name]
    values = [(result.value, [operand.value for operand in result.operands]) for result in found]
    assert op.moves <= all({*value.flat} <= {n for x in operands for n in x.flat} for value, operands in values)
    assert op.copies == (name != "number" and all(len(xs) == 1 and np.array_equal(v, xs[0]) for v, xs in values))
    assert op.reduces <= all(value.shape[0] == 1 for value, _ in values)
    for axis, along in enumerate(("rows", "columns")):
        joined = all(v.shape[axis] == sum(x.shape[axis] for x in xs) for v, xs in values if len(xs) > 1)
        assert (op.along == along) == (op.moves and joined and any(len(xs) > 1 for _, xs in values)), along
    if op.ties:
        for result in found:
            sets = op.ties(1e-9, *(operand.value for operand in result.operands))
            assert all(word in alike for word, alike in zip(result.value.flat, sets.flat, strict=True))


@pytest.mark.parametrize("name", OPS)
def test_the_words_of_an_operation_name_its_operands(name: str) -> None:
    op = OPS[name]
    assert op.note.endswith((".", ")")), op.note
    for result in RESULTS[name]:
        names = [f"operand {i}" for i in range(len(result.operands))]
        words = op.words(names, result.settings)
        assert words
        if name in ("rounded", "likeliest", "known"):  # the others are what everybody knows: the format, the vocabulary
            names = names[:1]
        if not op.runs_on:  # that is about all of them
            assert [each for each in names if each not in words] == []


def test_formulas_call_only_what_all_programs_agree_on() -> None:
    texts = [formula.text for laid in LAID for _, formulas in laid.formulas.values() for formula in formulas]
    assert {called for text in texts for called in re.findall(r"([A-Z][A-Z0-9.]*)\(", text)} - AGREED == set()
    assert AGREED <= COMPUTED


def test_a_control_chooses_between_whole_blocks() -> None:
    """A row or a number in place of a block would fill one row or one cell of it in Excel."""
    with Trace(Drawn(0, "byhand", {})):
        control, x = block_of("control", ON), block_of("x", X)
        places = {"control": Range("S", 0, 0, 0, 0), "x": Range("S", 2, 0, 5, 2)}
        y = t.when(control, "on", x, 0.0).named("y")
        with pytest.raises(ValueError, match="whole shape"):
            list(formulas_of(y, Range("S", 7, 0, 10, 2), places, "blocks"))


@pytest.mark.parametrize(
    ("limits", "allowed", "refused"),
    [
        (Limits(1, 3, whole=True), [1, 3.0], [0, 2.5, 4, "2", None, True]),
        (Limits(0.001), [0.001, 1e9], [0, -1, "on", None]),
        (Limits(choices=("on", "off")), ["on", "OFF"], ["maybe", 1, None, True]),
    ],
)
def test_limits(limits: Limits, allowed: list[Any], refused: list[Any]) -> None:
    assert all(map(limits.allows, allowed))
    assert not any(map(limits.allows, refused))


def test_formulas_cover_their_block_once() -> None:
    for case, laid in zip(CASES, LAID, strict=True):
        for place, formulas in laid.formulas.values():
            count = np.zeros(place.shape, dtype=int)
            for formula in formulas:
                area = formula.range
                count[area.top - place.top : area.bottom - place.top + 1, area.left - place.left :][
                    :, : area.columns
                ] += 1
            assert (count == 1).all(), case.label


def written(path: Path) -> Path:
    """All cases in one workbook, with wrong cached values."""
    with xlsxwriter.Workbook(str(path), {"strings_to_formulas": False}) as workbook:
        sheets = {name: workbook.add_worksheet(name) for name in ("Cases", FAR)}
        for laid in LAID:
            for place, block in laid.blocks:
                for (row, column), value in np.ndenumerate(block):
                    write = sheets["Cases"].write_string if isinstance(value, str) else sheets["Cases"].write_number
                    write(place.top + row, place.left + column, value)
            for place, formulas in laid.formulas.values():
                for formula in formulas:
                    area, sheet = formula.range, sheets[place.sheet]
                    if formula.array:
                        corners = (area.top, area.left, area.bottom, area.right)
                        sheet.write_dynamic_array_formula(*corners, formula.text, None, STALE)
                    else:
                        assert area.shape == (1, 1)
                        sheet.write_formula(area.top, area.left, formula.text, None, STALE)
    return path


@pytest.mark.parametrize("engine", BOTH_ENGINES)
def test_formulas_give_what_numpy_gives(engine: str, tmp_path: Path) -> None:
    values = ENGINES[engine](written(tmp_path / "cases.xlsx"))
    wrong = {
        f"{case.label}, {style}": (formulas[0].text, values.range(place).tolist(), laid.value.tolist())
        for case, laid in zip(CASES, LAID, strict=True)
        for style, (place, formulas) in laid.formulas.items()
        if not far(values.range(place), laid.value) <= 1e-12
    }
    assert not wrong, "\n".join(
        f"{label}: {formula} gives {got}, not {want}" for label, (formula, got, want) in wrong.items()
    )


# --- any expression ----------------------------------------------------------------------------------------------

LEAVES = {"block": UP, "other": X, "row": ROW, "column": COLUMN, "cell": CELL}

Tree = Any  # a leaf's name, a number, or a tuple of an operation and its trees

trees = st.recursive(
    st.sampled_from(sorted(LEAVES)) | st.sampled_from([2.0, 0.5, -1.0, -3.0, 10.0, 1e-5, 0.1]),
    lambda inner: (
        st.tuples(st.sampled_from([*BINARY, "masked"]), inner, inner) | st.tuples(st.sampled_from(UNARY), inner)
    ),
    max_leaves=8,
)


def grow(tree: Tree, leaves: dict[str, Tensor]) -> Tensor | float:
    """The tensor of a tree; AssumptionError where it has no number that a spreadsheet could show."""
    if not isinstance(tree, tuple):
        return leaves[tree] if isinstance(tree, str) else float(tree)
    op, *inner = tree
    operands = [grow(each, leaves) for each in inner]
    if op == "masked":  # by a comparison of constants: rounding must not decide
        operands[0] = t.less(leaves["other"], leaves["row"])
    with np.errstate(all="ignore"):
        result = apply(op, *operands)
    assume(bool(np.isfinite(result.value).all() and (np.abs(result.value) < 1e6).all()))
    if op == "floor":
        inside = operands[0].value if isinstance(operands[0], Tensor) else np.array(operands[0])
        assume(bool((np.abs(inside - np.round(inside)) > 1e-6).all()))
    return result


@settings(max_examples=150)
@given(tree=trees)
def test_any_expression(tree: Tree) -> None:
    sheet = Sheet("S")
    places: dict[str, Range] = {}
    with Trace(Drawn(0, "byhand", {})):
        leaves: dict[str, Tensor] = {}
        for i, (name, value) in enumerate(LEAVES.items()):
            leaves[name] = block_of(name, value)
            places[name] = Range("S", 0, 5 * i, value.shape[0] - 1, 5 * i + value.shape[1] - 1)
            for (row, column), number in np.ndenumerate(value):
                sheet.cells[row, 5 * i + column] = float(number)
        root = grow(tree, leaves)
        assume(isinstance(root, Tensor))
        assert isinstance(root, Tensor)
        result = root.named("y")
    found = {}
    for i, style in enumerate(STYLES):
        place = found[style] = Range("S", 10 + 10 * i, 0, 9 + 10 * i + result.rows, result.columns - 1)
        for each in formulas_of(result, place, places, style):
            sheet.formulas.append(Formula(each.text, each.range, each.array))
    values: Values = ENGINES["formulas"](Path("none"), Book(Path("none"), {"S": sheet}, {}))
    for place in found.values():
        assert far(values.range(place), result.value) <= 1e-9, sheet.formulas[-1].text
