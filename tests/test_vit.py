"""The vision transformer: a checkpoint against Hugging Face's numbers, the image, what a reader may do with it."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xlsxwriter
from helpers import BARE, BOTH_ENGINES, build, by_libreoffice, cells_of, edited, in_both_styles, right_in_both, sheetgen

from sheetgen.base.cells import Range
from sheetgen.engines import ENGINES
from sheetgen.model.given import Given, ring
from sheetgen.model.presets import all_presets, request
from sheetgen.model.weights import Drawn
from sheetgen.sheet.formula import formulas_of
from sheetgen.sheet.workbook import defined_name
from sheetgen.trace.ops import OPS, Array
from sheetgen.trace.recorder import Trace
from sheetgen.trace.tensor import apply, constant
from sheetgen.xlsx.read import read_book

GOLDEN = Path(__file__).parent / "golden" / "vit"


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pixels") / "image.npy"
    np.save(file, np.load(GOLDEN / "expected.npz")["pixel_values"][0])
    return file


def expected() -> dict[str, Array]:
    """The stored float64 answers by our paths; tokens are columns here."""
    stored = np.load(GOLDEN / "expected.npz")
    hidden = {"embed": 0, "layer_0.out": 1, "layer_1.out": 2}
    patterns = {f"layer_{i}.head_{h}.pattern": stored[f"attn_{i}"][0, h].T for i in range(2) for h in range(2)}
    return {path: stored[f"hidden_{i}"][0].T for path, i in hidden.items()} | patterns | {"logits": stored["logits"].T}


def recomputed(workbook: Path, engine: str, paths: Any) -> dict[str, Array]:
    book = read_book(workbook)
    values = ENGINES[engine](workbook, book)
    return {path: values.range(book.names[defined_name(path)]) for path in paths}


def probabilities(workbook: Path) -> Array:
    return recomputed(workbook, "formulas", ["probs"])["probs"].astype(float)


def test_checkpoint_equals_hugging_face(tmp_path: Path, pixels: Path) -> None:
    books = in_both_styles(tmp_path, "--from", GOLDEN, "--pixels", pixels)
    recomputed = by_libreoffice(books)
    for style, workbook in books.items():
        right = right_in_both(workbook, recomputed.get(style))
        for path, value in expected().items():
            for found in right.of(path):
                assert found.astype(float) == pytest.approx(value, rel=1e-9, abs=1e-9), path
        assert "LABEL_2" in right.report.predictions[""]


@pytest.mark.parametrize(
    ("field", "value"),
    [("layer_norm_eps", 1e-3), ("hidden_act", "gelu_new"), ("patch_size", [2, 2]), ("num_attention_heads", 4)],
)
def test_one_changed_detail_is_seen(tmp_path: Path, pixels: Path, field: str, value: object) -> None:
    folder = tmp_path / "other"
    shutil.copytree(GOLDEN, folder)
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(settings | {field: value}), encoding="utf-8")
    workbook = build(tmp_path / "vit.xlsx", "--from", folder, "--pixels", pixels, *BARE)
    logits = recomputed(workbook, "formulas", ["logits"])["logits"].astype(float)
    same = field == "patch_size"  # only spelled in another way
    assert np.allclose(logits, expected()["logits"], rtol=1e-9, atol=1e-9) == same


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"patch_size": [2, 3]}, "patch_size"),
        ({"image_size": 5}, "image_size"),
        ({"id2label": {"1": "one"}}, "id2label"),
        ({"num_labels": 3, "id2label": {"0": "a", "1": "b"}}, "classifier.weight is 3×8 instead of 2×8"),
        ({"num_attention_heads": 3}, "num_attention_heads"),
    ],
)
def test_what_a_checkpoint_cannot_say(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    folder = tmp_path / "other"
    shutil.copytree(GOLDEN, folder)
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(settings | changes), encoding="utf-8")
    result = sheetgen("build", "--from", folder, "-o", tmp_path / "vit.xlsx")
    assert (result.code, told in result.err) == (2, True), result.err


@pytest.mark.parametrize(
    "options",
    [
        ["--layers", "1", "--heads", "3", "--head-dim", "3", "--dim", "5", "--ffn", "7"],
        ["--set", "image_size=4", "--set", "image_width=6", "--set", "patch_size=2", "--set", "channels=3"],
        ["--set", "image_size=3", "--set", "patch_size=3", "--set", "n_labels=8"],
        ["--set", "qkv_bias=false", "--set", "activation=gelu_tanh"],
    ],
)
def test_sizes_are_options(tmp_path: Path, options: list[str]) -> None:
    result = sheetgen("check", build(tmp_path / "vit.xlsx", "vit", *options, *BARE))
    assert result.code == 0, result.out


def test_a_pixel_changes_the_probabilities_and_stays_checked(tmp_path: Path) -> None:
    workbook = build(tmp_path / "vit.xlsx", "vit", *BARE)

    def brighten(book: Any) -> None:
        cells_of(book, "image")[4][4].value = 1

    other = edited(workbook, brighten)
    assert np.abs(probabilities(other) - probabilities(workbook)).max() > 1e-3
    assert probabilities(other).sum() == pytest.approx(1)
    assert sheetgen("check", other).code == 0


def test_patches_are_in_the_order_channel_row_column() -> None:
    image = np.arange(2 * 4 * 6, dtype=float).reshape(2, 4, 6)
    found = OPS["patches"].numpy(image.reshape(8, 6), channels=2, size=2)
    by_hand = [image[:, r : r + 2, c : c + 2].ravel() for r in (0, 2) for c in (0, 2, 4)]
    assert np.array_equal(found, np.array(by_hand).T)


def test_the_image_looks_grey_and_every_column_has_a_name(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.load_workbook(build(tmp_path / "vit.xlsx", "vit", "--set", "n_labels=3"))
    area = book.defined_names["image"].attr_text.split("!")[1].replace("$", "")
    rules = [rule for rules in book["Model"].conditional_formatting if str(rules.sqref) == area for rule in rules.rules]
    assert [rule.type for rule in rules] == ["colorScale", "expression", "expression"]  # grey, light on dark, changed
    assert [color.rgb for color in rules[0].colorScale.color] == ["FF000000", "FFFFFFFF"]
    shape = [len(cells_of(book, name)[0]) for name in ("column_names", "patches", "patch_embed", "embed")]
    assert shape == [10, 9, 9, 10]
    assert cells_of(book, "patches")[0][0].column == cells_of(book, "embed")[0][1].column
    assert [row[0].value for row in cells_of(book, "labels")] == ["label_0", "label_1", "label_2"]


def test_the_picture_is_short_numbers_between_0_and_1() -> None:
    found = ring(3, 8, 12)
    assert found.shape == (3, 8, 12)
    assert np.array_equal(found, np.round(found, 1))
    assert (found.min(), found.max()) == (0, 1)
    assert found[0, 0, 0] == 0 < found.mean()


def test_pixels_give_the_sizes(pixels: Path) -> None:
    made = request(all_presets()["vit"], {"patch_size": 2}, Given(pixels=np.load(pixels)))
    assert (made.config.image_size, made.config.image_width, made.config.channels) == (4, 6, 1)  # type: ignore[attr-defined]
    assert np.array_equal(made.arrays["image"], np.load(pixels)[0])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--text", "a cat"], "vit does not read --text"),
        (["--target", "eine Katze"], "vit does not read --target"),
        (["--vocab", "9"], "vocab_size"),
        (["--kv-heads", "1"], "n_kv_heads"),
        (["--set", "patch_size=4"], "choose a patch_size that divides it (1, 3, 9)"),
        (["--set", "n_labels=0"], "n_labels 0 is too small"),
        (["--pixels", "missing.npy"], "missing.npy"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path: Path, options: list[str], told: str) -> None:
    result = sheetgen("build", "vit", *options, "-o", tmp_path / "vit.xlsx")
    assert (result.code, told in result.err) == (2, True), result.err


@pytest.mark.parametrize(
    "array", [np.zeros((4, 6)), np.full((1, 4, 6), np.nan), np.zeros((1, 0, 6)), np.array([[["a"]]])]
)
def test_pixels_must_be_numbers_in_three_dimensions(tmp_path: Path, array: Array) -> None:
    np.save(tmp_path / "image.npy", array)
    result = sheetgen("build", "vit", "--pixels", tmp_path / "image.npy", "-o", tmp_path / "vit.xlsx")
    assert (result.code, "image.npy" in result.err) == (2, True), result.err


def test_other_models_do_not_read_pixels(tmp_path: Path, pixels: Path) -> None:
    result = sheetgen("build", "llama1", "--pixels", pixels, "-o", tmp_path / "llama1.xlsx")
    assert (result.code, "--pixels" in result.err) == (2, True), result.err


@pytest.mark.parametrize("engine", BOTH_ENGINES)
@pytest.mark.parametrize("array", [True, False])
def test_gelu_is_exact_in_every_engine(tmp_path: Path, engine: str, array: bool) -> None:
    numbers = np.arange(-800, 801)[:, None] / 100
    target = tmp_path / "gelu.xlsx"
    with xlsxwriter.Workbook(target) as book:
        sheet = book.add_worksheet("Model")
        sheet.write_column(0, 0, numbers[:, 0])
        with Trace(Drawn(0, "byhand", {})):
            given = constant("x", numbers)
        places, area = {"x": Range("Model", 0, 0, 1600, 0)}, Range("Model", 0, 1, 1600, 1)
        for made in formulas_of(apply("gelu", given), area, places, "blocks" if array else "cells"):
            at = made.range.top, made.range.left
            if made.array:
                sheet.write_dynamic_array_formula(*at, made.range.bottom, made.range.right, made.text)
            else:
                sheet.write_formula(*at, made.text)
    found = ENGINES[engine](target, read_book(target)).range(area).astype(float)
    exact = [x * math.erfc(-x / math.sqrt(2)) / 2 for x in numbers[:, 0]]
    assert found[:, 0] == pytest.approx(exact, abs=1e-13)
