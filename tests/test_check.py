"""The checker checked: break every block of llama4 and it must name the block; change any weight and it must not mind.

The mutants are made in memory, of a llama4 with two heads and two experts, in which every kind of block occurs; each
block is broken in two or three ways, of heads and experts one for both.
`SHEETGEN_EXHAUSTIVE=1 pytest -n auto tests/test_check.py` takes the default llama4 and tries every formula with every
operand (some minutes).
"""

from __future__ import annotations

import os
import re
import shutil
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from helpers import BARE, BOTH_ENGINES, Result, build, cells_of, edited, far, make, sheetgen
from mutations import Broken, Lab, Memory, Mutation, broken, remembered
from openpyxl.worksheet.formula import ArrayFormula

from sheetgen.base.cells import cell_name
from sheetgen.proof.check import check_book
from sheetgen.proof.report import Report
from sheetgen.published.models import Toy, sizes_of
from sheetgen.published.table import model_table
from sheetgen.sheet.pages.map import mirrors
from sheetgen.sheet.pages.scale import scale_page
from sheetgen.trace.recorder import Frame, Trace
from sheetgen.xlsx.read import Book, Constant, Formula, read_book

EXHAUSTIVE = bool(os.environ.get("SHEETGEN_EXHAUSTIVE"))
SIZES: dict[str, Any] = {} if EXHAUSTIVE else {"n_heads": 2, "n_kv_heads": 1, "n_experts": 2}
LLAMA4 = make("llama4", **SIZES)


# --- every block of llama4, in memory ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The workbook, and what the engine makes of it when something is changed: only what depends on it is computed."""
    options = [text for name, size in SIZES.items() for text in ("--set", f"{name}={size}")]
    return Lab(read_book(build(tmp_path_factory.mktemp("check") / "llama4.xlsx", "llama4", *BARE, *options)))


@pytest.fixture(scope="module")
def memory() -> Memory:
    """What `check` need not find out anew for each mutant: it leaves the weights and sizes as they are."""
    return {}


SCALE = scale_page(model_table(["llama4"], [Toy(sizes_of(LLAMA4.request.config), LLAMA4.trace.parameters())]))


def owners_of(trace: Trace) -> dict[tuple[str, int, int], tuple[str, str]]:
    """Sheet, row and column → what stands there ("block", "left", "above", "map") and whose it is."""
    found = {}
    layout = LLAMA4.layout
    areas = [("block", path, place) for path, place in layout.places.items()]
    areas += [(label.side, label.owner, label.range) for label in layout.labels]
    areas += [("map", mirror.owner, mirror.range) for mirror in mirrors(trace)]
    areas += [("scale", path, place) for path, place in SCALE.places.items()]
    for what, path, area in areas:
        for row in range(area.top, area.bottom + 1):
            for column in range(area.left, area.right + 1):
                found[area.sheet, row, column] = what, path
    return found


def frames(frame: Frame, above: str = "") -> Iterator[tuple[str, set[str]]]:
    """Title of every frame, and the paths of its own blocks."""
    for item in frame.items:
        if isinstance(item, Frame):
            title = f"{above} {item.title.split(':')[0]}".strip()
            yield title, {block.path for block in item.items if not isinstance(block, Frame)}
            yield from frames(item, title)


FRAMES = {title: paths for title, paths in frames(LLAMA4.trace.root) if paths}
OWNERS = owners_of(LLAMA4.trace)


def formulas_in(book: Book, paths: set[str]) -> dict[tuple[str, str], list[Formula]]:
    """The formulas of these blocks, their names and their copies on the Map, by what and whose they are."""
    found = defaultdict(list)
    for sheet in book.sheets.values():
        for formula in sheet.formulas:
            what, path = OWNERS[sheet.name, formula.range.top, formula.range.left]
            if path in paths:
                found[what, path].append(formula)
    return found


def turn(what: str, path: str) -> int:
    """A number from 0 to 2 for each block and each row of names: in an ordinary run they take turns."""
    return zlib.crc32(f"{what} {path}".encode()) % 3


