"""The commands that write a workbook: `build`, `compare` and `tour`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sheetgen.base.errors import InputError
from sheetgen.cli import options
from sheetgen.cli.terminal import progress
from sheetgen.model import options as model
from sheetgen.model.settings import parse_setting

if TYPE_CHECKING:
    from sheetgen.api import Workbook

SLOW = 300  # blocks from which on a progress bar is worth its lines


@click.command()
@click.argument("preset", required=False)
@click.option(
    "--from",
    "checkpoint",
    type=click.Path(path_type=Path),
    help="A Hugging Face checkpoint instead of PRESET: the folder with config.json and model.safetensors.",
)
@click.option("--keep-vocab", metavar="WORDS", help="With --from: keep only these words (or ids) of the vocabulary.")
@model.sizes
@options.given(
    "The sentence; its words become the vocabulary, filled up with common words.",
    "What is known of the translation, for an encoder-decoder.",
)
@model.setting
@options.seed("")
@options.weights
@options.formulas
@options.theme
@options.language
@click.option(
    "--baseline/--no-baseline", default=True, help="Keep the values it is built with, to mark what changes later."
)
@options.output("generated/PRESET.xlsx")
@options.force
def build(preset: str | None, settings: tuple[str, ...], output: Path | None, force: bool, **asked: Any) -> None:
    """Write the live workbook of PRESET (see `sheetgen presets`), or of the model in a folder."""
    from sheetgen import api
    from sheetgen.xlsx import saving

    own = dict(map(parse_setting, settings))
    for name in sorted(own.keys() & asked.keys() - model.FIELDS):
        raise InputError(f"--set {name}: it is no setting of a model, but an option: --{name.replace('_', '-')}")
    target = output or (Path("generated") / f"{preset}.xlsx" if preset else None)
    if target is not None:  # rather before the work than after it
        saving.refuse(target, force)
    workbook = api.build(preset, **options.chosen(asked) | own)
    if target is None:
        target = Path("generated") / (re.sub(r"[^\w.-]+", "_", workbook.name) + ".xlsx")
    _save(workbook, target, force)


@click.command()
@click.argument("a")
@click.argument("b")
@options.given("The sentence that both are given.", "What is known of the translation, for encoder-decoders.")
@options.seed(" of both")
@options.weights
@options.formulas
@options.theme
@options.language
@options.output("generated/A-B.xlsx")
@options.force
def compare(a: str, b: str, output: Path | None, force: bool, **asked: Any) -> None:
    """Write A and B side by side in one workbook, with what changes between them.

    Each is a preset, or in quotes a preset with options of its own: "llama2 --heads 3" "llama2 --heads 4".
    """
    from sheetgen import api
    from sheetgen.xlsx import saving

    name = "-".join(re.sub(r"[^\w.]+", "_", " ".join(model.words(side))) for side in (a, b))
    target = output or Path("generated") / f"{name}.xlsx"
    saving.refuse(target, force)
    _save(api.compare(a, b, **options.chosen(asked)), target, force)


@click.command()
@click.argument("name")
@options.seed(" of all steps")
@options.weights
@options.formulas
@options.theme
@options.language
@options.output("generated/tour-NAME.xlsx")
@options.force
def tour(name: str, output: Path | None, force: bool, **asked: Any) -> None:
    """Write the lecture NAME (llama, attention or mistral): a sheet per step, with exercises and folded answers."""
    from sheetgen import api
    from sheetgen.xlsx import saving

    target = output or Path("generated") / f"tour-{name}.xlsx"
    saving.refuse(target, force)
    _save(api.tour(name, **options.chosen(asked)), target, force)


def _save(workbook: Workbook, target: Path, force: bool) -> None:
    """Write the workbook and say what it holds."""
    blocks = sum(len(model.trace.blocks) for model in workbook.models)
    with progress("writing", blocks, SLOW) as step:
        summary = workbook.save(target, force=force, progress=step)
    parameters = " + ".join(f"{model.parameters:,}" for model in workbook.models)
    click.echo(f"wrote       {target}")
    click.echo(f"sheets      {', '.join(summary.sheets)}")
    click.echo(f"cells       {summary.cells:,}")
    click.echo(f"formulas    {summary.formulas:,}")
    click.echo(f"parameters  {parameters} (red cells)")
    click.echo(f"check it    sheetgen check {shlex.quote(str(target))}")
