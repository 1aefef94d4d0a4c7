"""The command `check`: the proof of workbooks."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sheetgen.base.errors import InputError
from sheetgen.cli.terminal import progress, say
from sheetgen.engines import ENGINES, quick

SLOW = 2  # workbooks from which on a progress bar is worth its lines


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--engine",
    type=click.Choice([*ENGINES, "all"]),
    default="formulas",
    show_default=True,
    help="Who recomputes; all: everyone installed but the slow formulas-model.",
)
@click.option("--static", is_flag=True, help="Calculate nothing: compare the formulas with those the model has.")
@click.option("--json", "as_json", is_flag=True, help="Print the reports as JSON, with every tensor that differs.")
@click.option("--mark", type=click.Path(path_type=Path), help="A copy of FILE with the wrong cells marked.")
def check(files: tuple[Path, ...], engine: str, static: bool, as_json: bool, mark: Path | None) -> None:
    """Recompute workbooks and compare every tensor with NumPy, also after somebody edited them."""
    import json  # here, as all that the other commands need not start with

    from sheetgen.proof import report as reports
    from sheetgen.proof import terminal
    from sheetgen.proof.many import check_all

    if mark is not None and (len(files) > 1 or engine == "all"):
        raise InputError("--mark marks one workbook, checked by one engine: give one FILE")
    engines = quick() if engine == "all" else [engine]
    engines = [reports.STATIC] if static else engines
    jobs = [(file, name) for file in files for name in engines]
    results = []
    with progress("checking", len(jobs), SLOW) as step:
        for (file, _), result in zip(jobs, check_all(jobs), strict=True):
            results.append(result)
            step(str(file))
    if mark is not None and not isinstance(results[0], str):
        from sheetgen.proof.mark import mark as mark_copy
        from sheetgen.xlsx import saving

        with saving.writing(mark):
            mark_copy(files[0], results[0], mark)
    if as_json:
        told = [
            reports.as_failure(file, name, result) if isinstance(result, str) else reports.as_data(result)
            for (file, name), result in zip(jobs, results, strict=True)
        ]
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        for result in results:
            if isinstance(result, str):
                say(result)
            else:
                terminal.show(result)
    sys.exit(max(2 if isinstance(result, str) else 0 if result.equal else 1 for result in results))
