"""The IdxData and ImageFolder layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from small_data import MakeNet, numbered

from protonet import Error, Net
from protonet.data.idx import write_idx

DIGITS = np.arange(5 * 12, dtype=np.uint8).reshape(5, 3, 4)


@pytest.fixture
def idx_net(tmp_path: Path, make_net: MakeNet) -> MakeNet:
    write_idx(tmp_path / "images.gz", DIGITS)
    write_idx(tmp_path / "labels", np.array([3, 1, 4, 1, 5], np.uint8))

    def make(param: str = "", transform: str = "", labels: str = "labels", **settings: object):
        return make_net(
            f"""layer {{ name: "d" type: "IdxData" top: "data" top: "label"
            data_param {{ source: "{tmp_path}/images.gz" label_source: "{tmp_path}/{labels}"
            batch_size: 2 {param} }} transform_param {{ {transform} }} }}""",
            **settings,
        )

    return make


def batches(net: Net, count: int) -> tuple[np.ndarray, np.ndarray]:
    found = [{k: v.copy() for k, v in net.forward().items()} for _ in range(count)]
    return tuple(np.concatenate([each[k] for each in found]) for k in ("data", "label"))  # type: ignore[return-value]


def test_idx_files_are_read_around_and_around(idx_net: MakeNet) -> None:
    images, labels = batches(idx_net(transform="scale: 0.5"), 5)
    np.testing.assert_array_equal(images, np.concatenate([DIGITS, DIGITS])[:, None] / 2)
    assert labels.tolist() == [3, 1, 4, 1, 5] * 2


def test_idx_files_are_shuffled_in_each_epoch(idx_net: MakeNet) -> None:
    images, labels = batches(idx_net("shuffle: true", seed=1), 10)
    orders = (images[:, 0, 0, 0] / 12).reshape(4, 5).astype(int)
    assert [sorted(order) for order in orders.tolist()] == [[0, 1, 2, 3, 4]] * 4
    assert len(set(map(tuple, orders.tolist()))) > 1
    np.testing.assert_array_equal(labels, np.array([3, 1, 4, 1, 5])[orders.ravel()])


def test_idx_files_that_do_not_fit_are_told(idx_net: MakeNet, tmp_path: Path) -> None:
    write_idx(tmp_path / "four", np.zeros(4, np.uint8))
    with pytest.raises(Error, match=r"holds 5 images, but .*four 4 labels"):
        idx_net(labels="four")
    with pytest.raises(Error, match=r"the file .*none is not there"):
        idx_net(labels="none")
    with pytest.raises(Error, match="crop_size 9 does not fit"):
        idx_net(transform="crop_size: 9")


def test_folders_are_classes(tmp_path: Path, make_net: MakeNet) -> None:
    images = numbered(4)
    for index, name in enumerate(("dog/1.png", "cat/b/2.PNG", "cat/a.png", "emu/3.png")):
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(images[index][::-1].transpose(1, 2, 0)).save(path)
    (tmp_path / "pets" / "readme.txt").write_text("pets")
    net = make_net(
        f"""layer {{ name: "d" type: "ImageFolder" top: "data" top: "label"
        image_data_param {{ source: "{tmp_path}/pets" batch_size: 4
        label_list: "{tmp_path}/names.txt" }} }}"""
    )
    found, labels = batches(net, 1)
    assert labels.tolist() == [0, 0, 1, 2]
    np.testing.assert_array_equal(found, np.stack([images[i] for i in (2, 1, 0, 3)]))
    assert (tmp_path / "names.txt").read_text() == "cat\ndog\nemu\n"
    (tmp_path / "pets" / "emu" / "3.png").write_bytes(b"")
    with pytest.raises(Error, match=r"pets: class 2: .*emu/3.png: the image cannot be decoded"):
        batches(net, 100)  # more than are made ahead
