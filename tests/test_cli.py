"""The command line: what it prints, and that bad input gives one clear line, exit code 2, and loses nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import openpyxl
import pytest
from helpers import PRESETS, build, edited, sheetgen

import sheetgen as package
from sheetgen.cli import main

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

REFUSED: list[tuple[str, list[str]]] = [  # arguments of build, parts of the message
    ("lama4", ["'lama4' is not a preset", "did you mean 'llama4'?"]),
    ("bert", ["'bert' is not a preset", "llama1"]),
    ("", ["PRESET"]),
    ("llama4 --head 3", ["--head", "--heads"]),
    ("llama4 --heads", ["--heads"]),
    ("llama4 extra", ["extra"]),
    ("llama4 --heads 3 --kv-heads 2", ["n_heads 3", "n_kv_heads 2", "1, 3"]),
    ("llama1 --heads 4 --kv-heads 8", ["n_heads 4", "n_kv_heads 8"]),
    ("llama1 --head-dim 3", ["head_dim 3", "odd", "4"]),
    *((f"llama4 --{option} {value}", [field, str(value), "at least 1"])
      for option, field in [("layers", "n_layers"), ("heads", "n_heads"), ("kv-heads", "n_kv_heads"),
                            ("head-dim", "head_dim"), ("dim", "d_model"), ("ffn", "d_ff"), ("vocab", "vocab_size"),
                            ("experts", "n_experts"), ("top-k", "top_k")]
      for value in (0, -2)),
    ("llama1 --layers two", ["--layers", "two"]),
    ("llama1 --layers 1.5", ["--layers", "1.5"]),
    ("llama1 --seed x", ["--seed", "x"]),
    ("llama1 --experts 3", ["llama1", "n_experts"]),
    ("llama3 --top-k 1", ["llama3", "top_k"]),
    ("llama4 --top-k 9", ["top_k 9", "n_experts 3"]),
    ("llama4 --weights heavy", ["--weights", "heavy", "byhand"]),
    ("llama4 --formulas rows", ["--formulas", "rows", "blocks"]),
    ("llama1 --set rope_teta=1", ["rope_teta", "did you mean 'rope_theta'?"]),
    ("llama1 --set n_tokens=3", ["n_tokens"]),
    ("llama1 --set rope_theta=large", ["rope_theta", "large"]),
    ("llama1 --set n_layers=1.5", ["n_layers", "1.5"]),
    ("llama1 --set n_layers=true", ["n_layers"]),
    ("llama1 --set n_heads=x", ["n_heads", "x"]),
    ("llama1 --set norm_eps=-1", ["norm_eps"]),
    ("llama1 --set norm_eps=nan", ["norm_eps", "nan"]),
    ("llama1 --set rope_theta=inf", ["rope_theta", "inf"]),
    ("llama1 --set rope_theta", ["--set", "field=value"]),
    ("llama1 --set =3", ["--set", "field=value"]),
    ("llama1 --set seed=3", ["--set seed", "--seed"]),
    ("llama1 --set keep_vocab=3", ["--set keep_vocab", "--keep-vocab"]),
    ("llama1 --set preset=llama2", ["no setting 'preset'"]),
    ("llama1 --set rope_pairing=thirds", ["rope_pairing", "half"]),
    ("llama4 --set tied=maybe", ["tied", "true or false"]),
    ("llama4 --set qk_norm=maybe", ["qk_norm", "none or head or all or unit"]),
    ("llama1 --tokens 0,99", ["99", "12 words", "--vocab"]),
    ("llama1 --tokens -1", ["-1"]),
    ("llama1 --tokens 1,x", ["--tokens", "1,x"]),
    ("llama1 --text cat --tokens 1", ["--text", "--tokens"]),
    ("llama1 --text word --vocab 0", ["vocab_size 0"]),
    ("llama1 -o book.xls", ["book.xls", ".xlsx"]),
    ("llama1 -o book", ["book", ".xlsx"]),
    ("llama1 -o folder.xlsx", ["folder.xlsx", "folder"]),
    ("llama1 -o file/book.xlsx", ["file"]),
    ("llama1 -o file/deeper/book.xlsx", ["file"]),
]  # fmt: skip
REFUSED_TEXTS: list[tuple[list[str], list[str]]] = [
    (["--text", ""], ["sentence is empty"]),
    (["--text", "  \n "], ["sentence is empty"]),
    (["--tokens", ""], ["--tokens is empty"]),
    (["--text", "a\0b"], ["a\\x00b"]),
    (["--text", "x" * 41], ["41 letters", "at most 40"]),
    (["--text", "a b c", "--vocab", "2"], ["3 different words", "--vocab 3"]),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, but for a folder and a file that stand in the way."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.xlsx").mkdir()
    (tmp_path / "file").write_text("kept")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def check_refused(here: Path, arguments: list[str], told: list[str]) -> str:
    before = contents(here)
    result = sheetgen(*arguments)
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith("sheetgen: ")
    assert [part for part in told if part not in line] == [], line
    assert contents(here) == before
    return line


@pytest.mark.parametrize(("arguments", "told"), REFUSED, ids=[arguments for arguments, _ in REFUSED])
def test_bad_input_is_refused(here: Path, arguments: str, told: list[str]) -> None:
    check_refused(here, ["build", *arguments.split()], told)


@pytest.mark.parametrize(
    ("arguments", "told"), REFUSED_TEXTS, ids=[str(arguments)[:30] for arguments, _ in REFUSED_TEXTS]
)
def test_bad_sentences_are_refused(here: Path, arguments: list[str], told: list[str]) -> None:
    check_refused(here, ["build", "llama1", *arguments], told)


@pytest.mark.parametrize(
    "arguments", [["biuld", "llama1"], ["check"], ["check", "--engine", "excel", "x.xlsx"], ["-x"]]
)
def test_bad_commands_are_refused(here: Path, arguments: list[str]) -> None:
    check_refused(here, arguments, [])


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_without_permission(here: Path) -> None:
    (here / "locked").mkdir(mode=0o500)
    check_refused(here, ["build", "llama1", "-o", "locked/book.xlsx"], ["locked", "ermission"])


TOO_LARGE = [
    "llama1 --tokens " + ",".join(["1"] * 20_000),
    "llama4 --tokens " + ",".join(["1"] * 5_000),
    "llama1 --vocab 2000000",
    "llama1 --dim 3000000",
    "llama1 --ffn 2000000",
    "llama1 --head-dim 2000000",
    "llama1 --heads 100000",
    "llama1 --layers 100000",
    "llama4 --experts 100000",
]


@pytest.mark.skipif(resource is None, reason="memory cannot be limited here")
@pytest.mark.parametrize("arguments", TOO_LARGE, ids=[arguments[:24] for arguments in TOO_LARGE])
def test_more_than_a_worksheet_holds_is_refused_at_once(here: Path, arguments: str) -> None:
    """In a process with 2 GB of memory and 20 seconds: the size is known before anything is computed."""
    done = subprocess.run(
        [sys.executable, "-m", "sheetgen", "build", *arguments.split()],
        cwd=here,
        capture_output=True,
        text=True,
        timeout=20,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)),
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr[-500:]
    (line,) = done.stderr.splitlines()
    assert "choose smaller sizes" in line
    assert not (here / "generated").exists()


# --- existing files ----------------------------------------------------------------------------------------------


def test_a_workbook_as_built_is_replaced(here: Path) -> None:
    path = build(here / "book.xlsx", "llama1", "--layers", 1)
    first = path.read_bytes()
    assert sheetgen("build", "llama1", "--layers", 1, "--seed", 5, "-o", path).code == 0
    assert path.read_bytes() != first


def test_an_edited_workbook_is_kept(here: Path) -> None:
    def change(book: openpyxl.Workbook) -> None:
        book["Model"]["A1"] = "my notes"

    edited(build(here / "book.xlsx", "llama1", "--layers", 1), change, "mine.xlsx")
    arguments = ["build", "llama1", "--layers", "1", "-o", "mine.xlsx"]
    assert "--force" in check_refused(here, arguments, ["mine.xlsx", "edited"])
    assert sheetgen(*arguments, "--force").code == 0
    assert (here / "mine.xlsx").read_bytes() == (here / "book.xlsx").read_bytes()


def test_a_workbook_whose_parts_were_changed_is_kept(here: Path) -> None:
    """One byte of one part, everything else as it was."""
    build(here / "book.xlsx", "llama1", "--layers", 1)
    with zipfile.ZipFile("book.xlsx") as source, zipfile.ZipFile("mine.xlsx", "w") as copy:
        for part in source.infolist():
            data = source.read(part)
            copy.writestr(part, data.replace(b"0.1", b"0.2", 1) if part.filename.endswith("sheet2.xml") else data)
    check_refused(here, ["build", "llama1", "-o", "mine.xlsx"], ["mine.xlsx", "--force"])


@pytest.mark.parametrize("content", [b"", b"not a workbook", b"PK\x03\x04 cut off"])
def test_a_foreign_file_is_kept(here: Path, content: bytes) -> None:
    (here / "theirs.xlsx").write_bytes(content)
    check_refused(here, ["build", "llama1", "-o", "theirs.xlsx"], ["theirs.xlsx", "--force"])


def test_a_foreign_workbook_is_kept(here: Path) -> None:
    openpyxl.Workbook().save("theirs.xlsx")
    check_refused(here, ["build", "llama1", "-o", "theirs.xlsx"], ["theirs.xlsx", "--force"])


def test_the_default_place_is_guarded_too(here: Path) -> None:
    assert sheetgen("build", "llama1", "--layers", 1).code == 0
    Path("generated/llama1.xlsx").write_bytes(b"mine")
    check_refused(here, ["build", "llama1"], ["generated", "--force"])


# --- our own faults ----------------------------------------------------------------------------------------------


def broken(*_: object, **__: object) -> None:
    raise AttributeError("'str' object has no attribute\n'planted'")


def test_a_fault_of_ours_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sheetgen.api.build", broken)
    monkeypatch.delenv("SHEETGEN_TRACEBACK")
    result = sheetgen("build", "llama1")
    assert (result.code, result.out) == (3, "")
    (line,) = result.err.splitlines()
    assert line.startswith("sheetgen: this is a fault of sheetgen, not yours (AttributeError: 'str' object has no")
    assert "test_cli.py:" in line
    assert "report it" in line
    assert "SHEETGEN_TRACEBACK=1" in line


def test_a_fault_of_ours_surfaces_in_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sheetgen.api.build", broken)
    with pytest.raises(AttributeError, match="planted"):
        main(["build", "llama1"])


@pytest.mark.skipif(os.name == "nt", reason="there are no such pipes")
@pytest.mark.parametrize("arguments", [["scale"], ["check", "--json", "x.xlsx"]], ids=str)
def test_who_has_read_enough_is_told_nothing(arguments: list[str], here: Path) -> None:
    """As by `sheetgen scale | head -1`: the pipe is closed before all is written."""
    code = f"import os; r, w = os.pipe(); os.close(r); os.dup2(w, 1); from sheetgen.cli import main; main({arguments})"
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")


# --- what is printed ---------------------------------------------------------------------------------------------


def test_what_build_prints(here: Path) -> None:
    result = sheetgen("build", "llama4", "--heads", 4, "--experts", 3)
    assert (result.code, result.err) == (0, "")
    told = {line.split("  ")[0]: line.split(maxsplit=1)[1].strip() for line in result.out.splitlines()}
    path = Path("generated") / "llama4.xlsx"
    assert str(path) in told["wrote"]
    assert f"sheetgen check {path}" in result.out
    book = openpyxl.load_workbook(path)
    assert all(name in told["sheets"] for name in book.sheetnames)
    filled = sum(cell.value is not None for sheet in book for row in sheet.iter_rows() for cell in row)
    assert f"{filled:,}" in told["cells"]
    assert "2,584" in told["parameters"]
    formulas = sum(cell.data_type == "f" for sheet in book for row in sheet.iter_rows() for cell in row)
    assert f"{formulas:,}" == told["formulas"]
    assert {p.name for p in here.iterdir()} == {"generated", "folder.xlsx", "file"}
    assert sheetgen("check", path).code == 0


def test_the_printed_check_can_be_pasted(here: Path) -> None:
    """A name with blanks is quoted."""
    result = sheetgen("build", "llama1", "--layers", 1, "-o", "my book's.xlsx")
    (line,) = [line for line in result.out.splitlines() if "sheetgen check" in line]
    command = line[line.index("sheetgen check") :].replace("sheetgen", f'"{sys.executable}" -m sheetgen', 1)
    assert subprocess.run(command, shell=True, cwd=here, capture_output=True).returncode == 0  # noqa: S602


def test_a_folder_is_made_for_the_output(here: Path) -> None:
    assert sheetgen("build", "llama1", "--layers", 1, "-o", "new/deeper/book.xlsx").code == 0
    assert [p.name for p in (here / "new" / "deeper").iterdir()] == ["book.xlsx"]


@pytest.mark.parametrize(
    "options",
    [
        ["--tokens", "3,1,4,1,5"],
        ["--tokens", "0,1,0", "--vocab", "2"],
        ["--tokens", "19", "--vocab", "20"],
        ["--set", "rope_theta=500"],
        ["--set", "n_heads=4", "--set", "rope_pairing=interleaved"],
        ["--heads", "4", "--set", "norm_eps=0"],
    ],
)
def test_what_is_accepted(here: Path, options: list[str]) -> None:
    result = sheetgen("build", "llama1", "--layers", "1", *options, "-o", here / "book.xlsx")
    assert (result.code, result.err) == (0, "")
    assert sheetgen("check", here / "book.xlsx").code == 0


def test_presets_are_listed() -> None:
    result = sheetgen("presets")
    assert (result.code, result.err) == (0, "")
    text = " ".join(result.out.split())
    assert all(preset in text for preset in PRESETS)
    assert "arXiv" in text or "ar Xiv" in text


@pytest.mark.parametrize("arguments", [["--help"], ["build", "--help"], ["check", "-h"], ["presets", "--help"]])
def test_help(arguments: list[str]) -> None:
    result = sheetgen(*arguments)
    assert (result.code, result.err) == (0, "")
    assert "Usage: sheetgen" in result.out


def test_as_a_module_from_another_folder(here: Path) -> None:
    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "sheetgen", *arguments]
        return subprocess.run(command, cwd=here, check=True, capture_output=True, text=True).stdout

    assert package.__version__ in run("--version")
    run("build", "llama2", "--layers", "1")
    assert "tensors equal" in run("check", "generated/llama2.xlsx")


def test_a_command_imports_only_what_it_needs(tmp_path: Path) -> None:
    """Starting is most of what a small workbook costs."""
    code = (
        "import sys; from sheetgen.cli import main; unneeded = set(sys.argv.pop().split())\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('IMPORTED', sorted(unneeded & set(sys.modules)))"
    )
    path = str(tmp_path / "a.xlsx")
    help_ = ["build", "--help"], "numpy openpyxl xlsxwriter"
    build = ["build", "attention", "-o", path], "rich openpyxl formulas safetensors"
    check = ["check", path], "openpyxl xlsxwriter safetensors scipy.stats"
    for arguments, unneeded in (help_, build, check):
        command = [sys.executable, "-c", code, *arguments, unneeded]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "IMPORTED []" in done.stdout
