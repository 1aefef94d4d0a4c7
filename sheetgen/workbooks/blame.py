"""What two models do not share: the blocks that differ, by the setting that makes them differ.

A block differs when only one model has it, or when its equation, its shape or a number that nobody trains is another.
Which setting is the cause is tried out: one setting after the other takes its value in the second model. A block is
put down to the last step in which it appears or goes, else that changes its equation, else its shape or number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass
from typing import Any

import numpy as np

from sheetgen.base.errors import InputError
from sheetgen.model.families import FAMILIES, Config, run
from sheetgen.model.settings import kinds
from sheetgen.text.equation import equation_of, shape_of
from sheetgen.trace.limits import Limits, Live
from sheetgen.trace.ops import Array
from sheetgen.trace.recorder import Trace
from sheetgen.trace.tensor import Block, Tensor

FAMILY = "family"
_INDEX = re.compile(r"(?<![a-z])(layer|head|kv|expert)_(\d+)")


@dataclass(frozen=True)
class Row:
    """Blocks that differ in the same way, or whole parts that one model lacks: all heads of all layers in one row."""

    name: str  # their path, with * for an index that varies: layer_*.norm_1
    where: str  # which ones: layers 0–1
    paths: tuple[str, ...]  # every block meant
    a: Block | None  # one of them in the first model, and in the second
    b: Block | None
    whole: bool  # a part that one model lacks altogether; else a block


@dataclass(frozen=True)
class Cause:
    """A setting that differs, its values in both models (None: it has no such setting), and what follows from it."""

    setting: str
    a: Any
    b: Any
    rows: tuple[Row, ...]


# --- which blocks ------------------------------------------------------------------------------------------------


def differing(a: Trace, b: Trace) -> list[str]:
    """Paths of the blocks that differ, in the order of computation."""
    return [path for path in merged(a, b) if _signature(a, path) != _signature(b, path)]


def merged(a: Trace, b: Trace) -> list[str]:
    """The paths of both, in the order of the second; what only the first has stands where it does there."""
    waiting = list(a.blocks)
    found: list[str] = []
    for path in b.blocks:
        if path in a.blocks and path in waiting:
            until = waiting.index(path)
            found += [earlier for earlier in waiting[:until] if earlier not in b.blocks]
            waiting = [later for i, later in enumerate(waiting) if i > until or (i < until and later in b.blocks)]
        found.append(path)
    return found + [path for path in waiting if path not in b.blocks]


def _signature(trace: Trace, path: str) -> Any:
    """All that makes a block what it is, but the numbers that are trained, given or computed."""
    tensor = trace.blocks.get(path)
    if tensor is None:
        return None
    if tensor.kind in ("constant", "control"):
        return tensor.kind, tensor.shape, tensor.value.tolist()
    return tensor.kind, tensor.shape, _operation(tensor)


def _operation(tensor: Tensor) -> Any:
    operands = tuple(t.path if isinstance(t, Block) else _operation(t) for t in tensor.operands)
    return tensor.op.name, operands, tuple(sorted((key, str(value)) for key, value in tensor.settings.items()))


# --- why ---------------------------------------------------------------------------------------------------------


def causes(a: Config, b: Config, first: Trace, second: Trace) -> list[Cause]:
    """Every block that differs, under the setting that makes it differ; causes in the order of computation.

    first, second: what `a` and `b` computed.
    """
    order = differing(first, second)
    whose = _blame(a, b)
    for name, f in _settings(a, b).items():
        if name in whose.values():
            whose |= {f"control.{control}": name for control in f.metadata["brings"]}
    values = [_values(config) for config in (a, b)]
    found = []
    # Controls stand on top of the sheet: they say nothing about the order of computation.
    settings = [whose[path] for path in sorted(order, key=lambda path: path.startswith("control."))]
    for setting in dict.fromkeys(settings):
        mine = [path for path in order if whose[path] == setting]
        rows = tuple(_rows(mine, first, second))
        found.append(Cause(setting, values[0].get(setting), values[1].get(setting), rows))
    return found


def without_effect(a: Config, b: Config, found: Iterable[Cause]) -> list[str]:
    """Settings that both have and that differ, but change no block at these sizes, or nothing besides others."""
    mine, its = _values(a), _values(b) | {FAMILY: a.family}  # what another family is, its settings tell
    causes = {cause.setting for cause in found}
    return [name for name in mine if name in its and mine[name] != its[name] and name not in causes]


def _values(config: Config) -> dict[str, Any]:
    """All settings of a model, its family first."""
    return {FAMILY: config.family} | {f.name: getattr(config, f.name) for f in config.settings()}


def _settings(*configs: Config) -> dict[str, Field[Any]]:
    """The settings of these models by name."""
    return {f.name: f for config in configs for f in config.settings()}


def _blame(a: Config, b: Config) -> dict[str, str]:
    """The setting that each block is put down to, for every block that changes on the way from one to the other."""
    if len(_values(a)) > len(_values(b)):  # from the family with fewer settings, which the other one adds to
        a, b = b, a
    by_presence: dict[str, str] = {}
    by_equation: dict[str, str] = {}
    by_shape: dict[str, str] = {}
    for setting, before, after in _steps(a, b):
        for path in differing(before, after):
            mine, its = before.blocks.get(path), after.blocks.get(path)
            if mine is None or its is None:
                by_presence[path] = setting
            elif (mine.kind, _operation(mine)) != (its.kind, _operation(its)):
                by_equation[path] = setting
            else:
                by_shape[path] = setting
    return by_shape | by_equation | by_presence


def _steps(a: Config, b: Config) -> Iterator[tuple[str, Trace, Trace]]:
    """From one model to the other, setting by setting: the setting, the models before and after."""
    start, goal = _values(a), _values(b)
    added = {name: _neutral(f, start, goal) for name, f in _settings(b).items() if name not in start}
    values = {name: start[name] if name in start else added[name] for name in goal}  # the family as it was
    todo = [name for name in sorted(goal, key=_rank(type(b))) if values[name] != goal[name]]
    before = _try(start)
    cause = ""
    for name in todo:
        values[name] = goal[name]
        cause = cause or ((type(b).stands_for or name) if name == FAMILY else name)
        try:
            after = _try(values)
        except InputError:  # it does not fit without the next one
            continue
        yield cause, before, after
        before, cause = after, ""


def _neutral(f: Field[Any], start: Mapping[str, Any], goal: Mapping[str, Any]) -> Any:
    """The value at which a setting of the larger family is as if it were not there."""
    if f.metadata["like"] in start:
        return start[f.metadata["like"]]
    return goal[f.name] if f.metadata["neutral"] is None else f.metadata["neutral"]


def _rank(family: type[Config]) -> Any:
    """Order of the steps: the family, what is another equation, what is another size; each as the family lists them."""
    fields = {f.name: i for i, f in enumerate(family.settings())}
    types = kinds(family)
    first = ("gated",)  # before the curve, which is then put down to itself

    def rank(name: str) -> tuple[bool, bool, bool, int]:
        return name != FAMILY, name not in first, types.get(name) in (int, float), fields.get(name, -1)

    return rank


def _try(values: Mapping[str, Any]) -> Trace:
    """A run whose numbers mean nothing; InputError when the settings do not go together."""
    family = FAMILIES[values[FAMILY]]
    names = {f.name for f in family.settings()}
    return run(family(**{name: value for name, value in values.items() if name in names}), _Blank())


class _Blank:
    """Numbers and words for a run of which only the equations count (a `recorder.Source`)."""

    def weight(self, path: str, shape: tuple[int, int], around: float | None) -> Array:
        return np.ones(shape)

    def control(self, path: str, default: Live, limits: Limits) -> Live:
        return default

    def text(self, path: str, count: int) -> list[str]:
        return ["word"] * count

    def numbers(self, path: str, shape: tuple[int, int]) -> Array:
        return np.ones(shape)


# --- in few rows -------------------------------------------------------------------------------------------------


def _rows(paths: Sequence[str], a: Trace, b: Trace) -> list[Row]:
    """Blocks that differ alike in one row, in order of the first; parts that one model lacks as a whole."""
    groups: dict[Any, list[str]] = {}
    for path in paths:
        part = _missing(path, a, b)
        mine, its = a.blocks.get(path), b.blocks.get(path)
        kind = (mine is None, its is None) if part else (_looks(mine), _looks(its))
        groups.setdefault((_starred(part or path), bool(part), kind), []).append(path)
    rows = []
    for (name, whole, _), members in groups.items():
        parts = list(dict.fromkeys(_missing(path, a, b) if whole else path for path in members))
        first = members[0]
        rows.append(Row(name, places(parts), tuple(members), a.blocks.get(first), b.blocks.get(first), whole))
    return rows


def _missing(path: str, a: Trace, b: Trace) -> str:
    """The largest part around a block of which one model has nothing; "" when there is none."""
    lacking = b if path in a.blocks else a
    if path in lacking.blocks:
        return ""
    scopes = path.split(".")[:-1]
    for count in range(1, len(scopes) + 1):
        part = ".".join(scopes[:count])
        if not any(other.startswith(f"{part}.") for other in lacking.blocks):
            return part
    return ""


def _looks(tensor: Block | None) -> tuple[str, ...]:
    """What a reader sees of a block: rows that look alike are one."""
    if tensor is None:
        return ()
    told = _starred(equation(tensor))
    for read in tensor.blocks_used():
        stored = read.operands[0] if read.op.mark else read
        if isinstance(stored, Block) and stored.role == "embedding":  # layer 0 reads it, the others what is called out
            told = told.replace(stored.name, "out")
    return shape_of(tensor), told, tensor.kind


def equation(tensor: Block) -> str:
    """How a block is made, for a reader: its equation, its number, or what kind of numbers it holds."""
    if tensor.kind == "computed":
        return equation_of(tensor)
    if tensor.kind == "control":
        live = tensor.value[0, 0]
        return live if isinstance(live, str) else f"{live:g}"
    return {"weight": "trainable", "text": "words", "input": "given"}.get(tensor.kind, tensor.kind)


def _starred(path: str) -> str:
    return _INDEX.sub(r"\1_*", path)


def places(paths: Sequence[str]) -> str:
    """Which of the blocks that differ in their indices only: `layers 0–1, heads 0, 2`."""
    found = [_INDEX.findall(path) for path in paths]
    return _told([kind for kind, _ in found[0]], [tuple(int(i) for _, i in each) for each in found])


def _told(kinds: Sequence[str], indices: Sequence[tuple[int, ...]]) -> str:
    if not kinds:
        return ""
    inner: dict[int, str] = {}
    for i in dict.fromkeys(each[0] for each in indices):
        inner[i] = _told(kinds[1:], [each[1:] for each in indices if each[0] == i])
    parts = []
    for rest in dict.fromkeys(inner.values()):
        mine = [i for i, text in inner.items() if text == rest]
        name = {"kv": "K/V"}.get(kinds[0], kinds[0]) + ("s" if len(mine) > 1 and kinds[0] != "kv" else "")
        parts.append(f"{name} {_spans(mine)}" + (f", {rest}" if rest else ""))
    return "; ".join(parts)


def _spans(numbers: Sequence[int]) -> str:
    """0, 1, 2, 5 → `0–2, 5`."""
    spans: list[list[int]] = []
    for n in sorted(numbers):
        if spans and spans[-1][-1] == n - 1:
            spans[-1].append(n)
        else:
            spans.append([n])
    return ", ".join(str(s[0]) if len(s) == 1 else f"{s[0]}{'–' if len(s) > 2 else ', '}{s[-1]}" for s in spans)
