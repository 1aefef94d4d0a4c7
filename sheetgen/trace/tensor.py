"""A tensor: a NumPy array that remembers how it was made. Operations on tensors, and tensors that nothing computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from sheetgen.base.errors import TooLarge
from sheetgen.trace.limits import Limits, Live
from sheetgen.trace.ops import GIVEN, OPS, Array, Nature, Op
from sheetgen.trace.recorder import Frame, running
from sheetgen.trace.roles import Role

Kind = Literal["computed", "weight", "constant", "control", "text", "input"]
MAX_CELLS = 50_000_000  # of one tensor on the way to a block

# Of the blocks it is made from: under them, right of them; left of its user; or the row right under the latest block.
Where = Literal["below", "beside", "left", "foot"]


Axes = tuple[str, str]  # what rows and columns count: the path of the text block that names them, or a feature


class ShapeError(ValueError):
    """Operands whose shapes do not go together: a slip in the equations, or blocks that somebody has resized."""


@dataclass(frozen=True, eq=False, repr=False)
class Tensor:
    """Two dimensions, features × tokens: the result of an operation, inside the formula of the block that uses it."""

    value: Array
    op: Op = GIVEN
    operands: tuple[Tensor, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    axes: Axes = ("", "")
    kind: Kind = "computed"  # what is not is a block that nothing computes

    __array_priority__ = 100  # ndarray + Tensor is ours, too

    @property
    def rows(self) -> int:
        return int(self.value.shape[0])

    @property
    def columns(self) -> int:
        return int(self.value.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.columns

    @property
    def name(self) -> str:
        """Its operation; of a block the last part of its path."""
        return self.op.name

    @property
    def in_cells(self) -> bool:
        """Whether one range holds its numbers already: a block, some rows of one, blocks under each other."""
        return self.op.range is not None and all(operand.in_cells for operand in self.operands)

    @property
    def T(self) -> Tensor:  # noqa: N802 - as NumPy calls it
        return apply("transpose", self)

    def named(
        self,
        name: str,
        where: Where = "below",
        starts_at: int = 0,
        axes: Axes | None = None,
        role: Role | None = None,
    ) -> Block:
        """This tensor as a block of cells; one that is a block already gets a second one that links to it.

        What comes after computes with the block that is returned, never with `self`:

            gate = silu(w @ x).named("gate")  # `layer_0.ffn.gate`, when these scopes are open; axes as computed
            shown = gate.named("gate_again")  # its formula is `=` and the cells of `gate`
        """
        trace = running()
        tensor = apply("link", self) if isinstance(self, Block) else self
        first = trace.first(name)
        if first is not None and first.op is tensor.op and first.blocks_used() == tensor.blocks_used():
            return first  # it would be the same once more
        return trace.kept(
            trace.add(
                Block(
                    tensor.value,
                    tensor.op,
                    tensor.operands,
                    tensor.settings,
                    axes or tensor.axes,
                    path=trace.claim(name, tensor.shape),
                    frame=trace.open_frame,
                    where=where,
                    starts_at=starts_at,
                    role=role,
                )
            )
        )

    def blocks_used(self) -> list[Block]:
        """The blocks that its formula refers to, each once, in the order of the formula."""
        found: dict[str, Block] = {}
        for operand in self.operands:
            for block in [operand] if isinstance(operand, Block) else operand.blocks_used():
                found.setdefault(block.path, block)
        return list(found.values())

    def __bool__(self) -> bool:
        raise TypeError("a tensor cannot decide a branch: the sheet has no branches. Use a mask (`masked`) instead")

    def __add__(self, other: Tensor | float) -> Tensor:
        return apply("add", self, other)

    def __radd__(self, other: float) -> Tensor:
        return apply("add", other, self)

    def __sub__(self, other: Tensor | float) -> Tensor:
        return apply("sub", self, other)

    def __rsub__(self, other: float) -> Tensor:
        return apply("sub", other, self)

    def __mul__(self, other: Tensor | float) -> Tensor:
        return apply("mul", self, other)

    def __rmul__(self, other: float) -> Tensor:
        return apply("mul", other, self)

    def __truediv__(self, other: Tensor | float) -> Tensor:
        return apply("div", self, other)

    def __rtruediv__(self, other: float) -> Tensor:
        return apply("div", other, self)

    def __pow__(self, other: Tensor | float) -> Tensor:
        return apply("pow", self, other)

    def __rpow__(self, other: float) -> Tensor:
        return apply("pow", other, self)

    def __matmul__(self, other: Tensor) -> Tensor:
        return apply("matmul", self, other)

    def __getitem__(self, row: int) -> Tensor:
        """Row `row` as a 1×T tensor; not a block of its own."""
        return self.slice(row, row + 1)

    def slice(self, start: int, stop: int) -> Tensor:
        """Some rows, `stop` not included; no block of their own until they are named."""
        if not 0 <= start < stop <= self.rows:
            raise ShapeError(f"{self} has no rows {start} to {stop - 1}")
        return apply("rows", self, start=start, stop=stop)

    def slice_columns(self, start: int, stop: int) -> Tensor:
        """Some columns, `stop` not included; no block of their own until they are named."""
        if not 0 <= start < stop <= self.columns:
            raise ShapeError(f"{self} has no columns {start} to {stop - 1}")
        return apply("columns", self, start=start, stop=stop)

    def __str__(self) -> str:
        made_of = " and ".join(block.path for block in self.blocks_used())
        return f"{self.op} of {made_of} ({self.rows}×{self.columns})"

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Block(Tensor):
    """A tensor with cells of its own: what has a name."""

    path: str
    frame: Frame
    where: Where = "below"
    starts_at: int = 0  # the token that its first column belongs to: it stands under that one, and is called so
    role: Role | None = None  # what it means, where code acts on it

    @property
    def in_cells(self) -> bool:
        return True

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    def __str__(self) -> str:
        return f"{self.path} ({self.rows}×{self.columns})"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Control(Block):
    """One cell that a lecturer may change, within limits.

    It stands in the list under the heading `group`; or, a switch of one part of the model (`layer_0.head_1`), in the
    table of switches: in the row `row`, for what it switches (`head`).
    """

    limits: Limits
    group: str = ""
    row: str = ""
    part: str = ""
    what: str = ""


def apply(op: str, *operands: Tensor | float, axes: Axes | None = None, **settings: Any) -> Tensor:
    """The result of an operation of `ops.OPS`; raises ShapeError naming the operands whose shapes do not fit.

    `axes` are those of its operands, as the operation says, unless they are given.
    """
    rule = OPS[op]
    tensors = tuple(x if isinstance(x, Tensor) else number(x) for x in operands)
    if rule.of_cells and not _of_a_block(tensors[0]):
        raise ValueError(f"{op} reads cells: give {tensors[0]} a name first")
    if max((t.rows for t in tensors), default=1) * max((t.columns for t in tensors), default=1) > MAX_CELLS:
        raise TooLarge(f"{op} of {' and '.join(map(str, tensors))} is beyond any sheet: choose smaller sizes")
    try:
        # As in the sheet, an overflow or a division by zero concerns the cells it happens in, not the whole run.
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            value = rule.numpy(*(t.value for t in tensors), **settings)
    except ValueError as error:
        raise ShapeError(f"{op} does not fit {' and '.join(map(str, tensors))}") from error
    return Tensor(value, rule, tensors, settings, axes or _axes(rule.axes, tensors))


def stands_here(tensor: Tensor) -> bool:
    """Whether it is a block of the frame that is open."""
    return isinstance(tensor, Block) and tensor.frame is running().open_frame


def _of_a_block(tensor: Tensor) -> bool:
    """Whether its cells are those of a block, or some rows or columns of one."""
    return isinstance(tensor, Block) or (tensor.op.cuts and _of_a_block(tensor.operands[0]))


def nature(tensor: Tensor, of_block: Callable[[Block], Nature]) -> Nature:
    """What its numbers are by nature, by that of the blocks that it is computed from."""
    gives = tensor.op.gives
    if isinstance(gives, Nature):
        return gives
    operands = (of_block(x) if isinstance(x, Block) else nature(x, of_block) for x in tensor.operands)
    return gives(*operands, **tensor.settings)


def _axes(rule: str, operands: tuple[Tensor, ...]) -> Axes:
    if rule == "product":
        return operands[0].axes[0], operands[1].axes[1]
    if rule == "transpose":
        return operands[0].axes[1], operands[0].axes[0]
    if rule == "columns":
        return "", operands[0].axes[1]
    if rule == "scalar":
        return "", ""
    return tuple(next((t.axes[i] for t in operands if t.axes[i]), "") for i in (0, 1))  # type: ignore[return-value]


def number(value: float) -> Tensor:
    """A number written into the formula itself."""
    return apply("number", value=float(value))


def leaf(
    name: str,
    shape: tuple[int, int],
    value: Callable[[str], Array],
    kind: Kind,
    where: Where = "below",
    axes: Axes = ("", ""),
    role: Role | None = None,
) -> Block:
    """A block that nothing computes: `value(path)` says what it holds, which may be more or less than `shape`."""
    trace = running()
    path = trace.claim(name, shape)
    return trace.add(
        Block(value(path), axes=axes, path=path, frame=trace.open_frame, kind=kind, where=where, role=role)
    )


def weight(
    name: str,
    rows: int,
    columns: int,
    axes: Axes = ("", ""),
    around: float | None = None,
    where: Where = "left",
    role: Role | None = None,
) -> Block:
    """Trainable numbers [rows, columns] of this scope: a red block. A workbook may have made it larger."""
    trace = running()
    if (first := trace.first(name)) is not None:
        return first.named(name, where, role=role)
    shape = rows, columns
    made = leaf(name, shape, lambda path: trace.source.weight(path, shape, around), "weight", where, axes, role)
    return trace.kept(made)


Weight = Callable[..., Block]  # (name, rows, columns, axes=, around=, where=, role=) → Block, as `weight`


def constant(name: str, value: Array, axes: Axes = ("", ""), where: Where = "left") -> Block:
    """Numbers that nobody trains (positions, a permutation): an unshaded block."""
    first = running().first(name)
    if first is not None and where != "foot":  # which must stand under the block that it goes on
        return first
    numbers = np.asarray(value, dtype=float)
    return leaf(name, numbers.shape, lambda _path: numbers, "constant", where, axes)


def control(
    name: str, default: Live, limits: Limits, group: str = "", row: str = "", part: str = "", what: str = ""
) -> Control:
    """One live number or word that a lecturer may change, within limits; call it in the scope `control`."""
    trace = running()
    path = trace.claim(name, (1, 1))
    live = trace.source.control(path, default, limits)
    value = np.array([[live]], dtype=object if isinstance(default, str) else float)
    made = Control(
        value,
        path=path,
        frame=trace.open_frame,
        kind="control",
        limits=limits,
        group=group,
        row=row,
        part=part,
        what=what,
    )
    return trace.add(made)


def text(name: str, count: int, across: bool, where: Where = "below", role: Role | None = None) -> Block:
    """Words that may be edited, `across` one per column or down one per row; an axis named by its path shows them."""
    trace = running()
    if (first := trace.first(name)) is not None:
        return first
    path = trace.claim(name, (1, count))
    words = np.array(trace.source.text(path, count), dtype=object)
    value, axes = (words[None], ("", path)) if across else (words[:, None], (path, ""))
    return trace.add(Block(value, axes=axes, path=path, frame=trace.open_frame, kind="text", where=where, role=role))


def numbers(
    name: str,
    rows: int,
    columns: int,
    axes: Axes = ("", ""),
    where: Where = "below",
    role: Role | None = None,
) -> Block:
    """Numbers the model is given [rows, columns]; they may be edited."""
    trace = running()
    if (first := trace.first(name)) is not None:
        return first
    shape = rows, columns
    return leaf(name, shape, lambda path: trace.source.numbers(path, shape), "input", where, axes, role)


def stack(parts: Sequence[Tensor], axes: Axes | None = None) -> Tensor:
    """The parts, one below the other; each must be a block."""
    return apply("stack", *parts, axes=axes)


def join(parts: Sequence[Tensor], axes: Axes | None = None) -> Tensor:
    """The parts, side by side."""
    return apply("join", *parts, axes=axes)


def patches(image: Tensor, channels: int, size: int) -> Tensor:
    """The squares of an image, one per column. [channels · height, width] → [channels · size², patches]."""
    return apply("patches", image, channels=channels, size=size)


def flatten(x: Tensor, length: int, stride: int) -> Tensor:
    """Blocks of `length` columns, one every `stride`, each as one column: [h, T] → [length · h, blocks]."""
    return apply("flatten", x, length=length, stride=stride)


def masked(mask: Tensor, x: Tensor) -> Tensor:
    """x where the mask is 1, minus infinity elsewhere."""
    return apply("masked", mask, x)


def when(control: Tensor, word: str, yes: Tensor | float, no: Tensor | float) -> Tensor:
    """The one while the control says `word`, the other else; of a block both must have its whole shape."""
    return apply("when", control, yes, no, word=word)


def complaints(controls: Sequence[Control]) -> Tensor:
    """What is wrong with the controls, in words, as one cell."""
    return apply("complaints", *controls, limits=[(c.name, c.limits) for c in controls])


def lookup(words: Tensor, vocabulary: Tensor) -> Tensor:
    """Ids of the words, counted from 0. [1, T], [V, 1] → [1, T]; InputError for a word that is not there."""
    return apply("lookup", words, vocabulary, alike=running().alike)


def known(ids: Tensor, words: Tensor, vocabulary: Tensor) -> Tensor:
    """Which words have been found, in signs. [1, T], [1, T], [V, 1] → [1, T]."""
    return apply("known", ids, words, vocabulary, alike=running().alike)


def rows_of(x: Tensor) -> Tensor:
    """The number of rows of a block, read by the sheet from the block itself."""
    return apply("size", x)


def _function(op: str) -> Callable[..., Tensor]:
    def call(*operands: Tensor | float) -> Tensor:
        return apply(op, *operands)

    call.__name__, call.__doc__ = op, OPS[op].note
    return call


sqrt, exp, log, cos, sin, floor = (_function(op) for op in ("sqrt", "exp", "log", "cos", "sin", "floor"))
sigmoid, silu, relu, relu2 = (_function(op) for op in ("sigmoid", "silu", "relu", "relu2"))
gelu, gelu_tanh = _function("gelu"), _function("gelu_tanh")
less_equal, equal, less = _function("less_equal"), _function("equal"), _function("less")
sum_rows, max_rows, mean_rows = _function("sum"), _function("max"), _function("mean")
mean_square, rank = _function("mean_square"), _function("rank")
positive, largest, smallest = _function("positive"), _function("largest"), _function("smallest")
likeliest, same_words, choose = (_function(op) for op in ("likeliest", "same_words", "choose"))
