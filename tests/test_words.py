"""Words: case and form make two of them, in every spreadsheet program and on every way to a workbook."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers import build, cells_of, edited, retyped, sheetgen

import sheetgen as library
from sheetgen.base.errors import InputError
from sheetgen.base.text import folded
from sheetgen.engines import ENGINES, quick
from sheetgen.model.given import fill_vocabulary, split_words
from sheetgen.proof.check import check
from sheetgen.xlsx.read import read_book

OLD = Path(__file__).parent / "old"

# Pairs that some program, Python or reader takes for one word; every engine keeps them apart.
PAIRS = {
    "case": "The the",
    "sharp s": "Maße Masse",
    "capital sharp s": "GROẞ GROß",
    "final sigma": "σοφος σοφοσ",
    "ligature": "ﬁn fin",
    "long s": "ſin sin",
    "dotted I": "İ i̇",
    "dotless i": "I ı",
    "kelvin": "K \u212a",
    "composed": "é e\u0301",
    "angstrom": "Å \u212b",
    "wide": "ａ a",
    "kana": "カ か",
    "half kana": "ｶ カ",
    "digits": "1 １",
    "variation": "葛 葛\U000e0100",
    "joiner": "a\u034fb ab",
    "wildcards": "? * ~a a",
    "like numbers": "1 1.0",
    "like logicals": "TRUE true",
    "hyphen": "co-op coop",
}
REFUSED = ["a\u200bb", "a\u00adb", "a\u200d", "\ufeffa", "a\u2060", "a\u200eb", "\ud800", "\U000e0061a", "a\x00"]
PARTED = ["a\u00a0b", "a\u3000b", "a\u202fb", "a\tb", "a\u2003b"]  # by blanks of every kind


@pytest.fixture(scope="module")
def all_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "book.xlsx"
    library.build("llama1", text=" ".join(PAIRS.values()), n_layers=1, controls="none").save(path)
    return path


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_words_that_are_two(pair: str) -> None:
    words = pair.split()
    assert len(set(words)) == len(words)
    assert library.build("attention", text=pair).tensors["tokens"].tolist() == [list(range(len(words)))]


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine in (*quick(), "libreoffice")])
def test_every_engine_keeps_them_apart(engine: str, all_pairs: Path) -> None:
    """Each word's id is its own place, and the whole workbook is right."""
    report = check(all_pairs, engine)
    assert report.difference is None
    book = read_book(all_pairs)
    values = ENGINES[engine](all_pairs, book)
    words, vocabulary = (values.range(book.names[name]).ravel() for name in ("words", "vocabulary"))
    ids = values.range(book.names["tokens"]).ravel()
    assert [vocabulary[int(i)] for i in ids] == list(words)
    assert len(set(ids)) == len(set(words))


@pytest.mark.parametrize("word", REFUSED, ids=ascii)
def test_a_word_that_nobody_can_see_is_refused(word: str) -> None:
    with pytest.raises(InputError, match="has signs that a cell cannot hold"):
        split_words(f"the {word}")


@pytest.mark.parametrize("text", PARTED, ids=ascii)
def test_blanks_of_every_kind_part_words(text: str) -> None:
    assert split_words(text) == ["a", "b"]


def test_the_filled_vocabulary_offers_no_word_in_another_case() -> None:
    vocabulary = fill_vocabulary(["The", "the", "CAT", "ﬁre", "Word_1"], 200)
    assert len(set(map(folded, vocabulary))) == len(vocabulary) - 1  # The and the were asked for


WAYS: dict[str, tuple[Any, ...]] = {
    "translation": ("build", "transformer", "--text", "The the cat", "--target", "die Die DIE", "--lang", "de"),
    "cells": ("build", "gpt2", "--text", "The the THE", "--layers", 1, "--formulas", "cells"),
    "attention": ("build", "attention", "--text", "Maße Masse MASSE"),
    "buffer": ("build", "rolling-buffer", "--text", "σοφος σοφοσ ﬁn fin"),
    "compare": ("compare", "llama1", "llama2", "--text", "The the ſin sin"),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_on_every_way(way: tuple[Any, ...], tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    made = sheetgen(*way, "-o", path)
    assert made.code == 0, made.err
    for arguments in ((), ("--static",)):
        found = sheetgen("check", path, *arguments)
        assert found.code == 0, found.out + found.err


def typed(*words: str) -> Any:
    def change(book: Any) -> None:
        for cell, word in zip(cells_of(book, "words")[0], words, strict=False):
            cell.value = word

    return change


@pytest.mark.parametrize("engine", quick())
def test_a_word_in_another_case_is_marked_with_a_hint(engine: str, tmp_path: Path) -> None:
    path = build(tmp_path / "book.xlsx", "llama1", "--layers", 1)
    for column, word in enumerate(("The", "cat", "ON?", "On", "*")):
        path = retyped(path, "words", word, f"{column}.xlsx", column)
    book = read_book(path)
    shown = ENGINES[engine](path, book).range(book.names["in_vocabulary"])
    assert shown.tolist() == [["✗ the?", "✓", "✗", "✗ on?", "✗", "✓"]]
    result = sheetgen("check", path)
    assert result.code == 2
    assert "'The'" in result.err
    assert "which has 'the'" in result.err


def test_a_vocabulary_of_one_word(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    library.build("attention", text="x", vocab_size=1).save(path)
    assert check(path).difference is None
    path = edited(path, typed("X"))
    book = read_book(path)
    assert ENGINES["formulas"](path, book).range(book.names["in_vocabulary"]).tolist() == [["✗ x?"]]


def test_an_old_workbook_takes_them_for_one(tmp_path: Path) -> None:
    """sheetgen 0.1.0 looked words up by =: The is the in its workbooks."""
    path = tmp_path / "book.xlsx"
    shutil.copy(OLD / "llama1.xlsx", path)
    edited(path, typed("The", "CAT"))
    report = check(path)
    assert report.difference is None
    lacking = edited(path, typed("bird?"))
    with pytest.raises(InputError, match="is not in the vocabulary"):
        check(lacking)


@pytest.mark.parametrize("value", ["Off", "OFF", " off", "off ", " oFf  "])
@pytest.mark.parametrize("engine", quick())
def test_a_control_is_off_however_it_is_typed(engine: str, value: str, tmp_path: Path) -> None:
    path = retyped(build(tmp_path / "book.xlsx", "llama1", "--layers", 1), "control__causal", value, "typed.xlsx")
    assert check(path, engine).difference is None
    values, names = ENGINES[engine](path, None), read_book(path).names
    assert values.range(names["layer_0__head_0__pattern"])[-1, 0] > 0  # the first word sees the last
    assert "✗" not in values.range(names["control__message"])[0, 0]
