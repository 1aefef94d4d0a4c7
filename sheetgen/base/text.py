"""Numbers as formulas and sentences have them; words that are alike."""

from __future__ import annotations

import unicodedata


def literal(value: float) -> str:
    """A number as a formula spells it: `3`, `0.1`."""
    return repr(int(value)) if value == int(value) else repr(value)


def folded(word: str) -> str:
    """The word without its case and form: The is like the, ﬁn like fin. They are two words all the same."""
    return unicodedata.normalize("NFKC", word).casefold()
