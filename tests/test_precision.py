"""--precision: rounding as the formats do it, where a real model does it, in the sheet; and what it does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from helpers import BARE, Made, build, by_libreoffice, cells_of, edited, far, ids, make, right_in_both, sheetgen
from reference import softmax

from sheetgen.base.errors import InputError
from sheetgen.model.presets import all_presets
from sheetgen.model.rounding import ENDING, FORMATS, TWIN
from sheetgen.model.weights import Drawn
from sheetgen.proof.check import check
from sheetgen.sheet.build import Build
from sheetgen.sheet.workbook import place
from sheetgen.trace.ops import OPS, Array
from sheetgen.trace.tensor import Tensor

TYPES: dict[str, Any] = {"bf16": ml_dtypes.bfloat16, "fp16": np.float16, "fp32": np.float32}


def as_format(x: Array, name: str) -> Array:
    """Rounded by the type that another library has for the format."""
    with np.errstate(over="ignore", under="ignore"):
        if name == "bf16":  # a cast from float64 would round twice
            return np.asarray([_nearest_bf16(value) for value in np.ravel(x)]).reshape(np.shape(x))
        return np.asarray(x).astype(TYPES[name]).astype(float)


def _nearest_bf16(value: float) -> float:
    """The nearest of the bfloat16 around it; of two equally near ones the one whose last bit is 0."""
    near = np.array([value]).astype(np.float32).astype(ml_dtypes.bfloat16)
    bits = near.view(np.uint16).astype(int)[0] + np.array([-1, 0, 1])
    around = bits[(bits >= 0) & (bits < 2**16)].astype(np.uint16)
    numbers = around.view(ml_dtypes.bfloat16).astype(float)
    distance = np.where(np.isfinite(numbers), np.abs(numbers - value), np.inf)
    best = np.flatnonzero(distance == distance.min())
    return float(numbers[min(best, key=lambda i: int(around[i]) % 2)])


def rounded(x: Array, name: str) -> Array:
    bits, exponent = FORMATS[name]
    beyond = (2.0 - 2.0 ** (-1 - bits)) * 2.0**exponent
    cells = (np.array([[value]]) for value in (bits, 2.0 ** (1 - exponent), beyond))
    with np.errstate(divide="ignore"):
        return OPS["rounded"].numpy(x, *cells)


@pytest.mark.parametrize("name", FORMATS)
def test_numbers_are_rounded_as_the_format_does(name: str) -> None:
    """Any size, ties, powers of 2 and their neighbours, numbers too small for all their bits, 0."""
    bits, exponent = FORMATS[name]
    random = np.random.default_rng(0)
    powers = 2.0 ** np.arange(-min(exponent, 20) - bits - 2.0, min(exponent, 30))
    ties = powers[:, None] * (1 + (2 * random.integers(0, 2**bits, (1, 20)) + 1) / 2 ** (bits + 1))
    near = np.concatenate([np.nextafter(powers, 0), powers, np.nextafter(powers, np.inf)])
    sizes = np.exp(random.uniform(np.log(powers[0]), np.log(powers[-1]), 2000))
    x = np.concatenate([[0.0], sizes, ties.ravel(), near])[None]
    for signed in (x, -x):
        np.testing.assert_array_equal(rounded(signed, name), as_format(signed, name))


def test_beyond_the_largest_number_there_is_none() -> None:
    x = np.array([[65504.0, 65519.99, 65520.0, -7e4, 3e5]])
    np.testing.assert_array_equal(rounded(x, "fp16"), as_format(x, "fp16"))
    assert np.isfinite(rounded(x, "bf16")).all()


# --- where ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", sorted(all_presets().keys() - {"receptive-field", "precision"}))
def test_rounding_in_every_family(preset: str) -> None:
    """The twin is the model without rounding; what is rounded is used as such; all that is stored fits the format."""
    plain, made = make(preset), make(preset, precision="fp16")
    for path, value in plain.values.items():
        if path.endswith("_ones"):  # stand under a block, and are called like it
            continue
        twin = f"{TWIN}.{path}" if f"{TWIN}.{path}" in made.values else path  # what is the same is not repeated
        assert far(made.values[twin], value) <= 1e-12, path
    steps = [path for path in made.values if path.endswith(ENDING)]
    assert len(steps) >= 5
    for path in steps:
        np.testing.assert_array_equal(made.values[path], as_format(made.values[path], "fp16"))
    for path, block in made.trace.blocks.items():
        if not path.startswith((f"{TWIN}.", "effect.")) and not block.op.mark:
            passed_by = [b.path for b in block.blocks_used() if f"{b.path}{ENDING}" in made.values]
            assert not passed_by, (path, passed_by)
    assert made.trace.parameters() == plain.trace.parameters()


def test_a_llama_in_bf16_is_what_numpy_computes() -> None:
    """Equations of a Llama with each stored result rounded, written down once more."""
    made = make("llama1", tokens=ids(7), precision="bf16", controls="none")
    c, w = made.request.config, {name: as_format(value, "bf16") for name, value in made.weights.items()}

    def r(x: Array) -> Array:
        return as_format(x, "bf16")

    def norm(x: Array, gain: str) -> Array:
        return r(x / np.sqrt(np.square(x).mean(axis=1, keepdims=True) + c.norm_eps) * w[gain].T)  # type: ignore[attr-defined]

    half = c.head_dim // 2  # type: ignore[attr-defined]
    angle = np.arange(7)[:, None] * c.rope_theta ** (-np.arange(half) / half)  # type: ignore[attr-defined]
    cos, sin = (r(np.concatenate([f(angle)] * 2, axis=1)) for f in (np.cos, np.sin))

    def rope(x: Array) -> Array:
        return r(x * cos + np.concatenate([-x[:, half:], x[:, :half]], axis=1) * sin)

    x = w["W_E"][ids(7)]
    for i in range(c.n_layers):  # type: ignore[attr-defined]
        layer = f"layer_{i}"
        h, heads = norm(x, f"{layer}.w_norm_1"), []
        for j in range(c.n_heads):  # type: ignore[attr-defined]
            q, k, v = (r(h @ w[f"{layer}.head_{j}.W_{name}"].T) for name in "QKV")
            scores = r(rope(q) @ rope(k).T / np.sqrt(c.head_dim))  # type: ignore[attr-defined]
            pattern = softmax(np.where(np.tri(7) == 1, scores, -np.inf))
            heads.append(r(r(pattern) @ v))
        x = r(x + r(np.concatenate(heads, axis=1) @ w[f"{layer}.W_O"].T))
        h = norm(x, f"{layer}.w_norm_2")
        gate, up = (r(h @ w[f"{layer}.ffn.W_{name}"].T) for name in ("gate", "up"))
        x = r(x + r(r(gate / (1 + np.exp(-gate)) * up) @ w[f"{layer}.ffn.W_down"].T))
        np.testing.assert_array_equal(made.values[f"{layer}.out{ENDING}"].T, x)
    logits = r(norm(x, "w_final_norm") @ w["W_U"].T)
    np.testing.assert_array_equal(made.values[f"logits{ENDING}"].T, logits)
    assert far(made.values["probs"].T, softmax(logits)) <= 1e-12


def test_the_effect_is_the_difference_of_both() -> None:
    made = make("llama1", precision="bf16")
    for name in ("layer_0.out", "layer_1.out", "logits"):
        error = made.values[f"{name}{ENDING}"] - make("llama1").values[name]
        shown = f"effect.of_{name.replace('.', '_')}"
        assert far(made.values[f"{shown}.error"], error) <= 1e-12
        exact = make("llama1").values[name]
        share = np.linalg.norm(error, axis=0) / np.linalg.norm(exact, axis=0)
        assert far(made.values[f"{shown}.relative"][0], share) <= 1e-12
        assert 1e-4 < share.max() < 0.2


def worst(made: Made) -> float:
    return float(made.values["effect.of_logits.relative"].max())


def test_more_bits_err_less() -> None:
    errors = [worst(make("llama1", precision=name)) for name in ("bf16", "fp16", "fp32")]
    assert errors[0] > 3 * errors[1] > 1000 * errors[2] > 0


def test_whole_numbers_need_no_rounding(tmp_path: Path) -> None:
    result = sheetgen("build", "receptive-field", "--precision", "bf16", "-o", tmp_path / "book.xlsx")
    assert (result.code, result.out) == (2, "")
    assert "nothing to round" in result.err


# --- in the workbook -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_both_engines_round_alike(tmp_path: Path) -> None:
    """Per block and per cell, as built and with another format chosen in the sheet."""
    small = ("--text", "the cat sat", "--layers", 1, "--dim", 4, "--vocab", 4, *BARE)
    few = ("--heads", 1, "--experts", 1, "--head-dim", 2, "--ffn", 2, *small)
    blocks = build(tmp_path / "blocks.xlsx", "llama4", "--precision", "bf16", *few)
    cells = build(tmp_path / "cells.xlsx", "gpt2", "--precision", "fp32", "--formulas", "cells", *small)

    def turn(name: str) -> Path:
        def change(book: Any) -> None:
            cells_of(book, "control__precision")[0][0].value = name

        return edited(blocks, change, f"{name}.xlsx")

    books = {"blocks": blocks, "cells": cells, "fp16": turn("fp16"), "fp32": turn("fp32")}
    recomputed = by_libreoffice(books)
    for name, path in books.items():
        right_in_both(path, recomputed.get(name))


def test_static_check_and_wrong_formats(tmp_path: Path) -> None:
    path = build(tmp_path / "book.xlsx", "llama1", "--precision", "fp16", "--layers", 1, *BARE)
    assert sheetgen("check", path, "--static").code == 0
    assert sheetgen("build", "llama1", "--precision", "fp8", "-o", tmp_path / "no.xlsx").code == 2

    def unknown(book: Any) -> None:
        cells_of(book, "control__precision")[0][0].value = "fp8"

    result = sheetgen("check", edited(path, unknown))
    assert result.code == 2
    assert "the control precision, holds 'fp8': it must be bf16 or fp16 or fp32" in result.err

    def large(book: Any) -> None:
        cells_of(book, "W_E")[0][0].value = 70000

    result = sheetgen("check", edited(path, large))  # more than fp16 holds
    assert result.code == 2
    assert "too large" in result.err


def test_every_block_is_told(tmp_path: Path) -> None:
    """Each has a title and a note that is not empty (IronCalc even refuses a workbook with an empty one)."""
    notes = _notes(build(tmp_path / "book.xlsx", "llama1", "--precision", "bf16"))
    assert len(notes) > 300
    assert all(note.strip() for note in notes)


def _notes(path: Path) -> list[str]:
    import openpyxl

    book = openpyxl.load_workbook(path)
    return [cell.comment.text for sheet in book for row in sheet.iter_rows() for cell in row if cell.comment]


def test_precision_of_a_checkpoint(tmp_path: Path) -> None:
    golden = next(path for path in (Path(__file__).parent / "golden").iterdir() if re.match("llama", path.name))
    target = tmp_path / "book.xlsx"
    result = sheetgen("build", "--from", golden, "--tokens", "1,2,3", "--precision", "bf16", "-o", target)
    assert result.code == 0, result.err
    assert check(target).difference is None


def test_a_rounded_block_is_made_of_one_block() -> None:
    """What it is the rounding of, and the three cells that tell the format."""
    made = make("mixtral", precision="fp16")
    steps = [t for t in made.trace.blocks.values() if t.op.mark]
    for step in steps:
        first, *cells = step.blocks_used()
        assert isinstance(first, Tensor)
        assert step.path == f"{first.path}{ENDING}"
        assert [cell.path for cell in cells] == ["fraction_bits", "smallest", "beyond"]


def test_number_formats_by_hand(tmp_path: Path) -> None:
    """The steps give what the one formula gives; places above 256 become one in bf16, not in fp32."""
    for name, same in (("bf16", [0, 0, 1, 0, 0, 1, 1]), ("fp16", [0] * 7), ("fp32", [0] * 7)):
        values = make("precision", precision=name).values
        np.testing.assert_array_equal(values["number.kept"], as_format(values["number.x"], name))
        np.testing.assert_array_equal(values["number.kept"], values["number.at_once"])
        assert values["positions.same_as_before"].tolist() == [same]
    assert make("precision", precision="bf16").values["number.tie"].sum() == 1
    wide, narrow = (values[f"window.mask_{name}"].sum(axis=0) for name in ("wide", "narrow"))
    assert (wide.max(), narrow.max()) == (4, 3)
    path = build(tmp_path / "book.xlsx", "precision", "--precision", "fp16")
    right_in_both(path, by_libreoffice({"book": path}).get("book"))
    refused = sheetgen("build", "precision", "--text", "the cat", "-o", tmp_path / "no.xlsx")
    assert (refused.code, refused.err) == (
        2, "sheetgen: precision does not read --text: its numbers are typed into its sheet\n"
    )  # fmt: skip


def test_a_model_beyond_the_format_is_not_written() -> None:
    """Weights of a thousand make squares of millions, which bf16 holds and fp16 does not."""

    class Large(Drawn):
        def weight(self, path: str, shape: tuple[int, int], around: float | None) -> Array:
            return np.asarray(1000 * super().weight(path, shape, around))

    for name in ("bf16", "fp16"):
        request = make("llama1", precision=name).request
        made = make("llama1", precision=name, source=Large(0, "byhand", request.texts, request.arrays))
        if name == "bf16":
            place(made.request, Build(), made.trace)
            continue
        with pytest.raises(InputError, match=r"layer_0\.\S+ becomes too large"):
            place(made.request, Build(), made.trace)