def speaks_for_all(path: str) -> bool:
    """In an ordinary run a block is broken in one head or expert of a layer; its name says in which."""
    found = re.search(r"(head|expert)_(\d)", path)
    return EXHAUSTIVE or found is None or int(found.group(2)) == zlib.crc32(path[found.end() :].encode()) % 2


def overwritten(lab: Lab, path: str, formula: Formula, first: Constant | None) -> Mutation:
    """The formula's cells hold what it computed, the first of them `first` (None: that, too)."""
    area = formula.range
    held = {(area.sheet, area.top + r, area.left + c): v for (r, c), v in np.ndenumerate(lab.values.range(area))}
    if first is not None:
        held[area.sheet, area.top, area.left] = first
    return Mutation("overwritten", path, (formula,), (), tuple(held.items()))


def check_of(lab: Lab, memory: Memory, mutation: Mutation) -> tuple[Report, Broken]:
    """What `check` says of the workbook with the mutation, all that follows from it computed, too."""
    made = lab.recompute(mutation, thorough=True)
    with remembered(memory):
        return lab.check(made.book, made.values), made


REFERENCE = re.compile(r"(\$?)([A-Z]{1,3})(\$?)(\d+)(?::(\$?)([A-Z]{1,3})(\$?)(\d+))?(?![\w(])")


