"""Every way that a convolution with packed weights can go computes the same, on any team."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_stores import ACTIVATIONS, finished, packed_by, with_gaps

from protonet import kernels

# n, channels, outputs, size, kernel, pad, group, stride (1)
SHAPES: dict[str, tuple[Any, ...]] = {
    "small planes": (1, 40, 50, (7, 7), 3, 1, 1),
    "small planes in groups": (2, 36, 66, (8, 5), 3, 1, 2),
    "small planes without padding": (3, 17, 16, (5, 8), 3, 0, 1),
    "one row": (2, 20, 33, (1, 6), 3, 1, 1),
    "filters prevail": (1, 96, 80, (4, 3), 3, 1, 1),
    "filters prevail, of 5×5": (1, 65, 97, (3, 4), 5, 2, 1),
    "tiles of two threads in one row": (1, 16, 20, (12, 60), 3, 1, 1),
    "tiles of several images": (3, 24, 40, (9, 14), 3, 1, 1),
    "joined rows of pixels": (1, 70, 37, (31, 13), 1, 0, 1),
    "pixels of several images": (2, 30, 103, (9, 9), 1, 0, 1),
    "more weights than pixels": (1, 130, 260, (5, 6), 1, 0, 1),
    "an odd channel": (2, 71, 150, (6, 11), 1, 0, 1),
    "one pixel": (3, 64, 70, (1, 1), 1, 0, 1),
    "planes of more than a chunk": (2, 600, 70, (20, 31), 1, 0, 1),
    "pixels of groups": (2, 64, 130, (9, 13), 1, 0, 2),
    "pixels apart": (2, 48, 90, (9, 14), 1, 0, 1, 2),
    "four taps": (2, 17, 20, (14, 23), 4, 2, 1),
    "steps of two": (2, 3, 37, (33, 30), 7, 3, 1, 2),
    "steps of three": (1, 3, 16, (35, 32), 9, 0, 1, 3),
    "steps of four in groups": (1, 4, 36, (41, 50), 11, 2, 2, 4),
}


def fields_of(name: str) -> dict[str, Any]:
    n, channels, outputs, size, kernel, pad, group, stride = (*SHAPES[name], 1)[:8]
    out = tuple((s + 2 * pad - kernel) // stride + 1 for s in size)
    return {
        "n": n, "channels": channels, "outputs": outputs, "group": group, "axes": 2,
        "size": size, "out": out, "kernel": (kernel, kernel), "stride": (stride, stride),
        "pad": (pad, pad), "dilation": (1, 1), "tiles": 1, "mixes": 1,
    }  # fmt: skip


@pytest.mark.parametrize("way", range(1, len(kernels.WAYS) + 1), ids=kernels.WAYS)
@pytest.mark.parametrize("name", SHAPES)
def test_every_way_computes_and_stores_the_same(isa: str, name: str, way: int) -> None:
    fields = fields_of(name)
    n, outputs, gap = fields["n"], fields["outputs"], 5
    random = np.random.default_rng(3)
    x = random.normal(size=(n, fields["channels"], *fields["size"])).astype(np.float32)
    of_a_group = fields["channels"] // fields["group"]
    weight = random.normal(size=(outputs, of_a_group, *fields["kernel"])).astype(np.float32)
    bias, slopes = random.normal(size=(2, outputs)).astype(np.float32)
    residual = random.normal(size=(n, outputs, *fields["out"])).astype(np.float32)
    shape = {"weight": weight, "bias": bias, **fields}

    size = np.zeros(2, np.int64)
    kernels.convolution_pack(shape={**shape, "way": way}, size=size)
    if size[1] != way:
        return  # the shape, or the instruction set, cannot go it
    packed = packed_by(kernels.convolution_pack, {**shape, "way": way}, np.float32)
    plain = np.zeros_like(residual)
    kernels.convolution(x=x, y=plain, **{**shape, "by_columns": 1})
    tiled = kernels.WAYS[way - 1] in ("tiles", "strips", "lines")

    before = kernels.threads()
    try:
        for adds, rule in ((a, r) for a in (False, True) for r in ACTIVATIONS.values()):
            expected = finished(plain + residual if adds else plain, rule, slopes)
            store = {**rule, "residual": with_gaps(residual, gap) if adds else None}
            store["slopes"] = slopes if rule.get("slopes") else None
            made = []
            for threads in (1, 2, 3, 5):
                kernels.choose_threads(threads)
                y = with_gaps(np.full_like(residual, np.nan), gap)
                kernels.convolution(
                    x=with_gaps(x, gap), y=y, store=store, packed=packed, way=way,
                    x_image=x[0].size + gap, y_image=residual[0].size + gap, **shape,
                )  # fmt: skip
                assert (y[:, -gap:] == 77).all()
                made.append(y[:, :-gap].reshape(residual.shape))
            scale = np.abs(plain).max()
            np.testing.assert_allclose(
                made[0], expected, rtol=0, atol=(1e-3 if tiled else 1e-4) * scale
            )
            for other in made[1:]:
                np.testing.assert_array_equal(other, made[0])
    finally:
        kernels.choose_threads(before)


@pytest.mark.parametrize(
    "shape", [(3, 64, 7, 2, 3, 224), (3, 96, 11, 4, 0, 227), (16, 32, 4, 1, 0, 31)]
)
def test_filters_that_step_go_by_their_phases(isa: str, shape: tuple[int, ...]) -> None:
    channels, outputs, kernel, stride, pad, side = shape
    out = (side + 2 * pad - kernel) // stride + 1
    size = np.zeros(2, np.int64)
    weight = np.zeros((outputs, channels, kernel, kernel), np.float32)
    fields = {
        "n": 1, "channels": channels, "outputs": outputs, "group": 1, "axes": 2,
        "size": (side, side), "out": (out, out), "kernel": (kernel, kernel),
        "stride": (stride, stride), "pad": (pad, pad), "dilation": (1, 1), "weight": weight,
    }  # fmt: skip
    kernels.convolution_pack(shape=fields, size=size)
    assert (size[1] == kernels.WAY_WINOGRAD) == (isa != "scalar")


@pytest.mark.parametrize(("channels", "outputs", "side"), [(512, 512, 14), (2048, 512, 7)])
def test_error_of_seven_products_stays_small(
    isa: str, channels: int, outputs: int, side: int
) -> None:
    """Some three times the sum's, which is 1e-6 of the outputs' scale here."""
    random = np.random.default_rng(channels)
    x = random.uniform(0, 1, (1, channels, side, side)).astype(np.float32)
    weight = random.normal(size=(outputs, channels, 1, 1)).astype(np.float32)
    shape = {
        "n": 1, "channels": channels, "outputs": outputs, "group": 1, "axes": 2,
        "size": (side, side), "out": (side, side), "kernel": (1, 1), "stride": (1, 1),
        "pad": (0, 0), "dilation": (1, 1), "weight": weight, "mixes": 1,
        "way": kernels.WAYS.index("strassen") + 1,
    }  # fmt: skip
    packed = packed_by(kernels.convolution_pack, shape, np.float32)
    y = np.zeros((1, outputs, side, side), np.float32)
    kernels.convolution(x=x, y=y, packed=packed, **shape)
    expected = np.einsum("oi,nihw->nohw", weight[..., 0, 0].astype(np.float64), x)
    assert np.abs(y - expected).max() < 5e-6 * np.abs(expected).max()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("factor", [0, 1e-2, 1e3, 1e38, np.inf, np.nan])
def test_weights_that_are_not_of_a_scale_are_not_mixed(isa: str, axis: int, factor: float) -> None:
    weight = np.random.default_rng(0).normal(size=(256, 1024, 1, 1)).astype(np.float32)
    shape = {
        "n": 1, "channels": 1024, "outputs": 256, "group": 1, "axes": 2, "size": (14, 14),
        "out": (14, 14), "kernel": (1, 1), "stride": (1, 1), "pad": (0, 0), "dilation": (1, 1),
        "weight": weight, "mixes": 1,
    }  # fmt: skip
    strassen = kernels.WAYS.index("strassen") + 1

    def way(**changed: int) -> int:
        size = np.zeros(2, np.int64)
        kernels.convolution_pack(shape={**shape, **changed}, size=size)
        return int(size[1])

    assert (way() == strassen) == (isa != "scalar")
    assert way(mixes=0) != strassen
    with np.errstate(over="ignore"):
        np.moveaxis(weight, axis, 0)[7] *= np.float32(factor)
    assert way() != strassen
    assert way(way=strassen) != strassen
