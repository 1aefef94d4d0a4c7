"""Presets: templates/*.toml plus what the user asked for → a validated request for a workbook."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sheetgen.base.cells import MAX_ROWS
from sheetgen.base.errors import InputError, suggest
from sheetgen.base.files import tables, templates
from sheetgen.model.families import FAMILIES, Config, divisors
from sheetgen.model.given import COUNTED, NOTHING, Given
from sheetgen.model.settings import MOST, kinds, read
from sheetgen.trace.ops import Array


@dataclass(frozen=True)
class Preset:
    """One file of templates/."""

    name: str
    title: str
    summary: str
    paper: str
    family: type[Config]
    sizes: Mapping[str, Any]
    published: tuple[str, ...] = ()  # groups of `scale`: the published models it belongs to


@dataclass(frozen=True)
class Request:
    """All that a workbook is made of."""

    preset: Preset
    config: Config
    texts: Mapping[str, list[str]]  # the words of each text block
    arrays: Mapping[str, Array] = dataclasses.field(default_factory=dict)  # the numbers of each input block


@cache
def all_presets() -> dict[str, Preset]:
    """Every preset by name, in the order of their names."""
    found = {}
    for name, file in tables(templates()).items():
        data = tomllib.loads(file.read_text(encoding="utf-8"))
        title, summary, paper = (data[key] for key in ("title", "summary", "paper"))
        published = tuple(data.get("published", ()))
        found[name] = Preset(name, title, summary, paper, FAMILIES[data["family"]], data["sizes"], published)
    return found


def find(name: str) -> Preset:
    """The preset of this name; raises InputError with the nearest name."""
    presets = all_presets()
    if name not in presets:
        hint = suggest(name, presets, f"choose one of {', '.join(presets)}")
        raise InputError(f"{name!r} is not a preset: {hint}")
    return presets[name]


def request(preset: Preset, sizes: Mapping[str, Any], given: Given = NOTHING) -> Request:
    """The preset with `sizes` (field → value) instead of its own, on what is given.

    Where only the number of heads or experts is given, what depends on it (n_kv_heads, top_k) follows.
    """
    family = preset.family
    types = kinds(family)
    sizes = _biases(family, sizes)
    for name in sizes:
        if name not in types or name in COUNTED:
            raise InputError(f"{preset.name} has no setting {name!r}{_hint(name, types)}")
    own, chosen = ({name: read(types[name], value) for name, value in each.items()} for each in (preset.sizes, sizes))
    values: dict[str, Any] = {f.name: f.default for f in family.settings()} | own | chosen
    _follow(values, preset, chosen)
    family.inputs.refuse_unread(preset.name, given)
    prepared = family.inputs.prepare(values, chosen, given)
    return Request(preset, family(**(values | prepared.sizes)), prepared.texts, prepared.arrays)


def _biases(family: type[Config], sizes: Mapping[str, Any]) -> dict[str, Any]:
    """`bias` as the settings that a family has for it."""
    own = {f.name: f.metadata["bias"] for f in family.settings() if f.metadata["bias"]}
    if "bias" not in sizes or not own:
        return dict(sizes)
    bias = read(bool, sizes["bias"])
    if type(bias) is not bool:
        raise InputError(f"bias {bias!r} is not true or false")
    others = {name: value for name, value in sizes.items() if name != "bias"}
    return others | {name: values[bias] for name, values in own.items()}


def _follow(values: dict[str, Any], preset: Preset, sizes: Mapping[str, Any]) -> None:
    """Sizes that nobody gave follow those they depend on: n_kv_heads the heads, top_k the experts, counts the lists."""
    lists = {f.name: f.metadata["counted_by"] for f in preset.family.settings() if f.metadata["counted_by"]}
    for name, counts in lists.items():
        if name not in sizes or not isinstance(sizes[name], tuple):
            continue
        free = not any(count in sizes for count in counts) and len({values[count] for count in counts}) == 1
        if len(sizes[name]) > 1 and free:  # 5,3,3: three heads, if nobody says how many
            values |= dict.fromkeys(counts, len(sizes[name]))
    heads, experts = values.get("n_heads"), values.get("n_experts")
    if "n_kv_heads" in values and "n_kv_heads" not in sizes and isinstance(heads, int) and 0 < heads <= MOST:
        own = values["n_kv_heads"] == preset.sizes["n_heads"]  # every head has its own keys and values: so it stays
        values["n_kv_heads"] = max(k for k in divisors(heads) if k <= (heads if own else values["n_kv_heads"]))
    for name, counts in lists.items():
        count = values[counts[0]]
        if isinstance(values[name], tuple) and len(values[name]) == 1 and isinstance(count, int):
            values[name] *= min(count, MAX_ROWS)  # one size is for all; the family refuses more parts
    if "top_k" in values and "top_k" not in sizes and isinstance(experts, int) and experts > 0:
        values["top_k"] = min(values["top_k"], experts)


def _hint(name: str, fields: Iterable[str]) -> str:
    """What to do about a setting that the family does not have."""
    if hint := suggest(name, (f for f in fields if f not in COUNTED), likeness=0.75):
        return f": {hint}"
    if name in COUNTED:
        return "; the number of words follows from --text"
    have = [preset.name for preset in all_presets().values() if name in kinds(preset.family)]
    return f": it is for {', '.join(have)}" if have else "; its Config sheet lists what it has"
