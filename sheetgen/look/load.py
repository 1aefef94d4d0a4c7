"""Themes by name or file: those of templates/themes and those of users are read alike."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args, get_type_hints

from sheetgen.base.errors import InputError, suggest
from sheetgen.base.files import tables, templates
from sheetgen.look.colours import READABLE, contrast
from sheetgen.look.roles import FrameKind
from sheetgen.look.theme import Theme
from sheetgen.text.blocks import Colour

FIRST = "light"  # sets every key; the others begin from it, if they do not say another `base`
TABLES = {"fills": get_args(Colour), "lines": get_args(Colour), "frames": get_args(FrameKind)}
BOUNDS = {
    "size": (6, 40),
    "column_width": (2, 60),
    "margin_width": (0.5, 60),
    "stream_width": (1, 60),
    "row_height": (8, 200),
    "zoom": (10, 400),
    "chart_width": (100, 4000),
    "chart_height": (100, 4000),
}


def load_theme(name: str) -> Theme:
    """The theme of this name, or the one in the TOML file of this name; raises InputError for what it cannot be.

    A file sets keys of `Theme`, colours as "#RRGGBB", colour groups under [fills] and [lines], kinds of parts under
    [frames]; the rest is as in the theme called `base` (light when it is not said).
    """
    if name in theme_names():
        return _built_in(name)
    path = Path(name)
    if path.suffix.lower() != ".toml":
        hint = suggest(name, theme_names(), f"choose {', '.join(theme_names())}, or a file that ends in .toml")
        raise InputError(f"--theme {name}: {hint}")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"--theme {path}: {error.strerror or error}; give a file that can be read") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"--theme {path}: it is no TOML: {error}") from error
    try:
        return _made(path.name, data)
    except InputError as error:
        raise InputError(f"--theme {path}: {error}") from error


def theme_names() -> list[str]:
    """The themes that are there without a file of one's own."""
    return list(tables(templates() / "themes"))


@functools.cache
def _built_in(name: str) -> Theme:
    return _made(name, tomllib.loads(tables(templates() / "themes")[name].read_text(encoding="utf-8")))


def _made(name: str, data: dict[str, Any]) -> Theme:
    base = data.pop("base", FIRST)
    if base not in theme_names():
        raise InputError(f"base is {base!r}: choose {', '.join(theme_names())}")
    made = {} if name == FIRST else dict(vars(_built_in(base)))
    kinds = {key: kind for key, kind in get_type_hints(Theme).items() if key != "name"}
    for key, value in data.items():
        if key not in kinds:
            raise InputError(f"there is no {key!r}: {_meant(key, kinds)}")
        made[key] = _table(key, value, made.get(key, {})) if key in TABLES else _value(key, value, kinds[key])
    theme = Theme(**made | {"name": name})
    _refuse_unreadable(theme)
    return theme


def _refuse_unreadable(theme: Theme) -> None:
    """Raise InputError for texts that nobody can read, and for another red than that of the weights."""
    for key, behind in (("ink", "paper"), ("quiet", "paper"), ("link", "button")):
        text, fill = getattr(theme, key), getattr(theme, behind)
        found = contrast(text, fill)
        if found < READABLE:
            raise InputError(
                f"{key} {text} on {behind} {fill} has a contrast of {found:.1f} : 1: "
                f"choose colours with at least {READABLE} : 1, or nobody reads it in the last row"
            )
    same = [key for key, fill in theme.fills.items() if key != "weight" and fill == theme.fills["weight"]]
    if same:
        raise InputError(f"fills.{same[0]} is the colour of the weights: choose another, it marks what is trainable")


def _table(key: str, value: Any, before: dict[str, str]) -> dict[str, str]:
    """Some colours of a table, the others as they were."""
    if not isinstance(value, dict):
        raise InputError(f"{key} is {value!r}: write its colours in a table [{key}]")
    for inner in value:
        if inner not in TABLES[key]:
            raise InputError(f"[{key}] has no {inner!r}: {_meant(inner, TABLES[key])}")
    return before | {inner: _value(f"{key}.{inner}", colour, str) for inner, colour in value.items()}


def _meant(key: str, keys: Iterable[str]) -> str:
    return suggest(key, keys, f"choose from {', '.join(keys)}")


def _value(key: str, value: Any, kind: type) -> Any:
    """A value of a theme as it must be: a switch, a number within its bounds, a font, a colour."""
    if kind is bool:
        if isinstance(value, bool):
            return value
        raise InputError(f"{key} is {value!r}: write true or false")
    if key in BOUNDS:
        low, high = BOUNDS[key]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        whole = kind is int
        if number and low <= value <= high and (value == int(value) or not whole):
            return kind(value)
        raise InputError(f"{key} is {value!r}: choose a {'whole ' if whole else ''}number from {low} to {high}")
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{key} is {value!r}: write a text in quotes")
    if key != "font" and not re.fullmatch(r"#[0-9A-Fa-f]{6}", value):
        raise InputError(f'{key} is {value!r}: write a colour as "#RRGGBB", such as "#1F5C99"')
    return value if key == "font" else value.upper()


LIGHT = load_theme(FIRST)  # the look of a workbook that nobody asks another of
