"""Changes workbooks at random at XML level; where `check` says equal, LibreOffice and Formulon must compute the same.

    python tests/differ.py [--cases 2000] [--seed N] [--first 0]

A case is a function of the seed and its number alone: `--seed N --first I --cases 1 --keep DIR` makes it again. Wrong
is a workbook that `check` calls equal by `formulas` and not by another engine: other programs read another file than
we.
A file that is refused, or that an engine cannot open, misleads nobody.
"""

from __future__ import annotations

import argparse
import random
import re
import secrets
import shutil
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest import mock

from fuzz import ELEMENT, SMALL, replaced
from helpers import BARE, build, installed

from sheetgen.base.errors import InputError
from sheetgen.engines import ENGINES, EngineError
from sheetgen.engines.libreoffice import recompute_all
from sheetgen.engines.values import Values
from sheetgen.proof.check import check_book
from sheetgen.xlsx.read import read_book

BATCH = 50  # workbooks that LibreOffice is started for once
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LIKELY = ("xl/worksheets/sheet2.xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/sharedStrings.xml")
ATTRIBUTE = re.compile(rb'\s(r|t|ref|si|s|cm|name|Id|Target|Type|localSheetId|state|count|uniqueCount)="([^"]*)"')
CONTENT = re.compile(rb"(?<=>)([^<>]+)(?=</(?:v|f|t|definedName)>)")
VALUES = (
    "0",
    "1",
    "2",
    "A1",
    "B2",
    "A1:B2",
    "n",
    "s",
    "b",
    "str",
    "e",
    "array",
    "shared",
    "normal",
    "rId1",
    "true",
    "",
)
NUMBERS = (b"0", b"7", b"-0.5", b"1e2", b"1E-2", b" 2 ", b"+3", b"0x1F", b"1,5", b"1_0", b".5", b"5.", b"1e400", b"1d2")

Edit = Callable[[bytes, random.Random], bytes]


def _one(pattern: re.Pattern[bytes], data: bytes, rng: random.Random) -> re.Match[bytes] | None:
    """One of the places that a pattern is found at."""
    found = list(pattern.finditer(data))
    return rng.choice(found) if found else None


def _other_numbers(xml: bytes, rng: random.Random) -> bytes:
    """An element whose numbers are others, so that it matters which of two a program reads."""
    return re.sub(rb">-?\d[\d.]*<", lambda _: b">%d<" % rng.randrange(9), xml)


def twice(data: bytes, rng: random.Random) -> bytes:
    found = _one(ELEMENT, data, rng)
    return replaced(data, *found.span(), found[0] + _other_numbers(found[0], rng)) if found else data


def elsewhere(data: bytes, rng: random.Random) -> bytes:
    """An element once more, in another place: behind one of its kind, in an extension, at the end."""
    found, place = _one(ELEMENT, data, rng), _one(re.compile(rb"</\w+>"), data, rng)
    if not found or not place:
        return data
    around = rng.choice((b"%s", b'<extLst><ext uri="x">%s</ext></extLst>', b'<x:y xmlns:x="z">%s</x:y>'))
    return replaced(data, place.start(), place.start(), around % _other_numbers(found[0], rng))


def for_others(data: bytes, rng: random.Random) -> bytes:
    """An element in a choice between programs."""
    space = b'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    choice = b'<mc:AlternateContent %s><mc:Choice Requires="r">%s</mc:Choice><mc:Fallback>%s</mc:Fallback>'
    found = _one(ELEMENT, data, rng)
    if not found:
        return data
    both = [found[0], _other_numbers(found[0], rng)]
    rng.shuffle(both)
    return replaced(data, *found.span(), choice % (space, *both) + b"</mc:AlternateContent>")


def attribute(data: bytes, rng: random.Random) -> bytes:
    found, other = _one(ATTRIBUTE, data, rng), _one(ATTRIBUTE, data, rng)
    if not found or not other:
        return data
    return replaced(data, *found.span(2), rng.choice((rng.choice(VALUES).encode(), other[2], found[2].lower())))


def one_less_or_more(data: bytes, rng: random.Random) -> bytes:
    found = _one(ATTRIBUTE, data, rng)
    if not found:
        return data
    return replaced(data, *found.span(0), rng.choice((b"", b' q:r="9" xmlns:q="z"' + found[0], found[0] + b' ca="1"')))


