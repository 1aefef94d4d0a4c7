"""The commands to look: `show`, `picture`, `presets` and `scale`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sheetgen.base.errors import InputError
from sheetgen.cli import options
from sheetgen.model import options as model_options


@click.command()
@click.argument("model", metavar="FILE|PRESET")
@model_options.sizes
@click.option("--text", help="The sentence of a PRESET.")
def show(model: str, text: str | None, **sizes: Any) -> None:
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

    wanted = options.chosen(sizes)
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
        trees = [tree(f"{model} {key}".strip(), now.model.trace, now.values) for key, now in found.items()]
    for each in trees:
        Console(highlight=False).print(each)


@click.command()
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
    from sheetgen.xlsx import saving
    from sheetgen.xlsx.read import BookError

    try:
        with saving.writing(output or file.parent):
            pictures = draw(file, output, sheets, dpi)
    except (BookError, EngineError) as error:
        raise InputError(str(error)) from error
    for found in pictures:
        size = f"{found.size[0]:,}×{found.size[1]:,} pixels" if found.size else f"{len(found.sheets)} pages"
        if found.size and found.dpi < dpi:
            size += f", {found.dpi} dpi: the sheet is too large for more"
        click.echo(f"wrote  {found.path}  ({', '.join(found.sheets)}: {size})")


@click.command()
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


@click.command()
@click.argument("models", nargs=-1)
def scale(models: tuple[str, ...]) -> None:
    """Parameters, cache and work of published models, by MODELS' names or parts of them; all without any."""
    from sheetgen.cli import scale as table
    from sheetgen.published.models import find_models
    from sheetgen.published.table import counted

    table.show(counted(find_models(models)))
