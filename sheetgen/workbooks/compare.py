"""Two models in one workbook: which blocks differ and why, their sizes and costs, what they say.

`computed` holds the live part of the sheet `What changes`; `check` computes it once more from the workbook.
"""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sheetgen.base.cells import Range
from sheetgen.base.errors import InputError
from sheetgen.base.lang import tr
from sheetgen.look.load import LIGHT
from sheetgen.look.theme import Theme
from sheetgen.model.choices import Style
from sheetgen.model.families import run
from sheetgen.model.presets import Request
from sheetgen.model.settings import written
from sheetgen.published.columns import COUNT, MARK
from sheetgen.published.models import all_groups
from sheetgen.published.table import PUBLISHED, Columns
from sheetgen.published.table import SCOPE as SCALE_SCOPE
from sheetgen.sheet.build import COMPARE, Build
from sheetgen.sheet.names import CHANGES
from sheetgen.sheet.pages.config import config_page
from sheetgen.sheet.pages.contents import contents_page
from sheetgen.sheet.workbook import Page, Placed, Ran, Table, Workbook, place
from sheetgen.text.equation import shape_of
from sheetgen.text.reasons import reason
from sheetgen.trace.recorder import Source, Trace, scope, section
from sheetgen.trace.tensor import Block, apply, join, same_words
from sheetgen.workbooks import blame, scale

KEYS = ("a", "b")
SCOPE = "changes"
LINE = 140  # letters of a sentence in one row
FEW = 6  # blocks of one cause that are shown at once; more are folded up

# What is told of both models: columns of the sheet Scale, and how their numbers look.
NUMBERS = {
    **{name: name for name in ("d_model", "n_layers", "n_heads", "n_kv_heads", "head_dim", "d_ff")},
    **{name: name for name in ("n_experts", "top_k", "vocab_size")},
    "total": "parameters",
    "active": "parameters that work on a token",
    "macs": "multiply–accumulates per token, context n",
    "kv": "numbers in the KV cache per token",
    "kv_bytes": "bytes in the KV cache per token",
    "kv_context": "bytes in the KV cache, context n",
}
SAID = ("next_word", "next_prob", "label", "label_prob")
HEADS = {"next_word": "next word", "next_prob": "its p", "label": "label", "label_prob": "its p", "same": "the same"}
GIVEN = ("words", "decoder.words")


@dataclass(frozen=True)
class Side:
    """One of the models to compare.

    name: how it is called, a preset with the options of its own. source: its numbers; drawn: how they were drawn.
    """

    request: Request
    name: str
    source: Source
    drawn: Build


def workbook(sides: tuple[Side, Side], style: Style = "blocks", theme: Theme = LIGHT) -> Workbook:
    """The workbook of both models, which are given the same words or image.

    Raises InputError when they are given different kinds of things.
    """
    refuse_unlike(sides)
    names = [side.name for side in sides]
    models = list(_place_all(sides, style, theme))
    table = scale.table([model.ran for model in models], names)
    changes = _page(models, sides, table)
    title = " → ".join(names)
    after: list[Page | Table] = [config_page(models, title), contents_page(models, title)]
    sheets = [changes, *models, *after, *([table] if table else [])]
    return Workbook(title, "Two models side by side", sheets, style, theme)


def _place_all(sides: Sequence[Side], style: Style, theme: Theme) -> Iterator[Placed]:
    groups = [side.request.preset.published for side in sides]
    together = _countable([name for names in groups for name in names])
    first: Placed | None = None
    for key, side, names in zip(KEYS, sides, groups, strict=True):
        request = side.request
        build = dataclasses.replace(
            side.drawn,
            kind=COMPARE,
            formulas=style,
            theme=theme.name,
            published=names if together else None,
            like=_like(request) if together else None,
        )
        title = f"{key.upper()}: {side.name}"
        sheet = f"{key.upper()} {request.preset.name}"
        trace = run(request.config, side.source)
        first = place(request, build, trace, key=key, title=title, sheet=sheet, given_by=first)
        yield first


def _countable(groups: Sequence[str]) -> bool:
    """Whether the published models of all groups fit one table."""
    known = all_groups()
    return bool(groups) and len({known[name].equation for name in groups}) == 1


def _like(request: Request) -> list[str]:
    """The published models that a preset is a small form of: those called like it."""
    known, title = all_groups(), _plain(request.preset.title)
    models = [model.name for group in request.preset.published for model in known[group].models]
    return [name for name in models if re.match(rf"{re.escape(title)}(?!\.?\d\b)(?!\.)", _plain(name))]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9. ]", "", name.casefold().replace("-", " ")).replace(" ", "")


# --- what is computed --------------------------------------------------------------------------------------------


