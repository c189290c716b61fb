"""Files of a solver's state: Caffe's form, whole or refused."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from protonet import Error
from protonet.ir.protonet_pb2 import NetRunState, SolverState
from protonet.solvers.snapshots import (
    drop_older,
    find_model,
    newest_sound,
    remove_leftovers,
    snapshot_files,
    stamp,
)
from protonet.solvers.state import State, read_state, write_state

GOLDEN = Path(__file__).parents[1] / "golden" / "solvers"
ENDS = [".solverstate", ".solverstate.h5"]


def a_state(iteration: int = 12, dtype: type = np.float32) -> State:
    random = np.random.default_rng(0)
    run = NetRunState()
    run.layer.add(name="data", random=b"r" * 37).value.add(name="position", integer=2**62)
    return State(
        iteration, "model.caffemodel",
        [random.normal(size=shape).astype(dtype) for shape in [(3, 4), (3,), (), (1, 1)]],
        current_step=2, nets=[run], recent_loss=[1.5, 2.5],
    )  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("end", ENDS)
def test_a_state_comes_back_as_it_was_written(end: str, dtype: type) -> None:
    state = a_state(dtype=dtype)
    Path("model.caffemodel").write_bytes(b"weights")
    stamp(state, "model.caffemodel")
    write_state(f"s{end}", state)
    found = read_state(f"s{end}")
    for mine, stored in zip(state.history, found.history, strict=True):
        assert mine.dtype == stored.dtype
        np.testing.assert_array_equal(mine, stored)
    found.history = state.history
    assert found == state


def test_caffe_finds_its_fields_in_a_binary_state() -> None:
    state = a_state()
    write_state("s.solverstate", state)
    message = SolverState.FromString(Path("s.solverstate").read_bytes())
    assert (message.iter, message.learned_net, message.current_step) == (12, "model.caffemodel", 2)
    assert [list(blob.shape.dim) for blob in message.history] == [[3, 4], [3], [], [1, 1]]
    assert list(message.history[0].data) == state.history[0].ravel().tolist()


def test_an_hdf5_state_is_laid_out_as_caffe_lays_it_out() -> None:
    golden = GOLDEN / "adam_default" / "snapshot_iter_8.solverstate.h5"
    state = read_state(golden)
    write_state("s.solverstate.h5", state)
    with h5py.File(golden) as theirs, h5py.File("s.solverstate.h5") as mine:
        names: list[str] = []
        theirs.visit(names.append)
        for name in names:
            assert type(mine[name]) is type(theirs[name])
            if isinstance(theirs[name], h5py.Dataset):
                assert mine[name].dtype == theirs[name].dtype
                assert mine[name].shape == theirs[name].shape
                np.testing.assert_array_equal(mine[name][()], theirs[name][()])
        assert set(mine) - set(theirs) == {"protonet"}


@pytest.mark.parametrize("end", ENDS)
def test_a_state_that_is_cut_off_anywhere_is_refused(end: str) -> None:
    state = a_state()
    Path("model.caffemodel").write_bytes(b"weights")
    stamp(state, "model.caffemodel")
    write_state(f"s{end}", state)
    whole = Path(f"s{end}").read_bytes()
    lengths = range(len(whole)) if end == ".solverstate" else range(0, len(whole), 97)
    for length in lengths:
        Path(f"s{end}").write_bytes(whole[:length])
        with pytest.raises(Error, match=rf"s{end}:1:1: error\[E31"):
            read_state(f"s{end}")


@pytest.mark.parametrize("end", ENDS)
def test_a_changed_number_is_noticed(end: str) -> None:
    state = a_state()
    write_state(f"s{end}", state)
    whole = Path(f"s{end}").read_bytes()
    at = whole.index(state.history[0].tobytes())
    Path(f"s{end}").write_bytes(whole[:at] + b"\x01" + whole[at + 1 :])
    with pytest.raises(Error, match="checksum"):
        read_state(f"s{end}")


def test_no_flipped_byte_of_a_binary_state_is_more_than_an_error() -> None:
    state = a_state()
    Path("model.caffemodel").write_bytes(b"weights")
    stamp(state, "model.caffemodel")
    write_state("s.solverstate", state)
    whole = bytearray(Path("s.solverstate").read_bytes())
    for at in range(len(whole)):
        changed = whole.copy()
        changed[at] ^= 0x55
        Path("s.solverstate").write_bytes(changed)
        with pytest.raises(Error):
            read_state("s.solverstate")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"base_lr: 0.1\n", "prototxt"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG"),
        (b"\x0a\x05small" + bytes(3), "solverstate"),
    ],
)
def test_another_kind_of_file_is_named(content: bytes, message: str) -> None:
    Path("s.solverstate").write_bytes(content)
    with pytest.raises(Error, match=message):
        read_state("s.solverstate")


def test_a_caffemodel_in_place_of_a_state_is_refused() -> None:
    with pytest.raises(Error, match=r"E31[12]"):
        read_state(GOLDEN / "sgd_momentum" / "snapshot_iter_8.caffemodel")


# ---- snapshots: both files


def write_snapshot(iteration: int, prefix: str = "p", end: str = "") -> str:
    files = snapshot_files(prefix, iteration, 0 if end else 1)
    Path(files.model).write_bytes(b"weights %d" % iteration)
    state = a_state(iteration)
    state.learned_net = files.model
    stamp(state, files.model)
    write_state(files.state, state)
    return files.state


def test_names_are_caffes() -> None:
    assert snapshot_files("a/b", 10, 1).model == "a/b_iter_10.caffemodel"
    assert snapshot_files("a/b", 10, 0).state == "a/b_iter_10.solverstate.h5"


def test_the_newest_sound_snapshot_is_found_by_its_iteration() -> None:
    write_snapshot(9)
    newest = write_snapshot(100, end=".h5")
    write_snapshot(20)
    write_snapshot(500, prefix="other_p")
    assert newest_sound("p") == (newest, [])


def test_damaged_newer_snapshots_are_passed_over_with_the_reason() -> None:
    good = write_snapshot(10)
    no_model, cut = write_snapshot(20), write_snapshot(30)
    write_snapshot(40)
    Path("p_iter_20.caffemodel").unlink()
    Path(cut).write_bytes(Path(cut).read_bytes()[:-3])
    Path("p_iter_40.caffemodel").write_bytes(b"weights 41")
    found, rejected = newest_sound("p")
    assert found == good
    assert [str(error).split(":")[0] for error in rejected] == [
        "p_iter_40.caffemodel",
        cut,
        no_model,
    ]


def test_without_any_snapshot_nothing_is_found() -> None:
    assert newest_sound("nowhere/p") == (None, [])


def test_the_weights_beside_the_state_are_taken_where_those_of_the_name_are_others() -> None:
    state_file = write_snapshot(10)
    Path("moved").mkdir()
    for name in ("p_iter_10.caffemodel", "p_iter_10.solverstate"):
        Path("moved", name).write_bytes(Path(name).read_bytes())
    Path("p_iter_10.caffemodel").write_bytes(b"weights of another run")
    state = read_state(state_file)
    assert find_model("moved/p_iter_10.solverstate", state) == "moved/p_iter_10.caffemodel"


def test_older_snapshots_are_dropped_but_those_of_other_runs_are_not() -> None:
    for iteration in (5, 10, 20, 900):
        write_snapshot(iteration)
    write_snapshot(1, prefix="q")
    drop_older("p", 20, keep=2)
    states = sorted(path.name for path in Path().glob("*.solverstate"))
    models = sorted(path.name for path in Path().glob("*.caffemodel"))
    wanted = ["p_iter_10", "p_iter_20", "p_iter_900", "q_iter_1"]
    assert states == [f"{name}.solverstate" for name in wanted]
    assert models == [f"{name}.caffemodel" for name in wanted]


def test_old_unfinished_files_are_removed_and_young_ones_are_not() -> None:
    old, young = Path("p_iter_5.caffemodel.0123abcd.tmp"), Path("p_iter_9.solverstate.89abcdef.tmp")
    other = Path("q_iter_5.caffemodel.0123abcd.tmp")
    for path in (old, young, other):
        path.write_bytes(b"part")
    for path in (old, other):
        os.utime(path, (0, 0))
    remove_leftovers("p")
    assert [path.exists() for path in (old, young, other)] == [False, True, True]
