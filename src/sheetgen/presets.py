"""Presets: templates/*.toml plus what the user asked for → a validated request for a workbook."""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from sheetgen.errors import InputError
from sheetgen.models import FAMILIES, Config, divisors

DEFAULT_TEXT = "the cat sat on the mat"
# Fills up the vocabulary behind the words of the sentence.
COMMON_WORDS = """
a dog ran to hat and bird saw big red house tree sun sky in of is it was he she we you they this that with for
not but are have had one two all can will my your his her new old day night time water fire food hand eye man
woman child friend king queen book word car road door bed table chair box ball game song love hope dream small
little long short good bad black white green blue hot cold up down left right here there now then when where
how who what go come see look find give take make play run walk sing sleep eat drink read write
"""
LONGEST_WORD = 40


@dataclass(frozen=True)
class Preset:
    """One file of templates/."""

    name: str
    title: str
    summary: str
    paper: str
    family: type[Config]
    sizes: Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """All that a workbook is made of."""

    preset: Preset
    config: Config
    texts: Mapping[str, list[str]]  # the words of each text block


@cache
def all_presets() -> dict[str, Preset]:
    """Every preset by name, in the order of their names."""
    found = {}
    for file in sorted(files("sheetgen.templates").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".toml"):
            data = tomllib.loads(file.read_text(encoding="utf-8"))
            name = file.name.removesuffix(".toml")
            found[name] = Preset(
                name, data["title"], data["summary"], data["paper"], FAMILIES[data["family"]], data["sizes"]
            )
    return found


def find(name: str) -> Preset:
    """The preset of this name; raises InputError with the nearest name."""
    presets = all_presets()
    if name not in presets:
        close = difflib.get_close_matches(name, presets, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(presets)}"
        raise InputError(f"{name!r} is not a preset: {hint}")
    return presets[name]


@dataclass(frozen=True)
class Given:
    """What the user gives the model: a sentence, or ids of the vocabulary."""

    text: str | None = None
    tokens: list[int] | None = None


def request(preset: Preset, sizes: Mapping[str, Any], given: Given = Given()) -> Request:
    """The preset with `sizes` (field → value) instead of its own, on what is given.

    Where only the number of heads or experts is given, what depends on it (n_kv_heads, top_k) follows.
    """
    fields: dict[str, Any] = {f.name: f for f in dataclasses.fields(preset.family)}
    for name in sizes:
        if name not in fields or name == "n_tokens":
            raise InputError(f"{preset.name} has no setting {name!r}{_hint(name, fields)}")
    values: dict[str, Any] = {name: f.default for name, f in fields.items()}
    values |= {**preset.sizes, **sizes}
    _follow(values, preset, sizes)
    texts = INPUTS[preset.family.inputs](values, sizes, given)
    for name, f in fields.items():
        if str(f.type) == "float" and type(values[name]) is int:
            values[name] = float(values[name])
    return Request(preset, preset.family(**values), texts)


def _sentence(values: dict[str, Any], sizes: Mapping[str, Any], given: Given) -> dict[str, list[str]]:
    """Words and vocabulary of a language model; sets n_tokens, vocab_size and n_positions in `values`."""
    if given.text is not None and given.tokens is not None:
        raise InputError("--text and --tokens both give the sentence: choose one")
    words = split_words(DEFAULT_TEXT if given.text is None else given.text)
    distinct = list({word.lower(): word for word in reversed(words)}.values())[::-1]
    size = values["vocab_size"]
    if not isinstance(size, int) or size < 1:
        raise InputError(f"vocab_size {size!r} is no number of words: choose {len(distinct)} or more")
    if "vocab_size" in sizes and size < len(distinct):
        raise InputError(
            f"the sentence has {len(distinct)} different words, but vocab_size is {size}: "
            f"choose --vocab {len(distinct)} or more"
        )
    values["vocab_size"] = max(size, len(distinct))
    vocabulary = fill_vocabulary(distinct, values["vocab_size"])
    if given.tokens is not None:
        words = [vocabulary[token] for token in _known(given.tokens, vocabulary)]
    values["n_tokens"] = len(words)
    if "n_positions" in values and "n_positions" not in sizes:
        values["n_positions"] = max(values["n_positions"], values["n_tokens"])
    return {"words": words, "vocabulary": vocabulary}