def shifted(formula: Formula, which: int) -> Formula:
    """The formula with one of its references moved down by one row; of a single row to the right."""
    count = -1

    def move(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        if count != which:
            return match.group()
        corners = match.group(2, 4), match.group(6, 8)
        moved = [f"{column}{int(row) + 1}" for column, row in corners if column]
        return ":".join(moved)

    return replace(formula, text=REFERENCE.sub(move, formula.text))


def test_every_formula_belongs_to_a_tensor(lab: Lab) -> None:
    cells = {(sheet.name, *cell) for sheet in lab.book.sheets.values() for cell in sheet.formula_at}
    assert cells <= set(OWNERS)
    blocks = {path for what, path in OWNERS.values() if what == "block"}
    computed = {path for path, tensor in LLAMA4.trace.blocks.items() if tensor.kind == "computed"}
    covered = {OWNERS[cell][1] for cell in cells if OWNERS[cell][0] == "block"}
    assert covered == computed <= blocks
    assert set().union(*FRAMES.values()) == blocks


def test_the_workbook_as_built_is_equal(lab: Lab) -> None:
    report = check_book(lab.book)
    assert report.difference is None
    assert all(group.equal and group.worst <= 1e-12 for group in report.groups)
    assert sum(group.tensors for group in report.groups) == len(LLAMA4.trace.blocks) + len(SCALE.trace.blocks)


def test_a_formula_of_scale_overwritten_by_a_number_is_named(lab: Lab, memory: Memory) -> None:
    for (_, path), formulas in formulas_in(lab.book, set(SCALE.places)).items():
        difference = check_of(lab, memory, overwritten(lab, path, formulas[0], 5.5))[0].difference
        assert difference is not None
        assert difference.path == path


@pytest.mark.slow
@pytest.mark.parametrize("title", FRAMES)
def test_a_formula_overwritten_by_a_number_is_named(lab: Lab, memory: Memory, title: str) -> None:
    for (what, path), formulas in formulas_in(lab.book, FRAMES[title]).items():
        if not speaks_for_all(path) or (not EXHAUSTIVE and what in ("left", "above") and turn(what, path) != 0):
            continue
        for formula in formulas if EXHAUSTIVE else formulas[-1:]:
            right = lab.values.range(formula.range)[0, 0]
            wrong = 5.0 if isinstance(right, str) else right + max(1, abs(right))
            difference = check_of(lab, memory, overwritten(lab, path, formula, wrong))[0].difference
            assert difference is not None, formula
            assert difference.path == path
            assert cell_name(formula.range.top, formula.range.left) in difference.cells
            assert difference.found == wrong
            if what == "block":
                assert difference.range == LLAMA4.layout.places[path]
                assert difference.expected == (right if isinstance(right, str) else pytest.approx(right))
                assert difference.formula_expected == formula.text


@pytest.mark.slow
@pytest.mark.parametrize("title", FRAMES)
def test_a_formula_frozen_at_its_value_is_named(lab: Lab, memory: Memory, title: str) -> None:
    """Pasted as values: all numbers are right, but they no longer live."""
    for (what, path), formulas in formulas_in(lab.book, FRAMES[title]).items():
        if not EXHAUSTIVE and turn(what, path) != 1:
            continue
        for formula in formulas if EXHAUSTIVE else formulas[:1]:
            difference = check_of(lab, memory, overwritten(lab, path, formula, None))[0].difference
            assert difference is not None, formula
            assert difference.path == path
            assert "number where a formula belongs" in difference.reason


@pytest.mark.slow
@pytest.mark.parametrize("title", FRAMES)
def test_a_changed_operand_is_named(lab: Lab, memory: Memory, title: str) -> None:
    """One reference is moved down by a row. Where that changes no value (ROWS of as many rows), nothing is said."""
    for (what, path), formulas in formulas_in(lab.book, FRAMES[title]).items():
        if not speaks_for_all(path) or (not EXHAUSTIVE and what in ("left", "above") and turn(what, path) != 2):
            continue
        for formula in formulas if EXHAUSTIVE else formulas[:1]:
            count = len(REFERENCE.findall(formula.text))
            assert count, formula
            for which in range(count) if EXHAUSTIVE else [zlib.crc32(path.encode()) % count]:
                changed = shifted(formula, which)
                assert changed.text != formula.text
                report, made = check_of(lab, memory, Mutation("operand", path, (formula,), (changed,)))
                difference = report.difference
                if difference is None:
                    before, after = (values.range(formula.range) for values in (lab.values, made.values))
                    assert far(after, before if isinstance(before[0, 0], str) else before.astype(float)) <= 1e-9, (
                        changed
                    )
                    unnoticed(formula.text, changed.text)
                else:
                    assert difference.path == path, changed
                    assert difference.formula_found == changed.text


def unnoticed(before: str, after: str) -> None:
    """Changes that leave all values as they are; `-s` shows them."""
    print(f"same values: {before} → {after}")  # noqa: T201


def retyped(path: str, row: int, column: int, value: Constant) -> Mutation:
    """One constant changed."""
    place = LLAMA4.layout.places[path]
    return Mutation("retyped", path, (), (), (((place.sheet, place.top + row, place.left + column), value),))


def idle_experts() -> set[str]:
    """Experts that no token is sent to: `layer_0.expert_2`."""
    return {
        f"layer_{layer}.expert_{expert}"
        for layer in range(2)
        for expert, row in enumerate(LLAMA4.values[f"layer_{layer}.router.chosen"])
        if not row.any()
    }


@pytest.mark.parametrize("title", [title for title, paths in FRAMES.items() if paths & set(LLAMA4.weights)])
def test_any_red_block_may_be_changed(lab: Lab, title: str) -> None:
    """One cell of each: still equal, and the logits have moved, unless the expert is idle."""
    logits = LLAMA4.layout.places["logits"]
    for path in sorted(FRAMES[title] & set(LLAMA4.weights)):
        rows, columns = LLAMA4.trace[path].shape
        row = int(LLAMA4.values[f"{path[:7]}.router.g"][:, -1].argmax()) if path.endswith("W_router") else 0
        for column in range(columns) if EXHAUSTIVE else [zlib.crc32(path.encode()) % columns]:
            value = LLAMA4.weights[path][row, column] + 0.5
            made = lab.recompute(retyped(path, row, column, float(value)), thorough=True)
            assert lab.check(made.book, made.values).difference is None, path
            before, after = (v.range(logits).astype(float) for v in (lab.values, made.values))
            idle = path.rpartition(".")[0] in idle_experts()
            assert (np.abs(after - before).max() > 1e-6) is not idle, path
        assert rows > row


@pytest.mark.parametrize(
    ("control", "value"), [("rope_theta", 100.0), ("norm_eps", 0.5), ("top_k", 2), ("attention_chunk_size", 2)]
)
def test_controls_may_be_changed(lab: Lab, control: str, value: float) -> None:
    made = lab.recompute(retyped(f"control.{control}", 0, 0, value), thorough=True)
    assert lab.check(made.book, made.values).difference is None
    before, after = (v.range(LLAMA4.layout.places["logits"]).astype(float) for v in (lab.values, made.values))
    assert np.abs(after - before).max() > 1e-6


def test_the_first_tensor_in_the_order_of_computation_is_named(lab: Lab) -> None:
    book = lab.book
    for path in ("logits", "layer_1.head_1.pattern", "layer_0.kv_0.K", "layer_0.norm_1"):
        (formula, *_) = [f for f in book.sheets["Model"].formulas if f.range.top == LLAMA4.layout.places[path].top
                         and f.range.left == LLAMA4.layout.places[path].left]  # fmt: skip
        at = formula.range.sheet, formula.range.top, formula.range.left
        book = broken(book, Mutation("emptied", path, (formula,), (), ((at, 9.0),)))
        difference = check_book(book).difference
        assert difference is not None
        assert difference.path == path


# --- through files and the command line --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    small = ("--layers", 1, "--heads", 1, *BARE)
    return build(tmp_path_factory.mktemp("built") / "llama1.xlsx", "llama1", *small)


@pytest.fixture
def small(built: Path, tmp_path: Path) -> Path:
    """A small workbook that the test may spoil."""
    return Path(shutil.copy(built, tmp_path / "book.xlsx"))


@dataclass(frozen=True)
class Edit:
    """A change of an openpyxl workbook, and what to call it."""

    label: str
    change: Callable[[Any], object]

    def __call__(self, book: Any) -> None:
        self.change(book)

    def __str__(self) -> str:
        return self.label


def set_cell(name: str, value: Any, row: int = 0, column: int = 0) -> Edit:
    def change(book: Any) -> None:
        cells_of(book, name)[row][column].value = value

    return Edit(f"{name}[{row},{column}] = {value!r}", change)


def set_config(name: str, value: Any) -> Edit:
    def change(book: Any) -> None:
        (cell,) = [row[1] for row in book["Config"].iter_rows(max_col=2) if row[0].value == name]
        cell.value = value

    return Edit(f"Config {name} = {value!r}", change)


def link_to_config(book: Any, name: str, setting: str) -> None:
    (row,) = [row[0].row for row in book["Config"].iter_rows(max_col=1) if row[0].value == setting]
    cells_of(book, name)[0][0].value = f"=2*Config!B{row}"


def no_name(name: str) -> Edit:
    return Edit(f"no name {name}", lambda book: book.defined_names.pop(name))


def no_sheet(name: str) -> Edit:
    return Edit(f"no sheet {name}", lambda book: book.remove(book[name]))


def one_line(result: Result) -> str:
    """The only line of a refusal."""
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    return line


def test_what_is_printed_of_an_equal_workbook(small: Path) -> None:
    result = sheetgen("check", small)
    assert (result.code, result.err) == (0, "")
    assert str(small) in result.out.replace("\n", "")
    for part in ("Controls", "Layer 0 › Attention › Head 0", "Output", "equal", "all ", "prediction: the cat sat"):
        assert part in result.out
    assert "DIFFERS" not in result.out


def test_what_is_printed_of_a_broken_block(small: Path) -> None:
    """The scores divided by 3 instead of the root of head_dim, 2."""
    told: dict[str, str] = {}

    def change(book: Any) -> None:
        cell = cells_of(book, "layer_0__head_0__scores")[0][0]
        told["before"], told["range"] = cell.value.text, cell.value.ref
        told["after"] = re.sub(r"/\w+$", "/3", cell.value.text)
        assert told["after"] != told["before"]
        cell.value = ArrayFormula(cell.value.ref, told["after"])

    result = sheetgen("check", edited(small, change))
    values = make("llama1", n_layers=1, n_heads=1).values["layer_0.head_0.scores"]
    assert (result.code, result.err) == (1, "")
    lines = {line[:19].strip(): line[19:].strip() for line in result.out.splitlines() if line.startswith("  ")}
    assert "layer_0.head_0.scores is not what the model computes" in result.out
    assert lines["range"] == f"Model!{told['range']}"
    assert lines["cells"].startswith("36: ")
    assert float(lines["found"]) == pytest.approx(values[0, 0] * 2 / 3)
    assert float(lines["expected"]) == pytest.approx(values[0, 0])
    assert (lines["formula found"], lines["formula expected"]) == (told["after"], told["before"])
    assert re.search(r"Head 0 .* DIFFERS", result.out)
    assert re.search(r"Input .* equal", result.out)


def test_a_reduction_overwritten_by_a_number(small: Path) -> None:
    result = sheetgen("check", edited(small, set_cell("layer_0__norm_1_rms", 0.5, column=2)))
    assert result.code == 1
    assert "layer_0.norm_1_rms" in result.out
    assert "the cell holds 0.5" in result.out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (set_cell("layer_0__head_0__W_Q", "many"), ["layer_0.head_0.W_Q", "'many'"]),
        (set_cell("layer_0__head_0__W_Q", None, 1, 2), ["layer_0.head_0.W_Q", "is empty"]),
        (set_cell("layer_0__head_0__W_Q", True), ["layer_0.head_0.W_Q", "True"]),
        (set_cell("layer_0__head_0__W_Q", "=1/0"), ["layer_0.head_0.W_Q", "#DIV/0!"]),
        (set_cell("control__norm_eps", "small"), ["control norm_eps", "'small'"]),
        (set_cell("vocabulary", None, 5), ["Model!"]),
        (set_config("n_heads", 2), ["layer_0_head_1", "Config"]),
        (set_config("n_layers", 2), ["layer_1", "Config"]),
        (set_config("family", "gpt9"), ["gpt9", "llama"]),
        (set_config("n_layers", "two"), ["n_layers", "two"]),
        (set_config("n_layers", 1.5), ["n_layers", "1.5"]),
        (set_config("n_layers", None), ["n_layers"]),
        (set_config("head_dim", 3), ["head_dim 3 is odd"]),
        *((set_config(size, 10**7), [""]) for size in ("d_model", "n_layers", "d_ff", "vocab_size")),
        *((set_config(size, 10**7), [""]) for size in ("n_tokens", "head_dim")),
        (set_config("n_heads", 10**5), [""]),
        (no_name("layer_0__W_O"), ["layer_0__W_O"]),
        (no_name("words"), ["words"]),
        (no_sheet("Config"), ["no sheet Config: if it was renamed, rename it back"]),
        (no_sheet("Model"), ["not a workbook of sheetgen"]),
    ],
    ids=str,
)
def test_what_cannot_be_checked(small: Path, change: Edit, told: list[str]) -> None:
    line = one_line(sheetgen("check", edited(small, change)))
    assert line.startswith("sheetgen: ")
    assert all(part in line for part in ("edited.xlsx", *told)), line


