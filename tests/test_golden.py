"""Checkpoints of Hugging Face: what sheetgen computes from them, in NumPy and in cells, is what transformers does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import goldens
import numpy as np
import pytest
from helpers import by_libreoffice, in_batches

from sheetgen.huggingface.convert import Converted, Stored, convert
from sheetgen.model import nn
from sheetgen.model.families import run
from sheetgen.model.given import Given
from sheetgen.trace.limits import Limits, Live
from sheetgen.trace.ops import Array
from sheetgen.trace.recorder import Source
from sheetgen.trace.roles import Role
from sheetgen.trace.tensor import Tensor

NOTICED = 1e-6


def converted(name: str) -> tuple[Converted, dict[str, Array]]:
    answer = goldens.answers(goldens.FOLDER / name)
    tokens = [int(token) for token in answer["input_ids"][0]] if "input_ids" in answer else None
    pixels = answer["pixel_values"][0] if "pixel_values" in answer else None
    return convert(goldens.FOLDER / name, Given(tokens=tokens, pixels=pixels)), answer


@pytest.mark.parametrize("name", goldens.NAMES)
def test_reference(name: str) -> None:
    made, answer = converted(name)
    config: Any = made.request.config
    trace = run(config, made.source)
    goldens.same_as(config, answer, lambda path: trace[path].value)


Recalculated = dict[str, list[goldens.Values]]


@pytest.fixture(scope="module")
def recalculated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[tuple[str, ...]], Recalculated]:
    """What each engine makes of the workbooks of a batch; LibreOffice is started once for all of them."""

    @cache
    def of_batch(batch: tuple[str, ...]) -> Recalculated:
        folder = tmp_path_factory.mktemp("golden")
        books = {name: goldens.workbook(folder, goldens.FOLDER / name, converted(name)[1]) for name in batch}
        second = by_libreoffice(books)
        return {
            name: [goldens.recalculated(path, values) for values in (None, *([second[name]] if second else []))]
            for name, path in books.items()
        }

    return of_batch


@pytest.mark.slow
@pytest.mark.parametrize(("name", "batch"), in_batches(goldens.NAMES))
def test_cells(name: str, batch: tuple[str, ...], recalculated: Callable[[tuple[str, ...]], Recalculated]) -> None:
    made, answer = converted(name)
    for values in recalculated(batch)[name]:
        goldens.same_as(made.request.config, answer, values)


@pytest.mark.parametrize("name", ["llama2_gqa", "llama4_scout", "phi3", "gpt2"])
def test_one_formula_per_cell(name: str, tmp_path: Path) -> None:
    made, answer = converted(name)
    path = goldens.workbook(tmp_path, goldens.FOLDER / name, answer, "--formulas", "cells")
    goldens.same_as(made.request.config, answer, goldens.recalculated(path))


# --- negative controls: one detail changed, and the comparison must notice it -------------------------------------


@dataclasses.dataclass(frozen=True)
class Altered:
    """The numbers of a checkpoint with a change (a `recorder.Source`); what a changed model asks less of is cut off."""

    stored: Stored
    change: Callable[[str, Callable[[str], Array]], Array]  # (path, the stored numbers of any path) → numbers

    def weight(self, path: str, shape: tuple[int, int], around: float | None) -> Array:
        return self.change(path, self._whole)[: shape[0], : shape[1]]

    def _whole(self, path: str) -> Array:
        part = self.stored.parts[path]
        return self.stored.weight(path, (part.rows, part.columns + bool(part.bias)), None)

    def control(self, path: str, default: Live, limits: Limits) -> Live:
        return default

    def text(self, path: str, count: int) -> list[str]:
        return self.stored.text(path, count)

    def numbers(self, path: str, shape: tuple[int, int]) -> Array:
        return self.stored.numbers(path, shape)


def swapped(a: str, b: str) -> Callable[[str, Callable[[str], Array]], Array]:
    """What is called `a` is taken for `b`, and the other way round."""
    return lambda path, read: read(path.replace(a, "?").replace(b, a).replace("?", b))


def tiled(path: str, read: Callable[[str], Array]) -> Array:
    """Four heads read key and value 0, 1, 0, 1 instead of 0, 0, 1, 1: as if the two in the middle changed places."""
    if path.endswith("W_O"):
        return np.concatenate([np.split(read(path), 4, axis=1)[j] for j in (0, 2, 1, 3)], axis=1)
    return swapped("head_1.W_Q", "head_2.W_Q")(path, read)


def zero(name: str) -> Callable[[str, Callable[[str], Array]], Array]:
    return lambda path, read: read(path) * (not path.endswith(name))


CONFIGS: list[tuple[str, str, dict[str, Any]]] = [
    ("llama1", "RoPE interleaved instead of rotate-half", {"rope_pairing": "interleaved"}),
    ("llama1", "eps 1e-5 instead of 1e-6", {"norm_eps": 1e-5}),
    ("llama1", "eps 1e-4", {"norm_eps": 1e-4}),
    ("llama1", "GELU instead of SiLU", {"activation": "gelu"}),
    ("llama1", "half rotary", {"rotary_fraction": 0.5}),
    ("llama3", "theta 10000 instead of 500000", {"rope_theta": 1e4}),
    ("llama31", "no rope scaling", {"rope_scaling": "none"}),
    ("llama31", "all pairs slower", {"rope_scaling": "linear"}),
    ("llama31", "no smooth band: a hard cut", {"rope_low_freq": 4.0}),
    ("llama31", "no slow band", {"rope_factor": 1.0}),
    ("llama32", "factor 8 instead of 32", {"rope_factor": 8.0}),
    ("llama4_scout", "chunk mask off", {"attention_chunk_size": 100}),
    ("llama4_scout", "chunks of one more", {"attention_chunk_size": 5}),
    ("llama4_scout", "rotate-half instead of interleaved", {"rope_pairing": "half"}),
    ("llama4_scout", "no QK norm", {"qk_norm": "none"}),
    ("llama4_scout", "no temperature", {"temperature": False}),
    ("llama4_scout", "temperature steps after one token more", {"floor_scale": 3}),
    ("llama4_scout", "RoPE on every layer", {"nope_every": 100}),
    ("llama4_scout", "score on the expert's output", {"gate_on": "output"}),
    ("llama4_scout", "softmax router", {"gate": "softmax"}),
    ("llama4_scout", "no shared expert", {"shared_expert": False}),
    ("llama4_scout", "no rope scaling", {"rope_scaling": "none"}),
    ("llama4_maverick", "QK norm where there is none", {"qk_norm": "unit"}),
    ("llama4_maverick", "two experts per token", {"top_k": 2}),
    ("mistral", "no sliding window", {"window": 0}),
    ("mistral", "window W + 1", {"window": 4}),
    ("mistral", "window W - 1", {"window": 2}),
    ("mistral", "window on the second layer only", {"window_from": 1}),
    ("mixtral", "softmax over all, not renormalised", {"renormalise": False}),
    ("mixtral", "top-1", {"top_k": 1}),
    ("mixtral", "score on the expert's input", {"gate_on": "input"}),
    ("gemma", "no √d", {"embed_scale": False}),
    ("gemma", "w instead of 1 + w", {"unit_offset": False}),
    ("gemma", "exact GELU instead of tanh", {"activation": "gelu"}),
    ("gemma", "SiLU", {"activation": "silu"}),
    ("qwen2", "no bias on Q, K, V", {"attention_bias": "none"}),
    ("qwen3", "no QK norm", {"qk_norm": "none"}),
    ("phi3", "no sliding window", {"window": 0}),
    ("nemotron", "ReLU instead of its square", {"activation": "relu"}),
    ("nemotron", "full rotary", {"rotary_fraction": 1.0}),
    ("nemotron", "w instead of 1 + w", {"unit_offset": False}),
    ("olmo2", "norms before instead of after", {"norm_place": "before"}),
    ("gpt2", "exact GELU instead of tanh", {"activation": "gelu"}),
    ("gpt2", "eps 1e-6 instead of 1e-5", {"norm_eps": 1e-6}),
    ("gpt2", "no bias in the feed-forward network", {"mlp_bias": False}),
    ("gpt2", "no bias on the output of attention", {"attention_bias": "qkv"}),
    ("vit", "GELU tanh instead of exact", {"activation": "gelu_tanh"}),
    ("vit", "eps 1e-5 instead of 1e-12", {"norm_eps": 1e-5}),
    ("vit", "no bias on Q, K, V", {"qkv_bias": False}),
]
NUMBERS: list[tuple[str, str, Callable[[str, Callable[[str], Array]], Array]]] = [
    ("llama2_gqa", "keys and values tiled instead of repeated", tiled),
    ("phi3", "fused order k, q, v", swapped("W_Q", "W_K")),
    ("phi3", "fused order up, gate", swapped("W_gate", "W_up")),
    ("mixtral", "w1 and w3 the other way round", swapped("W_gate", "W_up")),
    ("llama4_scout", "up before gate", swapped("W_gate", "W_up")),
    ("gpt2", "no positions", zero("W_P")),
    ("gpt2", "LayerNorm without bias", zero("b_norm_1")),
    ("olmo2", "the two norms of a layer the other way round", swapped("w_norm_1", "w_norm_2")),
    ("vit", "no class token", zero("W_class")),
]


def noticed(name: str, change: dict[str, Any], source: Callable[[Stored], Source]) -> float:
    """How far the changed model is from what transformers computes."""
    made, answer = converted(name)
    config = dataclasses.replace(made.request.config, **change)
    trace = run(config, source(made.source))
    return goldens.distance(lambda path: trace[path].value, goldens.expected(config, answer))


@pytest.mark.parametrize(("name", "detail", "change"), CONFIGS, ids=[f"{n}: {d}" for n, d, _ in CONFIGS])
def test_a_changed_setting_is_noticed(name: str, detail: str, change: dict[str, Any]) -> None:
    far = noticed(name, change, lambda stored: Altered(stored, lambda path, read: read(path)))
    assert np.isfinite(far), detail
    assert far > NOTICED, detail


@pytest.mark.parametrize(("name", "detail", "change"), NUMBERS, ids=[f"{n}: {d}" for n, d, _ in NUMBERS])
def test_changed_numbers_are_noticed(name: str, detail: str, change: Any) -> None:
    far = noticed(name, {}, lambda stored: Altered(stored, change))
    assert np.isfinite(far), detail
    assert far > NOTICED, detail


def test_unchanged_numbers_are_equal() -> None:
    assert noticed("llama1", {}, lambda stored: Altered(stored, lambda path, read: read(path))) <= goldens.TOLERANCE


def test_qk_norm_after_rope_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    norm, rotate, gains = nn.head_norm, nn.rotate, {}

    def later(x: Tensor, w: Tensor, eps: Tensor, name: str, role: Role | None = None) -> Tensor:
        gains[name] = (w, eps)
        return x.named(name, role=role)

    def then(x: Tensor, rope: nn.Rope, name: str) -> Tensor:
        w, eps = gains[name]
        return norm(rotate(x, rope, name), w, eps, f"{name}_late")

    monkeypatch.setattr(nn, "head_norm", later)
    monkeypatch.setattr(nn, "rotate", then)
    far = noticed("qwen3", {}, lambda stored: stored)
    assert np.isfinite(far)
    assert far > NOTICED
