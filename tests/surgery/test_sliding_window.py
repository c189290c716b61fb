"""A classifier over all windows of an image: tiled, stitched, boxes and maps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from surgery_nets import conv, fc, image, layer, output, pool, trained

from protonet import Error
from protonet.cli import main
from protonet.surgery.fc_to_conv import fc_to_conv
from protonet.surgery.found_boxes import ScaledScores, best_boxes
from protonet.surgery.heatmap import class_map, overlay
from protonet.surgery.sliding_window import SlidingWindow, Tiling
from protonet.surgery.trained_net import TrainedNet

PLAIN = (
    image(1, 2, 16, 12)
    + conv("conv1", "data", 4, 3)
    + pool("pool1", "conv1", 2, 2)
    + conv("conv2", "pool1", 6, 2, "stride: 2")
    + fc("fc", "conv2", 5)
    + layer("prob", "Softmax", "fc")
)
PADDED = (
    image(1, 2, 16, 12)
    + conv("conv1", "data", 4, 3, "pad: 1")
    + layer("norm", "LRN", "conv1", "lrn_param { local_size: 3 norm_region: WITHIN_CHANNEL }")
    + pool("pool1", "norm", 3, 2)
    + conv("left", "pool1", 3, 5, "pad: 2")
    + conv("right", "pool1", 3, 1)
    + layer("cat", "Concat", "left right")
    + pool("pool2", "cat", 3, 2, "pad: 1")
    + fc("fc", "pool2", 5)
)
VALUES = np.random.default_rng(4).normal(size=(2, 47, 41)).astype(np.float32)


@pytest.mark.parametrize("text", [PLAIN, PADDED], ids=["plain", "padded"])
@pytest.mark.parametrize("tiling", [Tiling(1, 1), Tiling(3, 2), Tiling(8, 3)], ids=str)
def test_tiled_is_untiled(text: str, tiling: Tiling) -> None:
    slider = SlidingWindow(trained(text))
    rows, columns = slider.grid(47, 41)
    whole = slider.scores(VALUES, tiling=Tiling(rows, columns))
    assert whole.shape == (5, 8, 8)
    np.testing.assert_allclose(
        slider.scores(VALUES, tiling=tiling), whole, rtol=0, atol=1e-6 * np.abs(whole).max()
    )


def test_image_that_needs_more_memory_than_allowed_is_tiled() -> None:
    slider = SlidingWindow(trained(PADDED))
    tiling = slider.tiling(470, 410, memory=1_000_000)
    assert slider.tiling(470, 410) == Tiling(*slider.grid(470, 410))
    assert tiling.rows * tiling.columns < 114 * 100 / 4
    with pytest.raises(Error, match="needs more memory"):
        slider.tiling(47, 41, memory=1000)


def test_net_that_sees_the_whole_image_is_not_tiled() -> None:
    text = PLAIN.replace('bottom: "pool1"', 'bottom: "mvn"')
    head, rest = text.split('layer { name: "conv2"')
    slider = SlidingWindow(
        trained(head + layer("mvn", "MVN", "pool1") + 'layer { name: "conv2"' + rest)
    )
    with pytest.raises(Error, match='layer "mvn" sees the whole image'):
        slider.tiling(47, 41, memory=1000)


def test_each_window_has_the_score_it_has_by_itself() -> None:
    net = trained(PLAIN)
    slider = SlidingWindow(net)
    scores = slider.scores(VALUES)
    assert slider.stride == (4, 4)
    for i, j in ((0, 0), (3, 5), (7, 7)):
        alone = output(net, VALUES[None, :, 4 * i : 4 * i + 16, 4 * j : 4 * j + 12], "prob")
        np.testing.assert_allclose(scores[:, i, j], alone[0], rtol=1e-5)


@pytest.mark.parametrize("stride", [(2, 2), (1, 4)], ids=str)
def test_finer_stride_is_stitched_of_shifted_passes(stride: tuple[int, int]) -> None:
    net = trained(PLAIN)
    fine = SlidingWindow(net).fine_scores(VALUES, stride)
    assert fine.shape[1:] == ((47 - 16) // stride[0] + 1, (41 - 12) // stride[1] + 1)
    for i, j in ((0, 0), (5, 3), (fine.shape[1] - 1, fine.shape[2] - 1)):
        top, left = i * stride[0], j * stride[1]
        alone = output(net, VALUES[None, :, top : top + 16, left : left + 12], "prob")
        np.testing.assert_allclose(fine[:, i, j], alone[0], rtol=1e-5)


def test_stride_that_cannot_be_stitched_is_refused() -> None:
    with pytest.raises(Error, match="a stride of 3 cannot be stitched from the net's 4"):
        SlidingWindow(trained(PLAIN)).fine_scores(VALUES, (3, 3))


def test_net_that_was_converted_before_gives_the_same_scores() -> None:
    net = trained(PLAIN)
    converted = fc_to_conv(net).trained
    assert SlidingWindow(converted).window == (14, 10)  # what it reads of 16×12
    again = SlidingWindow(converted, window=(16, 12))
    np.testing.assert_array_equal(again.scores(VALUES), SlidingWindow(net).scores(VALUES))


def test_image_smaller_than_the_window_is_refused() -> None:
    with pytest.raises(Error, match="a window of 16×12 does not fit an image of 10×41"):
        SlidingWindow(trained(PLAIN)).scores(VALUES[:, :10])


def _scaled(scores: np.ndarray) -> ScaledScores:
    return ScaledScores(scores, (0.5, 0.5), (8, 4), (4, 2))


def test_boxes_lie_in_the_image_and_the_best_of_those_that_overlap_stays() -> None:
    scores = np.zeros((2, 3, 4), np.float32)
    scores[1, 0, 0], scores[1, 0, 1], scores[1, 2, 3], scores[0, 0, 0] = 0.9, 0.8, 0.7, 0.1
    found = best_boxes([_scaled(scores)], threshold=0.5, overlap=0.3)
    assert [(box.box, box.class_) for box in found] == [
        ((0.0, 0.0, 8.0, 16.0), 1), ((12.0, 16.0, 20.0, 32.0), 1),
    ]  # fmt: skip
    assert len(best_boxes([_scaled(scores)], threshold=0.5, overlap=0.4)) == 3
    assert best_boxes([_scaled(scores)], threshold=0.05, overlap=0.3, class_=0)[0].score == (
        pytest.approx(0.1)
    )


def test_map_has_a_windows_score_at_its_centre() -> None:
    scores = np.zeros((1, 3, 4), np.float32)
    scores[0, 1, 2] = 1
    made = class_map([_scaled(scores)], 0, 33, 25)
    # Window (1, 2) spans rows 8 to 24 and columns 8 to 16 of the image.
    assert made.argmax() in (15 * 25 + 11, 15 * 25 + 12, 16 * 25 + 11, 16 * 25 + 12)
    assert made.max() > 0.8
    assert made[0].max() == made[:, 0].max() == 0


def test_overlay_is_as_large_as_the_image_and_red_where_it_scores() -> None:
    pixels = np.full((3, 4, 5), 100, np.uint8)
    scores = np.zeros((4, 5), np.float32)
    scores[1, 2] = 1
    picture = overlay(pixels, scores)
    assert picture.shape == (4, 5, 3)
    assert picture[1, 2].argmax() == 0
    assert picture[0, 0].argmax() == 2


def _bright_patch_finder() -> TrainedNet:
    """A net of 12×16 windows, 2 apart: how bright the window is, and how dark."""
    text = (
        image(1, 3, 12, 16)
        + pool("mean", "data", 2, 2, "pool: AVE")
        + fc("fc", "mean", 2, "bias_term: false")
    )
    net = trained(text)
    bright = np.full(3 * 6 * 8, 1 / (255 * 3 * 6 * 8), np.float32)
    net.blobs["fc"] = [np.stack([-bright, bright])]
    return net


@pytest.mark.parametrize(
    ("options", "box"),
    [
        ([], [120, 214, 136, 226]),
        (["--stride", "1"], [121, 213, 137, 225]),
        (["--memory", "1"], [302, 188, 318, 200]),
        (["--scales", "0.5,1"], [20, 12, 52, 36]),
    ],
    ids=["the net's stride", "a finer one", "in tiles", "half the size"],
)
def test_box_is_where_the_thing_is(
    options: list[str], box: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _bright_patch_finder().write("net.prototxt", "net.caffemodel")
    left, top, right, bottom = box
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[top:bottom, left:right] = 250
    Image.fromarray(pixels).save("image.png")
    arguments = ["slide", "net.prototxt", "net.caffemodel", "image.png", "--class", "1"]
    arguments += ["--threshold", "0.8", "--json", "boxes.json", *options]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    found = json.loads(Path("boxes.json").read_text())["boxes"][0]
    assert found["box"] == box
    assert found["class"] == 1


def test_command_writes_map_and_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = PLAIN.replace("dim: 2", "dim: 3", 1)
    trained(text).write("net.prototxt", "net.caffemodel")
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    Image.fromarray(pixels).save("image.png")
    done = CliRunner().invoke(
        main,
        [
            "slide", "net.prototxt", "net.caffemodel", "image.png", "--scales", "1,0.5,0.1",
            "--stride", "2", "--threshold", "0.2", "--out", "map.png", "--json", "boxes.json",
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "scale 0.1: 4×5 is smaller than the window" in done.stderr
    with Image.open("map.png") as picture:
        assert picture.size == (50, 40)
    document = json.loads(Path("boxes.json").read_text())
    assert [row["windows"] for row in document["scales"]] == [[13, 20], [3, 7]]
    assert document["boxes"]
    for row in document["boxes"]:
        left, top, right, bottom = row["box"]
        assert 0 <= left < right <= 50
        assert 0 <= top < bottom <= 40
        assert row["score"] >= 0.2
