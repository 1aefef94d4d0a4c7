"""The workbooks themselves: read back, edited and saved by other programs. test_presets recomputes them all."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from helpers import (
    AGREED,
    BARE,
    BOTH_ENGINES,
    PRESETS,
    RED,
    build,
    cells_of,
    edited,
    far,
    make,
    needs,
    needs_libreoffice,
    sheetgen,
)
from reference import closed_formula, forward

from sheetgen.base.cells import parse_range
from sheetgen.engines import ENGINES
from sheetgen.engines.libreoffice import recalculated_copy
from sheetgen.engines.values import Values
from sheetgen.proof.check import check_book
from sheetgen.sheet.pages.baseline import SWITCH
from sheetgen.trace.tensor import Block, Tensor
from sheetgen.xlsx.read import Book, read_book

ROOT = Path(__file__).parent.parent
STYLES = ("blocks", "cells")


def shown(book: Book, values: Values) -> dict[str, np.ndarray]:
    """What the engine computed for each defined name."""
    return {name: values.range(area) for name, area in book.names.items()}


# --- what is written -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("preset", PRESETS)
def test_what_stands_in_the_file(preset: str, style: str, tmp_path: Path) -> None:
    """Red cells, cached values and functions, as openpyxl reads them."""
    path = tmp_path / "book.xlsx"
    printed = sheetgen("build", preset, "--formulas", style, "-o", path).out
    made = make(preset)
    cached = openpyxl.load_workbook(path, data_only=True)
    cells = [cell for sheet in cached for row in sheet.iter_rows() for cell in row]
    red = [cell for cell in cells if cell.fill.fill_type and cell.fill.fgColor.rgb == RED]
    told = int(re.search(r"parameters +([\d,]+)", printed).group(1).replace(",", ""))  # type: ignore[union-attr]
    assert len(red) == told == closed_formula(made.request.config)
    constants = read_book(path).sheets["Model"].cells
    assert all(isinstance(constants.get((cell.row - 1, cell.column - 1)), int | float) for cell in red)

    for name, value in made.values.items():
        found = [[cell.value for cell in row] for row in cells_of(cached, name.replace(".", "__"))]
        assert far(found, value) <= 1e-14, name
    assert not [cell.coordinate for cell in cells if cell.data_type == "e" or cell.value == "✗"]


TAKES_A_RANGE = {"SUM", "SUMSQ", "MAX", "ROWS", "COLUMNS", "COUNT", "INDEX", "MATCH"}
RANGE = re.compile(r"(\w+!)?\$?[A-Z]+\$?\d+(:\$?[A-Z]+\$?\d+)?")
INNERMOST = re.compile(r"([A-Z]*)\(([^()]*)\)")


def spread_out(text: str) -> str:
    """What is left of a formula when every function that takes whole ranges is replaced by 0."""

    def inside(match: re.Match[str]) -> str:
        function, arguments = match.groups()
        plain = all(RANGE.fullmatch(each) or each.isdigit() for each in arguments.split(","))
        return "0" if function == "SUMPRODUCT" or (function in TAKES_A_RANGE and plain) else f"[{arguments}]"

    while (shorter := INNERMOST.sub(inside, text)) != text:
        text = shorter
    return text


@pytest.mark.parametrize("style", STYLES)
def test_formulas_hold_only_what_all_programs_agree_on(style: str, tmp_path: Path) -> None:
    book = read_book(build(tmp_path / "book.xlsx", "llama4", "--formulas", style))
    formulas = [formula for sheet in book.sheets.values() for formula in sheet.formulas]
    assert {name for f in formulas for name in re.findall(r"([A-Z][A-Z0-9.]*)\(", f.text)} <= AGREED
    assert not [f.text for f in formulas if re.search(r"[#@{}]|_xl|(?<![\w.])\d+[Ee]\d|--", f.text)]
    plain = [formula for formula in formulas if not formula.array]
    assert all(formula.range.shape == (1, 1) for formula in plain)
    assert not [f.text for f in plain if ":" in spread_out(f.text)], "arrays computed in a plain cell"


def test_one_array_formula_per_block(tmp_path: Path) -> None:
    book = read_book(build(tmp_path / "book.xlsx", "llama4"))
    made = make("llama4")
    by_range = {formula.range for formula in book.sheets["Model"].formulas}
    single = {
        "max",
        "sum",
        "rank",
        "lookup",
        "known",
        "likeliest",
        "mean_square",
        "mean",
        "stack",
        "largest",
        "smallest",
    }
    for path, tensor in made.trace.blocks.items():
        if tensor.kind == "computed" and not any(name in single for name in operations(tensor)):
            assert book.names[path.replace(".", "__")] in by_range, path


def operations(tensor: Tensor) -> set[str]:
    """The names of the operations that its formula spells out."""
    return {tensor.op.name}.union(*(operations(x) for x in tensor.operands if not isinstance(x, Block)))


# --- the same bytes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_generated_folder_is_up_to_date(preset: str, tmp_path: Path) -> None:
    """`make generated` rebuilds them; the last digit of a value depends on the processor, and so does the seal."""
    committed, built = parts(ROOT / "generated" / f"{preset}.xlsx"), parts(build(tmp_path / "book.xlsx", preset))
    assert built.keys() == committed.keys()
    for name, (around, values) in built.items():
        assert around == committed[name][0], name
        np.testing.assert_allclose(values, committed[name][1], rtol=1e-12, atol=1e-12, err_msg=name)


NUMBER = re.compile(r"<((?:c:)?v)>(-?\d[\d.E+-]*)</\1>")  # the value of a cell, or of a point in a chart
SEAL = re.compile(r"[0-9a-f]{64}")


def parts(path: Path) -> dict[str, tuple[str, list[float]]]:
    """Every part of the file by its name: its text without the values of cells and the seal; the values."""
    found = {}
    with zipfile.ZipFile(path) as book:
        for name in book.namelist():
            text = book.read(name).decode("latin-1")  # pictures, too
            found[name] = SEAL.sub("", NUMBER.sub("", text)), [float(value) for _, value in NUMBER.findall(text)]
    return found


def test_the_same_command_writes_the_same_bytes(tmp_path: Path) -> None:
    """In another process, at another time, in another time zone, with another order of hashes."""
    here = build(tmp_path / "a.xlsx", "llama4", "--heads", 3, "--weights", "normal", "--seed", 7)
    command = [
        sys.executable,
        "-m",
        "sheetgen",
        "build",
        "llama4",
        "--heads",
        "3",
        "--weights",
        "normal",
        "--seed",
        "7",
    ]
    environment = os.environ | {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LANG": "de_DE.UTF-8"}
    subprocess.run([*command, "-o", "b.xlsx"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert digest(here) == digest(tmp_path / "b.xlsx")
    assert digest(here) != digest(build(tmp_path / "c.xlsx", "llama4", "--heads", 3, "--weights", "normal"))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- words -------------------------------------------------------------------------------------------------------

ODD_WORDS = '=1+1 @x 007 * what? ~ TRUE +1 -2 \'quoted <b>& a~* "x" 1e5 {=A1} 猫'


@pytest.mark.parametrize(
    ("style", "engine"),
    [("blocks", "formulas"), ("cells", "formulas"), pytest.param("blocks", "libreoffice", marks=needs_libreoffice)],
)
def test_words_that_look_like_something_else(style: str, engine: str, tmp_path: Path) -> None:
    text = ODD_WORDS.split()
    small = ("--layers", 1, "--heads", 1, *BARE)
    path = build(tmp_path / "book.xlsx", "llama1", "--text", ODD_WORDS, "--formulas", style, *small)
    cells = cells_of(openpyxl.load_workbook(path), "words")[0]
    assert [(cell.value, cell.data_type) for cell in cells] == [(word, "s") for word in text]
    book = read_book(path)
    values = ENGINES[engine](path, book)
    found = shown(book, values)
    assert found["tokens"].tolist() == [[float(i) for i in range(len(text))]]
    assert set(found["in_vocabulary"].ravel()) == {"✓"}
    made = make("llama1", ODD_WORDS, n_layers=1, n_heads=1)
    assert far(found["probs"], made.values["probs"]) <= 1e-9
    assert far(found["next_word"], made.values["next_word"]) == 0
    if engine == "formulas":
        assert check_book(book).difference is None


SENTENCES: list[tuple[str, str, list[object]]] = [
    ("formulas", "one", ["--vocab", 1]),
    ("libreoffice", "one", ["--vocab", 1]),
    ("formulas", "The the THE cat", []),
    ("libreoffice", "don't stop, now! 3.14", ["--vocab", 4]),
]


@pytest.mark.parametrize(
    ("engine", "text", "options"),
    [pytest.param(*case, marks=needs(case[0]), id=" ".join(case[:2])) for case in SENTENCES],
)
def test_sentences(engine: str, text: str, options: list[object], tmp_path: Path) -> None:
    result = sheetgen(
        "check", build(tmp_path / "book.xlsx", "llama1", "--text", text, *BARE, *options), "--engine", engine
    )
    assert result.code == 0, result.out + result.err


def set_words(*words: Any) -> Any:
    def change(book: Any) -> None:
        for cell, word in zip(cells_of(book, "words")[0], words, strict=False):
            cell.value = word

    return change


def test_other_words_typed_into_the_sheet(tmp_path: Path) -> None:
    path = build(tmp_path / "book.xlsx", "llama4", *BARE)
    before = sheetgen("check", path)
    after = sheetgen("check", edited(path, set_words("mat", "ran", "cat", "dog")))
    assert (before.code, after.code) == (0, 0), after.out + after.err
    assert "prediction: the cat sat on the mat → " in before.out
    assert "prediction: mat ran cat dog the mat → " in after.out
    assert before.out.splitlines()[-1].partition("→")[2] != after.out.splitlines()[-1].partition("→")[2]

    made = make("llama4")
    vocabulary = [word.lower() for word in made.request.texts["vocabulary"]]
    expected = forward(
        made.request.config, made.weights, [vocabulary.index(w) for w in ("mat", "ran", "cat", "dog", "the", "mat")]
    )
    book = read_book(tmp_path / "edited.xlsx")
    assert far(shown(book, ENGINES["formulas"](book.path, book))["probs"], expected["probs"]) <= 1e-12


@pytest.mark.parametrize("word", ["bird?", "*", "", 7, "=A1"])
def test_a_word_that_the_vocabulary_lacks(word: Any, tmp_path: Path) -> None:
    path = edited(build(tmp_path / "book.xlsx", "llama1", "--layers", 1, *BARE), set_words("the", word))
    result = sheetgen("check", path)
    cell = cells_of(openpyxl.load_workbook(path), "words")[0][1].coordinate
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert cell in line
    assert str(word) in line or word in ("", "=A1")


@pytest.mark.parametrize("engine", BOTH_ENGINES)
def test_an_unknown_word_is_marked(engine: str, tmp_path: Path) -> None:
    book = read_book(edited(build(tmp_path / "book.xlsx", "llama1", "--layers", 1), set_words("the", "bird?", "*")))
    found = shown(book, ENGINES[engine](book.path, book))
    assert found["in_vocabulary"].tolist() == [["✓", "✗", "✗", "✓", "✓", "✓"]]


def test_words_have_a_list_to_choose_from(tmp_path: Path) -> None:
    book = openpyxl.load_workbook(build(tmp_path / "book.xlsx", "llama1"))
    cells = [cell.coordinate for row in cells_of(book, "words") for cell in row]
    vocabulary = book.defined_names["vocabulary"].attr_text
    lists = {v.formula1: v for v in book["Model"].data_validations.dataValidation if v.type == "list"}
    assert all(cell in lists[vocabulary].sqref for cell in cells)


# --- sheets ------------------------------------------------------------------------------------------------------


def test_map_config_and_contents(tmp_path: Path) -> None:
    book = openpyxl.load_workbook(build(tmp_path / "book.xlsx", "llama4", "--heads", 2, "--seed", 5))
    made = make("llama4", n_heads=2)
    assert {"Map", "Model", "Config", "Contents"} <= set(book.sheetnames)
    config = {row[0].value: (row[1].value, row[2].value) for row in book["Config"].iter_rows(max_col=3)}
    for name, value in vars(made.request.config).items():
        shown = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value or "alike"
        assert config[name][0] == (shown if isinstance(value, bool | tuple) else value)
        assert config[name][1], f"{name} has no sentence"
    assert (config["seed"][0], config["family"][0], config["n_heads"][0]) == (5, "llama4", 2)
    names = {name: parse_range(defined.attr_text) for name, defined in book.defined_names.items()}
    links = {
        cell.value: cell.hyperlink.location
        for row in book["Contents"].iter_rows(max_col=1)
        for cell in row
        if cell.hyperlink
    }
    assert list(links) == list(made.values)
    assert all(links[path] in names for path in links)
    map_links = [cell.hyperlink.location for row in book["Map"].iter_rows() for cell in row if cell.hyperlink]
    assert map_links
    assert set(map_links) <= set(names)


# --- other programs ----------------------------------------------------------------------------------------------


SAVED = [("llama4", "blocks"), ("llama1", "cells")]


@pytest.mark.parametrize(("preset", "style"), SAVED)
def test_saved_by_openpyxl(preset: str, style: str, tmp_path: Path) -> None:
    path = edited(build(tmp_path / "book.xlsx", preset, "--formulas", style), lambda _: None)
    assert sheetgen("check", path).code == 0


@pytest.mark.slow
@needs_libreoffice
@pytest.mark.parametrize(("preset", "style"), SAVED)
def test_saved_by_libreoffice(preset: str, style: str, tmp_path: Path) -> None:
    saved = tmp_path / "saved.xlsx"
    recalculated_copy(build(tmp_path / "book.xlsx", preset, "--formulas", style), saved)
    result = sheetgen("check", saved)
    assert result.code == 0, result.out + result.err


# --- sizes -------------------------------------------------------------------------------------------------------

SENTENCE = "a b c d e f g h i j k l m n o p q r s t u v w x".split()  # noqa: SIM905
MANY: list[tuple[str, int, str]] = [  # preset, tokens, options
    ("llama1", 1, "--heads 1 --layers 1 --formulas cells"),
    ("llama1", 24, "--heads 8 --layers 1"),
    ("llama1", 2, "--heads 5 --layers 6 --dim 3"),
    ("llama2", 13, "--heads 6 --kv-heads 2 --head-dim 2"),
    ("llama2", 3, "--heads 7 --kv-heads 7 --head-dim 6 --ffn 3 --layers 1 --formulas cells"),
    ("llama3", 9, "--heads 8 --kv-heads 4 --vocab 9"),
    ("llama3", 5, "--heads 8 --kv-heads 1 --weights normal"),
    ("llama3", 5, "--heads 3 --weights zeros --set rope_pairing=interleaved --formulas cells"),
    ("llama4", 1, "--heads 1 --experts 1 --layers 1"),
    ("llama4", 24, "--heads 2 --experts 2 --layers 2"),
    ("llama4", 6, "--heads 8 --kv-heads 2 --experts 8 --layers 2 --top-k 8"),
    ("llama4", 7, "--heads 3 --experts 5 --layers 3 --top-k 2 --set moe_every=2 --set attention_chunk_size=1"),
    ("llama4", 8, "--heads 4 --experts 3 --layers 6 --set nope_every=4"),
    ("llama4", 4, "--heads 2 --experts 4 --set qk_norm=none --set nope_every=1 --seed 11 --formulas cells"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "tokens", "options"), MANY, ids=[f"{p} {n} {o}" for p, n, o in MANY])
def test_any_size_checks_green(preset: str, tokens: int, options: str, tmp_path: Path) -> None:
    path = build(tmp_path / "book.xlsx", preset, *options.split(), *BARE, "--text", " ".join(SENTENCE[:tokens]))
    book = read_book(path)
    report = check_book(book)
    assert report.difference is None
    assert sum(group.tensors for group in report.groups) == len(set(book.names) - {SWITCH})
