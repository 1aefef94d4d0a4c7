"""What is wrong with a formula, in a sentence: from what it says and what it should say.

Only what the two formulas show is told; where they differ in more than one way, what each of them reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from sheetgen.base.cells import Range, cell_name
from sheetgen.proof.notation import Token
from sheetgen.trace.ops import Array

Tokens = tuple[Token, ...]
Places = Mapping[str, Range]  # of all blocks of the model, by path

_SIGNS = {"<=": "≤", ">=": "≥", "*": "×", "-": "−"}
_MANY = 6  # tokens beyond which a part of a formula is not spelled out


def formula(path: str, subject: str, found: Tokens, expected: Tokens, places: Places, on_stream: bool = False) -> str:
    """The sentence about a formula of the block `path`, spoken of as `subject`, that says something else.

    on_stream: whether the block is the residual stream, so that what is not added is missing from it.
    """
    blocks = _Blocks(places)
    if len(found) == len(expected):
        differing = [(f, e) for f, e in zip(found, expected, strict=True) if f != e]
        kinds = {kind for pair in differing for kind, _ in pair}
        if kinds == {"range"}:
            return f"{subject} {_and([blocks.misread(f, e) for f, e in dict.fromkeys(differing)])}."
        if len(differing) == 1:
            return _one_token(path, subject, *differing[0])
    if wrapped := _wrapped(found, expected):
        return f"{subject} {wrapped}."
    if _one_less(found) == expected:
        return f"{subject} divides by n − 1 where n, the number of rows, belongs."
    if lost := _part(found, expected, blocks):
        residual = on_stream and lost[0] in ("+", "−")
        return f"{subject} leaves out {lost}{': a residual connection is missing' if residual else ''}."
    if added := _part(expected, found, blocks):
        return f"{subject} computes {added} in addition."
    return f"{subject} {_read(found, expected, blocks)}."


def number(subject: str, found: object, wrong: Array) -> str:
    """The sentence about cells that hold something else than a formula."""
    shown = f"the number {found:.12g}" if isinstance(found, float) else repr(found)
    what = "is empty" if found is None else f"holds {shown}"
    others = int(wrong.sum()) - 1
    more = f", and so do {others} more of its cells" if others else ""
    return f"{subject} {what} where a formula belongs{more}: what it is made from can change, it cannot."


def constants(path: str, found: Array, expected: Array) -> str:
    """The sentence about a block of constants that differs."""
    rows = [i for i in range(len(expected)) if not np.array_equal(found[i], expected[i])]
    if len(rows) == 2 and np.array_equal(found[rows], expected[rows[::-1]]):
        return f"Rows {rows[0] + 1} and {rows[1] + 1} of {path} are swapped."
    return f"{spoken(path)} is a block of constants, and {_and([f'row {i + 1}' for i in rows[:3]])} of it is changed."


def unexplained(subject: str, value: object) -> str:
    """The sentence about a formula that says what it should, but gives something else."""
    if isinstance(value, str) and value.startswith("#"):
        return f"{subject} has the formula of the model, but it gives the error {value}."
    return f"{subject} has the formula of the model, and yet it gives another value."


def spoken(path: str) -> str:
    """A path as one says it: `layer_0.head_1.K` → `K of head 1 in layer 0`."""
    *scopes, name = path.split(".")
    inner = [re.sub(r"^(\w+)_(\d+)$", r"\1 \2", scope).replace("_", " ") for scope in reversed(scopes)]
    return name + "".join(f" {'of' if i == 0 else 'in'} {scope}" for i, scope in enumerate(inner))


class _Blocks:
    """Ranges as tensors."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def name(self, area: Range) -> str:
        """The block that these cells are, or belong to."""
        for path, place in self._places.items():
            if place == area:
                return path
        for path, place in self._places.items():
            if area.within(place):
                return f"{_part_of(area, place)} of {path}"
        for path, place in self._places.items():
            if area.meets(place):
                return f"{area.a1}, partly {path}"
        return f"{area.a1}, which is no tensor"

    def owner(self, area: Range) -> str:
        return next((path for path, place in self._places.items() if area.within(place)), "")

    def misread(self, found: Token, expected: Token) -> str:
        """What a formula does that refers to other cells than it should."""
        one, other = found[1], expected[1]
        assert isinstance(one, Range)
        assert isinstance(other, Range)
        taken, right = self.owner(one), self.owner(other)
        if taken and right and taken != right:
            return f"takes {spoken(taken)} where {spoken(right)} belongs: it refers to {self.name(one)} ({one})"
        if one.sheet == other.sheet and one.shape == other.shape:
            down, across = one.top - other.top, one.left - other.left
            moves = [
                _steps(down, "row", "too low", "too high"),
                _steps(across, "column", "too far right", "too far left"),
            ]
            moved = _and([move for move in moves if move])
            return f"reads {self.name(other)} {moved}: {one.a1} instead of {other.a1}"
        return f"reads {one.a1} ({self.name(one)}) instead of {other.a1} ({self.name(other)})"


