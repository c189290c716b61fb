"""`protonet test`: run a net over its test data."""

from __future__ import annotations

import sys

import click

from protonet.cli.bad_records import skip_bad_records
from protonet.cli.cores import threads
from protonet.cli.failure import colored
from protonet.cli.net_rules import level_and_stages
from protonet.cli.python_layers import allow_python_layers

__all__ = ["test"]

_MOST_ELEMENTS = 1000  # of one output, of each batch


@click.command()
@click.argument("net", metavar="NET")
@click.option("--weights", required=True, metavar="FILE[,FILE…]", help="The trained weights.")
@click.option(
    "--iterations",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    metavar="N",
    help="How many batches to run.",
)
@threads
@level_and_stages
@skip_bad_records
@allow_python_layers
def test(
    net: str,
    weights: str,
    iterations: int,
    level: int,
    stages: tuple[str, ...],
) -> None:
    """Run NET in its TEST phase over N batches of its data; print the outputs of each and their
    means, as Caffe's tool does."""
    from protonet.net import Net
    from protonet.plan import FedPlan
    from protonet.prototxt.diagnostics import Severity, render
    from protonet.solvers.checking import split_list
    from protonet.solvers.outputs import OutputMeans, outputs_of
    from protonet.solvers.text_log import element_texts

    tested = Net(net, level=level, stages=stages)
    try:
        warnings = [d for d in tested.diagnostics if d.severity is Severity.WARNING]
        if warnings:
            click.echo(render(warnings, color=colored(sys.stderr)), err=True)
        if tested.inputs:
            fed = ", ".join(tested.inputs)
            click.echo(f"protonet: nothing feeds {fed}: zeros go through the net", err=True)
        for file in split_list(weights):
            tested.copy_from(file)
        click.echo(f"Running for {iterations} iterations.")
        plan = FedPlan(tested)
        means, loss = OutputMeans(), 0.0
        for number in range(iterations):
            made = plan.run()
            loss += plan.loss
            outputs = outputs_of(tested, made)
            means.add(outputs)
            for output in outputs:
                for value in output.values[:_MOST_ELEMENTS].tolist():
                    click.echo(f"Batch {number}, {output.name} = {value:g}")
    finally:
        tested.close()
    click.echo(f"Loss: {loss / iterations:g}")
    for output in means.means():
        for text in element_texts(output):
            click.echo(text)
