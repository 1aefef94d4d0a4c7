"""What a model is given: a sentence, a sentence and its translation, or an image; with its vocabulary or labels.

Each kind is an `Inputs`, which a family names. Without anything from the user it makes something to begin with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sheetgen.base.cells import MAX_ROWS
from sheetgen.base.errors import InputError
from sheetgen.base.text import folded
from sheetgen.trace.ops import Array

DEFAULT_TEXT = "the cat sat on the mat"
DEFAULT_SOURCE, DEFAULT_TARGET = "the cat sat", "die Katze sass"
# Fills up the vocabulary behind the words of the sentence.
COMMON_WORDS = """
a dog ran to hat and bird saw big red house tree sun sky in of is it was he she we you they this that with for
not but are have had one two all can will my your his her new old day night time water fire food hand eye man
woman child friend king queen book word car road door bed table chair box ball game song love hope dream small
little long short good bad black white green blue hot cold up down left right here there now then when where
how who what go come see look find give take make play run walk sing sleep eat drink read write
"""
LONGEST_WORD = 40
MOST_PIXELS = 100_000
START, END = "<s>", "</s>"  # of a translation
COUNTED = {"n_tokens", "n_source", "n_target"}  # settings that follow from what is given


@dataclass(frozen=True)
class Given:
    """What the user gives the model: a sentence or ids of the vocabulary, its translation, or an image."""

    text: str | None = None
    tokens: list[int] | None = None
    target: str | None = None
    pixels: Array | None = None


NOTHING = Given()


@dataclass(frozen=True)
class Prepared:
    """What the model is given, as its blocks hold it: words and numbers by path; and the settings that follow."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    sizes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Inputs:
    """A kind of thing that models are given.

    options: the fields of `Given` that it is made from.
    prepare: (settings of the model, those of them that the user chose, what is given) → its blocks.
    """

    what: str
    options: tuple[str, ...]
    prepare: Callable[[Mapping[str, Any], Mapping[str, Any], Given], Prepared]

    def refuse_unread(self, name: str, given: Given) -> None:
        """Raise InputError when the model `name` is given something that it does not read."""
        for wrong in ("text", "tokens", "target", "pixels"):
            if wrong not in self.options and getattr(given, wrong) is not None:
                options = " or ".join(f"--{option}" for option in self.options)
                instead = f"give it {options}" if self.options else "its numbers are typed into its sheet"
                raise InputError(f"{name} does not read --{wrong}: {instead}")


# --- words -------------------------------------------------------------------------------------------------------


def _sentence(values: Mapping[str, Any], chosen: Mapping[str, Any], given: Given) -> Prepared:
    """Words and vocabulary of a language model."""
    if given.text is not None and given.tokens is not None:
        raise InputError("--text and --tokens both give the sentence: choose one")
    if given.tokens is None:
        words = split_words(DEFAULT_TEXT if given.text is None else given.text)
        vocabulary, sizes = _vocabulary(words, values, chosen)
    else:
        vocabulary, sizes = _vocabulary([], values, chosen)
        words = [vocabulary[token] for token in _known(given.tokens, vocabulary)]
    sizes["n_tokens"] = len(words)
    if "n_positions" in values and "n_positions" not in chosen:
        sizes["n_positions"] = max(values["n_positions"], len(words))
    return Prepared({"words": words, "vocabulary": vocabulary}, sizes=sizes)


def _translation(values: Mapping[str, Any], chosen: Mapping[str, Any], given: Given) -> Prepared:
    """A sentence, what is known of its translation after a start sign, and the vocabulary of both."""
    if given.text is not None and given.tokens is not None:
        raise InputError("--text and --tokens both give the sentence: choose one")
    source = split_words(DEFAULT_SOURCE if given.text is None else given.text)
    target = [START, *split_words(DEFAULT_TARGET if given.target is None else given.target)]
    vocabulary, sizes = _vocabulary([START, END, *source, *target[1:]], values, chosen)
    if given.tokens is not None:
        source = [vocabulary[token] for token in _known(given.tokens, vocabulary)]
    sizes |= {"n_source": len(source), "n_target": len(target)}
    return Prepared({"vocabulary": vocabulary, "encoder.words": source, "decoder.words": target}, sizes=sizes)


