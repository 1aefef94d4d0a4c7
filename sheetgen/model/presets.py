"""Presets: templates/*.toml plus what the user asked for → a validated request for a workbook."""

from __future__ import annotations

import dataclasses
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from sheetgen.base.cells import MAX_ROWS
from sheetgen.base.errors import InputError, suggest
from sheetgen.base.files import tables, templates
from sheetgen.model.families import FAMILIES, MOST, Config, as_sizes, divisors, number_formats
from sheetgen.trace.ops import Array

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
DEFAULT_SOURCE, DEFAULT_TARGET = "the cat sat", "die Katze sass"
MOST_PIXELS = 100_000
START, END = "<s>", "</s>"  # of a translation
COUNTED = {"n_tokens", "n_source", "n_target"}  # settings that follow from what is given


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


@dataclass(frozen=True)
class Given:
    """What the user gives the model: a sentence or ids of the vocabulary, its translation, or an image."""

    text: str | None = None
    tokens: list[int] | None = None
    target: str | None = None
    pixels: Array | None = None


def request(preset: Preset, sizes: Mapping[str, Any], given: Given = Given()) -> Request:
    """The preset with `sizes` (field → value) instead of its own, on what is given.

    Where only the number of heads or experts is given, what depends on it (n_kv_heads, top_k) follows.
    """
    fields: dict[str, Any] = {f.name: f for f in dataclasses.fields(preset.family)}
    sizes = _biases(sizes, fields)
    sizes |= {name: as_sizes(sizes[name]) for name in LISTS if name in sizes}
    for name in sizes:
        if name not in fields or name in COUNTED:
            raise InputError(f"{preset.name} has no setting {name!r}{_hint(name, fields)}")
    values: dict[str, Any] = {name: f.default for name, f in fields.items()}
    values |= {**preset.sizes, **sizes}
    _follow(values, preset, sizes)
    refuse_unread(preset.name, preset.family, given)
    texts, arrays = INPUTS[preset.family.inputs][1](values, sizes, given)
    for name, f in fields.items():
        if str(f.type) == "float" and type(values[name]) is int:
            values[name] = float(values[name])
    return Request(preset, preset.family(**values), texts, arrays)


def refuse_unread(name: str, family: type[Config], given: Given) -> None:
    """Raise InputError when something is given that the family does not read."""
    used = INPUTS[family.inputs][0]
    for wrong in ("text", "tokens", "target", "pixels"):
        if wrong not in used and getattr(given, wrong) is not None:
            options = " or ".join(f"--{option}" for option in used)
            instead = f"give it {options}" if used else "its numbers are typed into its sheet"
            raise InputError(f"{name} does not read --{wrong}: {instead}")


def _sentence(values: dict[str, Any], sizes: Mapping[str, Any], given: Given) -> Inputs:
    """Words and vocabulary of a language model; sets n_tokens, vocab_size and n_positions in `values`."""
    if given.text is not None and given.tokens is not None:
        raise InputError("--text and --tokens both give the sentence: choose one")
    if given.tokens is None:
        words = split_words(DEFAULT_TEXT if given.text is None else given.text)
        vocabulary = _vocabulary(words, values, sizes)
    else:
        vocabulary = _vocabulary([], values, sizes)
        words = [vocabulary[token] for token in _known(given.tokens, vocabulary)]
    values["n_tokens"] = len(words)
    if "n_positions" in values and "n_positions" not in sizes:
        values["n_positions"] = max(values["n_positions"], values["n_tokens"])
    return {"words": words, "vocabulary": vocabulary}, {}


def _vocabulary(words: list[str], values: dict[str, Any], sizes: Mapping[str, Any]) -> list[str]:
    """The words, each once, filled up to vocab_size; sets it in `values` where it was too small by default."""
    first: dict[str, str] = {}
    for word in words:
        first.setdefault(word.lower(), word)
    distinct, size = list(first.values()), values["vocab_size"]
    if not isinstance(size, int) or not 1 <= size <= MAX_ROWS:
        return distinct  # the family refuses such a size in its own words
    if "vocab_size" in sizes and size < len(distinct):
        raise InputError(
            f"the sentence has {len(distinct)} different words, but vocab_size is {size}: "
            f"choose --vocab {len(distinct)} or more"
        )
    values["vocab_size"] = max(size, len(distinct))
    return fill_vocabulary(distinct, values["vocab_size"])


def _translation(values: dict[str, Any], sizes: Mapping[str, Any], given: Given) -> Inputs:
    """A sentence, what is known of its translation after a start sign, and the vocabulary of both."""
    if given.text is not None and given.tokens is not None:
        raise InputError("--text and --tokens both give the sentence: choose one")
    source = split_words(DEFAULT_SOURCE if given.text is None else given.text)
    target = [START, *split_words(DEFAULT_TARGET if given.target is None else given.target)]
    vocabulary = _vocabulary([START, END, *source, *target[1:]], values, sizes)
    if given.tokens is not None:
        source = [vocabulary[token] for token in _known(given.tokens, vocabulary)]
    values |= {"n_source": len(source), "n_target": len(target)}
    return {"vocabulary": vocabulary, "encoder.words": source, "decoder.words": target}, {}


