"""Random sizes and options of random presets: built, recalculated by `formulas`, equal to NumPy to 1e-9.

SHEETGEN_SEED repeats a run (the header of pytest shows it). SHEETGEN_RANDOM says how many there are, SHEETGEN_SECONDS
how long it goes on, but for the first few.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from helpers import sheetgen

from sheetgen.model import presets
from sheetgen.proof.check import check
from sheetgen.proof.comparison import TOLERANCE

COUNT = int(os.environ.get("SHEETGEN_RANDOM", "300"))
SECONDS = float(os.environ.get("SHEETGEN_SECONDS", "30"))
AT_LEAST = 15
SIZES = {
    "n_layers": (1, 2),
    "n_heads": (1, 2, 3, 4),
    "n_kv_heads": (1, 2),
    "head_dim": (2, 4, 6),
    "d_model": (4, 6, 12),  # LayerNorm makes ±1 of two features: ties, and the last digit decides who is chosen
    "d_ff": (1, 3, 8),
    "n_experts": (1, 2, 3),
    "top_k": (1, 2),
    "window": (1, 2, 3),
    "rope_theta": (10.0, 10000.0),
}
WORDS = ["a", "b a", "the cat sat", "to be or not to be", "b b b b"]


def options(draw: random.Random, preset: presets.Preset) -> list[str]:
    """Some sizes of the family, a sentence where it reads one, weights and style."""
    fields = set(preset.family.__dataclass_fields__)
    names = [name for name in SIZES if name in fields and draw.random() < 0.5]
    found = [text for name in names for text in ("--set", f"{name}={draw.choice(SIZES[name])}")]
    if "text" in preset.family.inputs.options and draw.random() < 0.7:
        found += ["--text", draw.choice(WORDS)]
    if draw.random() < 0.2:
        found += ["--controls", draw.choice(["all", "none"])]
    if draw.random() < 0.1:
        found += ["--precision", draw.choice(["bf16", "fp16", "fp32"])]
    found += ["--weights", draw.choice(["byhand", "normal"]), "--seed", str(draw.randrange(1000))]
    return [*found, "--formulas", draw.choice(["blocks", "cells"])]


@pytest.mark.slow
def test_random_models_are_what_numpy_computes(tmp_path: Path) -> None:
    draw = random.Random(os.environ["SHEETGEN_SEED"])  # noqa: S311 - nothing secret
    names = list(presets.all_presets())
    made, refused, end = 0, 0, time.monotonic() + SECONDS
    while made < COUNT and (made < AT_LEAST or time.monotonic() < end):
        name = draw.choice(names)
        given = options(draw, presets.find(name))
        path = tmp_path / "book.xlsx"
        built = sheetgen("build", name, *given, "-o", path, "--force")
        if built.code == 2:  # sizes that do not fit are refused, in one line
            assert built.err.count("\n") == 1, (name, given)
            refused += 1
            assert refused <= 20 + made, built.err  # most sizes do fit
            continue
        assert built.code == 0, (name, given, built.err)
        report = check(path)
        assert report.difference is None, (name, given, report.difference)
        assert max(group.worst for group in report.groups) <= TOLERANCE
        made += 1
    print(f"{made} random models, SHEETGEN_SEED={os.environ['SHEETGEN_SEED']}")  # noqa: T201
