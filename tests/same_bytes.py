"""Whether a change of the code leaves every workbook as it was, byte for byte: checksums before and after.

    python tests/same_bytes.py write before.json     (in the commit before)
    python tests/same_bytes.py compare before.json   (in the commit after)

All goes through the public command line: every preset as blocks and as cells, in German, rounded, in other looks,
without Baseline; compare; tours; each checkpoint of golden/.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import multiprocessing
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAIRS = [
    ("llama1", "llama2"),
    ("llama2", "llama3"),
    ("llama3", "llama4"),
    ("llama4", "llama4-maverick"),
    ("llama1 --heads 2", "llama1 --heads 4 --precision bf16"),
    ("mistral", "mixtral"),
    ("gpt2", "nemotron"),
    ("attention", "nsa-lecture"),
    ("vit", "vit --layers 1"),
    ("transformer", "transformer --set n_layers=1"),
]
MORE = [
    ["llama4", "--heads", "4", "--experts", "3"],
    ["llama1", "--heads", "3", "--heads-per-layer", "2,3", "--bias", "--controls", "all"],
    ["llama3", "--qk-dim", "2", "--value-dims", "3", "--controls", "all"],
    ["gpt2", "--head-dim", "2", "--heads", "4", "--no-output-projection"],
    ["llama2", "--text", "the cat sat", "--seed", "7", "--weights", "normal", "--controls", "none"],
    ["mixtral", "--expert-widths", "5,3,3,2", "--expert-outputs", "4,4,2,2"],
    ["llama3", "--precision", "fp16", "--lang", "de", "--formulas", "cells"],
    ["qwen3", "--theme", "dark", "--no-baseline"],
    ["llama4", "--theme", "print"],
    ["gemma", "--theme", "plain", "--weights", "zeros"],
]


def commands() -> dict[str, list[str]]:
    """What is built, by a name for it."""
    presets = sorted(file.stem for file in (ROOT / "templates").glob("*.toml"))
    rounds = {
        name for name in presets if "precision" not in (ROOT / "templates" / f"{name}.toml").read_text(encoding="utf-8")
    }
    found = [["build", preset, "--formulas", style] for preset in presets for style in ("blocks", "cells")]
    found += [["build", preset, "--lang", "de"] for preset in presets]
    found += [["build", preset, "--precision", "bf16"] for preset in presets if preset in rounds]
    found += [["build", *options] for options in MORE]
    found += [["compare", *pair] for pair in PAIRS] + [["compare", *PAIRS[2], "--lang", "de", "--formulas", "cells"]]
    tours = sorted(file.stem for file in (ROOT / "templates" / "tours").glob("*.toml"))
    found += [["tour", tour, *style] for tour in tours for style in ([], ["--formulas", "cells"])]
    for folder in sorted((ROOT / "tests" / "golden").glob("*/config.json")):
        tokens = [] if folder.parent.name == "vit" else ["--tokens", "1,2,3"]
        found.append(["build", "--from", f"tests/golden/{folder.parent.name}", *tokens])
    return {" ".join(command): command for command in found}


def checksum(job: tuple[str, list[str]]) -> tuple[str, str]:
    """The SHA-256 of what a command writes, or what it says when it writes nothing."""
    from sheetgen.cli import main

    name, command = job
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        target = Path(folder) / "built.xlsx"
        try:
            main([*command, "-o", str(target)])
        except SystemExit as stop:
            code = stop.code
        if target.exists():
            return name, hashlib.sha256(target.read_bytes()).hexdigest()
    return name, f"exit {code}: {said.getvalue().strip()}"


def main(action: str, path: str, *parts: str) -> int:
    """Write the checksums, or compare with them; only the commands that hold one of the parts, if there are any."""
    jobs = {name: job for name, job in commands().items() if not parts or any(part in name for part in parts)}
    with multiprocessing.Pool() as pool:
        found = dict(pool.imap_unordered(checksum, jobs.items(), chunksize=4))
    if action == "write":
        Path(path).write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n", encoding="utf-8")
        print(f"{len(found)} checksums")
        return 0
    before = json.loads(Path(path).read_text(encoding="utf-8"))
    differ = [name for name in found if before.get(name) != found[name]]
    for name in differ:
        print(f"differs: {name}: {found[name][:200]}")
    print(f"{len(found) - len(differ)} of {len(found)} are the same, byte for byte")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
