"""A tensor: a NumPy array that remembers how it was made. Operations on tensors, and tensors that nothing computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from sheetgen.base.errors import InputError
from sheetgen.trace.limits import Limits, Live
from sheetgen.trace.ops import OPS, Array
from sheetgen.trace.recorder import Frame, running

Kind = Literal["computed", "weight", "constant", "control", "text", "input"]
MAX_CELLS = 50_000_000  # of one tensor on the way to a block

# Of the blocks it is made from: under them, right of them; left of its user; or the row right under the latest block.
Where = Literal["below", "beside", "left", "foot"]


class Tensor:
    """Two dimensions, features × tokens. `path` is None until it is named; only named tensors become blocks."""

    __array_priority__ = 100  # ndarray + Tensor is ours, too

    def __init__(
        self,
        value: Array,
        op: str = "",
        operands: tuple[Tensor, ...] = (),
        settings: dict[str, Any] | None = None,
        kind: Kind = "computed",
        axes: tuple[str, str] = ("", ""),
    ) -> None:
        self.value = value
        self.op = op
        self.operands = operands
        self.settings = settings or {}
        self.kind = kind
        self.axes = axes  # what rows and columns count: the path of the text block that names them, or a feature
        self.path: str | None = None
        self.frame: Frame | None = None
        self.where: Where = "below"
        self.indent = 0  # how many columns it stands further right, so that it stands over its tokens

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
        """The last part of the path; for an unnamed tensor its operation."""
        return self.path.rpartition(".")[2] if self.path else self.op

    @property
    def T(self) -> Tensor:  # noqa: N802 - as NumPy calls it
        return apply("transpose", self)

    def named(self, name: str, where: Where = "below", indent: int = 0) -> Tensor:
        """This tensor as a block of cells; one that is a block already gets a second one that links to it."""
        trace = running()
        tensor = self if self.path is None else apply("link", self)
        tensor.where, tensor.indent = where, indent
        first = trace.first(name)
        if first is not None and first.op == tensor.op and first.blocks_used() == tensor.blocks_used():
            return first  # it would be the same once more
        trace.add(tensor, name)
        return trace.kept(tensor)

    def blocks_used(self) -> list[Tensor]:
        """The named tensors that its formula refers to, each once, in the order of the formula."""
        found: dict[str, Tensor] = {}
        for operand in self.operands:
            for block in [operand] if operand.path else operand.blocks_used():
                found.setdefault(str(block.path), block)
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
            raise IndexError(f"{self} has no rows {start} to {stop - 1}")
        return apply("rows", self, start=start, stop=stop)

    def slice_columns(self, start: int, stop: int) -> Tensor:
        """Some columns, `stop` not included; no block of their own until they are named."""
        if not 0 <= start < stop <= self.columns:
            raise IndexError(f"{self} has no columns {start} to {stop - 1}")
        return apply("columns", self, start=start, stop=stop)

    def __str__(self) -> str:
        made_of = " and ".join(str(block.path) for block in self.blocks_used())
        return f"{self.path or f'{self.op} of {made_of}'} ({self.rows}×{self.columns})"

    __repr__ = __str__


def apply(op: str, *operands: Tensor | float, **settings: Any) -> Tensor:
    """The result of an operation of `ops.OPS`; raises ValueError naming the operands whose shapes do not fit."""
    tensors = tuple(x if isinstance(x, Tensor) else number(x) for x in operands)
    if OPS[op].of_cells and not _of_a_block(tensors[0]):
        raise ValueError(f"{op} reads cells: give {tensors[0]} a name first")
    if max(t.rows for t in tensors) * max(t.columns for t in tensors) > MAX_CELLS:
        raise InputError(f"{op} of {' and '.join(map(str, tensors))} is beyond any sheet: choose smaller sizes")
    try:
        # As in the sheet, an overflow or a division by zero concerns the cells it happens in, not the whole run.
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            value = OPS[op].numpy(*(t.value for t in tensors), **settings)
    except ValueError as error:
        raise ValueError(f"{op} does not fit {' and '.join(map(str, tensors))}") from error
    return Tensor(value, op, tensors, settings, axes=_axes(OPS[op].axes, tensors))


def _of_a_block(tensor: Tensor) -> bool:
    """Whether its cells are those of a block, or some rows or columns of one."""
    cut = tensor.op in ("rows", "columns") and tensor.path is None
    return _of_a_block(tensor.operands[0]) if cut else tensor.path is not None


def _axes(rule: str, operands: tuple[Tensor, ...]) -> tuple[str, str]:
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
    return Tensor(np.array([[float(value)]]), "number")


def _leaf(tensor: Tensor, name: str, where: Where = "below") -> Tensor:
    """A block that nothing computes."""
    tensor.where = where
    running().add(tensor, name)
    return tensor


def weight(
    name: str,
    rows: int,
    columns: int,
    axes: tuple[str, str] = ("", ""),
    around: float | None = None,
    where: Where = "left",
) -> Tensor:
    """Trainable numbers [rows, columns] of this scope: a red block. A workbook may have made it larger."""
    trace = running()
    if (first := trace.first(name)) is not None:
        return first.named(name, where)
    tensor = _leaf(Tensor(np.empty((rows, columns)), kind="weight", axes=axes), name, where)
    tensor.value = trace.source.weight(str(tensor.path), (rows, columns), around)
    return trace.kept(tensor)


Weight = Callable[..., Tensor]  # (name, rows, columns, axes=, around=, where=) → Tensor, as `weight`


def constant(name: str, value: Array, axes: tuple[str, str] = ("", ""), where: Where = "left") -> Tensor:
    """Numbers that nobody trains (positions, a permutation): an unshaded block."""
    first = running().first(name)
    if first is not None and where != "foot":  # which must stand under the block that it goes on
        return first
    return _leaf(Tensor(np.asarray(value, dtype=float), kind="constant", axes=axes), name, where)


def control(name: str, default: Live, limits: Limits, **settings: Any) -> Tensor:
    """One live number or word that a lecturer may change, within limits; call it in the scope `control`.

    `settings` tell the layout where among the controls it stands (see `controls`).
    """
    trace = running()
    kind = object if isinstance(default, str) else float
    value = np.array([[default]], dtype=kind)
    tensor = _leaf(Tensor(value, settings={"limits": limits, **settings}, kind="control"), name)
    tensor.value = np.array([[trace.source.control(str(tensor.path), default, limits)]], dtype=kind)
    return tensor


def text(name: str, count: int, across: bool, where: Where = "below") -> Tensor:
    """Words that may be edited, `across` one per column or down one per row; an axis named by its path shows them."""
    trace = running()
    if (first := trace.first(name)) is not None:
        return first
    shape = (1, count) if across else (count, 1)
    tensor = _leaf(Tensor(np.full(shape, "", dtype=object), kind="text"), name, where)
    path = str(tensor.path)
    tensor.axes = ("", path) if across else (path, "")
    words = np.array(trace.source.text(path, count), dtype=object)
    tensor.value = words[None] if across else words[:, None]
    return tensor


def numbers(name: str, rows: int, columns: int, axes: tuple[str, str] = ("", ""), where: Where = "below") -> Tensor:
    """Numbers the model is given [rows, columns]; they may be edited."""
    trace = running()
    if (first := trace.first(name)) is not None:
        return first
    tensor = _leaf(Tensor(np.empty((rows, columns)), kind="input", axes=axes), name, where)
    tensor.value = trace.source.numbers(str(tensor.path), (rows, columns))
    return tensor


def stack(parts: list[Tensor]) -> Tensor:
    """The parts, one below the other; each must be a block."""
    return apply("stack", *parts)


def join(parts: list[Tensor]) -> Tensor:
    """The parts, side by side."""
    return apply("join", *parts)


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


def complaints(controls: list[Tensor]) -> Tensor:
    """What is wrong with the controls, in words, as one cell."""
    return apply("complaints", *controls, limits=[(c.name, c.settings["limits"]) for c in controls])


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
lookup, known, likeliest, choose = (_function(op) for op in ("lookup", "known", "likeliest", "choose"))
