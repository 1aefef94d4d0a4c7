"""Formulas × shapes, each alone in its block, recomputed by every engine that is installed, against NumPy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
import xlsxwriter
from helpers import installed, needs_libreoffice

from sheetgen import engines
from sheetgen.base.cells import Range, parse_range
from sheetgen.engines import ENGINES, EngineError, EngineUnavailable, available
from sheetgen.engines import formulas as formulas_engine
from sheetgen.engines import libreoffice as libreoffice_engine
from sheetgen.engines.libreoffice import recalculated_copy
from sheetgen.engines.uncached import drop_cached_values
from sheetgen.engines.values import Values
from sheetgen.xlsx.read import BookError, read_book

pytestmark = pytest.mark.xdist_group("engines")  # each engine computes the cases once

WRONG = -99.5  # the cached value of every formula here: no engine may pass it on
INPUTS = "Some data"

A = np.array([[0.1, -0.1, 0.6, 0.1], [-0.5, 0.4, 1.3, 0.9], [-0.7, -1.3, -0.6, 0.0]])
B = np.array([[0.5, -1], [2, 0], [1, 3], [-0.5, 0.2]])
COLUMN = np.array([[1.0], [2], [3]])
ROW = np.array([[0.0, 1, 2, 3]])
IDS = np.array([[3.0, 1, 2, 3, 0]])
FLAGS = np.array([[True], [False], [True]])
WORDS = np.array([["the"], ["Cat"], ["?"], ["a*"], ["~"], ["the"]], object)
GAPS = np.array([[1, None], [None, 2]], object)
POS = np.abs(A) + 0.5

# Name: the corner on the sheet of inputs, and the contents.
BLOCKS: dict[str, tuple[int, int, np.ndarray]] = {
    "A": (0, 0, A),
    "B": (4, 0, B),
    "COL": (0, 5, COLUMN),
    "ROW_": (9, 0, ROW),
    "IDS": (11, 0, IDS),
    "FLAGS": (0, 7, FLAGS),
    "WORDS": (0, 9, WORDS),
    "GAPS": (0, 11, GAPS),
    "POS": (14, 0, POS),
    "ONE": (18, 0, np.array([[2.5]])),
}


@dataclass(frozen=True)
class Case:
    """A formula over the blocks (`{A}`) and what it gives; some engines are known not to agree."""

    formula: str
    expected: Any
    but: tuple[str, ...] = ()


IRON = ("ironcalc",)  # no arrays in this function
SPILL = ("ironcalc", "formulon")  # an array is as large as it is: no repetition over a larger range
FORMULAS = ("formulas", "formulas-model")
MODEL = ("formulas-model",)

CASES = [
    # products
    Case("=MMULT({A},{B})", A @ B),
    Case("=MMULT(TRANSPOSE({A}),{COL})", A.T @ COLUMN),
    Case("=MMULT({A},TRANSPOSE({A}))", A @ A.T),
    Case("=TRANSPOSE({A})", A.T),
    Case("=TRANSPOSE({WORDS})", WORDS.T),
    Case("=MMULT(1*({COL}={IDS}),TRANSPOSE({IDS}))", (COLUMN == IDS) @ IDS.T),
    Case("=MMULT(1*{GAPS},1*{GAPS})", [[1, 0], [0, 4]]),
    Case("=SUM(MMULT({ROW_},{B}))", (ROW @ B).sum()),
    # arithmetic, with a row, a column, a number
    Case("={A}+{POS}", A + POS),
    Case("={A}+{COL}", A + COLUMN),
    Case("={A}*{ROW_}", A * ROW),
    Case("={COL}+{ROW_}", COLUMN + ROW),
    Case("={A}/{ONE}-2", A / 2.5 - 2),
    Case("={A}^2", A**2),
    Case("=-{COL}^2", COLUMN**2),  # Excel's minus binds tighter
    Case("=0-{COL}^2", -(COLUMN**2)),
    Case("=2^3^2", 64),
    Case("={A}*50%", A / 2),
    Case("={POS}^0.5", np.sqrt(POS)),
    Case("=1E-20*1", 1e-20),
    Case("=0.1+0.2", 0.1 + 0.2),
    Case("={A}", A),
    # repeated over the range
    Case("={COL}*1", np.repeat(COLUMN, 4, 1), SPILL),
    Case("={ROW_}*1", np.repeat(ROW, 3, 0), SPILL),
    Case("=7", np.full((2, 2), 7.0), SPILL),
    Case("={A}*1", A[:2, :2], MODEL),  # cut off
    # functions of each element
    Case("=EXP({A})", np.exp(A)),
    Case("=LN({POS})", np.log(POS)),
    Case("=SQRT({POS})", np.sqrt(POS)),
    Case("=SIN({A})+COS({A})", np.sin(A) + np.cos(A)),
    Case("=TANH({A})", np.tanh(A)),
    Case("=ABS({A})", abs(A)),
    Case("=SIGN({A})", np.sign(A)),
    Case("=MOD({A},2)", A % 2, IRON),
    Case("=INT({A})", np.floor(A)),
    Case("=POWER({A},3)", A**3),
    Case("=1/(1+EXP(0-{A}))", 1 / (1 + np.exp(-A))),
    # of a range
    Case("=SUM({A})", A.sum()),
    Case("=SUMSQ({A})", (A**2).sum()),
    Case("=MAX({A})-MIN({A})", A.max() - A.min()),
    Case("=AVERAGE({A})", A.mean()),
    Case("=AVERAGE({GAPS})", 1.5),
    Case("=SUMPRODUCT({COL},{COL})", 14),
    Case("=SUMPRODUCT(1*({COL}>1))", 2),
    Case("=SUM(1*({COL}>1))", 2),
    Case("=SUM(--({COL}>1))", 2, FORMULAS),  # `--` leaves booleans, which SUM skips
    Case("=LARGE({A},2)", 0.9),
    Case("=LARGE({A},{COL})", [[1.3], [0.9], [0.6]], IRON),
    Case("=RANK(1,{IDS})", 4),
    Case("=RANK({IDS},{IDS})", [[1, 4, 3, 1, 5]], SPILL),
    Case("=ROWS({A})*10+COLUMNS({A})", 34),
    Case("=SQRT(ROWS({A}))*{A}", np.sqrt(3) * A),
    Case("=ROW({COL})", COLUMN),
    Case("=COLUMN({A})", [[1, 2, 3, 4]]),
    Case("=1*(ROW({COL})<=COLUMN({A}))", np.triu(np.ones((3, 4)))),
    # choice
    Case("=IF({COL}<={ROW_},{A},-1E+9)", np.where(COLUMN <= ROW, A, -1e9)),
    Case("=IF({A}>0,{COL},{ROW_})", np.where(A > 0, COLUMN, ROW)),
    Case("=IF({FLAGS},1,0)", FLAGS * 1.0),
    Case("={COL}>1", COLUMN > 1),
    Case("=AND({COL}>0,{COL}<4)", True),
    Case("=OR({COL}>2)", True),
    Case("={FLAGS}+{FLAGS}", FLAGS * 2.0),
    Case("=IFERROR(1/{ROW_},-7)", [[-7, 1, 1 / 2, 1 / 3]]),
    Case("=CHOOSE({COL},10,20,30)", COLUMN * 10),
    Case("=INDEX({COL},2)", 2),
    Case("=INDEX({ROW_},3)", 2),
    Case("=INDEX({A},2,3)", 1.3),
    Case("=INDEX({A},2,0)", A[1:2], FORMULAS),  # one element
    Case("=INDEX({WORDS},2)", "Cat"),
    Case("=MATCH(2,{IDS},0)", 3),
    Case("=MATCH({COL},{IDS},0)", [[2], [3], [1]], IRON),
    Case("=1*ISNA(MATCH(7,{IDS},0))", 1),
    Case("=COUNTIF({IDS},3)", 2),
    Case("=COUNTIF({IDS},{COL})", [[1], [1], [2]], IRON),
    # texts
    Case('=MATCH("CAT",{WORDS},0)', 2),
    Case('=MATCH("the",{WORDS},0)', 1),
    Case('=MATCH("c?t",{WORDS},0)', 2),
    Case('=MATCH("?",{WORDS},0)', 3),
    Case('=MATCH("~?",{WORDS},0)', 3),
    Case('=MATCH("a~*",{WORDS},0)', 4),
    Case('=MATCH("~~",{WORDS},0)', 5, FORMULAS),  # do not know that ~ hides ~
    Case('=ISNA(MATCH("dog",{WORDS},0))', True),
    Case('=MATCH(1,1*EXACT("Cat",{WORDS}),0)', 2),
    Case('=MATCH(1,1*EXACT("~",{WORDS}),0)', 5),
    Case('=ISNA(MATCH(1,1*EXACT("cat",{WORDS}),0))', True),
    Case('=SUMPRODUCT(1*EXACT({WORDS},"the"))', 2),
    Case('=COUNTIF({WORDS},"THE")', 2),
    Case('=1*({WORDS}="THE")', [[1], [0], [0], [0], [0], [1]]),
    Case('=EXACT("the","The")', False),
    Case(
        '=SUBSTITUTE(SUBSTITUTE({WORDS},"~","~~"),"?","~?")',
        [["the"], ["Cat"], ["~?"], ["a*"], ["~~"], ["the"]],
        ("formulas",),  # is not computed: nested, it makes a gigabyte from a line
    ),
    Case('=INDEX({WORDS},1)&" "&INDEX({IDS},1)', "the 3"),
    Case('={WORDS}&"!"', WORDS + "!"),
    Case('=TEXT(0.12345,"0.00")', "0.12"),
    Case('=TEXT({ONE},"0.0")', "2.5"),
    # empty cells
    Case("={GAPS}+1", [[2, 1], [1, 3]]),
    Case("={GAPS}", [[1, 0], [0, 2]]),
    Case("=COUNT({GAPS})", 2),
    # errors
    Case("=MMULT({GAPS},{GAPS})", [["#VALUE!"] * 2] * 2, SPILL),
    Case("={A}/{ROW_}", [["#DIV/0!", *(row[1:] / ROW[0, 1:])] for row in A]),
    Case("=NA()", "#N/A"),
    Case("=EXP(1000)", "#NUM!"),
    Case("=0-SQRT(0-4)", "#NUM!", ("libreoffice",)),  # #VALUE! there
    Case("=INDEX({WORDS},1)+1", "#VALUE!"),
]


def place(name: str) -> Range:
    top, left, block = BLOCKS[name]
    return Range(INPUTS, top, left, top + block.shape[0] - 1, left + block.shape[1] - 1)


def with_inputs(path: Path) -> tuple[Any, Any]:
    """A workbook with the blocks on its first sheet, and an empty second sheet for formulas."""
    workbook = xlsxwriter.Workbook(str(path))
    sheet = workbook.add_worksheet(INPUTS)
    for name, (top, left, block) in BLOCKS.items():
        for (row, column), value in np.ndenumerate(block):
            if value is not None:
                sheet.write(top + row, left + column, value.item() if isinstance(value, np.generic) else value)
        workbook.define_name(f"block__{name}", "=" + place(name).absolute)
    return workbook, workbook.add_worksheet("Cases")


def write_array(sheet: Any, area: Range, formula: str) -> None:
    """A dynamic array formula over its full range, with wrong values in all its cells, texts among them."""
    sheet.write_dynamic_array_formula(area.top, area.left, area.bottom, area.right, formula, None, WRONG)
    for row in range(area.top, area.bottom + 1):
        for column in range(area.left, area.right + 1):
            if (row, column) != (area.top, area.left):
                sheet.write(row, column, WRONG if (row + column) % 3 else "wrong")


def target_of(number: int, case: Case) -> Range:
    rows, columns = np.atleast_2d(np.asarray(case.expected, object)).shape
    return Range("Cases", 8 * number, 0, 8 * number + rows - 1, columns - 1)


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("engines") / "cases (ä, #1 & 100%).xlsx"
    workbook, sheet = with_inputs(path)
    for number, case in enumerate(CASES):
        references = {name: place(name).seen_from("Cases") for name in BLOCKS}
        write_array(sheet, target_of(number, case), case.formula.format(**references))
    workbook.close()
    return path


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if not installed(name):
        pytest.skip(f"{name} is not installed")
    return name


@pytest.fixture(scope="session")
def recomputed(engine: str, cases: Path) -> Values:
    return ENGINES[engine](cases)


def agrees(found: np.ndarray, expected: Any) -> bool:
    """Numbers to 1e-12, texts and errors exactly; LibreOffice shows a truth value as 1 or 0."""
    wanted = np.atleast_2d(np.asarray(expected, object))
    if found.shape != wanted.shape:
        return False
    return all(
        got == want
        if isinstance(want, str)
        else isinstance(got, float | bool) and abs(got - want) <= 1e-12 * max(1, abs(want))
        for got, want in zip(found.flat, wanted.flat, strict=True)
    )


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.formula for case in CASES])
def test_agrees_with_numpy(engine: str, recomputed: Values, number: int, request: pytest.FixtureRequest) -> None:
    """An engine that is known to differ must: one that has been mended is noticed."""
    case = CASES[number]
    found = recomputed.range(target_of(number, case))
    if engine in case.but:
        known = f"{engine} is known to differ: {found.tolist()}"
        request.applymarker(pytest.mark.xfail(reason=known, raises=AssertionError, strict=True))
    assert agrees(found, case.expected), found.tolist()


def test_constants_come_back(recomputed: Values) -> None:
    assert agrees(recomputed.range(place("A")), A)
    assert agrees(recomputed.range(place("WORDS")), WORDS)
    assert recomputed.range(place("GAPS")).tolist() == GAPS.tolist()
    assert recomputed.range(Range(INPUTS, 900, 0, 900, 1)).tolist() == [[None, None]]
    assert type(recomputed.range(place("FLAGS"))[0, 0]) is bool


def test_names_other_sheets_and_chains(engine: str, tmp_path: Path) -> None:
    """Formulas written in the order opposite to that of their dependencies, plain ones among them."""
    path = tmp_path / "chain.xlsx"
    workbook, sheet = with_inputs(path)
    sheet.write_formula("A1", "=SUM(C1:D3)+B1", None, WRONG)
    sheet.write_formula("B1", "=block__ONE*2", None, WRONG)
    write_array(sheet, Range("Cases", 0, 2, 2, 3), "=block__S/COLUMNS(block__a)")
    write_array(sheet, Range("Cases", 5, 0, 7, 1), f"=MMULT(block__A,'{INPUTS}'!$A$5:$B$8)")
    workbook.define_name("block__S", "=Cases!$A$6:$B$8")
    workbook.close()
    values = ENGINES[engine](path)
    assert agrees(values.range(Range("Cases", 5, 0, 7, 1)), A @ B)
    assert agrees(values.range(Range("Cases", 0, 2, 2, 3)), A @ B / 4)
    assert agrees(values.range(Range("Cases", 0, 0, 0, 1)), [[(A @ B).sum() / 4 + 5, 5]])


def test_a_book_already_read_is_not_read_again(cases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = read_book(cases)
    monkeypatch.setattr(openpyxl, "load_workbook", None)
    assert agrees(ENGINES["formulas"](cases, book).range(target_of(0, CASES[0])), A @ B)


def test_a_file_that_is_no_workbook(engine: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.xlsx"
    path.write_text("hello")
    with pytest.raises(BookError, match=r"is no \.xlsx"):
        ENGINES[engine](path)


def test_a_cell_far_away_is_refused(engine: str, tmp_path: Path) -> None:
    path = tmp_path / "far.xlsx"
    workbook, sheet = with_inputs(path)
    sheet.write_formula("XFD2000", "=1", None, WRONG)
    workbook.close()
    with pytest.raises(EngineError, match="XFD2000, which is too large"):
        ENGINES[engine](path)


def test_what_openpyxl_saves(engine: str, cases: Path, tmp_path: Path) -> None:
    """It leaves classic array formulas, with empty `<v />`."""
    copy = tmp_path / "copy.xlsx"
    openpyxl.load_workbook(cases).save(copy)
    assert agrees(ENGINES[engine](copy).range(target_of(0, CASES[0])), A @ B)


@needs_libreoffice
def test_what_libreoffice_saves(cases: Path, tmp_path: Path) -> None:
    """It leaves classic array formulas and prefixes of its own; the formulas mean the same."""
    copy = tmp_path / "copy.xlsx"
    recalculated_copy(cases, copy)
    before, after = ENGINES["formulas"](cases), ENGINES["formulas"](copy)
    assert after.problems == before.problems  # the one function that is not computed
    for number, case in enumerate(CASES):
        area = target_of(number, case)
        assert after.range(area).tolist() == before.range(area).tolist(), case.formula


@needs_libreoffice
def test_libreoffice_runs_several_times_at_once(cases: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        for values in pool.map(ENGINES["libreoffice"], [cases] * 3):
            assert agrees(values.range(target_of(0, CASES[0])), A @ B)


@needs_libreoffice
def test_libreoffice_is_stopped_when_it_takes_too_long(cases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libreoffice_engine, "TIMEOUT", 0.05)
    with pytest.raises(EngineError, match="was stopped"):
        ENGINES["libreoffice"](cases)


def test_dropping_cached_values_leaves_all_else(cases: Path, tmp_path: Path) -> None:
    for number, source in enumerate((cases, tmp_path / "openpyxl.xlsx")):
        if number:
            openpyxl.load_workbook(cases).save(source)
        bare = tmp_path / f"bare{number}.xlsx"
        drop_cached_values(source, bare)
        before, after = read_book(source), read_book(bare)
        assert (before.sheets, before.names) == (after.sheets, after.names)
        values = openpyxl.load_workbook(bare, data_only=True)["Cases"]
        assert all(cell.value is None for row in values.iter_rows() for cell in row)


# What follows is about `formulas` as sheetgen drives it.


def recomputed_formulas(tmp_path: Path, formulas: dict[str, str]) -> Values:
    """The first engine's values for a sheet Cases with these formulas: `{"A1": "=1", "B1:C2": "=A1"}`."""
    path = tmp_path / "formulas.xlsx"
    workbook, sheet = with_inputs(path)
    for cells, formula in formulas.items():
        if ":" in cells:
            sheet.write_array_formula(cells, "{" + formula + "}", None, WRONG)
        else:
            sheet.write_formula(cells, formula, None, WRONG)
    workbook.close()
    return ENGINES["formulas"](path)


