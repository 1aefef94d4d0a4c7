"""How things look: role → colours, fonts, borders and number formats. Every choice of look is here.

A `Theme` is a set of colours and sizes; `load` gives one by name, or from a TOML file that changes some of its keys.
Red is for trainable numbers and nothing else. Colour is never the only sign: roles differ in lightness and in their
borders, too, so that they can be told apart in grey and by readers who see few colours (the tests compute it).
"""

from __future__ import annotations

import dataclasses
import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from sheetgen.base.errors import InputError, suggest
from sheetgen.trace.recorder import Frame
from sheetgen.trace.tensor import Tensor

Role = Literal["weight", "constant", "control", "input", "activation", "attention", "gate", "residual", "output"]
Kind = Literal["layer", "attention", "head", "feed_forward", "expert", "router", "input", "output", "other"]
Look = dict[str, Any]  # properties of a cell, by XlsxWriter's names

WHITE = "#FFFFFF"
MARK_CAUSE = WHITE, "#7030A0"  # `check --mark`: letters and ground of cells that are wrong by themselves …
MARK_FOLLOWS = "#000000", "#E4D5F0"  # … and of those that are made from them
SMALLEST = 0.105  # of the scales of a printed page: programs know none below 10 %
READABLE = 4.5  # least contrast of a text to what is behind it (WCAG 2, level AA)
THIN, MEDIUM, DASHED, DOTTED, THICK, DOUBLE, HAIR = 1, 2, 3, 4, 5, 6, 7  # Excel's numbers of borders
HATCHED = 14  # Excel's number of a fill: thin diagonal lines


@dataclass(frozen=True)
class Paper:
    """How a sheet is printed: upright (tall) or on its side, the whole on one page or only its width."""

    tall: bool
    whole: bool