def _image(values: dict[str, Any], sizes: Mapping[str, Any], given: Given) -> Inputs:
    """An image [channels · height, width], names of its patches and of the labels; sets its sizes in `values`."""
    if "image_width" not in sizes:
        values["image_width"] = values["image_size"]
    if given.pixels is not None:
        names = ("channels", "image_size", "image_width")
        for name, size in zip(names, given.pixels.shape, strict=True):
            if sizes.get(name, size) != size:
                raise InputError(f"--pixels has {name} {size}, but {name} is set to {sizes[name]}: choose one")
            values[name] = size
    shape = [values[name] for name in ("channels", "image_size", "image_width")]
    patch, labels = values["patch_size"], values["n_labels"]
    if not all(isinstance(size, int) and size > 0 for size in (*shape, patch, labels)) or labels > MAX_ROWS:
        return {}, {}  # the family says what is wrong
    if math.prod(shape) > MOST_PIXELS:
        raise InputError(f"the image has {math.prod(shape):,} numbers: choose at most {MOST_PIXELS:,}")
    pixels = ring(*shape) if given.pixels is None else given.pixels
    places = [f"{row},{column}" for row in range(shape[1] // patch) for column in range(shape[2] // patch)]
    names_of = {"column_names": ["class", *places], "labels": [f"label_{i}" for i in range(labels)]}
    return names_of, {"image": pixels.reshape(-1, shape[2])}


def ring(channels: int, height: int, width: int) -> Array:
    """A picture to begin with: a bright ring, fainter in each further channel. [channels, height, width], 0 to 1."""
    row, column = ((2 * np.arange(n) + 1 - n) / n for n in (height, width))
    far = np.hypot(row[:, None], column)
    bright = np.clip(1.2 - 3.5 * np.abs(far - 0.65), 0, 1)
    return np.round(bright * (1 - np.arange(channels)[:, None, None] / channels), 1)


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


# How a family gets what it is given: the options it reads, and
# (values of its fields, those the user gave, what is given) → texts and arrays by path.
Inputs = tuple[dict[str, list[str]], dict[str, Array]]
INPUTS: dict[str, tuple[tuple[str, ...], Callable[[dict[str, Any], Mapping[str, Any], Given], Inputs]]] = {
    "sentence": (("text", "tokens"), _sentence),
    "translation": (("text", "tokens", "target"), _translation),
    "image": (("pixels",), _image),
    "numbers": ((), lambda *_: ({}, number_formats.given())),
}


# Settings with a size for each part, and the settings that count those parts.
LISTS = {
    "qk_dims": ("n_kv_heads", "n_heads"),
    "value_dims": ("n_kv_heads", "n_heads"),
    "heads_by_layer": ("n_layers",),
    "d_ff_by_layer": ("n_layers",),
    "expert_widths": ("n_experts",),
    "expert_outputs": ("n_experts",),
}


def _biases(sizes: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """`bias` as the settings that a family has for it."""
    if "bias" not in sizes or "bias" in fields:
        return dict(sizes)
    bias = sizes["bias"]
    own = {"attention_bias": "all" if bias else "none", "mlp_bias": bias, "qkv_bias": bias}
    own = {name: value for name, value in own.items() if name in fields}
    return {name: value for name, value in sizes.items() if name != "bias" or not own} | own


def _follow(values: dict[str, Any], preset: Preset, sizes: Mapping[str, Any]) -> None:
    """Sizes that nobody gave follow those they depend on: n_kv_heads the heads, top_k the experts, counts the lists."""
    for name, counts in LISTS.items():
        if name not in sizes or not isinstance(sizes[name], tuple):
            continue
        counts = tuple(count for count in counts if count in values)
        free = not any(count in sizes for count in counts) and len({values[count] for count in counts}) == 1
        if len(sizes[name]) > 1 and free:  # 5,3,3: three heads, if nobody says how many
            values |= dict.fromkeys(counts, len(sizes[name]))
    heads, experts = values.get("n_heads"), values.get("n_experts")
    if "n_kv_heads" in values and "n_kv_heads" not in sizes and isinstance(heads, int) and 0 < heads <= MOST:
        own = values["n_kv_heads"] == preset.sizes["n_heads"]  # every head has its own keys and values: so it stays
        values["n_kv_heads"] = max(k for k in divisors(heads) if k <= (heads if own else values["n_kv_heads"]))
    for name, counts in LISTS.items():
        count = next((values[count] for count in counts if count in values), 1)
        if isinstance(values.get(name), tuple) and len(values[name]) == 1 and isinstance(count, int):
            values[name] *= count  # one size is for all
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
    if hint := suggest(name, (f for f in fields if f not in COUNTED), likeness=0.75):
        return f": {hint}"
    have = [p.name for p in all_presets().values() if name in {f.name for f in dataclasses.fields(p.family)}]
    if name in COUNTED:
        return "; the number of words follows from --text"
    return f": it is for {', '.join(have)}" if have else "; its Config sheet lists what it has"
