"""How many cores a command uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

__all__ = ["threads"]


def _choose(context: click.Context, _: click.Parameter, count: int | None) -> None:
    if count is not None and not context.resilient_parsing:
        from protonet import kernels

        kernels.choose_threads(count)


def threads(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the option --threads."""
    return click.option(
        "--threads", type=click.IntRange(1), metavar="N", expose_value=False, callback=_choose,
        help="Cores to use; default all.",
    )(command)  # fmt: skip
