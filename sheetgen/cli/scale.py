"""Published models in numbers, as a table in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from sheetgen.published.columns import COLUMNS, PARTS
from sheetgen.published.table import Counted

# What the terminal shows; the sheet has more.
SHOWN = (
    *("d_model", "n_layers", "n_heads", "n_kv_heads", "total", "active", "active_without_embedding"),
    *("kv", "kv_bytes", "kv_context", "flops", *(f"share_{part}" for part in PARTS)),
)
WIDE = 1000  # a table that is wider than the terminal is wrapped by the terminal, not cut


def show(models: Sequence[Counted]) -> None:
    """Print the table, a line for each model, however wide it is."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("model", no_wrap=True)
    shown = [name for name in SHOWN if any(name in each.numbers for each in models)]
    for name in shown:
        head = COLUMNS[name].head if name in COLUMNS else name
        table.add_column(f"% {head}" if name.startswith("share_") else head, justify="right", no_wrap=True)
    for each in models:
        table.add_row(each.model.name, *(_text(name, each.numbers.get(name)) for name in shown))
    Console(highlight=False, width=WIDE).print(table)


def _text(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{100 * value:.1f}" if name.startswith("share_") else f"{value:,.0f}"
