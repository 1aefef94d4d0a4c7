"""A model in one line, as the command line has it: `llama2 --heads 3` → a preset and its settings.

The options that say what of a preset is otherwise, each by the field of the family that it sets.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click

from sheetgen.base.errors import InputError
from sheetgen.model.choices import Format
from sheetgen.model.settings import parse_setting

# Options that set one field of the family.
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
SWITCHES = {"bias": "bias", "no-output-projection": "output_projection"}
ANY = "set"  # the option for any other setting
FIELDS = {name for name, _ in (SIZES | LISTS).values()} | {*SWITCHES.values(), "controls", "precision"}

Command = TypeVar("Command", bound=Callable[..., Any])


def sizes(command: Command) -> Command:
    """Adds these options to a command of click; each is None when it is not given."""
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


def setting(command: Command) -> Command:
    """Adds the option for any other setting to a command of click."""
    told = "Any setting of the Config sheet."
    return click.option(f"--{ANY}", "settings", multiple=True, metavar="FIELD=VALUE", help=told)(command)


def option_of(field: str) -> str:
    """The option that sets a field of a family."""
    options = {name: option for option, (name, _) in (SIZES | LISTS).items()} | {v: k for k, v in SWITCHES.items()}
    return options.get(field, ANY)


@click.command()
@click.argument("preset")
@sizes
@setting
def _model(**_: Any) -> None:
    """A preset with options of its own."""


def words(text: str) -> list[str]:
    """The words of such a line; raises InputError when there is none, or a quote is left open."""
    try:
        found = shlex.split(text)
    except ValueError as error:
        raise InputError(f'{text!r} cannot be read ({error}): quote it like "llama2 --heads 3"') from None
    if not found:
        raise InputError("a model is missing: choose one of `sheetgen presets`")
    return found


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """The preset that such a line names, and the settings that it gives; raises InputError for what is no option."""
    asked = words(text)
    try:
        options = _model.make_context("compare", list(asked)).params
    except click.ClickException as error:
        raise InputError(f"{' '.join(asked)}: {error.format_message()}") from None
    preset, settings = options.pop("preset"), options.pop("settings")
    given = {name: value for name, value in options.items() if value is not None}
    return preset, given | dict(map(parse_setting, settings))
