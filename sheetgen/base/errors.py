"""The one exception a user may cause: printed as a line, exit code 2; and what such a line suggests."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable


class InputError(Exception):
    """What is wrong, where, and how to mend it."""


class TooLarge(InputError):
    """A model that no workbook holds; whoever asked for it says where the sizes come from."""


def suggest(
    name: str,
    known: Iterable[str],
    otherwise: str = "",
    *,
    most: int = 1,
    likeness: float = 0.6,
    plain: Callable[[str], str] = str,
) -> str:
    """`did you mean 'rope_theta'?` for a name that is not among the known ones; `otherwise` when none is like it.

    At most so many are told, each at least this like `name` (1: the same), both spelled `plain` for the comparison.
    """
    spelled = {plain(each): each for each in known}
    close = [spelled[found] for found in difflib.get_close_matches(plain(name), spelled, most, likeness)]
    return f"did you mean {' or '.join(map(repr, close))}?" if close else otherwise


def printable(text: str) -> str:
    """A line that a terminal can only show: no breaks, no signs that steer it, none that turn the reading around."""
    return "".join(sign if sign.isprintable() else "?" for sign in " ".join(text.split()))
