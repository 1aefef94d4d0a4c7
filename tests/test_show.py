"""`sheetgen show`: the map of a preset, and of a workbook as it stands now, not as it was built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import build, cells_of, edited, make, sheetgen


def lines_with(out: str, text: str) -> list[str]:
    return [line.strip("│├└─ ") for line in out.splitlines() if text in line]


@pytest.fixture(scope="module")
def workbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("show") / "a.xlsx", "llama1", "--layers", 1, "--text", "the cat sat")


def test_a_preset_tells_parts_shapes_parameters_and_prediction() -> None:
    result = sheetgen("show", "llama4", "--layers", 1, "--text", "the cat sat on the mat")
    assert result.code == 0, result.err
    made = make("llama4", "the cat sat on the mat", n_layers=1)
    assert f"{made.trace.parameters():,} parameters" in result.out.splitlines()[0]
    assert "Head 3  32 parameters" in result.out
    assert "W_Q(4×8)" in result.out
    assert "rope_theta=500000" in result.out
    assert "words: the cat sat on the mat" in result.out
    probs, words = made.values["probs"][:, -1], made.values["vocabulary"][:, 0]
    best = int(np.argmax(probs))
    assert lines_with(result.out, "mat → ")[0].startswith(f"mat → {words[best]} {probs[best]:.2f}, ")
    chosen = np.flatnonzero(made.values["layer_0.router.chosen"][:, -1])
    assert lines_with(result.out, "goes to expert") == [f"mat goes to expert {', '.join(map(str, chosen))}"]
    patterns = [made.values[f"layer_0.head_{j}.pattern"][:, -1] for j in range(4)]
    names = ["the (0)", "cat", "sat", "on", "the (4)", "mat"]  # a word that is there twice has its place
    looks = [f"mat looks most at {names[int(np.argmax(p))]} {p.max():.2f}" for p in patterns]
    assert lines_with(result.out, "looks most at") == looks


def test_the_class_token_speaks_for_an_image() -> None:
    made = make("vit", n_layers=1)
    result = sheetgen("show", "vit", "--layers", 1)
    assert result.code == 0, result.err
    label, probability = made.values["label"][0, 0], made.values["label_prob"][0, 0]
    assert f"class → {label} {probability:.2f}, " in result.out


def test_a_workbook_is_shown_as_it_stands_now(workbook: Path) -> None:
    fresh = sheetgen("show", workbook)
    assert fresh.code == 0, fresh.err
    assert lines_with(fresh.out, "sat → ") == lines_with(
        sheetgen("show", "llama1", "--layers", 1, "--text", "the cat sat").out, "sat → "
    )

    def by_hand(book: Any) -> None:
        cells_of(book, "W_U")[7][0].value = 99.0  # a red cell: everything after it follows
        pattern = cells_of(book, "layer_0__head_0__pattern")
        for i, j in np.ndindex(3, 3):
            pattern[i][j].value = int(i == 1)  # over the formula
        cells_of(book, "control__rope_theta")[0][0].value = 77

    result = sheetgen("show", edited(workbook, by_hand))
    assert result.code == 0, result.err
    assert "rope_theta=77" in result.out
    assert "sat looks most at cat 1.00" in result.out
    assert lines_with(result.out, "sat → ") != lines_with(fresh.out, "sat → ")


def test_what_cannot_be_computed_is_said(workbook: Path) -> None:
    def broken(book: Any) -> None:
        for row in cells_of(book, "probs"):
            for cell in row:
                cell.value = "=1/0"

    result = sheetgen("show", edited(workbook, broken, "broken.xlsx"))
    assert result.code == 0, result.err
    assert "probs cannot be computed" in result.out


def test_wrong_calls_are_refused(workbook: Path) -> None:
    for arguments, message in (
        (["lama1"], "did you mean"),
        (["gone.xlsx"], "gone.xlsx does not exist"),
        ([workbook, "--heads", 4], "has its own sizes"),
        ([__file__], "is no .xlsx workbook"),
    ):
        result = sheetgen("show", *arguments)
        assert result.code == 2
        assert message in result.err
        assert len(result.err.splitlines()) == 1
