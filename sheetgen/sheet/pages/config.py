"""The page Config: every setting of the models, as `check` reads it back.

Its form: below the row that begins with "setting", the name of a setting in column A and its values in a column per
model, which is headed by the model's key ("value" for the only one).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from sheetgen.base import lang
from sheetgen.model.config import encode
from sheetgen.sheet.names import CONFIG
from sheetgen.sheet.workbook import Cell, Page, Placed

SETTING, VALUE, MEANING = "setting", "value", "meaning"  # heads of the columns


def settings_of(model: Placed) -> dict[str, Any]:
    """What Config holds: how the model was built, then every size of the family."""
    request = model.request
    made = {"preset": request.preset.name, "family": request.config.family, **model.build.encode()}
    return made | encode(request.config)


def config_page(models: Sequence[Placed], title: str = "") -> Page:
    """Every setting of the models, one per row, with a sentence; a column for each model."""
    first, alone = models[0], len(models) == 1
    page = Page(CONFIG, [24, *([18] * len(models)), 100], frozenset(range(1 + len(models))))
    page.row(0, f"{title or first.request.preset.title}: settings", look="HEADING")
    page.row(
        1,
        "What this workbook was built with. `sheetgen check` reads it; to change a size, build anew.",
        look="SUBTITLE",
    )
    page.cell(3, 0, SETTING, "TABLE_HEAD")
    for column, model in enumerate(models, start=1):  # `check` finds the models by their keys
        page.cells.append(Cell(3, column, model.key or VALUE, "TABLE_HEAD", named=bool(model.key)))
    page.cell(3, len(models) + 1, MEANING, "TABLE_HEAD")
    sentences: dict[str, str] = {
        "preset": first.request.preset.summary if alone else "What it was made from.",
        "family": "Which equations.",
        "language": "The language of the texts; names of settings and tensors are the same in every language.",
        "published": "The published models on the sheet Scale, by group.",
        "workbook": "What the models were put together for; empty when there is only one.",
        "like": "The published models that it is a small form of.",
        "seed": "Weights are drawn from it, each number by itself: growing the model leaves the others as they are.",
        "weights": "How weights were drawn: byhand (one decimal), normal, zeros; checkpoint: they were read from one.",
        "cut": "What of the checkpoint is not in this workbook.",
        "formulas": "blocks: one array formula per block; cells: one formula per cell.",
        "theme": "How it looks: light, dark, print, plain, or the TOML file that says so.",
    }
    settings = [settings_of(model) for model in models]
    for model in models:
        sentences |= {f.name: f.metadata["doc"] for f in model.request.config.settings()}
    row = 4
    for name in dict.fromkeys(name for mine in settings for name in mine):
        page.row(row, name, *(mine.get(name, "") for mine in settings), sentences[name])
        row += 1
    red = "the red cells of the Model sheet." if alone else "the red cells."
    page.row(
        row + 1, lang.tr("parameters"), *(model.trace.parameters() for model in models), f"Trainable numbers: {red}"
    )
    page.row(row + 2, lang.tr("paper"), *(model.request.preset.paper for model in models))
    page.row(row + 3, lang.tr("made by"), f"sheetgen {version('sheetgen')}")
    return page
