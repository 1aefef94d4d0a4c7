"""What a workbook says, and which of it a language lacks. `python tests/language.py CODE` lists that: `make words`."""

from __future__ import annotations

import dataclasses
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from helpers import Made, build, make, sheetgen

from sheetgen.base.lang import Catalogue, catalogues
from sheetgen.model import presets
from sheetgen.model.families import FAMILIES
from sheetgen.model.settings import ALIKE
from sheetgen.published.columns import ASSUMPTIONS, COLUMNS, SIZES
from sheetgen.published.counts import EQUATIONS
from sheetgen.published.models import Toy, all_groups, sizes_of
from sheetgen.published.table import model_table
from sheetgen.sheet.pages import baseline
from sheetgen.text import reasons
from sheetgen.text.blocks import AXES, BLOCKS, SOURCES_OF_PARTS, entry
from sheetgen.text.equation import equation_of, sentence_of, title_of
from sheetgen.trace.ops import OPS
from sheetgen.trace.tensor import Control
from sheetgen.workbooks import compare, tour

SHAPE = re.compile(r" +\d+×\d+$")  # behind the name of a block
# Without a word: numbers and signs; cells; the sheets that are linked to; names of blocks (`layer_*.W_O`), one setting
# that goes from a value to another; a sum that a sentence begins with.
PLAIN = re.compile(
    r"[^a-z]*[a-z]?[^a-z]*|('[^']+'!)?[A-Z]{1,3}\d+(:[A-Z]{1,3}\d+)?|▲ .+|sheetgen( [\d.]+\S*)?"
    r"|[\w*]+([._][\w*]+)+|\w+: \S+ → \S+|\w+ → \w+|\w+ = [\w·() +−/]+|[AB](:)? \w+"
)
COMPARED = (("llama1", "llama4"), ("gpt2", "llama2"), ("vit", "vit"))
WORDS = re.compile(r"[a-z]{2,} [a-z{]|[a-z]\?")  # in an equation, besides names of functions


def texts(path: Path) -> set[str]:
    """Every text a reader may see: of cells, notes, validations, charts and formulas; computed words are left out."""
    found: set[str] = set()
    with zipfile.ZipFile(path) as archive:
        for part in archive.namelist():
            if part.startswith("xl/") and part.endswith(".xml"):
                found.update(_texts(ElementTree.fromstring(archive.read(part))))  # noqa: S314 - we wrote it
    return {SHAPE.sub("", line).strip() for text in found for line in text.split("\n")} - {""}


def _texts(root: ElementTree.Element) -> Iterator[str]:
    for element in root.iter():
        match element.tag.rpartition("}")[2]:
            case "t":
                yield element.text or ""
            case "f" | "formula1" | "formula":
                yield from re.findall('"([^"]*)"', element.text or "")
            case "dataValidation":
                yield from (element.get(key, "") for key in ("error", "errorTitle", "prompt", "promptTitle"))
            case "v" if root.tag.endswith("}chartSpace"):  # the name of a series
                yield element.text or ""
            case "numFmt":
                yield from (code for code in [element.get("formatCode", "")] if re.search('"[a-z]', code))
            case "cNvPr":
                yield from (element.get(key, "") for key in ("descr", "title"))
            case "hyperlink":
                yield element.get("tooltip", "")


def names(made: Made) -> set[str]:
    """What is the same in every language: names of tensors and settings, equations, words of the model, papers."""
    request, trace = made.request, made.trace
    found = {"blocks", "cells", "byhand", "en", *catalogues(), "Model", "Map", "Config", "Contents", "Scale"}
    found |= {request.preset.name, request.preset.title, request.preset.paper, request.config.family}
    found |= {", ".join(request.preset.published), "preset", "family", "language", "published", "seed", "weights"}
    found |= {"formulas", "cut", *SIZES, *ASSUMPTIONS}
    for f in dataclasses.fields(request.config):
        value = getattr(request.config, f.name)
        found |= {f.name, ("yes" if value else "no") if isinstance(value, bool) else str(value)}
    sources = {row.source for row in BLOCKS.values() if row.source}.union(SOURCES_OF_PARTS.values())
    papers = {re.sub(", (equation|section) .*", "", paper) for paper in sources}
    found |= papers | {paper.partition(",")[0] for paper in papers}
    found |= {"on", "off", "on,off", "What changes", "Pictures", "theme", "light", ALIKE}
    for path, tensor in trace.blocks.items():
        if isinstance(tensor, Control):
            choices = tensor.limits.choices
            found |= {*choices, ",".join(choices)}
        found |= {path, tensor.name} | (set() if entry(tensor).title else {title_of(tensor)})
        found.add(f"{title_of(tensor)}: {sentence_of(tensor)}")
        if tensor.kind == "computed":
            found |= {equation_of(tensor), f"{tensor.name} = {equation_of(tensor)}"}
        if tensor.kind == "text":
            found |= set(map(str, tensor.value.flat))
    groups = [all_groups()[name] for name in request.preset.published]
    found |= {", ".join(group.title for group in groups)} | {m.name for group in groups for m in group.models}
    if groups:
        table = model_table(request.preset.published, [Toy(sizes_of(request.config), trace.parameters())])
        for tensor in (t for t in table.trace.blocks.values() if t.kind == "computed"):
            equation = f"{tensor.name} = {equation_of(tensor).replace(' ⊙ ', '·')}"
            found.add(equation)
    return found


