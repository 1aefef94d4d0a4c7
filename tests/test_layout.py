"""Where blocks stand: nothing overlaps, factors meet their product, siblings keep their rows; snapshots of all places.

The snapshots are refreshed by `SHEETGEN_SNAPSHOTS=refresh pytest tests/test_layout.py`; look at their diff.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import PRESETS, Made, make
from hypothesis import given, settings
from hypothesis import strategies as st

from sheetgen.base.cells import MAX_COLUMNS, MAX_ROWS, Range
from sheetgen.base.errors import InputError
from sheetgen.model.weights import Drawn
from sheetgen.sheet.formula import parts_of
from sheetgen.sheet.layout import Layout, Title, lay_out
from sheetgen.trace.recorder import Trace, section
from sheetgen.trace.tensor import Block, constant, leaf

SNAPSHOTS = Path(__file__).parent / "snapshots"

CONFIGURATIONS: list[tuple[str, int, dict[str, Any]]] = [  # preset, tokens, sizes
    *((preset, tokens, {}) for preset in PRESETS for tokens in (1, 6, 24)),
    *(("llama1", 6, {"n_heads": heads, "n_layers": 1}) for heads in (1, 3, 8)),
    *(("llama3", 6, {"n_heads": h, "n_kv_heads": k}) for h, k in [(8, 1), (8, 2), (8, 4), (8, 8), (6, 3), (7, 1)]),
    *(("llama4", 6, {"n_experts": experts, "n_layers": 3}) for experts in (1, 2, 8)),
    ("llama4", 24, {"n_layers": 6, "n_heads": 8, "n_kv_heads": 4, "n_experts": 8, "top_k": 2}),
    ("llama4", 10, {"n_layers": 4, "nope_every": 4, "moe_every": 2, "d_ff_dense": 24}),
    ("llama4", 10, {"nope_every": 1, "qk_norm": "none", "d_ff_dense": 3, "moe_every": 3}),
    ("llama1", 2, {"d_model": 1, "d_ff": 1, "head_dim": 2, "vocab_size": 2}),
    ("llama2", 3, {"d_model": 20, "d_ff": 40, "head_dim": 16, "vocab_size": 60}),
    ("llama2", 9, {"rope_pairing": "interleaved", "head_dim": 8}),
]


@st.composite
def configurations(draw: st.DrawFn) -> tuple[str, int, dict[str, Any]]:
    preset = draw(st.sampled_from(PRESETS))
    heads = draw(st.integers(1, 8))
    sizes = {
        "n_heads": heads,
        "n_kv_heads": draw(st.sampled_from([k for k in range(1, heads + 1) if heads % k == 0])),
        "n_layers": draw(st.integers(1, 3)),
        "head_dim": draw(st.sampled_from([2, 4, 6])),
        "d_model": draw(st.integers(1, 9)),
        "d_ff": draw(st.integers(1, 9)),
        "vocab_size": draw(st.integers(6, 20)),
    }
    if preset == "llama4":
        sizes |= {
            "n_experts": draw(st.integers(1, 8)),
            "moe_every": draw(st.integers(1, 3)),
            "nope_every": draw(st.integers(1, 3)),
            "attention_chunk_size": draw(st.integers(1, 5)),
        }
    return preset, draw(st.sampled_from([1, 2, 6, 13, 24])), sizes


# --- the rules ---------------------------------------------------------------------------------------------------


def cells_of(title: Title) -> Range:
    left = title.column - title.columns + 1 if title.right else title.column
    return Range("", title.row, left, title.row, left + title.columns - 1)


def everything(layout: Layout) -> Iterator[tuple[str, Range]]:
    """All that is written on the sheet, with a name for it."""
    yield from layout.places.items()
    for kind, titles in (("title", layout.titles), ("shape", layout.shapes)):
        yield from ((f"{kind} of {title.tensor}", cells_of(title)) for title in titles)
    yield from ((f"names {label.side} of {label.owner}", label.range) for label in layout.labels)
    for box in layout.boxes:
        yield f"frame {box.frame.title}", Range("", box.range.top, box.range.left, box.range.top, box.range.right)
    yield "heading", Range("", 0, 0, 1, 0)


def overlaps(layout: Layout) -> list[str]:
    """Pairs that share cells, and what lies outside the sheet."""
    named = list(everything(layout))
    sheet = np.full((max(r.bottom for _, r in named) + 1, max(r.right for _, r in named) + 1), -1)
    found = []
    for number, (name, area) in enumerate(named):
        if area.top < 0 or area.left < 0 or area.bottom < area.top or area.right < area.left:
            found.append(f"{name} at {area} is no range")
            continue
        cells = sheet[area.top : area.bottom + 1, area.left : area.right + 1]
        found += [f"{name} and {named[other][0]} at {area.a1}" for other in set(cells[cells >= 0].tolist())]
        cells[...] = number
    return found


def outside_frames(made: Made, layout: Layout) -> list[str]:
    """Blocks that are not within the frame they belong to."""
    boxes = {id(box.frame): box.range for box in layout.boxes}
    return [
        f"{path} at {place} is outside {box}"
        for path, place in layout.places.items()
        if not (
            (place.top, place.left) in (box := boxes[id(made.trace[path].frame)]) and (place.bottom, place.right) in box
        )
    ]


def products_off_their_factors(made: Made, layout: Layout) -> list[str]:
    """A product whose left factor is not beside it row by row, or whose right factor is below it."""
    found = []
    for path, tensor in made.trace.blocks.items():
        for product in parts_of(tensor):
            if product.op.axes != "product":
                continue
            place = layout.places[path]
            left, right = product.operands
            if isinstance(left, Block) and left.where == "left":
                beside = layout.places[left.path]
                if (beside.top, beside.bottom) != (place.top, place.bottom) or beside.right >= place.left:
                    found.append(f"{left} at {beside} is not beside {path} at {place}")
            if isinstance(right, Block) and layout.places[right.path].top > place.top:
                found.append(f"{right} is below {path}")
    return found


SIBLING = re.compile(r"^(layer_\d+)\.(head_\d+|kv_\d+|expert_\d+|shared|router)\.")


def siblings_in_one_row(layout: Layout) -> list[str]:
    """Pairs of heads or experts of a layer that share rows."""
    rows: dict[tuple[str, str], set[int]] = defaultdict(set)
    for path, place in layout.places.items():
        if match := SIBLING.match(path):
            rows[match.group(1), match.group(2)].update(range(place.top, place.bottom + 1))
    return [f"{a} and {b}" for a, b in combinations(rows, 2) if rows[a] & rows[b]]


def token_columns(layout: Layout) -> set[tuple[int, int]]:
    """First and last columns of the residual stream, from the embedding to the logits."""
    stream = re.compile(r"(layer_\d+\.)?(embed|norm_1|attention|mid|norm_2|out|final_norm|logits)")
    return {(place.left, place.right) for path, place in layout.places.items() if stream.fullmatch(path)}


def computed_before_used(made: Made, layout: Layout) -> list[str]:
    """Blocks of a lower frame that an upper one needs: data must flow down."""
    tops = {id(box.frame): box.range.top for box in layout.boxes}
    return [
        f"{path} needs {used}"
        for path, tensor in made.trace.blocks.items()
        for used in tensor.blocks_used()
        if used.frame is not tensor.frame and layout.places[used.path].top > layout.places[path].bottom
        and tops[id(used.frame)] > tops[id(tensor.frame)]
    ]  # fmt: skip


def check_layout(preset: str, tokens: int, sizes: dict[str, Any]) -> None:
    made = make(preset, " ".join(f"w{i % min(6, sizes['vocab_size'])}" for i in range(tokens)), **sizes)
    layout = made.layout
    assert set(layout.places) == set(made.trace.blocks)
    assert all(layout.places[path].shape == tensor.shape for path, tensor in made.trace.blocks.items())
    assert overlaps(layout) == []
    assert outside_frames(made, layout) == []
    assert products_off_their_factors(made, layout) == []
    assert siblings_in_one_row(layout) == []
    assert len(token_columns(layout)) == 1
    assert computed_before_used(made, layout) == []
    for label in layout.labels:
        owner = layout.places[label.owner]
        beside = (label.range.top, label.range.bottom) == (owner.top, owner.bottom)
        over = (label.range.left, label.range.right) == (owner.left, owner.right)
        assert beside if label.side == "left" else over, label.owner


@pytest.mark.parametrize(
    ("preset", "tokens", "sizes"), CONFIGURATIONS, ids=[f"{p} {t} {s}" for p, t, s in CONFIGURATIONS]
)
def test_rules(preset: str, tokens: int, sizes: dict[str, Any]) -> None:
    sizes = {"vocab_size": 12} | sizes
    check_layout(preset, tokens, sizes)


@settings(max_examples=30)
@given(configuration=configurations())
def test_rules_for_any_sizes(configuration: tuple[str, int, dict[str, Any]]) -> None:
    check_layout(*configuration)


def test_input_is_at_the_top_and_output_at_the_bottom() -> None:
    places = make("llama4").layout.places
    assert max(places[path].bottom for path in ("words", "tokens", "W_E", "embed")) < places["layer_0.norm_1"].top
    assert places["layer_0.out"].bottom < places["layer_1.norm_1"].top
    assert places["layer_1.out"].bottom < places["final_norm"].top
    assert places["final_norm"].bottom < places["logits"].top
    assert max(p.bottom for p in places.values()) == max(
        places[path].bottom for path in ("probs", "probs_sum", "next_word", "next_prob")
    )


def test_left_blocks_that_nobody_uses() -> None:
    with Trace(Drawn(0, "byhand", {})) as trace, section("Alone"):
        for name in ("a", "b", "c"):
            constant(name, np.zeros((2, 3)))
    assert overlaps(lay_out(trace)) == []


# --- limits of a worksheet ---------------------------------------------------------------------------------------


@cache
def one_block(rows: int, columns: int) -> Trace:
    """A trace with one large constant, which takes no memory."""
    with Trace(Drawn(0, "byhand", {})) as trace, section("Large"):
        leaf("large", (1, 1), lambda _path: np.broadcast_to(0.0, (rows, columns)), "constant")
    return trace


@pytest.mark.parametrize(("rows", "columns"), [(1, MAX_COLUMNS - 1), (MAX_ROWS - 5, 1), (2_000_000, 1), (1, 20_000)])
def test_more_than_a_worksheet_holds(rows: int, columns: int) -> None:
    with pytest.raises(InputError, match=r"a worksheet has 1,048,576 × 16,384: choose"):
        lay_out(one_block(rows, columns))


def test_nearly_a_whole_worksheet() -> None:
    places = lay_out(one_block(MAX_ROWS - 100, MAX_COLUMNS - 20)).places
    assert places["large"].bottom < MAX_ROWS
    assert places["large"].right < MAX_COLUMNS


# --- snapshots ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_snapshot(preset: str) -> None:
    found = "".join(f"{path} {place}\n" for path, place in make(preset).layout.places.items())
    file = SNAPSHOTS / f"{preset}.txt"
    if os.environ.get("SHEETGEN_SNAPSHOTS") == "refresh":
        file.parent.mkdir(exist_ok=True)
        file.write_text(found, encoding="utf-8")
    assert found == file.read_text(encoding="utf-8"), "the layout has changed: see the top of this file"
