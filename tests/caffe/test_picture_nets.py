"""Classifier and Detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import protonet.caffe as caffe

NET = """
layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape {{ dim: {batch} dim: 3 dim: 4 dim: 4 }} }} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param {{ num_output: 5 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "prob" type: "Softmax" bottom: "ip" top: "prob" }}
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A net that sees 4×4 pixels in batches of 3, and its weights."""
    (tmp_path / "net.prototxt").write_text(NET.format(batch=3))
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    net.save(str(tmp_path / "net.caffemodel"))
    return str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel")


def scores(net: caffe.Net, examples: np.ndarray) -> np.ndarray:
    """The softmax of the net's one matrix, without the net."""
    weight = net.params["ip"][0].data
    raised = np.exp(examples.reshape(len(examples), -1).astype(np.float64) @ weight.T)
    return raised / raised.sum(1, keepdims=True)


def test_a_picture_is_judged_by_its_centre(files: tuple[str, str]) -> None:
    classifier = caffe.Classifier(
        *files, image_dims=(6, 8), raw_scale=255, mean=np.array([1.0, 2.0, 3.0]),
        input_scale=0.01, channel_swap=(2, 1, 0),
    )  # fmt: skip
    pictures = np.random.default_rng(0).uniform(size=(4, 6, 8, 3)).astype(np.float32)
    found = classifier.predict(pictures, oversample=False)
    centres = pictures[:, 1:5, 2:6, ::-1].transpose(0, 3, 1, 2) * 255
    centres = (centres - np.array([1.0, 2.0, 3.0])[:, None, None]) * 0.01
    np.testing.assert_allclose(found, scores(classifier, centres), rtol=1e-4)


def test_ten_pieces_are_averaged(files: tuple[str, str]) -> None:
    classifier = caffe.Classifier(*files, image_dims=[6, 6])
    pictures = np.random.default_rng(0).uniform(size=(2, 6, 6, 3)).astype(np.float32)
    found = classifier.predict(pictures)
    pieces = caffe.io.oversample(pictures, (4, 4)).transpose(0, 3, 1, 2)
    wanted = scores(classifier, pieces).reshape(2, 10, 5).mean(1)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_pictures_of_any_size_are_resized(files: tuple[str, str]) -> None:
    classifier = caffe.Classifier(*files)
    pictures = [np.ones((h, w, 3)) for h, w in ((4, 4), (7, 5), (30, 10))]
    found = classifier.predict(pictures, False)
    np.testing.assert_allclose(found, found[[0, 0, 0]], rtol=1e-5)


@pytest.fixture
def picture(tmp_path: Path) -> str:
    pixels = np.random.default_rng(0).integers(256, size=(10, 12, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return str(tmp_path / "picture.png")


def test_windows_are_cut_and_classified(files: tuple[str, str], picture: str) -> None:
    detector = caffe.Detector(*files)
    windows = [np.array([0, 0, 4, 4]), np.array([2, 3, 6, 7])]
    found = detector.detect_windows([(picture, windows)] * 2)
    pixels = caffe.io.load_image(picture).transpose(2, 0, 1)
    wanted = scores(detector, np.stack([pixels[:, 0:4, 0:4], pixels[:, 2:6, 3:7]]))
    assert len(found) == 4
    for index, detection in enumerate(found):
        assert detection["filename"] == picture
        np.testing.assert_array_equal(detection["window"], windows[index % 2])
        np.testing.assert_allclose(detection["prediction"], wanted[index % 2], rtol=1e-4)
    assert detector.detect_windows([]) == []


def test_context_surrounds_the_window(files: tuple[str, str], picture: str) -> None:
    mean = np.array([51.0, 102.0, 153.0])
    detector = caffe.Detector(
        *files, mean=mean, raw_scale=255.0, channel_swap=(2, 1, 0), context_pad=1
    )
    pixels = caffe.io.load_image(picture)
    inside = detector.crop(pixels, np.array([4, 4, 5, 5]))
    assert inside.shape == (4, 4, 3)
    corner = detector.crop(pixels, np.array([0, 0, 3, 3]))
    np.testing.assert_allclose(corner[0, 0], mean[::-1] / 255, rtol=1e-6)  # outside: the mean
    assert not np.allclose(corner[1:, 1:], mean[::-1] / 255)
    assert len(detector.detect_windows([(picture, [(0, 0, 3, 3), (4, 4, 9, 9)])])) == 2
    with pytest.raises(RuntimeError, match="nothing of the picture"):
        detector.crop(pixels, np.array([50, 50, 60, 60]))


def test_selective_search_needs_its_package(files: tuple[str, str], picture: str) -> None:
    with pytest.raises(RuntimeError, match="selective_search_ijcv_with_python"):
        caffe.Detector(*files).detect_selective_search([picture])
