"""The table of operations: for each its NumPy rule, its spreadsheet formula and its words.

Every array has two dimensions, features × tokens; a scalar is 1×1. A formula is built from views of the
operands (`View`), so that one entry serves a whole block (`MMULT(C10:G13,J4:S8)`) and a single cell
(`MMULT($C10:$G10,J$4:J$8)`). An operation is added by one entry in `OPS`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from sheetgen.base.errors import InputError
from sheetgen.trace.limits import Limits, complaints, complaints_formula

Array = np.ndarray[Any, np.dtype[Any]]
Index = slice | int  # all of an axis (a whole block) or one position of it (one cell)
ALL = slice(None)

GELU_TANH = 0.797884560802865  # √(2/π), as far as every engine reads it
MINUS_INFINITY = -1e9  # a masked score: EXP of it is exactly 0, and no engine overflows on it

# How strongly the outermost sign of a formula binds; an operand that binds less gets parentheses.
COMPARE, SUM, PRODUCT, POWER, ATOM = 1, 3, 4, 5, 9


class View(Protocol):
    """An operand as a formula sees it."""

    rows: int
    columns: int

    def at(self, rows: Index, columns: Index, binding: int = 0) -> str:
        """These rows and columns; an axis of length 1 is broadcast."""


@dataclass(frozen=True)
class Op:
    """One operation.

    numpy:   operands (and keyword settings) → value; raises ValueError when the shapes do not fit.
    formula: (row, column, views, **settings) → text without '='.
    math:    the equation in words, over the operands' names.
    note:    one sentence for a newcomer.
    spread:  what one formula can fill: the whole "block", or only a "cell" (a reduction, a lookup).
    array:   True when even a formula for one cell computes over arrays and must be entered as an array formula.
    axes:    whose rows and columns the result has: those of each operand, of a product, …
    of_cells: True when its formula reads a range of cells, so that its first operand must be a block.
    reduces: True when each column becomes one number: its block is a row under the block it sums up.
    """

    numpy: Callable[..., Array]
    formula: Callable[..., str]
    math: str
    note: str
    binding: int = ATOM
    spread: Literal["block", "cell"] = "block"
    array: bool = False
    axes: Literal["each", "product", "transpose", "columns", "scalar"] = "each"
    reduces: bool = False
    of_cells: bool = False


def _each(template: str, *needs: int) -> Callable[..., str]:
    """Formula of an elementwise operation; `needs` is the binding each operand must have to go without ()."""

    def formula(row: Index, column: Index, *views: View) -> str:
        padded = needs + (0,) * (len(views) - len(needs))
        return template.format(*(v.at(row, column, need) for v, need in zip(views, padded, strict=True)))

    return formula


def _column(template: str) -> Callable[..., str]:
    """Formula of a reduction over each column of the first operand."""

    def formula(_row: Index, column: Index, view: View) -> str:
        return template.format(view.at(ALL, column))

    return formula


def _matmul(row: Index, column: Index, a: View, b: View) -> str:
    return f"MMULT({a.at(row, ALL)},{b.at(ALL, column)})"


def _transpose(row: Index, column: Index, view: View) -> str:
    part = view.at(column, row)
    return part if isinstance(row, int) and isinstance(column, int) else f"TRANSPOSE({part})"


def _rows(row: Index, column: Index, view: View, start: int, stop: int) -> str:
    return view.at(slice(start, stop) if isinstance(row, slice) else start + row, column)


def _columns(row: Index, column: Index, view: View, start: int, stop: int) -> str:
    return view.at(row, slice(start, stop) if isinstance(column, slice) else start + column)


@functools.cache
def _cut(channels: int, height: int, width: int, size: int) -> Array:
    """Which cell of an image [channels · height, width] each cell of its patches takes: [C·P·P, patches, 2].

    A column is a patch, patches row by row; its rows are in the order (channel, row, column) of the patch.
    """
    cells = np.moveaxis(np.indices((channels * height, width)), 0, -1)
    parts = cells.reshape(channels, height // size, size, width // size, size, 2)
    return np.asarray(parts.transpose(0, 2, 4, 1, 3, 5).reshape(channels * size * size, -1, 2))


def _patches_numpy(x: Array, channels: int, size: int) -> Array:
    cells = _cut(channels, len(x) // channels, x.shape[1], size)
    return np.asarray(x[cells[..., 0], cells[..., 1]])


def _patches(row: Index, column: Index, view: View, channels: int, size: int) -> str:
    cell = _cut(channels, view.rows // channels, view.columns, size)[row, column]
    return view.at(int(cell[0]), int(cell[1]))


def _flatten_numpy(x: Array, length: int, stride: int) -> Array:
    """Blocks of `length` columns, one every `stride`; the columns of a block one below the other."""
    starts = range(0, x.shape[1] - length + 1, stride)
    return np.concatenate([x[:, start : start + length].T.reshape(-1, 1) for start in starts], axis=1)


def _flatten(row: Index, column: Index, view: View, stride: int, **_: int) -> str:
    assert isinstance(row, int)
    assert isinstance(column, int)
    return view.at(row % view.rows, column * stride + row // view.rows)


def _rank(row: Index, column: Index, view: View) -> str:
    """How many entries of the column come before this one: the larger ones, and equal ones above it."""
    assert isinstance(row, int)
    here = view.at(row, column)
    larger = f"SUMPRODUCT(1*({view.at(ALL, column)}>{here}))"
    return larger if row == 0 else f"{larger}+SUMPRODUCT(1*({view.at(slice(0, row), column)}={here}))"


def _rank_numpy(x: Array) -> Array:
    larger = (x[None] > x[:, None]).sum(axis=1)
    equal_above = ((x[None] == x[:, None]) & np.tri(len(x), k=-1, dtype=bool)[..., None]).sum(axis=1)
    return np.asarray(larger + equal_above, dtype=float)


def _lookup_numpy(words: Array, vocabulary: Array) -> Array:
    """Ids counted from 0. Spreadsheets compare text without case, so the reference does too."""
    ids = {str(word).lower(): i for i, word in reversed(list(enumerate(vocabulary[:, 0])))}
    for position, word in enumerate(words[0]):
        if str(word).lower() not in ids:
            raise InputError(f"word {position + 1} of the sentence, {word!r}, is not in the vocabulary")
    return np.array([[float(ids[str(word).lower()]) for word in words[0]]])


def _lookup(row: Index, column: Index, words: View, vocabulary: View) -> str:
    if vocabulary.rows == 1:  # a comparison of two cells is no array
        return f"MATCH({words.at(row, column)},{vocabulary.at(ALL, ALL)},0)-1"
    # MATCH over a comparison, not over the words: a bare MATCH would read *, ? and ~ as wildcards.
    return f"MATCH(1,1*({vocabulary.at(ALL, ALL)}={words.at(row, column)}),0)-1"


def _likeliest_numpy(probs: Array, vocabulary: Array) -> Array:
    if len(probs) != vocabulary.size:
        raise ValueError("a probability for each word is needed")
    return np.asarray(vocabulary.ravel()[np.argmax(probs, axis=0)][None])


def _likeliest(_row: Index, column: Index, probs: View, vocabulary: View) -> str:
    p = probs.at(ALL, column)
    return f"INDEX({vocabulary.at(ALL, ALL)},MATCH(MAX({p}),{p},0))"


def _number(_row: Index, _column: Index, value: float) -> str:
    return repr(int(value)) if value == int(value) else repr(value)


def _normal_cdf(x: Array) -> Array:
    return np.asarray([[0.5 * math.erfc(-value / math.sqrt(2)) for value in row] for row in x])


def _rounded_numpy(x: Array, fraction_bits: Array, smallest: Array, beyond: Array) -> Array:
    step = 2.0 ** (np.floor(np.log2(np.maximum(np.abs(x), smallest))) - fraction_bits)
    return np.asarray(step * np.round(x / step) / (np.abs(x) < beyond))  # np.round rounds ties to even


def _rounded(row: Index, column: Index, x: View, fraction_bits: View, smallest: View, beyond: View) -> str:
    """A multiple of the step between neighbours, of two equally near ones the even; beyond the largest an error."""
    f, least, limit = (view.at(row, column, POWER) for view in (fraction_bits, smallest, beyond))
    cell, size = x.at(row, column, POWER), f"ABS({x.at(row, column)})"
    # 1.5 times the smallest: the logarithm of a power of 2 itself may come out just below a whole number.
    step = f"2^(INT(LN(IF({size}<{least},1.5*{least},{size}))/LN(2))-{f})"
    nearest = f"INT({cell}/{step}+0.5)-1*(MOD({cell}/{step},2)=0.5)"
    return f"{step}*({nearest})/(1*({size}<{limit}))"


def _choose_numpy(condition: Array, yes: Array, no: Array) -> Array:
    return np.asarray(np.where(condition == 1, yes, no))


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def _when_numpy(control: Array, yes: Array, no: Array, word: str) -> Array:
    """Spreadsheets compare text without case, so the reference does too."""
    return np.asarray(np.where(str(control[0, 0]).lower() == word, yes, no))


def _when(row: Index, column: Index, control: View, yes: View, no: View, word: str) -> str:
    return f'IF({control.at(row, column, SUM)}="{word}",{yes.at(row, column)},{no.at(row, column)})'


def _list(function: str) -> Callable[..., str]:
    """Formula of a function over the same cell of all operands."""

    def formula(row: Index, column: Index, *views: View) -> str:
        return f"{function}({','.join(view.at(row, column) for view in views)})"

    return formula


def _complaints_numpy(*controls: Array, limits: Sequence[tuple[str, Limits]]) -> Array:
    return np.array([[complaints([control[0, 0] for control in controls], limits)]], dtype=object)


def _complaints(row: Index, column: Index, *controls: View, limits: Sequence[tuple[str, Limits]]) -> str:
    return complaints_formula([control.at(row, column) for control in controls], limits)


OPS: dict[str, Op] = {
    "add": Op(np.add, _each("{0}+{1}", SUM, SUM), "{0} + {1}", "Element by element, the two are added.", SUM),
    "sub": Op(np.subtract, _each("{0}-{1}", SUM, PRODUCT), "{0} − {1}", "The second is taken from the first.", SUM),
    "mul": Op(
        np.multiply,
        _each("{0}*{1}", PRODUCT, PRODUCT),
        "{0} ⊙ {1}",
        "Element by element, the two are multiplied; a single row, column or number is used for all.",
        PRODUCT,
    ),
    "div": Op(
        np.divide,
        _each("{0}/{1}", PRODUCT, POWER),
        "{0} / {1}",
        "Each number is divided by its divisor.",
        PRODUCT,
    ),
    "pow": Op(np.power, _each("{0}^{1}", ATOM, ATOM), "{0}^{1}", "The first to the power of the second.", POWER),
    "sqrt": Op(np.sqrt, _each("SQRT({0})"), "√({0})", "The square root of each number."),
    "exp": Op(np.exp, _each("EXP({0})"), "exp({0})", "e to the power of each number: always positive."),
    "log": Op(np.log, _each("LN({0})"), "ln({0})", "The natural logarithm of each number."),
    "cos": Op(np.cos, _each("COS({0})"), "cos({0})", "The cosine of each angle (radians)."),
    "sin": Op(np.sin, _each("SIN({0})"), "sin({0})", "The sine of each angle (radians)."),
    "floor": Op(np.floor, _each("INT({0})"), "⌊{0}⌋", "Each number without its fraction."),
    "sigmoid": Op(
        _sigmoid,
        _each("1/(1+EXP(0-{0}))", PRODUCT),
        "σ({0})",
        "The logistic function 1/(1+e⁻ˣ): between 0 and 1.",
        PRODUCT,
    ),
    "silu": Op(
        lambda x: x * _sigmoid(x),
        _each("{0}/(1+EXP(0-{0}))", POWER),
        "SiLU({0})",
        "x·σ(x): about 0 for negative x, about x for positive x.",
        PRODUCT,
    ),
    "relu": Op(
        lambda x: np.maximum(x, 0.0),
        _each("IF({0}>0,{0},0)", SUM),
        "max({0}, 0)",
        "Negative numbers become 0.",
    ),
    "relu2": Op(
        lambda x: np.maximum(x, 0.0) ** 2,
        _each("IF({0}>0,{0},0)^2", SUM),
        "max({0}, 0)²",
        "Negative numbers become 0, the others their square.",
        POWER,
    ),
    "gelu": Op(
        lambda x: x * _normal_cdf(x),
        _each("{0}*NORMSDIST({0})", PRODUCT),
        "{0}·Φ({0})",
        "GELU, exact: x times the normal distribution's Φ(x).",
        PRODUCT,
    ),
    "gelu_tanh": Op(
        lambda x: 0.5 * x * (1 + np.tanh(GELU_TANH * (x + 0.044715 * x**3))),
        _each(f"0.5*{{0}}*(1+TANH({GELU_TANH!r}*({{0}}+0.044715*{{0}}^3)))", ATOM),
        "½·{0}·(1 + tanh(√(2/π)·({0} + 0.044715·{0}³)))",
        "GELU by its usual approximation with tanh.",
        PRODUCT,
    ),
    "less_equal": Op(
        lambda a, b: (a <= b).astype(float),
        _each("1*({0}<={1})", SUM, SUM),
        "[{0} ≤ {1}]",
        "1 where it holds, else 0.",
        PRODUCT,
    ),
    "equal": Op(
        lambda a, b: (a == b).astype(float),
        _each("1*({0}={1})", SUM, SUM),
        "[{0} = {1}]",
        "1 where both are equal, else 0.",
        PRODUCT,
    ),
    "less": Op(
        lambda a, b: (a < b).astype(float),
        _each("1*({0}<{1})", SUM, SUM),
        "[{0} < {1}]",
        "1 where it holds, else 0.",
        PRODUCT,
    ),
    "masked": Op(
        lambda mask, x: np.where(mask == 1, x, MINUS_INFINITY),
        _each("IF({0}=1,{1},-1E+9)", SUM),
        "{1} where {0} = 1, else −∞",
        "Where the mask is 0 the score becomes minus infinity (here −10⁹), so that its weight is exactly 0.",
    ),
    "choose": Op(
        _choose_numpy,
        _each("IF({0}=1,{1},{2})", SUM),
        "{1} where {0} = 1, else {2}",
        "One or the other, element by element.",
    ),
    "when": Op(
        _when_numpy,
        _when,
        "{1} if {0} is {word}, else {2}",
        "One or the other, as the control says.",
    ),
    "positive": Op(
        lambda condition, yes, no: np.asarray(np.where(condition > 0, yes, no)),
        _each("IF({0}>0,{1},{2})", SUM),
        "{1} if {0} > 0, else {2}",
        "One or the other.",
    ),
    "largest": Op(
        lambda *parts: np.asarray(functools.reduce(np.maximum, parts)),
        _list("MAX"),
        "",  # spelled by `words`
        "The largest of them.",
        spread="cell",
    ),
    "smallest": Op(
        lambda *parts: np.asarray(functools.reduce(np.minimum, parts)),
        _list("MIN"),
        "",  # spelled by `words`
        "The smallest of them.",
        spread="cell",
    ),
    "rounded": Op(
        _rounded_numpy,
        _rounded,
        "{0} rounded",
        "As a real model keeps it: the nearest numbers that the format can hold; of two equally near the even one.",
        PRODUCT,
    ),
    "complaints": Op(
        _complaints_numpy,
        _complaints,
        "",
        "A hint, and what is wrong with the controls.",
        SUM,
        spread="cell",
        axes="scalar",
    ),
    "link": Op(lambda x: x.copy(), _each("{0}"), "{0}", "The same numbers, shown where they are used."),
    "matmul": Op(
        np.matmul,
        _matmul,
        "{0} · {1}",
        "Each cell is the dot product of the row to its left and the column above it.",
        array=True,
        axes="product",
    ),
    "transpose": Op(
        lambda x: x.T.copy(),
        _transpose,
        "{0}ᵀ",
        "Rows and columns change places.",
        axes="transpose",
    ),
    "rows": Op(
        lambda x, start, stop: x[start:stop], _rows, "{0}[{start}]", "Some rows of it.", axes="columns", of_cells=True
    ),
    "columns": Op(
        lambda x, start, stop: x[:, start:stop], _columns, "{0}[:, {start}]", "Some columns of it.", of_cells=True
    ),
    "patches": Op(
        _patches_numpy,
        _patches,
        "patches of {0}",
        "Each column is one square of the image, read row by row.",
        spread="cell",
        of_cells=True,
    ),
    "flatten": Op(
        _flatten_numpy,
        _flatten,
        "blocks of {length} columns of {0}",
        "The columns of a block, one below the other: each cell is linked.",
        spread="cell",
        axes="scalar",
        of_cells=True,
    ),
    "size": Op(
        lambda x: np.array([[float(x.shape[0])]]),
        lambda _row, _column, view: f"ROWS({view.at(ALL, ALL)})",
        "rows({0})",
        "How many rows it has.",
        axes="scalar",
        of_cells=True,
    ),
    "shape": Op(
        lambda x: np.array([[f"{x.shape[0]}×{x.shape[1]}"]], dtype=object),
        lambda _row, _column, view: 'ROWS({0})&"×"&COLUMNS({0})'.format(view.at(ALL, ALL)),
        "shape of {0}",
        "Its rows and columns.",
        SUM,
        axes="scalar",
        of_cells=True,
    ),
    "count": Op(
        lambda *parts: np.array([[float(sum(part.size for part in parts))]]),
        lambda _row, _column, *views: f"COUNT({','.join(view.at(ALL, ALL) for view in views)})",
        "",  # no block of a model is made by it
        "How many numbers these blocks hold.",
        axes="scalar",
        of_cells=True,
    ),
    "sum": Op(
        lambda x: x.sum(axis=0, keepdims=True),
        _column("SUM({0})"),
        "Σ {0}",
        "The sum of each column.",
        spread="cell",
        axes="columns",
        reduces=True,
        of_cells=True,
    ),
    "max": Op(
        lambda x: x.max(axis=0, keepdims=True),
        _column("MAX({0})"),
        "max {0}",
        "The largest number of each column.",
        spread="cell",
        axes="columns",
        reduces=True,
        of_cells=True,
    ),
    "mean": Op(
        lambda x: x.sum(axis=0, keepdims=True) / len(x),
        _column("SUM({0})/ROWS({0})"),
        "mean({0})",
        "The mean of each column.",
        PRODUCT,
        spread="cell",
        axes="columns",
        reduces=True,
        of_cells=True,
    ),
    "mean_square": Op(
        lambda x: (x * x).sum(axis=0, keepdims=True) / len(x),
        _column("SUMSQ({0})/ROWS({0})"),
        "mean({0}²)",
        "The mean of the squares of each column.",
        PRODUCT,
        spread="cell",
        axes="columns",
        reduces=True,
        of_cells=True,
    ),
    "rank": Op(
        _rank_numpy,
        _rank,
        "rank of {0}",
        "How many entries of the column are larger (or equal and further up): 0 is the first.",
        SUM,
        spread="cell",
    ),
    "stack": Op(
        lambda *parts: np.concatenate(parts, axis=0),
        lambda *_: "",  # never asked: a block is written part by part, an unnamed stack is one range (see `formula`)
        "",  # spelled by `words`
        "The parts, one below the other.",
        axes="columns",
    ),
    "join": Op(
        lambda *parts: np.concatenate(parts, axis=1),
        lambda *_: "",  # never asked: a block is written part by part
        "",  # spelled by `words`
        "The parts, side by side.",
    ),
    "lookup": Op(
        _lookup_numpy,
        _lookup,
        "position of {0} in {1}",
        "The id of the word: its place in the vocabulary, counted from 0.",
        SUM,
        spread="cell",
        array=True,
        axes="columns",
    ),
    "known": Op(
        lambda ids: np.full(ids.shape, "✓", dtype=object),
        _each('IF(ISNA({0}),"✗","✓")'),
        "{0} found?",
        "✗ marks a word that is not in the vocabulary.",
        spread="cell",
    ),
    "likeliest": Op(
        _likeliest_numpy,
        _likeliest,
        "word with the largest {0}",
        "The most probable next word after each position.",
        spread="cell",
        axes="columns",
        reduces=True,
        of_cells=True,
    ),
}
