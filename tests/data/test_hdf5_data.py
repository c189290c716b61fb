"""The HDF5Data layer."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from small_data import MakeNet

from protonet import Error, Net
from protonet.data import hdf5_source

TRAIN = 0


def write(path: Path, **sets: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in sets.items():
            file[name] = values
    return path


def rows(first: int, count: int) -> np.ndarray:
    """Rows of which each holds its number and twice its number."""
    numbers = np.arange(first, first + count, dtype=np.float32)
    return np.stack([numbers, 2 * numbers], axis=1)


def two_files(folder: Path) -> str:
    files = [
        write(folder / "a.h5", data=rows(0, 4), label=np.arange(4)),
        write(folder / "b.h5", data=rows(4, 3), label=np.arange(4, 7)),
    ]
    return listed(folder, files)


def listed(folder: Path, files: list[Path]) -> str:
    (folder / "list.txt").write_text("".join(f"{file}\n" for file in files) + "\n")
    return str(folder / "list.txt")


def hdf5_net(
    make_net: MakeNet, source: str, batch_size: int = 3, more: str = "", **settings: object
) -> Net:
    return make_net(
        f"""
        layer {{ name: "d" type: "HDF5Data" top: "data" top: "label"
          hdf5_data_param {{ source: "{source}" batch_size: {batch_size} {more} }} }}""",
        **settings,
    )


def labels(net: Net, count: int) -> list[float]:
    return np.concatenate([net.forward()["label"].copy() for _ in range(count)]).tolist()


@pytest.mark.parametrize("batch_size", [1, 3, 7, 10])
def test_rows_come_file_after_file_and_start_over(
    tmp_path: Path, make_net: MakeNet, batch_size: int
) -> None:
    net = hdf5_net(make_net, two_files(tmp_path), batch_size)
    wanted = [i % 7 for i in range(4 * batch_size)]
    for start in range(0, len(wanted), batch_size):
        found = net.forward()
        assert found["label"].tolist() == wanted[start : start + batch_size]
        assert found["data"][:, 1].tolist() == [2 * n for n in found["label"].tolist()]


@pytest.mark.parametrize("in_memory", [True, False])
def test_shuffling_gives_every_row_once_an_epoch_in_an_order_of_its_own(
    tmp_path: Path, make_net: MakeNet, monkeypatch: pytest.MonkeyPatch, in_memory: bool
) -> None:
    if not in_memory:
        monkeypatch.setattr(hdf5_source, "_MOST_BYTES_IN_MEMORY", 0)
    source = two_files(tmp_path)
    epochs = []
    net = hdf5_net(make_net, source, 7, "shuffle: true", seed=3)
    for _ in range(6):
        found = net.forward()
        epochs.append(tuple(found["label"].tolist()))
        assert found["data"][:, 0].tolist() == found["label"].tolist()
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len(set(epochs)) > 3
    first_files = {tuple(sorted(epoch[:4])) for epoch in epochs}
    assert len(first_files) > 1  # the files change places too


def test_shuffled_rows_depend_on_the_seed_alone(tmp_path: Path, make_net: MakeNet) -> None:
    source = two_files(tmp_path)
    found = []
    for seed, workers in ((1, 1), (1, 3), (2, 1)):
        net = hdf5_net(make_net, source, 2, "shuffle: true", seed=seed)
        net.layers[0].workers = workers
        found.append(labels(net, 14))
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_a_restored_layer_goes_on_where_it_was(tmp_path: Path, make_net: MakeNet) -> None:
    source = two_files(tmp_path)
    net = hdf5_net(make_net, source, 2, "shuffle: true", seed=1)
    labels(net, 5)
    state, wanted = net.layers[0].state(), labels(net, 5)
    other = hdf5_net(make_net, source, 2, "shuffle: true", seed=9)
    other.layers[0].restore(state)
    assert labels(other, 5) == wanted


def test_a_top_is_the_data_set_of_its_name(tmp_path: Path, make_net: MakeNet) -> None:
    file = write(tmp_path / "a.h5", x=rows(0, 2), y=np.ones((2, 3, 4)), z=np.zeros(2))
    net = make_net(f"""
        layer {{ name: "d" type: "HDF5Data" top: "y" top: "x"
          hdf5_data_param {{ source: "{listed(tmp_path, [file])}" batch_size: 2 }} }}""")
    found = net.forward()
    assert {name: values.shape for name, values in found.items()} == {"x": (2, 2), "y": (2, 3, 4)}


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ({"data": rows(0, 2), "labels": np.arange(2)}, r'no data set "label"[\s\S]*"labels"\?'),
        ({"data": rows(0, 2), "label": np.arange(3)}, '"label" has 3 rows, but "data" has 2'),
        ({"data": rows(0, 2), "label": np.array([b"a", b"b"])}, "holds .*, not numbers"),
        ({"data": rows(0, 2), "label": np.float32(1)}, "is one value, not rows"),
    ],
)
def test_data_sets_that_do_not_fit_are_errors(
    tmp_path: Path, make_net: MakeNet, sets: dict[str, np.ndarray], message: str
) -> None:
    file = write(tmp_path / "a.h5", **sets)
    with pytest.raises(Error, match=rf"net.prototxt:3:[\s\S]*a.h5: [\s\S]*{message}"):
        hdf5_net(make_net, listed(tmp_path, [file]))


def test_a_later_file_with_rows_of_another_shape_is_named(
    tmp_path: Path, make_net: MakeNet
) -> None:
    files = [
        write(tmp_path / "a.h5", data=rows(0, 2), label=np.arange(2)),
        write(tmp_path / "b.h5", data=np.zeros((2, 5)), label=np.arange(2)),
    ]
    net = hdf5_net(make_net, listed(tmp_path, files))
    with pytest.raises(Error, match=r'b.h5: a row of "data" is \(5,\), but in .*a.h5 it is \(2,\)'):
        net.forward()


def test_missing_and_broken_files_are_named(tmp_path: Path, make_net: MakeNet) -> None:
    with pytest.raises(Error, match=r"the list file nowhere.txt is not there"):
        hdf5_net(make_net, "nowhere.txt")
    with pytest.raises(Error, match="the list is empty"):
        hdf5_net(make_net, listed(tmp_path, []))
    with pytest.raises(Error, match=r"gone.h5 is not there"):
        hdf5_net(make_net, listed(tmp_path, [Path("gone.h5")]))
    (tmp_path / "text.h5").write_text("hello" * 1000)
    with pytest.raises(Error, match=r"text.h5: not a readable HDF5 file"):
        hdf5_net(make_net, listed(tmp_path, [tmp_path / "text.h5"]))
    whole = write(tmp_path / "a.h5", data=rows(0, 400), label=np.arange(400))
    (tmp_path / "cut.h5").write_bytes(whole.read_bytes()[:-1000])
    with pytest.raises(Error, match=r"cut.h5: not a readable HDF5 file"):
        hdf5_net(make_net, listed(tmp_path, [tmp_path / "cut.h5"]))
    empty = write(tmp_path / "e.h5", data=np.zeros((0, 2)), label=np.zeros(0))
    with pytest.raises(Error, match="the files have no rows"):
        hdf5_net(make_net, listed(tmp_path, [empty])).forward()


def test_settings_that_cannot_be_are_errors(tmp_path: Path, make_net: MakeNet) -> None:
    with pytest.raises(Error, match="batch_size must be at least 1"):
        hdf5_net(make_net, two_files(tmp_path), 0)
    with pytest.raises(Error, match="does not transform"):
        hdf5_net(make_net, two_files(tmp_path), 1, "} transform_param { scale: 2")


def test_float64_and_integers_become_the_nets_type(tmp_path: Path, make_net: MakeNet) -> None:
    file = write(tmp_path / "a.h5", data=np.array([[1.1], [2.2]]), label=np.array([1, 2], np.int16))
    source = listed(tmp_path, [file])
    assert hdf5_net(make_net, source, 2, dtype=np.float64).forward()["data"].tolist() == [
        [1.1],
        [2.2],
    ]
    assert hdf5_net(make_net, source, 2).forward()["data"].dtype == np.float32