def test_the_cell_of_a_weight_that_is_no_number_is_named(small: Path) -> None:
    path = edited(small, set_cell("layer_0__head_0__W_Q", "many", 1, 2))
    cell = cells_of(openpyxl.load_workbook(path), "layer_0__head_0__W_Q")[1][2]
    assert f"{cell.coordinate}" in one_line(sheetgen("check", path))


def test_the_name_of_a_computed_tensor_deleted(small: Path) -> None:
    result = sheetgen("check", edited(small, no_name("layer_0__head_0__scores")))
    assert result.code == 1
    assert "layer_0.head_0.scores" in result.out
    assert "layer_0__head_0__scores is gone" in result.out


@pytest.mark.parametrize("sheet", ["Map", "Contents"])
def test_a_sheet_deleted(small: Path, sheet: str) -> None:
    """A lecturer may do without the sheets around the model."""
    result = sheetgen("check", edited(small, no_sheet(sheet)))
    assert result.code == (2 if sheet == "Config" else 0), result.out + result.err


@pytest.mark.parametrize(
    "change",
    [
        set_cell("layer_0__head_0__W_Q", "=1/3"),
        Edit("W_Q[0,0] from Config", lambda book: link_to_config(book, "layer_0__head_0__W_Q", "n_layers")),
        set_cell("W_E", 12),
        set_cell("W_U", -3.25, 4, 3),
        set_cell("control__norm_eps", "=1/1000"),
        set_config("seed", 99),
        # Sizes are those of the blocks, which somebody may have let grow.
        *(set_config(size, value) for size, value in (("d_ff", 9), ("n_tokens", 7), ("vocab_size", 11))),
    ],
    ids=str,
)
def test_what_may_be_changed(small: Path, change: Edit) -> None:
    result = sheetgen("check", edited(small, change))
    assert (result.code, result.err) == (0, ""), result.out + result.err