@dataclass(frozen=True)
class Theme:
    """Colours, sizes and fonts of a workbook; a TOML file may set any of them."""

    name: str
    font: str = "Arial"
    size: float = 11.0
    column_width: float = 5.9  # of every column of the model: −0.53 with room
    margin_width: float = 1.2  # of the columns where the sides of frames stand
    stream_width: float = 3.0  # of the residual stream
    row_height: float = 16.5
    zoom: int = 100
    chart_width: int = 760  # pixels
    chart_height: int = 420
    paper: str = "#FFFFFF"
    ink: str = "#1B2733"
    quiet: str = "#55606B"  # names along the axes, equations
    link: str = "#0B5394"
    button: str = "#FFFFFF"  # behind links: light, since LibreOffice writes them in a dark blue of its own
    stream: str = "#22313F"  # the line of the residual stream
    hidden: str = "#8A929A"  # lines of the cells that the mask hides
    heat: str = "#5B9BD5"  # of a weight of 1; 0 is paper
    wrong: str = "#FFD966"  # a word that the vocabulary lacks
    black: str = "#000000"  # of the pixels of an image
    white: str = "#FFFFFF"
    filled: bool = True  # titles of frames on their colour; else in it
    bare: bool = False  # no look at all: for those who restyle by themselves, and to time what the look costs
    fills: Mapping[str, str] = field(
        default_factory=lambda: {
            "weight": "#FFC7C7",
            "constant": "#F0F0F0",
            "control": "#FFE998",
            "input": "#FFE998",
            "activation": "#D5E8C1",
            "attention": "#94BDE8",
            "gate": "#B89FDB",
            "residual": "#FFFFFF",
            "output": "#8FD3C9",
        }
    )
    lines: Mapping[str, str] = field(
        default_factory=lambda: {
            "weight": "#C00000",
            "constant": "#7B858F",
            "control": "#8A6D00",
            "input": "#8A6D00",
            "activation": "#5B7F3A",
            "attention": "#2C5F94",
            "gate": "#5A3E8C",
            "residual": "#22313F",
            "output": "#1E6E66",
        }
    )
    frames: Mapping[str, str] = field(
        default_factory=lambda: {
            "layer": "#22313F",
            "attention": "#1F5C99",
            "head": "#B9D5F0",
            "feed_forward": "#7A4A00",
            "expert": "#F2D7AE",
            "router": "#5A3E8C",
            "input": "#FFE998",
            "output": "#14635B",
            "other": "#DDE2E7",
        }
    )

    def on(self, fill: str) -> str:
        """The colour of a text on this fill: ink where it can be read, else black or white."""
        choices = (self.ink, "#FFFFFF", "#000000")
        return next((c for c in choices if contrast(c, fill) >= READABLE), "#000000")

    def text(self, name: str = "CELL", **more: Any) -> Look:
        """Look of a text outside the blocks, by its name (`TEXTS`)."""
        if self.bare:
            return {}
        made: Look = {"size": self.size, "color": self.ink} | TEXTS[name](self) | more
        look = {"font_name": self.font, "font_size": made.pop("size"), "font_color": made.pop("color")}
        behind = {} if self.paper == WHITE else {"bg_color": self.paper}
        return look | {"valign": "vcenter"} | behind | made

    def block(self, tensor: Tensor, number: str = "") -> Look:
        """Look of the cells of a block; `number` is its number format when it is not the usual one."""
        number = number or number_format(tensor)
        if self.bare:
            return {"num_format": number}
        if tensor.op == "complaints":  # a text that runs on over the cells to its right
            return self.text("MESSAGE")
        kind = role(tensor)
        fill = self.fills[kind]
        return {
            "font_name": self.font,
            "font_size": self.size,
            "font_color": self.on(fill),
            "bg_color": fill,
            "border": INNER[kind],
            "border_color": mix(self.lines[kind], fill, 0.35),
            "align": "center",
            "valign": "vcenter",
            "num_format": number,
            "bold": kind in ("residual", "input"),
            "shrink": tensor.value.dtype == object,
        }

    def outline(self, tensor: Tensor, sides: str) -> Look:
        """What a cell at these sides of a block (of "left right top bottom") has besides."""
        if tensor.op == "complaints":
            return {}
        kind = role(tensor)
        look = dict.fromkeys(sides.split(), OUTER[kind])
        return {} if self.bare else look | {f"{side}_color": self.lines[kind] for side in sides.split()}

    def frame(self, frame: Frame, depth: int) -> Look:
        """Look of the title row of a frame."""
        colour = self.frames[kind_of(frame)]
        size = self.size + max(0, 3 - depth)
        if self.filled:
            return self.text(bold=True, size=size, color=self.on(colour), bg_color=colour)
        return self.text(bold=True, size=size, top=FRAME_LINES[min(depth, 2)], top_color=colour)

    def frame_edge(self, frame: Frame, depth: int, side: str) -> Look:
        """Look of a cell at a side of a frame."""
        line, colour = FRAME_LINES[min(depth, 2)], self.frames[kind_of(frame)]
        return {} if self.bare else {side: line, f"{side}_color": mix(colour, self.ink, 0.75)}

    def box(self, name: str, kind: Kind, edges: str) -> Look:
        """Look of a cell of a box of the Map, for a frame of this kind; edges: its sides, as in `outline`."""
        if self.bare:
            return {}
        colour = self.frames[kind]
        # Light, whatever the theme: LibreOffice writes links in a dark blue of its own.
        bar = on_fill(self, mix(colour, WHITE, 0.3)) if name in ON_BAR else {}
        line = colour if contrast(colour, self.paper) >= 2 else mix(colour, self.ink, 0.6)
        look = self.text(name, **bar) | dict.fromkeys(edges.split(), MEDIUM)
        return look | {f"{side}_color": line for side in edges.split()}

    @property
    def masked(self) -> Look:
        """Look of the weight of a key that the mask hides."""
        grey = mix(self.hidden, self.paper, 0.35)
        hatched = {"pattern": HATCHED, "bg_color": grey, "fg_color": self.hidden, "font_color": self.on(grey)}
        return hatched | {"num_format": '"·"'}  # where a program shows no hatching, the sign tells

    @property
    def wrong_word(self) -> Look:
        """Look of a word that the vocabulary lacks."""
        marked = {"bold": True, "italic": True, "font_strikeout": True, "border": THIN}
        return marked | {"bg_color": self.wrong, "font_color": self.on(self.wrong)}

    @property
    def new(self) -> Look:
        """What the title of a block has besides that a lecture brings for the first time: a highlighter."""
        return {} if self.bare else {"bg_color": self.wrong, "font_color": self.on(self.wrong)}

    @property
    def states(self) -> dict[str, Look]:
        """Looks of the states of a step of a lecture."""
        done = mix(self.fills["activation"], self.paper, 0.7)
        doing = {"bold": True, "border": THIN, "bg_color": self.wrong, "font_color": self.on(self.wrong)}
        return {"doing": doing, "done": {"font_strikeout": True, "bg_color": done, "font_color": self.on(done)}}

    @property
    def changed(self) -> Look:
        """Look of a cell that is not what it was: underlined, slanted and framed, whatever its colour."""
        return (
            {}
            if self.bare
            else {"bold": True, "italic": True, "underline": 1, "border": THIN, "border_color": self.ink}
        )

    @property
    def own_row(self) -> Look:
        """Look of the row of the sheet Scale that readers fill in themselves."""
        fill = self.fills["control"]
        return {} if self.bare else {"bg_color": fill, "font_color": self.on(fill)}

    def chart(self, title: str) -> dict[str, Look]:
        """Looks of the parts of a chart: its title, axes, legend and areas."""
        if self.bare:
            return {"title": {"name": title}, "axis": {}, "font": {}, "area": {}}
        font = {"name": self.font, "size": self.size, "color": self.ink}
        quiet = font | {"color": self.quiet, "bold": False}
        area = {"fill": {"color": self.paper}, "border": {"color": self.quiet}}
        axis = {"num_font": quiet, "name_font": quiet, "line": {"color": self.quiet}}
        grid = {"visible": True, "line": {"color": mix(self.quiet, self.paper, 0.3), "width": 0.75}}
        name = {"name": title, "name_font": font | {"size": self.size + 3}, "overlay": False}
        return {"title": name, "axis": axis, "grid": {"major_gridlines": grid}, "font": {"font": quiet}, "area": area}

    @property
    def stream_link(self) -> Look:
        """Look of a cell between a block and the line of the residual stream."""
        return self.text("CELL", bottom=THICK, bottom_color=self.stream)

    def series(self, at: int, line: bool) -> Look:
        """Look of the so-manieth colour of a chart: told apart without colour by dashes or by an outline."""
        colour = SERIES[at % len(SERIES)]
        if self.bare:
            return {}
        if line:
            kind = {"color": colour, "width": 2.5, "dash_type": DASHES[at % len(DASHES)]}
            return {"line": kind, "marker": {"type": MARKERS[at % len(MARKERS)], "size": 7, **_filled(colour)}}
        return {"fill": {"color": colour}, "border": {"color": self.paper, "width": 1}}

    @property
    def chart_size(self) -> tuple[int, int]:
        return self.chart_width, self.chart_height

    @property
    def heading_height(self) -> float:
        """Height of a row with the heading of a sheet."""
        return (self.size + 9) * 1.4

    @property
    def beyond(self) -> int:
        """So many columns right of what is written are coloured, too."""
        return 0 if self.bare or self.paper == WHITE else 40

    def page(self, rows: int, letters: float) -> Paper:
        """How a sheet of so many rows and so many letters' width is printed on A3: on one page, its side or upright."""
        height, width = rows * self.row_height, letters * 5.6  # a digit of 11 pt is 5.6 pt wide
        wide, tall = (min(x / width, y / height) for x, y in ((1100, 740), (740, 1100)))
        return Paper(tall > wide, True) if max(wide, tall) > SMALLEST else Paper(False, False)

    def fits(self, title: str, equation: str, columns: int) -> bool:
        """Whether a title and, in small letters, an equation stand in one line over so many columns."""
        size = self.size / 11
        return (
            size * (len(title) * 1.1 + 3 + len(equation) * (self.size - 2) / self.size) <= columns * self.column_width
        )


