"""Every operation: its NumPy rule against numbers worked out by hand, its formula against its NumPy rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xlsxwriter
from helpers import far, needs_libreoffice
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sheetgen import tensor as t
from sheetgen.address import Range
from sheetgen.book import Book, Formula, Sheet
from sheetgen.engines import ENGINES, Values
from sheetgen.errors import InputError
from sheetgen.formula import CellFormula, Style, formulas_of
from sheetgen.ops import OPS, Array
from sheetgen.tensor import Tensor, Trace, apply
from sheetgen.weights import Drawn

STYLES: tuple[Style, ...] = ("blocks", "cells")
STALE = -99.5  # the cached value of every formula: no engine may pass it on


def array(*rows: list[Any]) -> Array:
    return np.array(rows, dtype=object if isinstance(rows[0][0], str) else float)


# --- NumPy against numbers worked out by hand --------------------------------------------------------------------

E = math.e
WORDS = array(["the", "Cat", "~x?", "*"])
VOCABULARY = array(["cat"], ["dog"], ["THE"], ["*"], ["~x?"], ["?"])

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
    ("masked", (array([1, 0], [0, 1]), array([5, 6], [7, 8])), array([5, -1e9], [-1e9, 8])),
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
    ("lookup", (array(["a"]), array(["b"], ["A"], ["a"])), array([1])),  # the first of equal ones, whatever the case
    ("known", (array([3, 0]),), array(["✓", "✓"])),
    ("likeliest", (array([0.1, 0.4], [0.5, 0.4], [0.4, 0.2]), array(["a"], ["b"], ["c"])), array(["b", "a"])),
]


@pytest.mark.parametrize(("name", "operands", "expected"), BY_HAND, ids=[case[0] for case in BY_HAND])
def test_numpy_rule(name: str, operands: tuple[Array, ...], expected: Array) -> None:
    assert far(OPS[name].numpy(*operands), expected) <= 1e-15


def test_numpy_rule_of_rows() -> None:
    x = array([1, 2], [3, 4], [5, 6])
    assert OPS["rows"].numpy(x, start=1, stop=3).tolist() == [[3, 4], [5, 6]]


def test_a_masked_score_weighs_exactly_nothing() -> None:
    scores = OPS["masked"].numpy(array([0]), array([5]))
    assert np.exp(scores - 5).tolist() == [[0.0]]


def test_lookup_of_an_unknown_word_names_it() -> None:
    with pytest.raises(InputError, match="word 2 of the sentence, 'bird'"):
        OPS["lookup"].numpy(array(["cat", "bird"]), VOCABULARY)


# --- formulas against NumPy, by two engines ----------------------------------------------------------------------

A = np.round(np.sin(np.arange(12.0)).reshape(4, 3) * 2, 3)
B = np.round(np.cos(np.arange(12.0)).reshape(4, 3), 3)
UP = np.round(np.abs(A) + 0.25, 3)
ROW, COLUMN, ONE = A[:1] + 3, B[:, :1] + 2, np.array([[0.75]])
TIES = np.array([[1.0, 2, 2], [3, 2, 2], [3, 2, 1], [0, 2, 2]])
MASK = (A > 0).astype(float)

Equation = Callable[..., Tensor]


@dataclass(frozen=True)
class Case:
    """An equation over named blocks."""

    label: str
    equation: Equation
    blocks: tuple[Array, ...]


def each(*names: str) -> list[Case]:
    """Operations of one operand, over a block, a row, a column and one cell."""
    shapes = {"block": UP, "row": UP[:1], "column": UP[:, :1], "cell": UP[:1, :1]}
    return [Case(f"{n} {s}", lambda x, n=n: apply(n, x), (x,)) for n in names for s, x in shapes.items()]


def pairs(*names: str) -> list[Case]:
    """Operations of two operands, over all that broadcasts, and with a number in the formula."""
    shapes = {
        "block block": (UP, UP[::-1]),
        "block row": (UP, ROW),
        "row block": (ROW, UP),
        "block column": (UP, COLUMN),
        "column block": (COLUMN, UP),
        "block cell": (UP, ONE),
        "cell block": (ONE, UP),
        "row column": (ROW, COLUMN),
        "column row": (COLUMN, ROW),
        "row row": (ROW, UP[1:2]),
        "row cell": (ROW, ONE),
        "cell cell": (ONE, UP[:1, :1]),
    }
    found = [Case(f"{n} {s}", lambda x, y, n=n: apply(n, x, y), b) for n in names for s, b in shapes.items()]
    for n in names:
        for value in (2.0, 0.75, -1.5, 1e-5, -0.123456789):
            found.append(Case(f"{n} block {value}", lambda x, n=n, v=value: apply(n, x, v), (UP,)))
        for value in (2.0, 0.75, 1e-5, 0.123456789):  # a negative one to a broken power is no number
            found.append(Case(f"{n} {value} block", lambda x, n=n, v=value: apply(n, v, x), (UP,)))
    return found


def products() -> list[Case]:
    shapes = [(2, 3, 4), (1, 3, 4), (2, 3, 1), (2, 1, 4), (1, 3, 1), (1, 1, 1), (4, 4, 4)]
    return [
        Case(f"matmul {m}×{k}·{k}×{n}", lambda a, b: a @ b, (A.ravel()[: m * k].reshape(m, k), B_LONG[:k, :n]))
        if k * n <= 16
        else Case("", lambda a: a, (A,))
        for m, k, n in shapes
        if m * k <= 16
    ]
