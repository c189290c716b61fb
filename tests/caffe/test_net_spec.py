"""Nets written in Python."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import numpy as np
import pytest

import protonet.caffe as caffe
from protonet.caffe import layers as L
from protonet.caffe import params as P
from protonet.caffe.net_spec import param_name_dict


def data(batch: int) -> tuple[object, object]:
    shapes = [{"dim": [batch, 1, 28, 28]}, {"dim": [batch, 1, 1, 1]}]
    made: tuple[object, object] = L.DummyData(
        shape=shapes, transform_param={"scale": 1.0 / 255}, ntop=2
    )
    return made


def lenet(batch: int) -> caffe.proto.caffe_pb2.NetParameter:
    n = caffe.NetSpec()
    n.data, n.label = data(batch)
    n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=20, weight_filler={"type": "xavier"})
    n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    n.ip1 = L.InnerProduct(n.pool1, num_output=50, param=[{"lr_mult": 1}, {"lr_mult": 2}])
    n.relu1 = L.ReLU(n.ip1, in_place=True)
    n.ip2 = L.InnerProduct(n.relu1, num_output=10)
    n.loss = L.SoftmaxWithLoss(n.ip2, n.label, loss_weight=3)
    return n.to_proto()


def built(message: object, tmp_path: Path) -> caffe.Net:
    path = tmp_path / "written.prototxt"
    path.write_text(str(message))
    return caffe.Net(str(path), caffe.TEST)


def test_attributes_name_layers_and_tops(tmp_path: Path) -> None:
    message = lenet(2)
    names = ["data", "conv1", "pool1", "ip1", "relu1", "ip2", "loss"]
    assert [layer.name for layer in message.layer] == names
    assert list(message.layer[0].top) == ["data", "label"]
    assert list(message.layer[4].bottom) == list(message.layer[4].top) == ["ip1"]
    conv = message.layer[1].convolution_param
    assert (list(conv.kernel_size), conv.num_output, conv.weight_filler.type) == ([5], 20, "xavier")
    assert message.layer[2].pooling_param.pool == caffe.proto.caffe_pb2.PoolingParameter.MAX
    assert [spec.lr_mult for spec in message.layer[3].param] == [1, 2]
    assert list(message.layer[6].loss_weight) == [3]
    assert message.layer[0].transform_param.scale == pytest.approx(1 / 255)
    net = built(message, tmp_path)
    assert len(net.layers) == 7
    assert set(net.forward()) == {"loss"}


def test_tops_without_names_are_numbered(tmp_path: Path) -> None:
    image, label = data(2)
    first = L.InnerProduct(image, num_output=50)
    relu = L.ReLU(first, in_place=True)
    second = L.InnerProduct(relu, num_output=10)
    message = L.SoftmaxWithLoss(second, label).to_proto()
    assert [layer.name for layer in message.layer] == [
        "DummyData1", "InnerProduct1", "ReLU1", "InnerProduct2", "SoftmaxWithLoss1",
    ]  # fmt: skip
    assert list(message.layer[0].top) == ["DummyData1", "DummyData2"]
    assert len(built(message, tmp_path).layers) == 5
    assert caffe.to_proto(second, label) == caffe.to_proto(second)


def test_layers_without_tops(tmp_path: Path) -> None:
    n = caffe.NetSpec()
    n.data, n.data2 = L.DummyData(shape={"dim": 3}, ntop=2)
    n.silence_data = L.Silence(n.data, ntop=0)
    n.silence_data2 = L.Silence(n.data2, ntop=0)
    message = n.to_proto()
    assert [layer.name for layer in message.layer] == ["data", "silence_data", "silence_data2"]
    assert built(message, tmp_path).forward() == {}


def test_inputs_must_be_tops() -> None:
    tops = data(2)
    with pytest.raises(TypeError) as caught:
        L.Silence(tops, ntop=0)
    assert re.search(
        r"^Silence input 0 is not a Top \(type is <class 'tuple'>\)$", str(caught.value)
    )
    L.Silence(*tops, ntop=0)


def test_settings_of_another_message_are_found(tmp_path: Path) -> None:
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [1, 2, 3, 3]})
    n.up = L.Deconvolution(n.data, num_output=4, kernel_size=2, stride=2)
    n.down = L.Deconvolution(n.up, convolution_param={"num_output": 1, "kernel_size": [1]})
    assert built(n.to_proto(), tmp_path).forward()["down"].shape == (1, 1, 6, 6)
    assert param_name_dict()["InnerProduct"] == "inner_product"


def test_an_unknown_setting_is_told() -> None:
    with pytest.raises(AttributeError, match="ReLU has no parameter 'slope'"):
        L.ReLU(L.Input(shape={"dim": 1}), slope=1).to_proto()


def test_a_spec_is_a_dictionary_of_tops() -> None:
    n = caffe.NetSpec()
    n["a"] = L.Input(shape={"dim": 1})
    n.update({"b": L.ReLU(n.a)})
    assert (n.keys(), n.vals()) == (["a", "b"], [n.a, n.b])
    del n["a"]
    assert not hasattr(n, "a")
    with pytest.raises(KeyError):
        n["a"]
    assert copy.copy(n).b is n.b
    assert [layer.name for layer in n.to_proto().layer] == ["Input1", "b"]


def test_tuples_and_numpy_numbers_are_values() -> None:
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": (np.int64(2), 3)})
    n.power = L.Power(n.data, power=np.float32(2))
    message = n.to_proto()
    assert list(message.layer[0].input_param.shape[0].dim) == [2, 3]
    assert message.layer[1].power_param.power == 2


def test_a_layer_may_be_given_an_empty_message() -> None:
    message = L.Softmax(L.Input(shape={"dim": 1}), softmax_param={}).to_proto()
    assert message.layer[1].HasField("softmax_param")