def _one_token(path: str, subject: str, found: Token, expected: Token) -> str:
    """Two formulas that differ in one place."""
    told, right = (_SIGNS.get(str(value), str(value)) for _, value in (found, expected))
    if found[0] == expected[0] == "infix" and {told, right} <= {"<", "≤", ">", "≥"} and "mask" in path:
        return f"{subject} is off by one: it has {told} where {right} belongs."
    if found[0] == expected[0] == "call":
        hint = " (LOG is to base 10, LN the natural logarithm)" if (told, right) == ("LOG", "LN") else ""
        return f"{subject} uses {told} where {right} belongs{hint}."
    if found[0] == expected[0] == "number":
        return f"{subject} has the number {float(told):g} where {float(right):g} belongs."
    return f"{subject} has {told} where {right} belongs."


def _wrapped(found: Tokens, expected: Tokens) -> str:
    """The whole formula inside a function, such as ROUND."""
    if len(found) < len(expected) + 2 or found[0][0] != "call" or found[1 : 1 + len(expected)] != expected:
        return ""
    rest = found[1 + len(expected) :]
    if found[0][1] == "ROUND" and len(rest) == 3 and isinstance(rest[1][1], float):
        return f"is rounded to {rest[1][1]:g} digits; the model rounds nowhere"
    return f"is put through {found[0][1]}, as the model does not"


def _one_less(found: Tokens) -> Tokens:
    """The formula with `ROWS(x)` for the first `(ROWS(x)-1)`."""
    for i in range(len(found) - 6):
        piece = found[i : i + 7]
        if piece[0] == ("bracket", "(") and piece[1] == ("call", "ROWS") and piece[4:6] == _MINUS_ONE:
            return (*found[:i], *piece[1:4], *found[i + 7 :])
    return ()


_MINUS_ONE = (("infix", "-"), ("number", 1.0))


def _part(shorter: Tokens, longer: Tokens, blocks: _Blocks) -> str:
    """What `longer` has beyond `shorter`, when that is one piece of it; else nothing."""
    more = len(longer) - len(shorter)
    if more <= 0:
        return ""
    start = next((i for i, token in enumerate(shorter) if token != longer[i]), len(shorter))
    piece = longer[start : start + more]
    if longer[start + more :] != shorter[start:] or more > _MANY:
        return ""
    if piece[-1][0] == "infix":  # `a+` of `a+b`: the sign goes before what is lost
        piece = (piece[-1], *piece[:-1])
    return " ".join(_spelled(token, blocks) for token in piece)


def _spelled(token: Token, blocks: _Blocks) -> str:
    kind, value = token
    if isinstance(value, Range):
        return blocks.name(value)
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value}(" if kind == "call" else _SIGNS.get(value, value)


def _read(found: Tokens, expected: Tokens, blocks: _Blocks) -> str:
    """What both formulas read."""
    one, other = (
        list(dict.fromkeys(blocks.name(value) for _, value in tokens if isinstance(value, Range)))
        for tokens in (found, expected)
    )
    if one == other:
        return f"computes something else from {_and(one)}" if one else "computes something else"
    return f"is made from {_and(one) or 'no cells'} instead of {_and(other) or 'no cells'}"


def _steps(count: int, what: str, forth: str, back: str) -> str:
    if not count:
        return ""
    many = f"a {what}" if abs(count) == 1 else f"{abs(count)} {what}s"
    return f"{many} {forth if count > 0 else back}"


def _part_of(area: Range, place: Range) -> str:
    top, left = area.top - place.top + 1, area.left - place.left + 1
    if area.columns == place.columns:
        return f"row {top}" if area.rows == 1 else f"rows {top}–{top + area.rows - 1}"
    if area.rows == place.rows:
        return f"column {left}" if area.columns == 1 else f"columns {left}–{left + area.columns - 1}"
    return f"cell {cell_name(area.top, area.left)}" if area.shape == (1, 1) else f"cells {area.a1}"


def _and(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
