"""Whatever a script reshapes, fills and runs in between, a net computes what a fresh one does."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import protonet.caffe as caffe

NET = """
force_backward: true
layer {
  name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 12 dim: 10 } }
}
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } }
}
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer {
  name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 }
}
layer { name: "cut" type: "Slice" bottom: "pool" top: "a" top: "b" slice_param { axis: 1 } }
layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }
layer { name: "all" type: "Concat" bottom: "sum" bottom: "b" top: "all" }
layer { name: "flat" type: "Flatten" bottom: "all" top: "flat" }
layer {
  name: "row" type: "Reshape" bottom: "all" top: "row" reshape_param { shape { dim: 0 dim: -1 } }
}
layer {
  name: "up" type: "Deconvolution" bottom: "all" top: "up"
  convolution_param { num_output: 2 kernel_size: 4 stride: 2 weight_filler { type: "bilinear" } }
}
layer { name: "part" type: "Crop" bottom: "up" bottom: "data" top: "part" }
layer {
  name: "fc" type: "InnerProduct" bottom: "flat" top: "fc"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } }
}
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""

Values = dict[str, np.ndarray]


def passes(net: caffe.Net, pictures: np.ndarray) -> Values:
    """Returns all values and gradients of a pass over pictures of the net's first size."""
    net.blobs["data"].reshape(*pictures.shape)
    net.forward(data=pictures)
    net.clear_param_diffs()
    for blob in net.blobs.values():
        blob.diff[...] = 0
    for name in ("prob", "part", "row"):
        net.blobs[name].diff[...] = np.linspace(-1, 1, net.blobs[name].count).reshape(
            net.blobs[name].shape
        )
    net.backward()
    found = {name: blob.data.copy() for name, blob in net.blobs.items()}
    found |= {f"d{name}": blob.diff.copy() for name, blob in net.blobs.items()}
    for name, blobs in net.params.items():
        found |= {f"d{name}{i}": blob.diff.copy() for i, blob in enumerate(blobs)}
    return found


def tried(draw: random.Random, net: caffe.Net) -> Callable[[], object]:
    """Returns something that a script might do next; some of it cannot be."""
    blob, count = draw.choice(net._blobs), len(net.layers)
    shape = list(blob.shape)
    shape[draw.randrange(len(shape))] = draw.choice([0, 1, 2, 5, 9])
    size = (draw.choice([1, 2, 7]), 3, draw.choice([6, 12, 20]), draw.choice([5, 10, 30]))
    end, start = draw.choice(["pool", "all", "up"]), draw.randrange(count)

    def look_at_a_part() -> None:
        net.blobs["data"].reshape(*size)
        net.forward(end=end)
        net.blobs[end].diff[...] = net.blobs[end].data
        net.backward(start=end)

    def go_through() -> None:
        net.blobs["data"].reshape(*size)
        net.forward()

    return draw.choice(
        [
            look_at_a_part, go_through, net.reshape, net.forward, net.backward,
            lambda: blob.reshape(*shape),
            lambda: blob.data.fill(1),
            lambda: blob.diff.fill(1),
            lambda: net._forward(start, draw.randrange(start, count)),
            lambda: net._backward(start, draw.randrange(start + 1)),
        ]
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_what_happened_before_leaves_no_trace(tmp_path: Path, seed: int) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    net, fresh = (caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST) for _ in range(2))
    fresh.share_with(net)
    draw = random.Random(seed)
    refused = 0
    for _ in range(30):
        try:
            tried(draw, net)()
        except caffe.CaffeError:
            refused += 1
    assert 0 < refused < 30
    pictures = np.random.default_rng(seed).normal(size=(2, 3, 12, 10))
    wanted = passes(fresh, pictures)
    for name, values in passes(net, pictures).items():
        np.testing.assert_array_equal(values, wanted[name], err_msg=name)
