"""`protonet data`: making and looking into data sets."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import click

__all__ = ["data"]


@click.group()
def data() -> None:
    """Make and look into data sets."""


@data.group()
def convert() -> None:
    """Make an LMDB database of a data set of another kind."""


@convert.command()
@click.argument("images")
@click.argument("labels")
@click.argument("database")
@click.option("--force", is_flag=True, help="Replace the database if it is there.")
def idx(images: str, labels: str, database: str, force: bool) -> None:
    """Make DATABASE of two IDX files, as MNIST comes in, packed by gzip or not.

    A Data layer reads it with `backend: LMDB`. The database is there when it is whole: what is
    interrupted leaves nothing, or the old one.
    """
    from protonet.data.convert import idx_to_lmdb

    done = idx_to_lmdb(images, labels, database, replace=force, progress=_progress)
    click.echo(str(done))


def _progress(things: Iterable[Any], count: int) -> Iterator[Any]:
    """Passes things through, with a bar on a terminal."""
    if not sys.stderr.isatty():
        yield from things
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(
        things, "converting", total=count, console=Console(stderr=True), transient=True
    )
