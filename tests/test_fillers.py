"""Fillers draw what Caffe's draw, and refuse what cannot be filled."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format

from protonet.fillers import fill, judge
from protonet.ir.protonet_pb2 import FillerParameter
from protonet.layers.base import LayerError

GOLDEN = Path(__file__).parent / "golden" / "fillers"
SAMPLES = 400_000  # as many as the reference drew


def filler(text: str) -> FillerParameter:
    return text_format.Parse(text, FillerParameter())


def cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{case['filler']} {case['shape']}".replace('"', ""))
        for path in sorted(GOLDEN.glob("*.json"))
        for case in json.loads(path.read_text())
    ]


def sample(case: dict[str, Any], dtype: type) -> np.ndarray:
    """Fills the shape over and over; draws × shape."""
    shape = tuple(case["shape"])
    draws = SAMPLES // int(np.prod(shape)) if "values" not in case else 1
    filled = np.empty((draws, *shape), dtype)
    random = np.random.default_rng(1)
    for array in filled:
        fill(array, filler(case["filler"]), random)
    return filled


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", cases())
def test_fillers_have_the_distribution_that_caffe_has(case: dict[str, Any], dtype: type) -> None:
    drawn, expected = sample(case, dtype), case["expected"]
    spread = max(float(drawn.std()), 1e-12)
    assert drawn.mean() == pytest.approx(
        expected["mean"], abs=5 * spread / np.sqrt(drawn.size) + 1e-7
    )
    if "std" in expected:
        assert drawn.std() == pytest.approx(expected["std"], rel=0.01, abs=1e-7)
    if "min" in expected:
        assert drawn.min() >= expected["min"] - 1e-6
        assert drawn.max() <= expected["max"] + 1e-6
    if "nonzero_fraction" in expected:
        assert (drawn != 0).mean() == pytest.approx(expected["nonzero_fraction"], rel=0.02)
    if "sum_per_item" in expected:
        items = drawn.reshape(drawn.shape[0] * drawn.shape[1], -1)
        np.testing.assert_allclose(items.sum(axis=1), expected["sum_per_item"], rtol=1e-5)
    if "values" in case:
        np.testing.assert_allclose(drawn.ravel(), case["values"], rtol=1e-6)


def test_a_filler_without_a_type_is_constant_zero() -> None:
    array = np.ones((2, 3), np.float32)
    fill(array, FillerParameter(), np.random.default_rng(0))
    assert not array.any()


def test_the_same_stream_fills_the_same_bits() -> None:
    first, second = np.empty((2, 7, 5), np.float32)
    for array in (first, second):
        fill(array, filler('type: "msra"'), np.random.default_rng(3))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", ["constant", "gaussian", "msra", "uniform", "xavier"])
@pytest.mark.parametrize("shape", [(), (3,), (0, 4)])
def test_fillers_take_scalars_vectors_and_nothing(name: str, shape: tuple[int, ...]) -> None:
    array = np.full(shape, np.nan)
    fill(array, filler(f'type: "{name}"'), np.random.default_rng(0))
    assert np.isfinite(array).all()


@pytest.mark.parametrize(
    ("text", "shape", "field", "part"),
    [
        ('type: "he"', (2, 2), "type", 'unknown filler "he"'),
        ('type: "Xavier"', (2, 2), "type", 'unknown filler "Xavier"'),
        ('type: "bilinear"', (2, 1, 4, 3), "type", "2×1×4×3"),
        ('type: "bilinear"', (4, 4), "type", "4×4"),
        ('type: "uniform" min: 2 max: 1', (2,), "min", "2"),
        ('type: "gaussian" std: -1', (2,), "std", "-1"),
        ('type: "gaussian" std: 0', (2,), "std", "0"),
        ('type: "gaussian" std: nan', (2,), "std", "nan"),
        ('type: "xavier" sparse: 2', (2,), "sparse", "xavier"),
        ('type: "gaussian" sparse: 9', (4, 2), "sparse", "0 to 4"),
        ('type: "gaussian" sparse: -2', (4, 2), "sparse", "-2"),
    ],
)
def test_a_filler_that_cannot_be_is_refused_at_its_field(
    text: str, shape: tuple[int, ...], field: str, part: str
) -> None:
    with pytest.raises(LayerError) as caught:
        judge(filler(text), shape)
    assert caught.value.field == (field,)
    assert part in caught.value.message


def test_an_unknown_filler_is_told_the_nearest_name() -> None:
    with pytest.raises(LayerError) as caught:
        judge(filler('type: "Xavier"'), (2, 2))
    assert caught.value.help == 'did you mean "xavier"?'
