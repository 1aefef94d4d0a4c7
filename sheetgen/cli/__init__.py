"""The command line. Exit codes: 0 fine, 1 a difference found, 2 cannot be done (one line on stderr says why)."""

from __future__ import annotations

import dataclasses
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from sheetgen import __version__
from sheetgen.base.errors import InputError, printable
from sheetgen.base.lang import ENGLISH, catalogues, speaking
from sheetgen.engines import ENGINES, quick
from sheetgen.model.choices import Format, Style, Weights

if TYPE_CHECKING:
    from sheetgen.sheet.workbook import Workbook

# Options of `build` that set one field of the family.
SIZES = {
    "layers": ("n_layers", "Number of layers."),
    "heads": ("n_heads", "Attention heads per layer; --kv-heads follows when it is not given."),
    "kv-heads": ("n_kv_heads", "Key/value heads per layer: a divisor of --heads."),
    "head-dim": ("head_dim", "Length of a query, key or value; even."),
    "dim": ("d_model", "Width of the residual stream."),
    "ffn": ("d_ff", "Hidden width of the feed-forward block, or of one expert."),
    "vocab": ("vocab_size", "Words in the vocabulary."),
    "experts": ("n_experts", "Routed experts (llama4)."),
    "top-k": ("top_k", "Experts each token is sent to (llama4)."),
    "moe-every": ("moe_every", "Every n-th layer is a mixture of experts, the others are dense."),
}
# Options that set one field to a size for each part, such as 5,3,3; one size is for all.
LISTS = {
    "qk-dim": ("qk_dims", "Length of queries and keys, values apart: one size, or one per key/value head."),
    "value-dims": ("value_dims", "Length of the values: one size, or one per key/value head."),
    "heads-per-layer": ("heads_by_layer", "Heads of each layer."),
    "ffn-per-layer": ("d_ff_by_layer", "Hidden width of the feed-forward block of each layer."),
    "expert-widths": ("expert_widths", "Hidden width of each expert."),
    "expert-outputs": ("expert_outputs", "Width of what each expert gives; one more matrix projects it back."),
}
SLOW = 300  # blocks from which on a progress bar is worth its lines


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sheetgen")
def commands() -> None:
    """Live Excel workbooks of transformer architectures, and the proof that they are right."""


