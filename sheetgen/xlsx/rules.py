"""What a program does by itself: colours that follow the values (conditional formats), and what may be typed."""

from __future__ import annotations

from sheetgen.base.cells import Range
from sheetgen.base.lang import tr
from sheetgen.sheet.workbook import Rule
from sheetgen.text.equation import sentence_of
from sheetgen.trace.limits import Limits
from sheetgen.trace.tensor import Block
from sheetgen.xlsx.draft import Draft
from sheetgen.xlsx.library import Options

LARGEST = 1e15  # what a validation has as its bound where there is none
TITLE, MESSAGE = 32, 255  # letters that Excel takes


# --- conditional formats -----------------------------------------------------------------------------------------


def heat(draft: Draft, place: Range, hidden: bool) -> None:
    """Weights from 0 to 1 as a colour; those that a mask hides (if any are) are exactly 0, and hatched."""
    theme = draft.theme
    if hidden:
        zero = {"criteria": f"={place.part(0, 0).a1}=0", "format": draft.look(theme.masked)}
        _conditional(draft, place, {"type": "formula", "stop_if_true": True} | zero)
    scale = {"type": "2_color_scale", "min_type": "num", "max_type": "num", "min_value": 0, "max_value": 1}
    _conditional(draft, place, scale | {"min_color": theme.paper, "max_color": theme.heat})


def pixels(draft: Draft, place: Range) -> None:
    """Pixels as shades of grey: the smallest black, the largest white; light numbers on dark."""
    theme = draft.theme
    _conditional(draft, place, {"type": "2_color_scale", "min_color": theme.black, "max_color": theme.white})
    image = place.absolute.partition("!")[2]
    dark = f"=2*{place.part(0, 0).a1}<MAX({image})+MIN({image})"
    light = draft.look({"font_color": theme.white})
    _conditional(draft, place, {"type": "formula", "criteria": dark, "format": light})


def unknown_words(draft: Draft, place: Range, known: Range) -> None:
    """A word that the vocabulary does not have is marked. known: of each word ✓, or ✗ and perhaps a hint."""
    wrong = {"criteria": f'=LEFT({known.part(0, 0).a1},1)="✗"', "format": draft.look(draft.theme.wrong_word)}
    _conditional(draft, place, {"type": "formula"} | wrong)


def changed(draft: Draft, rule: Rule) -> None:
    """What is not as it was when the workbook was built."""
    marked = draft.look(draft.theme.changed)
    _conditional(draft, rule.range, {"type": "formula", "criteria": rule.formula, "format": marked})


def states(draft: Draft, place: Range) -> None:
    """What is done is struck out, what is being done stands out."""
    for state, look in draft.theme.states.items():
        cell = {"type": "cell", "criteria": "==", "value": f'"{state}"', "format": draft.look(look)}
        _conditional(draft, place, cell)


def _conditional(draft: Draft, place: Range, options: Options) -> None:
    draft.sheets[place.sheet].conditional_format(place.top, place.left, place.bottom, place.right, options)


# --- what may be typed -------------------------------------------------------------------------------------------


def limited(draft: Draft, place: Range, tensor: Block, limits: Limits) -> None:
    """Numbers within limits, or one of some choices; a control says so where it is clicked."""
    rule: dict[str, object] = {"validate": "list", "source": list(limits.choices)}
    if not limits.choices:
        rule = {
            "validate": "integer" if limits.whole else "decimal",
            "criteria": "between",
            "minimum": limits.low,
            "maximum": min(limits.high, LARGEST),
        }
    message = tr(f"{tensor.name} {limits.rule}.")
    rule |= {"error_title": tensor.name[:TITLE], "error_message": message[:MESSAGE]}
    if tensor.kind == "control":
        rule |= {"input_title": tensor.name[:TITLE], "input_message": tr(sentence_of(tensor))[:MESSAGE]}
    _validation(draft, place, rule)


def one_of(draft: Draft, place: Range, choices: tuple[str, ...]) -> None:
    """One of some texts."""
    _validation(draft, place, {"validate": "list", "source": list(choices)})


def a_word(draft: Draft, place: Range, vocabulary: Range) -> None:
    """A word of the vocabulary."""
    _validation(
        draft,
        place,
        {
            "validate": "list",
            "source": f"={vocabulary.absolute}",
            "error_title": tr("Not in the vocabulary"),
            "error_message": tr("Choose a word from the list: the model knows no other."),
        },
    )


def _validation(draft: Draft, place: Range, options: Options) -> None:
    draft.sheets[place.sheet].data_validation(place.top, place.left, place.bottom, place.right, options)
