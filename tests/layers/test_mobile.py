"""Layers of nets for small machines: depthwise convolution, hard activations, shuffling, Axpy."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import check_gradients, layer_net, run_layer, values

import protonet
from protonet.ir.protonet_pb2 import TRAIN

PLAIN = 'bottom: "x" top: "y"'
IN_PLACE = 'bottom: "x" top: "x"'
FILTER = 'weight_filler { type: "gaussian" std: 1 }'


def depthwise(kind: str, fields: str) -> str:
    return f'type: "{kind}" {PLAIN} convolution_param {{ {fields} {FILTER} }}'


@pytest.mark.parametrize("kind", ["DepthwiseConvolution", "ConvolutionDepthwise"])
@pytest.mark.parametrize("fields", ["pad: 1", "stride: 2 bias_term: false", "dilation: 2 pad: 2"])
def test_a_depthwise_convolution_is_one_of_as_many_groups_as_channels(
    kind: str, fields: str
) -> None:
    x = values(2, 6, 7, 8)
    fields = f"num_output: 6 kernel_size: 3 {fields}"
    net = layer_net(depthwise(kind, fields), {"x": x})
    plain = layer_net(depthwise("Convolution", fields + " group: 6"), {"x": x})
    for here, there in zip(net.params["layer"], plain.params["layer"], strict=True):
        there.data[...] = here.data
    assert net.params["layer"][0].shape == (6, 1, 3, 3)
    np.testing.assert_array_equal(net.forward()["y"], plain.forward()["y"])
    check_gradients(depthwise(kind, fields), x=values(1, 6, 5, 5), phase=TRAIN)


def test_depthwise_convolution_may_have_several_filters_a_channel() -> None:
    layer = depthwise("DepthwiseConvolution", "num_output: 6 kernel_size: 3")
    net = layer_net(layer, {"x": values(1, 3, 5, 5)})
    assert net.params["layer"][0].shape == (6, 1, 3, 3)
    check_gradients(layer, x=values(1, 3, 4, 4))


def test_a_written_group_counts_for_depthwise_convolution_only() -> None:
    fields = "num_output: 4 kernel_size: 1 group: 2"
    plain = layer_net(depthwise("DepthwiseConvolution", fields), {"x": values(1, 4, 2, 2)})
    assert plain.params["layer"][0].shape == (4, 2, 1, 1)
    own = layer_net(depthwise("ConvolutionDepthwise", fields), {"x": values(1, 4, 2, 2)})
    assert own.params["layer"][0].shape == (4, 1, 1, 1)


def between_kinks(*shape: int) -> np.ndarray:
    """Numbers that keep off the kinks of all activations here."""
    x = values(*shape, low=-8, high=8)
    for kink in (-3, -2.5, 0, 0.5, 2.5, 3, 6):
        x = np.where(abs(x - kink) < 0.01, x + 0.02, x)
    return x


def relu6(x: np.ndarray, slope: float = 0, limit: float = 6) -> np.ndarray:
    return np.minimum(np.where(x > 0, x, slope * x), limit)


ACTIVATIONS = {
    "ReLU6": ("", relu6),
    "ReLU6 limited": (
        "relu6_param { threshold: 2.5 negative_slope: 0.25 }",
        lambda x: relu6(x, 0.25, 2.5),
    ),
    "ReLU6 falling": ("relu6_param { negative_slope: -0.5 }", lambda x: relu6(x, -0.5)),
    "HardSigmoid": ("", lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
    "HardSigmoid steep": (
        "hardsigmoid_param { alpha: 1 beta: 0.5 }",
        lambda x: np.clip(x + 0.5, 0, 1),
    ),
    "HardSwish": ("", lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (7,)])
def test_hard_activations_are_their_formulas(name: str, shape: tuple[int, ...]) -> None:
    fields, formula = ACTIVATIONS[name]
    x = between_kinks(*shape)
    for blobs in (PLAIN, IN_PLACE):
        layer = f'type: "{name.split()[0]}" {blobs} {fields}'
        net = run_layer(layer, x=x)
        np.testing.assert_allclose(net.blobs[blobs[-2]].data, formula(x), rtol=1e-5, atol=1e-6)
        check_gradients(layer, x=x)


@pytest.mark.parametrize("factors", [(2, 3), (2, 3, 1, 1)])
@pytest.mark.parametrize("size", [(4, 5), ()])
def test_axpy_scales_channels_and_adds(factors: tuple[int, ...], size: tuple[int, ...]) -> None:
    layer = 'type: "Axpy" bottom: "a" bottom: "x" bottom: "y" top: "z"'
    inputs = {
        "a": values(*factors), "x": values(2, 3, *size, seed=1), "y": values(2, 3, *size, seed=2),
    }  # fmt: skip
    a = inputs["a"].reshape(2, 3, *(1,) * len(size))
    z = run_layer(layer, **inputs).blobs["z"].data
    np.testing.assert_allclose(z, a * inputs["x"] + inputs["y"], rtol=1e-5, atol=1e-6)
    check_gradients(layer, **inputs)


@pytest.mark.parametrize(("group", "shape"), [(3, (2, 6, 4, 5)), (2, (3, 8)), (1, (1, 4, 2))])
def test_channels_are_taken_from_each_group_in_turn(group: int, shape: tuple[int, ...]) -> None:
    layer = f'type: "ShuffleChannel" {PLAIN} shuffle_channel_param {{ group: {group} }}'
    x = values(*shape).astype(np.float32)
    want = x.reshape(shape[0], group, -1, *shape[2:]).swapaxes(1, 2).reshape(shape)
    np.testing.assert_array_equal(run_layer(layer, x=x).blobs["y"].data, want)
    check_gradients(layer, x=x)


@pytest.mark.parametrize(
    ("factor", "shape"), [(2, (2, 8, 3, 4)), (3, (1, 9, 2, 2)), (2, (4, 2, 3))]
)
def test_channels_become_blocks_of_pixels(factor: int, shape: tuple[int, ...]) -> None:
    layer = f'type: "PixelShuffle" {PLAIN} pixelshuffle_param {{ upscale_factor: {factor} }}'
    x = values(*shape).astype(np.float32)
    y = run_layer(layer, x=x).blobs["y"].data
    for i in range(factor):
        for j in range(factor):
            here = y[..., i::factor, j::factor]
            np.testing.assert_array_equal(here, x[..., i * factor + j :: factor**2, :, :])
    check_gradients(layer, x=x)


@pytest.mark.parametrize("order", [(2, 0, 1), (0, 1, 2), (1, 0, 2)])
def test_transpose_orders_axes(order: tuple[int, ...]) -> None:
    dims = " ".join(f"dim: {axis}" for axis in order)
    layer = f'type: "Transpose" {PLAIN} transpose_param {{ {dims} }}'
    x = values(2, 3, 4).astype(np.float32)
    np.testing.assert_array_equal(run_layer(layer, x=x).blobs["y"].data, x.transpose(order))
    check_gradients(layer, x=x)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_reverse_turns_an_axis_round(axis: int) -> None:
    layer = f'type: "Reverse" {PLAIN} reverse_param {{ axis: {axis} }}'
    x = values(2, 3, 4).astype(np.float32)
    np.testing.assert_array_equal(run_layer(layer, x=x).blobs["y"].data, np.flip(x, axis))
    check_gradients(layer, x=x)


PADS = "pad_u: 1 pad_d: 2 pad_l: 3 pad_r: 0"
WIDTHS = ((0, 0), (0, 0), (1, 2), (3, 0))


@pytest.mark.parametrize(
    ("fields", "mode"),
    [
        ("pad_value: 1.5", {"mode": "constant", "constant_values": 1.5}),
        ("pad_type: REPLICATE", {"mode": "edge"}),
        ("pad_type: REFLECT", {"mode": "reflect"}),
    ],
)
def test_pad_adds_rows_and_columns(fields: str, mode: dict[str, object]) -> None:
    layer = f'type: "Pad" {PLAIN} pad_param {{ {PADS} {fields} }}'
    x = values(2, 3, 4, 5).astype(np.float32)
    y = run_layer(layer, x=x).blobs["y"].data
    np.testing.assert_array_equal(y, np.pad(x, WIDTHS, **mode))  # type: ignore[call-overload]
    check_gradients(layer, x=values(1, 2, 4, 5))


def test_negative_pads_cut_off() -> None:
    layer = f'type: "Pad" {PLAIN} pad_param {{ pad_u: -1 pad_d: 2 pad_l: -2 pad_r: -1 }}'
    x = values(1, 1, 4, 6).astype(np.float32)
    y = run_layer(layer, x=x).blobs["y"].data
    np.testing.assert_array_equal(y, np.pad(x[:, :, 1:, 2:-1], ((0, 0), (0, 0), (0, 2), (0, 0))))
    check_gradients(layer, x=x)


@pytest.mark.parametrize(("dim", "shape"), [(0, (1, 2, 3)), (1, (2, 1, 3)), (-1, (2, 3, 1))])
def test_unsqueeze_adds_an_axis(dim: int, shape: tuple[int, ...]) -> None:
    layer = f'type: "Unsqueeze" {PLAIN} unsqueeze_param {{ dim: {dim} }}'
    x = values(2, 3).astype(np.float32)
    np.testing.assert_array_equal(run_layer(layer, x=x).blobs["y"].data, x.reshape(shape))
    check_gradients(layer, x=x)


AXPY = 'type: "Axpy" bottom: "a" bottom: "x" bottom: "y" top: "z"'


@pytest.mark.parametrize(
    ("layer", "shapes", "text"),
    [
        (
            depthwise("DepthwiseConvolution", "num_output: 5 kernel_size: 1"),
            {"x": (1, 3, 4, 4)},
            "not a multiple of the 3 channels",
        ),
        (
            depthwise("ConvolutionDepthwise", "num_output: 6 kernel_size: 1"),
            {"x": (1, 3, 4, 4)},
            "one filter for each of the 3 channels",
        ),
        (f'type: "ReLU6" {PLAIN} relu6_param {{ threshold: 0 }}', {"x": (2,)}, "above 0"),
        (AXPY, {"a": (2, 3), "x": (2, 3, 4), "y": (2, 3)}, "must have one shape"),
        (AXPY, {"a": (2, 4), "x": (2, 3, 4), "y": (2, 3, 4)}, "one for each channel"),
        (
            f'type: "ShuffleChannel" {PLAIN} shuffle_channel_param {{ group: 3 }}',
            {"x": (1, 4)},
            "not a multiple of group 3",
        ),
        (
            f'type: "ShuffleChannel" {PLAIN} shuffle_channel_param {{ group: 0 }}',
            {"x": (1, 4)},
            "group must be at least 1",
        ),
        (
            f'type: "PixelShuffle" {PLAIN} pixelshuffle_param {{ upscale_factor: 2 }}',
            {"x": (1, 6, 2, 2)},
            "not a multiple of 2² = 4",
        ),
        (
            f'type: "PixelShuffle" {PLAIN} pixelshuffle_param {{ upscale_factor: 0 }}',
            {"x": (1, 6, 2, 2)},
            "upscale_factor must be at least 1",
        ),
        (
            f'type: "Transpose" {PLAIN} transpose_param {{ dim: 0 dim: 0 }}',
            {"x": (1, 2)},
            "each of the axes 0 to 1 once",
        ),
        (f'type: "Reverse" {PLAIN} reverse_param {{ axis: 2 }}', {"x": (1, 2)}, "axis 2 is out"),
        (f'type: "Pad" {PLAIN} pad_param {{ pad_u: -4 }}', {"x": (1, 1, 4, 4)}, "nothing would be"),
        (
            f'type: "Pad" {PLAIN} pad_param {{ pad_u: 4 pad_type: REFLECT }}',
            {"x": (1, 1, 4, 4)},
            "REFLECT can add at most 3",
        ),
        (f'type: "Unsqueeze" {PLAIN} unsqueeze_param {{ dim: 3 }}', {"x": (1, 2)}, "axis 3 is out"),
    ],
)
def test_what_cannot_be_is_refused(
    layer: str, shapes: dict[str, tuple[int, ...]], text: str
) -> None:
    with pytest.raises(protonet.Error, match=text):
        layer_net(layer, {name: np.zeros(shape) for name, shape in shapes.items()})
