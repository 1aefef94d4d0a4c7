"""LibreOffice, headless: it recalculates and saves a copy of the workbook, whose values are read.

No cached value can come through: they are cut out of the copy first, and the profile, a fresh one for each
run, asks for a hard recalculation. (With its default settings LibreOffice keeps what the file says.)

LibreOffice follows what a file names: pictures on the web, links to other files. The copy names nothing; and should
it find something nevertheless, the profile forbids it, its proxy leads nowhere, and where the system can, it runs
without a network.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from sheetgen.engines import EngineError, EngineUnavailable, soffice
from sheetgen.engines.uncached import Change, drop_cached_values
from sheetgen.engines.values import Values, grid_of
from sheetgen.xlsx.read import Book, read_values

TIMEOUT = 300  # seconds; a start takes one, 50,000 formulas another

_NOWHERE, _DISCARD = "127.0.0.1", 9  # a port that no program listens to
_SETTINGS = (  # path, name, value
    ("Office.Calc/Formula/Load", "OOXMLRecalcMode", "0"),  # always
    ("Office.Calc/Content/Update", "Link", "2"),  # never
    ("Office.Common/Security/Scripting", "MacroSecurityLevel", "3"),
    ("Office.Common/Security/Scripting", "DisableMacrosExecution", "true"),
    ("Office.Common/Security/Scripting", "BlockUntrustedRefererLinks", "true"),
    ("Inet/Settings", "ooInetProxyType", "2"),  # what follows, by hand
    ("Inet/Settings", "ooInetHTTPProxyName", _NOWHERE),
    ("Inet/Settings", "ooInetHTTPProxyPort", str(_DISCARD)),
    ("Inet/Settings", "ooInetHTTPSProxyName", _NOWHERE),
    ("Inet/Settings", "ooInetHTTPSProxyPort", str(_DISCARD)),
    ("Inet/Settings", "ooInetNoProxy", ""),
)
_PROFILE = "\n".join(
    [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<oor:items xmlns:oor="http://openoffice.org/2001/registry">',
        *(
            f'<item oor:path="/org.openoffice.{path}"><prop oor:name="{name}" oor:op="fuse"><value>{value}</value>'
            "</prop></item>"
            for path, name, value in _SETTINGS
        ),
        "</oor:items>\n",
    ]
)
_PROXIES = {
    name: f"http://{_NOWHERE}:{_DISCARD}"
    for word in ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy")
    for name in (word, word.upper())
} | {"no_proxy": "", "NO_PROXY": ""}


def recompute(path: Path, _book: Book | None = None) -> Values:
    """Every formula computed by LibreOffice; EngineError when it fails or takes too long."""
    with tempfile.TemporaryDirectory(prefix="sheetgen-") as folder:
        copy = Path(folder) / "recalculated.xlsx"
        recalculated_copy(path, copy)
        return Values({name: grid_of(cells) for name, cells in read_values(copy).items()})


def recompute_all(paths: Sequence[Path]) -> list[Values]:
    """Every formula of several workbooks, computed by one start of LibreOffice."""
    with tempfile.TemporaryDirectory(prefix="sheetgen-") as folder:
        copies = [Path(folder) / f"{i}.xlsx" for i in range(len(paths))]
        _recalculate(paths, copies)
        return [Values({name: grid_of(cells) for name, cells in read_values(copy).items()}) for copy in copies]


def recalculated_copy(path: Path, target: Path, form: str = "xlsx", change: Change | None = None) -> None:
    """Writes to `target` the workbook as LibreOffice recalculates and saves it, in the form with this extension.

    `change` is applied to the parts of the copy that LibreOffice reads.
    """
    _recalculate([path], [target], form, change)


def _recalculate(
    paths: Sequence[Path], targets: Sequence[Path], form: str = "xlsx", change: Change | None = None
) -> None:
    command = soffice()
    if command is None:
        raise EngineUnavailable("LibreOffice is not installed: install it, so that soffice is on the PATH")
    with tempfile.TemporaryDirectory(prefix="sheetgen-") as name:
        folder = Path(name)
        user = folder / "profile" / "user"
        user.mkdir(parents=True)
        (user / "registrymodifications.xcu").write_text(_PROFILE, encoding="utf-8")
        (folder / "out").mkdir()
        copies = [folder / f"book{i}.xlsx" for i in range(len(paths))]  # names without surprises
        for path, copy in zip(paths, copies, strict=True):
            drop_cached_values(path, copy, change)
        told = ", ".join(map(str, paths))
        _run(
            [
                *without_network(),
                command,
                f"-env:UserInstallation={(folder / 'profile').as_uri()}",
                *("--headless", "--norestore", "--nologo", "--convert-to", form),
                *("--outdir", str(folder / "out"), *map(str, copies)),
            ],
            told,
        )
        for path, copy, target in zip(paths, copies, targets, strict=True):
            result = folder / "out" / f"{copy.stem}.{form}"
            if not result.exists():
                raise EngineError(f"LibreOffice could not open {path}")
            shutil.move(result, target)


@cache
def without_network() -> tuple[str, ...]:
    """What a command begins with to run without a network; nothing where the system cannot, or does not allow it."""
    for begin in (("unshare", "-n", "--"), ("unshare", "-rn", "--")):
        if shutil.which(begin[0]):
            try:
                tried = subprocess.run([*begin, "true"], capture_output=True, timeout=10)
            except (OSError, subprocess.TimeoutExpired):
                continue
            if tried.returncode == 0:
                return begin
    return ()


def _run(command: list[str], what: str) -> None:
    """Runs soffice, which starts processes of its own: at the end of the patience all of them are ended."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=os.environ | _PROXIES,
        text=True,
        errors="replace",
    ) as process:
        try:
            output, _ = process.communicate(timeout=TIMEOUT)
        except BaseException as error:
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                raise EngineError(f"LibreOffice took more than {TIMEOUT} s for {what}: it was stopped") from None
            raise
    if process.returncode != 0:
        raise EngineError(f"LibreOffice failed on {what}: {' '.join(output.split())[:300]}")
