"""Settings as people and files have them ⇄ values of a family's fields: cells of Config, TOML, the command line.

What one of them may say, all may: a cell of Config can be typed behind `--set`, `true` into a cell.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import re
import tomllib
from typing import Any, get_args, get_type_hints

from sheetgen.base.cells import MAX_ROWS
from sheetgen.base.errors import InputError

Cell = str | int | float
Sizes = tuple[int, ...]  # one for each head, expert or layer; () when all are alike
ALIKE = "alike"  # how Config says that a list is empty
YES, NO = "yes", "no"  # and a truth, since LibreOffice saves TRUE and FALSE as formulas
DIGITS = 15  # of a whole number that a cell holds exactly
MOST = 10**9  # of any size; of what is counted one by one, as many as a sheet has rows
COUNTS = {"n_layers", "n_heads", "n_kv_heads", "n_experts"}

_hints = functools.cache(get_type_hints)  # slow: once for a family, not for every model


def kinds(family: type[Any]) -> dict[str, Any]:
    """The type of each field of a family: int, float, bool, str, `Sizes`, or a Literal of its words."""
    hints = _hints(family)  # type: ignore[arg-type]  # any class can be hashed
    return {f.name: hints[f.name] for f in dataclasses.fields(family)}


def written(value: Any) -> Cell:
    """The value of a setting as a cell that spreadsheet programs give back as it is."""
    if isinstance(value, bool):
        return YES if value else NO
    if isinstance(value, tuple):  # with blanks, since 5,3,3 might be read as a number
        return " ".join(map(str, value)) or ALIKE
    cell: Cell = value
    return cell


def read(kind: Any, value: Any) -> Any:
    """What a cell, TOML or the command line says, as a value of this kind; as it is when it means none.

    Lists of sizes are written `5,3,3`, `5 3 3`, [5, 3, 3], 5 or alike, a truth true or yes. Spreadsheet programs give
    1.0 for 1, and people type 1 for 1.0.
    """
    if kind == Sizes:
        return _sizes(value)
    if kind is bool and isinstance(value, str):
        return {YES: True, NO: False}.get(value.lower(), value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind is float and type(value) is int:
        with contextlib.suppress(OverflowError):  # of hundreds of digits: no double is as large
            return float(value)
    return value


def _sizes(value: Any) -> Any:
    if isinstance(value, str):
        words = [] if value.strip().lower() == ALIKE else re.split(r"[\s,;]+", value.strip())
        return tuple(map(int, words)) if all(w.isdecimal() and len(w) <= DIGITS for w in words) else value
    if type(value) is int or (isinstance(value, float) and value.is_integer()):
        return (int(value),)
    return tuple(value) if isinstance(value, list) else value


def parse_setting(text: str) -> tuple[str, Any]:
    """`field=value` of --set; the value is read as TOML, a bare word as text."""
    name, sign, value = text.partition("=")
    name, value = name.strip(), value.strip()
    if not sign or not re.fullmatch(r"\w+", name) or not value:
        raise InputError(f"--set {text}: write it as field=value, such as --set rope_theta=500000")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):  # no TOML, numbers of thousands of digits, lists thousands deep
        return name, value


def verify(f: dataclasses.Field[Any], kind: Any, value: Any) -> None:
    """A field must have the type it is declared with, and be no smaller than allowed; else raise InputError."""
    choices = get_args(kind)
    if kind == Sizes:
        if not isinstance(value, tuple) or any(type(size) is not int or size < 1 for size in value):
            raise InputError(f"{f.name} {value!r} is not a list of sizes: write whole numbers from 1 on, such as 5,3,3")
        if max(value, default=0) > MOST:
            raise InputError(f"{f.name} has the size {max(value)}, which is too large: it must be at most {MOST}")
    elif choices:
        if value not in choices:
            raise InputError(f"{f.name} {value!r} is not known: choose {' or '.join(choices)}")
    elif type(value) is not kind or (kind is float and not math.isfinite(value)):
        wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[kind]
        raise InputError(f"{f.name} {value!r} is not {wanted}")
    elif kind is str and not value.strip():
        raise InputError(f"{f.name} is empty, which no cell can say: choose a word, such as {f.default}")
    elif kind in (int, float) and value < f.metadata["low"]:
        raise InputError(f"{f.name} {value} is too small: it must be at least {f.metadata['low']}")
    elif kind is int and value > (most := MAX_ROWS if f.name in COUNTS else MOST):
        raise InputError(f"{f.name} {value} is too large: it must be at most {most}")


def each(sizes: Sizes, name: str, count: int, what: str) -> None:
    """Raise InputError when a list of sizes has not one for each of `count` parts."""
    if sizes and len(sizes) != count:
        raise InputError(f"{name} has {len(sizes)} sizes, but there are {count} {what}: give one for each, or none")
