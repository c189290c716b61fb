"""What all operations take and print."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from protonet.surgery.trained_net import TrainedNet

__all__ = ["finish", "net_and_weights", "pairs", "read"]

F = TypeVar("F", bound=Callable[..., Any])


def net_and_weights(function: F) -> F:
    """Adds NET, WEIGHTS, --out-net and --out-weights to a command."""
    for add in (
        click.option("--out-weights", metavar="FILE", help="Where to write the weights."),
        click.option("--out-net", metavar="FILE", help="Where to write the net's prototxt."),
        click.argument("weights", metavar="[WEIGHTS]", required=False),
        click.argument("net", metavar="NET"),
    ):
        function = add(function)
    return function


def read(
    net: str,
    weights: str | None,
    out_net: str | None,
    out_weights: str | None,
    stages: Sequence[str] = (),
) -> TrainedNet:
    """Reads what an operation works on, as of these stages.

    Raises Error if it is wrong, or nothing is to be written.
    """
    from protonet.prototxt.diagnostics import Error
    from protonet.surgery.trained_net import read_trained_net

    if out_net is None and out_weights is None:
        raise Error("say where to write: --out-net FILE and, for weights, --out-weights FILE")
    if out_weights is not None and weights is None:
        raise Error("there are no weights to write: give WEIGHTS after NET")
    return read_trained_net(net, weights, stages)


def finish(done: TrainedNet, out_net: str | None, out_weights: str | None) -> None:
    """Writes what an operation made, and tells what it changed. Raises Error if it cannot."""
    from protonet.prototxt.diagnostics import Error

    if out_net is not None and out_weights is not None and _is_same_file(out_net, out_weights):
        raise Error(f"--out-net and --out-weights are one file, {out_net}: give each its own")
    done.write(out_net, out_weights)
    for change in done.changes or ["nothing to change"]:
        click.echo(change)
    written = [name for name in (out_net, out_weights) if name is not None]
    click.echo(f"wrote {' and '.join(written)}")


def _is_same_file(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def pairs(words: Sequence[str], what: str) -> dict[str, str]:
    """Reads OLD=NEW words. Raises Error at one that is not."""
    from protonet.prototxt.diagnostics import Error

    found: dict[str, str] = {}
    for word in words:
        old, equals, new = word.partition("=")
        if not (old and equals and new):
            raise Error(f'{what} "{word}": write OLD=NEW')
        found[old] = new
    return found
