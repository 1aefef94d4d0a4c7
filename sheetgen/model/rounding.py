"""Number formats of real implementations: where the model rounds to them, and what that does to it.

A real model keeps every result in a format of 16 or 32 bits. So each block that such a model stores is followed by one
that holds its numbers rounded, and those that come after compute with these. What frameworks compute in float32
throughout (the inside of a norm and of softmax, angles, next-word probabilities) is not rounded (`recorder.unrounded`).
The formats are IEEE 754's binary32 and binary16, and bfloat16, with gradual underflow and ties to even; beyond their
largest number the sheet shows an error, having no infinity.

Then the model is computed once more without rounding, from the same weights, and both are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from sheetgen.base.errors import InputError
from sheetgen.model.controls import Controls
from sheetgen.trace.ops import Nature
from sheetgen.trace.recorder import Trace, scope, section, unrounded
from sheetgen.trace.roles import Role
from sheetgen.trace.tensor import (
    Block,
    Tensor,
    Where,
    apply,
    constant,
    equal,
    less_equal,
    mean_square,
    nature,
    number,
    sqrt,
    when,
)

FULL = "full"
FORMATS = {"bf16": (7, 127), "fp16": (10, 15), "fp32": (23, 127)}  # bits of the fraction, largest exponent
ENDING = "_rounded"
TWIN = "full"  # path of the frame in which the model is computed without rounding
EFFECT = "effect"
COMPARED: tuple[Role, ...] = ("layer", "memory", "logits", "probabilities")


def declare(precision: str, c: Controls) -> None:
    """The control `precision` of a model that rounds."""
    if precision != FULL:
        c.group = "Precision"
        c.switch("precision", precision, tuple(FORMATS))


@dataclass
class Rounding:
    """Rounds new blocks that hold other numbers than the format can hold. bits, smallest, beyond: [1, 1]."""

    bits: Tensor
    smallest: Tensor  # normal number; below it the steps get no finer
    beyond: Tensor  # the least number that is rounded to infinity
    natures: dict[Block, Nature] = field(default_factory=dict)

    def __call__(self, block: Block) -> Block:
        """The block that all others compute with."""
        if block.value.dtype == object or self.nature(block) <= Nature.HELD:
            return block
        with unrounded():
            where: Where = "left" if block.where == "left" else "below"
            return self.of(block, f"{block.name}{ENDING}", where, block.starts_at)

    def of(self, x: Tensor, name: str, where: Where = "below", starts_at: int = 0) -> Block:
        """x as the format holds it: a block. Any shape → same shape."""
        return apply("rounded", x, self.bits, self.smallest, self.beyond).named(name, where, starts_at)

    def nature(self, block: Block) -> Nature:
        """What its numbers are: those that this format holds as they are need no rounding."""
        if block not in self.natures:
            if block.kind == "computed":
                self.natures[block] = nature(block, self.nature)
            else:
                self.natures[block] = Nature.HELD if block.kind in ("constant", "text") else Nature.FREE
        return self.natures[block]


def begin(trace: Trace, precision: str, c: Controls) -> None:
    """From here on new blocks are rounded to the format that the control says."""
    if precision != FULL:
        trace.stored = cells(precision, c)


def cells(precision: str, c: Controls) -> Rounding:
    """What the format that the control says can hold, as blocks."""
    with section("Precision: which numbers there are"):
        bits = _of_format("fraction_bits", 0, precision, c)
        exponent = _of_format("largest_exponent", 1, precision, c)
        smallest = (2.0 ** (1.0 - exponent)).named("smallest")
        beyond = ((2.0 - 2.0 ** (-1.0 - bits)) * 2.0**exponent).named("beyond")
    return Rounding(bits, smallest, beyond)


def _of_format(name: str, which: int, precision: str, c: Controls) -> Tensor:
    """A property of the format that the control says, or of the only one. [1, 1]."""
    if "precision" not in c:
        return constant(name, np.array([[FORMATS[precision][which]]]), where="below")
    *others, last = FORMATS
    found = number(FORMATS[last][which])
    for other in reversed(others):
        found = when(c["precision"], other, float(FORMATS[other][which]), found)
    return found.named(name)


def refuse_without_effect(trace: Trace) -> None:
    """Raise InputError when a model has nothing that a format could round."""
    if not any(tensor.op.mark for tensor in trace.blocks.values()):
        raise InputError("this model has whole numbers only, there is nothing to round: leave out --precision")


@contextmanager
def once_more(trace: Trace) -> Iterator[None]:
    """Computes what stands inside a second time, without rounding; what would be the same is not repeated."""
    trace.stored = None
    with trace.frame(TWIN, "Full precision: the same model without rounding"):
        trace.twin = f"{TWIN}."
        yield
        trace.twin = ""


def compare(trace: Trace) -> None:
    """Both results beside each other: the error of every layer, of logits and probabilities, the words they lead to."""
    both = [path for path in trace.blocks if f"{TWIN}.{path}" in trace.blocks]
    compared = [path for path in both if trace[path].role in COMPARED]
    with scope(EFFECT, "Effect of rounding: rounded less full precision"):
        for path in compared or [path for path in both if trace[path].role == "mixed"]:
            exact = trace[f"{TWIN}.{path}"]
            with scope(f"of_{path.replace('.', '_')}", path):
                error = (trace.blocks.get(f"{path}{ENDING}", trace[path]) - exact).named("error")
                size = mean_square(exact)  # where it is 0, the error is not divided by it
                sqrt(mean_square(error) / (size + less_equal(size, 0.0))).named("relative")
        for said in [trace[path] for path in both if trace[path].role == "prediction"]:
            exact = trace[f"{TWIN}.{said.path}"]
            said.named(said.name, role="prediction")
            exact.named(f"{said.name}_full")
            equal(said, exact).named("same")