def at(values: Values, cell: str) -> Any:
    area = parse_range(cell, "Cases")
    assert area is not None
    found = values.range(area).tolist()
    return found if ":" in cell else found[0][0]


def test_a_cycle_is_named_and_the_rest_computed(tmp_path: Path) -> None:
    values = recomputed_formulas(
        tmp_path,
        {
            "A1": "=B1+1",
            "B1": "=C1",
            "C1": "=A1*2",
            "D1": "=C1+1",
            "E1": "=7",
            "F1": "=F1",
            "G1:H2": "=SUM(E1:G1)",
        },
    )
    assert [at(values, cell) for cell in ("A1", "B1", "C1", "F1")] == ["#CYCLE!"] * 4
    assert at(values, "D1") == "#CYCLE!"
    assert at(values, "E1") == 7
    assert at(values, "G1:H2") == [["#CYCLE!"] * 2] * 2
    assert sorted(values.problems) == [
        "Cases!A1, Cases!B1, Cases!C1: a circle, computed from its own result",
        "Cases!F1: a circle, computed from its own result",
        "Cases!G1:H2: a circle, computed from its own result",
    ]


@pytest.mark.parametrize(
    ("formula", "error", "why"),
    [
        ("=MMULT((A9,1", "#NAME?", "cannot be parsed"),
        ("=1E5", "#NAME?", "cannot be parsed"),
        ("=NOSUCH(A9)", "#NAME?", "NOSUCH, which is not computed"),
        ('=REPT("x",1000000000)', "#NAME?", "REPT, which is not computed"),
        ("=1+_xlfn.MAKEARRAY(9,9,A9)", "#NAME?", "MAKEARRAY, which is not computed"),
        ("=nosuch+1", "#NAME?", "NOSUCH, which is no range"),
        ("=Nosheet!A9", "#NAME?", "NOSHEET!A9, which is no range"),
        ("=SUM(A:A)", "#NAME?", "A:A, which is no range"),
        ("='Some data'!A1:D3+'Some data'!F1:F2", "#VALUE!", "shapes do not fit"),
        ("='Some data'!A1:B2", "#VALUE!", "2×2 values in one cell"),
        ("=SUM(A9:XFD1048576)", "#VALUE!", "too large"),
    ],
)
def test_a_bad_formula_spoils_only_its_own_cell(tmp_path: Path, formula: str, error: str, why: str) -> None:
    values = recomputed_formulas(tmp_path, {"A1": formula, "B1": "=2*3", "C1": "=IFERROR(A1,B1)"})
    assert at(values, "A1") == error
    assert at(values, "B1") == 6
    assert at(values, "C1") == 6
    (problem,) = values.problems
    assert problem.startswith(f"Cases!A1: {formula} ")
    assert why in problem


