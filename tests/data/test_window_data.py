"""The WindowData layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from small_data import MakeNet, numbered

from protonet import Error, Net
from protonet.data.mean_image import write_mean
from protonet.data.resize import resized
from protonet.data.window_batches import WindowPlace, window_place

TRAIN = 0
IMAGES = numbered(2, height=20, width=30)
WINDOWS = (  # class, overlap, x1 y1 x2 y2
    "# 0\nimages/0.png\n3\n20\n30\n3\n2 0.9 4 5 11 12\n2 0.3 0 0 9 9\n7 0.6 10 2 29 19\n"
    "# 1\nimages/1.png\n3\n20\n30\n1\n5 0.1 8 8 15 15\n"
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for index, image in enumerate(IMAGES):
        PIL.Image.fromarray(image[::-1].transpose(1, 2, 0)).save(tmp_path / f"images/{index}.png")
    (tmp_path / "windows.txt").write_text(WINDOWS)
    return tmp_path / "windows.txt"


def window_net(
    make_net: MakeNet, source: Path, param: str = "", transform: str = "", **settings: object
) -> Net:
    return make_net(
        f"""
        layer {{ name: "w" type: "WindowData" top: "data" top: "label"
          window_data_param {{ source: "{source}" root_folder: "{source.parent}/" {param} }}
          transform_param {{ crop_size: 8 {transform} }} }}""",
        **settings,
    )


def batches(net: Net, count: int = 1) -> tuple[np.ndarray, np.ndarray]:
    found = [{k: v.copy() for k, v in net.forward().items()} for _ in range(count)]
    return tuple(np.concatenate([each[k] for each in found]) for k in ("data", "label"))  # type: ignore[return-value]


def test_a_batch_is_background_first_and_a_share_of_objects(
    source: Path, make_net: MakeNet
) -> None:
    net = window_net(make_net, source, "batch_size: 8")
    images, labels = batches(net, 20)
    labels = labels.reshape(20, 8)
    assert not labels[:, :6].any()
    assert set(labels[:, 6:].ravel().tolist()) == {2, 7}
    background = [IMAGES[0][:, :10, :10], IMAGES[1][:, 8:16, 8:16]]
    crops = [resized(part, 8, 8) for part in background]
    seen = {next(i for i, c in enumerate(crops) if (image == c).all()) for image in images[:6]}
    assert seen <= {0, 1}
    np.testing.assert_array_equal(images[labels.ravel() == 2][0], IMAGES[0][:, 5:13, 4:12])


def test_thresholds_say_what_is_an_object_and_what_background(
    source: Path, make_net: MakeNet
) -> None:
    param = "batch_size: 4 fg_fraction: 0.5 fg_threshold: 0.8 bg_threshold: 0.2"
    images, labels = batches(window_net(make_net, source, param), 10)
    assert set(labels.tolist()) == {0, 2}
    np.testing.assert_array_equal(images[0], IMAGES[1][:, 8:16, 8:16])


def test_mean_scale_and_mirror(source: Path, make_net: MakeNet) -> None:
    mean = np.arange(3 * 12 * 12, dtype=np.float32).reshape(3, 12, 12)
    write_mean(source.parent / "mean.binaryproto", mean)
    param = "batch_size: 16 fg_fraction: 1 fg_threshold: 0.8 scale: 0.5"
    transform = f'mirror: true mean_file: "{source.parent}/mean.binaryproto"'
    images, _ = batches(window_net(make_net, source, param, transform))
    plain = IMAGES[0][:, 5:13, 4:12]
    expected = [(x - mean[:, 2:10, 2:10]) * np.float32(0.5) for x in (plain, plain[:, :, ::-1])]
    which = [next(i for i, e in enumerate(expected) if (image == e).all()) for image in images]
    assert set(which) == {0, 1}
    images, _ = batches(
        window_net(make_net, source, param, "mean_value: 1 mean_value: 2 mean_value: 3")
    )
    expected = (plain - np.float32([[[1]], [[2]], [[3]]])) * np.float32(0.5)
    np.testing.assert_array_equal(images[0], expected)


@pytest.mark.parametrize(
    ("window", "settings", "place"),
    [
        # all of the image: half 5 · 8/4 = 10 around (5, 5): −5 … 15, of which 0 … 9 are there
        ((0, 0, 9, 9), (8, 2, False, False), WindowPlace(0, 9, 0, 9, 4, 4, 2, 2)),
        # a square of the longer side: 8 around (6, 4), rows 0 … 8
        ((2, 3, 9, 4), (8, 0, True, False), WindowPlace(0, 8, 2, 9, 8, 7, 0, 0)),
        ((2, 3, 9, 4), (8, 0, True, True), WindowPlace(0, 8, 2, 9, 8, 7, 0, 1)),
        ((2, 3, 9, 4), (8, 0, False, True), WindowPlace(3, 4, 2, 9, 8, 8, 0, 0)),
    ],
)
def test_windows_are_widened_and_clipped(
    window: tuple[int, ...], settings: tuple[int, int, bool, bool], place: WindowPlace
) -> None:
    assert window_place(np.array(window, float), 10, 10, *settings) == place


def test_what_lies_outside_the_image_is_zero(source: Path, make_net: MakeNet) -> None:
    source.write_text("# 0\nimages/0.png\n3\n20\n30\n1\n1 1 0 0 29 19\n")
    param = "batch_size: 1 fg_fraction: 1 context_pad: 2"
    images, _ = batches(window_net(make_net, source, param, "mean_value: 9"))
    inside = images[0][:, 2:6, 2:6]
    assert (inside != 0).any()
    assert abs(images[0]).sum() == abs(inside).sum()


def test_the_same_windows_come_with_and_without_a_cache(source: Path, make_net: MakeNet) -> None:
    found = [
        batches(window_net(make_net, source, f"batch_size: 4 cache_images: {cache}", seed=3), 5)[0]
        for cache in ("true", "false")
    ]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# 1", "1", r"windows.txt:10: expected `# number`"),
        ("\n20\n", "\nx\n", r"windows.txt:1: no whole numbers for channels, height"),
        ("\n3\n20\n", "\n1\n20\n", r"windows.txt:1: an image of 1×20×30"),
        ("2 0.3 0 0 9 9", "2 0.3 0 0 9", r"windows.txt:8: not `class overlap x1 y1 x2 y2`"),
        ("7 0.6", "0 0.6", r"windows.txt:9: class 0 for an object"),
        ("5 0.1 8 8 15 15\n", "", r"the file ends before 1 windows"),
        ("8 8 15 15", "8 8 40 15", r"images/1.png: the window 8 8 40 15 is not inside the image"),
        ("images/1.png", "images/none.png", r"images/none.png: no such file"),
        (WINDOWS, "", r"windows.txt: the window file is empty"),
        ("0.3", "0.6", None),
    ],
)
def test_broken_window_files_are_told(
    source: Path, make_net: MakeNet, old: str, new: str, message: str | None
) -> None:
    source.write_text(WINDOWS.replace(old, new, 1))
    net = window_net(make_net, source, "batch_size: 8")
    if message is None:
        assert (batches(net)[1][:6] == 0).all()
        return
    with pytest.raises(Error, match=message):
        batches(net, 3)


def test_a_missing_kind_of_window_is_told(source: Path, make_net: MakeNet) -> None:
    net = window_net(make_net, source, "batch_size: 8 fg_threshold: 1")
    with pytest.raises(Error, match="no window is foreground, but 2 of a batch are"):
        net.forward()


@pytest.mark.parametrize(
    ("param", "transform", "message"),
    [
        ("context_pad: 4", "", "context_pad must be less than half of crop_size 8"),
        ('crop_mode: "wrap"', "", 'unknown crop_mode "wrap"'),
        ("fg_fraction: 1.5", "", "fg_fraction must be from 0 to 1"),
        ("", "mean_value: 1 mean_value: 2", "one mean_value, or three"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    source: Path, make_net: MakeNet, param: str, transform: str, message: str
) -> None:
    with pytest.raises(Error, match=message):
        window_net(make_net, source, f"batch_size: 2 {param}", transform)
