"""debug_info: the mean magnitude of everything, layer by layer, in Caffe's words.

Layers run one by one then, so that what an in-place layer overwrites is seen before it does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from protonet.net import Net

__all__ = ["backward", "forward", "tell_update"]

Say = Callable[[str], None]


def forward(net: Net, say: Say) -> float:
    """Runs the net forward and tells of every top and parameter; returns the loss."""
    loss = 0.0
    for index, layer in enumerate(net.layers):
        loss = net.run_forward(index, index)
        for top in net.graph.nodes[index].tops:
            name = net.graph.blob_names[top]
            value = _mean(net.blobs[name].data)
            say(f"    [Forward] Layer {layer.name}, top blob {name} data: {value:g}")
        for number, blob in enumerate(layer.blobs):
            say(
                f"    [Forward] Layer {layer.name}, param blob {_title(net, index, number)} "
                f"data: {_mean(blob.data):g}"
            )
    return loss


def backward(net: Net, say: Say) -> None:
    """Runs the net backward and tells of every gradient that is computed."""
    for index in reversed(range(len(net.layers))):
        layer = net.layers[index]
        net.run_backward(index, index)
        if not net.runs_backward[index]:
            continue
        for bottom, name in enumerate(net.graph.nodes[index].param.bottom):
            if layer.propagate_down[bottom]:
                value = _mean(net.blobs[name].diff)
                say(f"    [Backward] Layer {layer.name}, bottom blob {name} diff: {value:g}")
        for number, blob in enumerate(layer.blobs):
            if layer.param_propagate_down[number]:
                say(
                    f"    [Backward] Layer {layer.name}, param blob {_title(net, index, number)} "
                    f"diff: {_mean(blob.diff):g}"
                )
    data = [blob.data.astype(np.float64) for blob in net.learnable_params]
    diff = [blob.diff.astype(np.float64) for blob in net.learnable_params]
    l1 = [sum(float(np.abs(array).sum()) for array in arrays) for arrays in (data, diff)]
    l2 = [sum(float((array**2).sum()) for array in arrays) ** 0.5 for arrays in (data, diff)]
    say(
        f"    [Backward] All net params (data, diff): L1 norm = ({l1[0]:g}, {l1[1]:g}); "
        f"L2 norm = ({l2[0]:g}, {l2[1]:g})"
    )


def tell_update(net: Net, say: Say) -> None:
    """Tells of every parameter after an update, and of the change that is in its diff."""
    for learnable, blob in zip(net.graph.learnable, net.learnable_params, strict=True):
        index, number = learnable.uses[0]
        say(
            f"    [Update] Layer {net.layers[index].name}, param {_title(net, index, number)} "
            f"data: {_mean(blob.data):g}; diff: {_mean(blob.diff):g}"
        )


def _mean(array: np.ndarray) -> float:
    return float(np.abs(array, dtype=np.float64).mean()) if array.size else 0.0


def _title(net: Net, index: int, number: int) -> str:
    """A parameter goes by its name, or by its number if it has none."""
    specs = net.layers[index].param.param
    name = specs[number].name if number < len(specs) else ""
    return name or str(number)
