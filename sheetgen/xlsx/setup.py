"""What is set or drawn on a whole sheet of XlsxWriter: columns and rows, groups, the printed page, charts.

The workbook and its sheets come from `write`; nothing of the library is imported here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sheetgen.base.lang import tr
from sheetgen.look.theme import PageSetup, Theme
from sheetgen.sheet.frames import levels
from sheetgen.sheet.layout import Layout
from sheetgen.sheet.workbook import Chart

# Of the shapes of charts: XlsxWriter's type and subtype, and whether it is drawn by lines.
CHARTS: dict[str, tuple[str, str, bool]] = {
    "bars": ("column", "", False),
    "stacked": ("column", "stacked", False),
    "shares": ("bar", "percent_stacked", False),
    "lines": ("line", "", True),
}
PAPER = 8  # A3: XlsxWriter's number


def prepare(sheet: Any, layout: Layout, theme: Theme, blank: Any) -> None:
    """Columns, rows and their groups, what stays in sight, and the printed page; blank: the format of an empty cell."""
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


def set_paper(sheet: Any, paper: PageSetup) -> None:
    """How the sheet is printed."""
    if paper.tall:
        sheet.set_portrait()
    else:
        sheet.set_landscape()
    sheet.set_paper(PAPER)
    sheet.set_margins(left=0.4, right=0.4, top=0.6, bottom=0.6)
    sheet.set_header('&L&"Arial,Bold"&A&R&F')
    sheet.set_footer("&R&P / &N")
    sheet.fit_to_pages(1, 1 if paper.whole else 0)


def insert_charts(book: Any, sheet: Any, charts: Sequence[Chart], theme: Theme) -> None:
    """Charts, two side by side, below the heading."""
    for i, chart in enumerate(charts):
        kind, subtype, line = CHARTS[chart.shape]
        drawn = book.add_chart({"type": kind, **({"subtype": subtype} if subtype else {})})
        look = theme.chart(tr(chart.title))
        for at, series in enumerate(chart.series):
            cells = {"categories": f"={chart.names.absolute}", "values": f"={series.values.absolute}"}
            gap = {"gap": 40} if kind != "line" else {}
            drawn.add_series({"name": tr(series.name), **cells, **gap, **theme.series(at, line)})
        drawn.set_title(look["title"])
        across = {"name": tr(chart.across), **look["axis"]}
        up = {"name": tr(chart.up), **look["axis"], **look.get("grid", {})}
        # Lying bars have their categories at the y axis, from the bottom up unless they are reversed.
        drawn.set_x_axis(up if kind == "bar" else across)
        drawn.set_y_axis(across | {"reverse": True} if kind == "bar" else up)
        drawn.set_legend({"none": True} if len(chart.series) == 1 else {"position": "bottom", **look["font"]})
        drawn.set_chartarea(look["area"])
        drawn.set_plotarea({key: look["area"][key] for key in look["area"] if key == "fill"})
        width, height = theme.chart_size
        taller = max(1.0, (chart.names.rows * 26 + 160) / height) if kind == "bar" else 1.0
        drawn.set_size({"width": width, "height": height * taller})
        at_pixel = {"x_offset": 10 + (i % 2) * (width + 20), "y_offset": (i // 2) * (height + 20)}
        sheet.insert_chart(3, 0, drawn, {**at_pixel, "description": tr(chart.alt)})
