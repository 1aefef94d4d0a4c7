"""Numbers as formulas and sentences have them."""

from __future__ import annotations


def literal(value: float) -> str:
    """A number as a formula spells it: `3`, `0.1`."""
    return repr(int(value)) if value == int(value) else repr(value)
