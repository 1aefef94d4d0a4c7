"""Published models as a table that computes: a trace whose blocks are its columns.

A size is a column of cells, n×1, and what follows from the sizes is arithmetic over these columns. A column is left out
where it would say the same in every row: the number then stands in the formulas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sheetgen.base.errors import InputError
from sheetgen.model.weights import Drawn
from sheetgen.published.columns import ASSUMPTIONS, PARTS, SIZES
from sheetgen.published.counts import EQUATIONS, Counts, Equation, Number, minus, plus
from sheetgen.published.models import Group, Model, Toy, find_group
from sheetgen.trace.limits import Limits
from sheetgen.trace.ops import Array
from sheetgen.trace.recorder import Source, Trace, scope
from sheetgen.trace.tensor import Block, Tensor, apply, control, equal, leaf

SIZE_LIMITS = Limits(0, 1e15, whole=True)  # of a size that somebody types
SCOPE = "scale"  # d_model → scale.d_model, which the workbook calls scale__d_model
FREE = "your own: type its sizes"


class Columns(Source, Protocol):
    """Where the table's numbers come from: templates/published/, or a workbook as it stands now."""

    def column(self, path: str, default: Array) -> Array:
        """The numbers of one column [n, 1]; a workbook may hold more rows than `default`. An empty cell is 0."""


class _Published(Drawn):
    """The numbers as published (a `Columns`)."""

    def column(self, path: str, default: Array) -> Array:
        return default


PUBLISHED = _Published(0, "zeros", {})


@dataclass(frozen=True)
class ModelTable:
    """Models row by row, published ones and toys, the last row free; and the trace of their columns.

    notes: the names of the models in the order of their rows, each with its note.
    """

    groups: tuple[Group, ...]
    notes: Mapping[str, str]
    trace: Trace

    @property
    def equation(self) -> Equation:
        """How its models are counted."""
        return EQUATIONS[self.groups[0].equation]


def model_table(names: Sequence[str], toys: Sequence[Toy] = (), source: Columns = PUBLISHED) -> ModelTable:
    """The table of the groups `names`, which share an equation, with a row for each toy and a free one.

    What a toy does not say is as in the first group. source: a workbook whose numbers count instead of the published
    ones. Raises InputError for an unknown group, groups of two kinds, or a size that a toy lacks.
    """
    groups = [find_group(name) for name in names]
    if len({group.equation for group in groups}) != 1:
        raise InputError(f"{', '.join(names)} cannot share a table: their models are counted differently")
    equation = EQUATIONS[groups[0].equation]
    models = [model for group in groups for model in group.models]
    rows = [_row(model.name, model.sizes, equation) for model in models]
    notes = {model.name: model.note for model in models}
    facts = _facts(models)
    own: Mapping[str, float] = models[-1].sizes
    which = "The model" if len(toys) == 1 else "A model"
    for toy in toys:
        own = {**groups[0].common, **toy.sizes}
        rows.append(_row(toy.name, own, equation))
        notes[toy.name] = f"{which} of this workbook. What it is compared with is the number of its red cells."
        facts["total"].append(float(toy.parameters))
        facts["context"].append(0.0)
    rows.append(_row(FREE, own, equation))
    notes[FREE] = "Type sizes here. The row begins as a copy of the one above."
    facts["context"].append(0.0)
    return ModelTable(tuple(groups), notes, _trace(equation, rows, facts, source, {}))


@dataclass(frozen=True)
class Counted:
    """A published model with its sizes and computed numbers by column (without `scale.`)."""

    model: Model
    numbers: Mapping[str, float]


def counted(models: Sequence[Model], bytes_per_number: float = 2, n: float = 8192) -> list[Counted]:
    """What follows from the sizes of published models, for a cache of such numbers and a context of n tokens."""
    numbers = {}
    assumed = {"bytes_per_number": bytes_per_number, "n": n}
    for kind, equation in EQUATIONS.items():
        kin = [model for model in models if model.equation == kind]
        if kin:
            rows = [_row(model.name, model.sizes, equation) for model in kin]
            trace = _trace(equation, rows, _facts(kin), PUBLISHED, assumed)
            computed = {t.name: t.value[:, 0] for t in trace.blocks.values() if t.kind == "computed"}
            for i, model in enumerate(kin):
                numbers[model.name] = rows[i] | {name: float(values[i]) for name, values in computed.items()}
    return [Counted(model, numbers[model.name]) for model in models]


