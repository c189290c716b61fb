"""The steps of the classic lesson in net surgery: change a net's parameters by hand, then cast its
fully connected layers into convolutions and run it over a larger picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import protonet.caffe as caffe

FILTERS = """
name: "convolution" input: "data" input_dim: 1 input_dim: 1 input_dim: 20 input_dim: 20
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {
    num_output: 3 kernel_size: 5 stride: 1
    weight_filler { type: "gaussian" std: 0.01 } bias_filler { type: "constant" value: 0 }
  }
}
"""

TRUNK = """
layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape {{ dim: 1 dim: 3 dim: {size} dim: {size} }} }} }}
layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param {{ num_output: 8 kernel_size: 3 weight_filler {{ type: "msra" }} }} }}
layer {{ name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }}
layer {{ name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }} }}
layer {{ name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
  convolution_param {{ num_output: 12 kernel_size: 3 weight_filler {{ type: "msra" }} }} }}
layer {{ name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
  pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }} }}
"""
FULLY_CONNECTED = """
layer { name: "fc6" type: "InnerProduct" bottom: "pool2" top: "fc6"
  inner_product_param { num_output: 32 weight_filler { type: "xavier" } } }
layer { name: "relu6" type: "ReLU" bottom: "fc6" top: "fc6" }
layer { name: "fc7" type: "InnerProduct" bottom: "fc6" top: "fc7"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc7" top: "prob" }
"""
CONVOLUTIONAL = """
layer { name: "fc6-conv" type: "Convolution" bottom: "pool2" top: "fc6-conv"
  convolution_param { num_output: 32 kernel_size: 4 } }
layer { name: "relu6" type: "ReLU" bottom: "fc6-conv" top: "fc6-conv" }
layer { name: "fc7-conv" type: "Convolution" bottom: "fc6-conv" top: "fc7-conv"
  convolution_param { num_output: 10 kernel_size: 1 } }
layer { name: "prob" type: "Softmax" bottom: "fc7-conv" top: "prob" }
"""


def test_filters_are_designed_by_hand(tmp_path: Path) -> None:
    (tmp_path / "conv.prototxt").write_text(FILTERS)
    net = caffe.Net(str(tmp_path / "conv.prototxt"), caffe.TEST)
    assert list(net.blobs.keys()) == ["data", "conv"]
    assert list(net.params.keys()) == ["conv"]
    picture = np.random.default_rng(0).uniform(size=(60, 80)).astype(np.float32)
    im_input = picture[np.newaxis, np.newaxis, :, :]
    net.blobs["data"].reshape(*im_input.shape)
    net.blobs["data"].data[...] = im_input
    net.forward()
    assert net.blobs["conv"].data.shape == (1, 3, 56, 76)
    before = net.blobs["conv"].data[0, 0].copy()
    net.params["conv"][1].data[0] = 1.0
    net.forward()
    np.testing.assert_allclose(net.blobs["conv"].data[0, 0], before + 1, rtol=1e-5)

    y, x = np.mgrid[-2:3, -2:3]
    blur = np.exp(-(x**2 + y**2) / 2)
    net.params["conv"][0].data[0] = blur / blur.sum()
    net.params["conv"][0].data[1:] = 0
    net.params["conv"][0].data[1, 0, 1:-1, 1:-1] = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
    net.params["conv"][0].data[2, 0, 1:-1, 1:-1] = [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]
    net.params["conv"][1].data[:] = 0
    net.blobs["data"].data[...] = np.arange(80)  # a slope along the rows
    net.forward()
    blurred, across, down = net.blobs["conv"].data[0]
    np.testing.assert_allclose(blurred[0], np.arange(2, 78), rtol=1e-4)
    np.testing.assert_allclose(across, 8, rtol=1e-4)
    np.testing.assert_allclose(down, 0, atol=1e-3)


@pytest.mark.filterwarnings("ignore:Net.file, weights, phase:DeprecationWarning")
def test_a_classifier_is_cast_into_convolutions(tmp_path: Path) -> None:
    model, weights = str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel")
    Path(model).write_text(TRUNK.format(size=22) + FULLY_CONNECTED)
    cast = str(tmp_path / "net_full_conv.prototxt")
    Path(cast).write_text(TRUNK.format(size=38) + CONVOLUTIONAL)
    caffe.Net(model, caffe.TEST).save(weights)

    net = caffe.Net(model, weights, caffe.TEST)
    params = ["fc6", "fc7"]
    fc_params = {pr: (net.params[pr][0].data, net.params[pr][1].data) for pr in params}
    assert [fc_params[pr][0].shape for pr in params] == [(32, 192), (10, 32)]

    net_full_conv = caffe.Net(cast, weights, caffe.TEST)  # takes the layers of the same name
    params_full_conv = ["fc6-conv", "fc7-conv"]
    conv_params = {
        pr: (net_full_conv.params[pr][0].data, net_full_conv.params[pr][1].data)
        for pr in params_full_conv
    }
    assert [conv_params[pr][0].shape for pr in params_full_conv] == [
        (32, 12, 4, 4), (10, 32, 1, 1),
    ]  # fmt: skip
    for pr, pr_conv in zip(params, params_full_conv, strict=True):
        conv_params[pr_conv][0].flat = fc_params[pr][0].flat
        conv_params[pr_conv][1][...] = fc_params[pr][1]
    saved = str(tmp_path / "net_full_conv.caffemodel")
    net_full_conv.save(saved)

    picture = np.random.default_rng(0).normal(size=(1, 3, 38, 38)).astype(np.float32)
    slid = caffe.Net(cast, saved, caffe.TEST).forward_all(data=picture)["prob"]
    assert slid.shape == (1, 10, 5, 5)
    for i in range(5):
        for j in range(5):
            crop = picture[:, :, 4 * i : 4 * i + 22, 4 * j : 4 * j + 22]
            np.testing.assert_allclose(
                slid[0, :, i, j], net.forward(data=crop)["prob"][0], rtol=1e-5, atol=1e-6
            )
    net_full_conv.blobs["data"].reshape(1, 3, 54, 70)
    assert net_full_conv.forward()["prob"].shape == (1, 10, 9, 13)
