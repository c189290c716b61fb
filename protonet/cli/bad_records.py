"""Bad records on the command line: an error, unless the user has them left out and listed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

__all__ = ["skip_bad_records"]

_MOST_SHOWN = 20


def _skip(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    from protonet.data.bad_records import bad_records

    def tell() -> None:
        found = bad_records.listed()
        bad_records.clear()
        for message in found[:_MOST_SHOWN]:
            click.echo(f"left out: {message}", err=True)
        if len(found) > _MOST_SHOWN:
            click.echo("…", err=True)
        click.echo(f"protonet: {len(found):,} bad records were left out", err=True)

    bad_records.skipping = True
    context.call_on_close(tell)


def skip_bad_records(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the option --skip-bad-records."""
    return click.option(
        "--skip-bad-records", is_flag=True, expose_value=False, callback=_skip,
        help="Leave out records that cannot be read, and list them; another one stands in.",
    )(command)  # fmt: skip
