"""A few lines of HTML for notebooks: escaped, without styles or scripts from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sheetgen.base.errors import printable

CELL = "text-align:left;vertical-align:top;padding:0 1em 0 0"
LONG = 300  # letters of a text that are shown


def paragraph(text: str, strong: bool = False) -> str:
    """A line of text."""
    told = _told(text)
    return f"<div>{f'<strong>{told}</strong>' if strong else told}</div>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of texts and numbers; nothing without rows."""
    lines = [_row("td", row) for row in rows]
    return f"<table>{_row('th', head) if any(head) else ''}{''.join(lines)}</table>" if lines else ""


def _row(tag: str, cells: Sequence[object]) -> str:
    return "<tr>" + "".join(f'<{tag} style="{CELL}">{_told(str(cell))}</{tag}>' for cell in cells) + "</tr>"


def _told(text: str) -> str:
    """Signs that mean something to HTML, or steer a terminal, only as signs; long texts cut."""
    from html import escape  # here, since only notebooks need it

    return escape(printable(text if len(text) <= LONG else f"{text[:LONG]}…"))