OUTER: dict[Role, int] = dict.fromkeys(get_args(Role), THIN) | {
    "weight": MEDIUM,
    "constant": DOTTED,
    "control": DASHED,
    "input": DASHED,
    "gate": DOUBLE,
    "residual": MEDIUM,
}
INNER: dict[Role, int] = dict.fromkeys(get_args(Role), THIN) | {"constant": DOTTED}
FRAME_LINES = [THICK, MEDIUM, THIN]  # by depth

# Looks of texts outside the blocks. size, color: of the font; the rest as XlsxWriter calls it.
TEXTS: dict[str, Any] = {
    "CELL": lambda _: {},
    "KEY": lambda _: {"bold": True},
    "TITLE": lambda _: {"bold": True},
    "TITLE_RIGHT": lambda _: {"bold": True, "align": "right"},
    "SHAPE": lambda t: {"color": t.quiet, "size": t.size - 2, "align": "right"},
    "EQUATION": lambda t: {"color": t.quiet, "italic": True, "size": t.size - 2},
    "NAME_ABOVE": lambda t: {"color": t.quiet, "size": t.size - 2, "align": "center", "shrink": True},
    "NAME_LEFT": lambda t: {"color": t.quiet, "size": t.size - 2, "align": "right", "shrink": True},
    "NAME_TOP": lambda t: {"bold": True, "align": "center", "shrink": True, "bottom": MEDIUM, "bottom_color": t.quiet},
    "ARROW": lambda t: {"color": t.quiet, "bold": True, "align": "center", "size": t.size + 1},
    "MESSAGE": lambda t: {"italic": True, "size": t.size - 1},
    "HEADING": lambda t: {"bold": True, "size": t.size + 9},
    "SUBTITLE": lambda t: {"color": t.quiet},
    "LINK": lambda t: {"color": t.link, "underline": 1, "bg_color": t.button},
    "BACK": lambda t: {"color": t.link, "underline": 1, "bg_color": t.button, "align": "center", "size": t.size - 1},
    "TABLE_HEAD": lambda _: {"bold": True, "bottom": MEDIUM},
    "COUNT_HEAD": lambda _: {"bold": True, "bottom": MEDIUM, "align": "right"},
    "COUNT": lambda _: {"align": "right"},
    "CONTROL": lambda t: {
        "bg_color": t.fills["control"],
        "color": t.on(t.fills["control"]),
        "align": "center",
        "border": DASHED,
    },
    "LIVE": lambda _: {"align": "left", "shrink": True},
    "STREAM": lambda t: {"bold": True, "align": "center", "size": t.size + 2} | on_fill(t, t.stream),
    "BOX_TITLE": lambda _: {"bold": True, "underline": 0},
    "BOX_TEXT": lambda t: {"italic": True, "size": t.size - 1},
    "BOX_COUNT": lambda t: {"align": "right", "size": t.size - 1},
    "BOX_NAME": lambda t: {"color": t.quiet, "shrink": True, "align": "left"},
    "BOX_VALUE": lambda _: {"align": "right", "shrink": True},
}