def recomputed(models: Sequence[Ran], sheets: Container[str], source: Columns) -> Iterator[Trace]:
    """What the workbook computes besides its models, on those of its sheets that are still there."""
    table = scale.recomputed(models, sheets, source)
    if table is not None:
        yield table
    if CHANGES in sheets:
        yield computed(models, table)


def computed(models: Sequence[Ran], table: Trace | None) -> Trace:
    """Sizes, costs and outputs of both models side by side; `table`: the trace of the sheet Scale."""
    with Trace(PUBLISHED) as trace, scope(SCOPE, "What changes"):
        if table is not None:
            with section("Sizes and costs"):
                _numbers(models, table)
        with section("Outputs"):
            _outputs(models)
    return trace


def _numbers(models: Sequence[Ran], table: Trace) -> None:
    """Each quantity as a row: both models, then the published ones that are like them."""
    known = all_groups()
    listed = [model.name for group in scale.groups_of(models) for model in known[group].models]
    chosen = [listed.index(name) for name in like_of(models)]
    for name in NUMBERS:
        column = table.blocks.get(f"{SCALE_SCOPE}.{'flops' if name == 'macs' else name}")
        if column is None:  # all models have it alike
            continue
        last = column.rows - 1  # a row for a reader's own sizes
        parts = [apply("rows", column, start=last - len(models), stop=last)]
        parts += [apply("rows", column, start=row, stop=row + 1) for row in chosen]
        across = [part.T / 2 if name == "macs" else part.T for part in parts]
        join(across).named(name)


def like_of(models: Sequence[Ran]) -> list[str]:
    """The published models that are shown beside the two."""
    return list(dict.fromkeys(n for m in models for n in m.build.like or ()))


def _outputs(models: Sequence[Ran]) -> None:
    """What both are given and what they say, position by position."""
    for path in GIVEN:
        givers = [model for model in models if path in model.trace.blocks]
        if givers:
            givers[0].seen(path).T.named(path.replace(".", "_"))
            break
    said: dict[str, list[Block]] = {}
    for model in models:
        for path in SAID:
            if path in model.trace.blocks:
                made = model.seen(path).T.named(f"{model.key}_{path}")
                said.setdefault(path, []).append(made)
    for path in ("next_word", "label"):
        both = said.get(path, [])
        if len(both) == 2 and both[0].shape == both[1].shape:
            same_words(*both).named("same")


# --- on the sheet ------------------------------------------------------------------------------------------------


def _page(models: Sequence[Placed], sides: Sequence[Side], table: Table | None) -> Table:
    page = Page(CHANGES, [40, 26, *([16] * 10)])
    sheet = Table(page, computed([model.ran for model in models], table.trace if table else None))
    a, b = models
    found = blame.causes(a.request.config, b.request.config, a.trace, b.trace)
    page.row(0, f"{sides[0].name} → {sides[1].name}: what changes", look="HEADING")
    count = sum(len(row.paths) for cause in found for row in cause.rows)
    alike = len(set(a.trace.blocks) | set(b.trace.blocks)) - count
    told = f"{count} blocks differ, {alike} are alike: the same equation and shape"
    ways = [(model.build.weights, model.build.seed) for model in (a, b)]
    if ways[0] == ways[1] and a.build.seed is not None:
        told += f", the same weights from seed {a.build.seed}"
    page.row(1, f"{told}. Words are changed on {a.sheet}.", look="SUBTITLE")
    page.row(2, f"go to {a.sheet}", link=a.name(next(iter(a.trace.blocks))))
    page.link(2, 1, f"go to {b.sheet}", b.name(next(iter(b.trace.blocks))))
    row = _changes(sheet, found, a, b, 4) + 1
    if any(path.startswith(f"{SCOPE}.{name}") for path in sheet.trace.blocks for name in NUMBERS):
        row = _place_numbers(sheet, [side.name for side in sides], models, row) + 2
    _place_outputs(sheet, [side.name for side in sides], row)
    for cell in page.cells:  # models with options have long names
        if cell.look == "TABLE_HEAD":
            page.widths[cell.column] = max(page.widths[cell.column], 1.2 * len(str(cell.value)))
    return sheet


