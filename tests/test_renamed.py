"""Sheets that somebody renamed or deleted: found by the names of their cells, or told; never left out in silence."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from helpers import build, sheetgen

SMALL = "--layers", 1, "--no-baseline"


def renamed(source: Path, old: str, new: str) -> Path:
    """A copy with a sheet renamed as a spreadsheet program does it: in names and formulas, too."""
    target = source.with_name("renamed.xlsx")
    formula = re.compile(rf"(?<![\w'])(?:{re.escape(old)}|'{re.escape(old)}')!".encode())
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            xml = before.read(name)
            if name == "xl/workbook.xml":
                assert f'<sheet name="{old}"'.encode() in xml, old
                xml = xml.replace(f'<sheet name="{old}"'.encode(), f'<sheet name="{new}"'.encode())
            after.writestr(
                name, formula.sub(f"'{new}'!".encode(), xml.replace(f"'{old}'!".encode(), f"{old}!".encode()))
            )
    return target


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("llama") / "base.xlsx", "llama1", *SMALL)


@pytest.mark.parametrize("options", [(), ("--static",)])
@pytest.mark.parametrize("new", ["My model", "Modell", "It was fun"])
def test_the_model_is_found_by_its_names(llama: Path, new: str, options: tuple[str, ...]) -> None:
    result = sheetgen("check", renamed(llama, "Model", new), *options)
    assert result.code == 0, result
    assert "is not there" not in result.out


@pytest.mark.parametrize("sheet", ["Map", "Scale"])
def test_a_sheet_that_was_not_compared_is_told(llama: Path, sheet: str) -> None:
    result = sheetgen("check", renamed(llama, sheet, "Mine"))
    assert result.code == 0, result
    assert f"The sheet {sheet} is not there" in " ".join(result.out.split())
    assert "is not there" not in sheetgen("check", llama).out


def test_of_two_models_what_changes_is_told(tmp_path: Path) -> None:
    path = tmp_path / "two.xlsx"
    assert sheetgen("compare", "llama1 --layers 1", "llama2 --layers 1", "-o", path).code == 0
    result = sheetgen("check", renamed(path, "What changes", "Mine"))
    assert result.code == 0, result
    assert "The sheet What changes is not there" in " ".join(result.out.split())


def test_config_is_to_be_renamed_back(llama: Path) -> None:
    result = sheetgen("check", renamed(llama, "Config", "Settings"))
    assert result.code == 2
    assert "has no sheet Config: if it was renamed, rename it back" in result.err
