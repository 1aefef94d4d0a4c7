"""The boxes of the Map: which parts of a model have one, what is written in it, and what stands there live."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from sheetgen.look.roles import FrameKind, kind_of
from sheetgen.model.rounding import EFFECT, TWIN
from sheetgen.text.equation import part_name, sentence_of, title_of
from sheetgen.trace.recorder import Frame, Trace
from sheetgen.trace.roles import ON_STREAM, Role
from sheetgen.trace.tensor import Block, Tensor, apply

MOST_TOLD = 5  # controls in their box
MOST_COUNTED = 255  # arguments that COUNT takes


@dataclass
class Line:
    """A live line of a box: a word, and the tensor beside it; or a tensor that is a word, and one beside it."""

    name: str | Tensor
    value: Tensor
    owner: str  # path of the block that it belongs to
    number: str = "0.00"  # format of the value, and of a live name
    named: str = "@"


@dataclass
class MapBox:
    """A box without others inside."""

    title: str
    kind: FrameKind
    target: Block  # where its name leads
    note: str
    family: str  # boxes of the same family do not feed each other
    holds: set[Role | None]  # what its blocks are
    lines: list[Line] = field(default_factory=list)


def items_of(trace: Trace, frame: Frame) -> Iterator[list[MapBox] | Frame | Block]:
    """What a frame holds, in order: boxes in a row, frames around others, blocks that add to the residual stream."""
    boxes: list[MapBox] = []
    own: list[Block] = []  # blocks of the frame itself that have no box yet

    def collect() -> None:
        if own:
            boxes.append(_box_of_blocks(own.copy()))
            own.clear()

    def row() -> Iterator[list[MapBox]]:
        collect()
        if boxes:
            yield boxes.copy()
            boxes.clear()

    for item in frame.items:
        if isinstance(item, Frame):
            if holds_frames(item) and item.path not in (TWIN, EFFECT):
                yield from row()
                yield item
            else:
                collect()
                boxes.append(_box_of_frame(trace, item, frame))
        elif item.op.mark:  # a step on the way, no part of the model
            continue
        elif item.role in ON_STREAM and item.op.joins:
            yield from row()
            yield item
        elif item.role != "skip":  # that is the residual stream, drawn as its line
            own.append(item)
    yield from row()


def holds_frames(frame: Frame) -> bool:
    """Whether it is drawn around others."""
    return any(isinstance(item, Frame) for item in frame.items)


def parameters_of(blocks: list[Block]) -> Line | None:
    """How many trainable numbers these blocks hold, counted by the sheet; None without any, or with too many."""
    weights = [block for block in blocks if block.kind == "weight"]
    if not 0 < len(weights) <= MOST_COUNTED:
        return None
    return Line("parameters", apply("count", *weights), weights[0].path, "#,##0")


def _box_of_blocks(blocks: list[Block]) -> MapBox:
    """Blocks that stand between frames, such as a norm: named by what comes out of them."""
    made = [block for block in blocks if block.kind == "computed"]
    result = next((block for block in reversed(made) if not block.op.copies), (made or blocks)[-1])
    kind: FrameKind = "attention" if result.role == "attention" else "other"
    title = title_of(result)
    return MapBox(title, kind, result, sentence_of(result), title, _roles(blocks), _lines(blocks, result))


def _box_of_frame(trace: Trace, frame: Frame, parent: Frame) -> MapBox:
    """A frame without others inside."""
    blocks = frame.blocks()
    controls = _controls(blocks)
    lines = controls or _errors(trace, frame) or _lines(blocks, blocks[-1])
    lines += _looks_at(trace, frame) + _gate(frame, parent) + _prediction(trace, frame)
    kind, stem = kind_of(frame), re.sub(r"\d+", "", frame.path.rpartition(".")[2])
    family = kind if kind == "expert" else stem if frame.path != parent.path else frame.title
    note = f"{frame.title}\n{title_of(blocks[-1])}: {sentence_of(blocks[-1])}"
    return MapBox(part_name(frame), kind, blocks[0], note, family, _roles(blocks), lines)


def _lines(blocks: list[Block], result: Block) -> list[Line]:
    """Shape of the result and number of parameters, as far as there are any."""
    found = [Line(title_of(result), apply("shape", result), result.path, "@")]
    count = parameters_of(blocks)
    return [*found, count] if count else found


def _controls(blocks: list[Block]) -> list[Line]:
    """The first controls as they stand."""
    found = [block for block in blocks if block.kind == "control"][:MOST_TOLD]
    return [Line(title_of(block), apply("link", block), block.path, "General") for block in found]


def _errors(trace: Trace, frame: Frame) -> list[Line]:
    """What rounding does to the last token, part by part."""
    found = [block for block in frame.blocks() if frame.path == EFFECT and block.name == "relative"]
    return [Line(block.frame.title, _asked(trace, block), block.path, "0.0%") for block in found]


def _looks_at(trace: Trace, frame: Frame) -> list[Line]:
    """Where the last token (of an image: the class token) looks most, and how much of it that is."""
    for item in frame.items:
        if isinstance(item, Block) and item.role == "pattern":
            keys = trace.blocks.get(item.axes[0])
            asked = _asked(trace, item)
            if keys is None or keys.kind != "text":
                return []
            word = apply("likeliest", asked, keys)
            return [Line(word, apply("max", asked), item.path, "0.00", '"looks at "@')]
    return []


def _gate(frame: Frame, parent: Frame) -> list[Line]:
    """The weight of an expert for the last token, 0 when it was not chosen."""
    found = re.fullmatch(r"expert_(\d+)", frame.path.rpartition(".")[2])
    gates = next((block for block in parent.blocks() if block.role == "gate"), None)
    if found is None or gates is None:
        return []
    e = int(found.group(1))
    weight = gates.slice(e, e + 1).slice_columns(gates.columns - 1, gates.columns)
    return [Line("last token", weight, gates.path, '"gate "0.00;;"–"')]


def _prediction(trace: Trace, frame: Frame) -> list[Line]:
    """What comes out at the end: the next word, or the label, and its probability."""
    for item in frame.items:
        if isinstance(item, Block) and item.role == "prediction":
            p = next(block for block in trace.blocks.values() if block.role == "confidence")
            return [Line(_asked(trace, item), _asked(trace, p), p.path, "0.00", '"→ "@')]
    return []


def _asked(trace: Trace, tensor: Block) -> Tensor:
    """The column of the token that is asked: the last, or the class token of an image."""
    at = trace.asked_column(tensor.columns)
    return tensor.slice_columns(at, at + 1)


def _roles(blocks: list[Block]) -> set[Role | None]:
    return {block.role for block in blocks}
