"""`protonet data verify`."""

from __future__ import annotations

import click

from .failure import FAILED
from .progress_bar import progress_bar

__all__ = ["verify"]

_MOST_SHOWN = 20


@click.command()
@click.argument("database")
@click.option(
    "--classes", type=click.IntRange(1), metavar="N", help="Labels must be from 0 to N − 1."
)
@click.pass_context
def verify(context: click.Context, database: str, classes: int | None) -> None:
    """Read and decode every record of DATABASE; list those that are bad, and exit with 1 if
    there are any."""
    from protonet.data.databases import open_database
    from protonet.data.errors import DataError
    from protonet.data.scan import scan

    bad = 0
    with open_database(database) as source:
        for record in progress_bar("reading")(scan(source), source.count):
            told = ""
            if isinstance(record.image, DataError):
                told = record.image.message
            elif classes is not None and not 0 <= record.label < classes:
                wanted = f"from 0 to {classes - 1}"
                told = f"{database}: record {record.number}: label {record.label} is not {wanted}"
            if told:
                bad += 1
                if bad <= _MOST_SHOWN:
                    click.echo(told)
        count = source.count
    if bad > _MOST_SHOWN:
        click.echo("…")
    click.echo(
        f"{database}: {count:,} records, {bad:,} bad" if bad else f"{database}: {count:,} ok"
    )
    if bad:
        context.exit(FAILED)
