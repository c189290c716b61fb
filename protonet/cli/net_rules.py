"""What a net's include and exclude rules ask for, on the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

__all__ = ["level_and_stages"]


def level_and_stages(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options --level and --stage, its parameters `level` and `stages`."""
    stage = click.option(
        "--stage", "stages", multiple=True, metavar="NAME",
        help="A stage for include and exclude rules; may be repeated.",
    )  # fmt: skip
    level = click.option(
        "--level", type=int, default=0, help="The level for include and exclude rules."
    )
    return level(stage(command))
