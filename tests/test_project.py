"""The project itself: which libraries stay where, what the package holds, and what README must tell."""

from __future__ import annotations

import ast
import doctest
import runpy
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import sheetgen.cli
from sheetgen.base.files import templates

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "sheetgen"

# Libraries and the only rooms that know them. Which room may import which is a contract in pyproject.toml.
ONLY_IN = {
    "xlsxwriter": {"xlsx"},
    "openpyxl": {"xlsx"},
    "pypdfium2": {"cli"},
}

SOURCES = sorted(PACKAGE.rglob("*.py"))


def room_of(source: Path) -> str:
    """The room that a file is in; its own name if it is in none."""
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


@pytest.mark.parametrize(("library", "homes"), ONLY_IN.items())
def test_library_stays_where_it_is(library: str, homes: set[str]) -> None:
    users = {room_of(source) for source in SOURCES for _, name in imports_of(source) if name.split(".")[0] == library}
    assert users == homes


def test_templates_are_found_from_any_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    kept = {file.relative_to(ROOT / "templates").as_posix() for file in (ROOT / "templates").rglob("*.toml")}
    installed = templates()
    assert kept
    assert not [name for name in kept if not installed.joinpath(name).is_file()]


def test_every_command_is_in_readme() -> None:
    groups = [value for value in vars(sheetgen.cli).values() if isinstance(value, click.Group)]
    commands = [name for group in groups for name in group.commands]
    assert commands
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [f"sheetgen {name}" for name in commands if f"sheetgen {name}" not in readme]
    assert not missing, f"README does not tell of {', '.join(missing)}"


def test_the_page_about_the_command_line_is_what_help_says() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "cli.py"))["page"]()
    assert made == (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), "run make docs"


def test_the_page_about_the_library_is_true(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testfile(str(ROOT / "docs" / "api.md"), module_relative=False)
    assert tried > 5
    assert not failed


def test_every_package_is_in_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {init.parent.relative_to(PACKAGE) for init in PACKAGE.rglob("__init__.py")}
    tables = {file.parent.relative_to(ROOT) for file in (ROOT / "templates").rglob("*.toml")}
    packages = {".".join(("sheetgen", *folder.parts)) for folder in folders | tables}
    assert set(project["tool"]["setuptools"]["packages"]) == packages