def test_what_is_no_reference_is_left_alone(tmp_path: Path) -> None:
    values = recomputed_formulas(
        tmp_path,
        {
            "A1": '="B1 & block__ONE ""C1"""&1E+2',
            "B1": "=LOG10(100)+TRUE",
            "C1": "=IFERROR(#N/A,BLOCK__one)",
            "D1": "='SOME DATA'!$a$19+cases!B1",
            "E1": "=ROW()+COLUMN()",
            "F1": "=COLUMN(C7)",
            "F2": "=COLUMN(D7)",
        },
    )
    assert values.problems == ()
    assert [at(values, f"{column}1") for column in "ABCDEF"] == ['B1 & block__ONE "C1"100', 3, 2.5, 5.5, 6, 3]
    assert at(values, "F2") == 4


def test_a_small_result_leaves_na_behind(tmp_path: Path) -> None:
    values = recomputed_formulas(tmp_path, {"A1:D3": "='Some data'!A1:B2"})
    assert at(values, "A1:D3") == [[0.1, -0.1, "#N/A", "#N/A"], [-0.5, 0.4, "#N/A", "#N/A"], ["#N/A"] * 4]


def test_statistics_still_work(tmp_path: Path) -> None:
    """scipy, put off while `formulas` is imported, comes when it is needed."""
    formulas = {"A1": "=NORMSDIST(0)", "A2": "=PERCENTILE('Some data'!F1:F3,0.5)"}
    values = recomputed_formulas(tmp_path, formulas)
    assert [at(values, "A1"), at(values, "A2")] == [0.5, 2]


