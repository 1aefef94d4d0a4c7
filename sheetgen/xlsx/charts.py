"""Charts on a sheet: what `sheet/pages/charts` says of them, drawn."""

from __future__ import annotations

from collections.abc import Sequence

from sheetgen.base.lang import tr
from sheetgen.look.theme import Theme
from sheetgen.sheet.workbook import Chart
from sheetgen.xlsx.library import Workbook, Worksheet

# Of the shapes of charts: XlsxWriter's type and subtype, and whether it is drawn by lines.
SHAPES: dict[str, tuple[str, str, bool]] = {
    "bars": ("column", "", False),
    "stacked": ("column", "stacked", False),
    "shares": ("bar", "percent_stacked", False),
    "lines": ("line", "", True),
}


def insert_charts(book: Workbook, sheet: Worksheet, charts: Sequence[Chart], theme: Theme) -> None:
    """Charts, two side by side, below the heading."""
    for i, chart in enumerate(charts):
        kind, subtype, line = SHAPES[chart.shape]
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