ON_BAR = {"BOX_TITLE", "BOX_TEXT", "BOX_COUNT"}  # of a box of the Map: on its colour


# Of charts: colours that are told apart by readers who see few (Okabe & Ito 2008), signs for those who see none.
SERIES = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#7F7F7F"]
DASHES = ["solid", "dash", "round_dot", "long_dash", "dash_dot"]
MARKERS = ["circle", "square", "diamond", "triangle"]


def _filled(colour: str) -> Look:
    return {"fill": {"color": colour}, "border": {"color": colour}}


def on_fill(theme: Theme, fill: str) -> Look:
    """A fill, and a colour for the text on it."""
    return {"bg_color": fill, "color": theme.on(fill)}


ATTENTION = {
    "scores",
    "masked",
    "pattern",
    "pattern_max",
    "pattern_exp",
    "pattern_sum",
    "KT",
    "mask",
    "mask_chunked",
    "mask_window",
    "mask_selected",
    "mask_blocks",
    "sees_from",
    "sees_to",
    "sees_from_window",
    "sees_to_window",
    "sees_from_chunked",
    "sees_to_chunked",
    "scale",
    "complete",
    "any_complete",
    "softmax",
    "softmax_max",
    "softmax_exp",
    "softmax_sum",
    "XT",
}
GATE = {"rank", "chosen", "g", "gate", "block_scores", "with_forced", "block_rank", "chosen_blocks", "branch_gates"}
RESIDUAL = {"embed", "skip_1", "skip_2", "mid", "added", "out"}
OUTPUT = {"logits", "probs", "probs_max", "probs_exp", "probs_sum", "next_word", "next_prob", "label", "label_prob"}

