"""The `formulas` package as the parser and the functions; the graph and the grids are ours.

Its own ExcelModel keeps a node for each cell, and needs minutes where this needs a second. Here the cells
stand in one grid of objects per sheet. In each formula the references are replaced by numbered placeholders;
what remains is compiled once, and called on slices of the grids in the order of the dependencies.
"""

from __future__ import annotations

import logging
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sheetgen.base.cells import Range, parse_range
from sheetgen.engines import EngineError
from sheetgen.engines.quiet import quiet
from sheetgen.engines.values import MAX_GRID, Values, cut, grid_of
from sheetgen.xlsx.parts import MAX_CELLS, MAX_TEXT, ErrorValue
from sheetgen.xlsx.read import Book, Formula, Sheet, read_book


class _Deferred(ModuleType):
    """Stands in for a module of scipy, which is imported when something of it is used."""

    def __init__(self, name: str, functions: Sequence[str] = ()) -> None:
        super().__init__(name)
        for function in functions:  # those taken by `from … import`, at once
            setattr(self, function, lambda *a, _f=function, **k: getattr(self._module(), _f)(*a, **k))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked by the import system, not by the user
            raise AttributeError(name)
        return getattr(self._module(), name)

    def _module(self) -> ModuleType:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return import_module(self.__name__)


@contextmanager
def _scipy_deferred() -> Iterator[None]:
    """While this is entered, `formulas` gets stand-ins for scipy: importing scipy.stats takes a second."""
    deferred = [
        module
        for module in (
            _Deferred("scipy.stats"),
            _Deferred("scipy.linalg"),
            _Deferred("scipy.interpolate", ["interp1d"]),
        )
        if module.__name__ not in sys.modules
    ]
    sys.modules.update({module.__name__: module for module in deferred})
    try:
        yield
    finally:
        for module in deferred:
            if sys.modules.get(module.__name__) is module:
                del sys.modules[module.__name__]


with _scipy_deferred():
    import schedula
    from formulas.cell import CELL
    from formulas.errors import BroadcastError
    from formulas.functions import get_functions
    from formulas.parser import Parser
    from formulas.ranges import Ranges
    from formulas.tokens.operand import Error, XlError

    get_functions()  # imports the modules of functions, which otherwise the first formula does

# A failing function is told as a problem of its cell; schedula would print a traceback besides.
logging.getLogger("schedula").setLevel(logging.CRITICAL)

EMPTY = schedula.EMPTY
NA, VALUE, NUM, NAME = (Error.errors[text] for text in ("#N/A", "#VALUE!", "#NUM!", "#NAME?"))
CYCLE = XlError("#CYCLE!")

_PIECE = re.compile(
    r"""
    "(?:[^"]|"")*"                                          # a text
  | \#[A-Z0-9/]+[!?]?                                       # an error value
  | [0-9]+(?:\.[0-9]*)?(?:E[+-]?[0-9]+)?                    # a number
  | (?P<sheet>(?:'(?:[^']|'')+'|[^\W\d][\w.]*)!)?
    (?:(?P<cells>\$?[A-Z]{1,3}\$?[0-9]{1,7}(?::\$?[A-Z]{1,3}\$?[0-9]{1,7})?)(?![\w.(])
      |(?P<word>[^\W\d][\w.\\]*)(?P<call>\()?)            # a name or a function
    """,
    re.VERBOSE | re.IGNORECASE,
)
# Functions that look at the addresses of their argument, not at its values.
_TAKES_RANGES = re.compile(r"\b(?:ROWS?|COLUMNS?|AREAS|SINGLE)\(|@", re.IGNORECASE)
# Those that look at the address of the formula itself.
_TAKES_OWN_CELL = re.compile(r"\b(?:ROW|COLUMN)\(\s*\)|\bSINGLE\(|@", re.IGNORECASE)


