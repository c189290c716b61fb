"""Layers that run as one in whole passes leave what they leave one by one."""

import numpy as np
import pytest

import protonet
from protonet import Net
from protonet.chains import Addition, Normalization, Rectification
from protonet.ir.document import Document
from protonet.ir.protonet_pb2 import TRAIN
from protonet.prototxt import parse_text

INPUT = """
force_backward: true
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 3 dim: 4 dim: 7 dim: 5 } } }
"""
CONVOLUTION = """layer { name: "product" type: "Convolution" bottom: "x" top: "y"
  convolution_param { num_output: 6 kernel_size: 3 weight_filler { type: "xavier" } } }
"""
INNER_PRODUCT = """layer { name: "product" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
"""
NORM = """layer {{ name: "norm" type: "BatchNorm" bottom: "{}" top: "y"
  batch_norm_param {{ moving_average_fraction: 0.9 }} }}
layer {{ name: "scale" type: "Scale" bottom: "y" top: "y" scale_param {{ bias_term: {}
  filler {{ type: "uniform" min: 0.5 max: 2 }} bias_filler {{ type: "gaussian" }} }} }}
"""
RELU = """layer {{ name: "relu" type: "ReLU" bottom: "y" top: "y"
  relu_param {{ negative_slope: {} }} }}
"""
SUM = """layer { name: "product" type: "Convolution" bottom: "x" top: "p"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "sum" type: "Eltwise" bottom: "p" bottom: "x" top: "y" }
"""
READERS = "".join(
    f'layer {{ name: "{name}" type: "Power" bottom: "y" top: "{name}" power_param {{ power: 2 }} }}'
    for name in ("one", "other", "third")
)
NETS = {
    "convolution, relu": (CONVOLUTION + RELU.format(0), Rectification),
    "convolution, leaky relu": (CONVOLUTION + RELU.format(0.25), Rectification),
    "inner product, relu": (INNER_PRODUCT + RELU.format(0), Rectification),
    "convolution, norm, scale, relu": (
        CONVOLUTION + NORM.format("y", "true") + RELU.format(0),
        Normalization,
    ),
    "convolution, norm, scale without bias": (
        CONVOLUTION + NORM.format("y", "false"),
        Normalization,
    ),
    "norm to another blob, scale, relu": (
        NORM.format("x", "true") + RELU.format(0.5),
        Normalization,
    ),
    "sum, relu": (SUM + RELU.format(0), Addition),
    "sum, leaky relu, two readers": (
        SUM + RELU.format(0.25) + READERS[: READERS.index('layer { name: "third"')],
        Addition,
    ),
    "sum, relu, three readers": (SUM + RELU.format(0) + READERS, Addition),
}


def made(text, kind):
    message, source = parse_text(INPUT + text, protonet.NetParameter, "net.prototxt")
    net = Net(Document(message, source, []), TRAIN, seed=1, dtype=np.float64)
    assert [type(chain) for chain in net._forward_pass.chains] == [kind]
    return net


def passed(net, forward=Net.run_forward, backward=Net.run_backward):
    """Returns all that two iterations leave behind."""
    random = np.random.default_rng(0)
    for _ in range(2):
        net.clear_param_diffs()
        net.blobs["x"].data[...] = random.standard_normal(net.blobs["x"].shape)
        forward(net)
        for name in net.outputs:
            net.blobs[name].diff[...] = random.standard_normal(net.blobs[name].shape)
        backward(net)
    blobs = [*net.blobs.values(), *(b for blobs in net.params.values() for b in blobs)]
    return [np.copy(array) for blob in blobs for array in (blob.data, blob.diff)]


def one_by_one(net):
    net.before_forward(lambda _: None)
    net.before_backward(lambda _: None)
    return net


def in_halves(net):
    """Ends at each layer and goes on with the next."""
    for index in range(len(net.layers)):
        net.run_forward(index, index)


def back_in_halves(net):
    for index in reversed(range(len(net.layers))):
        net.run_backward(index, index)


@pytest.mark.parametrize(("forward", "backward"), [
    (Net.run_forward, Net.run_backward), (Net.run_forward, back_in_halves),
    (in_halves, Net.run_backward),
])  # fmt: skip
@pytest.mark.parametrize("name", NETS)
def test_a_chain_leaves_what_its_layers_leave_one_by_one(name, forward, backward):
    wanted = passed(one_by_one(made(*NETS[name])))
    for found, one in zip(passed(made(*NETS[name]), forward, backward), wanted, strict=True):
        np.testing.assert_allclose(found, one, rtol=1e-9, atol=1e-12)


def test_a_part_of_a_chain_can_be_run_anew():
    text, kind = NETS["convolution, norm, scale, relu"]

    def again(net):
        net.run_forward()
        net.params["scale"][0].data[...] *= 2
        net.forward(start="relu")

    nets = one_by_one(made(text, kind)), made(text, kind)
    for found, one in zip(*(passed(net, again) for net in nets), strict=True):
        np.testing.assert_allclose(found, one, rtol=1e-9, atol=1e-12)


def test_a_chain_is_seen_through_where_a_pass_ends_inside_it():
    text, kind = NETS["convolution, norm, scale, relu"]
    net = made(text, kind)
    net.blobs["x"].data[...] = np.random.default_rng(0).standard_normal(net.blobs["x"].shape)
    net.forward()
    net.forward(end="norm")
    np.testing.assert_allclose(net.blobs["y"].data.mean((0, 2, 3)), 0, atol=1e-9)
    np.testing.assert_allclose(net.blobs["y"].data.std((0, 2, 3)), 1, rtol=1e-3)


def test_a_chain_takes_another_shape():
    text, kind = NETS["convolution, norm, scale, relu"]
    net = made(text, kind)
    passed(net)
    net.blobs["x"].reshape(2, 4, 5, 6)
    for found, one in zip(passed(net), passed(one_by_one(net)), strict=True):
        assert found.shape == one.shape
