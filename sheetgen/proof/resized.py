"""Sizes that Config and the blocks of a workbook tell differently: somebody edited the one, or let the other grow.

`check` takes sizes from the blocks. Which setting they belong to is tried out: the one that, changed, makes Config ask
for the blocks that there are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from sheetgen.base.errors import InputError
from sheetgen.model.families import Config
from sheetgen.trace.tensor import ShapeError

Shape = tuple[int, int]
Resized = dict[str, tuple[Shape, Shape]]  # path → the shape that Config asks for, the shape that the block has
Ask = Callable[[Config], Resized]  # what is resized with these settings; raises InputError where they do not fit


def remarks(config: Config, ask: Ask, found: Resized) -> list[str]:
    """A sentence for each size; `found` is what is resized as Config stands."""
    told: list[str] = []
    while found:
        best = None
        for name, changed, left in _tried(config, ask, found):
            if len(left) < (len(found) if best is None else len(best[2])):
                best = name, changed, left
            if not left:
                break
        if best is None:
            return [*told, _unexplained(found)]
        name, changed, found = best
        says, has = (_shown(getattr(each, name)) for each in (config, changed))
        told.append(f"Config says {name} {says}, the blocks have {has}: the blocks are what counts")
        config = changed
    return told


def _tried(config: Config, ask: Ask, found: Resized) -> Iterator[tuple[str, Config, Resized]]:
    """Settings that the first block may be about, changed to the value that it has; what is then still resized."""
    asked, has = next(iter(found.values()))
    steps = {(a, h) for a, h in zip(asked, has, strict=True) if a != h}
    for name, value in sorted(set(_changed(config, steps)), key=lambda each: getattr(config, each[0]) not in asked):
        try:
            changed = dataclasses.replace(config, **{name: value})
            yield name, changed, ask(changed)
        except (InputError, ShapeError):  # these sizes do not go together
            continue


def _changed(config: Config, steps: set[Shape]) -> Iterator[tuple[str, Any]]:
    """Every setting that may count what has changed from so many to so many, and what it would be then.

    A setting counts rows or columns, perhaps several each, perhaps with one more (the bias in the last column).
    """
    for f in config.settings():
        value = getattr(config, f.name)
        for asked, has in steps | {(asked - 1, has - 1) for asked, has in steps}:
            if type(value) is int and value > 0 and asked % value == 0 and asked and has % (asked // value) == 0:
                yield f.name, has // (asked // value)
            elif isinstance(value, tuple):
                yield from ((f.name, (*value[:i], has, *value[i + 1 :])) for i, n in enumerate(value) if n == asked)


def _unexplained(found: Resized) -> str:
    path, (asked, has) = next(iter(found.items()))
    rows, columns = has
    return (
        f"Config asks for {path} of {asked[0]}×{asked[1]}, the block has {rows}×{columns}: the blocks are what counts"
    )


def _shown(value: int | tuple[int, ...]) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
