"""`protonet summary`: shapes, parameters, multiply-adds, memory and receptive fields of a net."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from protonet.cli.amounts import amount, size
from protonet.cli.net_rules import level_and_stages
from protonet.cli.sizes import Sizes, WithSizes

if TYPE_CHECKING:
    from rich.table import Table

    from protonet.check.costs import LayerCosts, NetCosts
    from protonet.check.graph import Graph

__all__ = ["summary"]


@click.command(cls=WithSizes)
@click.argument("net", metavar="NET")
@click.option(
    "--phase",
    type=click.Choice(["train", "test"], case_sensitive=False),
    help="The phase to show: TEST, if the net has data in it.",
)
@level_and_stages
@click.option(
    "--input",
    "sizes",
    type=Sizes(),
    metavar="[N C] H W",
    help="The size of the net's first input, instead of the one in the file.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    help="A table, or JSON with exact numbers.",
)
def summary(
    net: str,
    phase: str | None,
    level: int,
    stages: tuple[str, ...],
    sizes: tuple[int, ...] | None,
    form: str,
) -> None:
    """Show shape, parameters, multiply-adds (MACs), memory, receptive field of each layer.

    All numbers are for one forward pass over the whole batch. Memory is that of the layer's
    outputs in float32. The receptive field is what one output position sees of the input, the
    stride how far apart two neighbours look. Nothing is allocated.
    """
    from protonet.check.costs import net_costs
    from protonet.check.inputs import summary_graph
    from protonet.prototxt.diagnostics import Severity, render

    graph = summary_graph(net, phase and phase.upper(), level, stages, sizes)
    costs = net_costs(graph)
    if form == "json":
        click.echo(json.dumps(_document(graph, costs), indent=2))
        return
    _print(graph, costs)
    unknown = [d for d in graph.diagnostics if d.code == "I110"]
    if unknown:
        click.echo(render(unknown), err=True)
    warnings = sum(d.severity is Severity.WARNING for d in graph.diagnostics)
    if warnings:
        click.echo(f"{warnings} warning(s): `protonet check {net}` shows them", err=True)


def _print(graph: Graph, costs: NetCosts) -> None:
    from rich.console import Console

    from protonet.ir.protonet_pb2 import Phase

    # Piped, a table is as wide as its contents; a narrow terminal folds, and cuts nothing off.
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else 1000, highlight=False, soft_wrap=False)
    title = f'"{graph.name}" in phase {Phase.Name(graph.state.phase)}'
    console.print(title, style="bold", markup=False)
    with console.capture() as table:
        console.print(_table(costs))
    for line in table.get().split("\n"):
        click.echo(line.rstrip())
    for line in _totals(graph, costs):
        console.print(line, markup=False)


def _table(costs: NetCosts) -> Table:
    from rich import box
    from rich.table import Table

    from protonet.layers.base import shape_text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in ("layer", "type", "output"):
        table.add_column(name, overflow="fold")
    statistics = any(layer.statistics for layer in costs.layers)
    numbers = ["parameters", *(["statistics"] if statistics else []), "MACs", "memory"]
    for name in [*numbers, "field", "stride"]:
        table.add_column(name, justify="right", overflow="fold")
    from rich.text import Text

    for layer in costs.layers:
        shapes = [shape_text(shape) if shape is not None else "?" for _, shape in layer.tops]
        cells = [layer.name, layer.type, "\n".join(shapes), _parameters(layer)]
        if statistics:
            cells.append(f"{layer.statistics:,}" if layer.statistics else "")
        cells += [
            amount(layer.macs), size(layer.activation_bytes),
            "×".join(map(str, layer.receptive_field or ())),
            "×".join(map(str, layer.stride or ())),
        ]  # fmt: skip
        table.add_row(*map(Text, cells))
    return table


def _parameters(layer: LayerCosts) -> str:
    if layer.parameters is None:
        return "?"
    own = f"{layer.parameters:,}" if layer.parameters else ""
    return f"{own} ({layer.shared:,} shared)".strip() if layer.shared else own


def _totals(graph: Graph, costs: NetCosts) -> list[str]:
    more = "" if costs.complete else "at least "
    parameters = f"{more}{costs.parameters:,}"
    if costs.statistics:
        parameters += f" learnable, and {costs.statistics:,} statistics"
    memory = size(4 * (costs.parameters + costs.statistics)) or "0 B"
    return [
        f"parameters: {parameters} ({memory} in float32)",
        f"MACs:       {more}{costs.macs:,} a forward pass",
        f"memory:     {more}{size(costs.activation_bytes) or '0 B'} for activations, forward",
    ]


def _document(graph: Graph, costs: NetCosts) -> dict[str, Any]:
    from protonet.ir.protonet_pb2 import Phase

    return {
        "version": 1,
        "name": graph.name,
        "phase": Phase.Name(graph.state.phase),
        "complete": costs.complete,
        "parameters": costs.parameters,
        "statistics": costs.statistics,
        "macs": costs.macs,
        "activation_bytes": costs.activation_bytes,
        "inputs": graph.inputs,
        "outputs": graph.outputs,
        "layers": [
            {
                "name": layer.name,
                "type": layer.type,
                "tops": [
                    {"name": name, "shape": None if shape is None else list(shape)}
                    for name, shape in layer.tops
                ],
                "parameters": layer.parameters,
                "statistics": layer.statistics,
                "shared_parameters": layer.shared,
                "macs": layer.macs,
                "activation_bytes": layer.activation_bytes,
                "receptive_field": layer.receptive_field,
                "stride": None if layer.stride is None else [float(s) for s in layer.stride],
            }
            for layer in costs.layers
        ],
    }
