"""The options that several commands share, and what their values mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from sheetgen.base.errors import InputError
from sheetgen.base.lang import ENGLISH, catalogues
from sheetgen.model.choices import Style, Weights

Command = TypeVar("Command", bound=Callable[..., Any])

theme = click.option("--theme", default="light", show_default=True, help="light, dark, print, plain, or a TOML file.")
language = click.option(
    "--lang",
    type=click.Choice(list(catalogues())),
    default=ENGLISH,
    show_default=True,
    help="Language of the texts; names of settings and tensors stay as they are.",
)
formulas = click.option(
    "--formulas",
    type=click.Choice(get_args(Style)),
    default="blocks",
    show_default=True,
    help="One array formula per block, or one formula per cell.",
)
weights = click.option(
    "--weights",
    type=click.Choice(get_args(Weights)),
    show_default="byhand",
    help="byhand: one decimal; normal: deviation 0.02; zeros.",
)
force = click.option("--force", is_flag=True, help="Replace a workbook that was edited since it was built.")


def seed(whose: str) -> Callable[[Command], Command]:
    """The option for the seed of somebody's weights."""
    return click.option("--seed", type=int, show_default="0", help=f"Seed of the weights{whose}.")


def output(usual: str) -> Callable[[Command], Command]:
    """The option for the file, which usually has another name."""
    return click.option("-o", "--output", type=click.Path(path_type=Path), help=f"Default: {usual}")


def given(text: str, target: str) -> Callable[[Command], Command]:
    """The options for what a model is given; text, target: what is told of these two."""

    def added(command: Command) -> Command:
        image = "The image: a .npy file [channels, height, width]."
        ids = "The sentence as ids of the vocabulary, such as 3,1,4, counted from 0."
        command = click.option("--pixels", type=click.Path(path_type=Path), help=image)(command)
        command = click.option("--target", help=target)(command)
        command = click.option("--tokens", callback=_ids, help=ids)(command)
        return click.option("--text", help=text)(command)

    return added


def chosen(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _ids(_: click.Context, __: click.Parameter, text: str | None) -> list[int] | None:
    try:
        return None if text is None else [int(part) for part in text.split(",")] if text.strip() else []
    except ValueError:
        raise InputError(f"--tokens {text}: write ids as numbers with commas, such as --tokens 3,1,4") from None