def _size_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that say what of a preset is otherwise; each is None when it is not given."""
    controls = "usual, all, none, or names: which switches and numbers are live on top of the model."
    command = click.option("--controls", metavar="WHICH", help=controls)(command)
    rounded = "Round as a real model does, with full precision beside it; which of the formats is live."
    command = click.option("--precision", type=click.Choice(get_args(Format)), help=rounded)(command)
    command = click.option("--bias/--no-bias", default=None, help="Biases in all matrices, or in none.")(command)
    projection = "Add the heads' values as they are; together they must be as wide as the residual stream."
    command = click.option(
        "--no-output-projection", "output_projection", flag_value=False, default=None, type=bool, help=projection
    )(command)
    for option, (name, help_) in reversed(LISTS.items()):
        command = click.option(f"--{option}", name, metavar="N[,N…]", help=help_)(command)
    for option, (name, help_) in reversed(SIZES.items()):
        command = click.option(f"--{option}", name, type=int, help=help_)(command)
    return command


def _speak(context: click.Context, _: click.Parameter, code: str) -> None:
    """Speak the language for as long as the command runs."""
    context.with_resource(speaking(code))


_language = click.option(
    "--lang",
    type=click.Choice(list(catalogues())),
    default=ENGLISH,
    show_default=True,
    callback=_speak,
    expose_value=False,
    help="Language of the texts; names of settings and tensors stay as they are.",
)


@commands.command()
@click.argument("preset", required=False)
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path),
    help="A Hugging Face checkpoint instead of PRESET: the folder with config.json and model.safetensors.",
)
@click.option("--keep-vocab", metavar="WORDS", help="With --from: keep only these words (or ids) of the vocabulary.")
@_size_options
@click.option("--text", help="The sentence; its words become the vocabulary, filled up with common words.")
@click.option("--tokens", help="The sentence as ids of the vocabulary, such as 3,1,4, counted from 0.")
@click.option("--target", "translation", help="What is known of the translation, for an encoder-decoder.")
@click.option("--pixels", type=click.Path(path_type=Path), help="The image: a .npy file [channels, height, width].")
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Any setting of the Config sheet.")
@click.option("--seed", type=int, show_default="0", help="Seed of the weights.")
@click.option(
    "--weights",
    type=click.Choice(get_args(Weights)),
    show_default="byhand",
    help="byhand: one decimal; normal: deviation 0.02; zeros.",
)
@click.option(
    "--formulas",
    type=click.Choice(get_args(Style)),
    default="blocks",
    show_default=True,
    help="One array formula per block, or one formula per cell.",
)
@click.option("--theme", default="light", show_default=True, help="light, dark, print, plain, or a TOML file.")
@_language
@click.option(
    "--baseline/--no-baseline", default=True, help="Keep the values it is built with, to mark what changes later."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: generated/PRESET.xlsx")
@click.option("--force", is_flag=True, help="Replace a workbook that was edited since it was built.")
def build(
    preset: str | None,
    folder: Path | None,
    keep_vocab: str | None,
    text: str | None,
    tokens: str | None,
    translation: str | None,
    pixels: Path | None,
    settings: tuple[str, ...],
    seed: int | None,
    weights: Any,
    formulas: Any,
    theme: str,
    baseline: bool,
    output: Path | None,
    force: bool,
    **sizes: Any,
) -> None:
    """Write the live workbook of PRESET (see `sheetgen presets`), or of the model in a folder."""
    from sheetgen.look.load import load_theme
    from sheetgen.model import presets
    from sheetgen.model.given import Given
    from sheetgen.model.settings import parse_setting
    from sheetgen.model.weights import Drawn
    from sheetgen.sheet.build import Build
    from sheetgen.trace.recorder import Source
    from sheetgen.workbooks import single
    from sheetgen.xlsx import seal

    wanted: dict[str, Any] = {name: value for name, value in sizes.items() if value is not None}
    image = None if pixels is None else _image(pixels)
    given = Given(text, None if tokens is None else _ids(tokens), translation, image)
    source: Source
    if folder is not None:
        from sheetgen.huggingface.convert import convert

        own_look = {name: wanted.pop(name) for name in ("controls", "precision") if name in wanted}
        options = {"bias": ("bias", ""), "no-output-projection": ("output_projection", "")}
        own = {option: wanted.get(field) for option, (field, _) in (SIZES | LISTS | options).items()}
        own.pop("layers")
        _refuse_own(preset, own | {"set": settings or None, "seed": seed, "weights": weights})
        model = convert(folder, given, wanted.get("n_layers"), keep_vocab)
        request, source = model.request, model.source
        request = dataclasses.replace(request, config=dataclasses.replace(request.config, **own_look))
        made = Build(weights="checkpoint", cut=model.cut)
    elif preset is None or keep_vocab is not None:
        need = "PRESET is missing" if preset is None else "--keep-vocab cuts a checkpoint"
        raise InputError(f"{need}: choose one of `sheetgen presets`, or a checkpoint by --from DIR")
    else:
        wanted |= dict(map(parse_setting, settings))
        request = presets.request(presets.find(preset), wanted, given)
        source = Drawn(seed or 0, weights or "byhand", request.texts, request.arrays)
        made = Build(seed=seed or 0, weights=weights or "byhand")
    found = request.preset
    name = preset or re.sub(r"[^\w.-]+", "_", found.title)
    target = output or Path("generated") / f"{name}.xlsx"
    _may_write(target, force, seal.untouched)
    look = load_theme(theme)
    made = dataclasses.replace(made, formulas=formulas, theme=look.name, published=found.published)
    _save(single.workbook(request, source, made, look, baseline), target)


@commands.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--text", help="The sentence that both are given.")
@click.option("--tokens", help="The sentence as ids of the vocabulary, such as 3,1,4, counted from 0.")
@click.option("--target", "translation", help="What is known of the translation, for encoder-decoders.")
@click.option("--pixels", type=click.Path(path_type=Path), help="The image: a .npy file [channels, height, width].")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the weights of both.")
@click.option("--weights", type=click.Choice(get_args(Weights)), default="byhand", show_default=True)
@click.option("--formulas", type=click.Choice(get_args(Style)), default="blocks", show_default=True)
@_language
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: generated/A-B.xlsx")
@click.option("--force", is_flag=True, help="Replace a workbook that was edited since it was built.")
def compare(
    first: str,
    second: str,
    text: str | None,
    tokens: str | None,
    translation: str | None,
    pixels: Path | None,
    seed: int,
    weights: Any,
    formulas: Any,
    output: Path | None,
    force: bool,
) -> None:
    """Write A and B side by side in one workbook, with what changes between them.

    Each is a preset, or in quotes a preset with options of its own: "llama2 --heads 3" "llama2 --heads 4".
    """
    from sheetgen.model.given import Given
    from sheetgen.model.weights import Drawn
    from sheetgen.sheet.build import Build
    from sheetgen.workbooks.compare import Side, workbook
    from sheetgen.xlsx import seal

    given = Given(
        text, None if tokens is None else _ids(tokens), translation, None if pixels is None else _image(pixels)
    )
    drawn, sides = Build(seed=seed, weights=weights), []
    for words in map(_split, (first, second)):
        request = _request(words, given)
        source = Drawn(seed, weights, request.texts, request.arrays)
        sides.append(Side(request, " ".join(words), source, drawn))
    name = "-".join(re.sub(r"[^\w.]+", "_", side.name) for side in sides)
    target = output or Path("generated") / f"{name}.xlsx"
    _may_write(target, force, seal.untouched)
    _save(workbook((sides[0], sides[1]), formulas), target)


@commands.command()
@click.argument("name")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the weights of all steps.")
@click.option("--weights", type=click.Choice(get_args(Weights)), default="byhand", show_default=True)
@click.option("--formulas", type=click.Choice(get_args(Style)), default="blocks", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: generated/tour-NAME.xlsx")
@click.option("--force", is_flag=True, help="Replace a workbook that was edited since it was built.")
def tour(name: str, seed: int, weights: Any, formulas: Any, output: Path | None, force: bool) -> None:
    """Write the lecture NAME (llama, attention or mistral): a sheet per step, with exercises and folded answers."""
    from sheetgen.workbooks.tour import find, workbook
    from sheetgen.xlsx import seal

    target = output or Path("generated") / f"tour-{name}.xlsx"
    found = find(name)
    _may_write(target, force, seal.untouched)
    _save(workbook(found, seed, weights, formulas), target)


@click.command()
@click.argument("preset")
@_size_options
@click.option("--set", "settings", multiple=True)
def _model(**_: Any) -> None:
    """A preset with options of its own, as `compare` reads them."""


def _split(text: str) -> list[str]:
    """A model with its options as words; raises InputError when there is none, or a quote is left open."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InputError(f'{text!r} cannot be read ({error}): quote it like "llama2 --heads 3"') from None
    if not words:
        raise InputError("a model is missing: choose one of `sheetgen presets`")
    return words