def _facts(models: Sequence[Model]) -> dict[str, list[float]]:
    """The published columns that nothing is computed from."""
    return {
        "context": [float(model.context or 0) for model in models],
        "total": [float(model.counts["total"]) for model in models],
    }


def _row(name: str, sizes: Mapping[str, float], equation: Equation) -> dict[str, float]:
    """All sizes that the equation needs."""
    row = {}
    for size in equation.sizes:
        value = sizes.get(size, SIZES[size].default)
        if value is None:
            raise InputError(f"{name} has no {size}: the table of published models needs it")
        row[size] = float(value)
    return row


def _trace(
    equation: Equation,
    rows: Sequence[Mapping[str, float]],
    facts: Mapping[str, Sequence[float]],
    source: Columns,
    assumed: Mapping[str, float],
) -> Trace:
    """The columns: sizes, then all that follows from them, in the order of computation.

    facts: published columns that nothing is computed from. assumed: what holds for all, where it is not the default.
    """
    with Trace(source) as trace, scope(SCOPE, "Scale: published models"):
        for name, values in facts.items():
            if any(values) and name != "total":
                _column(name, values, source)
        # A size that the equation does not have among its own is as usual.
        sizes: dict[str, Number] = {name: size.default or 0.0 for name, size in SIZES.items()}
        for name in equation.sizes:
            values = [row[name] for row in rows]
            sizes[name] = values[0] if _needless(name, values) else _column(name, values, source)
        _same_length(trace)
        _derive(equation.counts(sizes), facts["total"], source, assumed)
    return trace


def _needless(name: str, values: Sequence[float]) -> bool:
    """Whether a size needs no column: a switch that all models have alike, another size that none has."""
    return len(set(values)) == 1 and (SIZES[name].switch or values[0] == 0)


def _column(name: str, values: Sequence[float], source: Columns) -> Block:
    """A column of numbers that may be edited."""
    default = np.array(values, dtype=float)[:, None]
    return leaf(name, default.shape, lambda path: source.column(path, default), "constant")


def _same_length(trace: Trace) -> None:
    first, *others = trace.blocks.values()
    for tensor in others:
        if tensor.rows != first.rows:
            raise InputError(
                f"{tensor.path} has {tensor.rows} rows, but {first.path} has {first.rows}: "
                "the sheet Scale needs whole rows"
            )


def _derive(model: Counts, totals: Sequence[float], source: Columns, assumed: Mapping[str, float]) -> None:
    """The computed columns."""

    def named(value: Number, name: str) -> Block:
        assert isinstance(value, Tensor), f"{name} is one number for all models"
        return value.named(name)

    def assumption(name: str) -> Block:
        about = ASSUMPTIONS[name]
        return control(name, assumed.get(name, about.default), about.limits)

    parts = {name: named(getattr(model, name), name) for name in PARTS}
    total = named(plus(*parts.values()), "total")
    stated = _column("published", totals, source)
    equal(apply("rows", total, start=0, stop=stated.rows), stated).named("exact")
    if isinstance(model.frozen, Tensor):
        named(total - model.frozen, "trained")
    active = named(minus(total, model.idle), "active")
    if isinstance(model.looked_up, Tensor):
        named(active - model.looked_up, "active_without_embedding")
    if isinstance(model.tokens, Block):  # as long as the image
        context = model.tokens
    else:  # it grows token by token, and a cache with it
        size = named(assumption("bytes_per_number") * named(model.kv, "kv"), "kv_bytes")
        context = assumption("n")
        named(context * size, "kv_context")
    named(2 * active + model.flops * context, "flops")
    for name, part in parts.items():
        # A row without sizes has no parameters: its shares are 0 then, not an error.
        named(part / (total + equal(total, 0)), f"share_{name}")
