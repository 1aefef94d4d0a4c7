"""Times sheetgen beside others on the same workbooks, in one run, and writes docs/benchmarks.md.

    python benchmarks/benchmark.py [--runs 3] [--largest 1000000] [--write docs/benchmarks.md]

Figures are the least of some runs, the runs of all sides in turns, so that a busy machine slows all alike. Seconds
are those of the processor, in all processes that a side starts; memory is the largest of them. Every process finds
its modules compiled, as they are after `pip install`. A run of all takes about half an hour on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import pickle
import platform
import re
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib.metadata import version
from io import StringIO
from itertools import groupby, pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest import mock

import xlsxwriter

from sheetgen.cli import commands
from sheetgen.engines import soffice
from sheetgen.engines.libreoffice import _ALWAYS_RECALCULATE
from sheetgen.engines.uncached import drop_cached_values
from sheetgen.xlsx.parts import read_outline, read_sheet, read_strings

WORDS = " ".join(f"w{i}" for i in range(16))
LLAMA = f"llama1 --weights normal --text '{WORDS}'"
SIZES = {  # about so many cells: the options of `sheetgen build`
    1_000: "attention --text 'a b'",
    10_000: "llama1 --weights normal",
    50_000: f"{LLAMA} --dim 16 --heads 2 --head-dim 8 --ffn 32 --layers 2 --vocab 40",
    100_000: f"{LLAMA} --dim 24 --heads 3 --head-dim 8 --ffn 48 --layers 2 --vocab 40",
    1_000_000: f"{LLAMA} --dim 64 --heads 8 --kv-heads 4 --head-dim 8 --ffn 172 --layers 5 --vocab 512",
}
NAMED = {
    "a nanoGPT of 85,000 parameters": "gpt2 --layers 3 --heads 3 --dim 48 --head-dim 16 --ffn 192 --vocab 3 "
    "--set n_positions=11 --tokens 0,1,2,0,1,2,0,1,2,0,1",
    "a llama of 260,000 parameters": "llama1 --dim 64 --layers 5 --heads 8 --kv-heads 4 --head-dim 8 --ffn 172 "
    f"--vocab 512 --text '{WORDS}'",
    "the shape of gpt2-small": "gpt2 --dim 768 --layers 12 --heads 12 --head-dim 64 --ffn 3072 --vocab 50257 "
    "--weights normal",
}
PATIENCE = 600  # seconds of the processor for one side
GIVEN_UP = -signal.SIGXCPU
COMPILED: dict[str, str] = {}  # where the processes keep their compiled modules
LONG = 20  # seconds; what takes longer is run once, since chance matters less

EXCEL_MODEL = "from formulas.excel import ExcelModel; ExcelModel().loads({!r}).finish().calculate()"
BUILD_IMPORTS = "import sheetgen.cli, sheetgen.api, sheetgen.workbooks.single"
EXCEL_MODEL_IMPORTS = "import formulas.excel, formulas.functions as f; f.get_functions()"
CHECK_IMPORTS = "import sheetgen.proof.check, sheetgen.proof.report, sheetgen.proof.many, sheetgen.engines.formulas"
IRONCALC_IMPORTS = "import ironcalc"
IRONCALC = "import ironcalc; ironcalc.load_from_xlsx({!r}, 'en', 'UTC', 'en').evaluate()"


@dataclass
class Cost:
    """What a process took, with those it started: seconds of the processor, bytes; and how it ended."""

    seconds: float = float("inf")
    memory: float = float("inf")
    code: int = 0
    said: str = ""


@dataclass
class Row:
    """The costs of one workbook by side."""

    name: str
    cells: int = 0
    costs: dict[str, Cost] = field(default_factory=dict)


def run(command: Sequence[str], patience: int = PATIENCE) -> Cost:
    """Run a process to its end, or to that of the patience."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (patience, patience + 1))

    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(command, stdout=told, stderr=told, preexec_fn=limit, env=environment | COMPILED)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        told.seek(0)
        said = told.read().decode(errors="replace")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, process.returncode, said)


