"""Python layers on the command line: they run only where the user says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from protonet.layers import python_permission

__all__ = ["allow_python_layers", "refuse_python_layers"]


def refuse_python_layers(context: click.Context) -> None:
    """Keeps nets from running Python code until this command has ended."""
    before = python_permission.allowed
    python_permission.allowed = False

    def restore() -> None:
        python_permission.allowed = before

    context.call_on_close(restore)


def _allow(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        python_permission.allowed = True


def allow_python_layers(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the option --allow-python-layers."""
    return click.option(
        "--allow-python-layers", is_flag=True, expose_value=False, callback=_allow,
        help="Run the code of the net's Python layers; only for nets that you trust.",
    )(command)  # fmt: skip
