"""Breaks workbooks, checkpoints, images and options at random, and hands each to the command line, within limits.

    python tests/fuzz.py [--cases 10000] [--seed N] [--first 0]

A case is a function of the seed and its number alone: `--seed N --first I --cases 1 --keep DIR` makes it again.
Wrong is: a traceback, more than one line on stderr, another exit code than 0, 1 or 2, a file that appears or changes,
more than 10 s of the processor, more than a gigabyte.
"""

from __future__ import annotations

import argparse
import collections
import random
import re
import secrets
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from helpers import build
from limited import Limited, limited

SMALL = "--layers", 1, "--dim", 4, "--heads", 2, "--ffn", 4, "--text", "the cat sat", "--vocab", 4
BASES: dict[str, tuple[object, ...]] = {
    "llama1": SMALL,
    "llama4": (*SMALL, "--experts", 2, "--formulas", "cells"),
    "attention": (),
    "vit": ("--set", "image_size=4", "--set", "patch_size=2", "--layers", 1),
}
CHECKPOINT = Path(__file__).parent / "golden" / "llama1"

# What replaces a value: numbers at limits, error values, formulas, names, texts that mean something elsewhere.
NASTY = [
    *"""
    0 -1 1 2 3 1e999 -1e308 NaN inf 4.5 1e-400 2147483648 99999999999999999999 1048577 XFD1048576 A1 A1:XFD1048576
    $A$1 #REF! #N/A #DIV/0! TRUE true b s str e inlineStr array shared dataTable n d normal yes no none Model Config
    Model!$A$1 Nowhere!A1 W_E words =1+1 SUM(A:A) 1/0 MMULT(A1:C3,A1:C3) A1+ ((((1 {1,2;3} "x INDEX(A1:B2,9,9) 1%%%
    TRANSPOSE(A1:A9) EXP(1000) A1:A1048576*A1:XFD1 _xlfn.SINGLE(A1) LARGE(A1:A3,0) MATCH(1,A1:A3,0) CHOOSE(9,1)
    ROW() IF(1,2,3,4) -A1^-A1 A1&amp;A1 OFFSET(A1,1,1) ../../etc/passwd http://127.0.0.1:9/ javascript:1 rId1 rId9
    file:///etc/passwd xl/worksheets/sheet2.xml /xl/workbook.xml decoder mixture llama4 attention vit seq2seq nsa silu
    rope 🦙 &#10; &lt;x&gt; _x0000_ _xD800_
    """.split(),  # noqa: SIM905 - a hundred quotes would not read better
    *("", " ", "x" * 40_000, "9" * 400, "(" * 3000, "1+" * 2000 + "1", "a b", "\u202e"),
]

VALUE = re.compile(rb'"([^"<>]*)"|>([^<>]+)<')
ELEMENT = re.compile(rb"<(c|row|f|v|t|si|sheet|definedName|Relationship|xf|col|dataValidation)\b[^>]*?(?:/>|>.*?</\1>)")
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


@dataclass
class Case:
    """What to call: the arguments, with the files of its folder."""

    what: str
    arguments: list[object]


def replaced(data: bytes, first: int, last: int, new: bytes) -> bytes:
    return data[:first] + new + data[last:]