def foreign(path: Path) -> None:
    book = openpyxl.Workbook()
    book.active["A1"] = 1
    book.save(path)


def unlike(path: Path, kind: str, built: Path) -> Path:
    """A path that is no workbook of sheetgen."""
    match kind:
        case "foreign":
            foreign(path)
        case "cut off":
            path.write_bytes(built.read_bytes()[:9000])
        case "text":
            path.write_text("hello")
        case "empty":
            path.write_bytes(b"")
        case "folder":
            path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("foreign", "not a workbook of sheetgen"),
        ("cut off", "cut off"),
        ("text", "no .xlsx workbook"),
        ("empty", "no .xlsx workbook"),
        ("folder", "is a folder"),
        ("missing", "does not exist"),
    ],
)
@pytest.mark.parametrize("engine", BOTH_ENGINES)
def test_files_that_are_no_workbooks(kind: str, told: str, engine: str, built: Path, tmp_path: Path) -> None:
    line = one_line(sheetgen("check", unlike(tmp_path / "odd.xlsx", kind, built), "--engine", engine))
    assert told in line
    assert "odd.xlsx" in line


def test_several_files(built: Path, small: Path) -> None:
    broken = edited(small, set_cell("final_norm_rms", 1, column=1), "broken.xlsx")
    result = sheetgen("check", built, broken, built)
    assert result.code == 1
    assert result.out.count("tensors equal") == 2
    assert "final_norm_rms" in result.out
    result = sheetgen("check", broken, small.with_name("missing.xlsx"), built)
    assert result.code == 2
    assert result.out.count("tensors equal") == 1
    assert "missing.xlsx" in result.err


