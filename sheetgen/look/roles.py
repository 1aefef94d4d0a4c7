"""What a block or a frame is, as far as its look goes: a block's colour group and number format, a frame's kind."""

from __future__ import annotations

from typing import Literal

from sheetgen.text.blocks import ROUNDED, Colour, entry
from sheetgen.trace.ops import Nature
from sheetgen.trace.recorder import Frame
from sheetgen.trace.roles import Role
from sheetgen.trace.tensor import Block, Tensor, nature

FrameKind = Literal["layer", "attention", "head", "feed_forward", "expert", "router", "input", "output", "other"]


def colour_of(tensor: Block) -> Colour:
    """The colours of a block: by its kind, the part it stands in, or its row in the table of blocks."""
    if tensor.kind == "text" or tensor.kind == "input":
        return "input"
    if tensor.kind != "computed":
        return tensor.kind
    if tensor.op.mark:
        inner = tensor.operands[0]
        return colour_of(inner) if isinstance(inner, Block) and inner.kind == "computed" else "activation"
    if ".router." in f".{tensor.path}.":
        return "gate"
    return entry(tensor).colour or "activation"


# What a frame is, by the beginning of the last part of its path; else by a block that stands in it.
PATHS: dict[str, FrameKind] = {
    "layer_": "layer",
    "head_": "head",
    "kv_": "head",
    "step_": "attention",
    "cross": "attention",
    "compressed": "head",
    "selected": "head",
    "window": "head",
    "router": "router",
    "shared": "expert",
    "expert_": "expert",
    "ffn": "expert",
    "rope": "other",
    "control": "input",
}
HOLDS: dict[Role, FrameKind] = {
    "attention": "attention",
    "pattern": "attention",
    "layer": "feed_forward",
    "logits": "output",
    "result": "output",
    "sentence": "input",
    "image": "input",
    "embedding": "input",
    "table": "input",
}


def kind_of(frame: Frame) -> FrameKind:
    """What a frame is, as far as its look goes."""
    if any(isinstance(item, Frame) and item.path.rpartition(".")[2].startswith("layer_") for item in frame.items):
        return "layer"  # a side of an encoder–decoder
    roles = {item.role for item in frame.items if isinstance(item, Block)}
    held = next((kind for role, kind in HOLDS.items() if role in roles), None)
    last = frame.path.rpartition(".")[2]
    by_path = next((kind for start, kind in PATHS.items() if last.startswith(start)), None)
    # A section has the path of what is around it: only what it holds tells it apart.
    return (held or by_path or "other") if by_path in (None, "layer") else by_path


def number_format(tensor: Block) -> str:
    """How its numbers are shown; the cells keep full precision."""
    if tensor.kind == "text" or tensor.value.dtype == object:
        return "@"
    if tensor.kind == "weight":
        return "0.0###"
    if tensor.op.copies and isinstance(tensor.operands[0], Block):
        return number_format(tensor.operands[0])
    if number := entry(tensor).number:
        return number
    if tensor.op.mark:
        return ROUNDED
    if tensor.kind != "computed" or _counts(tensor):
        return "General"
    return "0.00"


def _counts(tensor: Tensor) -> bool:
    """Whether its formula alone tells that it holds whole numbers: ids, ranks, masks of 0 and 1, a product of such."""
    whole = nature(tensor, lambda _block: Nature.FREE) <= Nature.WHOLE
    return whole and (
        isinstance(tensor.op.gives, Nature) or all(not isinstance(x, Block) and _counts(x) for x in tensor.operands)
    )
