"""`import sheetgen`: what its functions make, read and prove; how they show themselves; what they refuse, and how."""

from __future__ import annotations

import doctest
import inspect
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import cells_of, edited, make
from helpers import sheetgen as command_line

import sheetgen
import sheetgen.api
from sheetgen.base.cells import Range
from sheetgen.proof.report import Difference

SMALL: dict[str, Any] = {"text": "the cat sat", "n_layers": 1}
untyped: Any = sheetgen  # for what a type checker would refuse
HOSTILE = "<script>alert(1)</script>&\"'"


# --- the package -------------------------------------------------------------------------------------------------


def test_importing_costs_nothing() -> None:
    code = "import sheetgen, sys; print([m for m in ('numpy', 'xlsxwriter', 'click', 'formulas') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_all_is_there_and_typed() -> None:
    assert set(sheetgen.__all__) <= set(dir(sheetgen))
    for name in sheetgen.__all__:
        assert getattr(sheetgen, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'biuld'"):
        sheetgen.biuld  # type: ignore[attr-defined]  # noqa: B018
    assert (Path(sheetgen.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize("module", [sheetgen, sheetgen.api], ids=lambda module: module.__name__)
def test_the_examples_are_true(module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [test for test in finder.find(module, globs={"sheetgen": sheetgen}) if test.examples]
    assert examples
    for test in examples:
        runner = doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
        assert runner.run(test).failed == 0


def test_every_function_has_an_example() -> None:
    for name in sheetgen.__all__:
        thing = getattr(sheetgen, name)
        if inspect.isfunction(thing):
            assert ">>> " in (thing.__doc__ or ""), name


# --- building ----------------------------------------------------------------------------------------------------


def test_a_workbook_is_the_model_that_was_asked_for(tmp_path: Path) -> None:
    book = sheetgen.build("llama4", n_heads=4, n_experts=np.int64(3), tokens=np.array([3, 1, 4]), seed=5)
    made = make("llama4", tokens=[3, 1, 4], seed=5, n_heads=4, n_experts=3)
    assert book.config == made.request.config
    assert book.parameters == made.trace.parameters()
    assert book.tensors.keys() == made.values.keys()
    assert all(np.array_equal(book.tensors[path], value) for path, value in made.values.items())
    summary = book.save(tmp_path / "new" / "a.xlsx")
    assert command_line("build", "llama4", "--heads", 4, "--experts", 3, "--tokens", "3,1,4", "--seed", 5, "-o",
                        tmp_path / "b.xlsx").code == 0  # fmt: skip
    assert (tmp_path / "new" / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()
    assert summary.sheets[:2] == ["Map", "Model"]


def test_tensors_can_only_be_read() -> None:
    book = sheetgen.build("attention")
    path, values = next(iter(book.tensors.items()))
    with pytest.raises(ValueError, match="read-only"):
        values[0, 0] = 0
    with pytest.raises(TypeError):
        book.tensors[path] = values  # type: ignore[index]


def test_options_in_a_line_mean_the_same_as_settings() -> None:
    line = sheetgen.build("llama2 --heads 3 --set norm_eps=0 --bias")
    assert line.config == sheetgen.build("llama2", n_heads=3, norm_eps=0.0, bias=True).config
    assert sheetgen.build("llama2 --heads 3", n_heads=2).config.n_heads == 2


def test_an_image_as_an_array(tmp_path: Path) -> None:
    image = np.round(np.random.default_rng(0).random((1, 6, 9)), 1)
    np.save(tmp_path / "image.npy", image)
    given, read = (sheetgen.build("vit", pixels=pixels) for pixels in (image, tmp_path / "image.npy"))
    assert np.array_equal(given.tensors["image"], image[0])
    assert np.array_equal(given.tensors["image"], read.tensors["image"])


def test_a_checkpoint(tmp_path: Path) -> None:
    folder = Path(__file__).parent / "golden" / "gpt2"
    book = sheetgen.build(checkpoint=folder, tokens=[1, 2, 3], n_layers=1)
    assert book.config.n_layers == 1
    book.save(tmp_path / "a.xlsx")
    options = "--tokens", "1,2,3", "--layers", 1, "-o", tmp_path / "b.xlsx"
    assert command_line("build", "--from", folder, *options).code == 0
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (lambda: untyped.build("lama1"), "did you mean 'llama1'"),
        (lambda: untyped.build("llama1", n_hats=2), "no setting 'n_hats'"),
        (lambda: untyped.build("llama1", n_heads="two"), "n_heads"),
        (lambda: untyped.build("llama1", formulas="cell"), "formulas is 'cell': did you mean 'cells'?"),
        (lambda: untyped.build("llama1", weights="heavy"), "weights is 'heavy': choose byhand or normal or zeros"),
        (lambda: untyped.build("llama1", lang="xx"), "lang is 'xx'"),
        (lambda: untyped.build("llama1", theme="pink"), "pink"),
        (lambda: untyped.build("llama1", tokens="3,1"), "tokens: '3' is no whole number"),
        (lambda: untyped.build("llama1", seed=0.5), "seed: 0.5 is no whole number"),
        (lambda: untyped.build("llama1", text=["the", "cat"]), "text is of the type list: give one string"),
        (lambda: untyped.build("vit", pixels=np.ones((4, 4))), "pixels: it must hold numbers in the shape"),
        (lambda: untyped.build("vit", pixels=np.full((1, 4, 4), np.nan)), "pixels: it holds infinite numbers"),
        (lambda: untyped.build(), "PRESET is missing"),
        (lambda: untyped.build("llama1", keep_vocab="a"), "--keep-vocab cuts a checkpoint"),
        (lambda: untyped.build("llama1", checkpoint="x"), "both name a model"),
        (lambda: untyped.build(checkpoint="x", n_heads=3), "--heads cannot be given with --from"),
        (lambda: untyped.compare("llama1", "vit"), "compare models that are given the same"),
        (lambda: untyped.compare(untyped.build("attention", text="a"), "attention"), "they are given different words"),
        (lambda: untyped.compare(untyped.tour("attention"), "llama1"), "holds several models"),
        (lambda: untyped.tour("lama"), "is no tour"),
        (lambda: untyped.tour("attention").config, "holds several models (plain, qkv"),
        (lambda: untyped.load("missing.xlsx"), "missing.xlsx does not exist"),
        (lambda: untyped.check("missing.xlsx"), "missing.xlsx does not exist"),
        (lambda: untyped.check("missing.xlsx", engine="librofice"), "did you mean 'libreoffice'?"),
        (lambda: untyped.build("attention").save("a.xls"), "does not end in .xlsx"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_an_input_error(asked: Any, told: str) -> None:
    with pytest.raises(sheetgen.InputError, match=re.escape(told)):
        asked()


def test_errors_of_a_file_are_input_errors() -> None:
    assert issubclass(sheetgen.BookError, sheetgen.InputError)


# --- files -------------------------------------------------------------------------------------------------------


def test_a_file_that_was_edited_is_kept(tmp_path: Path) -> None:
    book, path = sheetgen.build("attention"), tmp_path / "a.xlsx"
    path.write_bytes(b"mine")
    with pytest.raises(sheetgen.InputError, match="was edited"):
        book.save(path)
    assert path.read_bytes() == b"mine"
    book.save(str(path), force=True)
    assert sheetgen.check(path).equal


def test_loading_gives_what_stands_in_the_file(tmp_path: Path) -> None:
    def change(book: Any) -> None:
        cells_of(book, "layer_0__head_0__W_Q")[0][0].value = 7
        cells_of(book, "words")[0][1].value = "sat"

    built = sheetgen.build("llama1", **SMALL)
    summary = built.save(tmp_path / "a.xlsx")
    loaded = sheetgen.load(tmp_path / "a.xlsx")
    assert loaded.config == built.config
    assert loaded.tensors.keys() == built.tensors.keys()
    assert all(np.array_equal(loaded.tensors[path], value) for path, value in built.tensors.items())
    assert loaded.save(tmp_path / "copy.xlsx") == summary
    assert (tmp_path / "copy.xlsx").read_bytes() == (tmp_path / "a.xlsx").read_bytes()

    path = edited(tmp_path / "a.xlsx", change)
    now = sheetgen.load(path)
    assert now.tensors["layer_0.head_0.W_Q"][0, 0] == 7
    assert now.tensors["words"].tolist() == [["the", "sat", "sat"]]
    assert not np.array_equal(now.tensors["logits"], built.tensors["logits"])
    now.save(tmp_path / "kept.xlsx")
    assert (tmp_path / "kept.xlsx").read_bytes() == path.read_bytes()


def test_workbooks_are_compared_with_their_own_numbers(tmp_path: Path) -> None:
    a, b = sheetgen.build("llama1", **SMALL, seed=3), sheetgen.build("llama2", **SMALL, n_heads=3)
    b.save(tmp_path / "b.xlsx")
    both = sheetgen.compare(a, sheetgen.load(tmp_path / "b.xlsx"), formulas="cells")
    for key, one in (("a", a), ("b", b)):
        assert all(np.array_equal(both.tensors[f"{key}.{path}"], value) for path, value in one.tensors.items())
    both.save(tmp_path / "both.xlsx")
    assert sheetgen.check(tmp_path / "both.xlsx").equal
    again = sheetgen.load(tmp_path / "both.xlsx")
    assert [model.key for model in again.models] == ["a", "b"]
    assert [model.build.seed for model in again.models] == [3, 0]


def test_comparing_lines_is_what_the_command_does(tmp_path: Path) -> None:
    lines = "llama1 --layers 1", "llama2 --layers 1 --heads 4"
    sheetgen.compare(*lines, text="the cat").save(tmp_path / "a.xlsx")
    assert command_line("compare", *lines, "--text", "the cat", "-o", tmp_path / "b.xlsx").code == 0
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


# --- the proof, and how it shows itself --------------------------------------------------------------------------


def test_a_report_tells_what_differs(tmp_path: Path) -> None:
    def change(book: Any) -> None:
        cells_of(book, "layer_0__norm_1")[0][0].value = 7

    sheetgen.build("llama1", **SMALL).save(tmp_path / "a.xlsx")
    path = edited(tmp_path / "a.xlsx", change)
    report = sheetgen.check(path)
    assert not report.equal
    assert report.differences[0].path == "layer_0.norm_1"
    assert "layer_0.norm_1" in repr(report)
    shown = visible(report._repr_html_())
    assert "layer_0.norm_1" in shown
    assert report.differences[0].formula_expected in shown
    static = sheetgen.check(path, static=True)
    assert [d.path for d in static.differences] == ["layer_0.norm_1"]


class Visible(HTMLParser):
    """The text of a fragment; only elements that can do nothing, each closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"div", "strong", "table", "tr", "th", "td"}
        assert {name for name, _ in attrs} <= {"style"}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def visible(fragment: str) -> str:
    parser = Visible()
    parser.feed(fragment)
    parser.close()
    assert not parser.open
    assert "url(" not in fragment
    return "\n".join(parser.text)


def test_hostile_words_are_shown_as_words() -> None:
    book = sheetgen.build("attention", text=HOSTILE)
    shown = visible(book._repr_html_())
    assert HOSTILE in shown
    report = sheetgen.Report(Path(f"{HOSTILE}\x1b[2J\u202e.xlsx"), "formulas")
    report.predictions, report.remarks = {HOSTILE: HOSTILE}, [HOSTILE * 50]
    place = Range("Model", 0, 0, 0, 0)
    report.differences = [Difference(HOSTILE, HOSTILE, place, ["A1"], HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)]
    shown = visible(report._repr_html_())
    assert shown.count(HOSTILE) > 8
    assert not {"\x1b", "\u202e"} & set(shown + repr(report))
    assert len(report._repr_html_()) < 10_000


def test_a_workbook_shows_itself() -> None:
    book = sheetgen.build("llama1", **SMALL)
    assert repr(book) == f"<Workbook Llama 1: {book.parameters:,} parameters, {len(book.tensors)} tensors>"
    assert repr(book.models[0]) == repr(book).replace("Workbook", "Model")
    shown = visible(book._repr_html_())
    assert "the cat sat → " in shown
    assert f"{book.parameters:,}" in shown
