"""What check tells of a broken workbook: the sentence, the layers, JSON, several files at once."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import BARE, build, cells_of, edited, needs, sheetgen
from openpyxl.worksheet.formula import ArrayFormula

from sheetgen import engines
from sheetgen.cli import main
from sheetgen.engines import ENGINES
from sheetgen.engines.quiet import quiet
from sheetgen.proof import many
from sheetgen.proof.check import check_book
from sheetgen.proof.report import STATIC
from sheetgen.xlsx.read import Book, Formula, read_book


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("report") / "llama1.xlsx", "llama1", "--layers", 2, "--heads", 2, *BARE)


def area(book: Book, name: str) -> str:
    return book.names[name].a1


def change_formula(book: Book, name: str, column: int, new: Callable[[str], str]) -> Book:
    """The book with another formula in the first row of a block."""
    place = book.names[name]
    sheet = book.sheets["Model"]
    old = sheet.formula_at[place.top, place.left + column]
    text = new(old.text)
    assert text != old.text
    formula = Formula(text, old.range, old.array)
    sheet.formulas = [formula if f is old else f for f in sheet.formulas]
    sheet.formula_at |= {cell: formula for cell, f in sheet.formula_at.items() if f is old}
    return book


def renamed(name: str, other: str) -> Callable[[Book], Callable[[str], str]]:
    return lambda book: lambda text: text.replace(area(book, name), area(book, other))


def replaced(old: str, new: str) -> Callable[[Book], Callable[[str], str]]:
    return lambda _: lambda text: text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        (
            "layer_0__head_1__scores",
            renamed("layer_0__head_1__KT", "layer_0__head_0__KT"),
            (
                "scores of head 1 in layer 0 takes KT of head 0 in layer 0 where KT of head 1 in layer 0 belongs: "
                "it refers to layer_0.head_0.KT (Model!"
            ),
        ),
        (
            "layer_1__ffn__up",
            renamed("layer_1__ffn__W_up", "layer_0__ffn__W_up"),
            "takes W_up of ffn in layer 0 where W_up of ffn in layer 1 belongs",
        ),
        ("mask", replaced("<=", "<"), "is off by one: it has < where ≤ belongs."),
        ("layer_0__head_0__z", lambda _: lambda text: f"=ROUND({text[1:]},2)", "is rounded to 2 digits"),
        ("layer_0__head_0__pattern_exp", replaced("EXP", "LN"), "uses LN where EXP belongs."),
        ("final_norm", lambda _: lambda text: f"{text}+0.5", "final_norm computes + 0.5 in addition."),
    ],
)
def test_a_sentence_says_what_is_wrong(built: Path, name: str, change: Any, sentence: str) -> None:
    book = read_book(built)
    change_formula(book, name, 0, change(book))
    difference = check_book(book, STATIC).difference
    assert difference is not None
    assert difference.path == name.replace("__", ".")
    assert sentence in difference.explanation


def test_a_lost_residual(built: Path) -> None:
    book = read_book(built)
    change_formula(book, "layer_0__out", 0, lambda text: "=" + text.rpartition("+")[2])
    difference = check_book(book).difference
    assert difference is not None
    assert difference.path == "layer_0.out"
    assert "out of layer 0 leaves out + layer_0." in difference.explanation
    assert difference.explanation.endswith("a residual connection is missing.")


def test_only_some_cells_are_wrong(built: Path) -> None:
    book = read_book(built)
    change_formula(book, "layer_0__head_0__pattern_max", 2, lambda text: text.replace("MAX", "MIN"))
    difference = check_book(book).difference
    assert difference is not None
    assert difference.explanation == (
        "pattern_max of head 0 in layer 0 uses MIN where MAX belongs. The other 5 of its 6 cells are as they should be."
    )


def test_a_number_where_a_formula_belongs(built: Path) -> None:
    def change(book: Any) -> None:
        cells_of(book, "layer_0__head_0__pattern_max")[0][2].value = 3

    difference = check_book(read_book(edited(built, change, "number.xlsx"))).difference
    assert difference is not None
    assert "holds the number 3 where a formula belongs" in difference.explanation


def test_names_along_a_block_are_called_so(built: Path) -> None:
    book = read_book(built)
    sheet, place = book.sheets["Model"], book.names["layer_0__norm_1"]
    label = next(f for f in sheet.formulas if f.range.top == place.top - 1 and f.range.left == place.left)
    other = Formula(f"={area(book, 'tokens')}", label.range, label.array)
    sheet.formulas = [other if f is label else f for f in sheet.formulas]
    sheet.formula_at |= {cell: other for cell, f in sheet.formula_at.items() if f is label}
    difference = check_book(book, STATIC).difference
    assert difference is not None
    assert difference.explanation.startswith("The names along norm_1 of layer 0 takes tokens where words belongs")


def test_what_only_follows_is_no_cause(built: Path) -> None:
    book = read_book(built)
    change_formula(book, "layer_0__head_0__z", 0, lambda text: f"{text}+1")
    change_formula(book, "logits", 0, lambda text: f"{text}+1")
    report = check_book(book)
    assert [d.path for d in report.differences if d.cause] == ["layer_0.head_0.z", "logits"]
    assert all(bool(d.explanation) is d.cause for d in report.differences)
    assert [d.path for d in report.formulas] == ["layer_0.head_0.z", "logits"]


def broken(path: Path) -> Path:
    """Layer 1 is broken, layer 0 is as it was."""

    def change(book: Any) -> None:
        cell = cells_of(book, "layer_1__head_0__z")[0][0]
        cell.value = ArrayFormula(cell.value.ref, f"{cell.value.text}+0.25")

    return edited(path, change, "broken.xlsx")


def test_layers_and_json(built: Path) -> None:
    path = broken(built)
    result = sheetgen("check", path)
    assert result.code == 1
    assert "z of head 0 in layer 1 computes + 0.25 in addition." in result.out
    assert "‖error‖ / ‖right‖ layer_0.out" in result.out
    result = sheetgen("check", "--json", built, path, built.with_name("none.xlsx"))
    assert result.code == 2
    assert result.err == ""
    fine, wrong, missing = json.loads(result.out)
    assert (fine["equal"], fine["error"], fine["differences"]) == (True, None, [])
    assert (missing["equal"], missing["differences"]) == (False, [])
    assert "none.xlsx does not exist" in missing["error"]
    assert list(fine) == list(wrong) == ["file", "engine", "equal", "error", "predictions", "remarks", "layers",
                                         "parts", "differences"]  # fmt: skip
    assert set(missing) == set(fine)
    zero, one = wrong["layers"]
    assert (zero["tensor"], one["tensor"]) == ("layer_0.out", "layer_1.out")
    assert zero["relative_error"] < 1e-12 < 1e-3 < one["relative_error"]
    first = wrong["differences"][0]
    assert first["tensor"] == "layer_1.head_0.z"
    assert first["cause"] is True
    assert first["found"] == pytest.approx(first["expected"] + 0.25)
    assert first["formula_found"] == first["formula_expected"] + "+0.25"
    assert "out" in {d["tensor"].rpartition(".")[2] for d in wrong["differences"]}
    assert not [d for d in wrong["differences"][1:] if d["cause"]]


def test_error_values_are_no_numbers(built: Path) -> None:
    def change(book: Any) -> None:
        cell = cells_of(book, "layer_0__head_0__z")[0][0]
        cell.value = ArrayFormula(cell.value.ref, f"{cell.value.text}/0")

    path = edited(built, change, "error.xlsx")
    assert "layer_1.out  a cell holds no number" in sheetgen("check", path).out
    (report,) = json.loads(sheetgen("check", "--json", path).out)
    assert [layer["relative_error"] for layer in report["layers"]] == [None, None]
    assert report["differences"][0]["found"] == "#DIV/0!"


@pytest.fixture(scope="module")
def tiny(built: Path) -> Path:
    sizes = [
        f"--{name}={size}" for name, size in (("layers", 1), ("heads", 1), ("dim", 2), ("head-dim", 2), ("ffn", 2))
    ]
    return build(built.with_name("tiny.xlsx"), "llama1", *sizes, "--no-baseline")


@pytest.mark.parametrize("engine", [pytest.param(name, marks=needs(name)) for name in ENGINES])
def test_stdout_is_json_and_nothing_else(
    engine: str, tiny: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where an engine prints, or its native code writes to the descriptor, when it loads and when it computes."""
    module = importlib.import_module(f"sheetgen.engines.{engines._ENGINES[engine].module}")

    def chattering(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            sys.stdout.write("Unexpected type\n")
            os.write(1, b"in Map!G7\n")
            return function(*arguments, **options)

        return call

    for name in {"recompute", "_fit"} & set(vars(module)):
        monkeypatch.setattr(module, name, chattering(getattr(module, name)))
    with pytest.raises(SystemExit) as stop:
        main(["check", "--json", "--engine", engine, str(tiny)])
    printed, chatter = capfd.readouterr()
    (report,) = json.loads(printed)
    assert (stop.value.code, report["engine"], report["equal"], report["error"]) == (0, engine, True, None)
    assert set(chatter.splitlines()) == {"Unexpected type", "in Map!G7"}  # it chatters nothing of its own


def test_all_engines_at_once_print_json_and_nothing_else(tiny: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["check", "--json", "--engine", "all", str(tiny)])
    printed, chatter = capfd.readouterr()
    assert [report["engine"] for report in json.loads(printed)] == engines.quick()
    assert not chatter


def test_stdout_comes_back_after_the_last_of_several_threads(capfd: pytest.CaptureFixture[str]) -> None:
    first, second = quiet(), quiet()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    os.write(1, b"chatter\n")
    second.__exit__(None, None, None)
    os.write(1, b"result\n")
    sys.stdout.write("printed\n")
    assert capfd.readouterr() == ("result\nprinted\n", "chatter\n")


def _die(_: many.Job) -> str:
    os._exit(9)


def test_a_process_that_dies_takes_no_other_file_along(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(many, "_checked", _die)
    (first, second) = many.check_all([(built, "formulas")] * 2)
    assert isinstance(first, str)
    assert "was ended" in first
    assert first == second


def test_reports_come_in_the_order_of_the_files(built: Path) -> None:
    paths = [broken(built), built, built.with_name("none.xlsx"), built]
    first, second, third, fourth = many.check_all([(path, STATIC) for path in paths])
    assert not isinstance(first, str)
    assert not isinstance(second, str)
    assert not isinstance(fourth, str)
    assert first.difference is not None
    assert second.difference is None
    assert "does not exist" in str(third)
    assert fourth.difference is None
