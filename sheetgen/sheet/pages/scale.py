"""The page Scale: published models in numbers beside those of the workbook, and live formulas for what follows."""

from __future__ import annotations

from sheetgen.base.cells import Range
from sheetgen.published.columns import ASSUMPTIONS, COLUMNS, SIZES, Column
from sheetgen.published.table import SIZE_LIMITS, ModelTable
from sheetgen.sheet.names import SCALE
from sheetgen.sheet.workbook import Page, Table
from sheetgen.text.equation import equation_of

ASSUMED_ROW = 3  # of the sheet: what is assumed for all models
PARTS_ROW = 5  # what groups of columns are; below it their heads, then the models


def scale_page(table: ModelTable) -> Table:
    """The table as a sheet: its columns side by side from column B on, what they mean, and the models' names."""
    # The heads of the columns and the names of the models stay when the sheet is scrolled.
    scale = Table(Page(SCALE, []), table.trace, freeze=(PARTS_ROW + 2, 1), typed=SIZE_LIMITS)
    page, top = scale.page, PARTS_ROW + 2
    scale.free = top + len(table.notes) - 1
    page.row(0, f"Scale: {', '.join(group.title for group in table.groups)}", look="HEADING")
    page.row(
        1, "Sizes are cells, all else is computed from them: change one, or type sizes of your own.", look="SUBTITLE"
    )
    page.row(PARTS_ROW + 1, "model", look="TABLE_HEAD")
    for row, (name, note) in enumerate(table.notes.items(), start=top):
        page.row(row, name)
        scale.remark(row, 0, note)
    page.widths.append(max(map(len, table.notes)) + 3.0)
    part = ""
    for path, tensor in table.trace.blocks.items():
        if tensor.kind == "control":
            row = ASSUMED_ROW + list(ASSUMPTIONS).index(tensor.name)
            page.row(row, ASSUMPTIONS[tensor.name].head, look="KEY")
            page.cell(row, 2, ASSUMPTIONS[tensor.name].doc, "EQUATION")
            scale.put(path, Range(SCALE, row, 1, row, 1), "General")
            continue
        column = len(page.widths)
        about = COLUMNS.get(tensor.name) or Column(tensor.name, SIZES[tensor.name].doc, "sizes")
        if about.part != part:
            part = about.part
            page.cell(PARTS_ROW, column, part, "SUBTITLE")
        page.cell(PARTS_ROW + 1, column, about.head, "TABLE_HEAD")
        doc = table.equation.docs.get(tensor.name, about.doc)
        if tensor.kind == "computed" and tensor.name != "exact":
            doc = f"{tensor.name} = {equation_of(tensor).replace(' ⊙ ', '·')}\n{doc}"
        scale.remark(PARTS_ROW + 1, column, doc)
        scale.put(path, Range(SCALE, top, column, top + tensor.rows - 1, column), about.number_format)
        largest = len(f"{tensor.value.max():,.0f}")
        page.widths.append(max(len(about.head), largest) + 3.0)
    return scale
