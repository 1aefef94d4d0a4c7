"""The map of a model as text: parts, blocks with their shapes, parameters, and what the last token says and sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from rich.text import Text
from rich.tree import Tree

from sheetgen.text.equation import shape_of
from sheetgen.trace.ops import Array
from sheetgen.trace.recorder import Frame, Trace
from sheetgen.trace.tensor import Block

TOP = 3  # choices that are shown of a prediction
WEIGHT, QUIET, STRONG = "red", "dim", "bold"


def tree(title: str, trace: Trace, values: Mapping[str, Array] | None = None) -> Tree:
    """The parts of the model within each other.

    `values` are those that are shown, by path: of a workbook those that an engine has computed. What is not
    there, or no number, is told to be unknown. Without `values` they are the model's own.
    """
    if values is None:
        values = {path: tensor.value for path, tensor in trace.blocks.items()}
    return _Map(trace, values).tree(title)


class _Map:
    """One model and the values to show."""

    def __init__(self, trace: Trace, values: Mapping[str, Array]) -> None:
        self.trace, self.values = trace, values

    def tree(self, title: str) -> Tree:
        root = Tree(Text.assemble((title, STRONG), f"  {self.trace.parameters():,} parameters"), guide_style=QUIET)
        for item in self.trace.root.items:
            if isinstance(item, Frame):
                self.add(root, item)
        return root

    def add(self, parent: Tree, frame: Frame) -> None:
        """A frame with its blocks, runs of which share a line, and inner frames, all in their order."""
        parameters = sum(t.value.size for t in frame.blocks() if t.kind == "weight")
        label = Text(frame.title, STRONG)
        if parameters:
            label.append(f"  {parameters:,} parameters", "not bold")
        node = parent.add(label)
        line: list[Text] = []
        for item in [*frame.items, None]:
            if isinstance(item, Block):
                if not item.op.mark:  # a step after the block that it rounds
                    line.append(self.block(item))
                continue
            if line:
                node.add(Text("  ").join(line))
                line = []
            if item is not None:
                self.add(node, item)
        for told in self.news(frame):
            node.add(told)

    def block(self, tensor: Block) -> Text:
        """Name and shape; of a control its value, of a sentence its words."""
        name = Text(tensor.name, WEIGHT if tensor.kind == "weight" else "")
        value = self.values.get(tensor.path)
        if value is not None and tensor.kind == "control":
            return name.append(f"={_shown(value[0, 0])}", STRONG)
        if value is not None and tensor.kind == "text" and tensor.rows == 1:
            return name.append(f": {' '.join(map(str, value[0]))}", STRONG)
        return name.append(f"({shape_of(tensor)})", QUIET)

    def news(self, frame: Frame) -> Iterator[Text]:
        """What is worth knowing of the blocks in a frame: where a token looks, its experts, the prediction."""
        for tensor in frame.items:
            if not isinstance(tensor, Block):
                continue
            if tensor.role == "pattern":
                yield self.told(tensor, "looks most at", 1)
            elif tensor.role == "chosen":
                yield self.experts(tensor)
            elif tensor.role == "probabilities":
                yield self.told(tensor, "→", TOP)

    def told(self, tensor: Block, verb: str, count: int) -> Text:
        """The largest numbers in the column of the token, and what stands for their rows."""
        column = self.numbers(tensor)
        if column is None:
            return self.unknown(tensor)
        best = np.argsort(-column, kind="stable")[:count]
        choices = ", ".join(f"{self.name(tensor.axes[0], row)} {column[row]:.2f}" for row in best)
        return Text.assemble(self.token(tensor), f" {verb} ", (choices, STRONG))

    def experts(self, tensor: Block) -> Text:
        column = self.numbers(tensor)
        if column is None:
            return self.unknown(tensor)
        chosen = ", ".join(str(expert) for expert in np.flatnonzero(column))
        return Text.assemble(self.token(tensor), " goes to expert ", (chosen or "none", STRONG))

    def unknown(self, tensor: Block) -> Text:
        return Text(f"{tensor.path} cannot be computed", WEIGHT)

    def numbers(self, tensor: Block) -> Array | None:
        """The column of the token; None when a cell of it holds no number."""
        value = self.values.get(tensor.path)
        column = None if value is None else value[:, self.trace.asked_column(value.shape[1])].tolist()
        if column is None or any(isinstance(cell, bool) or not isinstance(cell, int | float) for cell in column):
            return None
        return np.array(column, dtype=float)

    def token(self, tensor: Block) -> str:
        return self.name(tensor.axes[1], self.trace.asked_column(tensor.columns))

    def name(self, axis: str, index: int) -> str:
        """What stands at this place of an axis: a word, with its number where it is there twice, or a number."""
        if axis not in self.values:
            return str(index)
        named = self.values[axis].ravel().tolist()
        return f"{named[index]} ({index})" if named.count(named[index]) > 1 else str(named[index])


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
