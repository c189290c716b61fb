"""Coordinates of tops in each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import protonet.caffe as caffe
from protonet.caffe import layers as L
from protonet.caffe import params as P
from protonet.caffe.coord_map import (
    AxisMismatchException,
    UndefinedMapException,
    compose,
    coord_map,
    coord_map_from_to,
    crop,
    inverse,
)


def spec(
    kernel: Any = 3, stride: Any = 1, pad: Any = 0, pool: int = 2, up: int = 2, up_pad: int = 0
) -> caffe.NetSpec:
    """Convolution, pooling and deconvolution after one another."""
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [2, 1, 100, 100]})
    n.aux = L.Input(shape={"dim": [2, 1, 20, 20]})
    n.conv = L.Convolution(n.data, num_output=10, kernel_size=kernel, stride=stride, pad=pad)
    n.pool = L.Pooling(n.conv, pool=P.Pooling.MAX, kernel_size=pool, stride=pool, pad=0)
    n.deconv = L.Deconvolution(n.pool, num_output=10, kernel_size=2 * up, stride=up, pad=up_pad)
    return n


def test_upsampling_undoes_pooling() -> None:
    n = spec()
    assert coord_map_from_to(n.deconv, n.data) == (1, 1, 0)


def test_elementwise_layers_change_nothing() -> None:
    n = spec()
    n.relu = L.ReLU(n.deconv)
    n.conv1x1 = L.Convolution(n.relu, num_output=10, kernel_size=1, stride=1, pad=0)
    wanted = coord_map_from_to(n.deconv, n.data)
    assert coord_map_from_to(n.relu, n.data) == wanted
    assert coord_map_from_to(n.conv1x1, n.data) == wanted


@pytest.mark.parametrize("pad", [1, 7])
def test_padding_shifts(pad: int) -> None:
    def shift(n: caffe.NetSpec) -> Any:
        return coord_map_from_to(n.deconv, n.data)[2]

    plain = shift(spec())
    assert shift(spec(pad=pad)) == plain - pad
    assert shift(spec(up_pad=pad)) == plain + pad
    assert shift(spec(pad=pad, up_pad=pad)) == plain


def test_each_bottom_of_a_layer_is_mapped() -> None:
    n = spec()
    n.other = L.Input(shape={"dim": [2, 1, 100, 100]})
    n.conv_data, n.conv_aux = L.Convolution(
        n.other, n.aux, ntop=2, num_output=10, kernel_size=5, stride=2, pad=0
    )
    first = coord_map_from_to(n.conv_data, n.other)
    assert first == coord_map_from_to(n.conv_aux, n.aux)
    assert first == (1, 2, 2)


def test_axes_have_maps_of_their_own() -> None:
    square, wide = spec(3, 1, 0), spec(5, 2, 10)
    both = spec([3, 5], [1, 2], [0, 10])
    axis, a, b = coord_map_from_to(both.deconv, both.data)
    for index, n in enumerate((square, wide)):
        assert (axis, a[index], b[index]) == coord_map_from_to(n.deconv, n.data)


def test_volumes_are_mapped_alike() -> None:
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [2, 3, 100, 100, 100]})
    n.conv = L.Convolution(
        n.data, num_output=10, kernel_size=[3, 3, 3], stride=[1, 1, 1], pad=[0, 1, 2]
    )
    n.pool = L.Pooling(n.conv, pool=P.Pooling.MAX, kernel_size=2, stride=2, pad=0)
    n.deconv = L.Deconvolution(n.pool, num_output=10, kernel_size=4, stride=2, pad=0)
    axis, a, b = coord_map_from_to(n.deconv, n.data)
    assert axis == 1
    assert np.all(a == 1)
    assert (b[0] - 1, b[1] - 1) == (b[1], b[2])


def test_a_crop_shifts() -> None:
    n = spec()
    axis, a, b = coord_map_from_to(n.deconv, n.data)
    n.crop = L.Crop(n.deconv, n.data, axis=2, offset=3)
    assert coord_map_from_to(n.crop, n.data) == (axis, a, b + 3)


def test_dilation_widens_the_kernel() -> None:
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [1, 1, 50, 50]})
    n.wide = L.Convolution(n.data, num_output=1, kernel_size=3, dilation=4)
    assert coord_map_from_to(n.wide, n.data) == (1, 1, 4)
    assert coord_map_from_to(n.data, n.wide) == (1, 1, -4)


def test_the_crop_that_fits_gives_the_other_tops_size(tmp_path: Path) -> None:
    n = spec(pad=9, up_pad=0)
    n.score = crop(n.deconv, n.data)
    message = n.to_proto()
    settings = message.layer[-1].crop_param
    assert (settings.axis, list(settings.offset)) == (2, [9])
    (tmp_path / "net.prototxt").write_text(str(message))
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    assert net.blobs["score"].data.shape == (2, 10, 100, 100)


def test_tops_without_a_common_map_are_refused() -> None:
    n = spec()
    n.ip = L.InnerProduct(n.deconv, num_output=10)
    with pytest.raises(RuntimeError, match="connected by spatial layers"):
        coord_map_from_to(n.ip, n.data)
    with pytest.raises(UndefinedMapException):
        coord_map(n.ip.fn)


@pytest.mark.parametrize(
    ("n", "message"),
    [
        (spec(pool=3, up=2), "scale mismatch"),
        (spec(up_pad=10), "negative offset"),
        (spec(kernel=4, pad=3), "noninteger offset"),
    ],
)
def test_impossible_crops_are_refused(n: caffe.NetSpec, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        crop(n.deconv, n.data)


def test_settings_by_axis_names_are_refused() -> None:
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [1, 1, 50, 50]})
    n.conv = L.Convolution(n.data, num_output=1, kernel_h=3, kernel_w=3)
    with pytest.raises(AssertionError, match="kernel_h"):
        coord_map_from_to(n.conv, n.data)


def test_maps_compose_and_invert() -> None:
    assert compose((1, 2, 3), (None, 5, 7)) == (1, 10, 17)
    assert compose((1, 2, 3), inverse((1, 2, 3))) == (1, 1, 0)
    with pytest.raises(AxisMismatchException):
        compose((1, 1, 0), (2, 1, 0))
