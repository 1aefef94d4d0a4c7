"""The encoder–decoder: against Marian's numbers, in NumPy and recomputed; its inputs and its names."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import BARE, build, by_libreoffice, cells_of, edited, right_in_both, sheetgen

from sheetgen.engines import ENGINES
from sheetgen.model import presets
from sheetgen.model.choices import Style
from sheetgen.model.families import run
from sheetgen.model.families.seq2seq import Seq2Seq
from sheetgen.model.given import Given
from sheetgen.sheet.build import Build
from sheetgen.sheet.pages.config import config_page
from sheetgen.sheet.pages.contents import contents_page
from sheetgen.sheet.pages.map import map_page
from sheetgen.sheet.workbook import Workbook, defined_name, place
from sheetgen.trace.limits import Limits, Live
from sheetgen.trace.ops import Array
from sheetgen.trace.recorder import Trace
from sheetgen.xlsx.read import read_book
from sheetgen.xlsx.write import write

GOLDEN = Path(__file__).parent / "golden" / "other" / "transformer.npz"
STYLES: tuple[Style, ...] = ("blocks", "cells")
SIDES = ("encoder", "decoder")
IDS = ("input_ids", "decoder_input_ids")
CROSS = ("decoder", "cross.")


class Marian:
    """The stored weights under our paths (a `recorder.Source`)."""

    def __init__(self) -> None:
        self.stored: dict[str, Array] = {k: v.astype(float) for k, v in np.load(GOLDEN).items() if k[:2] == "w/"}
        self.ids = {side: np.load(GOLDEN)[name][0] for side, name in zip(SIDES, IDS, strict=True)}

    def matrix(self, name: str) -> Array:
        """[W | b] of a linear map."""
        w, b = (self.stored[f"w/model.{name}.{part}"] for part in ("weight", "bias"))
        return np.concatenate([w, b[:, None]], axis=1)

    def weight(self, path: str, shape: tuple[int, int], _around: float | None) -> Array:
        found = self.find(path)
        assert found.shape == shape, path
        return found

    def find(self, path: str) -> Array:
        if path == "W_E":
            return self.stored["w/model.shared.weight"]
        if path == "b_U":
            return self.stored["w/final_logits_bias"].T
        side, layer, *inner, name = path.split(".")
        start = f"{side}.layers.{layer.removeprefix('layer_')}."
        attention = start + ("encoder_attn" if inner[:1] == ["cross"] else "self_attn")
        if name in ("W_up", "W_down"):
            return self.matrix(start + {"W_up": "fc1", "W_down": "fc2"}[name])
        if name == "W_O":
            return self.matrix(f"{attention}.out_proj")
        if name[:2] == "W_":
            head = int(inner[-1].removeprefix("head_"))
            return self.matrix(f"{attention}.{name[2:].lower()}_proj")[4 * head : 4 * head + 4]
        norm = f"{start}final_layer_norm" if name.endswith("norm_2") else f"{attention}_layer_norm"
        part = {"w": "weight", "b": "bias"}[name[0]]
        return self.stored[f"w/model.{norm}.{part}"][:, None]

    def control(self, _path: str, default: Live, _limits: Limits) -> Live:
        return default

    def text(self, path: str, _count: int) -> list[str]:
        ids = range(12) if path == "vocabulary" else self.ids[path.removesuffix(".words")]
        return [f"word_{i}" for i in ids]

    def numbers(self, path: str, _shape: tuple[int, int]) -> Array:
        raise AssertionError(path)


CONFIG = Seq2Seq(d_ff=8, n_source=6, n_target=6)


def expected() -> dict[str, Array]:
    """The stored float64 answers by our paths; tokens are columns here."""
    stored = np.load(GOLDEN)
    found = {"logits": stored["logits64"][0].T, "encoder.out": stored["enc_hidden_2_64"][0].T}
    for side, prefix in (("encoder", "enc_"), ("decoder", "")):
        for i, path in enumerate(("embed", "layer_0.out", "layer_1.out")):
            found[f"{side}.{path}"] = stored[f"{prefix}hidden_{i}_64"][0].T
    return found


def patterns() -> dict[str, Array]:
    """The stored patterns, which are float32."""
    stored, names = np.load(GOLDEN), {"enc_attn": ("encoder", ""), "attn": ("decoder", ""), "cross_attn": CROSS}
    return {
        f"{side}.layer_{i}.{inner}head_{h}.pattern": stored[f"{name}_{i}"][0, h].T
        for name, (side, inner) in names.items()
        for i in range(2)
        for h in range(2)
    }


def compare(values: dict[str, Array]) -> None:
    for path, value in expected().items():
        assert values[path].astype(float) == pytest.approx(value, rel=1e-9, abs=1e-9), path
    for path, value in patterns().items():
        assert values[path].astype(float) == pytest.approx(value, abs=1e-6), path
        assert values[path].sum(axis=0) == pytest.approx(1, abs=1e-12), path


def values_of(trace: Trace) -> dict[str, Array]:
    return {path: tensor.value for path, tensor in trace.blocks.items()}


def recomputed(workbook: Path, engine: str, paths: Iterable[str]) -> dict[str, Array]:
    book = read_book(workbook)
    values = ENGINES[engine](workbook, book)
    return {path: values.range(book.names[defined_name(path)]) for path in paths}


def test_equals_marian() -> None:
    compare(values_of(run(CONFIG, Marian())))


@pytest.mark.slow
def test_its_workbook_equals_marian(tmp_path: Path) -> None:
    preset = presets.find("transformer")
    trace = run(CONFIG, Marian())
    books: dict[str, Path] = {}
    for style in STYLES:
        model = place(presets.Request(preset, CONFIG, {}), Build(formulas=style), trace)
        after = [config_page([model]), contents_page([model])]
        books[style] = tmp_path / f"{style}.xlsx"
        write(books[style], Workbook(preset.title, preset.summary, [map_page(model), model, *after], style))
    libreoffice = by_libreoffice(books)
    for name, workbook in books.items():
        right = right_in_both(workbook, libreoffice.get(name))
        by_path = {path: right.of(path) for path in (*expected(), *patterns())}
        for i in range(len(right.values)):
            compare({path: found[i] for path, found in by_path.items()})


@pytest.mark.parametrize(
    "detail",
    [{"norm_eps": 1e-3}, {"position_order": "interleaved"}, {"position_base": 1000.0}, {"activation": "gelu"}],
)
def test_one_changed_detail_is_seen(detail: dict[str, Any]) -> None:
    values = values_of(run(replace(CONFIG, **detail), Marian()))
    assert np.abs(values["logits"] - expected()["logits"]).max() > 1e-4


def test_interleaved_positions_are_those_of_the_paper() -> None:
    found = values_of(run(replace(CONFIG, position_order="interleaved"), Marian()))["PE"]
    for position, feature in np.ndindex(6, 8):
        angle = position / 10000 ** (2 * (feature // 2) / 8)
        assert found[feature, position] == pytest.approx([math.sin, math.cos][feature % 2](angle), abs=1e-15)


@pytest.mark.parametrize(
    "options",
    [
        ["--layers", "1", "--heads", "3", "--head-dim", "3", "--dim", "6", "--ffn", "5", "--vocab", "15"],
        ["--text", "a dog saw a cat", "--target", "ein"],
        ["--set", "bias=false", "--set", "logits_bias=false", "--set", "position_order=interleaved"],
    ],
)
def test_sizes_are_options(tmp_path: Path, options: list[str]) -> None:
    result = sheetgen("check", build(tmp_path / "transformer.xlsx", "transformer", *options, *BARE))
    assert result.code == 0, result.out


def test_sides_share_vocabulary_and_table_but_no_rows(tmp_path: Path) -> None:
    book = read_book(build(tmp_path / "transformer.xlsx", "transformer"))
    encoder, decoder = ([p for n, p in book.names.items() if n.startswith(f"{side}__")] for side in SIDES)
    assert max(place.bottom for place in encoder) < min(place.top for place in decoder)
    trace = run(CONFIG, Marian())
    tables = [path for path in trace.blocks if path.endswith(("W_E", "W_U"))]
    assert [trace[path].kind for path in tables] == ["weight", "computed", "computed", "computed"]


def test_the_future_of_the_translation_is_hidden_and_all_of_the_sentence_seen() -> None:
    values = values_of(run(CONFIG, Marian()))
    for path in patterns():
        hidden = np.tril(values[path], -1)  # keys (rows) later than the query (column)
        assert (path.startswith("decoder") and "cross" not in path) == (hidden == 0).all(), path


def test_another_word_of_the_sentence_changes_the_translation(tmp_path: Path) -> None:
    workbook = build(tmp_path / "transformer.xlsx", "transformer", *BARE)

    def dog(book: Any) -> None:
        cells_of(book, "encoder__words")[0][1].value = "dog"

    other = edited(workbook, dog)
    probs = [recomputed(file, "formulas", ["probs"])["probs"].astype(float) for file in (workbook, other)]
    assert np.abs(probs[0] - probs[1]).max() > 1e-4
    assert sheetgen("check", other).code == 0

    def unknown(book: Any) -> None:
        cells_of(book, "decoder__words")[0][1].value = "Hund"

    result = sheetgen("check", edited(workbook, unknown))
    assert (result.code, "'Hund'" in result.err) == (2, True), result.err


def test_the_translation_begins_with_the_start_sign() -> None:
    made = presets.request(presets.find("transformer"), {}, Given(text="a cat", target="eine Katze"))
    assert made.texts["encoder.words"] == ["a", "cat"]
    assert made.texts["decoder.words"] == ["<s>", "eine", "Katze"]
    assert made.texts["vocabulary"][:6] == ["<s>", "</s>", "a", "cat", "eine", "Katze"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--dim", "7"], "choose 8"),
        (["--vocab", "7"], "choose --vocab 8 or more"),
        (["--kv-heads", "1"], "n_kv_heads"),
        (["--set", "n_source=4"], "n_source"),
        (["--pixels", "image.npy"], "image.npy"),
        (["--text", "a", "--tokens", "1"], "choose one"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path: Path, options: list[str], told: str) -> None:
    result = sheetgen("build", "transformer", *options, "-o", tmp_path / "transformer.xlsx")
    assert (result.code, told in result.err) == (2, True), result.err


def test_tokens_are_ids_of_the_shared_vocabulary(tmp_path: Path) -> None:
    workbook = build(tmp_path / "transformer.xlsx", "transformer", "--tokens", "3,1,4")
    found = recomputed(workbook, "formulas", ["encoder.tokens", "decoder.tokens"])
    assert [list(row[0]) for row in found.values()] == [[3, 1, 4], [0, 5, 6, 7]]
