"""What is said of a block in words and signs: its title, its equation, the sentence about it, the note at its cells."""

from __future__ import annotations

import re

from sheetgen.base.lang import tr
from sheetgen.model.rounding import ENDING
from sheetgen.text.blocks import AXES, entry
from sheetgen.trace.ops import ATOM
from sheetgen.trace.recorder import Frame
from sheetgen.trace.tensor import Block, Control, Tensor


def title_of(tensor: Block) -> str:
    """Short name of a block."""
    if tensor.kind == "control":
        return tensor.name
    if tensor.op.mark and isinstance(tensor.operands[0], Block):
        return f"{tensor.op.mark} {title_of(tensor.operands[0])}"
    return tr(entry(tensor).title) or tensor.name


def part_name(frame: Frame) -> str:
    """Short name of a part of the model: `Router` for `Router: which expert sees which token`."""
    return re.split(r"[:,] | of the ", frame.title)[0]


def shape_of(tensor: Block) -> str:
    """Rows × columns: `4×10`."""
    return f"{tensor.rows}×{tensor.columns}"


def sentence_of(tensor: Block) -> str:
    """What the block is and why; empty for a tensor that nobody has described."""
    if tensor.op.mark:
        return tr(tensor.op.note)
    told = tr(entry(tensor).sentence)
    return told.format(tensor.part) if isinstance(tensor, Control) and tensor.part else told


def note_of(tensor: Block, paper: str) -> str:
    """All that is told of a block: equation, what and why, what its rows and columns are, its unit, its source.

    `paper` is that of the model: the source of what has no other.
    """
    told = [f"{tensor.name} = {equation_of(tensor)}"] if tensor.kind == "computed" else []
    told.append(sentence_of(tensor))
    axes = [
        f"{way} are {AXES[axis]}" for way, axis in zip(("rows", "columns"), tensor.axes, strict=True) if axis in AXES
    ]
    told += [f"{shape_of(tensor)}: {', '.join(axes)}."] if axes else []
    row = entry(tensor)
    told += [f"Unit: {row.unit}."] if row.unit else []
    told += [f"Source: {row.source or paper}"] if tensor.kind in ("computed", "weight") else []
    return "\n".join(told)


def equation_of(tensor: Tensor, frame: Frame | None = None) -> str:
    """The equation over the names of the operands: `SiLU(gate) ⊙ up`."""
    frame = tensor.frame if isinstance(tensor, Block) else frame
    names = []
    for operand in tensor.operands:
        if isinstance(operand, Block):
            names.append(_seen_from(frame, operand))
        else:
            inner = equation_of(operand, frame)
            loose = operand.op.phrase or operand.op.binding < tensor.op.binding != ATOM
            names.append(f"({inner})" if loose else inner)
    return tensor.op.words(names, tensor.settings)


def _seen_from(frame: Frame | None, operand: Block) -> str:
    """Short name of an operand; with its scope (`shared.down`) when it comes from a part inside this frame."""
    scope = f"{frame.path}." if frame and frame.path else ""
    path = operand.path
    inner = path.removeprefix(scope) if scope and path.startswith(scope) else ""
    if "." not in inner:
        return title_of(operand)
    return f"{operand.op.mark} {inner.removesuffix(ENDING)}" if operand.op.mark else inner
