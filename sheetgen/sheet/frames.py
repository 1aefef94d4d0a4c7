"""What lies around the blocks of the model: frames, the line of the residual stream, arrows, groups of rows.

Knows where (`layout`) and how it looks (`theme`), but no Excel library: the result is plain marks on cells.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sheetgen.base.cells import sheet_prefix
from sheetgen.look.theme import Look, Theme
from sheetgen.sheet.layout import Box, Layout

DEEPEST = 7  # levels of groups that spreadsheet programs know


@dataclass
class Mark:
    """What one cell outside the blocks shows: a text or nothing, its look, and perhaps where it leads."""

    look: Look
    text: str = ""
    link: str = ""


@dataclass
class Decor:
    """The marks of a sheet by (row, column)."""

    layout: Layout
    theme: Theme
    home: str = ""  # the sheet to which a link on every frame leads back; none without it
    marks: dict[tuple[int, int], Mark] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.theme.bare:
            for box in self.layout.boxes:
                self.add(box.range.top, box.range.left, {}, box.frame.title)
            return
        for box in sorted(self.layout.boxes, key=lambda box: box.depth):
            self.frame(box)
        for stream in self.layout.streams:
            look = self.theme.text("STREAM")
            for link in stream.links:
                for column in range(link.left, link.right + 1):
                    self.add(link.top, column, self.theme.stream_link)
            for row in range(stream.range.top, stream.range.bottom + 1):
                sign = "⊕" if row in stream.joins else "▼" if row == stream.range.bottom else ""
                self.add(row, stream.range.left, look, sign)
        for arrow in self.layout.arrows:
            self.add(arrow.row, arrow.column, self.theme.text("ARROW"), arrow.text)

    def add(self, row: int, column: int, look: Look, text: str = "", link: str = "") -> None:
        """A mark over what the cell has already."""
        below = self.marks.get((row, column))
        if below is None:
            self.marks[row, column] = Mark(look, text, link)
        else:
            self.marks[row, column] = Mark(below.look | look, text or below.text, link or below.link)

    def frame(self, box: Box) -> None:
        """The title on its bar, the way back, and lines around the frame."""
        area, look = box.range, self.theme.frame(box.frame, box.depth)
        bottom, left, right = (self.edge(box, side) for side in ("bottom", "left", "right"))
        for column in range(area.left, area.right + 1):
            self.add(area.top, column, look)
            self.add(area.bottom, column, bottom)
        for row in range(area.top + 1, area.bottom + 1):
            self.add(row, area.left, left)
            self.add(row, area.right, right)
        self.add(area.top, area.left, look, box.frame.title)
        if self.home:
            back = self.theme.text("BACK")
            self.add(area.top, self.layout.end, back, f"▲ {self.home}", f"internal:{sheet_prefix(self.home)}A1")

    def edge(self, box: Box, side: str) -> Look:
        return self.theme.text() | self.theme.frame_edge(box.frame, box.depth, side)


def levels(layout: Layout) -> dict[int, int]:
    """How deep each row is in groups that fold: the rows of a frame under its title."""
    found: dict[int, int] = {}
    for box in layout.boxes:
        for row in range(box.range.top + 1, box.range.bottom + 1):
            found[row] = max(found.get(row, 0), min(box.depth + 1, DEEPEST))
    return found
