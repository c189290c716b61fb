"""Nets looked into and taken apart as people's pycaffe scripts do it again and again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import protonet.caffe as caffe
from protonet.caffe import layers as L
from protonet.caffe import params as P
from protonet.caffe.proto import caffe_pb2

XAVIER = {"type": "xavier"}

pytestmark = pytest.mark.usefixtures("script_folder")


def written(name: str, net: object) -> str:
    Path(name).write_text(str(net))
    return name


def classifier(size: int = 20) -> caffe_pb2.NetParameter:
    """A net for deployment whose InnerProduct fits one size of picture only."""
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [1, 3, size, size]})
    n.conv1 = L.Convolution(n.data, kernel_size=3, stride=2, num_output=4, weight_filler=XAVIER)
    n.relu1 = L.ReLU(n.conv1, in_place=True)
    n.norm1 = L.LRN(n.conv1, local_size=3, alpha=1e-4, beta=0.75)
    n.pool1 = L.Pooling(n.norm1, kernel_size=3, stride=2, pool=P.Pooling.MAX)
    n.fc = L.InnerProduct(n.pool1, num_output=7, weight_filler=XAVIER)
    n.prob = L.Softmax(n.fc)
    made = n.to_proto()
    made.force_backward = True
    return made


def test_a_dream_climbs_in_pictures_of_every_size() -> None:
    net = caffe.Net(written("deploy.prototxt", classifier()), caffe.TEST)
    source = net.blobs["data"]
    random = np.random.default_rng(0)

    def step(end: str, rate: float = 0.3, jitter: int = 2) -> float:
        sideways, down = random.integers(-jitter, jitter + 1, 2)
        source.data[0] = np.roll(np.roll(source.data[0], sideways, -1), down, -2)
        net.forward(end=end)
        target = net.blobs[end]
        target.diff[:] = target.data  # the slope of half their squares
        net.backward(start=end)
        slope = source.diff[0]
        source.data[:] += rate / np.abs(slope).mean() * slope
        source.data[0] = np.roll(np.roll(source.data[0], -sideways, -1), -down, -2)
        return float((target.data**2).sum())

    for height, width in ((20, 20), (26, 33), (40, 51), (20, 20)):
        source.reshape(1, 3, height, width)
        source.data[0] = random.uniform(-1, 1, (3, height, width))
        climbed = [step("pool1") for _ in range(8)]
        assert climbed[-1] > 10 * climbed[0]
    assert net.forward()["prob"].shape == (1, 7)  # as a whole it runs in its own size


def test_the_slope_of_a_class_shows_what_it_hangs_on() -> None:
    net = caffe.Net(written("deploy.prototxt", classifier()), caffe.TEST)
    picture = np.random.default_rng(0).normal(size=(1, 3, 20, 20))
    net.forward(data=picture)
    slope = net.backward(**{net.outputs[0]: np.eye(7)[[3]]})["data"].copy()
    net.blobs["prob"].diff[...] = 0
    net.blobs["prob"].diff[0, 3] = 1
    np.testing.assert_array_equal(net.backward()["data"], slope)
    assert np.abs(slope).max(axis=1).shape == (1, 20, 20)
    nearer = net.forward(data=picture + 1e-2 * slope / np.abs(slope).max())["prob"][0, 3]
    assert nearer > net.forward(data=picture)["prob"][0, 3]


def test_features_are_taken_from_many_pictures_in_batches() -> None:
    net = caffe.Net(written("deploy.prototxt", classifier()), caffe.TEST)
    transformer = caffe.io.Transformer({"data": net.blobs["data"].data.shape})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_mean("data", np.array([10.0, 20.0, 30.0]))
    transformer.set_raw_scale("data", 255)
    transformer.set_channel_swap("data", (2, 1, 0))
    pictures = np.random.default_rng(0).uniform(0, 1, (9, 24, 31, 3)).astype(np.float32)
    net.blobs["data"].reshape(4, 3, 20, 20)
    features = np.zeros((9, net.params["fc"][0].data.shape[1]), np.float32)
    for first in range(0, 9, 4):
        batch = pictures[first : first + 4]
        net.blobs["data"].reshape(len(batch), 3, 20, 20)
        for index, picture in enumerate(batch):
            net.blobs["data"].data[index] = transformer.preprocess("data", picture)
        net.forward(end="pool1")
        features[first : first + len(batch)] = net.blobs["pool1"].data.reshape(len(batch), -1)
    net.blobs["data"].reshape(1, 3, 20, 20)
    alone = net.forward(blobs=["pool1"], data=transformer.preprocess("data", pictures[8])[None])
    np.testing.assert_array_equal(features[8], alone["pool1"].ravel())


def test_batch_norm_is_folded_by_hand_through_text_and_message() -> None:
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [2, 3, 8, 8]})
    n.conv = L.Convolution(n.data, kernel_size=3, num_output=5, weight_filler=XAVIER)
    n.bn = L.BatchNorm(n.conv, in_place=True, use_global_stats=True)
    n.scale = L.Scale(n.bn, in_place=True, bias_term=True)
    n.relu = L.ReLU(n.scale, in_place=True)
    whole = caffe.Net(written("whole.prototxt", n.to_proto()), caffe.TEST)
    random = np.random.default_rng(0)
    for name, index, values in (
        ("bn", 0, random.normal(size=5)), ("bn", 1, random.uniform(1, 2, 5)), ("bn", 2, [2]),
        ("scale", 0, random.uniform(1, 2, 5)), ("scale", 1, random.normal(size=5)),
    ):  # fmt: skip
        whole.params[name][index].data[...] = values

    net = caffe_pb2.NetParameter()
    text_format.Merge(Path("whole.prototxt").read_text(), net)
    for index in reversed(range(len(net.layer))):
        if net.layer[index].type in ("BatchNorm", "Scale"):
            del net.layer[index]
    merged = caffe.Net(written("merged.prototxt", text_format.MessageToString(net)), caffe.TEST)
    mean, variance, times = (blob.data for blob in whole.params["bn"])
    factor, shift = (blob.data for blob in whole.params["scale"])
    weight, bias = (blob.data for blob in whole.params["conv"])
    share = factor / np.sqrt(variance / times + 1e-5)
    merged.params["conv"][0].data[...] = weight * share.reshape(5, 1, 1, 1)
    merged.params["conv"][1].data[...] = (bias - mean / times) * share + shift
    pictures = random.normal(size=(2, 3, 8, 8))
    np.testing.assert_allclose(
        merged.forward(data=pictures)["conv"], whole.forward(data=pictures)["conv"],
        rtol=1e-4, atol=1e-5,
    )  # fmt: skip

    merged.save("merged.caffemodel")
    stored = caffe_pb2.NetParameter.FromString(Path("merged.caffemodel").read_bytes())
    (conv,) = (layer for layer in stored.layer if layer.name == "conv")
    values = np.array(conv.blobs[0].data).reshape(*conv.blobs[0].shape.dim)
    np.testing.assert_array_equal(values.astype(np.float32), merged.params["conv"][0].data)
    conv.blobs[0].ClearField("data")
    conv.blobs[0].data.extend((2 * values).ravel().tolist())
    Path("doubled.caffemodel").write_bytes(stored.SerializeToString())
    doubled = caffe.Net("merged.prototxt", caffe.TEST, weights="doubled.caffemodel")
    np.testing.assert_array_equal(doubled.params["conv"][0].data, 2 * merged.params["conv"][0].data)