def _request(words: list[str], given: Any) -> Any:
    """What a preset with options asks for, such as `llama2 --heads 3`; raises InputError naming it."""
    from sheetgen.model import presets
    from sheetgen.model.settings import parse_setting

    try:
        options = _model.make_context("compare", list(words)).params
    except click.ClickException as error:
        raise InputError(f"{' '.join(words)}: {error.format_message()}") from None
    preset, settings = presets.find(options.pop("preset")), options.pop("settings")
    sizes = {name: value for name, value in options.items() if value is not None}
    return presets.request(preset, sizes | dict(map(parse_setting, settings)), given)


def _save(workbook: Workbook, target: Path) -> None:
    """Write the workbook and say what it holds."""
    from sheetgen.xlsx.write import write

    blocks = sum(len(model.trace.blocks) for model in workbook.models)
    with _writing(target), _progress("writing", blocks) as step:
        target.parent.mkdir(parents=True, exist_ok=True)
        summary = write(target, workbook, step)
    parameters = " + ".join(f"{model.trace.parameters():,}" for model in workbook.models)
    click.echo(f"wrote       {target}")
    click.echo(f"sheets      {', '.join(summary.sheets)}")
    click.echo(f"cells       {summary.cells:,}")
    click.echo(f"formulas    {summary.formulas:,}")
    click.echo(f"parameters  {parameters} (red cells)")
    click.echo(f"check it    sheetgen check {shlex.quote(str(target))}")


