"""The table of operations: all that is asked of an operation stands in its one entry.

Every array has two dimensions, features × tokens; a scalar is 1×1. A formula is built from views of the
operands (`View`), so that one entry serves a whole block (`MMULT(C10:G13,J4:S8)`) and a single cell
(`MMULT($C10:$G10,J$4:J$8)`). An operation is added by one entry in `OPS`.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal, NoReturn, Protocol

import numpy as np

from sheetgen.base.cells import Range
from sheetgen.base.errors import InputError
from sheetgen.base.lang import tr
from sheetgen.base.text import literal
from sheetgen.trace.limits import Limits, complaints, complaints_formula, meant, says

Array = np.ndarray[Any, np.dtype[Any]]
Index = slice | int  # all of an axis (a whole block) or one position of it (one cell)
ALL = slice(None)

FAR = 700  # a cell cannot hold e⁷¹⁰, and 1/(1 + e⁷⁰⁰) is 0 to the last digit of whatever it is added to
FLAT = 100  # from here on, and long before, the tanh of GELU is 1 to the last digit
GELU_TANH = 0.797884560802865  # √(2/π), as far as every engine reads it
HIDDEN = "−∞"  # what a cell shows of a hidden score: a text, which MAX passes over, as no number is below all scores

# How strongly the outermost sign of a formula binds; an operand that binds less gets parentheses.
COMPARE, SUM, PRODUCT, POWER, ATOM = 1, 3, 4, 5, 9


class Nature(IntEnum):
    """What numbers are by their nature; each is a case of those after it."""

    ONE_HOT = 0  # 0 or 1, with a single 1 in a column: where an id is that of the row
    SWITCH = 1  # 0 or 1
    WHOLE = 2  # ids, ranks, sizes: programs keep them as integers
    HELD = 3  # numbers that a format holds as they are: given so, or rounded before; and words
    FREE = 4


def moved(*parts: Nature, **_settings: Any) -> Nature:
    """Of an operation that only moves the numbers of its operands. Rows and columns of a one-hot need not be one."""
    return max(Nature.SWITCH, *parts)


def _of_the_chosen(_condition: Nature, *choices: Nature, **_settings: Any) -> Nature:
    return max(choices)


def _of_a_product(a: Nature, b: Nature) -> Nature:
    """Times 0 or 1: the same number, or none."""
    return max(a, b) if min(a, b) <= Nature.SWITCH else Nature.FREE


def _of_a_number(value: float) -> Nature:
    if value in (0, 1):
        return Nature.SWITCH
    return Nature.WHOLE if value.is_integer() else Nature.FREE


def in_cells(value: Array) -> Array:
    """What cells show of these values: −∞ as the text `HIDDEN`, all else as it is. Any shape → same shape."""
    if value.dtype == object or not np.isneginf(value).any():
        return value
    shown = value.astype(object)
    shown[np.isneginf(value)] = HIDDEN
    return shown


class View(Protocol):
    """An operand as a formula sees it."""

    rows: int
    columns: int

    def at(self, rows: Index, columns: Index, binding: int = 0) -> str:
        """These rows and columns; an axis of length 1 is broadcast."""


@dataclass(frozen=True, eq=False)
class Op:
    """One operation.

    Its values:
    numpy:   operands (and keyword settings) → value; raises ValueError when the shapes do not fit.
    gives:   what its numbers are by nature; or a function of that of its operands (and the settings).
    ties:    (tolerance, *operands) → for each cell the set of results that are as good, when the last digit decides.
    axes:    whose rows and columns the result has: those of each operand, of a product, …

    Its formula:
    formula: (row, column, views, **settings) → text without '='.
    binding: how strongly its outermost sign binds; an operand that binds less gets parentheses.
    spread:  what one formula can fill: the whole "block", or only a "cell" (a reduction, a lookup).
    array:   True when even a formula for one cell computes over arrays and must be entered as an array formula.
    of_cells: True when its formula reads a range of cells, so that its first operand must be a block.
    cuts:    True when its result is some rows or columns of its operand, which may be read as cells.
    whole_branches: True when its operands but the first must have the whole shape of the block that they fill.
    along:   a block is filled operand by operand, one after the other along this axis, each by links.
    range:   (ranges of its operands, **settings) → the one range where its numbers stand already, so that what reads it
             refers to that; None when they do not stand together.

    Its words and looks:
    math:    the equation in words, over the operands' names (and the settings); a function when they are not so many.
    note:    one sentence for a newcomer.
    phrase:  True when its words bind weaker than any sign: as an operand they stand in parentheses.
    mark:    what stands before the title of its operand, when it is no block of its own but a step after that one.
    copies:  True when it shows again what another block has computed.
    joins:   True when it is drawn as ⊕, where it adds to the residual stream.
    reduces: True when each column becomes one number: its block is a row under the block it sums up.
    runs_on: True when it is a sentence, which runs on over the cells to its right.
    hides:   True when −∞ is a result of it, which a cell shows as the text `HIDDEN`; of no other is it a number.
    """

    name: str
    numpy: Callable[..., Array]
    formula: Callable[..., str]
    math: str | Callable[..., str]
    note: str
    binding: int = ATOM
    gives: Nature | Callable[..., Nature] = Nature.FREE
    ties: Callable[..., Array] | None = None
    axes: Literal["each", "product", "transpose", "columns", "scalar"] = "each"
    spread: Literal["block", "cell"] = "block"
    array: bool = False
    of_cells: bool = False
    cuts: bool = False
    whole_branches: bool = False
    along: Literal["rows", "columns"] | None = None
    range: Callable[..., Range | None] | None = None
    phrase: bool = False
    mark: str = ""
    copies: bool = False
    joins: bool = False
    reduces: bool = False
    runs_on: bool = False
    hides: bool = False

    @property
    def moves(self) -> bool:
        """Whether it only moves the numbers of its operands."""
        return self.gives is moved

    def words(self, names: Sequence[str], settings: Mapping[str, Any]) -> str:
        """The equation over the names of its operands, in the language of the workbook."""
        return self.math(*names, **settings) if callable(self.math) else tr(self.math).format(*names, **settings)

    def __str__(self) -> str:
        return self.name


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
    if isinstance(row, int) and isinstance(column, int):
        return view.at(column, row, ATOM)
    return f"TRANSPOSE({view.at(column, row)})"


def _rows(row: Index, column: Index, view: View, start: int, stop: int) -> str:
    return view.at(slice(start, stop) if isinstance(row, slice) else start + row, column)


def _columns(row: Index, column: Index, view: View, start: int, stop: int) -> str:
    if isinstance(column, slice):
        return view.at(row, slice(start, stop))
    return view.at(row, start if stop - start == 1 else start + column)  # a single column is broadcast


def _stacked(row: Index, column: Index, *parts: View) -> str:
    """One cell: the part it is in."""
    assert isinstance(row, int)
    for part in parts:
        if row < part.rows:
            return part.at(row, column, ATOM)
        row -= part.rows
    raise IndexError("no part has this row")


def _joined(row: Index, column: Index, *parts: View) -> str:
    """One cell: the part it is in."""
    assert isinstance(column, int)
    for part in parts:
        if column < part.columns:
            return part.at(row, column, ATOM)
        column -= part.columns
    raise IndexError("no part has this column")


def _under_each_other(*parts: Range) -> Range | None:
    """The range of parts that stand right under each other, such as a block and its row of ones."""
    for upper, lower in itertools.pairwise(parts):
        if (upper.bottom + 1, upper.left, upper.right) != (lower.top, lower.left, lower.right):
            return None
    return Range(parts[0].sheet, parts[0].top, parts[0].left, parts[-1].bottom, parts[-1].right)


def _nothing(*_: object, **_settings: object) -> NoReturn:
    raise TypeError("nothing computes what is given")


def _listed(sign: str) -> Callable[..., str]:
    """All operands, or the first and the last, in brackets."""

    def words(*names: str) -> str:
        return f"[{sign.join(names if len(names) < 4 else [names[0], '…', names[-1]])}]"

    return words


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


def _lookup_numpy(words: Array, vocabulary: Array, alike: bool = False) -> Array:
    """Ids counted from 0. alike: words of one spelling but for the case are one, as sheetgen 0.1.0 had them."""
    key = str.lower if alike else str
    ids = {key(word): i for i, word in reversed(list(enumerate(map(str, vocabulary[:, 0]))))}
    for position, word in enumerate(words[0]):
        if key(str(word)) not in ids:
            raise InputError(f"word {position + 1} of the sentence, {word!r}, is not in the vocabulary")
    return np.array([[float(ids[key(str(word))]) for word in words[0]]])


def _lookup(row: Index, column: Index, words: View, vocabulary: View, alike: bool = False) -> str:
    word, all_words = words.at(row, column), vocabulary.at(ALL, ALL)
    if vocabulary.rows == 1:  # a comparison of two cells is no array
        return f"MATCH({word},{all_words},0)-1" if alike else f"IF(EXACT({all_words},{word}),0,NA())"
    # MATCH over a comparison, not over the words: a bare MATCH would read *, ? and ~ as wildcards. EXACT, not =: what
    # = takes for the same (the, The; Maße, Masse; ﬁn, fin) every program decides in its own way.
    same = f"{all_words}={word}" if alike else f"EXACT({all_words},{word})"
    return f"MATCH(1,1*{f'({same})' if alike else same},0)-1"


def _known(row: Index, column: Index, ids: View, words: View, vocabulary: View, alike: bool = False) -> str:
    """✓; or ✗, and the word of the vocabulary that the program takes for the same but for its case or form."""
    word, all_words = words.at(row, column), vocabulary.at(ALL, ALL)
    if alike:
        wrong = '"✗"'
    elif vocabulary.rows == 1:
        wrong = f'IF({all_words}={word},"✗ "&{all_words}&"?","✗")'
    else:
        wrong = f'IFERROR("✗ "&INDEX({all_words},MATCH(1,1*({all_words}={word}),0))&"?","✗")'
    return f'IF(ISNA({ids.at(row, column)}),{wrong},"✓")'


def _likeliest_numpy(probs: Array, vocabulary: Array) -> Array:
    if len(probs) != vocabulary.size:
        raise ValueError("a probability for each word is needed")
    return np.asarray(vocabulary.ravel()[np.argmax(probs, axis=0)][None])


def _likeliest(_row: Index, column: Index, probs: View, vocabulary: View) -> str:
    p = probs.at(ALL, column)
    return f"INDEX({vocabulary.at(ALL, ALL)},MATCH(MAX({p}),{p},0))"


def _ties(tolerance: float, probs: Array, vocabulary: Array) -> Array:
    """The words that are most probable to within the tolerance. [n, T], the n words → sets [1, T]."""
    sets = np.empty((1, probs.shape[1]), dtype=object)
    for column, p in enumerate(probs.T):
        sets[0, column] = set(vocabulary.ravel()[p >= p.max() - tolerance])
    return sets


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
    return np.asarray(np.where(x < -FAR, 0.0, 1 / (1 + np.exp(-np.maximum(x, -FAR)))))


def _when_numpy(control: Array, yes: Array, no: Array, word: str) -> Array:
    return np.asarray(np.where(meant(str(control[0, 0])) == word, yes, no))


def _when(row: Index, column: Index, control: View, yes: View, no: View, word: str) -> str:
    return f"IF({says(control.at(row, column), word)},{yes.at(row, column)},{no.at(row, column)})"


def _list(function: str) -> Callable[..., str]:
    """Formula of a function over the same cell of all operands."""

    def formula(row: Index, column: Index, *views: View) -> str:
        return f"{function}({','.join(view.at(row, column) for view in views)})"

    return formula


def _complaints_numpy(*controls: Array, limits: Sequence[tuple[str, Limits]]) -> Array:
    return np.array([[complaints([control[0, 0] for control in controls], limits)]], dtype=object)


def _complaints(row: Index, column: Index, *controls: View, limits: Sequence[tuple[str, Limits]]) -> str:
    return complaints_formula([control.at(row, column) for control in controls], limits)


# What is no result of an operation: nobody asks how it is computed.
GIVEN = Op("given", _nothing, _nothing, "", "Nothing computes it.")

_ALL = (
    Op(
        "number",
        lambda value: np.array([[value]]),
        lambda _row, _column, value: literal(value),
        literal,
        "A number in the formula itself.",
        gives=_of_a_number,
    ),
    Op(
        "add",
        np.add,
        _each("{0}+{1}", SUM, SUM),
        "{0} + {1}",
        "Element by element, the two are added.",
        SUM,
        joins=True,
    ),
    Op("sub", np.subtract, _each("{0}-{1}", SUM, PRODUCT), "{0} − {1}", "The second is taken from the first.", SUM),
    Op(
        "mul",
        np.multiply,
        _each("{0}*{1}", PRODUCT, PRODUCT),
        "{0} ⊙ {1}",
        "Element by element, the two are multiplied; a single row, column or number is used for all.",
        PRODUCT,
        gives=_of_a_product,
    ),
    Op(
        "div",
        np.divide,
        _each("{0}/{1}", PRODUCT, POWER),
        "{0} / {1}",
        "Each number is divided by its divisor.",
        PRODUCT,
    ),
    Op("pow", np.power, _each("{0}^{1}", ATOM, ATOM), "{0}^{1}", "The first to the power of the second.", POWER),
    Op("sqrt", np.sqrt, _each("SQRT({0})"), "√({0})", "The square root of each number."),
    Op("exp", np.exp, _each("EXP({0})"), "exp({0})", "e to the power of each number: always positive."),
    Op("log", np.log, _each("LN({0})"), "ln({0})", "The natural logarithm of each number."),
    Op("cos", np.cos, _each("COS({0})"), "cos({0})", "The cosine of each angle (radians)."),
    Op("sin", np.sin, _each("SIN({0})"), "sin({0})", "The sine of each angle (radians)."),
    Op("floor", np.floor, _each("INT({0})"), "⌊{0}⌋", "Each number without its fraction.", gives=Nature.WHOLE),
    Op(
        "sigmoid",
        _sigmoid,
        _each(f"IF({{0}}<-{FAR},0,1/(1+EXP(0-{{0}})))", PRODUCT),
        "σ({0})",
        "The logistic function 1/(1+e⁻ˣ): between 0 and 1.",
    ),
    Op(
        "silu",
        lambda x: x * _sigmoid(x),
        _each(f"IF({{0}}<-{FAR},0,{{0}}/(1+EXP(0-{{0}})))", POWER),
        "SiLU({0})",
        "x·σ(x): about 0 for negative x, about x for positive x.",
    ),
    Op(
        "relu",
        lambda x: np.maximum(x, 0.0),
        _each("IF({0}>0,{0},0)", SUM),
        "max({0}, 0)",
        "Negative numbers become 0.",
    ),
    Op(
        "relu2",
        lambda x: np.maximum(x, 0.0) ** 2,
        _each("IF({0}>0,{0},0)^2", SUM),
        "max({0}, 0)²",
        "Negative numbers become 0, the others their square.",
        POWER,
    ),
    Op(
        "gelu",
        lambda x: x * _normal_cdf(x),
        _each("{0}*NORMSDIST({0})", PRODUCT),
        "{0}·Φ({0})",
        "GELU, exact: x times the normal distribution's Φ(x).",
        PRODUCT,
    ),
    Op(
        "gelu_tanh",
        lambda x: 0.5 * x * (1 + np.tanh(GELU_TANH * x * (1 + 0.044715 * np.minimum(np.abs(x), FLAT) ** 2))),
        # Not the cube, which overflows where the tanh has long been 1.
        _each(f"0.5*{{0}}*(1+TANH({GELU_TANH!r}*{{0}}*(1+0.044715*IF(ABS({{0}})<{FLAT},{{0}},{FLAT})^2)))", ATOM),
        "½·{0}·(1 + tanh(√(2/π)·({0} + 0.044715·{0}³)))",
        "GELU by its usual approximation with tanh.",
        PRODUCT,
    ),
    Op(
        "less_equal",
        lambda a, b: (a <= b).astype(float),
        _each("1*({0}<={1})", SUM, SUM),
        "[{0} ≤ {1}]",
        "1 where it holds, else 0.",
        PRODUCT,
        gives=Nature.SWITCH,
    ),
    Op(
        "equal",
        lambda a, b: (a == b).astype(float),
        _each("1*({0}={1})", SUM, SUM),
        "[{0} = {1}]",
        "1 where both are equal, else 0.",
        PRODUCT,
        gives=Nature.ONE_HOT,
    ),
    Op(
        "same_words",
        lambda a, b: (a == b).astype(float),
        _each("IF(EXACT({0},{1}),1,0)"),  # LibreOffice shows 1*EXACT as FALSE
        "[{0} = {1}]",
        "1 where both are the same word, case and all, else 0.",
        PRODUCT,
        gives=Nature.ONE_HOT,
    ),
    Op(
        "less",
        lambda a, b: (a < b).astype(float),
        _each("1*({0}<{1})", SUM, SUM),
        "[{0} < {1}]",
        "1 where it holds, else 0.",
        PRODUCT,
        gives=Nature.SWITCH,
    ),
    Op(
        "masked",
        lambda mask, x: np.where(mask == 1, x, -np.inf),
        _each(f'IF({{0}}=1,{{1}},"{HIDDEN}")', SUM),
        "{1} where {0} = 1, else −∞",
        "Where the mask is 0 the score becomes minus infinity, so that its weight is exactly 0.",
        gives=lambda _mask, x: max(Nature.HELD, x),
        hides=True,
    ),
    Op(
        "choose",
        _choose_numpy,
        _each("IF({0}=1,{1},{2})", SUM),
        "{1} where {0} = 1, else {2}",
        "One or the other, element by element.",
        gives=_of_the_chosen,
        phrase=True,
    ),
    Op(
        "when",
        _when_numpy,
        _when,
        "{1} if {0} is {word}, else {2}",
        "One or the other, as the control says.",
        gives=_of_the_chosen,
        whole_branches=True,
        phrase=True,
    ),
    Op(
        "positive",
        lambda condition, yes, no: np.asarray(np.where(condition > 0, yes, no)),
        _each("IF({0}>0,{1},{2})", SUM),
        "{1} if {0} > 0, else {2}",
        "One or the other.",
        whole_branches=True,
        phrase=True,
    ),
    Op(
        "largest",
        lambda *parts: np.asarray(functools.reduce(np.maximum, parts)),
        _list("MAX"),
        lambda *names: f"max({', '.join(names)})",
        "The largest of them.",
        spread="cell",
    ),
    Op(
        "smallest",
        lambda *parts: np.asarray(functools.reduce(np.minimum, parts)),
        _list("MIN"),
        lambda *names: f"min({', '.join(names)})",
        "The smallest of them.",
        spread="cell",
    ),
    Op(
        "rounded",
        _rounded_numpy,
        _rounded,
        "{0} rounded",
        "As a real model keeps it: the nearest numbers that the format can hold; of two equally near the even one.",
        PRODUCT,
        gives=Nature.HELD,
        mark="≈",
    ),
    Op(
        "complaints",
        _complaints_numpy,
        _complaints,
        lambda *_names, **_limits: "what is wrong with the controls",
        "A hint, and what is wrong with the controls.",
        SUM,
        spread="cell",
        axes="scalar",
        gives=Nature.HELD,
        runs_on=True,
    ),
    Op(
        "link",
        lambda x: x.copy(),
        _each("{0}", ATOM),
        "{0}",
        "The same numbers, shown where they are used.",
        gives=moved,
        copies=True,
    ),
    Op(
        "matmul",
        np.matmul,
        _matmul,
        "{0} · {1}",
        "Each cell is the dot product of the row to its left and the column above it.",
        array=True,
        axes="product",
        gives=lambda a, b: a if b is Nature.ONE_HOT else Nature.FREE,
    ),
    Op(
        "transpose",
        lambda x: x.T.copy(),
        _transpose,
        "{0}ᵀ",
        "Rows and columns change places.",
        axes="transpose",
        gives=moved,
    ),
    Op(
        "rows",
        lambda x, start, stop: x[start:stop],
        _rows,
        "{0}[{start}]",
        "Some rows of it.",
        axes="columns",
        of_cells=True,
        gives=moved,
        cuts=True,
        range=lambda x, start, stop: x.part(slice(start, stop), ALL),
    ),
    Op(
        "columns",
        lambda x, start, stop: x[:, start:stop],
        _columns,
        "{0}[:, {start}]",
        "Some columns of it.",
        of_cells=True,
        gives=moved,
        cuts=True,
    ),
    Op(
        "patches",
        _patches_numpy,
        _patches,
        "patches of {0}",
        "Each column is one square of the image, read row by row.",
        spread="cell",
        of_cells=True,
        gives=moved,
    ),
    Op(
        "flatten",
        _flatten_numpy,
        _flatten,
        "blocks of {length} columns of {0}",
        "The columns of a block, one below the other: each cell is linked.",
        spread="cell",
        axes="scalar",
        of_cells=True,
        gives=moved,
    ),
    Op(
        "size",
        lambda x: np.array([[float(x.shape[0])]]),
        lambda _row, _column, view: f"ROWS({view.at(ALL, ALL)})",
        "rows({0})",
        "How many rows it has.",
        axes="scalar",
        of_cells=True,
        gives=Nature.WHOLE,
    ),
    Op(
        "shape",
        lambda x: np.array([[f"{x.shape[0]}×{x.shape[1]}"]], dtype=object),
        lambda _row, _column, view: 'ROWS({0})&"×"&COLUMNS({0})'.format(view.at(ALL, ALL)),
        "shape of {0}",
        "Its rows and columns.",
        SUM,
        axes="scalar",
        of_cells=True,
        gives=Nature.HELD,
    ),
    Op(
        "count",
        lambda *parts: np.array([[float(sum(part.size for part in parts))]]),
        lambda _row, _column, *views: f"COUNT({','.join(view.at(ALL, ALL) for view in views)})",
        lambda *names: f"count({', '.join(names)})",
        "How many numbers these blocks hold.",
        axes="scalar",
        of_cells=True,
        gives=Nature.WHOLE,
    ),
    Op(
        "sum",
        lambda x: x.sum(axis=0, keepdims=True),
        _column("SUM({0})"),
        "Σ {0}",
        "The sum of each column.",
        spread="cell",
        axes="columns",
        reduces=True,
        of_cells=True,
        gives=lambda x: Nature.WHOLE if x <= Nature.SWITCH else Nature.FREE,
    ),
    Op(
        "max",
        lambda x: x.max(axis=0, keepdims=True),
        _column("MAX({0})"),
        "max {0}",
        "The largest number of each column.",
        spread="cell",
        axes="columns",
        reduces=True,
        of_cells=True,
    ),
    Op(
        "mean",
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
    Op(
        "mean_square",
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
    Op(
        "rank",
        _rank_numpy,
        _rank,
        "rank of {0}",
        "How many entries of the column are larger (or equal and further up): 0 is the first.",
        SUM,
        spread="cell",
        gives=Nature.WHOLE,
    ),
    Op(
        "stack",
        lambda *parts: np.concatenate(parts, axis=0),
        _stacked,
        _listed("; "),
        "The parts, one below the other.",
        axes="columns",
        gives=moved,
        spread="cell",
        along="rows",
        range=_under_each_other,
    ),
    Op(
        "join",
        lambda *parts: np.concatenate(parts, axis=1),
        _joined,
        _listed(", "),
        "The parts, side by side.",
        gives=moved,
        spread="cell",
        along="columns",
    ),
    Op(
        "lookup",
        _lookup_numpy,
        _lookup,
        "position of {0} in {1}",
        "The id of the word: its place in the vocabulary, counted from 0.",
        SUM,
        spread="cell",
        array=True,
        axes="columns",
        gives=Nature.WHOLE,
    ),
    Op(
        "known",
        lambda ids, *_words, **_alike: np.full(ids.shape, "✓", dtype=object),
        _known,
        "{0} found?",
        "✗ marks a word that is not in the vocabulary.",
        spread="cell",
        array=True,
        axes="columns",
        gives=Nature.HELD,
    ),
    Op(
        "likeliest",
        _likeliest_numpy,
        _likeliest,
        "word with the largest {0}",
        "The most probable next word after each position.",
        spread="cell",
        axes="columns",
        reduces=True,
        of_cells=True,
        gives=Nature.HELD,
        ties=_ties,
    ),
)
OPS = {op.name: op for op in _ALL}
