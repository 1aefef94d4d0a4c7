"""The look: colours computed from the themes, nothing cut off or unexplained, links, what programs keep."""

from __future__ import annotations

import itertools
import re
import warnings
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
import python_calamine
from helpers import build, cells_of, edited, make, needs_libreoffice, sheetgen

from sheetgen.base.cells import Range, parse_range
from sheetgen.base.errors import InputError
from sheetgen.engines import ENGINES
from sheetgen.engines.libreoffice import recalculated_copy
from sheetgen.look.colours import READABLE, contrast, luminance, mix
from sheetgen.look.load import LIGHT, load_theme
from sheetgen.look.roles import colour_of, kind_of, number_format
from sheetgen.look.theme import INNER, OUTER, SERIES, Theme
from sheetgen.model import presets
from sheetgen.model.families import run
from sheetgen.model.weights import Drawn
from sheetgen.proof.check import check_book
from sheetgen.sheet.frames import DEEPEST, levels
from sheetgen.sheet.pages.map import Diagram
from sheetgen.text.equation import note_of, part_name, sentence_of, shape_of, title_of
from sheetgen.trace.recorder import Frame, Trace
from sheetgen.xlsx.read import read_book

SHOWN = (LIGHT, load_theme("dark"), load_theme("print"))
LOOKS = ("llama4", "vit", "transformer", "attention")  # one of each kind, for what takes its time


@cache
def trace_of(preset: str) -> Trace:
    request = presets.request(presets.find(preset), {})
    return run(request.config, Drawn(0, "byhand", request.texts, request.arrays))


def frames(frame: Frame) -> list[Frame]:
    return [f for item in frame.items if isinstance(item, Frame) for f in (item, *frames(item))]


# --- colours ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", SHOWN, ids=lambda theme: theme.name)
def test_every_text_is_readable_on_what_is_behind_it(theme: Theme) -> None:
    """Of all blocks, frames, boxes and plain texts of a large model: at least 4.5 : 1."""
    looks = [theme.text(name) for name in ("CELL", "TITLE", "SHAPE", "EQUATION", "NAME_ABOVE", "NAME_LEFT", "ARROW")]
    looks += [theme.text(name) for name in ("NAME_TOP", "SUBTITLE", "LINK", "BACK", "STREAM", "TABLE_HEAD", "LIVE")]
    looks += [theme.masked, theme.wrong_word, theme.block(trace_of("llama4")["embed"]) | theme.own_row]
    for preset in LOOKS:
        trace = trace_of(preset)
        looks += [theme.block(tensor) for tensor in trace.blocks.values()]
        looks += [theme.frame(frame, depth) for frame in frames(trace.root) for depth in range(4)]
        looks += [theme.box(name, kind_of(f), "") for f in frames(trace.root) for name in ("BOX_TITLE", "BOX_VALUE")]
    weak = [look for look in looks if contrast(look["font_color"], look.get("bg_color", theme.paper)) < READABLE]
    assert weak == []
    ink = theme.block(trace_of("llama4")["layer_0.head_0.pattern"])["font_color"]
    assert contrast(ink, theme.heat) >= READABLE, "on the largest weight"
    assert contrast(ink, mix(theme.heat, theme.paper, 0.5)) >= READABLE, "on half of it"


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.005)
    assert contrast("#FF0000", "#0000FF") == contrast("#0000FF", "#FF0000")


# Linear RGB as seen with one kind of cone missing: Machado, Oliveira & Fernandes 2009, severity 1.
SEEN = {
    "all": np.eye(3),
    "no red": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "no blue": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
    "grey": np.tile([0.2126, 0.7152, 0.0722], (3, 1)),
}


