"""`protonet caffe time`: how long each layer of a net takes."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from protonet.cli.net_rules import level_and_stages
from protonet.cli.python_layers import allow_python_layers

__all__ = ["caffe_time"]

Times = tuple[dict[int, float], dict[int, float]]
"""Seconds of each layer forward and backward, by its index."""


@click.command(hidden=True)
@click.argument("model")
@click.option("--phase", type=click.Choice(["TRAIN", "TEST"]), default="TRAIN")
@click.option("--iterations", type=click.IntRange(1), default=50)
@level_and_stages
@allow_python_layers
def caffe_time(
    model: str, phase: str, iterations: int, level: int, stages: tuple[str, ...]
) -> None:
    """Time the layers of MODEL over N passes forward and backward, as Caffe's program does."""
    from protonet.ir.protonet_pb2 import Phase
    from protonet.net import Net

    net = Net(model, Phase.Value(phase), level=level, stages=stages)
    try:
        click.echo("Performing Forward")
        click.echo(f"Initial loss: {net.run_forward():g}")
        click.echo("Performing Backward")
        net.run_backward()
        click.echo("*** Benchmark begins ***")
        click.echo(f"Testing for {iterations} iterations.")
        times: Times = ({}, {})
        for number in range(iterations):
            start = time.perf_counter()
            found = net.run_timed()
            taken = (time.perf_counter() - start) * 1e3
            click.echo(f"Iteration: {number + 1} forward-backward time: {taken:g} ms.")
            for sums, seconds in zip(times, found, strict=True):
                for layer, value in seconds.items():
                    sums[layer] = sums.get(layer, 0.0) + value
    finally:
        net.close()
    _tell(net.layer_names, times, iterations)
    click.echo("*** Benchmark ends ***")


def _tell(names: Sequence[str], times: Times, iterations: int) -> None:
    """Prints the means in Caffe's words."""

    def mean(seconds: float) -> str:
        return f"{seconds * 1e3 / iterations:g} ms."

    click.echo("Average time per layer: ")
    for index, name in enumerate(names):
        for direction, sums in zip(("forward", "backward"), times, strict=True):
            click.echo(f"{name:>10}\t{direction}: {mean(sums.get(index, 0.0))}")
    forward, backward = (sum(sums.values()) for sums in times)
    click.echo(f"Average Forward pass: {mean(forward)}")
    click.echo(f"Average Backward pass: {mean(backward)}")
    click.echo(f"Average Forward-Backward: {mean(forward + backward)}")
    click.echo(f"Total Time: {(forward + backward) * 1e3:g} ms.")