@commands.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--engine",
    type=click.Choice([*ENGINES, "all"]),
    default="formulas",
    show_default=True,
    help="Who recomputes; all: everyone installed but the slow formulas-model.",
)
@click.option("--static", is_flag=True, help="Calculate nothing: compare the formulas with those the model has.")
@click.option("--json", "as_json", is_flag=True, help="Print the reports as JSON, with every tensor that differs.")
@click.option("--mark", type=click.Path(path_type=Path), help="A copy of FILE with the wrong cells marked.")
def check(files: tuple[Path, ...], engine: str, static: bool, as_json: bool, mark: Path | None) -> None:
    """Recompute workbooks and compare every tensor with NumPy, also after somebody edited them."""
    import json

    from sheetgen.proof import report as reports
    from sheetgen.proof import terminal
    from sheetgen.proof.many import check_all
    from sheetgen.proof.report import STATIC

    if mark is not None and (len(files) > 1 or engine == "all"):
        raise InputError("--mark marks one workbook, checked by one engine: give one FILE")
    engines = quick() if engine == "all" else [engine]
    engines = [STATIC] if static else engines
    jobs = [(file, name) for file in files for name in engines]
    code = 0
    told = []
    with _progress("checking", len(jobs), 2) as step:
        results = []
        for (file, name), result in zip(jobs, check_all(jobs), strict=True):
            results.append(result)
            step(str(file))
            if isinstance(result, str):
                code = 2
                told.append(reports.as_failure(file, name, result))
            else:
                code = max(code, 0 if result.difference is None else 1)
                told.append(reports.as_data(result))
    if mark is not None and not isinstance(results[0], str):
        from sheetgen.proof.mark import mark as mark_copy

        with _writing(mark):
            mark_copy(files[0], results[0], mark)
    if as_json:
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        sys.exit(code)
    for result in results:
        if isinstance(result, str):
            _say(result)
        else:
            terminal.show(result)
    sys.exit(code)


@commands.command()
@click.argument("model", metavar="FILE|PRESET")
@_size_options
@click.option("--text", help="The sentence of a PRESET.")
def show(model: str, text: str | None, **sizes: int | None) -> None:
    """Print the map of a workbook as it stands now (recomputed), or of a preset: parts, blocks, prediction."""
    from rich.console import Console

    from sheetgen.cli.tree import tree
    from sheetgen.engines import EngineError
    from sheetgen.model import presets
    from sheetgen.model.families import run
    from sheetgen.model.given import Given
    from sheetgen.model.weights import Drawn
    from sheetgen.proof.check import standing
    from sheetgen.xlsx.read import BookError, read_book

    wanted = {name: value for name, value in sizes.items() if value is not None}
    is_file = Path(model).suffix or Path(model).is_file()
    if model in presets.all_presets() or not is_file:
        request = presets.request(presets.find(model), wanted, Given(text))
        trees = [tree(request.preset.title, run(request.config, Drawn(0, "byhand", request.texts, request.arrays)))]
    elif wanted or text is not None:
        raise InputError(f"{model} has its own sizes and words: only a preset can be given others")
    else:
        try:
            found = standing(read_book(model))
        except (BookError, EngineError) as error:
            raise InputError(str(error)) from error
        trees = [tree(f"{model} {key}".strip(), now.trace, now.values) for key, now in found.items()]
    for each in trees:
        Console(highlight=False).print(each)


@commands.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="A .pdf, or a .png. Default: FILE-SHEET.png beside FILE"
)
@click.option("--sheet", "sheets", multiple=True, help="Only this sheet; may be repeated. Default: all that are shown")
@click.option("--dpi", type=click.IntRange(10, 1200), default=96, show_default=True, help="Resolution of a .png")
def picture(file: Path, output: Path | None, sheets: tuple[str, ...], dpi: int) -> None:
    """Draw the sheets of a workbook, each whole in one picture, recalculated by LibreOffice."""
    from sheetgen.cli.picture import draw
    from sheetgen.engines import EngineError
    from sheetgen.xlsx.read import BookError

    try:
        with _writing(output or file.parent):
            pictures = draw(file, output, sheets, dpi)
    except (BookError, EngineError) as error:
        raise InputError(str(error)) from error
    for found in pictures:
        size = f"{found.size[0]:,}×{found.size[1]:,} pixels" if found.size else f"{len(found.sheets)} pages"
        if found.size and found.dpi < dpi:
            size += f", {found.dpi} dpi: the sheet is too large for more"
        click.echo(f"wrote  {found.path}  ({', '.join(found.sheets)}: {size})")