def lab(colour: str, seen: str) -> np.ndarray:
    """CIELAB of a colour as it is seen."""
    srgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(SEEN[seen] @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    x, y, z = np.cbrt(xyz / np.array([0.9505, 1, 1.089]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("theme", SHOWN, ids=lambda theme: theme.name)
def test_roles_are_told_apart(theme: Theme, seen: str) -> None:
    """By their fill, however few colours are seen, or by their border; weights always by both lightness and border."""
    roles = [r for r in theme.fills if r != "control"]  # controls are inputs
    for a, b in itertools.combinations(roles, 2):
        far = float(np.linalg.norm(lab(theme.fills[a], seen) - lab(theme.fills[b], seen)))
        lines = float(np.linalg.norm(lab(theme.lines[a], seen) - lab(theme.lines[b], seen)))
        borders = (OUTER[a], INNER[a]) != (OUTER[b], INNER[b])  # type: ignore[index]
        assert far >= 3 or borders or lines >= 20, f"{a} and {b}: {far:.1f}"
    assert theme.fills["weight"] == "#FFC7C7"


def test_no_colour_of_charts_is_alike() -> None:
    for seen in ("all", "no red", "no green", "no blue"):
        for a, b in itertools.combinations(SERIES[:6], 2):
            assert np.linalg.norm(lab(a, seen) - lab(b, seen)) >= 8, (seen, a, b)


def test_luminance_of_grey_is_even() -> None:
    assert luminance("#808080") == pytest.approx(0.2159, abs=1e-3)


# --- themes of one's own ---------------------------------------------------------------------------------------------


def test_a_theme_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('base = "dark"\nfont = "Verdana"\nsize = 14\n[fills]\nattention = "#001133"\n')
    path = build(tmp_path / "book.xlsx", "attention", "--theme", file)
    book = openpyxl.load_workbook(path)
    cell = cells_of(book, "step_1__pattern")[0][0]
    assert (cell.fill.fgColor.rgb, cell.font.name, cell.font.size) == ("FF001133", "Verdana", 14)
    config = {row[0].value: row[1].value for row in book["Config"].iter_rows(max_col=2)}
    assert config["theme"] == "mine.toml"
    assert check_book(read_book(path)).difference is None


WRONG = [
    ("inkk = 1", "did you mean 'ink'"),
    ('ink = "red"', '"#RRGGBB"'),
    ('ink = "#EEEEEE"', "4.5 : 1"),
    ('[fills]\ngat = "#112233"', "did you mean 'gate'"),
    ('[fills]\ngate = "#FFC7C7"', "trainable"),
    ("size = 400", "from 6 to 40"),
    ("zoom = 99.5", "whole number"),
    ("filled = 1", "true or false"),
    ('base = "night"', "choose dark, light"),
    ('frames = "red"', "[frames]"),
    ("font = ", "no TOML"),
]


@pytest.mark.parametrize(("text", "hint"), WRONG, ids=[text for text, _ in WRONG])
def test_a_wrong_theme_is_refused(text: str, hint: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    result = sheetgen("build", "attention", "--theme", file, "-o", tmp_path / "book.xlsx")
    assert (result.code, result.out) == (2, "")
    assert hint in result.err
    assert len(result.err.splitlines()) == 1
    assert not (tmp_path / "book.xlsx").exists()


@pytest.mark.parametrize(("name", "hint"), [("lite", "light"), ("xyz", "ends in .toml"), ("gone.toml", "No such file")])
def test_a_theme_that_is_not_there(name: str, hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        load_theme(name)


# --- every block explains itself -------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", presets.all_presets())
def test_every_block_has_a_title_a_shape_a_sentence_and_a_source(preset: str) -> None:
    trace = trace_of(preset)
    untold = [path for path, tensor in trace.blocks.items() if not sentence_of(tensor)]
    assert untold == []
    made_of = [tensor for tensor in trace.blocks.values() if tensor.kind in ("computed", "weight")]
    assert all(re.search(r"^Source: .* (19|20)\d\d", note_of(t, "Someone 2020"), re.MULTILINE) for t in made_of)
    made = make(preset)
    titles = {title.tensor.path: title.text for title in made.layout.titles}
    shapes = {shape.tensor.path for shape in made.layout.shapes}
    for path, tensor in made.trace.blocks.items():
        if tensor.kind == "control" or path == "control.message":
            continue  # one cell each, named beside it
        assert title_of(tensor) in titles[path], path
        assert shape_of(tensor) in titles[path] or path in shapes, path


# --- the model -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", presets.all_presets())
def test_frames_fold_and_streams_run_from_the_embedding_to_the_last_addition(preset: str) -> None:
    made = make(preset)
    deep = levels(made.layout)
    for box in made.layout.boxes:
        assert deep.get(box.range.top, 0) == box.depth, "the title stays when its frame is folded"
        assert all(deep[row] > box.depth for row in range(box.range.top + 1, box.range.bottom + 1))
    assert max(deep.values()) <= DEEPEST
    taken = np.zeros((made.layout.bottom + 1, made.layout.right + 2), dtype=bool)
    for place in made.layout.places.values():
        taken[place.top : place.bottom + 1, place.left : place.right + 1] = True
    joins = [path for path, t in made.trace.blocks.items() if t.name in ("mid", "added", "out") and t.op.joins]
    drawn = [row for stream in made.layout.streams for row in stream.joins]
    assert sorted(drawn) == sorted(made.layout.places[path].top for path in joins)
    for stream in made.layout.streams:
        assert not taken[stream.range.top : stream.range.bottom + 1, stream.range.left].any()
    assert not [a for a in made.layout.arrows if taken[a.row, a.column]]


def test_the_words_stay_in_sight_and_follow_the_sentence(tmp_path: Path) -> None:
    path = build(tmp_path / "book.xlsx", "llama1", "--layers", 1)

    def change(book: Any) -> None:
        cells_of(book, "words")[0][0].value = "dog"

    book = openpyxl.load_workbook(path)
    sheet = book["Model"]
    assert sheet.freeze_panes == "A4"
    assert sheet.print_title_rows == "$1:$3"
    columns = [cell.column for cell in cells_of(book, "words")[0]]
    found = read_book(edited(path, change))
    values = ENGINES["formulas"](found.path, found).sheets["Model"]
    assert [values[2, column - 1] for column in columns] == ["dog", "cat", "sat", "on", "the", "mat"]
    assert check_book(found).difference is None


DIGIT = 1.0  # width of a digit, in the unit of columns


@pytest.mark.parametrize("preset", LOOKS)
def test_numbers_fit_their_columns(preset: str, tmp_path: Path) -> None:
    """No ###: the text of every number, in its format and size, is narrower than its column."""
    path = build(tmp_path / "book.xlsx", preset)
    book, values = openpyxl.load_workbook(path), openpyxl.load_workbook(path, data_only=True)
    wide = []
    for sheet in book:
        widths = [sheet.column_dimensions[c] for c in sheet.column_dimensions]
        width = {i: d.width for d in widths for i in range(d.min, d.max + 1)}
        for row in values[sheet.title].iter_rows():
            for cell in row:
                shown = formatted(cell.value, cell.number_format)
                size = (cell.font.size or 11) / 11 * (1.08 if cell.font.bold else 1)
                if shown and len(shown) * size * DIGIT > width.get(cell.column, 8.43) + 0.75:
                    wide.append(f"{sheet.title}!{cell.coordinate}: {shown}")
    assert wide == []


def formatted(value: Any, number: str) -> str:
    """What a number looks like; nothing for one in a format that shrinks by itself (General)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if number.startswith("[<"):
        return "−∞" if value < -1e6 else "+∞" if value > 1e6 else f"{value:.2f}"
    part = number.split(";")[0]
    part = re.sub(r'"([^"]*)"', lambda m: "\0" * len(m.group(1)), part)
    if part == "General":
        return ""
    text = part.count("\0") * "x"
    if "," in part:
        return f"{value:,.0f}" + text
    decimals = len(part.partition(".")[2].strip("\0%#"))
    return (f"{100 * value:.{decimals}f}%" if "%" in part else f"{value:.{decimals}f}") + text


@pytest.mark.parametrize("preset", LOOKS)
def test_links_lead_to_what_they_name(preset: str, tmp_path: Path) -> None:
    book = openpyxl.load_workbook(build(tmp_path / "book.xlsx", preset))
    made = make(preset)
    boxes = {(box.range.top, box.frame.title): box for box in made.layout.boxes}
    by_name = {path.replace(".", "__"): path for path in made.trace.blocks}
    count = 0
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                if not cell.hyperlink:
                    continue
                count += 1
                target = cell.hyperlink.location
                if sheet.title == "Model":  # back
                    assert target == "Map!A1"
                    assert cell.value == "▲ Map"
                    continue
                path = by_name[target]
                place = parse_range(book.defined_names[target].attr_text)
                assert place == made.layout.places[path]
                if sheet.title == "Contents":
                    assert cell.value == path
                    continue
                inside = [box.frame for box in boxes.values() if (place.top, place.left) in box.range]
                named = {title_of(made.trace[path]), *(part_name(frame) for frame in inside)}
                assert cell.value in named
    assert count > len(made.trace.blocks)
    backs = [c for row in book["Model"].iter_rows() for c in row if c.value == "▲ Map" and c.hyperlink]
    assert len(backs) == len(made.layout.boxes)


# --- the Map ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", presets.all_presets())
def test_the_map_draws_every_part_and_nothing_twice(preset: str) -> None:
    drawn = Diagram(trace_of(preset))
    cells = [(cell.row, cell.column) for cell in drawn.cells]
    live = [(m.range.top + r, m.range.left + c) for m in drawn.mirrors for r, c in np.ndindex(m.range.shape)]
    assert len(cells + live) == len({*cells, *live}), "two things share a cell"
    titles = [cell.value for cell in drawn.cells if cell.link]
    missing = [f.title for f in frames(drawn.trace.root) if part_name(f) not in titles]
    assert missing == []
    additions = [t for t in drawn.trace.blocks.values() if t.name in ("mid", "added", "out") and t.op.joins]
    assert [cell.value for cell in drawn.cells].count("⊕") == len(additions)


def test_the_map_tells_what_the_model_does() -> None:
    trace = trace_of("llama4")
    shown: dict[str, list[Any]] = {}
    for mirror in Diagram(trace).mirrors:
        shown.setdefault(mirror.owner, []).append(mirror.tensor.value)
    pattern, vocabulary = trace["layer_1.head_2.pattern"].value[:, -1], trace["words"].value[0]
    word, weight = shown["layer_1.head_2.pattern"]
    assert word[0, 0] == vocabulary[np.argmax(pattern)]
    assert weight[0, 0] == pattern.max()
    gates = [value[0, 0] for value in shown["layer_1.router.g"] if value.dtype != object]
    assert gates == trace["layer_1.router.g"].value[:, -1].tolist()
    assert trace["next_word"].value[0, -1] in [v[0, 0] for v in shown["next_prob"] if v.dtype == object]
    assert shown["layer_0.mid"][0][0, 0] == "8×6"
    own = [t for path, t in trace.blocks.items() if path.startswith("layer_0.")]
    whole = sum(tensor.value.size for tensor in own if tensor.kind == "weight")
    assert whole in [value[0, 0] for values in shown.values() for value in values if value.dtype != object]


# --- what programs keep ----------------------------------------------------------------------------------------------


def kept(path: Path) -> dict[str, Any]:
    """What a workbook has besides its cells, as openpyxl reads it."""
    book = openpyxl.load_workbook(path)
    model = book["Model"]
    rules = [(r.type, str(area.sqref)) for area in model.conditional_formatting for r in area.rules]
    return {
        "rules": {kind: sum(found == kind for found, _ in rules) for kind in ("colorScale", "expression")},
        "lists": sum(len(v.sqref.ranges) for v in model.data_validations.dataValidation if v.type == "list"),
        "levels": [model.row_dimensions[row].outlineLevel or 0 for row in range(1, 200)],
        "links": {s.title: sum(1 for row in s.iter_rows() for c in row if c.hyperlink) for s in book},
        "charts": {s.title: len(s._charts) for s in book},
        "titles": model.print_title_rows,
        "landscape or portrait": model.page_setup.orientation,
        "notes": sum(1 for row in model.iter_rows() for cell in row if cell.comment),
    }


@needs_libreoffice
def test_libreoffice_keeps_the_look(tmp_path: Path) -> None:
    """Recalculated and saved by LibreOffice: formats by condition, lists, groups, links, charts and notes are there.

    (Not the frozen rows: without a window it saves no view.)
    """
    path, saved = build(tmp_path / "book.xlsx", "llama4"), tmp_path / "saved.xlsx"
    recalculated_copy(path, saved)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of openpyxl, about what LibreOffice adds
        before, after = kept(path), kept(saved)
    assert before["charts"]["Pictures"] >= 4
    assert before["lists"] > 5
    assert max(before["levels"]) == 3
    assert after == before


@pytest.mark.parametrize("preset", LOOKS)
def test_other_readers_agree(preset: str, tmp_path: Path) -> None:
    """openpyxl opens the file without a warning (they are errors here), calamine reads the same values."""
    path = build(tmp_path / "book.xlsx", preset)
    book = openpyxl.load_workbook(path, data_only=True)
    other = python_calamine.CalamineWorkbook.from_path(str(path))
    assert other.sheet_names == book.sheetnames
    for sheet in book:
        found = other.get_sheet_by_name(sheet.title).to_python(skip_empty_area=False)
        for row in sheet.iter_rows():
            for cell in row:
                if cell.value not in (None, ""):
                    value = found[cell.row - 1][cell.column - 1]
                    assert value == cell.value or str(value) == str(cell.value), f"{sheet.title}!{cell.coordinate}"


def test_charts_have_alternative_texts(tmp_path: Path) -> None:
    with zipfile.ZipFile(build(tmp_path / "book.xlsx", "llama4")) as book:
        drawings = [book.read(name).decode() for name in book.namelist() if name.startswith("xl/drawings/drawing")]
    texts = [text for drawing in drawings for text in re.findall(r'<xdr:cNvPr [^>]*descr="([^"]+)"', drawing)]
    assert len(texts) == sum(drawing.count("<xdr:graphicFrame ") for drawing in drawings) >= 4


def test_plain_has_no_look(tmp_path: Path) -> None:
    book = openpyxl.load_workbook(build(tmp_path / "book.xlsx", "attention", "--theme", "plain"))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert not [cell.coordinate for cell in cells if cell.fill.fill_type or cell.border.left.style or cell.comment]
    rules = [rule.type for area in book["Model"].conditional_formatting for rule in area.rules]
    assert rules == ["expression"], "only that a word is unknown is still marked"


def test_formats_by_role() -> None:
    trace = trace_of("llama4")
    formats = {path: number_format(trace[path]) for path in ("W_E", "embed", "tokens", "position", "words", "probs")}
    assert formats == {
        "W_E": "0.0###",
        "embed": "0.00",
        "tokens": "General",
        "position": "General",
        "words": "@",
        "probs": "0.00",
    }
    assert {colour_of(tensor) for tensor in trace.blocks.values()} == set(LIGHT.fills)


def test_ranges_on_the_map_are_on_the_map() -> None:
    for mirror in Diagram(trace_of("vit")).mirrors:
        assert isinstance(mirror.range, Range)
        assert mirror.range.shape == mirror.tensor.shape
