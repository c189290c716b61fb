"""caffe.io: messages, pictures and the Transformer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import protonet.caffe as caffe
from protonet.caffe import io


def test_blobs_of_both_forms_become_arrays() -> None:
    blob = caffe.proto.caffe_pb2.BlobProto(data=range(100))
    with pytest.raises(ValueError, match="reshape"):
        io.blobproto_to_array(blob)
    blob.shape.dim.extend([10, 10])
    assert io.blobproto_to_array(blob).shape == (10, 10)
    blob.num, blob.channels, blob.height, blob.width = 1, 1, 20, 5
    assert io.blobproto_to_array(blob).shape == (1, 1, 20, 5)


def test_a_blob_without_shape_is_a_scalar() -> None:
    assert io.blobproto_to_array(caffe.proto.caffe_pb2.BlobProto(data=[123])) == 123


def test_arrays_and_gradients_go_there_and_back() -> None:
    array = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    blob = io.array_to_blobproto(array, -array)
    np.testing.assert_array_equal(io.blobproto_to_array(blob), array)
    np.testing.assert_array_equal(io.blobproto_to_array(blob, return_diff=True), -array)
    packed = io.arraylist_to_blobprotovector_str([array, array[0]])
    first, second = io.blobprotovector_str_to_arraylist(packed)
    np.testing.assert_array_equal(first, array)
    np.testing.assert_array_equal(second, array[0])


def test_a_datum_without_label_has_none() -> None:
    array = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)
    labelled, plain = io.array_to_datum(array, label=1), io.array_to_datum(array)
    assert labelled.label == 1
    assert len(labelled.SerializeToString()) > len(plain.SerializeToString())
    assert not plain.HasField("label")


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_datum_gives_its_array_back(dtype: type) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    datum = io.array_to_datum(array, np.int64(3))
    assert (datum.channels, datum.height, datum.width, datum.label) == (2, 3, 4, 3)
    back = io.datum_to_array(datum)
    np.testing.assert_array_equal(back, array)
    back += 1  # it is the caller's own
    with pytest.raises(ValueError, match="Incorrect array shape"):
        io.array_to_datum(array[0])


def saved(tmp_path: Path, pixels: np.ndarray, mode: str | None = None) -> str:
    path = str(tmp_path / "picture.png")
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)
    return path


def test_pictures_are_red_green_blue_from_0_to_1(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(4, 5, 3)).astype(np.uint8)
    picture = io.load_image(saved(tmp_path, pixels))
    assert picture.dtype == np.float32
    np.testing.assert_allclose(picture, pixels / 255.0, atol=1e-7)
    gray = io.load_image(saved(tmp_path, pixels), color=False)
    np.testing.assert_allclose(gray[:, :, 0], pixels @ [0.2125, 0.7154, 0.0721] / 255, atol=1e-6)
    assert gray.shape == (4, 5, 1)


def test_gray_pictures_get_as_many_channels_as_asked_for(tmp_path: Path) -> None:
    pixels = np.arange(20, dtype=np.uint8).reshape(4, 5)
    name = saved(tmp_path, pixels)
    color, gray = io.load_image(name), io.load_image(name, False)
    assert (color.shape, gray.shape) == ((4, 5, 3), (4, 5, 1))
    for channel in range(3):
        np.testing.assert_array_equal(color[:, :, channel], gray[:, :, 0])


def test_transparency_is_dropped_and_sixteen_bits_are_kept(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(3, 3, 4)).astype(np.uint8)
    np.testing.assert_allclose(
        io.load_image(saved(tmp_path, pixels)), pixels[:, :, :3] / 255.0, atol=1e-7
    )
    deep = np.array([[0, 1000], [40000, 65535]], np.uint16)
    np.testing.assert_allclose(
        io.load_image(saved(tmp_path, deep), False)[:, :, 0], deep / 65535.0, atol=1e-7
    )


def test_a_picture_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(OSError, match=r"text\.jpg"):
        io.load_image(str(tmp_path / "text.jpg"))
    with pytest.raises(FileNotFoundError):
        io.load_image(str(tmp_path / "nowhere.jpg"))


def test_resizing_takes_pixels_as_areas() -> None:
    """As scikit-image: half a pixel of the edge is mixed with the lowest value outside."""
    row = np.array([1.0, 3.0, 5.0, 2.0], np.float32).reshape(1, 4, 1)
    half = io.resize_image(np.repeat(row, 2, 0), (1, 2))
    np.testing.assert_allclose(half[0, :, 0], [2, 3.5])
    double = io.resize_image(np.repeat(row, 8, 0), (8, 8))[4, :, 0]
    np.testing.assert_allclose(double, [1, 1.5, 2.5, 3.5, 4.5, 4.25, 2.75, 1.75])


def test_resizing_other_numbers_of_channels_keeps_the_corners() -> None:
    image = np.random.default_rng(0).normal(size=(3, 5, 2)).astype(np.float32)
    resized = io.resize_image(image, (5, 9))
    np.testing.assert_allclose(resized[::2, ::2], image, atol=1e-6)
    np.testing.assert_allclose(resized[1, ::2], (image[0] + image[1]) / 2, atol=1e-6)


@pytest.mark.parametrize("order", range(6))
def test_the_last_point_is_inside_however_its_place_is_rounded(order: int) -> None:
    """Of 30 points, 29/7 apart, the eighth comes to lie at 29.000000000000004."""
    if order > 1:
        pytest.importorskip("scipy")
    image = np.random.default_rng(0).normal(size=(30, 30, 2)).astype(np.float32)
    resized = io.resize_image(image, (8, 10), order)
    np.testing.assert_allclose(resized[-1, -1], image[-1, -1], atol=1e-5)


def test_resizing_may_take_the_nearest_pixel() -> None:
    image = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    np.testing.assert_array_equal(
        io.resize_image(image, (4, 4), interp_order=0), image.repeat(2, 0).repeat(2, 1)
    )


def test_a_constant_picture_stays_constant() -> None:
    resized = io.resize_image(np.full((4, 4, 3), 7.0), (6, 3))
    assert resized.dtype == np.float32
    np.testing.assert_array_equal(resized, np.full((6, 3, 3), 7.0))


def test_ten_pieces_are_cut_from_each_picture() -> None:
    pictures = np.random.default_rng(0).normal(size=(2, 6, 8, 3)).astype(np.float32)
    crops = io.oversample(pictures, (4, 4))
    assert (crops.shape, crops.dtype) == ((20, 4, 4, 3), np.float32)
    second = pictures[1]
    places = [(0, 0), (0, 4), (2, 0), (2, 4), (1, 2)]
    for number, (top, left) in enumerate(places):
        piece = second[top : top + 4, left : left + 4]
        np.testing.assert_array_equal(crops[10 + number], piece)
        np.testing.assert_array_equal(crops[15 + number], piece[:, ::-1])


@pytest.fixture
def transformer() -> io.Transformer:
    made = io.Transformer({"data": (1, 3, 4, 5)})
    made.set_transpose("data", (2, 0, 1))
    made.set_channel_swap("data", (2, 1, 0))
    made.set_raw_scale("data", 255.0)
    made.set_mean("data", np.array([10.0, 20.0, 30.0]))
    made.set_input_scale("data", 0.5)
    return made


def test_steps_come_in_caffes_order(transformer: io.Transformer) -> None:
    picture = np.random.default_rng(0).uniform(size=(4, 5, 3)).astype(np.float32)
    before = picture.copy()
    made = transformer.preprocess("data", picture)
    wanted = (picture[:, :, ::-1] * 255.0 - [10, 20, 30]) * 0.5
    np.testing.assert_allclose(made, wanted.transpose(2, 0, 1), rtol=1e-5, atol=1e-5)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(picture, before)
    back = transformer.deprocess("data", made[np.newaxis])
    np.testing.assert_allclose(back, picture, atol=1e-6)


def test_pictures_of_another_size_are_resized(transformer: io.Transformer) -> None:
    assert transformer.preprocess("data", np.ones((9, 7, 3))).shape == (3, 4, 5)


def test_mean_images_are_resized() -> None:
    transformer = io.Transformer({"data": (1, 3, 4, 4)})
    mean = np.arange(3 * 8 * 8, dtype=float).reshape(3, 8, 8)
    transformer.set_mean("data", mean)
    np.testing.assert_allclose(
        transformer.mean["data"], mean.reshape(3, 4, 2, 4, 2).mean((2, 4)), rtol=1e-5
    )
    transformer.set_mean("data", mean[0, :4, :4])
    transformer.set_transpose("data", (2, 0, 1))
    made = transformer.preprocess("data", np.zeros((4, 4, 3)))
    np.testing.assert_array_equal(made, -mean[[0, 0, 0], :4, :4])


def test_settings_that_do_not_fit_are_refused(transformer: io.Transformer) -> None:
    with pytest.raises(Exception, match="not one of the net inputs"):
        transformer.set_raw_scale("image", 1)
    with pytest.raises(Exception, match="Transpose order"):
        transformer.set_transpose("data", (1, 0))
    with pytest.raises(Exception, match="Channel swap"):
        transformer.set_channel_swap("data", (1, 0))
    with pytest.raises(ValueError, match="Mean channels"):
        transformer.set_mean("data", np.ones(4))
    with pytest.raises(ValueError, match="Mean shape"):
        transformer.set_mean("data", np.ones((1, 3, 4, 5)))