# What is computed: functions that need no more time and memory than their arguments. The package knows others, by
# which a short formula could ask for a terabyte (REPT, MAKEARRAY) or for years (FACT, REGEXTEST).
COMPUTED = frozenset(
    """
    ABS ACOS ACOSH AND ASIN ASINH ATAN ATAN2 ATANH AVEDEV AVERAGE AVERAGEA AVERAGEIF AVERAGEIFS CEILING CHAR CHOOSE
    CODE COLUMN COLUMNS CONCAT CONCATENATE CORREL COS COSH COUNT COUNTA COUNTBLANK COUNTIF COUNTIFS COVARIANCE.P
    COVARIANCE.S DEGREES DEVSQ ERF ERF.PRECISE ERFC EVEN EXACT EXP FALSE FIND FIXED FLOOR FLOOR.MATH GEOMEAN HARMEAN
    HLOOKUP HYPERLINK IF IFERROR IFNA IFS INDEX INT ISBLANK ISERR ISERROR ISEVEN ISLOGICAL ISNA ISNONTEXT ISNUMBER
    ISODD ISTEXT KURT LARGE LEFT LEN LN LOG LOG10 LOOKUP LOWER MATCH MAX MAXA MAXIFS MDETERM MEDIAN MID MIN MINA
    MINIFS MINVERSE MMULT MOD MROUND N NA NORM.DIST NORM.S.DIST NORMSDIST NOT ODD OR PERCENTILE PERCENTILE.INC PI
    POWER PRODUCT QUARTILE RADIANS RANK RANK.AVG RANK.EQ RIGHT ROUND ROUNDDOWN ROUNDUP ROW ROWS SIGN SIN SINGLE SINH
    SKEW SMALL SQRT STANDARDIZE STDEV STDEV.P STDEV.S STDEVP SUM SUMIF SUMIFS SUMPRODUCT SUMSQ SUMX2MY2 SUMX2PY2
    SUMXMY2 SWITCH T TAN TANH TEXT TRANSPOSE TRIM TRUE TRUNC UNICHAR UNICODE UPPER VALUE VAR VAR.P VAR.S VARP VLOOKUP
    XLOOKUP XMATCH XOR
    """.split()  # noqa: SIM905 - a hundred quotes would not read better
)
_CALL = re.compile(r'"(?:[^"]|"")*"|([A-Z_][\w.]*)\(', re.IGNORECASE)
_PREFIX = re.compile(r"^(?:_XLFN\.|_XLWS\.)+")
_SIGN = re.compile(r"[\w.]+|[^\w\s]")

# Budgets, so that no file takes long: none of ours needs a tenth. To parse a formula costs the square of its signs.
MAX_PARSED = 10_000_000
PER_TEMPLATE = 10_000
KEPT = 2_000  # templates whose functions are remembered: those of a workbook at its budget, twice
MAX_READ, PER_CELL = 2_000_000, 200  # cells that formulas may read in all, at least and per filled cell


class _FormulaError(Exception):
    """A formula that cannot be computed: the error value its cells get, and why."""

    def __init__(self, error: Any, reason: str) -> None:
        super().__init__(reason)
        self.error = error


Function = Callable[[list[np.ndarray], list[Range]], np.ndarray]


def recompute(path: Path, book: Book | None = None) -> Values:
    """Every formula of the workbook computed anew, when it is asked for; EngineError for what is beyond the budgets.

    A formula that fails gives an error value to its own cells (`#NAME?`, `#VALUE!`, or `#CYCLE!` where
    formulas need each other) and a line among the problems; what depends on it is computed with that error.
    """
    return _OnDemand(book or read_book(path))


class _OnDemand(Values):
    """Values that are computed when they are first asked for, with what they need; nothing is computed twice.

    Who proves a model so does not wait for what only tells about it, such as how far each part has moved.
    """

    def __init__(self, book: Book) -> None:
        self._grids = _grids(book)
        self._formulas = [formula for sheet in book.sheets.values() for formula in sheet.formulas]
        split = _Splitter(book)
        self._pieces = [split(formula) for formula in self._formulas]
        _within_budgets(book, self._pieces)
        self._owners = _owners(self._grids, self._formulas)
        self._needs = _needs(self._owners, [ranges for _, ranges in self._pieces])
        self._order = _Order(self._needs)
        self._shown = {name: _constants(sheet, self._grids[name]) for name, sheet in book.sheets.items()}
        self._problems: list[str] = []

    @property
    def sheets(self) -> Mapping[str, np.ndarray]:
        self._compute(range(len(self._formulas)))
        return self._shown

    @property
    def problems(self) -> tuple[str, ...]:
        self._compute(range(len(self._formulas)))
        return tuple(self._problems)

    def range(self, area: Range) -> np.ndarray:
        owners = self._owners[area.sheet][area.top : area.bottom + 1, area.left : area.right + 1]
        self._compute(number for number in np.unique(owners).tolist() if number >= 0)
        return cut(self._shown[area.sheet], area, None)

    def _compute(self, wanted: Iterable[int]) -> None:
        groups = list(self._order.groups(wanted))
        if not groups:
            return
        with quiet(), np.errstate(all="ignore"):  # what overflows becomes #NUM!
            for group in groups:
                if len(group) > 1 or group[0] in self._needs[group[0]]:
                    cells = _listed(self._formulas[i].range for i in group)
                    self._problems.append(f"{cells}: a circle, computed from its own result")
                    for i in group:
                        self._fill(self._formulas[i].range, CYCLE)
                    continue
                formula, (template, ranges) = self._formulas[group[0]], self._pieces[group[0]]
                own = formula.range if _TAKES_OWN_CELL.search(template) else None
                try:
                    _refuse_huge(template, ranges)
                    values = [_take(self._grids, area) for area in ranges]
                    result = _fit(_compile(template, len(ranges), own)(values, ranges), formula)
                except _FormulaError as failure:
                    self._problems.append(f"{formula.range}: {formula.text} {failure}")
                    result = failure.error
                self._fill(formula.range, result)

    def _fill(self, area: Range, result: Any) -> None:
        """The result of a formula, for the formulas that need it and for those who ask."""
        _put(self._grids, area, result)
        _put(self._shown, area, mapped(outward, _take(self._grids, area)))


