"""Whatever happens to a build, the file is the old one or the new one, whole; and nothing else stays behind."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from helpers import build, cells_of, edited, needs_libreoffice, sheetgen
from limited import ended, limited, started

from sheetgen.base import atomic
from sheetgen.xlsx import seal

MODEL = "build", "llama1", "--layers", 1, "--force"


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The same model with four seeds."""
    folder = tmp_path_factory.mktemp("versions")
    for seed in range(4):
        assert sheetgen(*MODEL, "--seed", seed, "-o", folder / f"{seed}.xlsx").code == 0
    return [(folder / f"{seed}.xlsx").read_bytes() for seed in range(4)]


def kill(target: Path, versions: list[bytes], rng: random.Random, deed: signal.Signals, longest: float) -> bool:
    """Build over the old version and end it at some moment; True when the new one was there already."""
    target.write_bytes(versions[0])
    child, pipe = started(*MODEL, "--seed", 1, "-o", target)
    time.sleep(longest * rng.random())
    os.kill(child, deed)
    result = ended(child, pipe)
    now = target.read_bytes()
    assert now in versions[:2], f"{len(now)} bytes that are neither the old nor the new workbook"
    if deed == signal.SIGINT:
        assert result.code == 0 or result.err.strip() == "sheetgen: stopped", result
    return now == versions[1]


def kills(target: Path, versions: list[bytes], times: int, deed: signal.Signals = signal.SIGKILL) -> None:
    """Kill so many builds, at moments all over the time that one takes."""
    seed = int(os.environ["SHEETGEN_SEED"])
    rng = random.Random(seed)  # noqa: S311 - moments, no secrets
    begin = time.monotonic()
    ended(*started(*MODEL, "--seed", 1, "-o", target))
    longest = 1.1 * (time.monotonic() - begin)
    done = [kill(target, versions, rng, deed, longest) for _ in range(times)]
    assert times < 100 or 0 < sum(done) < times, "all of the kills came too early, or too late"
    assert sheetgen(*MODEL, "--seed", 2, "-o", target).code == 0
    assert target.read_bytes() == versions[2]
    assert list(target.parent.iterdir()) == [target], "killed builds left files that a later one does not remove"


def test_killed_builds(tmp_path: Path, versions: list[bytes]) -> None:
    kills(tmp_path / "a.xlsx", versions, 6)


@pytest.mark.slow
def test_a_hundred_killed_builds(tmp_path: Path, versions: list[bytes]) -> None:
    kills(tmp_path / "a.xlsx", versions, 100)


def test_builds_stopped_by_the_user(tmp_path: Path, versions: list[bytes]) -> None:
    kills(tmp_path / "a.xlsx", versions, 4, signal.SIGINT)


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_full_disk(share: float, tmp_path: Path, versions: list[bytes]) -> None:
    target = tmp_path / "a.xlsx"
    target.write_bytes(versions[0])
    result = limited(*MODEL, "--seed", 1, "-o", target, file_size=int(share * len(versions[1])))
    assert result.code == 2
    assert f"cannot write {target}: File too large" in result.message
    assert target.read_bytes() == versions[0]
    assert list(tmp_path.iterdir()) == [target]


def test_builds_at_once(tmp_path: Path, versions: list[bytes]) -> None:
    target = tmp_path / "a.xlsx"
    builds = [started(*MODEL, "--seed", seed, "-o", target) for seed in range(4)]
    assert [ended(*build).code for build in builds] == [0] * 4
    assert target.read_bytes() in versions
    assert list(tmp_path.iterdir()) == [target]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workbook in which one number is wrong, alone in its folder."""
    path = build(tmp_path_factory.mktemp("broken") / "a.xlsx", *MODEL[1:-1], "--no-baseline")

    def change(book: Any) -> None:
        cells_of(book, "final_norm_rms")[0][1].value = 7

    changed = edited(path, change, "broken.xlsx")
    path.unlink()
    return changed


COPIES = [
    pytest.param(("check", "--mark"), "marked.xlsx", id="mark"),
    pytest.param(("picture", "--sheet", "Map", "-o"), "map.png", id="png", marks=needs_libreoffice),
    pytest.param(("picture", "--sheet", "Map", "-o"), "map.pdf", id="pdf", marks=needs_libreoffice),
]


@pytest.mark.parametrize(("command", "name"), COPIES)
def test_what_is_killed_before_its_last_step(
    command: tuple[str, ...], name: str, broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has the target's name, and the next to write there removes what is left."""
    target = broken.with_name(name)
    with monkeypatch.context() as patch:
        patch.setattr(atomic, "put", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        child = started(command[0], broken, *command[1:], target, seconds=60, memory=8 << 30)
        assert ended(*child).code == -signal.SIGKILL
    drafts = [file.name for file in broken.parent.glob(".sheetgen-*/draft*")]
    assert drafts == [f"draft{target.suffix}"]
    assert not target.exists()
    assert sheetgen(command[0], broken, *command[1:], target).code == (command[0] == "check")
    assert sorted(broken.parent.iterdir()) == sorted([broken, target])
    target.unlink()


def test_a_full_disk_takes_no_half_copy(broken: Path) -> None:
    target = broken.with_name("marked.xlsx")
    result = limited("check", broken, "--mark", target, file_size=broken.stat().st_size // 2)
    assert result.code == 2
    assert f"cannot write {target}: File too large" in result.message
    assert list(broken.parent.iterdir()) == [broken]


@pytest.mark.parametrize("there", [False, True])
def test_a_draft_that_fails_changes_nothing(there: bool, tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    if there:
        target.write_bytes(b"old")

    def fail() -> None:
        with atomic.replacing(target) as draft:
            draft.write_bytes(b"half")
            raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        fail()
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"] * there
    with atomic.replacing(target) as draft:
        draft.write_bytes(b"whole")
    assert [(file, file.read_bytes()) for file in tmp_path.iterdir()] == [(target, b"whole")]


def test_the_workshop_of_a_living_maker_stays(tmp_path: Path) -> None:
    with atomic.workshop(tmp_path / "a.xlsx") as first:
        (first / "draft").touch()
        with atomic.workshop(tmp_path / "b.xlsx"):
            assert (first / "draft").exists()
    assert list(tmp_path.iterdir()) == []


def test_other_hidden_folders_stay(tmp_path: Path) -> None:
    own = tmp_path / ".sheetgen-notes"
    own.mkdir()
    with atomic.workshop(tmp_path / "a.xlsx"):
        pass
    assert own.exists()


def test_a_pipe_of_the_targets_name_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.xlsx")
    assert not seal.untouched(tmp_path / "a.xlsx")
    result = limited("build", "llama1", "-o", tmp_path / "a.xlsx")
    assert result.code == 2
    assert "--force" in result.message
