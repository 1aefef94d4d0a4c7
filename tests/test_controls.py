"""Live controls: what each does to the model, against plain NumPy; and that workbooks follow them, in both engines."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import (
    BARE,
    Made,
    build,
    by_libreoffice,
    cells_of,
    edited,
    far,
    ids,
    make,
    needs_libreoffice,
    retyped,
    sheetgen,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import forward

from sheetgen.base.errors import InputError
from sheetgen.engines import ENGINES
from sheetgen.engines.libreoffice import recompute_all
from sheetgen.engines.values import Values
from sheetgen.model.presets import all_presets
from sheetgen.model.weights import Drawn
from sheetgen.proof.check import check, check_book
from sheetgen.trace.limits import Limits, Live
from sheetgen.trace.recorder import Source
from sheetgen.trace.tensor import Control
from sheetgen.xlsx.read import Book, read_book

pytestmark = pytest.mark.xdist_group("controls")  # its workbooks are built once


@dataclasses.dataclass(frozen=True)
class Turned:
    """Drawn numbers, but controls as somebody has set them (a `recorder.Source`)."""

    drawn: Source
    controls: Mapping[str, Live]

    def control(self, path: str, default: Live, limits: Limits) -> Live:
        value = self.controls.get(path.removeprefix("control."), default)
        assert limits.allows(value), path
        return value

    def weight(self, path: str, shape: tuple[int, int], around: float | None) -> Any:
        return self.drawn.weight(path, shape, around)

    def text(self, path: str, count: int) -> list[str]:
        return self.drawn.text(path, count)

    def numbers(self, path: str, shape: tuple[int, int]) -> Any:
        return self.drawn.numbers(path, shape)


def turned(preset: str, controls: Mapping[str, Live], **sizes: Any) -> Made:
    """The model of a preset with these controls."""
    request = make(preset, tokens=ids(7), controls="all", **sizes).request
    source = Turned(Drawn(0, "byhand", request.texts, request.arrays), controls)
    return make(preset, tokens=ids(7), controls="all", source=source, **sizes)


def wrong(made: Made, controls: Mapping[str, Live]) -> dict[str, float]:
    """What differs from the independent forward pass with the same controls."""
    expected = forward(made.request.config, made.weights, ids(7), controls=controls)
    distances = {path: far(made.values[path], value) for path, value in expected.items()}
    return {path: distance for path, distance in distances.items() if not distance <= 1e-9}


def others(made: Made) -> dict[str, list[Live]]:
    """What else each control of a model may hold: its other words, or numbers far from each other."""
    found = {}
    for path, tensor in made.trace.blocks.items():
        if isinstance(tensor, Control):
            limits, own = tensor.limits, tensor.value[0, 0]
            numbers = (2, 1, 3, 0) if limits.whole else (2.0, 0.5, 10.0)
            values = limits.choices or numbers
            found[path.removeprefix("control.")] = [v for v in values if limits.allows(v) and v != own]
    return found


USUAL = turned("llama4", {})
CONTROLS = others(USUAL)


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_does_what_numpy_says(name: str) -> None:
    assert CONTROLS[name]
    for value in CONTROLS[name]:
        made = turned("llama4", {name: value})
        assert wrong(made, {name: value}) == {}
        moved = float(np.abs(made.values["probs"] - USUAL.values["probs"]).max())
        assert (moved < 1e-12) if name == "subtract_max" else (moved > 1e-6), (value, moved)


CHOICES: Any = {name: st.sampled_from(values) for name, values in CONTROLS.items()}


def overflown(made: Made) -> set[str]:
    """What comes after the first EXP that no double holds: numbers in no spreadsheet either, check refuses them."""
    paths = [path for path, value in made.values.items() if value.dtype.kind == "f"]

    def infinite(path: str) -> bool:
        value = made.values[path]
        hidden = np.isneginf(value) if made.trace[path].op.hides else False
        return not (np.isfinite(value) | hidden).all()

    return set(paths[next((i for i, path in enumerate(paths) if infinite(path)), len(paths)) :])


@settings(max_examples=60)
@given(controls=st.fixed_dictionaries({}, optional=CHOICES))
def test_any_controls_together(controls: dict[str, Live]) -> None:
    made = turned("llama4", controls)
    lost = overflown(made)
    assert wrong(made, controls).keys() <= lost
    assert not lost or "subtract_max" in controls, "only without the maximum in softmax may something overflow"


def test_controls_of_a_model_without_local_layers_act_on_all() -> None:
    controls: dict[str, Live] = {"window": 3, "causal": "off", "layer_0_head_0": "off"}
    assert wrong(turned("llama1", controls), controls) == {}


def test_llama_with_layer_norm_is_no_rms_norm() -> None:
    """The mean is really taken off: shifting all features of a token by the same number changes nothing."""
    made = turned("llama1", {"norm": "layer"})
    x, normed, gain = (made.values[p] for p in ("layer_0.out", "layer_1.norm_1", "layer_1.w_norm_1"))
    centred = x - x.mean(axis=0)
    eps = made.values["control.norm_eps"]
    np.testing.assert_allclose(normed, gain * centred / np.sqrt(centred.var(axis=0) + eps), atol=1e-9)


# --- in the workbook ---------------------------------------------------------------------------------------------


FAMILIES = ["llama4", "gpt2", "mixtral", "vit", "transformer", "nsa", "attention"]


@pytest.fixture(scope="module")
def workbooks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A workbook of each family with all its controls."""
    folder = tmp_path_factory.mktemp("controls")
    return {name: build(folder / f"{name}.xlsx", name, "--controls", "all", *BARE) for name in FAMILIES}


