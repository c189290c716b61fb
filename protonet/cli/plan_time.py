"""What `protonet time --plan` shows: how long each operation of an inference plan takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from protonet.cli.tables import print_table

if TYPE_CHECKING:
    from protonet.net import Net

__all__ = ["show_plan_time"]


def show_plan_time(net: Net, rounds: int, as_json: bool) -> None:
    """Compiles a net for the shapes that its inputs have now, and prints the medians of a plan's
    operations and of whole runs; as JSON if wanted."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from protonet import kernels
    from protonet.plan import compile

    plan = compile(net)
    operations, whole = plan.time(rounds)
    if as_json:
        document = {
            "version": 1, "name": net.name, "threads": kernels.threads(), "isa": kernels.isa(),
            "passes": rounds, "run_ms": whole * 1e3, "activation_bytes": plan.activation_bytes,
            "operations": [
                {"operation": one.text, "ms": one.seconds * 1e3, "flop": one.flop,
                 "gflop_per_s": one.gflop_per_s}
                for one in operations
            ],
        }  # fmt: skip
        click.echo(json.dumps(document, indent=2))
        return
    click.echo(
        f'"{net.name}" as a plan, {kernels.threads()} threads, {kernels.isa()}; '
        f"medians of {rounds} runs"
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("operation", overflow="fold")
    for name in ("ms", "share", "GFLOP/s"):
        table.add_column(name, justify="right")
    total = sum(one.seconds for one in operations) or 1.0
    for one in operations:
        speed = one.gflop_per_s
        cells = [
            one.text, f"{one.seconds * 1e3:.3f}", f"{100 * one.seconds / total:.1f} %",
            "" if speed is None else f"{speed:.1f}",
        ]  # fmt: skip
        table.add_row(*map(Text, cells))
    print_table(table)
    click.echo(
        f"a run {whole * 1e3:.3f} ms, from Python and back; "
        f"activations {plan.activation_bytes / 2**20:.1f} MiB"
    )
