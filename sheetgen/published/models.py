"""Published models (templates/published/*.toml), and the models of a workbook that stand in a table beside them."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sheetgen.base.errors import InputError, suggest
from sheetgen.base.files import tables, templates
from sheetgen.model.families import Config
from sheetgen.published.columns import COLUMNS, SIZES

TOY = "this workbook"


@dataclass(frozen=True)
class Model:
    """A published model: its sizes, and the counts of its weights (columns of COLUMNS)."""

    name: str
    group: str
    equation: str
    sizes: Mapping[str, float]
    counts: Mapping[str, int]
    context: int | None  # tokens it was made for
    note: str


@dataclass(frozen=True)
class Group:
    """One file of templates/published/. `common` are the sizes of all its models, also of a toy made like them."""

    title: str
    equation: str
    common: Mapping[str, float]
    models: tuple[Model, ...]


@dataclass(frozen=True)
class Toy:
    """A model of a workbook: its sizes, how many red cells it has, and what its row is called."""

    sizes: Mapping[str, float]
    parameters: int = 0
    name: str = TOY


@cache
def all_groups() -> dict[str, Group]:
    """Every group of published models by the name of its file; raises InputError for a key that is no size."""
    return {
        name: _group(name, tomllib.loads(file.read_text(encoding="utf-8")))
        for name, file in tables(templates() / "published").items()
    }


def find_group(name: str) -> Group:
    """A group of published models; raises InputError when there is none of that name."""
    known = all_groups()
    if name not in known:
        raise InputError(f"{name!r} is no group of published models: choose one of {', '.join(known)}")
    return known[name]


def _group(name: str, data: Mapping[str, Any]) -> Group:
    equation, common = data["equation"], data.get("common", {})
    models = []
    for model, row in data["models"].items():
        sizes = common | {key: value for key, value in row.items() if key in SIZES}
        counts = {key: value for key, value in row.items() if key in COLUMNS and key != "context"}
        unknown = row.keys() - sizes.keys() - counts.keys() - {"context", "note"}
        if unknown:
            raise InputError(f"published/{name}.toml: {model} has {', '.join(sorted(unknown))}, which is no size")
        models.append(Model(model, name, equation, sizes, counts, row.get("context"), row.get("note", "")))
    return Group(data["title"], equation, common, tuple(models))


def find_models(names: Iterable[str] = ()) -> list[Model]:
    """The published models whose names contain one of `names` (or whose group is called so); all when there is none.

    Signs and case do not matter: "llama 3 8b" finds Llama-3 8B. Raises InputError for a name that nothing contains.
    """
    models = [model for group in all_groups().values() for model in group.models]
    wanted: set[str] = set()
    for name in names:
        found = [m for m in models if _plain(name) in _plain(m.name) or name.casefold() == m.group]
        if not found or not _plain(name):
            raise InputError(f"{name!r} is no published model: {_close(name, models)}")
        wanted |= {model.name for model in found}
    return [model for model in models if not wanted or model.name in wanted]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9.]", "", name.casefold())


def _close(name: str, models: Sequence[Model]) -> str:
    known = [*(model.name for model in models), *(model.group for model in models)]
    otherwise = f"choose from {', '.join(all_groups())}, or a part of a model's name"
    return suggest(name, known, otherwise, most=3, likeness=0.5, plain=_plain)


def sizes_of(config: Config) -> dict[str, float]:
    """What the config of a family says of the sizes; what it leaves open, the group says that it stands beside.

    A field that is called like a size is that size; True is 1.
    """
    fields = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)} | config.more_sizes()
    found = {name: float(fields[name]) for name in SIZES if isinstance(fields.get(name), int | float)}
    if "n_heads" in found:
        found.setdefault("n_kv_heads", found["n_heads"])
        found.setdefault("head_dim", found["d_model"] // found["n_heads"])
    if "n_layers" in found:
        found.setdefault("n_encoder_layers", found["n_layers"])
        found.setdefault("n_decoder_layers", found["n_layers"])
        if every := fields.get("moe_every"):  # each n-th layer is a mixture of experts
            found.setdefault("n_dense_layers", found["n_layers"] - found["n_layers"] // every)
    return found