def some(values: dict[str, list[Live]]) -> dict[str, list[Live]]:
    """All controls, but of the switches of parts only each second."""
    parts = [name for name in values if "layer_" in name]
    return {name: value for name, value in values.items() if name not in parts[:-1:2]}


def with_control(book: Book, name: str, value: Live) -> Book:
    """The book with one control changed."""
    place = book.names[f"control__{name}"]
    sheet = book.sheets[place.sheet]
    changed = dataclasses.replace(sheet, cells=sheet.cells | {(place.top, place.left): value})
    return dataclasses.replace(book, sheets=book.sheets | {sheet.name: changed})


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_check_follows_every_control(family: str, workbooks: dict[str, Path]) -> None:
    """Of a Llama 4; of the others those that it has not, or that act elsewhere there."""
    book = read_book(workbooks[family])
    own = {
        "gpt2": ["norm", "added_positions", "activation"], "mixtral": ["renormalise", "gate"], "nsa": ["n_select"],
        "vit": ["norm", "added_positions"], "transformer": ["position_base", "decoder_layer_1_cross_head_1"],
    }  # fmt: skip
    for name, values in some(others(make(family, controls="all"))).items():
        if family == "llama4" or name in own.get(family, []):
            report = check_book(with_control(book, name, values[-1]))
            assert report.difference is None, (family, name, values, report.difference)


@pytest.fixture(scope="module")
def all_changed(workbooks: dict[str, Path]) -> dict[str, tuple[Path, Values]]:
    """Every control at another value at once, but those that would make all words alike; as LibreOffice has it."""
    copies = {}
    for family, path in workbooks.items():
        found = some(others(make(family, controls="all")))
        values = {name: values[0] for name, values in found.items() if "residual" not in name}

        def change(sheets: Any, values: dict[str, Live] = values) -> None:
            for name, value in values.items():
                cells_of(sheets, f"control__{name}")[0][0].value = value

        copies[family] = edited(path, change, f"{family}-edited.xlsx")
    recomputed = by_libreoffice(copies)
    return {family: (path, recomputed[family]) for family, path in copies.items()}