def _changes(sheet: Table, found: Sequence[blame.Cause], a: Placed, b: Placed, row: int) -> int:
    """The causes in the order of computation, their blocks under them; returns the next free row."""
    page = sheet.page
    page.row(row, "what differs", "where", f"in {a.sheet}", "", "", "", f"in {b.sheet}", look="TABLE_HEAD")
    row += 1
    settings = [{"family": m.request.config.family, **vars(m.request.config)} for m in (a, b)]
    if not found:
        page.row(row, "nothing: both compute the same")
        row += 1
    for cause in found:
        blocks = sum(len(each.paths) for each in cause.rows)
        page.row(row, f"{cause.setting}: {_value(cause.a)} → {_value(cause.b)}", look="KEY")
        folded = len(cause.rows) > FEW
        told = f"{blocks} block{'s' if blocks > 1 else ''}"
        page.cell(row, 1, f"{told}: unfold by + at the left" if folded else told, "SUBTITLE")
        row += 1
        why = tr(reason(cause.setting, *settings) or _doc(cause.setting, a, b))
        for line in textwrap.wrap(why, LINE):
            page.row(row, line, look="SUBTITLE", indent=1)
            row += 1
        for each in cause.rows:
            _change(sheet, row, each, a, b)
            page.levels[row] = folded
            row += 1
    also = blame.without_effect(a.request.config, b.request.config, found)
    if also:
        page.row(row, "also set otherwise", ", ".join(also), look="SUBTITLE")
        row += 1
    return row


def _change(sheet: Table, row: int, each: blame.Row, a: Placed, b: Placed) -> None:
    """One row: the blocks' name, which ones, and how either model makes them, with a link to the first."""
    sheet.page.cell(row, 0, each.name + (" (the whole part)" if each.whole else ""), indent=2)
    sheet.page.cell(row, 1, each.where)
    sheet.remark(row, 0, "\n".join(each.paths))
    for column, model, tensor in ((2, a, each.a), (6, b, each.b)):
        if tensor is None:
            sheet.page.cell(row, column, "–", "SUBTITLE")
            continue
        text = f"{len(each.paths)} blocks" if each.whole else shape_of(tensor)
        sheet.page.link(row, column, text, model.name(tensor.path))
        if not each.whole:
            sheet.page.cell(row, column + 1, blame.equation(tensor), "EQUATION")


def _doc(setting: str, a: Placed, b: Placed) -> str:
    """The sentence that Config has for a setting."""
    docs: dict[str, str] = {}
    for model in (a, b):
        docs |= {f.name: f.metadata["doc"] for f in dataclasses.fields(model.request.config)}
    return docs.get(setting, "")


def _value(value: Any) -> str:
    """As Config has it, but numbers short."""
    if value is None:
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(written(value))


def _place_numbers(sheet: Table, names: Sequence[str], models: Sequence[Placed], row: int) -> int:
    """Sizes and costs: a row per quantity, a column per model; returns the last row."""
    heads = [*names, *like_of([model.ran for model in models])]
    page = sheet.page
    page.row(row, "sizes and costs", *heads, look="TABLE_HEAD")
    page.row(row + 1, "n, the bytes per number and more models are on the sheet Scale.", look="SUBTITLE")
    row += 2
    for name, label in NUMBERS.items():
        path = f"{SCOPE}.{name}"
        if path in sheet.trace.blocks:
            page.row(row, label)
            _put(sheet, path, row, 1, COUNT)
            row += 1
    page.widths += [16.0] * max(0, len(heads) + 1 - len(page.widths))
    return row


def _place_outputs(sheet: Table, names: Sequence[str], row: int) -> None:
    """What both say, word by word: a column for each."""
    page = sheet.page
    page.row(row, "outputs, live", look="TABLE_HEAD")
    titles = {"a": names[0], "b": names[1]}
    column = 0
    for path, tensor in sheet.trace.blocks.items():
        name = path.rpartition(".")[2]
        if name in NUMBERS:
            continue
        key, _, what = name.partition("_")
        head = f"{titles[key]}: {HEADS[what]}" if key in titles else HEADS.get(name, "word")
        page.cell(row + 1, column, head, "TABLE_HEAD")
        _put(sheet, path, row + 2, column, MARK if name == "same" else "0.00" if "prob" in name else "@")
        column += 1
        assert tensor.columns == 1


def _put(sheet: Table, path: str, row: int, column: int, number_format: str) -> None:
    tensor = sheet.trace[path]
    sheet.put(path, Range(CHANGES, row, column, row + tensor.rows - 1, column + tensor.columns - 1), number_format)


def refuse_unlike(sides: Sequence[Side]) -> None:
    """Raise InputError when the two models are not given the same kind of thing, or not the same words."""
    kinds = [side.request.config.inputs for side in sides]
    if kinds[0] is not kinds[1]:
        told = " but ".join(f"{side.name} reads {kind.what}" for side, kind in zip(sides, kinds, strict=True))
        raise InputError(f"{told}: compare models that are given the same")
    for path in ("words", "encoder.words", "decoder.words"):
        words = [side.request.texts.get(path, []) for side in sides]
        if words[0] != words[1]:
            told = " but ".join(f"{s.name} {' '.join(w)[:60]!r}" for s, w in zip(sides, words, strict=True))
            raise InputError(f"{told}: they are given different words, so give both the same")
