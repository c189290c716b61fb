"""The ImageData layer and resizing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from small_data import MakeNet, numbered

from protonet import Error, Net
from protonet.data.resize import resized

TRAIN = 0


def write_images(folder: Path, images: list[np.ndarray]) -> str:
    """Writes images, B G R, as 0.png … with labels 10, 11, … and their list; returns its name."""
    lines = []
    for index, image in enumerate(images):
        PIL.Image.fromarray(image[::-1].transpose(1, 2, 0)).save(folder / f"my {index}.png")
        lines.append(f"my {index}.png {10 + index}\n")
    (folder / "list.txt").write_text("".join(lines))
    return str(folder / "list.txt")


def image_net(
    make_net: MakeNet, source: str, param: str = "", transform: str = "", **settings: object
) -> Net:
    root = Path(source).parent
    return make_net(
        f"""
        layer {{ name: "d" type: "ImageData" top: "data" top: "label"
          image_data_param {{ source: "{source}" root_folder: "{root}/" {param} }}
          transform_param {{ {transform} }} }}""",
        **settings,
    )


def labels(net: Net, count: int) -> list[float]:
    return np.concatenate([net.forward()["label"].copy() for _ in range(count)]).tolist()


def test_images_come_in_the_order_of_the_list_and_start_over(
    tmp_path: Path, make_net: MakeNet
) -> None:
    images = numbered(3)
    net = image_net(make_net, write_images(tmp_path, images), "batch_size: 2")
    found = [{k: v.copy() for k, v in net.forward().items()} for _ in range(3)]
    assert np.concatenate([b["label"] for b in found]).tolist() == [10, 11, 12] * 2
    np.testing.assert_array_equal(np.concatenate([b["data"] for b in found]), np.stack(images * 2))


def test_windows_line_ends_empty_lines_and_no_last_line_end(
    tmp_path: Path, make_net: MakeNet
) -> None:
    source = write_images(tmp_path, numbered(2))
    Path(source).write_bytes(b"my 0.png 3\r\n\r\n\nmy 1.png -4")
    assert labels(image_net(make_net, source), 3) == [3, -4, 3]


def test_grey_and_resized_images(tmp_path: Path, make_net: MakeNet) -> None:
    source = write_images(tmp_path, numbered(2, 3, 9, 7))
    net = image_net(make_net, source, "is_color: false new_height: 5 new_width: 6 batch_size: 2")
    assert net.forward()["data"].shape == (2, 1, 5, 6)


@pytest.mark.parametrize("workers", [1, 3])
def test_shuffling_gives_every_image_once_an_epoch(
    tmp_path: Path, make_net: MakeNet, workers: int
) -> None:
    source = write_images(tmp_path, numbered(8))
    net = image_net(make_net, source, "batch_size: 2 shuffle: true", seed=4)
    net.layers[0].workers = workers
    found = np.reshape(labels(net, 12), (3, 8))
    assert (np.sort(found, axis=1) == np.arange(10, 18)).all()
    assert len({tuple(epoch) for epoch in found.tolist()}) == 3
    again = image_net(make_net, source, "batch_size: 2 shuffle: true", seed=4)
    np.testing.assert_array_equal(np.reshape(labels(again, 12), (3, 8)), found)


def test_rand_skip_begins_within_the_first_so_many(tmp_path: Path, make_net: MakeNet) -> None:
    source = write_images(tmp_path, numbered(6))
    begins = {labels(image_net(make_net, source, "rand_skip: 3", seed=s), 1)[0] for s in range(20)}
    assert begins == {10, 11, 12}


def test_a_restored_layer_goes_on_where_it_was(tmp_path: Path, make_net: MakeNet) -> None:
    source = write_images(tmp_path, numbered(7))
    param = "batch_size: 2 shuffle: true rand_skip: 5"
    net = image_net(make_net, source, param, seed=1)
    labels(net, 5)
    state, wanted = net.layers[0].state(), labels(net, 5)
    other = image_net(make_net, source, param, seed=2)
    other.layers[0].restore(state)
    assert labels(other, 5) == wanted


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "the list is empty"),
        ("\n \n", "the list is empty"),
        ("my 0.png", r"list.txt:1: no path and whole number: 'my 0.png'"),
        ("my 0.png cat", r"list.txt:1: no path and whole number"),
        ("gone.png 1", "gone.png: no such file or directory"),
        ("list.txt 1", "list.txt: the image cannot be decoded"),
        (". 1", "is a directory"),
    ],
)
def test_broken_lists_are_errors_of_the_net(
    tmp_path: Path, make_net: MakeNet, lines: str, message: str
) -> None:
    source = write_images(tmp_path, numbered(1))
    Path(source).write_text(lines)
    with pytest.raises(Error, match=rf"net.prototxt:3:[\s\S]*{message}"):
        image_net(make_net, source)


def test_a_bad_image_is_named_with_its_line_when_its_turn_comes(
    tmp_path: Path, make_net: MakeNet
) -> None:
    source = write_images(tmp_path, numbered(3, 3, 40, 40))
    (tmp_path / "my 2.png").write_bytes((tmp_path / "my 2.png").read_bytes()[:200])
    net = image_net(make_net, source)
    assert labels(net, 2) == [10, 11]
    with pytest.raises(Error, match=r"list.txt:3: .*my 2.png: the image cannot be decoded"):
        net.forward()


def test_images_of_different_sizes_need_new_height_and_width_or_a_crop(
    tmp_path: Path, make_net: MakeNet
) -> None:
    source = write_images(tmp_path, [*numbered(1), *numbered(1, 3, 6, 6)])
    with pytest.raises(Error, match=r"list.txt:2: .*the image is 6×6, but .* is 4×5"):
        image_net(make_net, source, "batch_size: 2").forward()
    image_net(make_net, source, "batch_size: 2 new_height: 3 new_width: 3").forward()
    image_net(make_net, source, "batch_size: 2", "crop_size: 4").forward()


@pytest.mark.parametrize(
    ("param", "message"),
    [
        ("batch_size: 0", "batch_size must be at least 1"),
        ("new_height: 3", "give new_height and new_width, or neither"),
        ("rand_skip: 4", "rand_skip 4 is more than the list's 3 images"),
    ],
)
def test_settings_that_cannot_be_are_errors(
    tmp_path: Path, make_net: MakeNet, param: str, message: str
) -> None:
    with pytest.raises(Error, match=f"net.prototxt:3:.*{message}"):
        image_net(make_net, write_images(tmp_path, numbered(3)), param)


def test_a_missing_list_is_named(make_net: MakeNet) -> None:
    with pytest.raises(Error, match=r"the list file nowhere/list.txt is not there"):
        image_net(make_net, "nowhere/list.txt")


def test_resizing_gives_what_opencv_gives() -> None:
    # cv2.resize(np.array([[0, 10], [100, 255]], np.uint8), (3, 3)) and (5, 1)
    image = np.array([[[0, 10], [100, 255]]], np.uint8)
    assert resized(image, 3, 3).tolist() == [[[0, 5, 10], [50, 91, 133], [100, 177, 255]]]
    assert resized(image, 1, 5).tolist() == [[[50, 58, 91, 124, 133]]]
    noise = ((np.arange(7 * 11) * 37) % 256).astype(np.uint8).reshape(1, 7, 11)
    assert resized(noise, 4, 5).tolist() == [
        [
            [79, 83, 146, 67, 110],
            [87, 136, 218, 75, 125],
            [127, 177, 34, 115, 165],
            [142, 185, 106, 169, 173],
        ]
    ]
    assert resized(image, 2, 2) is image