def least(sides: dict[str, Callable[[], Cost]], runs: int) -> dict[str, Cost]:
    """The least cost of each side, run in turns; one that fails, or takes long, is not run again."""
    found: dict[str, Cost] = {}
    for _ in range(runs):
        for name, side in sides.items():
            if name in found and (found[name].code or found[name].seconds > LONG):
                continue
            cost = side()
            before = found.get(name, Cost())
            found[name] = cost if cost.code or cost.seconds < before.seconds else before
    return found


def python(code: str) -> list[str]:
    """A line of Python as a process."""
    return [sys.executable, "-c", code]


def sheetgen(*arguments: str) -> list[str]:
    """The command line as a process."""
    return [sys.executable, "-m", "sheetgen", *arguments]


# --- the same cells without sheetgen -----------------------------------------------------------------------------


@dataclass
class Script:
    """A program that writes a workbook by XlsxWriter alone, and the data it reads before that."""

    code: Path
    data: Path

    def write(self, target: Path) -> Cost:
        """What the whole program takes."""
        return run([sys.executable, str(self.code), str(self.data), str(target)])

    def read(self) -> Cost:
        """What starting it and reading its data takes."""
        return run(python(f"import pickle, xlsxwriter; pickle.load(open({str(self.data)!r}, 'rb'))"))


def script(folder: Path, name: str, code: str, data: Any) -> Script:
    """The program in the folder."""
    made = Script(folder / f"{name}.py", folder / f"{name}.pickle")
    made.code.write_text(READ + code, encoding="utf-8")
    with made.data.open("wb") as file:
        pickle.dump(data, file)
    return made


READ = """
import sys, pickle, xlsxwriter
data = pickle.load(open(sys.argv[1], "rb"))
"""
# The cells alone, from plain lists, with one format for each sheet.
PLAIN = """
book = xlsxwriter.Workbook(sys.argv[2], {"strings_to_formulas": False, "strings_to_urls": False})
for name, rows, formulas, blanks in data:
    sheet, look = book.add_worksheet(name), book.add_format({"num_format": "0.00", "border": 1})
    for row, column in blanks:
        sheet.write_blank(row, column, None, look)
    for area, text, array, value in formulas:
        if array:
            sheet.write_dynamic_array_formula(*area, text, look, value)
        else:
            sheet.write_formula(*area[:2], text, look, value)
    for row, column, values in rows:
        sheet.write_row(row, column, values, look)
book.close()
"""


def contents(path: Path) -> list[Any]:
    """Of each sheet: runs of constants (and of cached values), formulas, and formatted cells without contents."""
    found = []
    with zipfile.ZipFile(path) as archive:
        with archive.open("xl/workbook.xml") as stream:
            names = list(read_outline(stream).sheets)
        with archive.open("xl/sharedStrings.xml") as stream:
            strings = read_strings(stream)
        for i, name in enumerate(names, start=1):
            part = f"xl/worksheets/sheet{i}.xml"
            with archive.open(part) as stream:
                sheet = read_sheet(name, stream, strings, lambda text, _origin, _at: text, cached=True)
            firsts = {(f.range.top, f.range.left) for f in sheet.formulas}
            values = sheet.cells | {at: v for at, v in sheet.cached.items() if at not in firsts}
            formulas = [
                (
                    (f.range.top, f.range.left, f.range.bottom, f.range.right),
                    f.text,
                    f.array,
                    sheet.cached.get((f.range.top, f.range.left), 0),
                )
                for f in sheet.formulas
            ]
            blank = re.findall(rb'<c r="([A-Z]+)(\d+)" s="\d+"/>', archive.read(part))
            places = [
                xlsxwriter.utility.xl_cell_to_rowcol(f"{letters.decode()}{row.decode()}") for letters, row in blank
            ]
            found.append((name, runs_of(values), formulas, places))
    return found


def runs_of(values: dict[tuple[int, int], Any]) -> list[tuple[int, int, list[Any]]]:
    """Neighbours in a row together, as arrays are written."""
    order = sorted(values)
    groups = groupby(enumerate(order), key=lambda pair: (pair[1][0], pair[1][1] - pair[0]))
    found = []
    for _, group in groups:
        places = [at for _, at in group]
        found.append((*places[0], [values[at] for at in places]))
    return found