def _within_budgets(book: Book, pieces: list[tuple[str, list[Range]]]) -> None:
    """Raise EngineError for more work than any model asks for; nothing has been parsed or computed before."""
    filled = sum(len(sheet.cells) + len(sheet.formula_at) for sheet in book.sheets.values())
    sizes = (area.rows * area.columns for _, ranges in pieces for area in ranges)
    reads = sum(size for size in sizes if size <= MAX_CELLS)  # others are refused one by one
    if reads > MAX_READ + PER_CELL * filled:
        raise EngineError(f"the formulas of {book.path} read {reads:,} cells: too much to compute; make them smaller")
    cost = sum(PER_TEMPLATE + len(_SIGN.findall(template)) ** 2 for template in {template for template, _ in pieces})
    if cost > MAX_PARSED:
        raise EngineError(
            f"{book.path} has too many different or too long formulas to compute: try --engine libreoffice"
        )


def _refuse_huge(template: str, ranges: list[Range]) -> None:
    """No result, also on the way to it, is larger than the longest side of its ranges by the widest."""
    rows, columns = max((r.rows for r in ranges), default=1), max((r.columns for r in ranges), default=1)
    if "TRANSPOSE" in template.upper():
        rows = columns = max(rows, columns)
    if rows * columns > MAX_CELLS:
        raise _FormulaError(VALUE, f"may compute {rows:,}×{columns:,} values, which is too large")


def _listed(ranges: Iterable[Range], most: int = 10) -> str:
    names = sorted(map(str, ranges))
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _grids(book: Book) -> dict[str, np.ndarray]:
    grids: dict[str, np.ndarray] = {}
    for name, sheet in book.sheets.items():
        grids[name] = _grid(sheet)
        if sum(grid.size for grid in grids.values()) > MAX_GRID:
            raise EngineError(f"the sheets of {book.path} are too large to recompute: clear far-away cells")
    return grids


def _grid(sheet: Sheet) -> np.ndarray:
    """The constants of a sheet in a grid that has room for its formulas."""
    cells: dict[tuple[int, int], object] = {(f.range.bottom, f.range.right): EMPTY for f in sheet.formulas}
    for cell, value in sheet.cells.items():
        cells[cell] = Error.errors.get(value, value) if isinstance(value, ErrorValue) else value
    return grid_of(cells, EMPTY)


def _take(grids: Mapping[str, np.ndarray], area: Range) -> np.ndarray:
    return cut(grids[area.sheet], area, EMPTY)


def _put(grids: Mapping[str, np.ndarray], area: Range, values: Any) -> None:
    grids[area.sheet][area.top : area.bottom + 1, area.left : area.right + 1] = values


def _constants(sheet: Sheet, grid: np.ndarray) -> np.ndarray:
    """What is filled without formulas as `Values` shows it, in the shape of the grid."""
    found = np.empty(grid.shape, object)  # of None
    for cell, value in sheet.cells.items():
        found[cell] = outward(value)
    return found


