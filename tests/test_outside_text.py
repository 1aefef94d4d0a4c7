"""Text from outside (words, labels, names of folders) stays text: never a formula, a link, or a command."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path

import openpyxl
import pytest
from helpers import build, cells_of, sheetgen
from limited import limited

WORDS = [
    *("=1+1", "@SUM(A1)", "+cmd|'/c'!A0", "-2+3", "{=1+1}", "=HYPERLINK(1)", "%0A", "#REF!", "TRUE", "1e5", "'quoted"),
    *("http://127.0.0.1:9/", "javascript:alert(1)", "mailto:a@b.c", "internal:Model!A1", "external:c:\\x", "file:///x"),
    *("<b>", "&amp;", '"";x', "_x0041_", "🦙", "\\n", "[red]", "${HOME}", "$(id)", "A1", "W_E"),
]


def nothing_runs(path: Path) -> None:
    """Every link leads into the workbook, and no word is part of a formula, a name or a rule."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist() if not name.endswith(".vml")}
    assert not any("External" in text for name, text in parts.items() if name.endswith(".rels"))
    for text in parts.values():
        for link in re.findall(r"<hyperlink [^>]*>", text):
            assert ' location="' in link
            assert "r:id" not in link
        for formula in re.findall(r"<(?:f|formula\d?|definedName)\b[^>]*>([^<]*)<", text):
            assert not any(sign in formula for sign in ("cmd", "HYPERLINK", "javascript", "127.0.0.1", "alert"))


def test_words(tmp_path: Path) -> None:
    path = build(tmp_path / "a.xlsx", "llama1", "--layers", 1, "--text", " ".join(WORDS))
    nothing_runs(path)
    found = cells_of(openpyxl.load_workbook(path), "words")[0]
    assert [cell.value for cell in found] == WORDS
    assert all(cell.data_type in "se" for cell in found)  # openpyxl takes a text like #REF! for an error
    result = limited("check", path)
    assert result.code == 0, result


def test_words_of_a_translation(tmp_path: Path) -> None:
    text = " ".join(WORDS[:6])
    nothing_runs(build(tmp_path / "a.xlsx", "transformer", "--layers", 1, "--text", text, "--target", text))


def test_a_checkpoint_of_ill_will(tmp_path: Path) -> None:
    """Its tokens, its labels and its folder's name are formulas."""
    folder = tmp_path / "=HYPERLINK(1)+1+1 'x' & <b> [red]"
    shutil.copytree(Path(__file__).parent / "golden" / "llama1", folder)
    size = json.loads((folder / "config.json").read_text())["vocab_size"]
    words = {word: i for i, word in enumerate([*WORDS, *(f"x{i}" for i in range(size))][:size])}
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": words}}))
    path = tmp_path / "a.xlsx"
    result = sheetgen("build", "--from", folder, "--tokens", "0,1,2", "-o", path)
    assert result.code == 0, result.err
    nothing_runs(path)
    assert [cell.value for cell in cells_of(openpyxl.load_workbook(path), "words")[0]] == WORDS[:3]
    assert limited("check", path).code == 0


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("config.json", "[" * 100_000, "no JSON"),
        ("config.json", "{" + '"a":' * 10, "no JSON"),
        ("config.json", '{"model_type": ["llama"]}', "not supported"),
        ("config.json", '{"model_type": "\\u001b[31m\\n__import__"}', "not supported"),
        ("config.json", "null", "NoneType"),
        ("model.safetensors", "", "no safetensors"),
        ("model.safetensors", "\xff" * 64, "no safetensors"),
        ("model.safetensors", "\x08" + "\0" * 7 + '{"a":{}}', "no safetensors"),
        ("tokenizer.json", "{" * 9, "no JSON"),
    ],
)
def test_files_of_a_checkpoint(file: str, content: str, words: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(Path(__file__).parent / "golden" / "llama1", folder)
    (folder / file).write_bytes(content.encode("latin-1"))
    refused(folder, words)


def refused(folder: Path, words: str) -> None:
    """`build --from` says these words in a line, and writes nothing."""
    result = limited("build", "--from", folder, "-o", folder.parent / "a.xlsx")
    assert result.code == 2, result
    assert result.message.startswith("sheetgen: "), result
    assert result.message.isprintable()
    assert words in result.message
    assert not (folder.parent / "a.xlsx").exists()


@pytest.mark.parametrize("change", ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"])
@pytest.mark.parametrize("value", [10**12, -1, 0, 1.5, "four", None, True, [4]])
def test_sizes_of_a_checkpoint(change: str, value: object, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(Path(__file__).parent / "golden" / "llama1", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {change: value}))
    refused(folder, "")


@pytest.mark.parametrize("shard", ["../secret.safetensors", "/etc/passwd", "..\\x.safetensors", "a/b.safetensors", "x"])
def test_shards_outside_the_folder(shard: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(Path(__file__).parent / "golden" / "llama1", folder)
    (folder / "model.safetensors").rename(tmp_path / "secret.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    refused(folder, "only .safetensors files beside it")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_pipes_and_devices_in_a_checkpoint(file: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(Path(__file__).parent / "golden" / "llama1", folder)
    (folder / file).unlink()
    (folder / file).symlink_to("/dev/zero")
    refused(folder, "no ordinary file")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no .npy file"),
        (b"\x93NUMPY\x01\x00\x46\x00{'descr': '<f8', 'fortran_order': False, 'shape': (3, 999999, 999999)}", "no .npy"),
        (b"\x93NUMPY\x01\x00\x38\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,)}  ", "no .npy file"),
        (b"\x80\x04\x95cos\nsystem\n(S'touch x'\ntR.", "no .npy file"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, "no .npy file"),
        (b"PK\x03\x04" + bytes(99), "no .npy file"),
    ],
)
def test_images(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    result = limited("build", "vit", "--pixels", tmp_path / "a.npy", "-o", tmp_path / "a.xlsx")
    assert result.code == 2, result
    assert words in result.message
