"""Random changes of training images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_data import MakeDatabase, MakeNet, numbered

from protonet import Error, Net
from protonet.data.augment import COLOUR_DRAWS, distorted
from protonet.data.resize import resized
from protonet.ir.protonet_pb2 import DistortionParameter

TRAIN, TEST = 0, 1
IMAGE = np.random.default_rng(0).integers(0, 256, (3, 9, 12), dtype=np.uint8)
HALF = np.full(COLOUR_DRAWS, 0.75)  # every change is drawn, half of its range upwards


def images(net: Net, count: int = 1) -> np.ndarray:
    return np.concatenate([net.forward()["data"].copy() for _ in range(count)])


def test_nothing_changes_in_test_or_unless_asked_for(
    make_database: MakeDatabase, data_net: MakeNet
) -> None:
    source = make_database([IMAGE])
    settings = "max_rotation: 30 distort_param { brightness_prob: 1 brightness_delta: 99 }"
    for transform, phase in (("", TRAIN), (settings, TEST)):
        found = images(data_net(source, 1, transform, phase=phase))
        np.testing.assert_array_equal(found[0], IMAGE)
    assert (images(data_net(source, 1, settings, phase=TRAIN))[0] != IMAGE).any()


def test_the_shorter_side_is_drawn_from_a_range(
    make_database: MakeDatabase, data_net: MakeNet
) -> None:
    transform = "crop_size: 5 img_rand_resize_lower: 5 img_rand_resize_upper: 6"
    found = images(data_net(make_database([IMAGE]), 1, transform, phase=TRAIN, seed=1), 40)
    possible = []
    for side, width in ((5, 6), (6, 8)):
        whole = resized(IMAGE, side, width)
        for top in range(side - 4):
            for left in range(width - 4):
                possible.append(whole[:, top : top + 5, left : left + 5])
    seen = {next(i for i, p in enumerate(possible) if (p == image).all()) for image in found}
    assert len(seen) > 5
    same = "crop_size: 5 random_resize_param { min_size: 5 max_size: 6 }"
    other = images(data_net(make_database([IMAGE]), 1, same, phase=TRAIN, seed=1), 40)
    np.testing.assert_array_equal(found, other)


def test_a_mean_image_is_resized_with_images_of_random_sizes(
    tmp_path: Path, make_database: MakeDatabase, data_net: MakeNet
) -> None:
    rows, columns = np.mgrid[:40, :60]
    image = np.stack([2 * rows + 2 * columns + 3 * channel for channel in range(3)])
    np.save(tmp_path / "mean.npy", image[:, 0:40:2, 0:60:3].astype(np.float32))
    transform = f"""crop_size: 20 img_rand_resize_lower: 20 img_rand_resize_upper: 50
        mean_file: "{tmp_path}/mean.npy" """
    source = make_database([image.astype(np.uint8)])
    found = images(data_net(source, 4, transform, phase=TRAIN, seed=1), 3)
    assert np.abs(found).max() < 8  # the mean's pixels lie up to one pixel and a half elsewhere
    assert found.std() < 2


def test_rotation_keeps_the_centre(make_database: MakeDatabase, data_net: MakeNet) -> None:
    image = np.zeros((1, 9, 9), np.uint8)
    image[0, 4] = 200
    found = images(data_net(make_database([image]), 1, "max_rotation: 90", phase=TRAIN, seed=1), 40)
    np.testing.assert_allclose(found[:, 0, 4, 4], 200, atol=1)
    shares = (found[:, 0, 4] > 100).sum(axis=1)
    assert shares.min() == 1  # a column, more or less
    assert shares.max() >= 3


def test_batches_do_not_depend_on_the_number_of_workers(
    make_database: MakeDatabase, data_net: MakeNet
) -> None:
    source = make_database(numbered(7, height=9, width=12))
    transform = """crop_size: 6 mirror: true max_rotation: 20 img_rand_resize_lower: 6
        img_rand_resize_upper: 9 distort_param { contrast_prob: 0.5 contrast_lower: 0.5
        contrast_upper: 1.5 hue_prob: 0.5 hue_delta: 20 saturation_prob: 0.5
        saturation_lower: 0.5 saturation_upper: 2 random_order_prob: 0.5 }"""
    found = []
    for workers in (1, 3):
        net = data_net(source, 3, transform, phase=TRAIN, seed=5)
        net.layers[0].workers = workers
        found.append(images(net, 5))
    np.testing.assert_array_equal(*found)
    assert len({image.tobytes() for image in found[0]}) == 15


def change(**settings: float) -> np.ndarray:
    return distorted(IMAGE, DistortionParameter(**settings), HALF)


def test_brightness_adds_and_contrast_multiplies() -> None:
    image = IMAGE.astype(float)
    found = change(brightness_prob=1, brightness_delta=64)
    np.testing.assert_array_equal(found, (image + 32).clip(0, 255))
    found = change(contrast_prob=1, contrast_lower=0.5, contrast_upper=1.5)
    np.testing.assert_array_equal(found, np.rint(image * 1.25).clip(0, 255))


def test_what_is_not_drawn_changes_nothing() -> None:
    found = change(
        brightness_prob=0.7, brightness_delta=64, hue_prob=0.7, hue_delta=90, random_order_prob=0.7
    )
    np.testing.assert_array_equal(found, IMAGE)


def test_saturation_and_hue_keep_the_greatest_channel() -> None:
    value = IMAGE.max(axis=0)
    for settings in (
        {"saturation_prob": 1, "saturation_lower": 0, "saturation_upper": 1},
        {"hue_prob": 1, "hue_delta": 60},
    ):
        found = change(**settings)
        assert (found != IMAGE).any()
        np.testing.assert_array_equal(found.max(axis=0), value)
    gray = np.full((3, 2, 2), 77, np.uint8)
    param = DistortionParameter(saturation_prob=1, saturation_lower=1, saturation_upper=3)
    np.testing.assert_array_equal(distorted(gray, param, HALF), gray)
    pure = np.zeros((3, 1, 1), np.uint8)
    pure[2] = 255  # red; a third of the circle on is green
    param = DistortionParameter(hue_prob=1, hue_delta=120)
    np.testing.assert_allclose(distorted(pure, param, HALF).ravel(), [0, 255, 0], atol=6)


def test_channels_are_reordered() -> None:
    draws = HALF.copy()
    draws[10:13] = 0.9, 0.1, 0.5
    found = distorted(IMAGE, DistortionParameter(random_order_prob=1), draws)
    np.testing.assert_array_equal(found, IMAGE[[1, 2, 0]])


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        ("max_rotation: 181", "max_rotation must be from 0 to 180"),
        ("img_rand_resize_lower: 5", "the shorter side cannot be from 5 to 0"),
        ("img_rand_resize_lower: 5 img_rand_resize_upper: 6", "need a crop_size"),
        (
            "random_resize_param { min_size: 4 max_size: 6 } crop_size: 5",
            "crop_size 5 does not fit",
        ),
        ("distort_param { hue_delta: -1 }", "hue_delta must not be negative"),
        ("distort_param { contrast_prob: 1 contrast_lower: 1 }", "contrast cannot be from 1 to 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    make_database: MakeDatabase, data_net: MakeNet, transform: str, message: str
) -> None:
    with pytest.raises(Error, match=message):
        data_net(make_database([IMAGE]), 1, transform)


def test_floats_are_not_augmented(make_database: MakeDatabase, data_net: MakeNet) -> None:
    source = make_database([IMAGE.astype(np.float32)])
    with pytest.raises(Error, match="only images of bytes can be augmented"):
        data_net(source, 1, "max_rotation: 9", phase=TRAIN).forward()
