"""Crop, Permute, Tile, ArgMax, Eltwise and Concat on blobs large enough for tiles and blocks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from gradient_check import run_layer, values


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_permute_is_transposition(order: tuple[int, ...]) -> None:
    x = values(2, 19, 33, 5).astype(np.float32)
    settings = " ".join(f"order: {axis}" for axis in order)
    net = run_layer(f'type: "Permute" bottom: "x" top: "y" permute_param {{ {settings} }}', x=x)
    np.testing.assert_array_equal(net.blobs["y"].data, x.transpose(order))


def test_crop_cuts_a_box() -> None:
    x = values(3, 4, 20, 300).astype(np.float32)
    net = run_layer(
        'type: "Crop" bottom: "x" bottom: "like" top: "y" '
        "crop_param { axis: 1 offset: 1 offset: 7 offset: 30 }",
        x=x, like=np.zeros((1, 2, 11, 200)),
    )  # fmt: skip
    np.testing.assert_array_equal(net.blobs["y"].data, x[:, 1:3, 7:18, 30:230])


@pytest.mark.parametrize(
    "layer",
    [
        'type: "Crop"', 'type: "Interp"', 'type: "Resample"',
        'type: "Accum" accum_param { have_reference: true }',
    ],
)  # fmt: skip
def test_the_backward_pass_goes_by_a_bottom_that_lends_its_shape(layer: str) -> None:
    net = run_layer(
        f'{layer} bottom: "x" bottom: "like" top: "y"',
        x=values(1, 2, 6, 8), like=values(1, 2, 3, 4),
    )  # fmt: skip
    assert all(net.layers[-1].propagate_down)
    net.blobs["y"].diff[...] = 1
    net.backward()
    assert net.blobs["x"].diff.any()
    assert not net.blobs["like"].diff.any()


@pytest.mark.parametrize("top_k", [1, 2, 5])
@pytest.mark.parametrize("shape", [(3, 7), (2, 6, 300)])
def test_arg_max_along_an_axis(isa: str, shape: tuple[int, ...], top_k: int) -> None:
    x = np.random.default_rng(0).integers(0, 4, shape).astype(np.float32)
    settings = f"axis: 1 top_k: {top_k}"
    net = run_layer(f'type: "ArgMax" bottom: "x" top: "y" argmax_param {{ {settings} }}', x=x)
    along = np.moveaxis(x, 1, -1)
    order = np.lexsort((np.arange(shape[1]) + np.zeros(along.shape), along), axis=-1)
    want = np.moveaxis(order[..., ::-1][..., :top_k], -1, 1)
    np.testing.assert_array_equal(net.blobs["y"].data, want)


def test_arg_max_puts_nan_last() -> None:
    x = np.array([[np.nan, 1, np.nan, 3]])
    net = run_layer('type: "ArgMax" bottom: "x" top: "y" argmax_param { top_k: 2 }', x=x)
    assert net.blobs["y"].data.tolist() == [[[3, 1]]]


def test_the_maximum_of_many_blobs(isa: str) -> None:
    inputs = {f"x{i}": values(3, 1000, seed=i).astype(np.float32) for i in range(20)}
    bottoms = " ".join(f'bottom: "{name}"' for name in inputs)
    layer = f'type: "Eltwise" {bottoms} top: "y" eltwise_param {{ operation: MAX }}'
    net = run_layer(layer, **inputs)
    np.testing.assert_array_equal(net.blobs["y"].data, np.max(list(inputs.values()), axis=0))


@pytest.mark.parametrize(("axis", "shape"), [(0, (0, 4, 9000)), (1, (4, 0, 9000)), (2, (50, 4, 0))])
def test_concat_of_long_and_short_rows(axis: int, shape: tuple[int, ...]) -> None:
    inputs = {}
    for seed, size in enumerate((5, 3, 1)):
        part = values(*shape[:axis], size, *shape[axis + 1 :], seed=seed)
        inputs[f"x{seed}"] = part.astype(np.float32)
    bottoms = " ".join(f'bottom: "{name}"' for name in inputs)
    layer = f'type: "Concat" {bottoms} top: "y" concat_param {{ axis: {axis} }}'
    want = np.concatenate(list(inputs.values()), axis=axis)
    np.testing.assert_array_equal(run_layer(layer, **inputs).blobs["y"].data, want)


def test_eltwise_takes_vectors_with_and_without_axes_of_one() -> None:
    inputs = {"a": values(4, 3), "b": values(4, 3, 1, 1, seed=1)}
    net = run_layer('type: "Eltwise" bottom: "a" bottom: "b" top: "y"', **inputs)
    np.testing.assert_allclose(
        net.blobs["y"].data, inputs["a"] + inputs["b"].reshape(4, 3), rtol=1e-6, atol=1e-6
    )
