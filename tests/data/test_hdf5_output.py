"""The HDF5Output layer."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from small_data import MakeNet

from protonet import Error, Net

FOLDER = Path(__file__).parents[1] / "golden" / "layers" / "HDF5Output"


@pytest.fixture
def output_net(tmp_path: Path, make_net: MakeNet) -> Net:
    """A net that writes x, 2×3, and y, 2, to out.h5."""
    return make_net(
        f"""
        layer {{ name: "in" type: "Input" top: "x" top: "y"
          input_param {{ shape {{ dim: 2 dim: 3 }} shape {{ dim: 2 }} }} }}
        layer {{ name: "out" type: "HDF5Output" bottom: "x" bottom: "y"
          hdf5_output_param {{ file_name: "{tmp_path}/out.h5" }} }}"""
    )


def test_the_file_is_as_caffe_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recorded = np.load(FOLDER / "two_blobs.npz")
    net = Net(str(FOLDER / "two_blobs.prototxt"))
    net.forward(a=recorded["in/a"], b=recorded["in/b"])
    net.close()
    with (
        h5py.File("two_blobs.written.h5") as found,
        h5py.File(FOLDER / "two_blobs.expected.h5") as expected,
    ):
        assert sorted(found) == sorted(expected)
        for name in expected:
            assert found[name].dtype == expected[name].dtype
            np.testing.assert_array_equal(found[name][...], expected[name][...])


def test_each_pass_adds_its_rows(tmp_path: Path, output_net: Net) -> None:
    (tmp_path / "out.h5").write_text("an old file")
    x = np.arange(12.0).reshape(4, 3)
    for rows in (slice(0, 2), slice(2, 4)):
        output_net.forward(x=x[rows], y=x[rows, 0])
    with h5py.File(tmp_path / "out.h5", locking=False) as file:  # whole after each pass
        np.testing.assert_array_equal(file["data"][...], x.reshape(4, 3, 1, 1))
        np.testing.assert_array_equal(file["label"][...], x[:, 0].reshape(4, 1, 1, 1))


def test_a_file_that_cannot_be_written_is_told_and_the_old_one_stays(
    tmp_path: Path, output_net: Net
) -> None:
    (tmp_path / "out.h5").mkdir()
    with pytest.raises(Error, match=r"out.h5: cannot write this file: this is a folder"):
        output_net.forward()


def test_blobs_that_do_not_fit_each_other_are_refused(make_net: MakeNet) -> None:
    for dims, message in (("dim: 3", "2 rows of data, but 3 of labels"), ("", "1 to 4 axes")):
        with pytest.raises(Error, match=message):
            make_net(
                f"""
                layer {{ name: "in" type: "Input" top: "x" top: "y"
                  input_param {{ shape {{ dim: 2 dim: 3 }} shape {{ {dims} }} }} }}
                layer {{ name: "out" type: "HDF5Output" bottom: "x" bottom: "y"
                  hdf5_output_param {{ file_name: "unused" }} }}"""
            )
