"""The project itself: which module may import which, which libraries stay where, and what README must tell."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import click
import pytest

import sheetgen.cli

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "sheetgen"

# A module may import only from those before it. A new one is put where its imports allow.
ORDER = [
    "__init__",
    "errors",
    "guard",
    "atomic",
    "lang",
    "address",
    "ops",
    "tensor",
    "controls",
    "precision",
    "nn",
    "models",
    "presets",
    "weights",
    "architectures",
    "checkpoint",
    "convert",
    "formula",
    "sources",
    "words",
    "differ",
    "reasons",
    "theme",
    "layout",
    "decor",
    "placed",
    "pages",
    "changes",
    "diagram",
    "pictures",
    "draw",
    "scale",
    "compare",
    "tour",
    "seal",
    "worksheet",
    "write",
    "sheets",
    "book",
    "notation",
    "explain",
    "engines",
    "picture",
    "resized",
    "check",
    "mark",
    "many",
    "report",
    "show",
    "cli",
    "__main__",
]

# Libraries and the only modules that know them.
ONLY_IN = {
    "xlsxwriter": {"write", "worksheet"},
    "openpyxl": {"book"},
    "pypdfium2": {"picture"},
}

SOURCES = sorted(PACKAGE.rglob("*.py"))


def module_of(source: Path) -> str:
    """The entry of ORDER that a file belongs to: the module, or the folder it is in."""
    return source.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(source: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a file imports, within functions too; relative ones made absolute.

    `from a import b` gives `a.b`: b may be a module.
    """
    package = ["sheetgen", *source.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            parent = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*parent, *([node.module] if node.module else [])])
            for name in node.names:
                yield node.lineno, f"{base}.{name.name}"


def ours(dotted: str) -> str:
    """The entry of ORDER that `sheetgen.…` means; a plain attribute of the package is its __init__."""
    first = dotted.split(".")[1] if "." in dotted else "__init__"
    return first if (PACKAGE / f"{first}.py").exists() or (PACKAGE / first).is_dir() else "__init__"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.relative_to(PACKAGE).as_posix())
def test_imports_point_one_way(source: Path) -> None:
    module = module_of(source)
    assert module in ORDER, f"{module} is not in ORDER: put it behind the modules that it imports"
    allowed = {*ORDER[: ORDER.index(module)], module}
    wrong = [
        f"{source.name}:{line} imports {name}, but {module} stands before {ours(name)}"
        for line, name in imports_of(source)
        if name.split(".")[0] == "sheetgen" and ours(name) not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def test_order_lists_no_module_that_is_gone() -> None:
    gone = set(ORDER) - {module_of(source) for source in SOURCES}
    assert not gone, f"take out of ORDER: {', '.join(sorted(gone))}"


@pytest.mark.parametrize(("library", "homes"), ONLY_IN.items())
def test_library_stays_where_it_is(library: str, homes: set[str]) -> None:
    users = {module_of(source) for source in SOURCES for _, name in imports_of(source) if name.split(".")[0] == library}
    assert users == homes


def test_templates_are_found_from_any_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    kept = {file.relative_to(ROOT / "templates").as_posix() for file in (ROOT / "templates").rglob("*.toml")}
    installed = files("sheetgen.templates")
    assert kept
    assert not [name for name in kept if not installed.joinpath(name).is_file()]


def test_every_command_is_in_readme() -> None:
    groups = [value for value in vars(sheetgen.cli).values() if isinstance(value, click.Group)]
    commands = [name for group in groups for name in group.commands]
    assert commands
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [f"sheetgen {name}" for name in commands if f"sheetgen {name}" not in readme]
    assert not missing, f"README does not tell of {', '.join(missing)}"


def test_every_package_is_in_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {init.parent.relative_to(PACKAGE) for init in PACKAGE.rglob("__init__.py")}
    tables = {file.parent.relative_to(ROOT) for file in (ROOT / "templates").rglob("*.toml")}
    packages = {".".join(("sheetgen", *folder.parts)) for folder in folders | tables}
    assert set(project["tool"]["setuptools"]["packages"]) == packages
