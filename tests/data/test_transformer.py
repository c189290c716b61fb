"""Crop, mirror, mean and scale, with numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from protonet import Error, kernels
from protonet.data.chance import permutation, uniform, uniform_below
from protonet.data.pictures import Pictures
from protonet.data.transformer import Transformer
from protonet.ir.blobs import blob_proto
from protonet.ir.protonet_pb2 import TransformationParameter

IMAGE = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)  # C×H×W; row h of channel 0 is 4h … 4h+3


def transformed(
    images: list[np.ndarray] | np.ndarray = IMAGE,
    train: bool = False,
    positions: range = range(1),
    dtype: type = np.float32,
    **settings: object,
) -> np.ndarray:
    transformer = Transformer(TransformationParameter(**settings), train)  # type: ignore[arg-type]
    pictures = Pictures.of(images if isinstance(images, list) else [images] * len(positions))
    shape = transformer.batch_shape(pictures, lambda index, error: error.about(f"image {index}"))
    out = np.full((len(pictures), *shape), np.nan, dtype)
    transformer.run(pictures, 5, np.array(positions), out)
    return out


def test_nothing_set_gives_the_values_as_they_are() -> None:
    np.testing.assert_array_equal(transformed()[0], IMAGE)


def test_the_mean_is_subtracted_before_scaling() -> None:
    np.testing.assert_array_equal(
        transformed(mean_value=[10], scale=0.5)[0], (IMAGE.astype(np.float32) - 10) / 2
    )


def test_a_mean_value_for_each_channel() -> None:
    found = transformed(mean_value=[1, 20])[0]
    assert found[0, 0].tolist() == [-1, 0, 1, 2]
    assert found[1, 0].tolist() == [-8, -7, -6, -5]


def test_a_test_crop_is_the_centre_rounded_down() -> None:
    # 3×4 → 2×2: rows from (3 − 2)/2 = 0, columns from (4 − 2)/2 = 1.
    assert transformed(crop_size=2)[0, 0].tolist() == [[1, 2], [5, 6]]


def test_a_mean_image_is_cropped_where_the_image_is(tmp_path: Path) -> None:
    mean = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4) / 2
    (tmp_path / "mean.binaryproto").write_bytes(blob_proto(mean).SerializeToString())
    settings = {"mean_file": str(tmp_path / "mean.binaryproto"), "crop_size": 2}
    assert transformed(**settings)[0, 0].tolist() == [[0.5, 1], [2.5, 3]]
    for crop in transformed(train=True, positions=range(20), **settings):
        np.testing.assert_array_equal(crop % 0.5, 0)
        assert crop[0, 1, 1] - crop[0, 0, 0] == 2.5  # five pixels further, half of each left


@pytest.mark.parametrize("train", [True, False])
def test_mirror_turns_about_half_of_the_images_in_both_phases(train: bool) -> None:
    found = transformed(train=train, positions=range(200), mirror=True)[:, 0, 0, 0]
    assert set(found.tolist()) == {0, 3}
    assert 70 < (found == 3).sum() < 130


def test_a_mirrored_image_is_turned_left_to_right_after_its_mean_was_taken(
    tmp_path: Path,
) -> None:
    mean = np.zeros((2, 3, 4), np.float32)
    mean[:, :, 0] = 100
    (tmp_path / "mean").write_bytes(blob_proto(mean).SerializeToString())
    found = transformed(positions=range(20), mirror=True, mean_file=str(tmp_path / "mean"))
    rows = {tuple(row) for row in found[:, 0, 0].tolist()}
    assert rows == {(-100, 1, 2, 3), (3, 2, 1, -100)}


@pytest.mark.parametrize("width", [1, 2, 3, 15, 16, 17, 33, 64])
def test_mirroring_works_for_every_width(width: int) -> None:
    image = np.arange(width, dtype=np.uint8).reshape(1, 1, width)
    rows = {tuple(row) for row in transformed(image, positions=range(30), mirror=True)[:, 0, 0]}
    assert rows == {tuple(range(width)), tuple(reversed(range(width)))}


def test_train_crops_reach_every_place_alike() -> None:
    found = transformed(train=True, positions=range(2000), crop_size=2)[:, 0, 0, 0]
    values, counts = np.unique(found, return_counts=True)
    assert values.tolist() == [0, 1, 2, 4, 5, 6]
    assert counts.min() > 260  # of 333


def test_a_record_is_transformed_alike_in_whatever_batch_it_comes() -> None:
    settings = {"train": True, "crop_size": 2, "mirror": True}
    together = transformed(positions=range(10, 30), **settings)
    for position in (10, 17, 29):
        alone = transformed(positions=range(position, position + 1), **settings)
        np.testing.assert_array_equal(alone[0], together[position - 10])


def test_images_of_any_strides_and_of_floats() -> None:
    interleaved = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)  # H×W×C, R G B
    bgr = interleaved[:, :, ::-1].transpose(2, 0, 1)
    floats = np.linspace(0, 1, 60, dtype=np.float32).reshape(3, 4, 5)
    sliced = np.arange(480, dtype=np.uint8).reshape(6, 8, 10)[::2, ::2, ::2]
    found = transformed([bgr, floats, sliced], scale=2)
    for got, want in zip(found, (bgr, floats, sliced), strict=True):
        np.testing.assert_array_equal(got, 2 * want.astype(np.float32))


def test_float64_nets_get_float64() -> None:
    found = transformed(dtype=np.float64, mean_value=[0.1], scale=0.3)
    want = (IMAGE.astype(np.float64) - float(np.float32(0.1))) * float(np.float32(0.3))
    np.testing.assert_array_equal(found[0], want)


@pytest.mark.parametrize("isa", ["scalar", "portable"])
def test_every_instruction_set_gives_the_same(isa: str) -> None:
    settings = {"train": True, "crop_size": 3, "mirror": True, "mean_value": [3, 4], "scale": 0.1}
    best, before = transformed(positions=range(50), **settings), kernels.isa()
    kernels.choose_isa(isa)
    try:
        found = transformed(positions=range(50), **settings)
    finally:
        kernels.choose_isa(before)
    np.testing.assert_allclose(found, best, rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop_size": 4}, "crop_size 4 does not fit an image of 3×4"),
        ({"mean_value": [1, 2, 3]}, "3 mean_value for images of 2 channels"),
        ({"mean_value": [1], "mean_file": "mean"}, "not both"),
        ({"force_color": True, "force_gray": True}, "exclude each other"),
        ({"mean_file": "nowhere/mean"}, "nowhere/mean is not there"),
    ],
)
def test_settings_that_cannot_be_are_errors(settings: dict[str, object], message: str) -> None:
    with pytest.raises(Error, match=message):
        transformed(**settings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (blob_proto(np.zeros((2, 4, 4), np.float32)).SerializeToString(), "2×4×4, but .* 2×3×4"),
        (blob_proto(np.zeros(4, np.float32)).SerializeToString(), "its shape is 4, not C×H×W"),
        (b"\x89PNG\r\n\x1a\n", "not a mean image: this is a PNG image"),
        (b"", "not a mean image"),
        (b"\x2a\x10\x00", "not a mean image"),
    ],
)
def test_a_mean_file_of_another_size_or_kind_is_an_error(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "mean").write_bytes(content)
    with pytest.raises(Error, match=message):
        transformed(mean_file=str(tmp_path / "mean"))


def test_images_of_different_sizes_need_a_crop() -> None:
    images = [IMAGE, np.zeros((2, 9, 9), np.uint8)]
    assert transformed(images, crop_size=2).shape == (2, 2, 2, 2)
    with pytest.raises(Error, match=r"image 1: the image is 9×9, but the first .* is 3×4"):
        transformed(images)
    with pytest.raises(Error, match="image 1: crop_size 3 does not fit an image of 2×2"):
        transformed([IMAGE, np.zeros((2, 2, 2), np.uint8)], crop_size=3)


def test_chance_is_uniform_and_a_function_of_key_position_and_draw() -> None:
    positions = np.arange(10_000)
    numbers = uniform(3, positions, 0)
    assert 0 <= numbers.min() < 0.001
    assert 0.999 < numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 0.01
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.03
    for other in (uniform(4, positions, 0), uniform(3, positions, 1)):
        assert abs(np.corrcoef(numbers, other)[0, 1]) < 0.03
    np.testing.assert_array_equal(uniform(3, positions[77:80], 0), numbers[77:80])
    below = uniform_below(np.full(10_000, 3), 3, positions, 0)
    assert np.bincount(below).tolist() == [(below == i).sum() for i in range(3)]
    assert sorted(permutation(9, 3, 1).tolist()) == list(range(9))
    assert permutation(9, 3, 1).tolist() != permutation(9, 3, 2).tolist()