def unknown(text: str, catalogue: Catalogue, known: set[str]) -> set[str]:
    """The parts of an English text that the language has no words for."""
    if text in catalogue.texts or PLAIN.fullmatch(text) or text in known or {*re.split("[;,] ", text)} <= known:
        return set()
    parts = catalogue.parts(text)
    return {text} if parts is None else {lack for part in parts for lack in unknown(part, catalogue, known)}


def in_the_code() -> set[str]:
    """The texts of all tables: also those that only other options than a preset's show."""
    found = {op.math for op in OPS.values() if isinstance(op.math, str) and WORDS.search(op.math)}
    found |= {text for row in BLOCKS.values() for text in (row.title, row.sentence) if text}
    found |= {*AXES.values(), *(f"Unit: {row.unit}." for row in BLOCKS.values() if row.unit)}
    found |= {*baseline.COSTS, *baseline.COSTS.values()}
    found |= {*reasons.REASONS.values(), reasons.GROUPED, reasons.UNGROUPED, *compare.NUMBERS.values()}
    found |= {f.metadata["doc"] for family in FAMILIES.values() for f in dataclasses.fields(family)}
    found |= {preset.summary for preset in presets.all_presets().values()}
    found |= {size.doc for size in SIZES.values()}
    found |= {text for column in COLUMNS.values() for text in (column.doc, column.head, column.part)}
    found |= {text for each in ASSUMPTIONS.values() for text in (each.doc, each.head)}
    found |= {doc for equation in EQUATIONS.values() for doc in equation.docs.values()}
    for lecture in map(tour.find, tour.names()):
        found |= {lecture.title, lecture.summary, *(step.title for step in lecture.steps)}
        found |= {text for step in lecture.steps for text in (f"Say: {step.say}", f"Exercise: {step.question}")}
    return found | {model.note for group in all_groups().values() for model in group.models}


def missing(code: str, some: Iterable[str] = ()) -> set[str]:
    """What the language lacks: of the tables in the code, and of the workbooks of some presets or all."""
    catalogue = catalogues()[code]
    found = {lack for text in in_the_code() for lack in unknown(text, catalogue, set(SIZES))}
    with tempfile.TemporaryDirectory() as folder:
        for name in some or presets.all_presets():
            known = names(make(name))
            for text in texts(build(Path(folder) / f"{name}.xlsx", name)):
                found |= unknown(text, catalogue, known)
        rounded = Path(folder) / "rounded.xlsx"
        known = names(make("llama1", precision="bf16"))
        for text in texts(build(rounded, "llama1", "--precision", "bf16")):
            found |= unknown(text, catalogue, known)
        for a, b in COMPARED[: 1 if some else None]:
            path = Path(folder) / "compared.xlsx"
            assert sheetgen("compare", a, b, "-o", path, "--force").code == 0
            known = names(make(a)) | names(make(b)) | {a, b}
            whole = " ".join(in_the_code())  # a long sentence stands in several cells
            for text in (text for text in texts(path) if text not in whole):
                found |= unknown(text, catalogue, known)
    return found


def main() -> None:
    """One TOML line for each text that is missing."""
    for text in sorted(missing(sys.argv[1])):
        print(f'"{text}" = ""')  # noqa: T201 - the list is the result


if __name__ == "__main__":
    main()
