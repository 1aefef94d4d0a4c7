"""The table of blocks, and roles: every block of every model has a row, and every row is some block's."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any, get_args

import numpy as np
from helpers import make

from sheetgen.look.roles import kind_of
from sheetgen.model import presets
from sheetgen.model.weights import Drawn
from sheetgen.sheet.layout import lay_out
from sheetgen.text.blocks import AXES, BLOCKS, entry, keys_of
from sheetgen.text.equation import sentence_of, title_of
from sheetgen.trace.recorder import Trace, section
from sheetgen.trace.roles import Role
from sheetgen.trace.tensor import Block, constant

# What shows the blocks that the presets as they are do not have.
OTHERWISE: list[tuple[str, dict[str, Any]]] = [
    ("llama1", {"controls": "all"}),
    ("mixtral", {"controls": "all"}),
    ("llama31", {"rope_scaling": "linear"}),
    ("gpt2", {"precision": "bf16"}),
    ("nsa", {"precision": "bf16"}),
    ("nsa", {"n_local": 0, "n_initial": 0}),
]


@cache
def blocks() -> list[Block]:
    made = [make(name) for name in presets.all_presets()] + [make(name, **settings) for name, settings in OTHERWISE]
    return [tensor for model in made for tensor in model.trace.blocks.values()]


def test_every_block_is_told() -> None:
    untold = {tensor.path for tensor in blocks() if not sentence_of(tensor) or not title_of(tensor)}
    assert not untold


def test_every_row_is_some_blocks() -> None:
    told = {key for tensor in blocks() for key in keys_of(tensor)}
    assert BLOCKS.keys() - told == {"status"}, "a row that no model needs (`status` is of the steps of a tour)"


def test_every_axis_is_some_blocks() -> None:
    assert not AXES.keys() - {axis for tensor in blocks() for axis in tensor.axes}


def test_a_special_row_says_only_what_is_special() -> None:
    for key, row in BLOCKS.items():
        usual = BLOCKS.get(key.rpartition(".")[2])
        if usual is not None and usual is not row:
            said = {field.name for field in dataclasses.fields(row) if getattr(row, field.name)}
            assert not {name for name in said if getattr(row, name) == getattr(usual, name)}, key


def test_the_most_special_row_says_what_it_says() -> None:
    trace = make("llama3").trace
    shared, rms = entry(trace["layer_0.kv_0.K"]), entry(trace["layer_0.norm_1_rms"])
    assert shared.source.startswith("Ainslie")
    assert shared.sentence == BLOCKS["K"].sentence
    assert (rms.title, rms.source) == (BLOCKS["*_rms"].title, BLOCKS["*_rms"].source)
    assert entry(trace["layer_0.head_0.pattern_max"]).colour == "attention"


# --- roles -----------------------------------------------------------------------------------------------------------


def test_every_role_is_some_blocks() -> None:
    assert {block.role for block in blocks()} == {None, *get_args(Role)}


def test_what_a_block_means_is_not_asked_of_its_name() -> None:
    """The residual stream of a model that calls it otherwise is drawn all the same."""
    with Trace(Drawn(0, "byhand", {}, {})) as trace, section("A model"):
        start = (constant("numbers", np.ones((2, 3)), where="below") + 1.0).named("beginning", role="embedding")
        ((start + start).named("later", role="stream") * 2.0).named("end", role="layer")
    layout = lay_out(trace)
    assert [stream.joins for stream in layout.streams] == [(layout.places["later"].top,)]
    assert layout.streams[0].range.bottom == layout.places["end"].bottom
    assert kind_of(trace["end"].frame) == "feed_forward"
    assert trace.asked_column(3) == 2