def _vocabulary(
    words: list[str], values: Mapping[str, Any], chosen: Mapping[str, Any]
) -> tuple[list[str], dict[str, Any]]:
    """The words, each once, filled up to vocab_size; and vocab_size, larger where it was too small by default."""
    distinct, size = list(dict.fromkeys(words)), values["vocab_size"]
    if not isinstance(size, int) or size < 1:
        return distinct, {}  # the family refuses such a size in its own words
    if size > MAX_ROWS:
        raise InputError(f"a sheet has {MAX_ROWS:,} rows, but vocab_size is {size:,}: choose smaller sizes")
    if "vocab_size" in chosen and size < len(distinct):
        raise InputError(
            f"the sentence has {len(distinct)} different words, but vocab_size is {size}: "
            f"choose --vocab {len(distinct)} or more"
        )
    size = max(size, len(distinct))
    return fill_vocabulary(distinct, size), {"vocab_size": size}


def split_words(text: str) -> list[str]:
    """Words of a sentence: what stands between blanks; signs stay with their word."""
    words = text.split()
    if not words:
        raise InputError('the sentence is empty: give at least one word, such as --text "the cat sat"')
    for word in words:
        if len(word) > LONGEST_WORD:
            raise InputError(f"the word {word[:20]!r}… has {len(word)} letters: choose at most {LONGEST_WORD}")
        if not word.isprintable():  # zero-width signs among them: a reader could not tell the word from another
            raise InputError(f"the word {word!r} has signs that a cell cannot hold: leave them out")
    return words


def fill_vocabulary(words: list[str], size: int) -> list[str]:
    """The words, then common words, then word_<i>, until there are `size`; none of these in another case or form."""
    taken = set(map(folded, words))
    common = [word for word in (*DEFAULT_TEXT.split()[:-2], "mat", *COMMON_WORDS.split()) if word not in taken]
    made = (word for i in range(size + len(words)) if (word := f"word_{i}") not in taken)
    vocabulary = [*words, *dict.fromkeys(common)][:size]
    return vocabulary + [next(made) for _ in range(size - len(vocabulary))]


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


# --- an image ----------------------------------------------------------------------------------------------------


def _image(values: Mapping[str, Any], chosen: Mapping[str, Any], given: Given) -> Prepared:
    """An image [channels · height, width], names of its patches and of the labels."""
    names = ("channels", "image_size", "image_width")
    sizes = {name: values[name] for name in names}
    if "image_width" not in chosen:
        sizes["image_width"] = sizes["image_size"]
    if given.pixels is not None:
        for name, size in zip(names, given.pixels.shape, strict=True):
            if chosen.get(name, size) != size:
                raise InputError(f"--pixels has {name} {size}, but {name} is set to {chosen[name]}: choose one")
            sizes[name] = size
    shape = [sizes[name] for name in names]
    patch, labels = values["patch_size"], values["n_labels"]
    if not all(isinstance(size, int) and size > 0 for size in (*shape, patch, labels)) or labels > MAX_ROWS:
        return Prepared(sizes=sizes)  # the family says what is wrong
    if math.prod(shape) > MOST_PIXELS:
        raise InputError(f"the image has {math.prod(shape):,} numbers: choose at most {MOST_PIXELS:,}")
    pixels = ring(*shape) if given.pixels is None else given.pixels
    places = [f"{row},{column}" for row in range(shape[1] // patch) for column in range(shape[2] // patch)]
    names_of = {"column_names": ["class", *places], "labels": [f"label_{i}" for i in range(labels)]}
    return Prepared(names_of, {"image": pixels.reshape(-1, shape[2])}, sizes)


def ring(channels: int, height: int, width: int) -> Array:
    """A picture to begin with: a bright ring, fainter in each further channel. [channels, height, width], 0 to 1."""
    row, column = ((2 * np.arange(n) + 1 - n) / n for n in (height, width))
    far = np.hypot(row[:, None], column)
    bright = np.clip(1.2 - 3.5 * np.abs(far - 0.65), 0, 1)
    return np.round(bright * (1 - np.arange(channels)[:, None, None] / channels), 1)


SENTENCE = Inputs("a sentence", ("text", "tokens"), _sentence)
TRANSLATION = Inputs("a sentence and its translation", ("text", "tokens", "target"), _translation)
IMAGE = Inputs("an image", ("pixels",), _image)
