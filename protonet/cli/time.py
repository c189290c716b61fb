"""`protonet time`: how long each layer of a net takes."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from protonet.cli.amounts import size
from protonet.cli.cores import threads
from protonet.cli.failure import colored
from protonet.cli.net_rules import level_and_stages
from protonet.cli.plan_time import show_plan_time
from protonet.cli.progress_bar import progress_bar
from protonet.cli.python_layers import allow_python_layers
from protonet.cli.tables import print_table

if TYPE_CHECKING:
    from rich.table import Table

    from protonet.net import Net
    from protonet.timing import DirectionTime, NetTime

__all__ = ["time"]


@click.command()
@click.argument("net", metavar="NET")
@click.option(
    "--phase",
    type=click.Choice(["train", "test"], case_sensitive=False),
    default="train",
    show_default=True,
    help="The phase to build the net for.",
)
@click.option(
    "--iterations",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    metavar="N",
    help="How many passes to take the median of.",
)
@click.option("--batch", type=click.IntRange(1), metavar="N", help="The batch of an Input layer.")
@click.option(
    "--plan", is_flag=True, help="Time the net compiled for inference, operation by operation."
)
@threads
@level_and_stages
@click.option("--json", "as_json", is_flag=True, help="Print JSON with exact numbers.")
@allow_python_layers
def time(
    net: str,
    phase: str,
    iterations: int,
    batch: int | None,
    level: int,
    stages: tuple[str, ...],
    plan: bool,
    as_json: bool,
) -> None:
    """Run NET forward and backward, layer by layer, and show the median time of each.

    GFLOP/s counts two operations for each multiply-add of convolutions and matrix products.
    Bytes are what a layer reads and writes at least, forward. Inputs are filled with noise. The
    total is that of whole passes, in which no clock is read between two layers.
    """
    from protonet import kernels
    from protonet.ir.protonet_pb2 import Phase
    from protonet.net import Net
    from protonet.prototxt.diagnostics import Severity, render
    from protonet.timing import time_net

    built_for = Phase.Value("TEST" if plan else phase.upper())
    timed = Net(net, built_for, level=level, stages=stages)
    try:
        warnings = [d for d in timed.diagnostics if d.severity is Severity.WARNING]
        if warnings:
            click.echo(render(warnings, color=colored(sys.stderr)), err=True)
        _fill_inputs(timed, batch)
        if plan:
            show_plan_time(timed, iterations, as_json)
            return
        found = time_net(timed, iterations, progress_bar("timing"))
    finally:
        timed.close()
    if as_json:
        click.echo(json.dumps(_document(timed, found, kernels.threads(), kernels.isa()), indent=2))
        return
    click.echo(
        f'"{timed.name}" in phase {phase.upper()}, {kernels.threads()} threads, '
        f"{kernels.isa()}; medians of {iterations} passes"
    )
    print_table(_table(found))
    click.echo(
        f"forward {found.forward_ms:.3f} ms, backward {found.backward_ms:.3f} ms, "
        f"both {found.forward_ms + found.backward_ms:.3f} ms"
    )
    if not any(layer.backward for layer in found.layers):
        click.echo("protonet: nothing goes backward: the net has no loss", err=True)


def _fill_inputs(net: Net, batch: int | None) -> None:
    """Puts noise into what may be images; labels stay 0, a class that every net has."""
    import numpy as np

    for name in net.inputs:
        blob = net.blobs[name]
        if batch is not None and blob.shape:
            blob.reshape(batch, *blob.shape[1:])
        if len(blob.shape) > 2:
            blob.data[...] = np.random.default_rng(0).uniform(-1, 1, blob.shape)


def _table(found: NetTime) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in ("layer", "type"):
        table.add_column(name, overflow="fold")
    for name in ("forward ms", "share", "GFLOP/s", "backward ms", "share", "GFLOP/s", "bytes"):
        table.add_column(name, justify="right", overflow="fold")
    totals = _totals(found)
    for layer in found.layers:
        cells = [layer.name, layer.type]
        for direction, total in zip((layer.forward, layer.backward), totals, strict=True):
            cells += _cells(direction, total)
        table.add_row(*map(Text, [*cells, size(layer.forward.bytes)]))
    return table


def _cells(direction: DirectionTime | None, total: float) -> list[str]:
    if direction is None:
        return ["", "", ""]
    speed = direction.gflop_per_s
    share = f"{100 * direction.ms / total:.1f} %" if total else ""
    return [f"{direction.ms:.3f}", share, "" if speed is None else f"{speed:.1f}"]


def _totals(found: NetTime) -> tuple[float, float]:
    """The sums over the layers, of which the shares are parts."""
    return (
        sum(layer.forward.ms for layer in found.layers),
        sum(layer.backward.ms for layer in found.layers if layer.backward),
    )


def _document(net: Net, found: NetTime, threads: int, isa: str) -> dict[str, Any]:
    totals = _totals(found)
    return {
        "version": 1,
        "name": net.name,
        "threads": threads,
        "isa": isa,
        "passes": found.passes,
        "forward_ms": found.forward_ms,
        "backward_ms": found.backward_ms,
        "layers": [
            {
                "name": layer.name,
                "type": layer.type,
                "forward": _direction(layer.forward, totals[0]),
                "backward": layer.backward and _direction(layer.backward, totals[1]),
            }
            for layer in found.layers
        ],
    }


def _direction(direction: DirectionTime, total: float) -> dict[str, float | None]:
    return {
        "ms": direction.ms,
        "share": direction.ms / total if total else 0.0,
        "flop": direction.flop,
        "gflop_per_s": direction.gflop_per_s,
        "bytes": direction.bytes,
    }