def test_all_engines(built: Path) -> None:
    result = sheetgen("check", built, "--engine", "all")
    assert result.code == 0
    assert "recomputed by formulas" in result.out.replace("\n", "")


@pytest.mark.slow
def test_the_slow_model_agrees(tmp_path: Path) -> None:
    """`formulas-model` is the package's own reader and graph."""
    tiny = ("--dim", 2, "--ffn", 2, "--head-dim", 2, "--heads", 1, "--layers", 1)
    path = build(tmp_path / "tiny.xlsx", "llama1", "--text", "a b", "--vocab", 3, *tiny)
    assert sheetgen("check", path, "--engine", "formulas-model").code == 0


def test_checking_changes_nothing(small: Path) -> None:
    before = small.read_bytes()
    sheetgen("check", small)
    assert small.read_bytes() == before
    assert [file.name for file in small.parent.iterdir()] == [small.name]


def test_of_two_words_alike_either_is_right(tmp_path: Path) -> None:
    """Where two are equally probable to within the tolerance, the last digit decides: no difference."""
    sizes = ("--heads", 4, "--head-dim", 2, "--dim", 2, "--ffn", 1, "--controls", "all", "--formulas", "cells")
    assert sheetgen("check", build(tmp_path / "book.xlsx", "transformer", *sizes, "--seed", 777)).code == 0


def test_another_word_than_the_most_probable_is_named(tmp_path: Path) -> None:
    def change(book: Any) -> None:
        cells_of(book, "next_word")[0][-1].value = "=Model!" + cells_of(book, "vocabulary")[0][0].coordinate

    path = build(tmp_path / "book.xlsx", "llama1", "--layers", 1, *BARE)
    difference = check_book(read_book(edited(path, change))).difference
    assert difference is not None
    assert difference.path == "next_word"