def content(data: bytes, rng: random.Random) -> bytes:
    """Numbers and texts written otherwise, or cut in two by what is no text."""
    found = _one(CONTENT, data, rng)
    if not found:
        return data
    text = found[0]
    half = rng.randrange(len(text) + 1)
    cut = rng.choice((b"<!-- -->", b"<?p?>", b"<![CDATA[]]>", b"<x/>", b"\n", b"&#32;", b"&#9;"))
    coded = b"".join(b"&#%d;" % sign for sign in text) if text.isascii() and b"&" not in text else text
    new = (text[:half] + cut + text[half:], coded, b"<![CDATA[%s]]>" % text, b" " + text, rng.choice(NUMBERS), b"")
    return replaced(data, *found.span(), rng.choice(new))


def swapped(data: bytes, rng: random.Random) -> bytes:
    first, second = _one(ELEMENT, data, rng), _one(ELEMENT, data, rng)
    if not first or not second or first.end() > second.start():
        return data
    return replaced(replaced(data, *second.span(), first[0]), *first.span(), second[0])


def other_namespace(data: bytes, rng: random.Random) -> bytes:
    found = _one(ELEMENT, data, rng)
    if not found:
        return data
    space = rng.choice(
        (b' xmlns="z"', b' xmlns="%s"' % MAIN.encode(), b' xmlns="http://purl.oclc.org/ooxml/spreadsheetml/main"')
    )
    end = found.start(1) + len(found[1])
    return replaced(data, end, end, space)


EDITS: tuple[Edit, ...] = (twice, elsewhere, for_others, attribute, one_less_or_more, content, swapped, other_namespace)


def changed(base: Path, target: Path, seed: int, number: int) -> str:
    """The workbook with a few changes, which are told."""
    rng = random.Random(f"{seed}/{number}")  # noqa: S311 - the same again is what is wanted
    with zipfile.ZipFile(base) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    told = []
    for _ in range(rng.choice((1, 1, 1, 2))):
        part = rng.choices(LIKELY, (6, 1, 1, 1))[0] if rng.random() < 0.9 else rng.choice(sorted(parts))
        edit = rng.choice(EDITS)
        told.append(f"{edit.__name__} in {part}")
        parts[part] = edit(parts[part], rng)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return ", ".join(told)


def equal(path: Path, recompute: Callable[..., Values]) -> bool | None:
    """Whether `check` says equal with these values; None when it refuses the file."""
    try:
        with mock.patch.dict(ENGINES, formulas=recompute):
            return check_book(read_book(path)).equal
    except (InputError, EngineError):
        return None


def by_libreoffice(paths: Sequence[Path]) -> Iterator[tuple[Path, Values]]:
    """What LibreOffice computes, those left out that it cannot open."""
    if not paths:
        return
    try:
        yield from zip(paths, recompute_all(paths), strict=True)
    except (InputError, EngineError):
        if len(paths) > 1:
            yield from by_libreoffice(paths[: len(paths) // 2])
            yield from by_libreoffice(paths[len(paths) // 2 :])


def run(base: Path, folder: Path, seed: int, numbers: Sequence[int]) -> tuple[Counter[str], dict[int, str]]:
    """How these cases ended, and what is wrong with those that other engines compute otherwise."""
    counts: Counter[str] = Counter()
    wrong: dict[int, str] = {}
    told, green = {}, {}
    for number in numbers:
        path = folder / f"{number}.xlsx"
        told[number] = changed(base, path, seed, number)
        said = equal(path, ENGINES["formulas"])
        counts[{True: "equal", False: "different", None: "refused"}[said]] += 1
        if said:
            green[path] = number
        else:
            path.unlink()
    for path, number in green.items():
        if installed("formulon") and equal(path, ENGINES["formulon"]) is False:
            wrong[number] = f"{told[number]}: Formulon"
    if installed("libreoffice"):
        for path, values in by_libreoffice(list(green)):
            if equal(path, lambda *_, values=values: values) is False:
                wrong[green[path]] = f"{told[green[path]]}: LibreOffice"
    return counts, wrong


def main() -> None:
    """Run the cases and print what is wrong, and the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the files of cases that go wrong")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    counts: Counter[str] = Counter()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="sheetgen-differ-") as name:
        base = build(Path(name) / "base.xlsx", "llama1", *SMALL, *BARE)
        for first in range(asked.first, asked.first + asked.cases, BATCH):
            folder = Path(name) / str(first)
            folder.mkdir()
            numbers = range(first, min(first + BATCH, asked.first + asked.cases))
            more, found = run(base, folder, asked.seed, numbers)
            counts += more
            wrong += len(found)
            for number, told in found.items():
                print(f"{number}: {told}", flush=True)
                if asked.keep:
                    asked.keep.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(folder / f"{number}.xlsx", asked.keep / f"{number}.xlsx")
            shutil.rmtree(folder)
    print(f"{asked.cases:,} cases of seed {asked.seed}: {dict(counts)}; {wrong} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
