"""LibreOffice, headless: it recalculates and saves a copy of the workbook, whose values are read.

No cached value can come through: they are cut out of the copy first, and the profile, a fresh one for each
run, asks for a hard recalculation. (With its default settings LibreOffice keeps what the file says.)
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.parsers import expat

from sheetgen.base.cells import Range, parse_range
from sheetgen.engines import EngineError, EngineUnavailable, Values, grid_of, soffice
from sheetgen.xlsx.read import MAX_CELLS, Book, read_values

Change = Callable[[str, bytes], bytes]  # the name of a part and its content → the content that it shall have
TIMEOUT = 300  # seconds; a start takes one, 50,000 formulas another

_ALWAYS_RECALCULATE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse">\
<value>0</value></prop></item>
</oor:items>
"""


def recompute(path: Path, _book: Book | None = None) -> Values:
    """Every formula computed by LibreOffice; EngineError when it fails or takes too long."""
    with tempfile.TemporaryDirectory(prefix="sheetgen-") as folder:
        copy = Path(folder) / "recalculated.xlsx"
        recalculated_copy(path, copy)
        return Values({name: grid_of(cells) for name, cells in read_values(copy).items()})


def recompute_all(paths: Sequence[Path]) -> list[Values]:
    """Every formula of several workbooks, computed by one start of LibreOffice."""
    with tempfile.TemporaryDirectory(prefix="sheetgen-") as folder:
        copies = [Path(folder) / f"{i}.xlsx" for i in range(len(paths))]
        _recalculate(paths, copies)
        return [Values({name: grid_of(cells) for name, cells in read_values(copy).items()}) for copy in copies]


def recalculated_copy(path: Path, target: Path, form: str = "xlsx", change: Change | None = None) -> None:
    """Writes to `target` the workbook as LibreOffice recalculates and saves it, in the form with this extension.

    `change` is applied to the parts of the copy that LibreOffice reads.
    """
    _recalculate([path], [target], form, change)


def _recalculate(
    paths: Sequence[Path], targets: Sequence[Path], form: str = "xlsx", change: Change | None = None
) -> None:
    command = soffice()
    if command is None:
        raise EngineUnavailable("LibreOffice is not installed: install it, so that soffice is on the PATH")
    with tempfile.TemporaryDirectory(prefix="sheetgen-") as name:
        folder = Path(name)
        user = folder / "profile" / "user"
        user.mkdir(parents=True)
        (user / "registrymodifications.xcu").write_text(_ALWAYS_RECALCULATE, encoding="utf-8")
        (folder / "out").mkdir()
        copies = [folder / f"book{i}.xlsx" for i in range(len(paths))]  # names without surprises
        for path, copy in zip(paths, copies, strict=True):
            drop_cached_values(path, copy, change)
        told = ", ".join(map(str, paths))
        _run(
            [
                command,
                f"-env:UserInstallation={(folder / 'profile').as_uri()}",
                *("--headless", "--norestore", "--nologo", "--convert-to", form),
                *("--outdir", str(folder / "out"), *map(str, copies)),
            ],
            told,
        )
        for path, copy, target in zip(paths, copies, targets, strict=True):
            result = folder / "out" / f"{copy.stem}.{form}"
            if not result.exists():
                raise EngineError(f"LibreOffice could not open {path}")
            shutil.move(result, target)


def _run(command: list[str], what: str) -> None:
    """Runs soffice, which starts processes of its own: at the end of the patience all of them are ended."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
        errors="replace",
    ) as process:
        try:
            output, _ = process.communicate(timeout=TIMEOUT)
        except BaseException as error:
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                raise EngineError(f"LibreOffice took more than {TIMEOUT} s for {what}: it was stopped") from None
            raise
    if process.returncode != 0:
        raise EngineError(f"LibreOffice failed on {what}: {' '.join(output.split())[:300]}")


def drop_cached_values(path: Path, target: Path, change: Change | None = None) -> None:
    """Copies a workbook without the values of the cells that formulas fill, those of arrays included."""
    try:
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as copy:
            for part in source.infolist():
                content = source.read(part)
                if part.filename.startswith("xl/worksheets/") and part.filename.endswith(".xml"):
                    content = _without_cached_values(content)
                copy.writestr(part.filename, change(part.filename, content) if change else content)
    except (OSError, zipfile.BadZipFile, expat.ExpatError) as error:
        raise EngineError(f"{path} cannot be read: {error}") from None


_TYPE = re.compile(rb"""\st\s*=\s*("[^"]*"|'[^']*')""")


def _without_cached_values(xml: bytes) -> bytes:
    """A worksheet without the `<v>` of its formula cells, and with empty cells where array formulas will fill in.

    expat tells where these elements stand, and their bytes are cut out; writing a parsed tree anew would
    rename the prefixes that `mc:Ignorable` names.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    cuts: list[tuple[int, int]] = []  # of the bytes to drop
    covered: set[tuple[int, int]] = set()  # by arrays; the file has the formula before the other cells
    cell = ""
    contents: int | None = None  # where those of a covered cell begin
    computed = False
    begin = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal cell, contents, computed, begin
        match tag.rpartition(" ")[2]:
            case "c":
                cell = attributes.get("r", "")
                computed = False
                contents = None
                here = parse_range(cell, "") if covered else None
                if here is not None and (here.top, here.left) in covered:
                    first = parser.CurrentByteIndex
                    contents = xml.index(b">", first) + 1
                    if found := _TYPE.search(xml, first, contents):  # a type without a value counts as a text
                        cuts.append(found.span())
            case "f":
                computed = contents is None
                if attributes.get("t") == "array" and (area := parse_range(attributes.get("ref", cell), "")):
                    cover(area)
            case "v":
                begin = parser.CurrentByteIndex

    def cover(area: Range) -> None:
        if len(covered) + area.rows * area.columns > MAX_CELLS:
            raise EngineError(f"the array formulas up to {area.a1} fill more than {MAX_CELLS} cells")
        for row in range(area.top, area.bottom + 1):
            covered.update((row, column) for column in range(area.left, area.right + 1))

    def end(tag: str) -> None:
        match tag.rpartition(" ")[2]:
            case "c" if contents is not None and xml[contents - 2 : contents] != b"/>":
                cuts.append((contents, parser.CurrentByteIndex))
            case "v" if computed:
                opened = xml.index(b">", begin)
                empty = xml[opened - 1 : opened] == b"/"  # `<v/>` has no end tag
                cuts.append((begin, 1 + (opened if empty else xml.index(b">", parser.CurrentByteIndex))))

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.Parse(xml, True)
    kept = []
    position = 0
    for first, last in cuts:
        kept.append(xml[position:first])
        position = last
    return b"".join([*kept, xml[position:]])