def outward(value: Any) -> Any:
    """A value of a cell as `Values` shows it."""
    if value is EMPTY:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, XlError):
        return str(value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def mapped(convert: Callable[[Any], Any], values: np.ndarray) -> np.ndarray:
    """`convert` of every value."""
    found = np.empty(values.shape, object)
    found[...] = np.frompyfunc(convert, 1, 1)(values)  # which gives no array for an array without shape
    return found


class _Splitter:
    """Splits a formula into a template, with placeholders for references, and the ranges these stand for."""

    def __init__(self, book: Book) -> None:
        self._names = {name.casefold(): area for name, area in book.names.items()}
        self._sheets = {name.casefold(): name for name in book.sheets}
        self._area = lru_cache(maxsize=None)(self._parse)  # a reference stands in many formulas

    def __call__(self, formula: Formula) -> tuple[str, list[Range]]:
        """`=A1*Model!B2:C3+A1` → `=_0!A1*_1!A1+_0!A1`, [A1, Model!B2:C3].

        What is no range of this workbook stays in the template, where the parser takes offence at it.
        """
        numbers: dict[Range, int] = {}

        def placeholder(match: re.Match[str]) -> str:
            sheet, cells, word, call = match.group("sheet", "cells", "word", "call")
            if cells:
                area = self._area(sheet or formula.range.sheet, cells)
            elif word and not sheet and not call:
                area = self._names.get(word.casefold())
            else:
                area = None
            if area is None:
                return match.group()
            return f"_{numbers.setdefault(area, len(numbers))}!A1"

        template = _PIECE.sub(placeholder, formula.text)
        return template, list(numbers)

    def _parse(self, sheet: str, cells: str) -> Range | None:
        if sheet.endswith("!"):
            sheet = sheet[:-1]
            if sheet.startswith("'"):
                sheet = sheet[1:-1].replace("''", "'")
        known = self._sheets.get(sheet.casefold())
        return parse_range(cells.upper(), known) if known is not None else None


def _owners(grids: Mapping[str, np.ndarray], formulas: list[Formula]) -> dict[str, np.ndarray]:
    """For each cell the number of the formula that fills it, or -1."""
    owners = {name: np.full(grid.shape, -1, np.int32) for name, grid in grids.items()}
    for number, formula in enumerate(formulas):
        _put(owners, formula.range, number)
    return owners


def _needs(owners: Mapping[str, np.ndarray], references: list[list[Range]]) -> list[set[int]]:
    """For each formula the numbers of the formulas whose cells it refers to."""
    needs = []
    for ranges in references:
        needed: set[int] = set()
        for area in ranges:
            if area.rows * area.columns > MAX_CELLS:  # such a formula is not computed
                continue
            owner = owners[area.sheet][area.top : area.bottom + 1, area.left : area.right + 1]
            needed.update(owner.ravel().tolist() if owner.size < 64 else np.unique(owner).tolist())
        needed.discard(-1)
        needs.append(needed)
    return needs


class _Order:
    """The nodes of a graph in an order to compute them, those of a cycle together in one list; each is told once.

    Tarjan's strongly connected components, without recursion; each comes after those that it needs.
    """

    def __init__(self, needs: list[set[int]]) -> None:
        self._needs = needs
        self._found = [0] * len(needs)  # in which order nodes are met; 0: not yet
        self._lowest = [0] * len(needs)  # the earliest open node that can be reached
        self._done = [False] * len(needs)
        self._count = 0

    def groups(self, roots: Iterable[int]) -> Iterator[list[int]]:
        """The roots and what they need, but for what has been told before."""
        needs, found, lowest, done = self._needs, self._found, self._lowest, self._done
        opened: list[int] = []
        for root in roots:
            path = [] if found[root] else [(root, iter(needs[root]))]
            while path:
                node, rest = path[-1]
                if not found[node]:
                    self._count += 1
                    found[node] = lowest[node] = self._count
                    opened.append(node)
                for other in rest:
                    if not found[other]:
                        path.append((other, iter(needs[other])))
                        break
                    if not done[other]:
                        lowest[node] = min(lowest[node], found[other])
                else:
                    path.pop()
                    if path:
                        parent = path[-1][0]
                        lowest[parent] = min(lowest[parent], lowest[node])
                    if lowest[node] == found[node]:
                        start = next(i for i in range(len(opened) - 1, -1, -1) if opened[i] == node)
                        group, opened[start:] = opened[start:], []
                        for member in group:
                            done[member] = True
                        yield group


@lru_cache(maxsize=KEPT)  # parsing costs as much as computing, and workbooks have most of their templates in common
def _compile(template: str, count: int, own: Range | None) -> Function:
    """The function of the values of `count` references that the template stands for.

    What is wrong with the template is raised when the function is called.
    """
    for call in _CALL.finditer(template):
        if call.group(1) and _PREFIX.sub("", call.group(1).upper()) not in COMPUTED:
            return _failing(f"calls {call.group(1)[:40]}, which is not computed here")
    try:
        builder = Parser().ast(template)[1]
        call = builder.compile(**({} if own is None else {CELL: Ranges().push(own.a1)}))
    except Exception as error:  # noqa: BLE001 - the library raises many kinds, some by accident; nothing of ours runs
        return _failing(f"cannot be parsed ({type(error).__name__})")
    places = [f"_{number}!A1" for number in range(count)]
    for name in call.inputs:
        if name not in places:
            return _failing(f"refers to {name}, which is no range of this workbook")
    steps, constants, output = _steps(call)
    takes_ranges = _TAKES_RANGES.search(template) is not None

    def function(values: list[np.ndarray], ranges: list[Range]) -> np.ndarray:
        known = dict(constants)
        for place, value, area in zip(places, values, ranges, strict=True):
            known[place] = Ranges().push(area.a1, value) if takes_ranges else value
        for step, inputs, name in steps:
            arguments = [known[each] for each in inputs]
            try:
                known[name] = step(*arguments)
            except NotImplementedError:
                raise _FormulaError(NAME, "uses a function that the package formulas does not know") from None
            except BroadcastError:
                raise _FormulaError(VALUE, "combines ranges whose shapes do not fit") from None
            except Exception as error:  # noqa: BLE001 - whatever a function of the library raises; nothing of ours runs
                raise _FormulaError(VALUE, f"cannot be computed ({type(error).__name__})") from None
        result = known[output]
        return np.atleast_2d(np.asarray(result.value if isinstance(result, Ranges) else result))

    return function


def _failing(reason: str) -> Function:
    def function(_values: list[np.ndarray], _ranges: list[Range]) -> np.ndarray:
        raise _FormulaError(NAME, reason)

    return function


def _steps(call: Any) -> tuple[list[tuple[Callable[..., Any], list[str], str]], dict[str, Any], str]:
    """A compiled formula as its functions in order, its constants, and the name of its result.

    Calling it as schedula does costs more than the functions themselves: it finds the order each time.
    """
    makers = {node["outputs"][0]: node for node in call.dsp.function_nodes.values()}
    steps: dict[str, tuple[Callable[..., Any], list[str], str]] = {}

    def visit(name: str) -> None:
        if name in makers and name not in steps:
            inputs = makers[name]["inputs"]
            for each in inputs:
                visit(each)
            steps[name] = (makers[name]["function"], inputs, name)

    output = call.outputs[0]
    visit(output)
    constants = {name: default["value"] for name, default in call.dsp.default_values.items()}
    return list(steps.values()), constants, output


def _fit(result: np.ndarray, formula: Formula) -> Any:
    """The result in the shape of the formula's range, as Excel fills it.

    A row, a column or a value is repeated, what is too large is cut off, what is missing is #N/A. A plain
    formula has one cell and takes no array.
    """
    rows, columns = formula.range.shape
    if not formula.array and result.shape != (1, 1):
        raise _FormulaError(VALUE, f"gives {result.shape[0]}×{result.shape[1]} values in one cell")
    if result.dtype.kind == "f" and np.isfinite(result).all():
        result = result.astype(object)
    else:
        result = mapped(_plain, result.astype(object))
    if result.shape == (rows, columns):
        return result
    result = np.repeat(result, rows, axis=0) if result.shape[0] == 1 else result[:rows]
    result = np.repeat(result, columns, axis=1) if result.shape[1] == 1 else result[:, :columns]
    fitted = np.empty((rows, columns), object)
    fitted.fill(NA)
    fitted[: result.shape[0], : result.shape[1]] = result
    return fitted


def _plain(value: Any) -> Any:
    """One value of a result as a cell holds it: float, int, str, bool or an error."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is EMPTY:
        return 0.0
    if isinstance(value, str):  # errors too
        return value if len(value) <= MAX_TEXT else VALUE
    if isinstance(value, int | float) and math.isfinite(value):
        return value
    return NUM if isinstance(value, int | float | complex) else VALUE
