"""`protonet caffe time`: how long each layer of a net takes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from protonet.cli.python_layers import allow_python_layers

if TYPE_CHECKING:
    from protonet.net import Net

__all__ = ["caffe_time"]


@click.command(hidden=True)
@click.argument("model")
@click.option("--phase", type=click.Choice(["TRAIN", "TEST"]), default="TRAIN")
@click.option("--iterations", type=click.IntRange(1), default=50)
@click.option("--level", type=int, default=0)
@click.option("--stage", "stages", multiple=True)
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
        clock = _LayerClock(net)
        click.echo("*** Benchmark begins ***")
        click.echo(f"Testing for {iterations} iterations.")
        for number in range(iterations):
            start = time.perf_counter()
            net.run_forward()
            net.run_backward()
            taken = (time.perf_counter() - start) * 1e3
            click.echo(f"Iteration: {number + 1} forward-backward time: {taken:g} ms.")
    finally:
        net.close()
    clock.tell(iterations)
    click.echo("*** Benchmark ends ***")


class _LayerClock:
    """Adds up the time of each layer in each direction, in seconds."""

    def __init__(self, net: Net) -> None:
        self._names = net.layer_names
        self._start = 0.0
        self.forward = [0.0] * len(net.layers)
        self.backward = [0.0] * len(net.layers)
        net.before_forward(self._begin)
        net.after_forward(lambda layer: self._end(self.forward, layer))
        net.before_backward(self._begin)
        net.after_backward(lambda layer: self._end(self.backward, layer))

    def _begin(self, layer: int) -> None:
        self._start = time.perf_counter()

    def _end(self, sums: list[float], layer: int) -> None:
        sums[layer] += time.perf_counter() - self._start

    def tell(self, iterations: int) -> None:
        """Prints the means in Caffe's words."""

        def mean(seconds: float) -> str:
            return f"{seconds * 1e3 / iterations:g} ms."

        click.echo("Average time per layer: ")
        for name, forward, backward in zip(self._names, self.forward, self.backward, strict=True):
            click.echo(f"{name:>10}\tforward: {mean(forward)}")
            click.echo(f"{name:>10}\tbackward: {mean(backward)}")
        forward, backward = sum(self.forward), sum(self.backward)
        click.echo(f"Average Forward pass: {mean(forward)}")
        click.echo(f"Average Backward pass: {mean(backward)}")
        click.echo(f"Average Forward-Backward: {mean(forward + backward)}")
        click.echo(f"Total Time: {(forward + backward) * 1e3:g} ms.")
