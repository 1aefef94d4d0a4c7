"""The page Contents: every tensor in the order of computation."""

from __future__ import annotations

from collections.abc import Sequence

from sheetgen.sheet.names import CONTENTS
from sheetgen.sheet.workbook import Page, Placed
from sheetgen.text.equation import equation_of, sentence_of, shape_of


def contents_page(models: Sequence[Placed], title: str = "") -> Page:
    """Every tensor in the order of computation: link, cells, shape, operation, sentence."""
    page = Page(CONTENTS, [34, 14, 10, 12, 46, 100], frozenset({0, 1, 2, 4}))
    page.row(0, f"{title or models[0].request.preset.title}: every tensor", look="HEADING")
    page.row(1, "In the order of computation. Click a name to jump to its cells.", look="SUBTITLE")
    page.row(3, "tensor", "cells", "shape", "kind", "equation", "what it is", look="TABLE_HEAD")
    row = 4
    for model in models:
        if model.key:
            page.row(row, model.title, look="KEY")
            row += 1
        for path, tensor in model.trace.blocks.items():
            equation = f"{tensor.name} = {equation_of(tensor)}" if tensor.kind == "computed" else ""
            cells = model.layout.places[path]
            page.row(
                row,
                path,
                str(cells) if model.key else cells.a1,
                shape_of(tensor),
                "trainable" if tensor.kind == "weight" else tensor.kind,
                equation,
                sentence_of(tensor),
                link=model.name(path),
            )
            row += 1
    return page
