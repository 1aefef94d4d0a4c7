"""How a workbook was built: the rows that Config has above the sizes, written and read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from sheetgen.base.lang import spoken
from sheetgen.model.choices import Style, Weights

# What the models of a workbook were put together for; a single model has no such row.
SINGLE, COMPARE, TOUR = "", "compare", "tour"
Origin = Weights | Literal["checkpoint"]  # of the weights

# The rows of each kind of workbook, in their order; those that say nothing are left out.
ROWS = {
    SINGLE: ("language", "published", "seed", "weights", "cut", "formulas", "theme"),
    COMPARE: ("language", "workbook", "seed", "weights", "cut", "formulas", "published", "like", "theme"),
    TOUR: ("language", "workbook", "published", "seed", "weights", "formulas", "theme"),
}


@dataclass(frozen=True, kw_only=True)
class Build:
    """How one model of a workbook was built, besides its settings.

    tour: the name of the lecture. seed: None for a checkpoint, of which `cut` says what was left out. published: the
    groups of published models that the sheet Scale shows (None: it has no such row); like: those of them that the
    model is a small form of.
    """

    kind: str = SINGLE
    tour: str = ""
    seed: int | None = None
    weights: Origin = "byhand"
    cut: str | None = None
    formulas: Style = "blocks"
    theme: str = "light"
    published: Sequence[str] | None = None
    like: Sequence[str] | None = None
    language: str = field(default_factory=spoken)

    def encode(self) -> dict[str, str | int]:
        """The rows of Config, by their names."""
        rows: dict[str, str | int | None] = {
            "language": self.language,
            "workbook": f"{self.kind} {self.tour}".strip(),
            "seed": self.seed,
            "weights": self.weights,
            "cut": self.cut,
            "formulas": self.formulas,
            # Several models could only be light for long, so that they say it only of another theme.
            "theme": self.theme if self.kind == SINGLE or self.theme != "light" else None,
            "published": None if self.published is None else ", ".join(self.published),
            "like": None if self.like is None else "; ".join(self.like),
        }
        return {name: value for name in ROWS[self.kind] if (value := rows[name]) is not None}

    @classmethod
    def decode(cls, settings: Mapping[str, Any]) -> Build:
        """From the rows of Config, as somebody may have edited them; a row that is missing means the default."""
        kind, _, tour = str(settings.get("workbook") or SINGLE).partition(" ")
        seed = settings.get("seed")
        whole = isinstance(seed, int) or (isinstance(seed, float) and seed.is_integer())
        return cls(
            kind=kind,
            tour=tour,
            seed=int(cast("float", seed)) if whole else None,
            weights=cast("Origin", str(settings.get("weights", "byhand"))),
            cut=str(settings["cut"]) if "cut" in settings else None,
            formulas="cells" if settings.get("formulas") == "cells" else "blocks",
            theme=str(settings.get("theme", "light")),
            published=_names(settings.get("published"), ", "),
            like=_names(settings.get("like"), "; "),
            language=str(settings.get("language", "en")),
        )


def _names(text: Any, between: str) -> Sequence[str] | None:
    """The names in a list of them; None where there is none at all."""
    return None if text is None else tuple(name for name in str(text).split(between) if name)