# Everything: the calls that sheetgen made, again. Ours are numbered; so are the objects that they gave.
REPLAY = """
objects = {}
for target, method, arguments, options, result in data:
    if target is None:
        found = xlsxwriter.Workbook(sys.argv[2], *arguments[1:])
    else:
        arguments = [objects[each[1]] if type(each) is tuple and each[0] == "object" else each for each in arguments]
        for each in arguments:
            if type(each) is dict and type(each.get("format")) is tuple:
                each["format"] = objects[each["format"][1]]
        found = getattr(objects[target], method)(*arguments, **options)
    if result is not None:
        objects[result] = found
"""


class Recorded:
    """An object of XlsxWriter that notes what is called of it, by what every version of XlsxWriter has."""

    def __init__(self, real: Any, calls: list[Any], target: int | None = None) -> None:
        self.real, self.calls = real, calls
        self.number = target

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda *arguments, **options: self.call(method, arguments, options)

    def call(self, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Note the call, and make it."""
        found = getattr(self.real, method)(*(_bare(each) for each in arguments), **options)
        told = [_numbered(each) for each in arguments]
        if method == "add_worksheet":
            told = told[:1]
        elif method == "write_numbers":
            method = "write_row"
        elif method == "write_corner":
            place, *rest = told
            method, told = "write_dynamic_array_formula", [place.top, place.left, place.bottom, place.right, *rest]
        made = method.startswith("add_") and method != "add_series"
        number = len(self.calls) if made else None
        self.calls.append((self.number, method, told, options, number))
        return Recorded(found, self.calls, number) if made else found


def _bare(value: Any) -> Any:
    """A value for the real call."""
    if isinstance(value, dict):
        return {key: _bare(each) for key, each in value.items()}
    return value.real if isinstance(value, Recorded) else value


def _numbered(value: Any) -> Any:
    """A value as it is noted."""
    if isinstance(value, dict):
        return {key: _numbered(each) for key, each in value.items()}
    return ("object", value.number) if isinstance(value, Recorded) else value


def calls_of(options: str, target: Path) -> list[Any]:
    """The calls of XlsxWriter by which sheetgen builds a workbook."""
    calls: list[Any] = []
    real = xlsxwriter.Workbook

    def workbook(*arguments: Any) -> Recorded:
        # Not the folder for temporary files, which is gone afterwards.
        plain = [
            {k: v for k, v in each.items() if k != "tmpdir"} if isinstance(each, dict) else each for each in arguments
        ]
        calls.append((None, "", ["", *plain[1:]], {}, 0))
        return Recorded(real(*arguments), calls, 0)

    with mock.patch.object(xlsxwriter, "Workbook", workbook), redirect_stdout(StringIO()):
        commands.main(["build", *shlex.split(options), "-o", str(target), "--force"], standalone_mode=False)
    return calls


def rivals(path: Path, options: str, folder: Path) -> tuple[Script, Script]:
    """The programs that write the same cells, and the same workbook."""
    replay = script(folder, "replay", REPLAY, calls_of(options, folder / "recorded.xlsx"))
    return script(folder, "plain", PLAIN, contents(path)), replay


# --- the table ---------------------------------------------------------------------------------------------------


def measure(name: str, options: str, folder: Path, runs: int) -> Row:
    """All sides of one workbook."""
    path = folder / "{}.xlsx".format(re.sub(r"\W+", "_", name))
    build = sheetgen("build", *shlex.split(options), "-o", str(path), "--force")
    row = Row(name)
    first = run(build)
    row.costs["build"] = first
    if first.code:
        return row
    row.cells = int(re.findall(r"cells +([\d,]+)", first.said)[0].replace(",", ""))
    # In a process of its own: what this one takes would count as memory of those that it starts.
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        plain, replay = pool.submit(rivals, path, options, folder).result()
    sides: dict[str, Callable[[], Cost]] = {
        "build": lambda: run(build),
        "plain": lambda: plain.write(folder / "plain.xlsx"),
        "plain, reading": plain.read,
        "replay": lambda: replay.write(folder / "replayed.xlsx"),
        "replay, reading": replay.read,
        "imports": lambda: run(python(BUILD_IMPORTS)),
        "check": lambda: run(sheetgen("check", str(path))),
        "check, imports": lambda: run(python(CHECK_IMPORTS)),
    }
    if row.cells < 80_000:
        sides["ExcelModel"] = lambda: run(python(EXCEL_MODEL.format(str(path))))
        sides["ExcelModel, imports"] = lambda: run(python(EXCEL_MODEL_IMPORTS))
    bare = folder / f"bare_{path.name}"
    drop_cached_values(path, bare)
    sides["IronCalc"] = lambda: run(python(IRONCALC.format(str(bare))))
    if command := soffice():
        user = folder / "profile" / "user"
        user.mkdir(parents=True, exist_ok=True)
        (user / "registrymodifications.xcu").write_text(_ALWAYS_RECALCULATE, encoding="utf-8")
        where = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
        out = ["--headless", "--norestore", "--convert-to", "xlsx", "--outdir", str(folder / "out"), str(bare)]
        run([command, where, "--headless", "--terminate_after_init"])  # makes the profile, which is not timed
        sides["LibreOffice"] = lambda: run([command, where, *out])
    row.costs |= least(sides, runs if row.cells > 20_000 else 2 * runs)  # of little time, chance is a large part
    for side in ("plain", "replay", "imports", "check"):
        if row.costs[side].code:
            raise RuntimeError(f"{side} of {name} fails: {row.costs[side].said}")
    return row


def seconds(cost: Cost | None) -> str:
    """A cell of the table: the seconds, or that there are none."""
    if cost is None:
        return "–"
    if cost.code == GIVEN_UP:
        return f"> {cost.seconds:.0f}"
    return "fails" if cost.code else f"{cost.seconds:.2f}"


def mib(cost: Cost) -> str:
    """Memory in a cell of the table."""
    return f"{cost.memory / 2**20:,.0f}"


def ratio(one: Cost | None, other: Cost | None) -> str:
    """How many times longer than `one` the other took."""
    if one is None or other is None or one.code or other.code not in (0, GIVEN_UP):
        return "–"
    return f"{'> ' if other.code else ''}{other.seconds / one.seconds:.1f}×"


def without(row: Row, side: str, start: str) -> float:
    """Seconds of a side without what it takes to start and to get its data."""
    return max(row.costs[side].seconds - row.costs[start].seconds, 1e-9)


def writing(row: Row) -> tuple[float, float, float]:
    """Seconds of sheetgen, of XlsxWriter for the same cells, and of XlsxWriter for the same workbook."""
    replay = without(row, "replay", "replay, reading")
    return without(row, "build", "imports"), without(row, "plain", "plain, reading"), replay


def inside(row: Row) -> str:
    """How many times longer than sheetgen's check ExcelModel took, without the start of both."""
    model = row.costs.get("ExcelModel")
    if model is None or model.code not in (0, GIVEN_UP):
        return "–"
    factor = without(row, "ExcelModel", "ExcelModel, imports") / without(row, "check", "check, imports")
    return f"{'> ' if model.code else ''}{factor:.1f}×"


def report(rows: list[Row], named: list[Row]) -> str:
    """The page."""
    lines = ["# Benchmarks", "", PREFACE, "", machine(), "", "## Build", ""]
    lines += ["| cells | sheetgen, s | the same cells, s | ratio | the same workbook, s | ratio | memory, MiB | |"]
    lines += ["|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for row in rows:
        ours, cells, whole = writing(row)
        told = f"{ours:.2f} | {cells:.2f} | {ours / cells:.2f} | {whole:.2f} | {ours / whole:.2f}"
        lines += [f"| {row.cells:,} | {told} | {mib(row.costs['build'])} | {mib(row.costs['plain'])} |"]
    lines += ["", BUILD, "", "## Check", ""]
    lines += [
        "| cells | sheetgen, s | LibreOffice, s | | IronCalc, s | | ExcelModel, s | | without start | memory, MiB |"
    ]
    lines += ["|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for row in rows:
        costs, check = row.costs, row.costs["check"]
        others = [costs.get(name) for name in ("LibreOffice", "IronCalc", "ExcelModel")]
        told = " | ".join(f"{seconds(other)} | {ratio(check, other)}" for other in others)
        lines += [f"| {row.cells:,} | {seconds(check)} | {told} | {inside(row)} | {mib(check)} |"]
    lines += ["", CHECK, "", "## Growth", ""]
    lines += [
        "| from | to | cells | build | check | memory of build | memory of check |",
        "|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for small, large in pairwise(rows):
        one, two = small.costs, large.costs
        grown = [writing(large)[0] / writing(small)[0], two["check"].seconds / one["check"].seconds]
        grown += [two[side].memory / one[side].memory for side in ("build", "check")]
        told = " | ".join(f"{factor:.1f}×" for factor in (large.cells / small.cells, *grown))
        lines += [f"| {small.cells:,} | {large.cells:,} | {told} |"]
    lines += ["", "## Models", "", "| model | cells | build, s | check, s | LibreOffice, s |", "|---|--:|--:|--:|--:|"]
    for row in named:
        if row.costs["build"].code:
            lines += [f"| {row.name} | refused: {row.costs['build'].said.strip().partition(': ')[2]} | | | |"]
        else:
            told = " | ".join(seconds(row.costs.get(name)) for name in ("build", "check", "LibreOffice"))
            lines += [f"| {row.name} | {row.cells:,} | {told} |"]
    return "\n".join([*lines, ""])


PREFACE = (
    "Made by `make benchmark`, all sides in turns in one run. Each figure is the least of some runs: seconds of the "
    "processor, the largest process's memory. Ratios are what counts; the seconds depend on the machine."
)
BUILD = (
    "The same cells: a program that writes them by XlsxWriter alone (constants, formulas with their values, empty ones "
    "with a look) from plain lists, with one format per sheet, no notes, names, links, rules, charts or other looks. "
    "The same workbook: a program that makes all calls of XlsxWriter that sheetgen made, from a list of them. Starting "
    "Python, imports and reading the lists are taken off on all sides; computing the model and the layout are in "
    "sheetgen's. It writes numbers by the row (`worksheet.py`), hence factors below 1. Memory: of sheetgen, "
    "and of XlsxWriter with the same cells."
)
CHECK = (
    "Whole processes, with their start. sheetgen: reads, rebuilds the model, recomputes by the package `formulas` and "
    "compares. LibreOffice: opens, recalculates and saves. IronCalc: loads and evaluates. ExcelModel: "
    "`ExcelModel().loads(FILE).finish().calculate()` of the package `formulas`, up to 80,000 cells. The factor behind "
    "each says how many times longer than sheetgen it took; the last one without starting Python and imports, on both "
    "sides."
)


def machine() -> str:
    """What it ran on, without its name."""
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("sheetgen", "XlsxWriter", "formulas", "numpy", "ironcalc")
    )
    command = soffice()
    told = subprocess.run([command, "--version"], capture_output=True, text=True, check=False).stdout if command else ""
    office = " ".join(told.split()[:2]) or "no LibreOffice"
    return (
        f"{os.cpu_count()} processors, {platform.system()}, Python {platform.python_version()}, {packages}, {office}."
    )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--largest", type=int, default=max(SIZES))
    parser.add_argument("--write", type=Path, help="the page; else it is printed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sheetgen-benchmark-") as name:
        folder = Path(name)
        COMPILED["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
        for imports in (BUILD_IMPORTS, CHECK_IMPORTS, EXCEL_MODEL_IMPORTS, IRONCALC_IMPORTS):
            run(python(imports))
        run(sheetgen("check", "nothing.xlsx"))
        rows: list[Row] = []
        named: list[Row] = []
        tasks = [(str(cells), options, rows) for cells, options in SIZES.items() if cells <= arguments.largest]
        tasks += [(title, options, named) for title, options in NAMED.items()]
        for title, options, where in sorted(tasks, key=lambda task: task[0] == str(max(SIZES))):  # the largest last
            print(f"{title} …", file=sys.stderr, flush=True)
            where.append(measure(title, options, folder, arguments.runs))
            page = report(rows, named)
            if arguments.write:
                arguments.write.write_text(page, encoding="utf-8")
    if not arguments.write:
        print(page)


if __name__ == "__main__":
    main()
