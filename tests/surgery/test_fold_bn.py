"""Batch normalisation folded away: the net gives what it gave."""

from __future__ import annotations

import numpy as np
import pytest
from surgery_nets import conv, fc, image, layer, output, trained

from protonet.ir.document import net_document
from protonet.surgery.fold_bn import fold_batch_norm
from protonet.surgery.trained_net import TrainedNet

DATA = image(2, 4, 7, 8)
BEFORE = {
    "convolution": conv("one", "data", 6, 3, "pad: 1 bias_term: false"),
    "convolution in groups": conv("one", "data", 6, 3, "pad: 1 group: 2"),
    "depthwise": conv("one", "data", 4, 3, "group: 4").replace(
        '"Convolution"', '"ConvolutionDepthwise"'
    ),
    "deconvolution in groups": conv("one", "data", 6, 4, "stride: 2 pad: 1 group: 2").replace(
        '"Convolution"', '"Deconvolution"'
    ),
    "fully connected": fc("one", "data", 6),
    "fully connected, transposed": fc("one", "data", 6, "transpose: true bias_term: false"),
}
AFTER = {
    "convolution": conv("two", "{0}", 6, 3, "bias_term: false"),
    "convolution in groups": conv("two", "{0}", 6, 3, "group: 2"),
    "fully connected": fc("two", "{0}", 6),
    "fully connected, transposed": fc("two", "{0}", 6, "transpose: true"),
    "two readers": conv("left", "{0}", 6, 1) + conv("right", "{0}", 6, 1)
    + layer("two", "Eltwise", "left right"),
}  # fmt: skip


def norm(bottom: str, top: str) -> str:
    scale = layer("scale", "Scale", top, "scale_param { bias_term: true }", top=top)
    return layer("bn", "BatchNorm", bottom, top=top) + scale


VALUES = np.random.default_rng(7).normal(size=(2, 4, 7, 8)).astype(np.float32)


def _types(text: str) -> list[str]:
    """What types are left, after it was seen that the net gives the same."""
    net = trained(text)
    folded = fold_batch_norm(net)
    name = folded.view().graph.outputs[0]
    assert name == net.view().graph.outputs[0]
    expected = output(net, VALUES, name)
    np.testing.assert_allclose(
        output(folded, VALUES, name), expected, atol=2e-5 * np.abs(expected).max(), rtol=0
    )
    return [one.type for one in folded.net.layer]


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize("top", ["one", "normed"], ids=["in place", "another top"])
def test_norm_is_folded_into_the_layer_before_it(before: str, top: str) -> None:
    left = _types(DATA + before + norm("one", top) + layer("relu", "ReLU", top, top=top))
    assert len(left) == 3
    assert left[2] == "ReLU"


@pytest.mark.parametrize("after", AFTER.values(), ids=AFTER)
@pytest.mark.parametrize("top", ["data", "normed"], ids=["in place", "another top"])
def test_norm_is_folded_into_the_layers_after_it(after: str, top: str) -> None:
    left = _types(DATA + norm("data", top) + after.replace("{0}", top))
    assert "BatchNorm" not in left
    assert "Scale" not in left


BN_LAYERS = {
    "SegNet's for use": "bn_param { bn_mode: INFERENCE }",
    "PSPNet's": "bn_param { eps: 1e-3 slope_filler { value: 1 } }",
    "PSPNet's, frozen": "bn_param { frozen: true }",
}


@pytest.mark.parametrize("settings", BN_LAYERS.values(), ids=BN_LAYERS)
def test_bn_of_the_forks_is_folded_before_and_after_it(settings: str) -> None:
    def normed(bottom: str) -> str:
        return layer("bn", "BN", bottom, settings, top=bottom)

    relu = layer("relu", "ReLU", "one", top="one")
    assert _types(DATA + BEFORE["convolution"] + normed("one") + relu) == [
        "Input", "Convolution", "ReLU",
    ]  # fmt: skip
    after = AFTER["convolution"].replace("{0}", "data")
    assert _types(DATA + normed("data") + after) == ["Input", "Convolution"]


def test_bn_with_statistics_of_the_batch_stays_and_the_reason_is_told() -> None:
    text = DATA + BEFORE["convolution"] + layer("bn", "BN", "one", "bn_param { bn_mode: LEARN }")
    assert "BN" in _types(text)
    (told, *_) = fold_batch_norm(trained(text)).changes
    assert told.startswith('layer "bn" (BN) stays: it works with the statistics of the batch')


@pytest.mark.parametrize(
    "text",
    [
        norm("data", "data") + conv("two", "data", 6, 3, "pad: 1"),
        conv("one", "data", 4, 3) + layer("relu", "ReLU", "one", top="one")
        + norm("one", "one"),
        conv("one", "data", 4, 1) + layer("bn", "BatchNorm", "one")
        + layer("sum", "Eltwise", "one bn"),
        conv("one", "data", 4, 1)
        + layer("bn", "BatchNorm", "one", "batch_norm_param { use_global_stats: false }", "one"),
        norm("data", "data") + fc("two", "data", 6, "axis: 2"),
        fc("one", "data", 4, "axis: 2") + norm("one", "one"),
    ],
    ids=[
        "before padding", "after ReLU", "others read it", "statistics of the batch",
        "before weights of another axis", "after weights of another axis",
    ],
)  # fmt: skip
def test_norm_that_cannot_be_folded_stays_and_the_reason_is_told(text: str) -> None:
    assert "BatchNorm" in _types(DATA + text)
    told = fold_batch_norm(trained(DATA + text)).changes
    assert any('layer "bn" (BatchNorm) stays: ' in line for line in told)


@pytest.mark.parametrize(("padding", "layers"), [("", 2), ("pad: 1", 3)])
def test_norm_is_folded_where_shapes_follow_from_data_that_are_not_there(
    padding: str, layers: int
) -> None:
    body = layer("bn", "BatchNorm", "data") + conv("two", "bn", 6, 3, padding)
    data = (
        'layer { name: "data" type: "Data" top: "data" data_param { source: "x" batch_size: 1 } }'
    )
    document = net_document(data + body, "net.prototxt")
    net = TrainedNet(document.message, document.source, trained(DATA + body).blobs)
    assert len(fold_batch_norm(net).net.layer) == layers


def test_scale_alone_is_folded_before_padding_if_it_adds_nothing() -> None:
    scale = layer("scale", "Scale", "data", top="data")
    assert _types(DATA + scale + conv("two", "data", 6, 3, "pad: 1")) == ["Input", "Convolution"]


def test_weights_that_layers_share_are_left_alone() -> None:
    shared = 'param { name: "w" } param { name: "b" }'
    text = (
        DATA
        + conv("one", "data", 4, 1).replace(" }\n", shared + " }\n")
        + norm("one", "one")
        + conv("two", "one", 4, 1).replace(" }\n", shared + " }\n")
    )
    assert _types(text).count("BatchNorm") == 1
