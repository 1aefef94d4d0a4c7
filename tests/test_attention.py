"""The bare mechanism in three steps, by hand and in the sheet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import BOTH_ENGINES, build, cells_of, edited, sheetgen

from sheetgen.model import presets
from sheetgen.model.families import run
from sheetgen.model.weights import Drawn
from sheetgen.trace.ops import Array


def softmax(scores: Array) -> Array:
    e = np.exp(scores - scores.max(axis=0))
    return np.asarray(e / e.sum(axis=0))


def test_three_steps_by_hand() -> None:
    request = presets.request(presets.find("attention"), {})
    trace = run(request.config, Drawn(0, "byhand", request.texts))
    value = {path: tensor.value for path, tensor in trace.blocks.items()}
    x = value["embed"]
    assert x.shape == (4, 6)
    assert value["step_1.pattern"] == pytest.approx(softmax(x.T @ x / 2))
    assert value["step_1.z"] == pytest.approx(x @ softmax(x.T @ x / 2))
    q, k, v = (value[f"step_2.W_{name}"] @ x for name in "QKV")
    scores = k.T @ q / np.sqrt(3)
    assert value["step_2.z"] == pytest.approx(v @ softmax(scores))
    later = np.arange(6)[:, None] > np.arange(6)
    assert not value["step_3.pattern"][later].any()
    assert value["step_3.z"] == pytest.approx(v @ softmax(np.where(later, -np.inf, scores)))
    assert trace.parameters() == 6 * 4 + 3 * 3 * 4


@pytest.mark.parametrize("engine", BOTH_ENGINES)
@pytest.mark.parametrize("style", ["blocks", "cells"])
def test_the_sheet(tmp_path: Path, style: str, engine: str) -> None:
    path = build(tmp_path / "attention.xlsx", "attention", "--formulas", style)
    result = sheetgen("check", path, "--engine", engine)
    assert result.code == 0, result.out + result.err
    assert "the last word, mat, looks most at" in result.out


def test_another_word_is_followed(tmp_path: Path) -> None:
    path = build(tmp_path / "attention.xlsx", "attention")
    copy = edited(path, lambda book: setattr(cells_of(book, "words")[0][-1], "value", "cat"))
    result = sheetgen("check", copy)
    assert result.code == 0, result.out + result.err
    assert "the last word, cat, looks most at" in result.out


@pytest.mark.parametrize("options", [("--dim", 5, "--head-dim", 1), ("--vocab", 9, "--text", "a dog"), ("--text", "a")])
def test_sizes(tmp_path: Path, options: tuple[object, ...]) -> None:
    assert sheetgen("check", build(tmp_path / "attention.xlsx", "attention", *options)).code == 0


@pytest.mark.parametrize("option", ["layers", "heads", "kv-heads", "ffn", "experts", "top-k"])
def test_sizes_it_has_not_are_refused(tmp_path: Path, option: str) -> None:
    result = sheetgen("build", "attention", f"--{option}", 1, "-o", tmp_path / "attention.xlsx")
    assert result.code == 2
    assert "attention has no setting" in result.err
