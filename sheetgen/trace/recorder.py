"""The context of a run: the trace that keeps its blocks, the frames around them, where the numbers come from.

Equations are written once, over tensors (`model`). Running them gives the reference values; what they leave behind, a
`Trace`, gives the cells, the formulas and the sentences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from sheetgen.base.errors import InputError, TooLarge
from sheetgen.trace.limits import Limits, Live

if TYPE_CHECKING:  # a tensor asks its trace; a trace only keeps tensors
    from sheetgen.trace.ops import Array
    from sheetgen.trace.tensor import Block

B = TypeVar("B", bound="Block")

# Of a model: more than spreadsheet programs open, or than writing them has memory for (a gigabyte).
MAX_BLOCKS, MAX_BLOCK_CELLS = 30_000, 5_000_000


class Source(Protocol):
    """Where the numbers that nobody computes come from: drawn, a checkpoint, or a workbook."""

    def weight(self, path: str, shape: tuple[int, int], around: float | None) -> Array:
        """Trainable numbers; `around` is what the gain of a norm varies about, None for a matrix.

        They may be more or fewer than `shape` says, in a workbook that somebody has let grow.
        """

    def control(self, path: str, default: Live, limits: Limits) -> Live:
        """One live number or word, within its limits."""

    def text(self, path: str, count: int) -> list[str]:
        """So many words."""

    def numbers(self, path: str, shape: tuple[int, int]) -> Array:
        """Numbers the model is given, such as the pixels of an image."""


@dataclass(eq=False)
class Frame:
    """A part of the model as the sheet frames it: its title, its blocks and inner frames in order."""

    path: str
    title: str
    items: list[Block | Frame] = field(default_factory=list)

    def blocks(self) -> list[Block]:
        """All its blocks, those of the frames inside it, too, in the order of computation."""
        return [block for item in self.items for block in (item.blocks() if isinstance(item, Frame) else [item])]


class Trace:
    """All named tensors of one run of a model, in the order of computation, and the frames around them."""

    def __init__(self, source: Source, alike: bool = False) -> None:
        self.source = source
        self.alike = alike  # whether The and the are one word, as they were for sheetgen 0.1.0
        self.blocks: dict[str, Block] = {}
        self.cells = 0  # of all blocks
        self.root = Frame("", "")
        self._frames = [self.root]
        # Makes of a new block the one that all others compute with: `stored(y)` puts down `y_rounded` and returns it.
        # None: they compute with the new block itself, `y`.
        self.stored: Callable[[Block], Block] | None = None
        # Path of the frame in which the model is computed once more, and a dot: "full." while `full.layer_0.out` is
        # put down beside `layer_0.out`. Else "".
        self.twin = ""

    def __enter__(self) -> Trace:
        self._token = _TRACE.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _TRACE.reset(self._token)

    def __getitem__(self, path: str) -> Block:
        return self.blocks[path]

    def claim(self, name: str, shape: tuple[int, ...]) -> str:
        """The path of a new block of this shape in the scope that is open.

        Raises ValueError when there is one of that name, TooLarge when a workbook would not hold it.
        """
        path = _inside(self.open_frame, name)
        if path in self.blocks:
            raise ValueError(f"two tensors are named {path}")
        self.cells += self.room(shape)
        return path

    def room(self, shape: tuple[int, ...]) -> int:
        """The cells of a block of this shape; raises TooLarge when a workbook would not hold them besides the others.

        For what computes a large array before it makes a block of it.
        """
        cells = math.prod(shape)
        if self.cells + cells > MAX_BLOCK_CELLS or len(self.blocks) >= MAX_BLOCKS:
            what = f"{MAX_BLOCKS:,} tensors" if len(self.blocks) >= MAX_BLOCKS else f"{MAX_BLOCK_CELLS:,} cells"
            raise TooLarge(f"this model has more than {what}, too many for a workbook: choose smaller sizes")
        return cells

    def add(self, block: B) -> B:
        """Put down a new block, whose path is `claim`ed, in its frame."""
        self.blocks[block.path] = block
        block.frame.items.append(block)
        return block

    @contextmanager
    def frame(self, name: str, title: str) -> Iterator[None]:
        outer = self._frames[-1]
        path = ".".join(part for part in (outer.path, name) if part)
        inner = Frame(path, title)
        outer.items.append(inner)
        self._frames.append(inner)
        try:
            yield
        finally:
            self._frames.pop()
            if not inner.items:
                outer.items.remove(inner)

    def kept(self, block: Block) -> Block:
        """What others compute with in place of a new block: itself, or what `stored` makes of it.

        y = (a + b).named("y")  # the block `y`
        y = (a + b).named("y")  # with --precision: `y` is put down all the same, but this is `y_rounded`
        """
        return self.stored(block) if self.stored else block

    def first(self, name: str) -> Block | None:
        """While the model is computed once more: the block of this name from the first time; else None.

        first("Q")  # in the scope `full.layer_0.head_1`, `twin` being "full.": the block `layer_0.head_1.Q`
        first("Q")  # `twin` being "": None, whatever there is
        """
        path = _inside(self.open_frame, name)
        return self.blocks.get(path.removeprefix(self.twin)) if self.twin else None

    @property
    def open_frame(self) -> Frame:
        """The innermost frame that is open."""
        return self._frames[-1]

    def refuse_infinite(self, remedy: str) -> None:
        """Raise InputError when some block holds what is no number in a cell; `remedy` says how to mend it."""
        for path, tensor in self.blocks.items():
            hidden = np.isneginf(tensor.value) if tensor.op.hides else False
            if tensor.value.dtype != object and not (np.isfinite(tensor.value) | hidden).all():
                raise InputError(f"{path} becomes too large, or no number: {remedy}")

    def asked_column(self, columns: int) -> int:
        """The column of the token that is asked what comes out, of so many: the last, if the head reads no other."""
        asked = next((block for block in self.blocks.values() if block.role == "asked"), None)
        return columns - 1 if asked is None else int(asked.settings["start"])

    def parameters(self) -> int:
        """How many trainable numbers the model has."""
        return sum(t.value.size for t in self.blocks.values() if t.kind == "weight")


_TRACE: ContextVar[Trace] = ContextVar("trace")


def running() -> Trace:
    """The trace that the equations being run leave."""
    return _TRACE.get()


def _inside(frame: Frame, name: str) -> str:
    return f"{frame.path}.{name}" if frame.path else name


def open_path() -> str:
    """The path of the scope that is open, in the model."""
    trace = running()
    return f"{trace.open_frame.path}.".removeprefix(trace.twin).removesuffix(".")


@contextmanager
def unrounded() -> Iterator[None]:
    """Blocks that an implementation computes in float32 throughout, or that are exact: they are not rounded."""
    trace = running()
    outer, trace.stored = trace.stored, None
    try:
        yield
    finally:
        trace.stored = outer


def scope(name: str, title: str = "") -> AbstractContextManager[None]:
    """A part of the model: names inside get `name.` before them, blocks inside get a frame."""
    return running().frame(name, title or name.replace("_", " ").capitalize())


def section(title: str) -> AbstractContextManager[None]:
    """A frame only: names inside stay as they are."""
    return running().frame("", title)
