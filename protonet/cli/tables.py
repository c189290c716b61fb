"""Printing tables."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["print_table"]


def print_table(table: Table) -> None:
    """Prints a table: piped, as wide as its contents; a narrow terminal folds, and cuts nothing."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 1000, highlight=False)
    with console.capture() as printed:
        console.print(table)
    for line in printed.get().split("\n"):
        click.echo(line.rstrip())
