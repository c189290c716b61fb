"""The values of a net's outputs, element by element, as solvers and tests report them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .events import OutputValue

if TYPE_CHECKING:
    from protonet.net import Net

__all__ = ["images_per_pass", "mean_outputs", "output_values"]


def output_values(net: Net) -> list[OutputValue]:
    """Returns all elements of all output blobs, in the order of the blobs' names."""
    weights = net.blob_loss_weights
    return [
        OutputValue(name, value, weights.get(name, 0.0))
        for name in net.outputs
        for value in net.blobs[name].data.ravel().tolist()
    ]


def mean_outputs(batches: list[list[OutputValue]]) -> list[OutputValue]:
    """Returns the mean of each element over batches."""
    if not batches:
        return []
    means = []
    for position, first in enumerate(batches[0]):
        values = [batch[position].value for batch in batches if position < len(batch)]
        means.append(OutputValue(first.name, sum(values) / len(values), first.loss_weight))
    return means


def images_per_pass(net: Net) -> int:
    """Returns the batch size: the first axis of what the net's inputs and data layers make."""
    sizes = [
        net.blobs[top].shape[0]
        for layer in net.layers
        if not layer.bottom_count
        for top in layer.param.top
        if net.blobs[top].shape
    ]
    return max(sizes, default=0)