def break_bytes(data: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, cut out, doubled or cut off."""
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(data) + 1)
        length = rng.choice((1, 1, 2, 4, 100, 4000))
        kind = rng.randrange(6)
        if kind == 0:
            data = replaced(data, at, at + length, rng.randbytes(length))
        elif kind == 1:
            data = replaced(data, at, at + length, b"")
        elif kind == 2:
            data = replaced(data, at, at, data[at : at + length])
        elif kind == 3:
            data = replaced(data, at, at + 4, rng.choice((b"\xff\xff\xff\xff", bytes(4), b"\x00\x00\x00\x80")))
        elif kind == 4 and rng.random() < 0.3:
            data = data[:at]
        elif data:
            at = min(at, len(data) - 1)
            data = replaced(data, at, at + 1, bytes([data[at] ^ (1 << rng.randrange(8))]))
    return data


def break_text(data: bytes, rng: random.Random) -> bytes:
    """Values, numbers and elements of XML or JSON changed, as an ill-meant program would."""
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        pattern = rng.choice((VALUE, VALUE, VALUE, ELEMENT, NUMBER))
        found = list(pattern.finditer(data))
        if not found:
            continue
        match = rng.choice(found)
        if pattern is VALUE:
            group = 1 if match.group(1) is not None else 2
            new = rng.choice(NASTY) if rng.random() < 0.7 else rng.choice(found).group(0).strip(b'"<>').decode()
            text = new.replace('"', "&quot;") if group == 1 else new
            data = replaced(data, *match.span(group), text.encode("utf-8", "surrogatepass"))
        elif pattern is NUMBER:
            number = rng.choice((b"0", b"-1", b"1e400", b"7", b"1000000", b"0.5", b"9" * 30, match.group() + b"0"))
            data = replaced(data, *match.span(), number)
        else:
            new_element = rng.choice((b"", match.group() * 2, match.group() * 50, rng.choice(found).group()))
            data = replaced(data, *match.span(), new_element)
    return data


def break_parts(source: Path, target: Path, rng: random.Random) -> str:
    """The workbook with parts changed from within; returns which."""
    with zipfile.ZipFile(source) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    likely = [name for name in parts if "sheet" in name or "workbook" in name or "sharedStrings" in name]
    told = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        name = rng.choice(likely if rng.random() < 0.85 else list(parts))
        told.append(name)
        kind = rng.randrange(20)
        if name not in parts:
            continue
        if kind == 0:
            del parts[name]
        elif kind == 1:
            parts[name] = parts[rng.choice(list(parts))]
        elif kind == 2:
            parts[name] = break_bytes(parts[name], rng)
        else:
            parts[name] = break_text(parts[name], rng)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return ", ".join(told)


def broken_workbook(folder: Path, bases: list[Path], rng: random.Random) -> Case:
    base = rng.choice(bases)
    path = folder / "case.xlsx"
    if rng.random() < 0.3:
        path.write_bytes(break_bytes(base.read_bytes(), rng))
        told = "bytes"
    else:
        told = break_parts(base, path, rng)
    static = ["--static"] if rng.random() < 0.2 else []
    return Case(f"{base.name}: {told}", ["check", path, *static])


def broken_checkpoint(folder: Path, _: list[Path], rng: random.Random) -> Case:
    place = folder / "model"
    shutil.copytree(CHECKPOINT, place)
    files = [file for file in place.iterdir() if file.suffix in (".json", ".safetensors")]
    file = rng.choice(files)
    change = break_text if file.suffix == ".json" and rng.random() < 0.8 else break_bytes
    file.write_bytes(change(file.read_bytes(), rng))
    if rng.random() < 0.1:
        (place / "model.safetensors").unlink(missing_ok=True)
        index = '{"weight_map": {"a": "../../x.safetensors", "b": "model.safetensors"}}'
        (place / "model.safetensors.index.json").write_bytes(break_text(index.encode(), rng))
    return Case(f"checkpoint: {file.name}", ["build", "--from", place, "-o", folder / "out.xlsx"])


def broken_pixels(folder: Path, _: list[Path], rng: random.Random) -> Case:
    path = folder / "image.npy"
    shape = rng.choice(((1, 4, 4), (3, 8, 8), (4,), (1, 1, 1)))
    np.save(path, np.ones(shape, rng.choice(("f4", "f8", "u1", "?", "c8", "U3"))))
    path.write_bytes(break_bytes(path.read_bytes(), rng))
    return Case("pixels", ["build", "vit", "--layers", 1, "--pixels", path, "-o", folder / "out.xlsx"])


def broken_options(folder: Path, _: list[Path], rng: random.Random) -> Case:

    def word() -> str:
        return rng.choice(NASTY) or "x"

    options: list[object] = ["build", rng.choice(list(BASES))]
    for _i in range(rng.choice((1, 2, 3))):
        kind = rng.randrange(5)
        if kind == 0:
            options += ["--text", " ".join(word() for _j in range(rng.choice((1, 3, 6))))]
        elif kind == 1:
            options += ["--tokens", ",".join(rng.choice(("0", "1", "-1", "99", "x", "")) for _j in range(3))]
        elif kind == 2:
            name = rng.choice(("d_ff", "n_layers", "rope_theta", "norm_eps", "activation", "window", "x y", "tied"))
            options += ["--set", f"{name}={word()}"]
        elif kind == 3:
            size = rng.choice((0, -1, 1, 3, 7, 10**6, 10**12))
            options += [rng.choice(("--layers", "--heads", "--dim", "--ffn", "--vocab", "--head-dim")), size]
        else:
            options += ["--weights", rng.choice(("zeros", "normal", "byhand", word()))]
    return Case(f"options: {options[1:]}", [*options, "-o", folder / "out.xlsx"])


KINDS: tuple[tuple[Callable[[Path, list[Path], random.Random], Case], float], ...] = (
    (broken_workbook, 0.8),
    (broken_checkpoint, 0.1),
    (broken_pixels, 0.05),
    (broken_options, 0.05),
)


def make_bases(folder: Path) -> list[Path]:
    """The small workbooks that cases are made from."""
    return [build(folder / f"{name}.xlsx", name, *options) for name, options in BASES.items()]


def run_case(seed: int, number: int, bases: list[Path], folder: Path) -> tuple[Case, Limited, str]:
    """Make and run a case in an empty folder; the text says what is wrong, empty when nothing is."""
    rng = random.Random(f"{seed}/{number}")  # noqa: S311 - the same again is what is wanted
    makers, weights = zip(*KINDS, strict=True)
    case = rng.choices(makers, weights)[0](folder, bases, rng)
    before = snapshot(folder)
    result = limited(*case.arguments)
    after = snapshot(folder)
    after.pop(folder / "out.xlsx", None)
    return case, result, fault(result) or ("a file changed" if before != after else "")


def snapshot(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of every file."""
    return {file: (file.stat().st_size, file.stat().st_mtime_ns) for file in folder.rglob("*") if file.is_file()}


def fault(result: Limited) -> str:
    """What is wrong with the end of a call."""
    if result.traceback:
        return f"traceback: {result.err.strip().splitlines()[-1][:150]}"
    if result.code not in (0, 1, 2):
        return result.err
    if "more memory" in result.err:
        return "more than a gigabyte"
    if result.code == 2 and not (result.message.startswith("sheetgen: ") and result.message.isprintable()):
        return f"not one line: {result.err[:150]!r}"
    return "" if result.code == 2 or not result.err else f"said {result.err[:150]!r}"


def main() -> None:
    """Run the cases and print what is wrong, and the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the files of cases that go wrong")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    codes: collections.Counter[int] = collections.Counter()
    wrong, slowest, started = 0, 0.0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sheetgen-fuzz-") as name:
        bases = make_bases(Path(name))
        for number in range(arguments.first, arguments.first + arguments.cases):
            folder = Path(name) / "case"
            folder.mkdir()
            begin = time.monotonic()
            case, result, told = run_case(arguments.seed, number, bases, folder)
            slowest = max(slowest, time.monotonic() - begin)
            codes[result.code] += 1
            if told:
                wrong += 1
                print(f"{number}: {case.what[:200]}: {told}", flush=True)
                if arguments.keep:
                    shutil.copytree(folder, arguments.keep / str(number), dirs_exist_ok=True)
            shutil.rmtree(folder)
            if (number + 1) % 1000 == 0:
                print(f"  {number + 1} cases, {wrong} wrong, {time.monotonic() - started:.0f} s", flush=True)
    counts = ", ".join(f"exit {code}: {count:,}" for code, count in sorted(codes.items()))
    print(f"{arguments.cases:,} cases of seed {arguments.seed}: {counts}; slowest {slowest:.1f} s; {wrong} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
