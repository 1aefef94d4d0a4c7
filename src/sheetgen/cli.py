"""The command line. Exit codes: 0 fine, 1 a difference found, 2 cannot be done (one line on stderr says why)."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from sheetgen import __version__
from sheetgen.errors import InputError

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
}
SLOW = 300  # blocks from which on a progress bar is worth its lines


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sheetgen")
def commands() -> None:
    """Live Excel workbooks of transformer architectures, and the proof that they are right."""


def _size_options(command: Callable[..., None]) -> Callable[..., None]:
    for option, (name, help_) in reversed(SIZES.items()):
        command = click.option(f"--{option}", name, type=int, help=help_)(command)
    return command


@commands.command()
@click.argument("preset")
@_size_options
@click.option("--text", help="The sentence; its words become the vocabulary, filled up with common words.")
@click.option("--tokens", help="The sentence as ids of the vocabulary, such as 3,1,4, counted from 0.")
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Any setting of the Config sheet.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the weights.")
@click.option(
    "--weights",
    type=click.Choice(["byhand", "normal", "zeros"]),
    default="byhand",
    show_default=True,
    help="byhand: one decimal; normal: deviation 0.02; zeros.",
)
@click.option(
    "--formulas",
    type=click.Choice(["blocks", "cells"]),
    default="blocks",
    show_default=True,
    help="One array formula per block, or one formula per cell.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: generated/PRESET.xlsx")
@click.option("--force", is_flag=True, help="Replace a workbook that was edited since it was built.")
def build(
    preset: str,
    text: str | None,
    tokens: str | None,
    settings: tuple[str, ...],
    seed: int,
    weights: str,
    formulas: Any,
    output: Path | None,
    force: bool,
    **sizes: int | None,
) -> None:
    """Write the live workbook of PRESET (see `sheetgen presets`)."""
    from sheetgen import pages, presets, seal, write
    from sheetgen.layout import lay_out
    from sheetgen.models import run
    from sheetgen.weights import Drawn

    found = presets.find(preset)
    wanted = {name: value for name, value in sizes.items() if value is not None}
    given = presets.Given(text, None if tokens is None else _ids(tokens))
    request = presets.request(found, wanted | dict(map(presets.parse_setting, settings)), given)
    target = output or Path("generated") / f"{preset}.xlsx"
    _may_write(target, force, seal.untouched)
    trace = run(request.config, Drawn(seed, weights, request.texts))  # type: ignore[arg-type]
    layout = lay_out(trace)
    made = {"seed": seed, "weights": weights, "formulas": formulas}
    sheets = [
        pages.map_page(request, trace),
        pages.config_page(request, made, trace),
        pages.contents_page(request, trace, layout),
    ]
    with _writing(target), _progress("writing", len(trace.blocks)) as step:
        target.parent.mkdir(parents=True, exist_ok=True)
        summary = write.write(target, found, trace, layout, sheets, formulas, step)
    click.echo(f"wrote       {target}")
    click.echo(f"sheets      {', '.join(summary.sheets)}")
    click.echo(f"cells       {summary.cells:,}")
    click.echo(f"formulas    {summary.formulas:,}")
    click.echo(f"parameters  {trace.parameters():,} (red cells)")
    click.echo(f"check it    sheetgen check {shlex.quote(str(target))}")


ENGINE_NAMES = ["formulas", "libreoffice", "ironcalc", "formulas-model"]


@commands.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--engine",
    type=click.Choice([*ENGINE_NAMES, "all"]),
    default="formulas",
    show_default=True,
    help="Who recomputes; all: everyone installed but the slow formulas-model.",
)
def check(files: tuple[Path, ...], engine: str) -> None:
    """Recompute workbooks and compare every tensor with NumPy, also after somebody edited them."""
    from sheetgen.book import BookError
    from sheetgen.check import check as check_file
    from sheetgen.engines import EngineError, available
    from sheetgen.report import show

    engines = [name for name in ENGINE_NAMES[:-1] if available(name)] if engine == "all" else [engine]
    code = 0
    for file in files:
        for name in engines:
            try:
                report = check_file(file, name)
            except (InputError, BookError, EngineError) as error:
                _say(str(error))
                code = 2
            else:
                show(report)
                code = max(code, 0 if report.difference is None else 1)
    sys.exit(code)


@commands.command()
def presets() -> None:
    """List the presets: sizes and papers."""
    import dataclasses

    from rich.console import Console
    from rich.table import Table

    from sheetgen.presets import all_presets, request

    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("preset", "what it is", "sizes", "paper"):
        table.add_column(column, overflow="fold")
    for preset in all_presets().values():
        config = request(preset, {}).config
        sizes = ", ".join(
            f"{f.name} {getattr(config, f.name)}"
            for f in dataclasses.fields(config)
            if type(getattr(config, f.name)) is int and f.name in preset.sizes
        )
        table.add_row(preset.name, preset.summary, sizes, preset.paper)
    Console().print(table)


def _ids(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")] if text.strip() else []
    except ValueError:
        raise InputError(f"--tokens {text}: write ids as numbers with commas, such as --tokens 3,1,4") from None


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
def _progress(what: str, steps: int) -> Iterator[Callable[[str], None]]:
    """A bar on a terminal when there is much to do; else nothing."""
    if steps < SLOW or not sys.stderr.isatty():
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
    sys.exit(code or 0)


def _fail(message: str) -> None:
    _say(message)
    sys.exit(2)


def _say(message: str) -> None:
    click.echo(f"sheetgen: {' '.join(message.split())}", err=True)
