"""Builds the wheel and the source distribution, installs sheetgen in every way, without extras, and works with it.

    python tests/packages.py [--keep dist]

The wheel is built from the source distribution, so that this one is complete. What is installed builds and checks a
workbook in a folder elsewhere; `python -m sheetgen` works there and in the checkout, too. The tests in the source
distribution are collected, and some are run, by the Python that runs this script (it needs the extra `test`).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
IGNORED = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
SOME_TESTS = ["tests/test_project.py", "tests/test_golden.py", "tests/test_fuzz.py", "-k", "project or llama1 or fuzz"]


def run(folder: Path, *command: object, **more: str) -> str:
    """What the command prints when it is run in the folder, as somebody does who has no checkout on his path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | more
    done = subprocess.run([str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} in {folder}:\n{done.stdout}{done.stderr}")
    return done.stdout


def environment(folder: Path) -> Path:
    """A new virtual environment; where its programs are."""
    venv.create(folder, with_pip=True)
    return folder / ("Scripts" if os.name == "nt" else "bin")


def built(source: Path, folder: Path) -> tuple[Path, Path]:
    """The source distribution and the wheel."""
    programs = environment(folder / "builder")
    run(folder, programs / "python", "-m", "pip", "install", "--quiet", "build")
    run(folder, programs / "python", "-m", "build", "--outdir", folder / "dist", source)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return sdist, wheel


def is_complete(wheel: Path, source: Path) -> None:
    """Every module and every template is in the wheel, and that it is typed."""
    kept = {file.relative_to(source).as_posix() for file in (source / "sheetgen").rglob("*.py")} | {"sheetgen/py.typed"}
    kept |= {f"sheetgen/{file.relative_to(source).as_posix()}" for file in (source / "templates").rglob("*.toml")}
    missing = kept - set(zipfile.ZipFile(wheel).namelist())
    assert not missing, f"the wheel lacks {sorted(missing)}"


def works(programs: Path, elsewhere: Path, source: Path) -> None:
    """The two commands of README in a folder elsewhere, and `python -m sheetgen` there and in the checkout."""
    book = elsewhere / "book.xlsx"
    run(elsewhere, programs / "sheetgen", "build", "llama4", "--heads", 4, "--experts", 3, "-o", book, "--force")
    assert "tensors equal" in run(elsewhere, programs / "sheetgen", "check", book)
    for folder in (elsewhere, source):
        assert "llama4" in run(folder, programs / "python", "-m", "sheetgen", "presets")


def main() -> None:
    """Build, install in each way, work; one line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="the folder that gets the wheel and the source distribution")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, elsewhere, unpacked = (folder / each for each in ("source", "elsewhere", "unpacked"))
        shutil.copytree(ROOT, source, ignore=IGNORED)
        elsewhere.mkdir()
        sdist, wheel = built(source, folder)
        is_complete(wheel, source)
        print(f"built {sdist.name} and {wheel.name}", flush=True)

        programs = environment(folder / "installed")
        pip = (programs / "python", "-m", "pip", "--quiet", "install")
        run(folder, *pip, wheel)  # with what it needs, once
        for way in ([wheel], [sdist], [source], ["--editable", source]):
            run(folder, *pip, "--force-reinstall", "--no-deps", *way)
            works(programs, elsewhere, source)
            print(f"works as pip install {' '.join(Path(part).name for part in map(str, way))}", flush=True)

        with tarfile.open(sdist) as archive:
            archive.extractall(unpacked, filter="data")
        (tests,) = unpacked.iterdir()
        run(tests, sys.executable, "-m", "pytest", "-q", "--collect-only")
        run(tests, sys.executable, "-m", "pytest", "-q", *SOME_TESTS)
        print("the tests of the source distribution run")
        if arguments.keep:
            arguments.keep.mkdir(exist_ok=True)
            for file in (sdist, wheel):
                shutil.copy(file, arguments.keep)


if __name__ == "__main__":
    main()
