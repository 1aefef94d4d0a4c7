"""The printed page of a sheet."""

from __future__ import annotations

from sheetgen.look.theme import PageSetup
from sheetgen.xlsx.library import Worksheet

SIZE = 8  # A3: XlsxWriter's number


def set_paper(sheet: Worksheet, paper: PageSetup) -> None:
    """How the sheet is printed."""
    if paper.tall:
        sheet.set_portrait()
    else:
        sheet.set_landscape()
    sheet.set_paper(SIZE)
    sheet.set_margins(left=0.4, right=0.4, top=0.6, bottom=0.6)
    sheet.set_header('&L&"Arial,Bold"&A&R&F')
    sheet.set_footer("&R&P / &N")
    sheet.fit_to_pages(1, 1 if paper.whole else 0)
