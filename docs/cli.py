"""Writes docs/cli.md: what `--help` says of every command (`make docs`; a test holds the two equal)."""

from __future__ import annotations

from pathlib import Path

import click

from sheetgen.cli import commands

HEAD = "# The command line\n\nMade by `make docs` from what `--help` says.\n"


def page() -> str:
    """The whole page."""
    return HEAD + "".join(
        f"\n## sheetgen {name}\n\n```text\n{_help(name, command)}\n```\n" for name, command in commands.commands.items()
    )


def _help(name: str, command: click.Command) -> str:
    with commands.make_context("sheetgen", [], resilient_parsing=True) as group:
        context = click.Context(command, group, info_name=name, max_content_width=100, terminal_width=100)
        return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page(), encoding="utf-8")
