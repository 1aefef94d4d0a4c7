"""The library: workbooks as objects, and the functions that make, read and prove them. `import sheetgen` gives it all.

The command line, the tests and the benchmarks are built on this. Whatever a caller can mend is an InputError (of which
BookError is one, about a file) or an EngineError, each with the remedy in a line.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_args

import numpy as np

from sheetgen.base import atomic, html
from sheetgen.base.errors import InputError, printable, suggest
from sheetgen.base.lang import ENGLISH, catalogues, speaking
from sheetgen.engines import ENGINES
from sheetgen.look.load import load_theme
from sheetgen.model import images, options, presets
from sheetgen.model.choices import Format, Style, Weights
from sheetgen.model.families import Config
from sheetgen.model.given import Given
from sheetgen.model.presets import Preset, Request
from sheetgen.model.weights import Drawn, Kept
from sheetgen.proof.report import STATIC, Report
from sheetgen.sheet.build import Build
from sheetgen.sheet.workbook import Workbook as Plan
from sheetgen.sheet.workbook import workbook_path
from sheetgen.trace.ops import Array
from sheetgen.trace.recorder import Source, Trace
from sheetgen.xlsx import saving
from sheetgen.xlsx.draft import Summary
from sheetgen.xlsx.model import Progress
from sheetgen.xlsx.write import write

File = str | PathLike[str]
Pixels = File | Array
Choice = TypeVar("Choice", bound=str)


@dataclass(frozen=True, repr=False)
class Model:
    """One model of a workbook.

    key: begins the paths of its tensors within the workbook; "" when there is no other model. trace: its tensors in
    the order of computation, each with its formula; build: how it was built, besides its settings.
    """

    key: str
    title: str
    request: Request
    trace: Trace
    build: Build

    @property
    def config(self) -> Any:
        """Its settings, as the sheet Config has them: the dataclass of its family."""
        return self.request.config

    @property
    def parameters(self) -> int:
        """How many trainable numbers (red cells) it has."""
        return self.trace.parameters()

    @property
    def prediction(self) -> str:
        """What it says, with the probability: `the cat sat → on (0.35)`."""
        return self.request.config.prediction(self.trace)

    @property
    def tensors(self) -> Mapping[str, Array]:
        """Path → values, read-only: numbers [rows, columns], or words. Tokens are columns, features are rows."""
        return MappingProxyType({path: _read_only(tensor.value) for path, tensor in self.trace.blocks.items()})

    def __repr__(self) -> str:
        return f"<Model {printable(self.title)}: {_counted(self)}>"


@dataclass(frozen=True, repr=False)
class Workbook:
    """A live workbook: one that is built but not yet written, or one that was read from a file.

    name: what it was asked for as. models: in the order of their sheets. In a notebook it shows itself.
    """

    name: str
    title: str
    models: tuple[Model, ...]
    _write: Callable[[Path, Progress], Summary]

    @property
    def config(self) -> Any:
        """The settings of its only model: the dataclass of its family. Of several, each has its own: an InputError."""
        return self._only.config

    @property
    def parameters(self) -> int:
        """How many trainable numbers (red cells) all of its models have."""
        return sum(model.parameters for model in self.models)

    @property
    def tensors(self) -> Mapping[str, Array]:
        """Path → values of all of its models, read-only; of several models each path begins with the model's key.

        They are what NumPy computes from the red cells, controls and words; `check` tells whether the formulas agree.
        """
        found = {workbook_path(path, m.key): value for m in self.models for path, value in m.tensors.items()}
        return MappingProxyType(found)

    def save(self, path: File, *, force: bool = False, progress: Progress = lambda _: None) -> Summary:
        """Write it to an .xlsx file, folders as needed, and tell what it holds; a file appears whole or not at all.

        A workbook that was read from a file is written as it was there. progress: called with the path of each block
        that is written. Raises InputError when it cannot be written, or when the file is one that somebody has edited
        (unless `force`).

        >>> book = sheetgen.build("attention")
        >>> summary = book.save("attention.xlsx")
        >>> summary.sheets
        ['Map', 'Model', 'Pictures', 'Config', 'Contents', 'Scale', 'Baseline']
        """
        place = Path(path)
        saving.refuse(place, force)
        with saving.writing(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            return self._write(place, progress)

    @property
    def _only(self) -> Model:
        if len(self.models) != 1:
            keys = ", ".join(model.key for model in self.models)
            raise InputError(f"{self.title} holds several models ({keys}): ask one of its `models`")
        return self.models[0]

    def __repr__(self) -> str:
        models = "; ".join(f"{f'{m.key}: ' if m.key else ''}{_counted(m)}" for m in self.models)
        return f"<Workbook {printable(self.title)}: {models}>"

    def _repr_html_(self) -> str:
        rows = [(m.title, f"{m.parameters:,}", len(m.trace.blocks), m.prediction) for m in self.models]
        return html.paragraph(self.title, strong=True) + html.table(("model", "parameters", "tensors", "it says"), rows)


def build(
    preset: str | None = None,
    /,
    *,
    text: str | None = None,
    tokens: Iterable[int] | None = None,
    target: str | None = None,
    pixels: Pixels | None = None,
    checkpoint: File | None = None,
    keep_vocab: str | None = None,
    weights: Weights | None = None,
    seed: int | None = None,
    controls: str | None = None,
    formulas: Style = "blocks",
    precision: Format | None = None,
    theme: File = "light",
    lang: str = ENGLISH,
    baseline: bool = True,
    **settings: Any,
) -> Workbook:
    """The workbook of a preset with some settings changed, or of a Hugging Face checkpoint.

    preset: its name, perhaps with options as the command line has them (`llama2 --heads 3`). settings: fields of its
    Config (`n_heads=4`); what depends on them follows. controls: which switches and numbers are live on top of the
    model (usual, all, none, or names). precision: bf16, fp16 or fp32 when it shall round as a real model does.

    What the model is given, as far as it reads that: text, a sentence, whose words become the vocabulary, or tokens,
    ids of the vocabulary counted from 0; target, what is known of a translation; pixels, an image
    [channels, height, width], or a .npy file of one.

    checkpoint: a folder with config.json and model.safetensors, instead of a preset; of the settings only n_layers may
    be given then, and keep_vocab, the words or ids that are kept of the vocabulary. Otherwise weights are drawn from
    the seed (0): byhand, which is usual (one decimal), normal (deviation 0.02) or zeros.

    formulas: blocks, one array formula for each, or cells. theme: light, dark, print, plain, or a TOML file. lang: of
    the texts. baseline: whether the workbook keeps the values that it is built with, to mark what changes later.

    Raises InputError for what cannot be, with the remedy.

    >>> book = sheetgen.build("llama4", text="the cat sat", n_heads=4, n_experts=3)
    >>> book
    <Workbook Llama 4: 2,584 parameters, 323 tensors>
    >>> book.config.n_kv_heads, book.tensors["layer_0.head_3.pattern"].shape
    (2, (3, 3))
    >>> book.save("llama4.xlsx").formulas > 300
    True
    >>> sheetgen.build("llama4", n_hats=4)
    Traceback (most recent call last):
        ...
    sheetgen.base.errors.InputError: llama4 has no setting 'n_hats': did you mean 'n_heads'?
    """
    from sheetgen.workbooks import single

    given = _given(text, tokens, target, pixels)
    look, _ = load_theme(str(theme)), _one_of("lang", lang, catalogues())
    record = Build(formulas=_one_of("formulas", formulas, get_args(Style)), theme=look.name, language=lang)
    wanted = {name: _plain(value) for name, value in settings.items()}
    shown: dict[str, Any] = {"controls": controls, "precision": precision}
    shown = {name: value for name, value in shown.items() if value is not None}
    source: Source
    if checkpoint is not None:
        from sheetgen.huggingface.convert import convert

        _refuse_own(preset, wanted, seed, weights)
        model = convert(Path(checkpoint), given, wanted.get("n_layers"), keep_vocab)
        request, source = model.request, model.source
        request = dataclasses.replace(request, config=dataclasses.replace(request.config, **shown))
        record, name = dataclasses.replace(record, weights="checkpoint", cut=model.cut), request.preset.title
    elif preset is None or keep_vocab is not None:
        need = "PRESET is missing" if preset is None else "--keep-vocab cuts a checkpoint"
        raise InputError(f"{need}: choose one of `sheetgen presets`, or a checkpoint by --from DIR")
    else:
        request, name = _request(preset, wanted | shown, given)
        request, source, record = _drawn(request, record, seed, weights)
    record = dataclasses.replace(record, published=request.preset.published)
    with speaking(lang):
        return _built(name, single.workbook(request, source, record, look, baseline), lang)


def compare(
    a: str | Workbook,
    b: str | Workbook,
    /,
    *,
    text: str | None = None,
    tokens: Iterable[int] | None = None,
    target: str | None = None,
    pixels: Pixels | None = None,
    weights: Weights = "byhand",
    seed: int = 0,
    formulas: Style = "blocks",
    theme: File = "light",
    lang: str = ENGLISH,
) -> Workbook:
    """Two models side by side in one workbook, with what changes between them.

    Each is a preset, perhaps with options (`llama2 --heads 3`), or a Workbook of one model, which keeps its words and
    numbers. The keywords are as in `build`, for the presets. Raises InputError when the two are not given the same.

    >>> both = sheetgen.compare("llama2 --heads 4", sheetgen.build("llama3", n_layers=1))
    >>> [model.title for model in both.models]
    ['A: llama2 --heads 4', 'B: llama3 n_layers=1']
    >>> both.tensors["b.layer_0.head_1.pattern"].shape
    (6, 6)
    """
    from sheetgen.workbooks.compare import Side, workbook

    given = _given(text, tokens, target, pixels)
    look, _ = load_theme(str(theme)), _one_of("lang", lang, catalogues())
    style = _one_of("formulas", formulas, get_args(Style))
    with speaking(lang):
        sides = []
        for each in (a, b):
            if isinstance(each, Workbook):
                only = each._only
                record = dataclasses.replace(only.build, language=lang)
                sides.append(Side(only.request, each.name, Kept(only.trace), record))
            else:
                request, name = _request(each, {}, given)
                request, source, record = _drawn(request, Build(language=lang), seed, weights)
                sides.append(Side(request, name, source, record))
        plan = workbook((sides[0], sides[1]), style, look)
        return _built(plan.title, plan, lang)


def tour(
    name: str,
    /,
    *,
    weights: Weights = "byhand",
    seed: int = 0,
    formulas: Style = "blocks",
    theme: File = "light",
    lang: str = ENGLISH,
) -> Workbook:
    """A lecture as one workbook: a sheet for each step, with exercises and folded answers. The rest as in `build`.

    name: llama, attention or mistral. Raises InputError for any other.

    >>> sheetgen.tour("attention").title
    'Attention: the seeds of the mechanism'
    """
    from sheetgen.workbooks.tour import find, workbook

    look, _ = load_theme(str(theme)), _one_of("lang", lang, catalogues())
    style = _one_of("formulas", formulas, get_args(Style))
    drawn = _one_of("weights", weights, get_args(Weights))
    with speaking(lang):
        return _built(name, workbook(find(name), _whole("seed", seed), drawn, style, look), lang)


def load(path: File) -> Workbook:
    """The workbook in a file, as it stands there now: its settings, red cells, controls and words.

    Raises InputError, BookError or EngineError when it is none of ours or cannot be read.

    >>> _ = sheetgen.build("llama1", text="the cat").save("cat.xlsx", force=True)
    >>> sheetgen.load("cat.xlsx").tensors["words"]
    array([['the', 'cat']], dtype=object)
    """
    from sheetgen.proof.check import standing
    from sheetgen.xlsx.read import read_book

    place = Path(path)
    book = read_book(place)
    data = place.read_bytes()
    models = []
    for key, now in standing(book).items():
        request = _as_asked(now.preset, now.model.config, now.model.trace, now.model.build)
        title = f"{key}: {request.preset.title}" if key else request.preset.title
        models.append(Model(key, title, request, now.model.trace, now.model.build))
    cells = sum(len(sheet.cells) + len(sheet.formula_at) for sheet in book.sheets.values())
    formulas = sum(len({id(each) for each in sheet.formula_at.values()}) for sheet in book.sheets.values())
    summary = Summary(list(book.sheets), cells, formulas)

    def copy(target: Path, _: Progress) -> Summary:
        with atomic.replacing(target) as draft:
            draft.write_bytes(data)
        return summary

    return Workbook(place.stem, place.name, tuple(models), copy)


def check(path: File, engine: str = "formulas", static: bool = False) -> Report:
    """Recompute the workbook in a file and compare every tensor with NumPy, also after somebody has edited it.

    engine: who recomputes it: formulas, libreoffice, formulon, ironcalc or formulas-model. static: calculate nothing,
    but compare the formulas with those that the model has. Raises InputError, BookError or EngineError when it cannot
    be checked.

    >>> _ = sheetgen.build("llama1", n_layers=1).save("llama1.xlsx", force=True)
    >>> sheetgen.check("llama1.xlsx")
    <Report llama1.xlsx: all 139 tensors equal, by formulas>
    >>> report = sheetgen.check("llama1.xlsx", static=True)
    >>> report.equal, report.differences, report.remarks
    (True, [], [])
    """
    from sheetgen.proof.check import check as prove

    return prove(Path(path), STATIC if static else _one_of("engine", engine, ENGINES))


# --- what was asked for ------------------------------------------------------------------------------------------


def _given(text: str | None, tokens: Iterable[int] | None, target: str | None, pixels: Pixels | None) -> Given:
    """What the model is given, once it is of the right kind."""
    for name, value in (("text", text), ("target", target)):
        if value is not None and not isinstance(value, str):
            raise InputError(f"{name} is of the type {type(value).__name__}: give one string")
    ids = None if tokens is None else [_whole("tokens", token) for token in tokens]
    if isinstance(pixels, str | PathLike):
        return Given(text, ids, target, images.read(Path(pixels)))
    return Given(text, ids, target, None if pixels is None else images.checked(np.asarray(pixels), "pixels"))


def _request(line: str, settings: dict[str, Any], given: Given) -> tuple[Request, str]:
    """The request for a preset, perhaps with options of its own, and what to call it."""
    name, own = options.parse(line)
    told = " ".join([*options.words(line), *(f"{key}={value}" for key, value in settings.items())])
    return presets.request(presets.find(name), own | settings, given), told


def _drawn(request: Request, record: Build, seed: int | None, weights: Weights | None) -> tuple[Request, Source, Build]:
    """The request with the source of its numbers, and the record that says so."""
    number, style = (
        _whole("seed", 0 if seed is None else seed),
        _one_of("weights", weights or "byhand", get_args(Weights)),
    )
    source = Drawn(number, style, request.texts, request.arrays)
    return request, source, dataclasses.replace(record, seed=number, weights=style)


def _refuse_own(preset: str | None, settings: Mapping[str, Any], seed: int | None, weights: str | None) -> None:
    """A checkpoint has its own sizes and numbers: raise InputError when they are given, too."""
    if preset is not None:
        raise InputError(f"{preset} and --from both name a model: choose one")
    own = [options.option_of(name) for name in settings if name != "n_layers"]
    own += [name for name, value in (("seed", seed), ("weights", weights)) if value is not None]
    if own:
        raise InputError(
            f"--{own[0]} cannot be given with --from, the checkpoint has its own: "
            "only --layers and --keep-vocab cut it down"
        )


def _as_asked(name: str, config: Config, trace: Trace, build: Build) -> Request:
    """What a model that was read from a file could have been asked for as."""
    known = presets.all_presets().get(name)
    if known is None or known.family is not type(config):
        known = Preset(name, name, "", "", type(config), {}, tuple(build.published or ()))
    blocks = trace.blocks.items()
    texts = {path: [str(word) for word in block.value.flat] for path, block in blocks if block.kind == "text"}
    return Request(known, config, texts, {path: block.value for path, block in blocks if block.kind == "input"})


def _built(name: str, plan: Plan, lang: str) -> Workbook:
    """A workbook that is to be written in this language."""

    def in_its_language(target: Path, progress: Progress) -> Summary:
        with speaking(lang):
            return write(target, plan, progress)

    models = tuple(Model(m.key, m.title, m.request, m.trace, m.build) for m in plan.models)
    return Workbook(name, plan.title, models, in_its_language)


def _one_of(name: str, value: Choice, known: Iterable[str]) -> Choice:
    """The value, if it is one of those that there are."""
    choices = list(known)
    if value not in choices:
        hint = suggest(str(value), choices, f"choose {' or '.join(choices)}")
        raise InputError(f"{name} is {value!r}: {hint}")
    return value


def _whole(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise InputError(f"{name}: {value!r} is no whole number") from None


def _plain(value: Any) -> Any:
    """A number of NumPy as Python's own."""
    return value.item() if isinstance(value, np.generic) else value


def _read_only(values: Array) -> Array:
    view = values.view()
    view.flags.writeable = False
    return view


def _counted(model: Model) -> str:
    return f"{model.parameters:,} parameters, {len(model.trace.blocks)} tensors"
