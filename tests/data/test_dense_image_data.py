"""The DenseImageData layer: images whose labels are images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from small_data import MakeNet

from protonet import Error, Net

TRAIN = 0


def write_pairs(folder: Path, count: int = 3, size: tuple[int, int] = (6, 8)) -> list[np.ndarray]:
    """Writes grey-ish images i.png, whose label images l<i>.png hold the same numbers, and
    list.txt; returns the H×W numbers."""
    numbers = []
    for index in range(count):
        random = np.random.default_rng(index)
        plane = random.integers(0, 256, size).astype(np.uint8)
        PIL.Image.fromarray(np.stack([plane] * 3, axis=2)).save(folder / f"{index}.png")
        PIL.Image.fromarray(plane).save(folder / f"l{index}.png")
        numbers.append(plane)
    lines = [f"{index}.png l{index}.png\n" for index in range(count)]
    (folder / "list.txt").write_text("".join(lines))
    return numbers


def dense_net(
    make_net: MakeNet, folder: Path, param: str = "", transform: str = "", **settings: object
) -> Net:
    return make_net(
        f"""
        layer {{ name: "d" type: "DenseImageData" top: "data" top: "label"
          dense_image_data_param {{
            source: "{folder}/list.txt" root_folder: "{folder}/" {param} }}
          transform_param {{ {transform} }} }}""",
        **settings,
    )


def test_images_and_labels_come_in_pairs(tmp_path: Path, make_net: MakeNet) -> None:
    planes = write_pairs(tmp_path)
    net = dense_net(make_net, tmp_path, "batch_size: 2", "mean_value: 10 scale: 0.5")
    for first in (0, 2, 1):
        found = net.forward()
        assert found["data"].shape == (2, 3, 6, 8)
        assert found["label"].shape == (2, 1, 6, 8)
        for image in range(2):
            plane = planes[(first + image) % 3]
            np.testing.assert_array_equal(found["label"][image, 0], plane)
            np.testing.assert_array_equal(found["data"][image, 1], (plane - 10.0) * 0.5)


def test_crop_and_mirror_are_the_same_for_both(tmp_path: Path, make_net: MakeNet) -> None:
    write_pairs(tmp_path, 4)
    net = dense_net(
        make_net, tmp_path, "batch_size: 4 shuffle: true", "crop_size: 3 mirror: true", phase=TRAIN
    )
    seen = set()
    for _ in range(8):
        found = net.forward()
        assert found["label"].shape == (4, 1, 3, 3)
        np.testing.assert_array_equal(found["data"][:, :1], found["label"])
        seen.add(found["label"].tobytes())
    assert len(seen) == 8


def test_labels_are_resized_without_new_classes(tmp_path: Path, make_net: MakeNet) -> None:
    planes = write_pairs(tmp_path)
    net = dense_net(
        make_net, tmp_path, "batch_size: 1 new_height: 12 new_width: 8 label_divide_factor: 4"
    )
    found = net.forward()
    assert found["data"].shape == (1, 3, 12, 8)
    np.testing.assert_array_equal(found["label"][0, 0], planes[0][::2, ::4])


def test_check_knows_the_shapes_without_the_data(tmp_path: Path) -> None:
    from protonet.check.examine import examine

    (tmp_path / "net.prototxt").write_text("""
    layer { name: "d" type: "DenseImageData" top: "data" top: "label"
      dense_image_data_param { source: "nowhere.txt" batch_size: 2 new_height: 32 new_width: 64
        label_divide_factor: 8 } }
    layer { name: "c" type: "Convolution" bottom: "data" top: "c"
      convolution_param { num_output: 4 kernel_size: 8 stride: 8 } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "c" bottom: "label" }""")
    found = examine(str(tmp_path / "net.prototxt"))
    assert not [d for d in found.diagnostics if d.severity == "error"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("0.png\n", "not two paths"),
        ("0.png missing.png\n", "no such file"),
        ("0.png list.txt\n", "list.txt"),
    ],
)
def test_a_bad_line_is_told(tmp_path: Path, make_net: MakeNet, line: str, text: str) -> None:
    write_pairs(tmp_path)
    (tmp_path / "list.txt").write_text("0.png l0.png\n" + line)
    net = dense_net(make_net, tmp_path, "batch_size: 1")
    net.forward()
    with pytest.raises(Error, match=text) as caught:
        net.forward()
    assert "list.txt:2" in str(caught.value)


def test_a_crop_of_images_and_labels_of_different_sizes_is_refused(
    tmp_path: Path, make_net: MakeNet
) -> None:
    write_pairs(tmp_path)
    PIL.Image.fromarray(np.zeros((5, 8), np.uint8)).save(tmp_path / "l1.png")
    net = dense_net(make_net, tmp_path, "batch_size: 1", "crop_size: 3")
    net.forward()
    with pytest.raises(Error, match="label image is 5×8"):
        net.forward()


@pytest.mark.parametrize(
    ("param", "transform", "text"),
    [
        ("batch_size: 0", "", "batch_size must be at least 1"),
        ("batch_size: 1 new_height: 5", "", "give new_height and new_width"),
        ("batch_size: 1 label_divide_factor: 2", "", "goes with new_height"),
        ("batch_size: 1 rand_skip: 9", "", "more than the list"),
        (
            "batch_size: 1 new_height: 6 new_width: 6 label_divide_factor: 2",
            "crop_size: 3",
            "cannot be cropped",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, make_net: MakeNet, param: str, transform: str, text: str
) -> None:
    write_pairs(tmp_path)
    with pytest.raises(Error, match=text):
        dense_net(make_net, tmp_path, param, transform)
