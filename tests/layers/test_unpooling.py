"""Upsample, Unpooling, MaxUnPool: pooling undone."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import check_gradients, layer_net, run_layer, values

import protonet

MASKED = {
    "Upsample": "upsample_param { scale: 2 }",
    "MaxUnPool": "max_unpool_param { dst_h: 4 dst_w: 6 }",
    "Unpooling": "unpooling_param { unpool: MAX kernel_size: 2 stride: 2 }",
}


def masked(kind: str, more: str = "") -> str:
    return f'type: "{kind}" bottom: "x" bottom: "mask" top: "y" {more or MASKED[kind]}'


def some_mask(*shape: int, plane: int, seed: int = 0) -> np.ndarray:
    """Returns indices that differ within each plane."""
    random = np.random.default_rng(seed)
    rows = int(np.prod(shape[:2]))
    count = int(np.prod(shape[2:]))
    return np.stack([random.permutation(plane)[:count] for _ in range(rows)]).reshape(shape) * 1.0


@pytest.mark.parametrize("kind", MASKED)
def test_values_go_where_the_mask_says(kind: str) -> None:
    x, mask = values(2, 3, 2, 3), some_mask(2, 3, 2, 3, plane=24)
    net = run_layer(masked(kind), x=x, mask=mask)
    want = np.zeros((2, 3, 24))
    np.put_along_axis(want, mask.reshape(2, 3, 6).astype(int), x.reshape(2, 3, 6), axis=2)
    np.testing.assert_allclose(net.blobs["y"].data, want.reshape(2, 3, 4, 6), rtol=1e-6)


@pytest.mark.parametrize("kind", MASKED)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_gradient_comes_back_the_same_way(kind: str, seed: int) -> None:
    mask = some_mask(2, 3, 2, 3, plane=24, seed=seed)
    check_gradients(masked(kind), x=values(2, 3, 2, 3, seed=seed), mask=mask, of=["x"])


def test_a_pooling_and_its_upsample_keep_the_maxima_in_place() -> None:
    text = """
    layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 dim: 5 dim: 7 } } }
    layer { name: "pool" type: "Pooling" bottom: "x" top: "p" top: "mask"
      pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
    layer { name: "up" type: "Upsample" bottom: "p" bottom: "mask" top: "y"
      upsample_param { scale: 2 pad_out_h: true pad_out_w: true } }"""
    message, _ = protonet.prototxt.parse_text(text, protonet.NetParameter)
    x = values(1, 2, 5, 7, low=0.1)
    y = protonet.Net(message).forward(x=x)["y"]
    assert y.shape == x.shape
    kept = y != 0
    assert kept.sum() == 2 * 3 * 4
    np.testing.assert_allclose(y[kept], x[kept], rtol=1e-6)


@pytest.mark.parametrize(
    ("more", "shape"),
    [
        ("", (4, 6)),
        ("upsample_param { scale: 3 }", (6, 9)),
        ("upsample_param { scale_h: 1 scale_w: 4 }", (2, 12)),
        ("upsample_param { scale: 2 upsample_h: 5 upsample_w: 7 }", (5, 7)),
        ("upsample_param { scale: 2 pad_out_h: true }", (3, 6)),
    ],
)
def test_upsample_by_mask_has_the_size_that_is_asked_for(more: str, shape: tuple[int, int]) -> None:
    text = f'type: "Upsample" bottom: "x" bottom: "mask" top: "y" {more}'
    net = layer_net(text, {"x": values(1, 1, 2, 3), "mask": np.zeros((1, 1, 2, 3))})
    assert net.blobs["y"].shape == (1, 1, *shape)


@pytest.mark.parametrize(
    ("more", "shape"),
    [
        ("unpooling_param { kernel_size: 2 stride: 2 unpool_size: 9 }", (9, 9)),
        ("unpooling_param { kernel_size: 3 stride: 2 }", (5, 7)),
        ("pooling_param { kernel_size: 3 stride: 2 }", (5, 7)),
        ("unpooling_param { kernel_h: 3 kernel_w: 1 stride: 2 pad_h: 1 pad_w: 0 }", (3, 5)),
    ],
)
def test_unpooling_has_the_size_that_was_pooled(more: str, shape: tuple[int, int]) -> None:
    text = masked("Unpooling", more)
    net = layer_net(text, {"x": values(1, 1, 2, 3), "mask": np.zeros((1, 1, 2, 3))})
    assert net.blobs["y"].shape == (1, 1, *shape)


def test_unpooling_without_a_mask_puts_values_at_the_start_of_each_window() -> None:
    x = values(1, 2, 2, 2)
    text = 'type: "Unpooling" bottom: "x" top: "y" unpooling_param { kernel_size: 2 stride: 2 }'
    y = run_layer(text, x=x).blobs["y"].data
    np.testing.assert_allclose(y[:, :, ::2, ::2], x, rtol=1e-6)
    assert np.count_nonzero(y) == 8
    check_gradients(text, x=x)


REPEATED = 'type: "Upsample" bottom: "x" top: "y" upsample_param { scale: %d %s }'


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_upsample_with_one_bottom_repeats_pixels(scale: int) -> None:
    x = values(2, 3, 4, 5)
    y = run_layer(REPEATED % (scale, ""), x=x).blobs["y"].data
    np.testing.assert_allclose(y, x.repeat(scale, 2).repeat(scale, 3), rtol=1e-6)
    check_gradients(REPEATED % (scale, ""), x=values(1, 2, 2, 3))


def test_upsample_of_three_axes_repeats_along_the_last() -> None:
    x = values(2, 3, 4)
    y = run_layer(REPEATED % (2, "dims_num: 3"), x=x).blobs["y"].data
    np.testing.assert_allclose(y, x.repeat(2, 2), rtol=1e-6)
    check_gradients(REPEATED % (2, "dims_num: 3"), x=x)


@pytest.mark.parametrize("kind", MASKED)
@pytest.mark.parametrize("index", [24, -1, np.nan])
def test_an_index_outside_the_plane_is_told(kind: str, index: float) -> None:
    mask = some_mask(2, 3, 2, 3, plane=24)
    mask[1, 2, 0, 1] = index
    with pytest.raises(protonet.Error, match=r"\(element 31\) is outside a plane of 4×6"):
        run_layer(masked(kind), x=values(2, 3, 2, 3), mask=mask)


@pytest.mark.parametrize(
    ("layer", "shapes", "text"),
    [
        (masked("Upsample"), {"x": (1, 1, 2, 2), "mask": (1, 1, 2, 3)}, "one index for each"),
        (masked("Upsample"), {"x": (1, 2, 2), "mask": (1, 2, 2)}, "takes N×C×H×W"),
        (
            masked("Upsample", "upsample_param { scale: 0 }"),
            {"x": (1, 1, 2, 2), "mask": (1, 1, 2, 2)},
            "scale must be at least 1",
        ),
        (
            masked("Upsample", "upsample_param { upsample_h: 4 }"),
            {"x": (1, 1, 2, 2), "mask": (1, 1, 2, 2)},
            "go together",
        ),
        (
            masked("Upsample", "upsample_param { scale: 3 pad_out_h: true }"),
            {"x": (1, 1, 2, 2), "mask": (1, 1, 2, 2)},
            "goes with a scale of 2",
        ),
        (REPEATED % (2, "dims_num: 5"), {"x": (1, 1, 2, 2)}, "dims_num must be 3 or 4"),
        (
            masked("MaxUnPool", "max_unpool_param { dst_h: 2 }"),
            {"x": (1, 1, 2, 2), "mask": (1, 1, 2, 2)},
            "dst_w must be at least 1",
        ),
        (
            masked("Unpooling", "unpooling_param { unpool: AVE }"),
            {"x": (1, 1, 2, 2), "mask": (1, 1, 2, 2)},
            "only MAX",
        ),
        (
            masked("Unpooling", "unpooling_param { kernel_size: 2 stride: 0 }"),
            {"x": (1, 1, 2, 2), "mask": (1, 1, 2, 2)},
            "stride must be at least 1",
        ),
        (
            masked("Unpooling", "unpooling_param { stride: 1 pad: 3 }"),
            {"x": (1, 1, 2, 2), "mask": (1, 1, 2, 2)},
            "the output would be",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    layer: str, shapes: dict[str, tuple[int, ...]], text: str
) -> None:
    with pytest.raises(protonet.Error, match=text):
        layer_net(layer, {name: np.zeros(shape) for name, shape in shapes.items()})


def test_deconvnets_old_layers_are_read() -> None:
    text = """
    input: "x" input_dim: 1 input_dim: 2 input_dim: 4 input_dim: 4
    layers { name: "bn" type: BN bottom: "x" top: "x"
      bn_param { scale_filler { type: "constant" value: 1 } shift_filler { type: "constant" } } }
    layers { name: "pool" type: POOLING bottom: "x" top: "p" top: "mask"
      pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
    layers { name: "up" type: UNPOOLING bottom: "p" bottom: "mask" top: "y"
      unpooling_param { unpool: MAX kernel_size: 2 stride: 2 unpool_size: 4 } }"""
    message, _ = protonet.prototxt.parse_text(text, protonet.NetParameter)
    net = protonet.Net(message)
    assert [layer.type for layer in net.layers][1:] == ["BN", "Pooling", "Unpooling"]
    assert net.blobs["y"].shape == (1, 2, 4, 4)
