"""The checkpoints in golden/ and what Hugging Face transformers computes from them, in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from helpers import BARE, build

from sheetgen.engines import ENGINES
from sheetgen.engines.values import Values as Recomputed
from sheetgen.model.families import Config, Vit
from sheetgen.sheet.workbook import defined_name
from sheetgen.trace.ops import Array
from sheetgen.xlsx.read import read_book

FOLDER = Path(__file__).parent / "golden"
# A folder with config.json, model.safetensors and expected.npz is tested by standing here.
NAMES = [
    "gemma",
    "gpt2",
    "llama1",
    "llama2",
    "llama2_gqa",
    "llama3",
    "llama31",
    "llama32",
    "llama4_maverick",
    "llama4_scout",
    "mistral",
    "mixtral",
    "nemotron",
    "olmo2",
    "phi3",
    "qwen2",
    "qwen3",
    "vit",
]
TOLERANCE = 1e-9

Values = Callable[[str], Array]  # path → value


def answers(folder: Path) -> dict[str, Array]:
    """What transformers computed: `input_ids` or `pixel_values`, `hidden_<i>`, `attn_<i>`, `logits`."""
    with np.load(folder / "expected.npz") as file:
        return dict(file)


def expected(config: Any, answer: Mapping[str, Array]) -> dict[str, Array]:
    """The same by the paths of sheetgen: tokens are columns, a pattern is keys × queries."""
    last = "" if isinstance(config, Vit) else "final_norm"  # of a vit the last state is the one before the norm
    names = ["embed", *(f"layer_{i}.out" for i in range(config.n_layers))]
    if last:
        names[-1] = last
    found = {name: answer[f"hidden_{i}"][0].T for i, name in enumerate(names)}
    for i in range(config.n_layers):
        for h in range(config.n_heads):
            found[f"layer_{i}.head_{h}.pattern"] = answer[f"attn_{i}"][0, h].T
    return found | {"logits": answer["logits"][:1].T if isinstance(config, Vit) else answer["logits"][0].T}


def distance(values: Values, wanted: Mapping[str, Array]) -> float:
    """The largest difference; infinite when a shape differs or something is no number."""
    worst = 0.0
    for path, value in wanted.items():
        found = np.array(values(path), dtype=float)
        worst = max(worst, float(np.abs(found - value).max()) if found.shape == value.shape else np.inf)
        worst = np.inf if np.isnan(worst) else worst
    return worst


def inputs(folder: Path, answer: Mapping[str, Array]) -> list[str]:
    """The options of `build` that give the model what transformers was given; `folder` takes a file of pixels."""
    if "input_ids" in answer:
        return ["--tokens", ",".join(str(token) for token in answer["input_ids"][0])]
    np.save(folder / "pixels.npy", answer["pixel_values"][0])
    return ["--pixels", str(folder / "pixels.npy")]


def workbook(folder: Path, checkpoint: Path, answer: Mapping[str, Array], *options: str) -> Path:
    """The workbook of a checkpoint on its inputs, written by the command line."""
    options = ("--from", str(checkpoint), *BARE, *inputs(folder, answer), *options)
    return build(folder / f"{checkpoint.name}.xlsx", *options)


def recalculated(path: Path, by_another: Recomputed | None = None) -> Values:
    """The values that `formulas` or another engine computes, by path, read through the defined names."""
    book = read_book(path)
    values = by_another or ENGINES["formulas"](path, book)
    assert not values.problems, values.problems[0]
    return lambda name: values.range(book.names[defined_name(name)])


def same_as(config: Config, answer: Mapping[str, Array], values: Values) -> None:
    """Assert that the values are those of transformers."""
    far = distance(values, expected(config, answer))
    assert far <= TOLERANCE, f"differs by {far}"