def test_thousands_of_formulas(tmp_path: Path) -> None:
    """A chain of 3,000 plain formulas, deeper than Python recurses, and 300 blocks, last one first."""
    path = tmp_path / "many.xlsx"
    with xlsxwriter.Workbook(str(path)) as workbook:
        sheet = workbook.add_worksheet("Cases")
        sheet.write_number(3000, 0, 1)
        for row in range(3000):
            sheet.write_formula(row, 0, f"=A{row + 2}+1", None, WRONG)
        for number in range(300):
            below = f"C{3 * number + 4}:D{3 * number + 5}"
            sheet.write_array_formula(3 * number, 2, 3 * number + 1, 3, f"{{={below}+$A$3001}}", None, WRONG)
    values = ENGINES["formulas"](path)
    assert at(values, "A1") == 3001
    assert at(values, "C1:D2") == [[300] * 2] * 2


def test_only_what_is_asked_for_is_computed_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A circle and a failure elsewhere cost nothing until all is asked for."""
    filled: list[str] = []
    fill = formulas_engine._OnDemand._fill

    def noted(values: formulas_engine._OnDemand, area: Range, result: object) -> None:
        filled.append(area.a1)
        fill(values, area, result)

    monkeypatch.setattr(formulas_engine._OnDemand, "_fill", noted)
    formulas = {"A1": "=A2+1", "A2": "=2*3", "B1": "=A1+B2", "B2": "=B1", "C1": "=SQRT(A1)", "C2": "=NOTHING(A1)"}
    values = recomputed_formulas(tmp_path, formulas)
    assert filled == []
    assert (at(values, "A1"), filled) == (7, ["A2", "A1"])
    assert (at(values, "C1"), filled) == (7**0.5, ["A2", "A1", "C1"])
    assert len(values.problems) == 2
    assert [at(values, cell) for cell in formulas] == [7, 6, "#CYCLE!", "#CYCLE!", 7**0.5, "#NAME?"]
    assert sorted(filled) == sorted(formulas)


def test_an_engine_that_is_missing(monkeypatch: pytest.MonkeyPatch, cases: Path) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda _: None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    for name, engine in ENGINES.items():
        assert not available(name)
        with pytest.raises(EngineUnavailable, match="install"):
            engine(cases)


def test_importing_the_engines_is_cheap() -> None:
    code = (
        "import sys, sheetgen.engines as e; assert 'formulas' not in sys.modules;"
        "import sheetgen.engines.formulas; assert 'scipy.stats' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