INFINITE = {"masked", "softmax_max", "with_forced"}  # may hold ±10⁹ for ±∞
# Rows of a table about digits: as many as there is room for.
AS_THEY_ARE = {"size", "step", "steps", "kept", "at_once", "kept_position", "gelu_difference"}
AS_THEY_ARE |= {"gelu_exact", "gelu_tanh", "gelu_exact_kept", "gelu_tanh_kept"}
WHOLE = {  # whole numbers by their nature, besides those that `_counts` finds
    "fraction_bits",
    "largest_exponent",
    "exponent",
    "nearest",
    "key_wide",
    "key_narrow",
    "keys_wide",
    "keys_narrow",
    "key_position",
    "query_position",
    "seen_position",
    "owner",
    "now",
    "place_in_prompt",
    "seen",
    "sees_from",
    "sees_to",
    "sees_from_window",
    "sees_to_window",
    "sees_from_chunked",
    "sees_to_chunked",
    "key_block_first",
    "key_of_block",
    "key_of_selected",
    "block_last",
    "any_complete",
    "shares",
    "forced",
    "mask_selected",
}


def role(tensor: Tensor) -> Role:
    """What a block is, as far as its look goes."""
    if tensor.kind == "text" or tensor.kind == "input":
        return "input"
    if tensor.kind != "computed":
        return tensor.kind
    if tensor.op == "rounded":
        return role(tensor.operands[0]) if tensor.operands[0].kind == "computed" else "activation"
    if ".router." in f".{tensor.path}.":
        return "gate"
    groups: list[tuple[set[str], Role]] = [(ATTENTION, "attention"), (GATE, "gate"), (RESIDUAL, "residual")]
    for names, found in [*groups, (OUTPUT, "output")]:
        if tensor.name in names:
            return found
    return "activation"


# What a frame is, by the beginning of the last part of its path; else by a block that stands in it.
PATHS: dict[str, Kind] = {
    "layer_": "layer",
    "head_": "head",
    "kv_": "head",
    "step_": "attention",
    "cross": "attention",
    "compressed": "head",
    "selected": "head",
    "window": "head",
    "router": "router",
    "shared": "expert",
    "expert_": "expert",
    "ffn": "expert",
    "rope": "other",
    "control": "input",
}
HOLDS: dict[str, Kind] = {
    "attention": "attention",
    "pattern": "attention",
    "added": "feed_forward",
    "out": "feed_forward",
    "logits": "output",
    "three": "output",
    "words": "input",
    "image": "input",
    "embed": "input",
    "W_E": "input",
}


