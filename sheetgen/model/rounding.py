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

# What only moves numbers, and what has whole numbers as its result: programs keep those as integers.
MOVES = {"link", "rows", "columns", "stack", "join", "transpose", "flatten", "patches"}
WHOLE = {"equal", "less", "less_equal", "lookup", "rank", "size", "floor"}


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
    held: set[Tensor] = field(default_factory=set)  # blocks that need no rounding

    def __call__(self, block: Block) -> Block:
        """The block that all others compute with."""
        if block.value.dtype == object or self.holds(block):
            self.held.add(block)
            return block
        with unrounded():
            where: Where = "left" if block.where == "left" else "below"
            rounded = self.of(block, f"{block.name}{ENDING}", where, block.starts_at)
        self.held.add(rounded)
        return rounded

    def of(self, x: Tensor, name: str, where: Where = "below", starts_at: int = 0) -> Block:
        """x as the format holds it: a block. Any shape → same shape."""
        return apply("rounded", x, self.bits, self.smallest, self.beyond).named(name, where, starts_at)

    def holds(self, tensor: Tensor) -> bool:
        """Whether the format holds its numbers as they are: rounded before, whole, or one of such."""
        if tensor in self.held:
            return True
        if isinstance(tensor, Block) and tensor.kind != "computed":
            return tensor.kind in ("constant", "text")
        if tensor.op in WHOLE:
            return True
        if tensor.op == "number":
            return float(tensor.value[0, 0]).is_integer()
        if _is_switch(tensor):
            return True
        if tensor.op == "sum":  # of ones: a count
            return _is_switch(tensor.operands[0])
        if tensor.op in MOVES:
            return all(map(self.holds, tensor.operands))
        if tensor.op in ("masked", "choose", "when"):
            return all(map(self.holds, tensor.operands[1:]))
        if tensor.op == "mul":  # by 0 or 1
            return all(map(self.holds, tensor.operands)) and any(map(_is_switch, tensor.operands))
        if tensor.op == "matmul":  # picks a column for each word
            return self.holds(tensor.operands[0]) and tensor.operands[1].op == "equal"
        return False


def _is_switch(tensor: Tensor) -> bool:
    """Whether it is 0 or 1 everywhere: a comparison, a control's factor, a product of such."""
    if tensor.op in ("equal", "less", "less_equal"):
        return True
    if tensor.op == "when":
        return all(part.op == "number" and part.value[0, 0] in (0, 1) for part in tensor.operands[1:])
    return tensor.op in ("mul", "link") and all(map(_is_switch, tensor.operands))


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
    if not any(tensor.op == "rounded" for tensor in trace.blocks.values()):
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