def _known(tokens: list[int], vocabulary: list[str]) -> list[int]:
    if not tokens:
        raise InputError("--tokens is empty: give at least one id, such as --tokens 3,1,4")
    for token in tokens:
        if not 0 <= token < len(vocabulary):
            raise InputError(
                f"--tokens: id {token} is not in the vocabulary of {len(vocabulary)} words: "
                f"choose 0 to {len(vocabulary) - 1}, or a larger --vocab"
            )
    return tokens


# How a family gets what it is given: (values of its fields, those the user gave, what is given) → texts by path.
INPUTS: dict[str, Callable[[dict[str, Any], Mapping[str, Any], Given], dict[str, list[str]]]] = {
    "sentence": _sentence,
}


def _follow(values: dict[str, Any], preset: Preset, sizes: Mapping[str, Any]) -> None:
    """Sizes that nobody gave follow those they depend on: n_kv_heads the heads, top_k the experts."""
    heads, experts = values.get("n_heads"), values.get("n_experts")
    if "n_kv_heads" in values and "n_kv_heads" not in sizes and isinstance(heads, int) and heads > 0:
        own = values["n_kv_heads"] == preset.sizes["n_heads"]  # every head has its own keys and values: so it stays
        values["n_kv_heads"] = max(k for k in divisors(heads) if k <= (heads if own else values["n_kv_heads"]))
    if "top_k" in values and "top_k" not in sizes and isinstance(experts, int) and experts > 0:
        values["top_k"] = min(values["top_k"], experts)


def split_words(text: str) -> list[str]:
    """Words of a sentence: what stands between blanks; signs stay with their word."""
    words = text.split()
    if not words:
        raise InputError('the sentence is empty: give at least one word, such as --text "the cat sat"')
    for word in words:
        if len(word) > LONGEST_WORD:
            raise InputError(f"the word {word[:20]!r}… has {len(word)} letters: choose at most {LONGEST_WORD}")
        if not word.isprintable():
            raise InputError(f"the word {word!r} has signs that a cell cannot hold: leave them out")
    return words


def fill_vocabulary(words: list[str], size: int) -> list[str]:
    """The words, then common words, then word_<i>, until there are `size`; no word twice, whatever its case."""
    taken = {word.lower() for word in words}
    common = [word for word in (*DEFAULT_TEXT.split()[:-2], "mat", *COMMON_WORDS.split()) if word not in taken]
    made = (word for i in range(size + len(words)) if (word := f"word_{i}") not in taken)
    vocabulary = [*words, *dict.fromkeys(common)][:size]
    return vocabulary + [next(made) for _ in range(size - len(vocabulary))]


def parse_setting(text: str) -> tuple[str, Any]:
    """`field=value` of --set; the value is read as TOML, a bare word as text."""
    name, sign, value = text.partition("=")
    name, value = name.strip(), value.strip()
    if not sign or not re.fullmatch(r"\w+", name) or not value:
        raise InputError(f"--set {text}: write it as field=value, such as --set rope_theta=500000")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value


def _hint(name: str, fields: Mapping[str, Any]) -> str:
    """What to do about a setting that the family does not have."""
    close = difflib.get_close_matches(name, [f for f in fields if f != "n_tokens"], 1, cutoff=0.75)
    if close:
        return f": did you mean {close[0]!r}?"
    have = [p.name for p in all_presets().values() if name in {f.name for f in dataclasses.fields(p.family)}]
    if have and name != "n_tokens":
        return f": it is for {', '.join(have)}"
    return "; the number of words follows from --text" if name == "n_tokens" else "; its Config sheet lists what it has"
