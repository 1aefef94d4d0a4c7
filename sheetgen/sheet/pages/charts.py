"""The sheet Pictures: what people would rather see than read, as charts of the live cells. Knows no Excel library.

Attention is not here: its patterns are coloured where they stand, in the model.
"""

from __future__ import annotations

from collections.abc import Iterator

from sheetgen.base.cells import Range
from sheetgen.sheet.names import PICTURES
from sheetgen.sheet.workbook import Chart, Page, Placed, Series, Table
from sheetgen.text.equation import sentence_of
from sheetgen.trace.ops import ALL
from sheetgen.trace.tensor import Block


def pictures_page(model: Placed, scale: Table | None = None) -> Page | None:
    """The charts that this model has; None without any."""
    charts = sorted(_charts(model), key=lambda chart: chart.shape)  # the prediction first
    charts += _shares(scale) if scale else ()
    if not charts:
        return None
    page = Page(PICTURES, [2.0], charts=charts)
    page.row(0, f"{model.request.preset.title}: pictures", look="HEADING")
    page.row(1, "Each is drawn from the cells: change a word or a red cell, and it follows.", look="SUBTITLE")
    return page


def _charts(model: Placed) -> Iterator[Chart]:
    places = model.layout.places
    for path, tensor in model.trace.blocks.items():
        if tensor.role == "probabilities":
            yield _choices(tensor, places)
        elif tensor.name == "angle":
            yield _angles(model, tensor)
        elif tensor.role == "gate":
            tokens = model.trace.blocks.get(tensor.axes[1])
            names = places[tokens.path] if tokens is not None else places[path].part(0, ALL)
            experts = tuple(Series(f"expert {e}", places[path].part(e, ALL)) for e in range(tensor.rows))
            where = path.split(".")[0].replace("_", " ").capitalize()
            yield Chart(
                *("stacked", f"{where}: which expert sees which token", "token", "gate", names, experts),
                f"Stacked columns, one for each token: the weight of each of {tensor.rows} experts for it.",
            )


def _choices(probs: Block, places: dict[str, Range]) -> Chart:
    names = places[probs.axes[0]]
    last = places[probs.path].part(ALL, probs.columns - 1)
    label = probs.axes[0] == "labels"
    what = "label of the image" if label else "next word after the last one"
    return Chart(
        *("bars", f"Probability of every {what}", "label" if label else "word", "probability"),
        *(names, (Series("probability", last),)),
        f"Columns: the probability of each of {probs.rows} choices to be the {what}; together they are 1.",
    )


def _angles(model: Placed, angle: Block) -> Chart:
    """Of each pair or wave one line."""
    frame = f"{angle.frame.path}." if angle.frame.path else ""
    index = next(
        model.trace.blocks[f"{frame}{name}"] for name in ("pair", "wave") if f"{frame}{name}" in model.trace.blocks
    )
    numbers = [int(n) for n in index.value[:, 0]]
    place = model.layout.places[angle.path]
    lines = tuple(Series(f"{index.name} {n}", place.part(numbers.index(n), ALL)) for n in sorted(set(numbers)))
    title = f"{angle.frame.title}: angles"
    positions = next(block for block in angle.blocks_used() if block.rows == 1 and block.columns == angle.columns)
    return Chart(
        *("lines", title, "position", "radians", model.layout.places[positions.path], lines),
        f"Lines, one for each {index.name}: {sentence_of(angle)} The first turns fastest.",
    )


def _shares(scale: Table) -> Iterator[Chart]:
    """What the parameters of the published models are for."""
    parts = {path: place for path, place in scale.places.items() if path.rpartition(".")[2].startswith("share_")}
    if not parts:
        return
    first = next(iter(parts.values()))
    names = Range(first.sheet, first.top, 0, first.bottom, 0)
    series = tuple(Series(path.partition("share_")[2], place) for path, place in parts.items())
    yield Chart(
        *("shares", "What the parameters are for", "model", "share", names, series),
        "Bars, one for each published model: the shares of its parameters in embedding, attention and so on.",
    )