def kind_of(frame: Frame) -> Kind:
    """What a frame is, as far as its look goes."""
    if any(isinstance(item, Frame) and item.path.rpartition(".")[2].startswith("layer_") for item in frame.items):
        return "layer"  # a side of an encoder–decoder
    blocks = {item.name for item in frame.items if isinstance(item, Tensor)}
    held = next((kind for name, kind in HOLDS.items() if name in blocks), None)
    last = frame.path.rpartition(".")[2]
    by_path = next((kind for start, kind in PATHS.items() if last.startswith(start)), None)
    # A section has the path of what is around it: only what it holds tells it apart.
    return (held or by_path or "other") if by_path in (None, "layer") else by_path


def number_format(tensor: Tensor) -> str:
    """How its numbers are shown; the cells keep full precision."""
    if tensor.kind == "text" or tensor.value.dtype == object:
        return "@"
    if tensor.kind == "weight":
        return "0.0###"
    if tensor.name in AS_THEY_ARE:
        return "General"
    if tensor.op == "rounded" or tensor.name == "error":
        return "0.000"
    if tensor.name == "relative":
        return "0.0%"
    if tensor.name in ("smallest", "beyond"):
        return "0E+0"
    if tensor.name in INFINITE:
        return '[<-1000000]"−∞";[>1000000]"+∞";0.00'
    if tensor.op == "link":
        return number_format(tensor.operands[0])
    if tensor.kind != "computed" or tensor.name in WHOLE or _counts(tensor):
        return "General"
    return "0.00"


def _counts(tensor: Tensor) -> bool:
    """Whether it holds whole numbers by its nature: ids, ranks, masks of 0 and 1."""
    if tensor.op == "mul":
        return all(operand.path is None and _counts(operand) for operand in tensor.operands)
    return tensor.op in ("lookup", "rank", "equal", "less", "less_equal")


# --- colours -----------------------------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    """Relative luminance of #RRGGBB, 0 (black) to 1 (white), as WCAG 2 defines it."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """Contrast of two colours as WCAG 2 defines it: 1 (the same) to 21 (black on white)."""
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


