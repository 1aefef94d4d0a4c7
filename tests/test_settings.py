"""Settings as text: whatever a family may be set to comes back from Config, from TOML and from `--set`."""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sheetgen.base.errors import InputError
from sheetgen.model.choices import Format
from sheetgen.model.config import Config, decode, encode, refuse_too_many
from sheetgen.model.families import FAMILIES
from sheetgen.model.presets import all_presets, find, request
from sheetgen.model.rounding import FORMATS
from sheetgen.model.settings import MOST, Cell, Sizes, kinds, parse_setting, read

PRESETS = {preset.family.family: preset for preset in all_presets().values()}


def values(f: dataclasses.Field[Any], kind: Any) -> st.SearchStrategy[Any]:
    """What a field may hold, as far as it can be said of it alone."""
    if kind == Sizes:
        return st.lists(st.integers(1, 9), max_size=4).map(tuple)
    if words := get_args(kind):
        return st.sampled_from(words)
    if kind is str:
        return st.sampled_from(["usual", "all", "none", "causal", "heads,window"])
    if kind is bool:
        return st.booleans()
    low = f.metadata["low"]
    if kind is int:
        return st.integers(math.ceil(low), 9) | st.integers(math.ceil(low), MOST)
    return st.floats(low, 1e300, allow_subnormal=False)


@st.composite
def configs(draw: st.DrawFn, family: type[Config]) -> Config:
    """A model of the family: one of its presets, and whatever else goes together with what was drawn before."""
    config = request(PRESETS[family.family], {}).config
    for f in draw(st.permutations(family.settings())):
        try:
            changed = dataclasses.replace(config, **{f.name: draw(values(f, kinds(family)[f.name]))})
            refuse_too_many(changed)
        except InputError:
            continue
        config = changed
    return config


def saved(cell: Cell) -> Cell:
    """What a spreadsheet program makes of a cell: any number is a double, and a text of digits may become one."""
    if isinstance(cell, str):
        return float(cell) if cell.isdecimal() else cell
    return float(cell)


def as_toml(config: Config) -> str:
    """The settings as [sizes] of a preset has them; JSON spells values as TOML does."""
    return "\n".join(f"{f.name} = {json.dumps(getattr(config, f.name))}" for f in config.settings())


def as_options(config: Config) -> dict[str, Any]:
    """The cells of Config, each typed behind --set."""
    return dict(parse_setting(f"{name}={cell}") for name, cell in encode(config).items())


WAYS: dict[str, Callable[[Config], Mapping[str, Any]]] = {
    "cells": encode,
    "saved": lambda config: {name: saved(cell) for name, cell in encode(config).items()},
    "toml": lambda config: tomllib.loads(as_toml(config)),
    "options": as_options,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", FAMILIES)
def test_settings_come_back(family: str, way: str) -> None:
    @settings(max_examples=25)
    @given(configs(FAMILIES[family]))
    def comes_back(config: Config) -> None:
        found = decode(type(config), WAYS[way](config))
        assert found == config
        assert [type(value) for value in vars(found).values()] == [type(value) for value in vars(config).values()]

    comes_back()


def test_cells_are_those_that_programs_leave_alone() -> None:
    """LibreOffice saves TRUE and FALSE as formulas, and 5,3,3 may be read as a number."""
    cells = encode(request(find("llama4"), {"value_dims": "5,3", "n_kv_heads": 2, "tied": True}).config)
    assert {type(cell) for cell in cells.values()} == {str, int, float}
    assert (cells["value_dims"], cells["qk_dims"], cells["tied"], cells["gated"]) == ("5 3", "alike", "yes", "yes")


@pytest.mark.parametrize(("kind", "given", "value"), [
    (bool, "Yes", True), (bool, "no", False), (bool, True, True), (int, 3.0, 3), (float, 3, 3.0),
    (Sizes, "5,3,3", (5, 3, 3)), (Sizes, "5 3;3", (5, 3, 3)), (Sizes, [5, 3], (5, 3)), (Sizes, 5.0, (5,)),
    (Sizes, "Alike", ()), (Sizes, [], ()),
])  # fmt: skip
def test_what_people_write(kind: Any, given: Any, value: Any) -> None:
    found = read(kind, given)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", [
    "value_dims=inf", "value_dims=nan", "value_dims=1e99", "value_dims=2.5", "value_dims=true", "value_dims=[1, true]",
    "value_dims=" + "9" * 5000, "rope_theta=1" + "0" * 400, "rope_theta=inf", "rope_theta=1979-05-27",
    "d_ff=1" + "0" * 5000, "d_ff=" + "[" * 5000, "d_ff=yes", "tied=1", "norm=['rms']", "bias=5",
    "controls=''", "controls=' '",
])  # fmt: skip
def test_what_means_nothing_is_refused(text: str) -> None:
    """Whatever stands behind --set: one line that names the setting, never an error of ours."""
    name, value = parse_setting(text)
    with pytest.raises(InputError, match=name):
        request(find("llama1"), {name: value})


def test_one_size_for_more_parts_than_a_sheet_has_rows() -> None:
    with pytest.raises(InputError, match="n_layers 1000000000 is too large"):
        request(find("llama1"), {"n_layers": MOST, "heads_by_layer": 5})


def test_every_format_that_one_may_choose_is_known() -> None:
    assert tuple(FORMATS) == get_args(Format)
