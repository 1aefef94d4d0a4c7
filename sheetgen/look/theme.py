"""How things look: the colours, fonts, borders and sizes of a workbook, and what each kind of cell makes of them.

A `Theme` is read from a TOML file (`load`). What a block is, is told by `roles`; what that looks like, here.
Red is for trainable numbers and nothing else. Colour is never the only sign: groups differ in lightness and in their
borders, too, so that they can be told apart in grey and by readers who see few colours (the tests compute it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from sheetgen.look.colours import READABLE, WHITE, contrast, mix
from sheetgen.look.roles import FrameKind, colour_of, kind_of, number_format
from sheetgen.text.blocks import Colour
from sheetgen.trace.recorder import Frame
from sheetgen.trace.tensor import Block

Look = dict[str, Any]  # properties of a cell, by XlsxWriter's names

MARK_CAUSE = WHITE, "#7030A0"  # `check --mark`: letters and ground of cells that are wrong by themselves …
MARK_FOLLOWS = "#000000", "#E4D5F0"  # … and of those that are made from them
SMALLEST = 0.105  # of the scales of a printed page: programs know none below 10 %
THIN, MEDIUM, DASHED, DOTTED, THICK, DOUBLE, HAIR = 1, 2, 3, 4, 5, 6, 7  # Excel's numbers of borders
HATCHED = 14  # Excel's number of a fill: thin diagonal lines


@dataclass(frozen=True)
class PageSetup:
    """How a sheet is printed: upright (tall) or on its side, the whole on one page or only its width."""

    tall: bool
    whole: bool


@dataclass(frozen=True)
class Theme:
    """Colours ("#RRGGBB"), sizes (points, letters, pixels) and fonts of a workbook; a TOML file may set any of them.

    fills, lines: of the blocks, by colour group; frames: of the parts of the model, by kind.
    """

    name: str
    font: str
    size: float
    column_width: float  # of every column of the model: −0.53 with room
    margin_width: float  # of the columns where the sides of frames stand
    stream_width: float  # of the residual stream
    row_height: float
    zoom: int
    chart_width: int  # pixels
    chart_height: int
    paper: str
    ink: str
    quiet: str  # names along the axes, equations
    link: str
    button: str  # behind links: light, since LibreOffice writes them in a dark blue of its own
    stream: str  # the line of the residual stream
    hidden: str  # lines of the cells that the mask hides
    heat: str  # of a weight of 1; 0 is paper
    wrong: str  # a word that the vocabulary lacks
    black: str  # of the pixels of an image
    white: str
    filled: bool  # titles of frames on their colour; else in it
    bare: bool  # no look at all: for those who restyle by themselves, and to time what the look costs
    fills: Mapping[str, str]
    lines: Mapping[str, str]
    frames: Mapping[str, str]

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

    def block(self, tensor: Block, number: str = "") -> Look:
        """Look of the cells of a block; `number` is its number format when it is not the usual one."""
        number = number or number_format(tensor)
        if self.bare:
            return {"num_format": number}
        if tensor.op.runs_on:  # a text that runs on over the cells to its right
            return self.text("MESSAGE")
        group = colour_of(tensor)
        fill = self.fills[group]
        return {
            "font_name": self.font,
            "font_size": self.size,
            "font_color": self.on(fill),
            "bg_color": fill,
            "border": INNER[group],
            "border_color": mix(self.lines[group], fill, 0.35),
            "align": "center",
            "valign": "vcenter",
            "num_format": number,
            "bold": group in ("residual", "input"),
            "shrink": tensor.value.dtype == object,
        }

    def outline(self, tensor: Block, sides: str) -> Look:
        """What a cell at these sides of a block (of "left right top bottom") has besides."""
        if tensor.op.runs_on:
            return {}
        group = colour_of(tensor)
        look = dict.fromkeys(sides.split(), OUTER[group])
        return {} if self.bare else look | {f"{side}_color": self.lines[group] for side in sides.split()}

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

    def box(self, name: str, kind: FrameKind, edges: str) -> Look:
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

    def page(self, rows: int, letters: float) -> PageSetup:
        """How a sheet of so many rows and so many letters' width is printed on A3: on one page, its side or upright."""
        height, width = rows * self.row_height, letters * 5.6  # a digit of 11 pt is 5.6 pt wide
        wide, tall = (min(x / width, y / height) for x, y in ((1100, 740), (740, 1100)))
        return PageSetup(tall > wide, True) if max(wide, tall) > SMALLEST else PageSetup(False, False)

    def fits(self, title: str, equation: str, columns: int) -> bool:
        """Whether a title and, in small letters, an equation stand in one line over so many columns."""
        size = self.size / 11
        return (
            size * (len(title) * 1.1 + 3 + len(equation) * (self.size - 2) / self.size) <= columns * self.column_width
        )


OUTER: dict[Colour, int] = dict.fromkeys(get_args(Colour), THIN) | {
    "weight": MEDIUM,
    "constant": DOTTED,
    "control": DASHED,
    "input": DASHED,
    "gate": DOUBLE,
    "residual": MEDIUM,
}
INNER: dict[Colour, int] = dict.fromkeys(get_args(Colour), THIN) | {"constant": DOTTED}
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
