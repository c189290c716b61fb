"""The log for TensorBoard, read back with its own reader."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from small_training import write_small, write_solver

from protonet import Error
from protonet.cli import main
from protonet.solvers import Solver
from protonet.solvers.events import GradientsReady
from protonet.solvers.tensorboard_log import TensorBoardLog

pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def events(folder: str) -> list[Any]:
    """All events of the folder's files, oldest file first."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    files = sorted(Path(folder).iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return [event for file in files for event in LegacyEventFileLoader(str(file)).Load()]


def scalars(folder: str, tag: str) -> dict[int, float]:
    return {
        event.step: value.simple_value
        for event in events(folder)
        for value in event.summary.value
        if value.tag == tag
    }


def test_loss_rate_and_tests_are_written(folder: Path) -> None:
    write_small(folder, display=10, test_iter=2, test_interval=10)
    done = CliRunner().invoke(main, ["train", "solver.prototxt", "--tensorboard", "board"])
    assert done.exit_code == 0, done.output
    assert list(scalars("board", "train/loss")) == [0, 10, 20]
    assert scalars("board", "train/lr") == pytest.approx({0: 0.05, 10: 0.05, 20: 0.05})
    assert list(scalars("board", "train/output/loss")) == [0, 10]
    assert list(scalars("board", "test/accuracy")) == [0, 10, 20]


def test_norms_and_histograms_are_those_of_gradient_and_weight(folder: Path) -> None:
    solver = Solver(write_small(folder, display=5, iter_size=2))
    norms: dict[int, tuple[float, float]] = {}

    def note(event: GradientsReady) -> None:
        blob = solver.net.params["ip1"][0]
        norms[event.iteration] = (
            float(np.linalg.norm(blob.diff)) / 2, float(np.linalg.norm(blob.data)),
        )  # fmt: skip

    solver.listeners.add(GradientsReady, note)
    log = TensorBoardLog(solver, "board", print)
    solver.listeners.add_for_all(log)
    solver.step(6)
    log.close()
    assert scalars("board", "gradient norm/ip1/0") == pytest.approx(
        {i: norms[i][0] for i in (0, 5)}
    )
    ip1 = scalars("board", "gradient norm/ip1/0")
    assert all(whole > ip1[step] for step, whole in scalars("board", "gradient norm").items())
    assert list(scalars("board", "weight norm")) == [0, 5]
    assert scalars("board", "weight norm/ip1/0") == pytest.approx({i: norms[i][1] for i in (0, 5)})
    histograms = [
        value.histo
        for event in events("board")
        for value in event.summary.value
        if value.tag == "weight/ip1/0"
    ]
    assert len(histograms) == 2
    assert sum(histograms[0].bucket) == histograms[0].num == 30
    assert math.sqrt(histograms[0].sum_squares) == pytest.approx(norms[0][1])


def test_a_resumed_run_takes_back_what_was_written_beyond_its_beginning(folder: Path) -> None:
    write_small(folder, display=5, snapshot=10)
    run = CliRunner().invoke
    run(main, ["train", "solver.prototxt", "--tensorboard", "board"])
    write_solver(folder, display=5)
    state = "snapshots/small_iter_10.solverstate"
    run(main, ["train", "solver.prototxt", "--tensorboard", "board", "--resume", state])
    starts = [event.step for event in events("board") if event.HasField("session_log")]
    assert starts == [10]


def test_a_full_disk_is_told_once_and_training_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.summary.writer import event_file_writer

    solver = Solver(write_small(folder, display=1))
    told: list[str] = []
    log = TensorBoardLog(solver, "board", told.append)
    solver.listeners.add_for_all(log)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(event_file_writer.EventFileWriter, "add_event", full)
    solver.step(3)
    assert told == ["the log for TensorBoard cannot be written: No space left on device"]
    assert solver.iter == 3


def test_without_tensorboard_the_extra_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(Error, match=r"E430.*tensorboard"):
        TensorBoardLog(Solver(write_small(folder)), "board", print)
