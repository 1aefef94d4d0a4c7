"""How things look: role → colours, fonts and number formats. Every choice of look is here.

Red is for trainable numbers and nothing else; their lines are dark red: a fill may be lost in print.
"""

from __future__ import annotations

from typing import Any, Literal

from sheetgen.tensor import Tensor

Role = Literal["weight", "constant", "control", "input", "activation", "attention", "gate", "residual", "output"]

FONT = "Arial"
SIZE = 11
COLUMN_WIDTH = 5.9  # of every column of the model: −0.53 with room
MARGIN_WIDTH = 1.2
ROW_HEIGHT = 16.5
ZOOM = 90

INK = "#1F2933"
QUIET = "#5C6873"  # names along the axes, equations: 4.5 : 1 on white

FILLS: dict[Role, str] = {
    "weight": "#FFC7C7",
    "constant": "#F2F2F2",
    "control": "#FFF2CC",
    "input": "#FFF2CC",
    "activation": "#EAF4E4",
    "attention": "#DDEBF7",
    "gate": "#E9E3F4",
    "residual": "#FFFFFF",
    "output": "#D9F0F0",
}
HEAT = "#FFFFFF", "#5B9BD5"  # of weights between 0 and 1
GREYS = "#000000", "#FFFFFF"  # of the pixels of an image
ON_DARK = {"font_color": "#FFFFFF"}
LINES: dict[Role, str] = dict.fromkeys(FILLS, "#BFC5CB") | {"weight": "#C00000", "residual": "#7F7F7F"}
FRAMES = ["#22577A", "#4C7A99", "#8FB0C6"]  # titles of frames, by depth
FRAME_INKS = ["#FFFFFF", "#FFFFFF", "#12303F"]

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
    "complete",
    "any_complete",
    "softmax",
    "softmax_max",
    "softmax_exp",
    "softmax_sum",
    "XT",
}
GATE = {"rank", "chosen", "g", "gate", "block_scores", "with_forced", "block_rank", "chosen_blocks", "branch_gates"}
RESIDUAL = {"embed", "mid", "out"}
OUTPUT = {"logits", "probs", "probs_max", "probs_exp", "probs_sum", "next_word", "next_prob", "label", "label_prob"}

INFINITE = {"masked", "softmax_max", "with_forced"}  # may hold ±10⁹ for ±∞
WHOLE = {  # whole numbers by their nature, besides those that `_counts` finds
    "key_position",
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
    if ".router." in f".{tensor.path}.":
        return "gate"
    groups: list[tuple[set[str], Role]] = [(ATTENTION, "attention"), (GATE, "gate"), (RESIDUAL, "residual")]
    for names, found in [*groups, (OUTPUT, "output")]:
        if tensor.name in names:
            return found
    return "activation"


def number_format(tensor: Tensor) -> str:
    """How its numbers are shown; the cells keep full precision."""
    if tensor.kind == "text" or tensor.value.dtype == object:
        return "@"
    if tensor.kind == "weight":
        return "0.0###"
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


def block(tensor: Tensor) -> dict[str, Any]:
    """Look of the cells of a block."""
    kind = role(tensor)
    return {
        "font_name": FONT,
        "font_size": SIZE,
        "font_color": INK,
        "bg_color": FILLS[kind],
        "border": 1,
        "border_color": LINES[kind],
        "align": "center",
        "valign": "vcenter",
        "num_format": number_format(tensor),
        "bold": kind in ("residual", "input"),
        "shrink": tensor.value.dtype == object,
    }


def fits(title: str, equation: str, columns: int) -> bool:
    """Whether a title and, in small letters, an equation stand in one line over so many columns."""
    return len(title) * 1.1 + 3 + len(equation) * (SIZE - 2) / SIZE <= columns * COLUMN_WIDTH


def plain(**more: Any) -> dict[str, Any]:
    """Look of a text outside the blocks."""
    return {"font_name": FONT, "font_size": SIZE, "font_color": INK, "valign": "vcenter"} | more


TITLE = plain(bold=True)
TITLE_RIGHT = plain(bold=True, align="right")
SHAPE = plain(font_color=QUIET, font_size=SIZE - 2, align="right")
EQUATION = plain(font_color=QUIET, italic=True, font_size=SIZE - 2)
NAME_ABOVE = plain(font_color=QUIET, font_size=SIZE - 2, align="center", shrink=True)
NAME_LEFT = plain(font_color=QUIET, font_size=SIZE - 2, align="right", shrink=True)
HEADING = plain(bold=True, font_size=20)
SUBTITLE = plain(font_color=QUIET)
LINK = plain(font_color="#0B5394", underline=1)
TABLE_HEAD = plain(bold=True, bottom=2)
CELL = plain()
KEY = plain(bold=True)
WRONG_WORD = {"bold": True, "italic": True, "font_strikeout": True, "bg_color": "#FFD966", "border": 1}


def frame(depth: int) -> dict[str, Any]:
    """Look of the title row of a frame."""
    i = min(depth, len(FRAMES) - 1)
    return plain(bold=True, font_size=SIZE + 3 - 2 * i, font_color=FRAME_INKS[i], bg_color=FRAMES[i])
