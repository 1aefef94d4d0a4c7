"""What all commands print: one line on stderr that says why something cannot be done; a bar while it takes long."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from sheetgen.base.errors import printable


def say(message: str) -> None:
    """A line on stderr."""
    click.echo(f"sheetgen: {printable(message)}", err=True)


@contextmanager
def progress(what: str, steps: int, slow: int) -> Iterator[Callable[[str], None]]:
    """A bar on a terminal when there is much to do, `slow` steps or more; else nothing."""
    if steps < slow or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=steps)
        yield lambda _: bar.advance(task)
