"""The ImageSegData layer: images of any size, cropped with their label images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from small_data import MakeNet

from protonet import Error, Net
from protonet.check.assumed import assumed_shapes
from protonet.ir.protonet_pb2 import LayerParameter

TRAIN, TEST = 0, 1
SIZES = [(6, 8), (3, 5), (7, 4)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds images i.png of SIZES, all grey, whose label images l<i>.png hold the same numbers."""
    for index, size in enumerate(SIZES):
        plane = np.random.default_rng(index).integers(0, 250, size).astype(np.uint8)
        PIL.Image.fromarray(np.stack([plane] * 3, axis=2)).save(tmp_path / f"{index}.png")
        PIL.Image.fromarray(plane).save(tmp_path / f"l{index}.png")
    write_list(tmp_path, *(f"{index}.png l{index}.png" for index in range(len(SIZES))))
    return tmp_path


def write_list(folder: Path, *lines: str) -> None:
    (folder / "list.txt").write_text("".join(f"{line}\n" for line in lines))


def plane(folder: Path, index: int) -> np.ndarray:
    return np.asarray(PIL.Image.open(folder / f"l{index}.png")).astype(float)


def labelled(
    make_net: MakeNet, folder: Path, param: str = "", transform: str = "", **settings: object
) -> Net:
    return make_net(
        f"""
        layer {{ name: "d" type: "ImageSegData" top: "data" top: "label" top: "size"
          image_data_param {{
            source: "{folder}/list.txt" root_folder: "{folder}/" {param} }}
          transform_param {{ {transform} }} }}""",
        **{"phase": TEST, **settings},
    )


def test_small_images_get_a_border_and_large_ones_are_cropped(
    folder: Path, make_net: MakeNet
) -> None:
    transform = "crop_size: 6 mean_value: 10 mean_value: 20 mean_value: 30 scale: 0.5"
    found = labelled(make_net, folder, "batch_size: 3", transform).forward()
    assert found["data"].shape == (3, 3, 6, 6)
    for index, (height, width) in enumerate(SIZES):
        image, label = np.zeros((3, 6, 6)), np.full((6, 6), 255.0)
        rows, columns = min(height, 6), min(width, 6)
        top, left = max(0, height - 6) // 2, max(0, width - 6) // 2
        seen = plane(folder, index)[top : top + rows, left : left + columns]
        label[:rows, :columns] = seen
        image[:, :rows, :columns] = (seen - np.array([10, 20, 30]).reshape(3, 1, 1)) / 2
        np.testing.assert_array_equal(found["label"][index, 0], label)
        np.testing.assert_array_equal(found["data"][index], image)
        assert found["size"][index].ravel().tolist() == [rows, columns]


def test_images_and_labels_are_cropped_mirrored_and_resized_alike(
    folder: Path, make_net: MakeNet
) -> None:
    steps = np.tile(np.repeat(np.arange(4) * 60, 40), (160, 1)).astype(np.uint8)
    PIL.Image.fromarray(steps).save(folder / "steps.png")
    write_list(folder, "steps.png steps.png")
    transform = "crop_size: 20 mirror: true scale_factors: 0.5 scale_factors: 2"
    net = labelled(make_net, folder, "batch_size: 32", transform, phase=TRAIN, seed=1)
    found = net.forward()
    assert set(np.unique(found["label"])) <= {0, 60, 120, 180}  # no class that was not there
    near = np.abs(found["data"][:, :1] - found["label"]) <= 30
    assert near.mean() > 0.9
    steepest = np.abs(np.diff(found["data"][:, 0, 0], axis=1)).max(axis=1)
    assert len(np.unique(steepest[steepest > 0])) > 1  # two sizes


def test_the_label_of_an_image_is_that_of_its_pixels(folder: Path, make_net: MakeNet) -> None:
    write_list(folder, "0.png 7", "1.png 9")
    param = "batch_size: 2 label_type: IMAGE ignore_label: 33"
    found = labelled(make_net, folder, param, "crop_size: 6").forward()
    assert (found["label"][0] == 7).all()
    assert set(np.unique(found["label"][1])) == {9, 33}


def test_images_without_labels_have_the_ignored_one(folder: Path, make_net: MakeNet) -> None:
    write_list(folder, "0.png")
    found = labelled(make_net, folder, "batch_size: 1 label_type: NONE").forward()
    assert found["data"].shape == (1, 3, 6, 8)
    assert (found["label"] == 255).all()
    assert found["size"].ravel().tolist() == [6, 8]


@pytest.mark.parametrize(
    ("line", "param", "text"),
    [
        ("0.png", "", "not two paths"),
        ("0.png l1.png", "", "the label image is 3×5"),
        ("0.png 256", "label_type: IMAGE", "from 0 to 255"),
        ("0.png l0.png", "label_type: IMAGE", "no path and whole number"),
    ],
)
def test_a_bad_line_is_told(
    folder: Path, make_net: MakeNet, line: str, param: str, text: str
) -> None:
    write_list(folder, line)
    with pytest.raises(Error, match=text) as caught:
        labelled(make_net, folder, f"batch_size: 1 {param}").forward()
    assert "list.txt:1" in str(caught.value)


@pytest.mark.parametrize(
    ("transform", "text"),
    [
        ("scale_factors: 2", "need a crop_size"),
        ("crop_size: 3 scale_factors: 0", "must be positive"),
        ("crop_size: 3 max_rotation: 5", "labels would not follow"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    folder: Path, make_net: MakeNet, transform: str, text: str
) -> None:
    with pytest.raises(Error, match=text):
        labelled(make_net, folder, "batch_size: 1", transform, phase=TRAIN)


def test_a_missing_list_leaves_shapes_that_can_be_judged() -> None:
    param = LayerParameter(type="ImageSegData", top=["data", "label", "size"])
    param.image_data_param.batch_size = 2
    param.transform_param.crop_size = 513
    assert assumed_shapes(param) == [(2, 3, 513, 513), (2, 1, 513, 513), (2, 1, 1, 2)]
