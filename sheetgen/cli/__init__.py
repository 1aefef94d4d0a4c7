"""The command line: translates options into calls of the library (`sheetgen.api`), and results into words.

Exit codes: 0 fine; 1 a difference found; 2 cannot be done, one line on stderr says why and what to do; 3 a fault of
sheetgen itself, one line says how to report it (with SHEETGEN_TRACEBACK=1 the exception is raised instead).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from sheetgen import __version__
from sheetgen.base.errors import InputError
from sheetgen.cli import build, check, look
from sheetgen.cli.terminal import say

FAULT = 3
TRACEBACK = "SHEETGEN_TRACEBACK"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sheetgen")
def commands() -> None:
    """Live Excel workbooks of transformer architectures, and the proof that they are right."""


for command in (
    *(build.build, build.compare, build.tour),
    check.check,
    *(look.show, look.picture, look.presets, look.scale),
):
    commands.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    try:
        code = commands.main(arguments, prog_name="sheetgen", standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message())
    except click.Abort:
        _fail("stopped")
    except InputError as error:
        _fail(str(error))
    except MemoryError:
        _fail("this needs more memory than there is: choose a smaller model or file")
    except BrokenPipeError:  # who read the output has seen enough, as `head` does
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - else Python complains at its end
        sys.exit(1)  # as click and rich do
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        _fail(_our_fault(error), FAULT)
    sys.exit(code or 0)


def _our_fault(error: Exception) -> str:
    """What to say of an exception that no user can cause."""
    import traceback

    place = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__}: {error}"[:200]
    return (
        f"this is a fault of sheetgen, not yours ({what}, {Path(place.filename).name}:{place.lineno}): please report "
        f"it with the command and its files; {TRACEBACK}=1 shows where it happened"
    )


def _fail(message: str, code: int = 2) -> None:
    say(message)
    sys.exit(code)