@functools.cache
def mix(a: str, b: str, share: float) -> str:
    """A colour between: `share` of a, the rest of b."""
    both = ((int(a[i : i + 2], 16), int(b[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(share * x + (1 - share) * y):02X}" for x, y in both)


# --- themes ------------------------------------------------------------------------------------------------------

LIGHT = Theme("light")
DARK = replace(
    LIGHT,
    name="dark",
    paper="#0B0F14",
    ink="#F2F5F7",
    quiet="#A9B4BE",
    link="#0B3D70",
    button="#C9DDF2",
    stream="#D5DCE2",
    hidden="#7B858F",
    heat="#1F6FBF",
    fills={
        "weight": "#FFC7C7",
        "constant": "#2B3036",
        "control": "#685700",
        "input": "#685700",
        "activation": "#2C5733",
        "attention": "#16406F",
        "gate": "#7B5EB5",
        "residual": "#0B0F14",
        "output": "#006C6B",
    },
    lines={
        "weight": "#FF5C5C",
        "constant": "#9AA5AF",
        "control": "#FFE08A",
        "input": "#FFE08A",
        "activation": "#A5D6A0",
        "attention": "#8CBDF2",
        "gate": "#D9C8FF",
        "residual": "#F2F5F7",
        "output": "#8FE3DB",
    },
    frames={
        "layer": "#D5DCE2",
        "attention": "#3E7FC4",
        "head": "#1D3F66",
        "feed_forward": "#B87A1E",
        "expert": "#543A10",
        "router": "#7B5EB5",
        "input": "#685700",
        "output": "#008783",
        "other": "#3A424B",
    },
)
PRINT = replace(
    LIGHT,
    name="print",
    ink="#000000",
    quiet="#404040",
    stream="#595959",
    heat="#8C8C8C",
    filled=False,
    fills={
        "weight": "#FFC7C7",
        "constant": "#F5F5F5",
        "control": "#F3EACB",
        "input": "#F3EACB",
        "activation": "#D8E6C8",
        "attention": "#B3C9E4",
        "gate": "#B5A6CF",
        "residual": "#FFFFFF",
        "output": "#BEDFD7",
    },
)
PLAIN = replace(LIGHT, name="plain", bare=True)
THEMES = {theme.name: theme for theme in (LIGHT, DARK, PRINT, PLAIN)}


def load(name: str) -> Theme:
    """The theme of this name, or the one in the TOML file of this name; raises InputError for what it cannot be.

    A file sets keys of `Theme`, colours as "#RRGGBB", the roles under [fills], [lines] and [frames]; the rest is as in
    the theme called `base` (light when it is not said).
    """
    if name in THEMES:
        return THEMES[name]
    path = Path(name)
    if path.suffix.lower() != ".toml":
        hint = suggest(name, THEMES, f"choose {', '.join(THEMES)}, or a file that ends in .toml")
        raise InputError(f"--theme {name}: {hint}")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"--theme {path}: {error.strerror or error}; give a file that can be read") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"--theme {path}: it is no TOML: {error}") from error
    try:
        return _made(path.name, data)
    except InputError as error:
        raise InputError(f"--theme {path}: {error}") from error


def _made(name: str, data: dict[str, Any]) -> Theme:
    base = data.pop("base", "light")
    if base not in THEMES:
        raise InputError(f"base is {base!r}: choose {', '.join(THEMES)}")
    theme = THEMES[base]
    keys = [f.name for f in dataclasses.fields(Theme) if f.name != "name"]
    changes: dict[str, Any] = {"name": name}
    for key, value in data.items():
        if key not in keys:
            raise InputError(f"there is no {key!r}: {_meant(key, keys)}")
        default = getattr(theme, key)
        if not isinstance(default, Mapping):
            changes[key] = _value(key, value, default)
            continue
        if not isinstance(value, dict):
            raise InputError(f"{key} is {value!r}: write its colours in a table [{key}]")
        for inner in value:
            if inner not in default:
                raise InputError(f"[{key}] has no {inner!r}: {_meant(inner, default)}")
        changes[key] = {**default, **{k: _value(f"{key}.{k}", v, default[k]) for k, v in value.items()}}
    made = replace(theme, **changes)
    for key, behind in (("ink", "paper"), ("quiet", "paper"), ("link", "button")):
        text, fill = getattr(made, key), getattr(made, behind)
        found = contrast(text, fill)
        if found < READABLE:
            raise InputError(
                f"{key} {text} on {behind} {fill} has a contrast of {found:.1f} : 1: "
                f"choose colours with at least {READABLE} : 1, or nobody reads it in the last row"
            )
    same = [key for key, fill in made.fills.items() if key != "weight" and fill == made.fills["weight"]]
    if same:
        raise InputError(f"fills.{same[0]} is the colour of the weights: choose another, it marks what is trainable")
    return made


def _meant(key: str, keys: Iterable[str]) -> str:
    return suggest(key, keys, f"choose from {', '.join(keys)}")


SIZES = {
    "size": (6, 40),
    "column_width": (2, 60),
    "margin_width": (0.5, 60),
    "stream_width": (1, 60),
    "row_height": (8, 200),
    "zoom": (10, 400),
    "chart_width": (100, 4000),
    "chart_height": (100, 4000),
}


def _value(key: str, value: Any, default: Any) -> Any:
    """A value of a theme as it must be: of the kind of the one that it takes the place of."""
    if isinstance(default, bool):
        if isinstance(value, bool):
            return value
        raise InputError(f"{key} is {value!r}: write true or false")
    if key in SIZES:
        low, high = SIZES[key]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        whole = isinstance(default, int)
        if number and low <= value <= high and (value == int(value) or not whole):
            return type(default)(value)
        raise InputError(f"{key} is {value!r}: choose a {'whole ' if whole else ''}number from {low} to {high}")
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{key} is {value!r}: write a text in quotes")
    if key != "font" and not re.fullmatch(r"#[0-9A-Fa-f]{6}", value):
        raise InputError(f'{key} is {value!r}: write a colour as "#RRGGBB", such as "#1F5C99"')
    return value if key == "font" else value.upper()