@pytest.mark.slow
@needs_libreoffice
@pytest.mark.parametrize("family", FAMILIES)
def test_libreoffice_follows_controls(
    family: str, all_changed: dict[str, tuple[Path, Values]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, recomputed = all_changed[family]
    monkeypatch.setitem(ENGINES, "libreoffice", lambda *_: recomputed)
    report = check(path, "libreoffice")
    assert report.difference is None, report.difference


@pytest.mark.slow
@needs_libreoffice
def test_libreoffice_follows_each_control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file for each control and one start of LibreOffice for all of them."""
    small = ("--layers", 1, "--heads", 2, "--kv-heads", 1, "--experts", 2, *BARE, "--controls", "all")
    path = build(tmp_path / "book.xlsx", "llama4", *small)
    made = make("llama4", n_layers=1, n_heads=2, n_kv_heads=1, n_experts=2, controls="all")
    turns = [(name, values[-1]) for name, values in some(others(made)).items()]
    assert len(turns) > 20

    copies = [retyped(path, f"control__{name}", value, f"{name}.xlsx") for name, value in turns]
    recomputed = dict(zip(copies, recompute_all(copies), strict=True))
    monkeypatch.setitem(ENGINES, "libreoffice", lambda path, _book=None: recomputed[path])
    for copy in copies:
        report = check(copy, "libreoffice")
        assert report.difference is None, (copy.stem, report.difference)


@pytest.mark.parametrize(("control", "value", "message"), [
    ("top_k", 9, "✗ top_k must be a whole number from 1 to 3."),
    ("top_k", 1.5, "✗ top_k must be a whole number from 1 to 3."),
    ("causal", "maybe", "✗ causal must be on or off."),
    ("window", "far", "✗ window must be a whole number of at least 0."),
    ("layer_1_head_2", "yes", "✗ layer_1_head_2 must be on or off."),
])  # fmt: skip
def test_a_value_out_of_range_gives_a_message_in_the_sheet(
    control: str, value: Live, message: str, tmp_path: Path
) -> None:
    book = with_control(read_book(build(tmp_path / "book.xlsx", "llama4", *BARE)), control, value)
    shown = ENGINES["formulas"](book.path, book).range(book.names["control__message"])[0, 0]
    assert message in shown
    with pytest.raises(InputError, match=f"control {control}"):
        check_book(book)


def test_an_overflow_without_the_maximum_is_told(tmp_path: Path) -> None:
    book = read_book(build(tmp_path / "book.xlsx", "llama1"))
    book = with_control(with_control(book, "subtract_max", "off"), "attention_temperature", 0.001)
    with pytest.raises(InputError, match="too large"):
        check_book(book)


# --- which there are ---------------------------------------------------------------------------------------------


def controls_of(made: Made) -> set[str]:
    return {path for path, tensor in made.trace.blocks.items() if tensor.kind == "control"}


@pytest.mark.parametrize("preset", all_presets())
def test_none_usual_all(preset: str) -> None:
    """What a model computes does not depend on which controls it has; without any, nothing is in the way."""
    none, usual, everything = (make(preset, controls=wanted) for wanted in ("none", "usual", "all"))
    assert not [path for path in none.trace.blocks if path.startswith("control.")]
    assert controls_of(usual) <= controls_of(everything)
    for made in (usual, everything):
        for path, value in none.values.items():
            assert far(made.values[path], value) <= 1e-9, path


def test_controls_by_name(tmp_path: Path) -> None:
    book = read_book(build(tmp_path / "book.xlsx", "llama4", "--controls", "gate,heads"))
    controls = {name for name in book.names if name.startswith("control__")} - {"control__message"}
    assert controls == {"control__gate"} | {f"control__layer_{i}_head_{j}" for i in range(2) for j in range(4)}
    assert check_book(book).difference is None


def test_an_unknown_control_is_refused(tmp_path: Path) -> None:
    result = sheetgen("build", "llama4", "--controls", "casual", "-o", tmp_path / "book.xlsx")
    assert (result.code, result.err) == (2, "sheetgen: there is no control 'casual': did you mean 'causal'?\n")
