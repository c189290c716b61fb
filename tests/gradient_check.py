"""One layer by itself: running it on arrays, and holding its gradients against differences.

net = run_layer('type: "ReLU" bottom: "x" top: "y"', x=array)
check_gradients('type: "ReLU" bottom: "x" top: "y"', x=array)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import protonet
from protonet.ir.document import Document
from protonet.ir.protonet_pb2 import TEST

__all__ = ["check_gradients", "layer_net", "run_layer", "values"]


def values(*shape: int, seed: int = 0, low: float = -1, high: float = 1) -> np.ndarray:
    """Returns numbers of that shape, evenly spread over low … high."""
    return np.random.default_rng(seed).uniform(low, high, shape)


def layer_net(
    layer: str,
    inputs: dict[str, np.ndarray],
    *,
    phase: int = TEST,
    dtype: type = np.float64,
    parameters: Sequence[np.ndarray] = (),
) -> protonet.Net:
    """Returns a net of input blobs and the layer, whose text has no name; gradients are forced."""
    text = "force_backward: true\n"
    for name, array in inputs.items():
        dims = " ".join(f"dim: {size}" for size in array.shape)
        text += f'layer {{ name: "in_{name}" type: "Input" top: "{name}" '
        text += f"input_param {{ shape {{ {dims} }} }} }}\n"
    text += f'layer {{ name: "layer" {layer} }}\n'
    message, source = protonet.prototxt.parse_text(text, protonet.NetParameter, "net.prototxt")
    net = protonet.Net(Document(message, source, []), phase, dtype=dtype, seed=1)
    for name, array in inputs.items():
        net.blobs[name].data[...] = array
    for blob, array in zip(net.params.get("layer", []), parameters, strict=False):
        blob.data[...] = array
    return net


def run_layer(
    layer: str,
    *,
    phase: int = TEST,
    dtype: type = np.float32,
    parameters: Sequence[np.ndarray] = (),
    **inputs: np.ndarray,
) -> protonet.Net:
    """Returns such a net after a forward pass."""
    net = layer_net(layer, inputs, phase=phase, dtype=dtype, parameters=parameters)
    net.forward()
    return net


def check_gradients(
    layer: str,
    *,
    phase: int = TEST,
    of: Sequence[str] | None = None,
    tops: Sequence[str] | None = None,
    parameters: Sequence[np.ndarray] = (),
    step: float = 1e-5,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    **inputs: np.ndarray,
) -> None:
    """Compares the gradients of Σ weight · top, in float64 and with fixed random weights, with
    central differences: those of the inputs `of` (default: all that can have one) and of all
    learned parameters. `tops` restricts the sum to these tops."""
    net = layer_net(layer, inputs, phase=phase, parameters=parameters)
    tested = net.layers[-1]
    drawn = tested.state()
    inputs = {name: np.array(array, np.float64) for name, array in inputs.items()}
    net.forward()
    random = np.random.default_rng(7)
    weights = {
        name: random.uniform(0.5, 1.5, net.blobs[name].shape)
        for name in (net.top_names["layer"] if tops is None else tops)
    }
    if of is None:
        of = [n for i, n in enumerate(inputs) if tested.allow_force_backward(i)]
    net.clear_param_diffs()
    for name in net.top_names["layer"]:
        net.blobs[name].diff[...] = weights.get(name, 0)
    net.backward()
    found = {name: net.blobs[name].diff.copy() for name in of}
    changed = {name: inputs[name] for name in of}
    wanted = net.graph.nodes[-1].parameters or []
    for index, (blob, parameter) in enumerate(zip(tested.blobs, wanted, strict=True)):
        if parameter.learnable:
            found[f"parameter {index}"] = blob.diff.copy()
            changed[f"parameter {index}"] = blob.data

    def objective() -> float:
        for name, array in inputs.items():  # the layer may work in place
            net.blobs[name].data[...] = array
        tested.restore(drawn)  # and draw random numbers
        net.forward()
        return sum(float((weights[name] * net.blobs[name].data).sum()) for name in weights)

    for name, array in changed.items():
        flat, numeric = array.reshape(-1), np.zeros(array.size)
        for i in range(array.size):
            kept = flat[i]
            flat[i] = kept + step
            above = objective()
            flat[i] = kept - step
            below = objective()
            flat[i] = kept
            numeric[i] = (above - below) / (2 * step)
        np.testing.assert_allclose(
            found[name].reshape(-1), numeric, rtol=rtol, atol=atol, err_msg=f"gradient of {name}"
        )
