"""The sheet of a model: its blocks where the layout has them, and the frames, titles and names around them."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from sheetgen.base.cells import Range
from sheetgen.base.lang import tr
from sheetgen.sheet.frames import Decor, Mark, levels
from sheetgen.sheet.layout import Label, Title
from sheetgen.sheet.workbook import Placed
from sheetgen.text.equation import equation_of, note_of
from sheetgen.trace.tensor import Block, Control
from sheetgen.xlsx import rules
from sheetgen.xlsx.draft import Draft, Looks
from sheetgen.xlsx.library import Format
from sheetgen.xlsx.paper import set_paper

Progress = Callable[[str], None]  # called with the path of each block that has been written
HINT = "Every number is a formula; red cells are trainable. Change one and look below."
HEADINGS = {"": "TITLE", "above": "NAME_ABOVE", "left": "NAME_LEFT"}  # how a heading looks, by its side
NAMES = {"left": "NAME_LEFT", "above": "NAME_ABOVE", "top": "NAME_TOP"}  # and the names along a block


class ModelSheet:
    """One model on its sheet.

    home: the page that its frames lead back to; empty when there is none. marked: paths of blocks that are new.
    """

    def __init__(self, draft: Draft, model: Placed, home: str, marked: frozenset[str]) -> None:
        self.draft, self.theme, self.model, self.layout = draft, draft.theme, model, model.layout
        self.home, self.marked = home, marked
        self.sheet = draft.add_sheet(model.sheet)

    def write(self, progress: Progress, activate: bool) -> None:
        """All of it, from the columns to the names along the blocks. activate: it is what one sees first."""
        draft, theme, layout, model = self.draft, self.theme, self.layout, self.model
        if activate:
            self.sheet.activate()
        self.prepare()
        draft.text(self.sheet, 0, 0, model.title, theme.text("HEADING"))
        draft.text(self.sheet, 1, 0, HINT, theme.text("SUBTITLE"))
        for (row, column), mark in Decor(layout, theme, self.home).marks.items():
            self.mark(row, column, mark)
        for path, tensor in model.trace.blocks.items():
            self.block(tensor, layout.places[path])
            progress(path)
        for title in layout.titles:
            self.title(title)
            note = note_of(title.tensor, model.request.preset.paper)
            draft.note(self.sheet, title.row, title.column, note)
        for shape in layout.shapes:
            draft.text(self.sheet, shape.row, shape.column, shape.text, theme.text("SHAPE"))
        for label in layout.labels:
            self.names(label)
        for heading in layout.headings:
            look = theme.text(HEADINGS[heading.side])
            draft.text(self.sheet, heading.row, heading.column, heading.text, look)

    def prepare(self) -> None:
        """Columns, rows and their groups, what stays in sight, and the printed page."""
        sheet, layout, theme = self.sheet, self.layout, self.theme
        blank = self.draft.look(theme.text())
        if theme.bare:
            return
        sheet.set_default_row(theme.row_height)
        sheet.set_column(0, layout.right + theme.beyond, theme.column_width, blank)
        sheet.set_column(0, layout.margin - 1, theme.margin_width, blank)
        sheet.set_column(layout.end + 1, layout.end + 1, theme.stream_width, blank)
        sheet.hide_gridlines(2)
        sheet.set_zoom(theme.zoom)
        sheet.set_row(0, theme.heading_height)
        sheet.freeze_panes(layout.head, 0)
        sheet.outline_settings(symbols_below=False)  # a fold is named by the title above it
        for row, level in levels(layout).items():
            sheet.set_row(row, None, None, {"level": level})
        sheet.print_area(0, 0, layout.bottom, layout.right)
        sheet.repeat_rows(0, layout.head - 1)
        set_paper(sheet, theme.page(layout.bottom + 1, (layout.right + 1) * theme.column_width))

    # --- blocks --------------------------------------------------------------------------------------------------

    def block(self, tensor: Block, place: Range) -> None:
        """The numbers or formulas of one block, and what follows its values."""
        draft, model, path = self.draft, self.model, tensor.path
        looks = self.looks(tensor, place)
        if tensor.kind == "computed":
            draft.computed(tensor, place, self.layout.places, looks)
        elif link := model.links.get(path):
            draft.repeated(tensor, place, link, looks)
        else:
            draft.constants(place, tensor.value, looks)
        if isinstance(tensor, Control):
            rules.limited(draft, place, tensor, tensor.limits)
        elif tensor.role == "sentence":
            if path not in model.links:  # else they are chosen in the other model
                rules.a_word(draft, place, self.layout.places["vocabulary"])
            rules.unknown_words(draft, place, self.layout.places[path.removesuffix("words") + "in_vocabulary"])
        elif tensor.role == "image":
            rules.pixels(draft, place)
        elif tensor.role in ("pattern", "probabilities") and not self.theme.bare:
            rules.heat(draft, place, hidden=tensor.role == "pattern")

    def looks(self, tensor: Block, place: Range) -> Looks:
        """The formats of the cells of a block: those at its sides have its outline."""
        base, made = self.theme.block(tensor), dict[tuple[bool, ...], Format]()

        def at(row: int, column: int) -> Format:
            here = column == place.left, column == place.right, row == place.top, row == place.bottom
            if here not in made:
                sides = " ".join(itertools.compress(("left", "right", "top", "bottom"), here))
                made[here] = self.draft.look(base | self.theme.outline(tensor, sides))
            return made[here]

        return at

    # --- around them ---------------------------------------------------------------------------------------------

    def mark(self, row: int, column: int, mark: Mark) -> None:
        """A cell outside the blocks."""
        look = self.draft.look(mark.look)
        if mark.link:
            self.sheet.write_url(row, column, mark.link, look, tr(mark.text))
            self.draft.summary.cells += 1
        elif mark.text:
            self.draft.text(self.sheet, row, column, mark.text, mark.look)
        else:
            self.sheet.write_blank(row, column, None, look)

    def title(self, title: Title) -> None:
        """Name and shape, and the equation behind them where there is room; else it is in the note alone."""
        draft, theme = self.draft, self.theme
        new = self.model.path(title.tensor.path) in self.marked
        look = theme.text("TITLE_RIGHT" if title.right else "TITLE") | (theme.new if new else {})
        text = f"★ {title.text}" if new else title.text
        equation = equation_of(title.tensor) if title.tensor.kind == "computed" else ""
        if theme.bare or title.right or not equation or not theme.fits(text, equation, title.columns):
            draft.text(self.sheet, title.row, title.column, text, look)
            return
        draft.summary.cells += 1
        told = draft.look(look), text, draft.look(theme.text("EQUATION")), f"   {equation}", draft.look(look)
        self.sheet.write_rich_string(title.row, title.column, *told)

    def names(self, label: Label) -> None:
        """The names along a block: live words, or numbers."""
        draft, area = self.draft, label.range
        looks = draft.everywhere(self.theme.text(NAMES[label.side]))
        if label.words is not None:
            draft.computed(label.words, area, self.layout.places, looks)
            return
        for i in range(area.rows * area.columns):
            row, column = (area.top + i, area.left) if label.side == "left" else (area.top, area.left + i)
            self.sheet.write_number(row, column, i, looks(row, column))
        draft.summary.cells += area.rows * area.columns
