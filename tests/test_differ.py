"""A few of the changed files of `make differ`, other ones in each run: what is called equal is equal elsewhere, too."""

from __future__ import annotations

import os
from pathlib import Path

from differ import run
from fuzz import SMALL
from helpers import BARE, build

CASES = 12


def test_what_is_equal_here_is_equal_in_other_programs(tmp_path: Path) -> None:
    """`python tests/differ.py --seed N --first I --cases 1` makes one of them again."""
    seed = int(os.environ["SHEETGEN_SEED"])
    counts, wrong = run(build(tmp_path / "base.xlsx", "llama1", *SMALL, *BARE), tmp_path, seed, range(CASES))
    assert not wrong, f"seed {seed}: {wrong}"
    assert counts["equal"], counts
