"""Small nets as text with random weights, for the tests of surgery."""

from __future__ import annotations

from typing import Any

import numpy as np

from protonet.ir.document import net_document
from protonet.surgery.running import run, running_net
from protonet.surgery.trained_net import TrainedNet

__all__ = ["conv", "fc", "image", "layer", "output", "pool", "trained"]


# Layer types and their blobs that hold variances, and what they are divided by.
_POSITIVE = {("BatchNorm", 1), ("BatchNorm", 2), ("BN", 3)}


def image(*dims: int, name: str = "data") -> str:
    """An Input layer on one line."""
    sizes = " ".join(f"dim: {size}" for size in dims)
    return (
        f'layer {{ name: "{name}" type: "Input" top: "{name}" '
        f"input_param {{ shape {{ {sizes} }} }} }}\n"
    )


def layer(name: str, type: str, bottom: str, settings: str = "", top: str = "") -> str:
    """A layer on one line; `bottom` may be several names, set apart by blanks."""
    bottoms = " ".join(f'bottom: "{blob}"' for blob in bottom.split())
    tops = " ".join(f'top: "{blob}"' for blob in (top or name).split())
    return f'layer {{ name: "{name}" type: "{type}" {bottoms} {tops} {settings} }}\n'


def conv(name: str, bottom: str, outputs: int, kernel: int, more: str = "") -> str:
    settings = f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} {more} }}"
    return layer(name, "Convolution", bottom, settings)


def pool(name: str, bottom: str, kernel: int, stride: int, more: str = "") -> str:
    settings = f"pooling_param {{ kernel_size: {kernel} stride: {stride} {more} }}"
    return layer(name, "Pooling", bottom, settings)


def fc(name: str, bottom: str, outputs: int, more: str = "", rest: str = "") -> str:
    settings = f"inner_product_param {{ num_output: {outputs} {more} }} {rest}"
    return layer(name, "InnerProduct", bottom, settings)


def trained(text: str, seed: int = 0) -> TrainedNet:
    """The net with random weights in all its layers, statistics and variances positive."""
    document = net_document(text, "net.prototxt")
    found = TrainedNet(document.message, document.source)
    random = np.random.default_rng(seed)
    net = running_net(found)
    first: dict[int, np.ndarray] = {}
    for index, one in enumerate(net.layers):
        blobs = []
        for number, blob in enumerate(one.blobs):
            values = random.normal(size=blob.shape) / np.sqrt(max(1, blob.count // blob.num))
            if (one.type, number) in _POSITIVE:
                values = random.uniform(0.5, 2, size=blob.shape)
            address = blob.data.ctypes.data
            blobs.append(first.setdefault(address, values.astype(np.float32)).reshape(blob.shape))
        if blobs:
            found.blobs[net.layer_names[index]] = blobs
    return found


def output(net: TrainedNet, values: np.ndarray, name: str, **more: Any) -> np.ndarray:
    """What the blob `name` is for these values of the image input."""
    running = running_net(net, **more)
    run(running, running.inputs[0], values)
    return running.blobs[name].data.copy()