@commands.command()
def presets() -> None:
    """List the presets: sizes and papers."""
    from rich.console import Console
    from rich.table import Table

    from sheetgen.model.presets import all_presets, request

    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("preset", "what it is", "sizes", "paper"):
        table.add_column(column, overflow="fold")
    for preset in all_presets().values():
        config = request(preset, {}).config
        sizes = ", ".join(
            f"{f.name} {getattr(config, f.name)}"
            for f in config.settings()
            if type(getattr(config, f.name)) is int and f.name in preset.sizes
        )
        table.add_row(preset.name, preset.summary, sizes, preset.paper)
    Console().print(table)


@commands.command(name="scale")
@click.argument("models", nargs=-1)
def scale_(models: tuple[str, ...]) -> None:
    """Parameters, cache and work of published models, by MODELS' names or parts of them; all without any."""
    from sheetgen.cli import scale
    from sheetgen.published.models import find_models
    from sheetgen.published.table import counted

    scale.show(counted(find_models(models)))


def _refuse_own(preset: str | None, options: dict[str, Any]) -> None:
    """A checkpoint has its own sizes and numbers: raise InputError when they are given, too."""
    if preset is not None:
        raise InputError(f"{preset} and --from both name a model: choose one")
    for option, value in options.items():
        if value is not None:
            raise InputError(
                f"--{option} cannot be given with --from, the checkpoint has its own: "
                "only --layers and --keep-vocab cut it down"
            )


def _ids(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")] if text.strip() else []
    except ValueError:
        raise InputError(f"--tokens {text}: write ids as numbers with commas, such as --tokens 3,1,4") from None


def _image(path: Path) -> Any:
    """The pixels in a file, [channels, height, width]."""
    import numpy as np

    from sheetgen.base.files import opened
    from sheetgen.model.given import MOST_PIXELS

    try:
        with opened(path):
            found = np.load(path, allow_pickle=False, mmap_mode="r")  # so that a file cannot ask for more than it has
    except OSError as error:
        raise InputError(f"--pixels {path}: {error.strerror or error}; save an array by numpy.save") from error
    except Exception as error:  # whatever the header of a damaged file makes NumPy raise
        raise InputError(f"--pixels {path}: it is no .npy file of numbers; save an array by numpy.save") from error
    if not isinstance(found, np.ndarray) or found.ndim != 3 or found.size == 0 or found.dtype.kind not in "fiub":
        raise InputError(f"--pixels {path}: it must hold numbers in the shape [channels, height, width]")
    if found.size > MOST_PIXELS:
        raise InputError(f"--pixels {path}: the image has {found.size:,} numbers: choose at most {MOST_PIXELS:,}")
    if not np.isfinite(found.astype(float)).all():
        raise InputError(f"--pixels {path}: it holds infinite numbers or none (NaN): a cell cannot show them")
    return found.astype(float)


def _may_write(target: Path, force: bool, untouched: Callable[[Path], bool]) -> None:
    """Refuse a target that is no workbook's name, or one that somebody has edited."""
    if target.suffix.lower() != ".xlsx":
        raise InputError(f"{target} does not end in .xlsx: choose such a name, so that spreadsheet programs open it")
    if target.is_dir():
        raise InputError(f"{target} is a folder: give the name of a file in it")
    if target.exists() and not force and not untouched(target):
        raise InputError(f"{target} was edited since it was built: give another name with -o, or --force to replace it")


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}; choose another place with -o") from error


@contextmanager
def _progress(what: str, steps: int, slow: int = SLOW) -> Iterator[Callable[[str], None]]:
    """A bar on a terminal when there is much to do, `slow` steps or more; else nothing."""
    if steps < slow or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=steps)
        yield lambda _: bar.advance(task)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    try:
        code = commands.main(arguments, prog_name="sheetgen", standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message())
    except click.Abort:
        _fail("stopped")
    except InputError as error:
        _fail(str(error))
    except MemoryError:
        _fail("this needs more memory than there is: choose a smaller model or file")
    sys.exit(code or 0)


def _fail(message: str) -> None:
    _say(message)
    sys.exit(2)


def _say(message: str) -> None:
    click.echo(f"sheetgen: {printable(message)}", err=True)
