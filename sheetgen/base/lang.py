"""The language of the workbook's texts: English in the code, other languages in templates/lang/CODE.toml.

Texts are translated where they reach a cell (`write`, and `words` for the names of blocks). A catalogue is keyed by
the English text; `{}` in a key stands for anything, which is translated in turn if it can be. What no catalogue
knows stays as it is: names of tensors and settings, formulas, the user's own words.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, cached_property

from sheetgen.base.files import tables, templates

ENGLISH = "en"
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+")


@dataclass(frozen=True)
class Catalogue:
    """One language: English text → its own. `thousands` stands between the digits of large numbers."""

    name: str = "English"
    thousands: str = ","
    texts: dict[str, str] = field(default_factory=dict)

    def translate(self, text: str) -> str | None:
        """The text in this language, each line by itself where the whole is not known; None when no line is."""
        found = self.texts.get(text) or self._by_pattern(text)
        if found is None and "\n" in text:
            lines = [(line, self.translate(line)) for line in text.split("\n")]
            if any(known for _, known in lines):
                return "\n".join(line if known is None else known for line, known in lines)
        return found

    def parts(self, text: str) -> tuple[str, ...] | None:
        """What stands in the gaps of the key that fits the text; None when none does."""
        found = self._fitting(text)
        return found and found[1]

    def _by_pattern(self, text: str) -> str | None:
        found = self._fitting(text)
        return found and found[0].format(*map(self._part, found[1]))

    def _fitting(self, text: str) -> tuple[str, tuple[str, ...]] | None:
        matches = ((target, pattern.fullmatch(text)) for pattern, target in self._patterns)
        return next(((target, match.groups()) for target, match in matches if match), None)

    def _part(self, text: str) -> str:
        if _THOUSANDS.fullmatch(text):
            return text.replace(",", self.thousands)
        return self.translate(text) or text

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str]]:
        """Keys with gaps, those that say most first."""
        keys = sorted((key for key in self.texts if "{}" in key), key=len, reverse=True)
        return [(re.compile("(.+?)".join(map(re.escape, key.split("{}")))), self.texts[key]) for key in keys]


_SPOKEN: ContextVar[str] = ContextVar("language", default=ENGLISH)


@cache
def catalogues() -> dict[str, Catalogue]:
    """Every language by its code."""
    found = {ENGLISH: Catalogue()}
    for code, file in tables(templates() / "lang").items():
        data = tomllib.loads(file.read_text(encoding="utf-8"))
        found[code] = Catalogue(data["name"], data["thousands"], data["texts"])
    return found


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Texts are translated to this language within."""
    token = _SPOKEN.set(code)
    try:
        yield
    finally:
        _SPOKEN.reset(token)


def spoken() -> str:
    """The code of the language that is spoken now."""
    return _SPOKEN.get()


def tr(text: str) -> str:
    """The text in the language that is spoken; as it is when that does not know it."""
    return _translated(spoken(), text)


@cache
def _translated(code: str, text: str) -> str:
    return catalogues()[code].translate(text) or text


def everywhere(text: str) -> set[str]:
    """The text in every language: for those who read a workbook back."""
    return {catalogue.texts.get(text, text) for catalogue in catalogues().values()}
