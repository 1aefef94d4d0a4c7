"""Whatever stands in red cells and controls: the sheet computes what plain NumPy does, with −∞ and stable forms.

`check` compares the sheet with the trace, and both could be wrong alike. Here they meet `reference`, which shares no
rule with them, and every masked pattern meets a softmax of five lines. SHEETGEN_SEED repeats a run (the header of
pytest shows it), SHEETGEN_SECONDS says how long it goes on.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import BARE, build, engines, far, retyped
from reference import forward

from sheetgen.base.errors import InputError
from sheetgen.engines import ENGINES
from sheetgen.engines.values import Values
from sheetgen.model.config import Config
from sheetgen.proof.check import check, check_book
from sheetgen.proof.comparison import TOLERANCE
from sheetgen.proof.workbook import WorkbookSource, config_of, numbers_in, rebuilt, settings_of
from sheetgen.trace.ops import HIDDEN, Array
from sheetgen.trace.recorder import Trace
from sheetgen.trace.tensor import Block
from sheetgen.xlsx.read import Book, read_book

SECONDS = float(os.environ.get("SHEETGEN_SECONDS", "6"))
AT_LEAST = 6
SEED = int(os.environ["SHEETGEN_SEED"])
TEXT = "one two three four five"  # no word twice: of equal scores a factor of 10¹⁰ would make unequal ones


def typed(book: Book, contents: Mapping[str, Any]) -> Book:
    """The workbook with other constants in the blocks of these names: a matrix, or one number or word."""
    sheets = {name: replace(sheet, cells=dict(sheet.cells)) for name, sheet in book.sheets.items()}
    for name, content in contents.items():
        place = book.names[name]
        for (row, column), value in np.ndenumerate(np.atleast_2d(np.array(content, dtype=object))):
            sheets[place.sheet].cells[place.top + row, place.left + column] = value
    return replace(book, sheets=sheets)


def model(book: Book, values: Values | None = None) -> tuple[Config, Trace]:
    """Settings and tensors as the workbook stands now."""
    config = config_of(settings_of(book)[""], book.path)
    return config, rebuilt(config, WorkbookSource(book, values))


def name_of(path: str) -> str:
    return path.replace(".", "__")


# --- whole models against the reference --------------------------------------------------------------------------

SMALL = ("--set", "n_layers=1", "--set", "n_heads=2", "--text", TEXT, "--controls", "all", *BARE)
MODELS = {
    "llama1": SMALL,
    "llama3": (*SMALL, "--set", "n_kv_heads=1", "--formulas", "cells"),
    "llama4": (
        *SMALL,
        *["--set", "n_kv_heads=1", "--set", "n_experts=2", "--set", "attention_chunk_size=3", "--set", "moe_every=1"],
    ),
}
NUMBERS = {
    "window": (0, 1, 2, 5),
    "attention_chunk_size": (0, 1, 3),
    "attention_temperature": (0.001, 0.1, 1.0, 1e3),
    "output_temperature": (0.001, 1.0, 1e3),
    "norm_eps": (0.0, 1e-12, 1e-5, 1.0, 1e10),
    "rope_theta": (1.0, 10.0, 1e6),
    "top_k": (1, 2),
}
# Softmax without its maximum may overflow: that is what this control shows.
NOT_TURNED = {"subtract_max"}


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Book]:
    folder = tmp_path_factory.mktemp("extremes")
    return {name: read_book(build(folder / f"{name}.xlsx", name, *options)) for name, options in MODELS.items()}


def extreme(draw: random.Random, trace: Trace) -> tuple[dict[str, Array], dict[str, Any]]:
    """Weights, a third of the matrices many times as large or small, perhaps one cell far out; some controls turned."""
    noise = np.random.default_rng(draw.randrange(10**9))
    blocks = list(trace.blocks.values())
    weights = {}
    for block in blocks:
        if block.kind == "weight":
            factor = draw.choice((-1, 1)) * 10.0 ** draw.choice((-10, -3, 1, 3, 6, 10)) if draw.random() < 1 / 3 else 1
            weights[block.path] = np.round(noise.normal(size=block.shape), 2) * factor
    if draw.random() < 0.5:
        one = weights[draw.choice(sorted(weights))]
        one[draw.randrange(one.shape[0]), draw.randrange(one.shape[1])] = draw.choice((-1000, 1e10, -1e10, 0))
    controls: dict[str, Any] = {}
    for block in blocks:
        if block.kind == "control" and block.name not in NOT_TURNED and draw.random() < 0.3:
            limits = block.limits  # type: ignore[attr-defined]  # a Control
            live = draw.choice(limits.choices) if limits.choices else draw.choice(NUMBERS[block.name])
            if limits.allows(live):
                controls[block.name] = live
    return weights, controls


def settled(first: Mapping[str, Array], second: Mapping[str, Array]) -> list[str]:
    """The tensors but those that the last digits of the weights decide, such as small differences of large numbers."""
    return [path for path, value in first.items() if far(second[path], value) <= TOLERANCE / 10]


def test_extreme_models_are_what_the_reference_computes(
    books: dict[str, Book], monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(SEED)  # noqa: S311 - nothing secret
    shake = np.random.default_rng(SEED)
    compared, refused, made, end = 0, 0, 0, time.monotonic() + SECONDS
    traces = {name: model(book) for name, book in books.items()}
    while made < AT_LEAST or time.monotonic() < end:
        made += 1
        name = draw.choice(sorted(books))
        config, trace = traces[name]
        ids = [int(i) for i in trace["tokens"].value[0]]
        weights, controls = extreme(draw, trace)
        told = f"{name}, case {made} of SHEETGEN_SEED={SEED}: {controls}"
        shaken = {path: w * (1 + 1e-14 * shake.normal(size=w.shape)) for path, w in weights.items()}
        with np.errstate(all="ignore"):
            expected, second = (forward(config, w, ids, controls=controls) for w in (weights, shaken))
        contents = {name_of(path): w for path, w in weights.items()}
        book = typed(books[name], contents | {f"control__{control}": live for control, live in controls.items()})
        if not all(np.isfinite(value).all() for value in expected.values()):
            with pytest.raises(InputError, match="becomes too large, or no number"):
                check_book(book)
            refused += 1
            continue
        values = ENGINES["formulas"](book.path, book)
        for path in settled(expected, second):
            found = values.range(book.names[name_of(path)])
            assert far(found, expected[path]) <= TOLERANCE, (told, path, found, expected[path])
            compared += 1
        monkeypatch.setitem(ENGINES, "formulas", lambda *_, known=values: known)
        difference = check_book(book).difference
        monkeypatch.undo()
        assert difference is None or difference.path not in settled(expected, second), (told, difference)
    assert refused < made
    assert compared > 10 * (made - refused), "most are decided by more than the last digits"
    print(f"{made} extreme models, {refused} of them refused, {compared} tensors, SHEETGEN_SEED={SEED}")  # noqa: T201


# --- every kind of mask ------------------------------------------------------------------------------------------

MASKED: dict[str, tuple[str, ...]] = {
    "attention": ("attention",),
    "gpt2": ("gpt2", "--set", "n_layers=1"),
    "mistral": ("mistral", "--set", "n_layers=1", "--formulas", "cells"),
    "llama3-bf16": ("llama3", "--set", "n_layers=1", "--precision", "bf16"),
    "llama4": ("llama4", "--set", "n_layers=1", "--set", "nope_every=1", "--set", "attention_chunk_size=2"),
    "transformer": ("transformer", "--set", "n_layers=1"),
    "nsa": ("nsa",),
    "nsa-unforced": ("nsa", "--set", "n_local=0", "--set", "n_select=1"),
    "nsa-lecture": ("nsa-lecture",),
    "packed-prompts": ("packed-prompts",),
    "rolling-buffer": ("rolling-buffer",),
    "chunked-prefill": ("chunked-prefill",),
}
# By what the red cells of queries are multiplied, and scores divided.
SCALES = [(-1e10, 0.001), (1e10, 1.0)]


def softmax_of_seen(mask: Array, scores: Array) -> Array:
    """Each column over what is seen; 0 where nothing is."""
    pattern = np.zeros(scores.shape)
    for column in range(scores.shape[1]):
        seen = np.flatnonzero(np.broadcast_to(mask, scores.shape)[:, column] == 1)
        if seen.size:
            e = np.exp(scores[seen, column] - scores[seen, column].max())
            pattern[seen, column] = e / e.sum()
    return pattern


def patterns(trace: Trace) -> Iterator[tuple[Block, Block, str]]:
    """What hides scores, the scores, and the path of the pattern that is made of them."""
    for path, block in trace.blocks.items():
        if block.name == "masked":
            mask, scores = block.operands
            assert isinstance(mask, Block)
            assert isinstance(scores, Block)
            yield mask, scores, f"{path.removesuffix('masked')}pattern"


@cache
def masked_book(folder: Path, name: str) -> Book:
    preset, *options = MASKED[name]
    return read_book(build(folder / f"{name}.xlsx", preset, *BARE, *options))


@pytest.mark.slow
@pytest.mark.parametrize(("factor", "temperature"), SCALES)
@pytest.mark.parametrize("name", MASKED)
def test_a_masked_weight_is_exactly_0_whatever_the_scores(
    name: str, factor: float, temperature: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    book = masked_book(tmp_path_factory.getbasetemp(), name)
    _, trace = model(book)
    names = {path.rpartition(".")[2] for path in trace.blocks}
    queries = {path: b.value * factor for path, b in trace.blocks.items() if b.kind == "weight" and b.name == "W_Q"}
    contents: dict[str, Any] = {name_of(path): w for path, w in queries.items()}
    if "attention_temperature" in names:
        contents["control__attention_temperature"] = temperature
    book = typed(book, contents)
    values = ENGINES["formulas"](book.path, book)
    _, trace = model(book, values)
    found, hidden, lowest = list(patterns(trace)), 0, 0.0

    def shown(path: str) -> Array:
        return values.range(book.names[name_of(path)])

    for mask, scores, path in found:
        seen, weighed, pattern = (numbers_in(shown(p)) for p in (mask.path, scores.path, path))
        assert far(pattern, softmax_of_seen(seen, weighed)) <= TOLERANCE, path
        unseen = np.broadcast_to(seen, pattern.shape) == 0
        assert (pattern[unseen] == 0).all(), path
        assert (shown(f"{path.removesuffix('pattern')}masked")[unseen] == HIDDEN).all(), path
        hidden, lowest = hidden + int(unseen.sum()), min(lowest, float(weighed.min()))
    assert found
    assert hidden
    assert lowest < -1e9, "the scores are lower than what once stood for −∞"


# --- one red cell, every engine ----------------------------------------------------------------------------------

# A red cell far out, in the block that decides: of queries (the future must not be seen), of gates (e⁷¹⁰ is no number).
FAR_OUT = [
    ("llama1", "layer_0.head_0.W_Q", -1e10),
    ("llama1", "layer_0.ffn.W_gate", -1000),
    ("transformer", "decoder.layer_0.head_0.W_Q", -1e10),
    ("llama4", "layer_0.router.W_router", -1e4),
    ("nsa", "layer_0.head_0.W_branch", -1e6),
    ("nsa", "layer_0.head_1.W_Q", 1e10),
    ("gpt2", "layer_0.ffn.W_up", -1e5),
    ("packed-prompts", "W_Q", -1e10),
]


@pytest.mark.slow
@pytest.mark.parametrize("engine", engines("formulas", "libreoffice", "formulon", "ironcalc"))
@pytest.mark.parametrize(("preset", "path", "value"), FAR_OUT)
def test_one_red_cell_far_out(preset: str, path: str, value: float, engine: str, tmp_path: Path) -> None:
    """The shared cases finite-mask and silu-overflow, and their kin: right in every engine, and no error anywhere."""
    book = build(tmp_path / "book.xlsx", preset, *BARE)
    report = check(retyped(book, name_of(path), value, "far.xlsx"), engine)
    assert report.difference is None, report.difference
