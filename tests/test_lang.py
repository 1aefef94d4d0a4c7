"""Languages: complete, the same workbook in each, names left alone."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import openpyxl
import pytest
from helpers import build, cells_of, make, sheetgen
from language import missing, names, texts

from sheetgen.base.files import templates
from sheetgen.base.lang import catalogues, everywhere, speaking, tr
from sheetgen.published.columns import COLUMNS, SIZES

LANGUAGES = sorted(catalogues().keys() - {"en"})


# One preset per family of texts.
PRESETS = ("attention", "gpt2", "llama4", "nsa", "nsa-lecture", "transformer", "vit")


@pytest.mark.slow
@pytest.mark.parametrize("code", LANGUAGES)
def test_a_language_lacks_nothing(code: str) -> None:
    lacking = missing(code, PRESETS)
    assert not lacking, f"templates/lang/{code}.toml lacks (see `make words`):\n" + "\n".join(sorted(lacking))


@pytest.mark.parametrize("code", LANGUAGES)
def test_entries_are_sound(code: str) -> None:
    catalogue = catalogues()[code]
    for english, own in catalogue.texts.items():
        assert own.strip(), f"{english!r} has no translation"
        gaps, own_gaps = (sorted(re.findall(r"\{\w*\}", text)) for text in (english, own))
        assert gaps == own_gaps or (len(gaps) == len(own_gaps) and set(gaps) == {"{}"}), f"{english!r} has other gaps"
        # Else a text that is translated twice would change again.
        assert everywhere(own) == {own} or own == english or english not in catalogue.texts[own], own
        again = catalogue.translate(own.replace("{}", "…"))
        assert again in (None, own.replace("{}", "…")), f"{own!r} is taken for English"
    text = (templates() / "lang" / f"{code}.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["name"]


@pytest.mark.parametrize("preset", ["attention", "llama4", "nsa", "transformer", "vit"])
def test_every_text_reaches_its_cell_translated(preset: str, tmp_path: Path) -> None:
    english = texts(build(tmp_path / "en.xlsx", preset))
    german = texts(build(tmp_path / "de.xlsx", preset, "--lang", "de"))
    # Sizes of the sheet Scale are names where they head a message, and heads of columns.
    known = names(make(preset)) | SIZES.keys() | COLUMNS.keys()
    with speaking("de"):
        expected = {tr(text) for text in english}
        left = {text for text in german & english if tr(text) != text}
        known |= names(make(preset))  # equations name blocks as their titles do
    assert not left - known, "these stayed English"
    assert german - expected - known <= {"de"}
    assert len(german & expected) > 100


def test_the_workbook_is_the_same_model(tmp_path: Path) -> None:
    path = build(tmp_path / "de.xlsx", "llama4", "--layers", 1, "--lang", "de")
    book = openpyxl.load_workbook(path)
    config = {row[0].value: row[1].value for row in book["Config"].iter_rows()}
    assert config["language"] == "de"
    assert config["Einstellung"] == "Wert"
    assert config["Parameter"] == make("llama4", n_layers=1).trace.parameters()
    assert "Regler" in "".join(str(cell.value) for cell in book["Model"]["A"])
    assert cells_of(book, "layer_0__head_0__Q")
    result = sheetgen("check", path)
    assert result.code == 0, result.out + result.err


def test_english_is_what_the_code_says(tmp_path: Path) -> None:
    path = build(tmp_path / "en.xlsx", "attention", "--lang", "en")
    assert path.read_bytes() == build(tmp_path / "again.xlsx", "attention").read_bytes()
    with speaking("de"):
        assert tr("Head 3") == "Kopf 3"
        assert tr("1,128 parameters (red cells). Data flows down; click a part to go there.").startswith("1.128 Par")
        assert tr("a = b\nIts probability.") == "a = b\nSeine Wahrscheinlichkeit."
        assert tr("what nobody has said") == "what nobody has said"
    assert tr("Head 3") == "Head 3"


def test_a_language_that_is_not_there_is_refused(tmp_path: Path) -> None:
    result = sheetgen("build", "attention", "--lang", "xx", "-o", tmp_path / "x.xlsx")
    assert result.code == 2
    assert "'de'" in result.err
    assert not list(tmp_path.iterdir())
