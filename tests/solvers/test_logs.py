"""The log in Caffe's words, and as JSON."""

from __future__ import annotations

import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from small_training import write_small

from protonet.solvers import Solver
from protonet.solvers.events import (
    Displayed,
    Finished,
    GradientsReady,
    NetTested,
    NetTestStarted,
    SnapshotTaken,
    Started,
)
from protonet.solvers.json_log import JsonLog
from protonet.solvers.outputs import Output
from protonet.solvers.text_log import TextLog, lines_of


def output(name: str, *values: float, weight: float = 0.0) -> Output:
    return Output(name, np.array(values), weight)


OUTPUTS = [output("accuracy", 0.97), output("loss", 0.0912345678, weight=2.0)]

LINES = [
    (Started("LeNet", "inv"), ["Solving LeNet", "Learning Rate Policy: inv"]),
    (
        Displayed(100, 0.25, 0.0099256, OUTPUTS, 50, 50, 2.0, 1600.0),
        [
            "Iteration 100 (25 iter/s, 2s/50 iters), loss = 0.25",
            "    Train net output #0: accuracy = 0.97",
            "    Train net output #1: loss = 0.0912346 (* 2 = 0.182469 loss)",
            "Iteration 100, lr = 0.0099256",
        ],
    ),
    (Displayed(100, 0.25, 0.01, [], 50, 50, 2.0, 0.0, True), ["Iteration 100, loss = 0.25"]),
    (NetTestStarted(500, 1, 10), ["Iteration 500, Testing net (#1)"]),
    (
        NetTested(500, 0, OUTPUTS, 10, 1.0, 1.5),
        [
            "Test loss: 1.5",
            "    Test net output #0: accuracy = 0.97",
            "    Test net output #1: loss = 0.0912346 (* 2 = 0.182469 loss)",
        ],
    ),
    (NetTested(500, 0, OUTPUTS, 3, 1.0, interrupted=True), ["Test interrupted."]),
    (
        SnapshotTaken(5, "a.caffemodel", "a.solverstate"),
        [
            "Snapshotting to binary proto file a.caffemodel",
            "Snapshotting solver state to binary proto file a.solverstate",
        ],
    ),
    (
        SnapshotTaken(5, "a.caffemodel.h5", "a.solverstate.h5"),
        [
            "Snapshotting to HDF5 file a.caffemodel.h5",
            "Snapshotting solver state to HDF5 file a.solverstate.h5",
        ],
    ),
    (Finished(10, False), ["Optimization Done."]),
    (Finished(10, True), ["Optimization stopped early."]),
]


@pytest.mark.parametrize(("event", "lines"), LINES, ids=lambda value: type(value).__name__)
def test_an_event_is_told_in_caffes_words(event: object, lines: list[str]) -> None:
    assert list(lines_of(event)) == lines


def test_a_map_of_scores_does_not_fill_the_log() -> None:
    lines = list(lines_of(NetTested(5, 0, [output("map", *range(5000)), output("loss", 1)], 1, 1)))
    assert len(lines) == 1002
    assert lines[999] == "    Test net output #999: map = 999"
    assert lines[1000] == "    (4000 more elements of map)"
    assert lines[1001] == "    Test net output #5000: loss = 1"


def test_readers_of_caffes_logs_find_their_numbers(folder: Path) -> None:
    """The patterns of Caffe's parse_log.py, on a log of ours."""
    solver = Solver(write_small(folder, max_iter=6, display=2, test_iter=2, test_interval=3))
    lines: list[str] = []
    solver.listeners.add_for_all(TextLog(lines.append))
    solver.solve()
    front = re.compile(r"I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ \S+:\d+\] ")
    assert all(front.match(line) for line in lines)
    assert sum("Solving" in line for line in lines) == 1
    iteration, train, tests = -1, {}, {}
    for line in lines:
        if found := re.search(r"Iteration (\d+)", line):
            iteration = int(found[1])
        if found := re.search(r"Train net output #(\d+): (\S+) = ([\.\deE+-]+)", line):
            train[iteration] = float(found[3])
        if found := re.search(r"Test net output #(\d+): (\S+) = ([\.\deE+-]+)", line):
            tests[iteration, found[2]] = float(found[3])
    assert list(train) == [0, 2, 4]
    assert set(tests) == {(i, n) for i in (0, 3, 6) for n in ("accuracy", "loss")}


def test_the_json_log_has_a_line_per_display_test_and_snapshot(folder: Path) -> None:
    solver = Solver(
        write_small(folder, max_iter=6, display=2, test_iter=2, test_interval=3, snapshot=6)
    )
    stream = io.StringIO()
    solver.listeners.add_for_all(JsonLog(solver, stream, print))
    solver.solve()
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(row["event"], row["iteration"]) for row in rows] == [
        ("test", 0), ("train", 0), ("train", 2), ("test", 3), ("train", 4), ("snapshot", 6),
        ("train", 6), ("test", 6),
    ]  # fmt: skip
    assert set(rows[0]["outputs"]) == {"accuracy", "loss"}
    assert rows[1].keys() >= {"loss", "lr", "images_per_second", "seconds", "outputs"}
    seconds = [row["seconds"] for row in rows]
    assert seconds == sorted(seconds)


def test_the_json_log_has_the_norms_of_gradients_and_weights(folder: Path) -> None:
    solver = Solver(write_small(folder, display=2, iter_size=2))
    wanted: dict[int, tuple[list[float], list[float]]] = {}

    def note(event: GradientsReady) -> None:
        blobs = solver.net.learnable_params
        wanted[event.iteration] = (
            [float(np.sqrt((blob.diff**2).sum())) / 2 for blob in blobs],
            [float(np.sqrt((blob.data**2).sum())) for blob in blobs],
        )

    solver.listeners.add(GradientsReady, note)
    stream = io.StringIO()
    solver.listeners.add_for_all(JsonLog(solver, stream, print))
    solver.step(3)
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [row["iteration"] for row in rows] == [0, 2]
    for row in rows:
        for kind, norms in zip(("gradient", "weight"), wanted[row["iteration"]], strict=True):
            assert list(row[f"{kind}_norms"].values()) == pytest.approx(norms)
            assert row[f"{kind}_norm"] == pytest.approx(math.sqrt(sum(n * n for n in norms)))
        names = list(row["gradient_norms"])
        assert names[:2] == ["ip1/0", "ip1/1"]
        assert names[-2:] == ["ip2/0", "ip2/1"]


def test_json_stays_json_when_a_number_is_none(folder: Path) -> None:
    stream, solver = io.StringIO(), Solver(write_small(folder))
    outputs = [output("p", math.nan, 1.0)]
    JsonLog(solver, stream, print)(NetTested(1, 0, outputs, 1, 1.0, math.inf))
    row = json.loads(stream.getvalue(), parse_constant=pytest.fail)
    assert row["outputs"] == {"p": [None, 1.0]}
    assert row["loss"] is None


def test_a_full_disk_ends_the_json_log_but_not_the_training(folder: Path) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    told: list[str] = []
    log = JsonLog(Solver(write_small(folder)), Full(), told.append)
    for _ in range(3):
        log(SnapshotTaken(1, "m", "s"))
    assert told == ["the JSON log cannot be written: No space left on device"]
