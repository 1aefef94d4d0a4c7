"""A checkpoint → a request for a workbook, and the source of its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sheetgen.base.errors import InputError
from sheetgen.huggingface.architectures import ARCHITECTURES, Architecture, Part, Parts, Settings
from sheetgen.huggingface.files import CONFIG, Checkpoint, open_checkpoint, read_json
from sheetgen.model.families import Config
from sheetgen.model.given import LONGEST_WORD, SENTENCE, Given
from sheetgen.model.presets import Preset, Request
from sheetgen.trace.limits import Limits, Live
from sheetgen.trace.ops import Array

PREFIXES = ("model.language_model.", "language_model.model.", "language_model.", "model.", "transformer.", "vit.")
# Constants that old checkpoints hold, and a part that is not used.
BUFFERS = re.compile(r"(^|\.)rotary_emb\.inv_freq$|\.attn\.(masked_)?bias$|^vit\.pooler\.")
PER_WORD = EMBEDDING, HEAD = "W_E", "W_U"  # a row for each word of the vocabulary
TOKENIZER = "tokenizer.json"
TOKENS = 6  # of a sentence that nobody gave
LARGEST = 1_500_000  # cells: what `check` reads, and spreadsheet programs open with patience
MOST_PARTS = 1_000_000  # red blocks; no published model has a tenth of them
SHOWN = 5  # tensors in an error


@dataclass(frozen=True)
class Stored:
    """The numbers of a checkpoint, and the words or the image it is given (a `recorder.Source`).

    names: what the checkpoint calls each tensor. kept: the words that are left, None for all.
    """

    checkpoint: Checkpoint
    parts: Parts
    names: Mapping[str, str]
    kept: Sequence[int] | None
    texts: Mapping[str, list[str]]
    arrays: Mapping[str, Array] = field(default_factory=dict)

    def weight(self, path: str, shape: tuple[int, int], around: float | None) -> Array:
        part = self.parts[path]
        found = self._matrix(path, part)
        if part.bias:
            bias = self.checkpoint.read(self.names[part.bias], (slice(part.start, part.start + part.rows),))
            found = np.concatenate([found, bias[:, None]], axis=1)
        assert found.shape == shape, f"{path} is {found.shape} instead of {shape}"
        return found

    def _matrix(self, path: str, part: Part) -> Array:
        name = self.names[part.tensor]
        if self.kept is not None and path in PER_WORD:
            return self.checkpoint.read(name, only=self.kept)
        rows = slice(part.start, part.start + part.rows)
        where = (slice(None), rows) if part.transposed else (rows,)
        if part.expert is not None:
            return _turned(self.checkpoint.read(name, (slice(part.expert, part.expert + 1), *where))[0], part)
        if part.flat:
            return _turned(self.checkpoint.read(name).reshape(part.rows, -1), part)
        return _turned(self.checkpoint.read(name, where), part)

    def control(self, path: str, default: Live, limits: Limits) -> Live:
        return default

    def text(self, path: str, count: int) -> list[str]:
        return self.texts[path]

    def numbers(self, path: str, shape: tuple[int, int]) -> Array:
        return self.arrays[path].reshape(shape)


def _turned(found: Array, part: Part) -> Array:
    return found[:, None] if found.ndim == 1 else found.T if part.transposed else found


@dataclass(frozen=True)
class Converted:
    """What a workbook of a checkpoint is made of; `cut` says what was left out."""

    request: Request
    source: Stored
    cut: str


def convert(folder: Path, given: Given, layers: int | None = None, keep: str | None = None) -> Converted:
    """The model of a checkpoint folder, cut down to its first `layers` and to the words (or ids) `keep`.

    Raises InputError for what is missing, surplus, of a wrong shape, not supported or too large.
    """
    checkpoint = open_checkpoint(folder)
    kind = checkpoint.settings.get("model_type")
    architecture = ARCHITECTURES.get(kind) if isinstance(kind, str) else None
    if architecture is None:
        raise InputError(
            f"{folder / CONFIG}: model_type {str(kind)[:40]!r} is not supported: {', '.join(ARCHITECTURES)} are"
        )
    settings = _settings(checkpoint, architecture)
    values = architecture.fields(settings)
    full = _family(settings, architecture, values)
    names = _names(checkpoint, architecture)
    _compare(checkpoint, architecture, full, names)
    if layers is not None:
        values["n_layers"] = _fewer(layers, values["n_layers"])
    kept = None
    if architecture.family.inputs is SENTENCE:
        vocabulary = Vocabulary(folder, values["vocab_size"])
        kept = None if keep is None else vocabulary.ids(keep)
        texts = vocabulary.texts(given, kept, values.get("n_positions"))
        arrays: Mapping[str, Array] = {}
        values |= {"n_tokens": len(texts["words"]), "vocab_size": len(texts["vocabulary"])}
    elif keep is not None:
        raise InputError(f"--keep-vocab: a model of type {kind} has no vocabulary: leave it out")
    else:
        prepared = architecture.family.inputs.prepare(values, values, given)
        texts, arrays = prepared.texts | architecture.texts(settings), prepared.arrays
        values |= prepared.sizes
    config = _family(settings, architecture, values)
    architecture.family.inputs.refuse_unread(str(kind), given)
    parts = architecture.parts(config, names)
    _fits(folder, config, parts, full)
    source = Stored(checkpoint, parts, names, kept, texts, arrays)
    _same_head(source)
    title = "".join(c if c.isprintable() else "?" for c in folder.resolve().name)[:80] or str(kind)
    paper = f"checkpoint of model type {kind}; equations as in transformers, models/{kind}"
    preset = Preset(str(kind), title, architecture.summary, paper, architecture.family, {}, architecture.published)
    return Converted(Request(preset, config, texts, arrays), source, _cut(full, config, architecture, checkpoint))


# --- the model and its tensors -----------------------------------------------------------------------------------


def _settings(checkpoint: Checkpoint, architecture: Architecture) -> Settings:
    file, values = checkpoint.folder / CONFIG, checkpoint.settings
    if values.get("quantization_config"):
        raise InputError(f"{file}: quantization_config is set, but plain numbers are read: save the model as float")
    if architecture.inner:
        values = values.get(architecture.inner)  # type: ignore[assignment]
        if not isinstance(values, dict):
            raise InputError(f"{file}: {architecture.inner} is missing: it holds the settings of the text model")
    return Settings(file, values, architecture.defaults)


def _family(settings: Settings, architecture: Architecture, values: Mapping[str, Any]) -> Config:
    counted = {"n_tokens": 1} if architecture.family.inputs is SENTENCE else {}
    try:
        return architecture.family(**counted | dict(values))
    except InputError as error:
        raise InputError(f"{settings.file}: {error}") from error


def _names(checkpoint: Checkpoint, architecture: Architecture) -> dict[str, str]:
    """What the checkpoint calls each tensor, by its name without the prefix of the model that it is a part of."""
    found: dict[str, str] = {}
    for name in checkpoint.shapes:
        if BUFFERS.search(name) or name.removeprefix("model.").startswith(architecture.unused or "\0"):
            continue
        prefix = next((p for p in PREFIXES if name.startswith(p)), "")
        short = name.removeprefix(prefix)
        if short in found:
            raise InputError(f"{checkpoint.folder}: {found[short]} and {name} are the same tensor: keep one of them")
        found[short] = name
    return found


def _compare(checkpoint: Checkpoint, architecture: Architecture, full: Config, names: Mapping[str, str]) -> None:
    """Raise InputError, naming them, when tensors are missing, surplus or of a wrong shape."""
    blocks = full.n_layers * (getattr(full, "n_heads", 0) + getattr(full, "n_experts", 0))  # type: ignore[attr-defined]
    if blocks > MOST_PARTS:
        raise InputError(f"{checkpoint.folder / CONFIG} tells of {blocks:,} heads and experts: no model has so many")
    wanted: dict[str, tuple[int, ...]] = {}
    for part in architecture.parts(full, names).values():
        wanted[part.tensor] = part.shape
        if part.bias:
            wanted[part.bias] = (part.outputs,)
    prefix = next((name.removesuffix(short) for short, name in names.items() if name != short), "")
    heads = ("lm_head.", "classifier.")  # these stand outside the model that the prefix names
    missing = [name if name.startswith(heads) else prefix + name for name in wanted if name not in names]
    surplus = [name for short, name in names.items() if short not in wanted]
    if getattr(full, "tied", False) and "lm_head.weight" in names:
        surplus.remove(names["lm_head.weight"])
    wrong = [
        f"{names[name]} is {_times(checkpoint.shapes[names[name]])} instead of {_times(shape)}"
        for name, shape in wanted.items()
        if name in names and checkpoint.shapes[names[name]] != shape
    ]
    told = [
        f"{what} {', '.join(found[:SHOWN])}{f' and {len(found) - SHOWN} more' if len(found) > SHOWN else ''}"
        for what, found in (("missing:", missing), ("surplus:", surplus), ("wrong shape:", wrong))
        if found
    ]
    if told:
        raise InputError(
            f"{checkpoint.folder}: the tensors are not those that {CONFIG} tells of; {'; '.join(told)}: "
            f"save the model again, or mend {CONFIG}"
        )


def _times(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape)) or "one number"


def _same_head(source: Stored) -> None:
    """A tied head that is stored all the same must be the embedding table."""
    if HEAD in source.parts or "lm_head.weight" not in source.names or EMBEDDING not in source.parts:
        return
    names = [source.names[name] for name in ("lm_head.weight", source.parts[EMBEDDING].tensor)]
    head, table = (source.checkpoint.read(name, only=source.kept) for name in names)
    if not np.array_equal(head, table):
        raise InputError(
            f"{source.checkpoint.folder}: {names[0]} differs from {names[1]}, although {CONFIG} ties them: "
            "set tie_word_embeddings to false, or remove the tensor"
        )


# --- cutting down ------------------------------------------------------------------------------------------------


def _fewer(layers: int, all_of_them: int) -> int:
    if not 1 <= layers <= all_of_them:
        raise InputError(f"--layers {layers}: the checkpoint has {all_of_them} layers: choose 1 to {all_of_them}")
    return layers


def _cut(full: Config, config: Config, architecture: Architecture, checkpoint: Checkpoint) -> str:
    """A sentence on what was left out."""
    told = []
    for what, name in (("layers", "n_layers"), ("vocabulary", "vocab_size")):
        left, there = getattr(config, name, 0), getattr(full, name, 0)
        if left < there:
            told.append(f"{what} {left:,} of {there:,}")
    if architecture.unused and any(n.removeprefix("model.").startswith(architecture.unused) for n in checkpoint.shapes):
        told.append("the text model without its vision part")
    return ", ".join(told) or "nothing is cut: the whole checkpoint"


def _fits(folder: Path, config: Any, parts: Parts, full: Any) -> None:
    """Raise InputError, with what would fit, when the workbook would have too many cells.

    The red cells are counted, those of the formulas estimated by the family.
    """
    layers, words = config.n_layers, getattr(config, "vocab_size", 0)
    tokens = config.n_tokens if words else config.n_patches + 1
    formulas = config.layer_cells(tokens)
    sizes = [
        sum(part.cells for path, part in parts.items() if path.startswith(f"layer_{i}.")) + formulas
        for i in range(layers)
    ]
    per_word = sum(parts[path].columns for path in PER_WORD if path in parts) + 4 * tokens
    rest = sum(part.cells for path, part in parts.items() if not path.startswith("layer_") and path not in PER_WORD)
    cells = rest + sum(sizes) + words * per_word
    if cells <= LARGEST:
        return
    start = f"{folder}: its workbook would have about {cells:,} cells, more than the {LARGEST:,} that are written: "
    for left in range(layers, 0, -1):
        fitting = min(words, (LARGEST - rest - sum(sizes[:left])) // per_word)
        if fitting >= min(words, 2 * TOKENS) and rest + sum(sizes[:left]) <= LARGEST:
            cuts = [f"--layers {left}"] if left < full.n_layers else []
            cuts += [f"--keep-vocab with at most {fitting:,} words"] if fitting < words else []
            raise InputError(start + f"{' and '.join(cuts)} would fit")
    raise InputError(start + "not even one layer of it fits; choose a smaller model, or fewer tokens")


# --- words -------------------------------------------------------------------------------------------------------


class Vocabulary:
    """What the ids of a checkpoint are called, and its tokenizer when it has one."""

    def __init__(self, folder: Path, size: int) -> None:
        self.file = folder / TOKENIZER
        self.words = cell_words(_stored_words(self.file) if self.file.exists() else {}, size)

    def texts(self, given: Given, kept: Sequence[int] | None, most: int | None) -> dict[str, list[str]]:
        """Words (at most so many) and vocabulary, where only the ids `kept` are left.

        Without a sentence the words are the first ones of the vocabulary.
        """
        left = list(range(len(self.words))) if kept is None else list(kept)
        if given.text is not None and given.tokens is not None:
            raise InputError("--text and --tokens both give the sentence: choose one")
        if given.text is not None:
            ids = self._tokenised(given.text, "--text", special=True)
        else:
            ids = (
                left[: min(TOKENS, most or TOKENS)]
                if given.tokens is None
                else self._in_range(given.tokens, "--tokens")
            )
        if not ids:
            raise InputError("the sentence is empty: give at least one id, such as --tokens 3,1,4")
        if most is not None and len(ids) > most:
            raise InputError(f"the sentence has {len(ids)} tokens, but the checkpoint has {most} positions: give fewer")
        gone = [i for i in ids if i not in set(left)]
        if gone:
            raise InputError(
                f"--keep-vocab leaves out id {gone[0]} ({self.words[gone[0]]!r}), which is in the sentence: keep it too"
            )
        return {"words": [self.words[i] for i in ids], "vocabulary": [self.words[i] for i in left]}

    def ids(self, text: str) -> list[int]:
        """The ids that a list of ids or of words means, each once, in their order."""
        pieces = [piece for piece in re.split(r"[,\s]+", text) if piece]
        if not pieces:
            raise InputError("--keep-vocab is empty: give words or ids, such as --keep-vocab 3,1,4")
        if all(re.fullmatch(r"[0-9]{1,9}", piece) for piece in pieces):
            return list(dict.fromkeys(self._in_range(map(int, pieces), "--keep-vocab")))
        places = {word: i for i, word in enumerate(self.words)}
        if all(piece in places for piece in pieces):
            return list(dict.fromkeys(places[piece] for piece in pieces))
        return list(dict.fromkeys(self._tokenised(text, "--keep-vocab", special=False)))

    def _tokenised(self, text: str, option: str, special: bool) -> list[int]:
        if not self.file.exists():
            raise InputError(f"{option} {text[:40]!r}: {self.file} is missing: give ids instead, such as 3,1,4")
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise InputError(f"{option} needs tokenizers: pip install 'sheetgen[hf]', or give ids") from None
        try:
            ids: list[int] = Tokenizer.from_file(str(self.file)).encode(text, add_special_tokens=special).ids
        except Exception as error:  # the package raises nothing more special
            raise InputError(f"{self.file} cannot be used ({str(error)[:100]}): save the tokenizer again") from error
        return self._in_range(ids, option)

    def _in_range(self, ids: Iterable[int], option: str) -> list[int]:
        found = list(ids)
        for i in found:
            if not 0 <= i < len(self.words):
                last = len(self.words) - 1
                raise InputError(f"{option}: id {i} is not in the vocabulary of {last + 1:,}: choose 0 to {last}")
        return found


def _stored_words(file: Path) -> dict[int, str]:
    """The token of each id, as tokenizer.json spells it."""
    data = read_json(file, "save the tokenizer again, or remove the file and give ids")
    model, added = data.get("model"), data.get("added_tokens") or []
    words = model.get("vocab", {}) if isinstance(model, dict) else {}
    pairs = list(words.items()) if isinstance(words, dict) else [(p[0], i) for i, p in enumerate(words) if p]
    pairs += [(token.get("content"), token.get("id")) for token in added if isinstance(token, dict)]
    return {i: word for word, i in pairs if isinstance(i, int) and isinstance(word, str)}


def cell_words(tokens: Mapping[int, str], size: int) -> list[str]:
    """A word for each id that a cell can hold and that no other equals: else t<id>, or <word>_<id>."""
    taken: set[str] = set()
    words = []
    for i in range(size):
        word = tokens.get(i, "")
        if not word or not word.isprintable() or any(c.isspace() for c in word) or len(word) > LONGEST_WORD - 10:
            word = f"t{i}"
        while word in taken:
            word = f"{word}_{i}"
        taken.add(word)
        words.append(word)
    return words
