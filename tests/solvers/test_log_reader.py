"""Logs of all three forms are read into the same curves."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from protonet import Error
from protonet.solvers.log_reader import TrainingLog, read_log

CAFFE = """\
I1123 07:40:50.100000 12345 caffe.cpp:218] Using GPUs 0
I1123 07:40:53.034821 12345 solver.cpp:60] Solver scaffolding done.
I1123 07:40:53.100000 12345 solver.cpp:330] Iteration 0, Testing net (#0)
I1123 07:40:53.200000 12345 solver.cpp:397]     Test net output #0: accuracy = 0.1
I1123 07:40:53.200001 12345 solver.cpp:397]     Test net output #1: loss = 2.30 (* 1 = 2.30 loss)
I1123 07:40:53.300000 12345 solver.cpp:218] Iteration 0 (0 iter/s, 0.1s/100 iters), loss = 2.4
I1123 07:40:53.300001 12345 solver.cpp:237]     Train net output #0: loss = 2.4 (* 1 = 2.4 loss)
I1123 07:40:53.300002 12345 sgd_solver.cpp:105] Iteration 0, lr = 0.01
I1123 07:40:54.300000 12345 solver.cpp:218] Iteration 100, loss = 1.5e-1
I1123 07:40:54.300001 12345 solver.cpp:237]     Train net output #0: loss = 0.14 (* 1 = 0.14 loss)
I1123 07:40:54.300002 12345 sgd_solver.cpp:105] Iteration 100, lr = 0.00992565
I1123 07:40:55.100000 12345 solver.cpp:330] Iteration 200, Testing net (#0)
I1123 07:40:55.200000 12345 solver.cpp:397]     Test net output #0: accuracy = 0.97
I1123 07:40:55.200001 12345 solver.cpp:397]     Test net output #1: loss = 0.1 (* 1 = 0.1 loss)
I1123 07:40:55.300000 12345 solver.cpp:310] Iteration 200, loss = nan
I1123 07:40:55.300001 12345 solver.cpp:315] Optimization Done.
"""

JSON = """\
{"event": "test", "iteration": 0, "net": 0, "outputs": {"accuracy": 0.1, "loss": 2.3}, "loss": null}
{"event": "train", "iteration": 0, "loss": 2.4, "lr": 0.01, "outputs": {"loss": 2.4}}
{"event": "train", "iteration": 100, "loss": 0.15, "lr": 0.00992565, "outputs": {"loss": 0.14}}
{"event": "snapshot", "iteration": 150, "model": "m", "state": "s", "seconds": 10.5}
{"event": "test", "iteration": 200, "net": 0, "outputs": {"accuracy": 0.97, "loss": 0.1}}
{"event": "train", "iteration": 200, "loss": null, "lr": 0.0098, "outputs": {}}
"""


def read(folder: Path, text: str) -> TrainingLog:
    (folder / "log").write_text(text)
    return read_log("log")


@pytest.mark.parametrize("text", [CAFFE, JSON])
def test_the_curves_of_a_log(folder: Path, text: str) -> None:
    log = read(folder, text)
    assert list(log.loss) == [0, 100, 200]
    assert (log.loss[0], log.loss[100]) == (2.4, 0.15)
    assert math.isnan(log.loss[200])
    assert (log.rate[0], log.rate[100]) == (0.01, 0.00992565)
    assert log.train == {"loss": {0: 2.4, 100: 0.14}}
    assert log.tests == {0: {"accuracy": {0: 0.1, 200: 0.97}, "loss": {0: 2.3, 200: 0.1}}}


def test_each_test_net_has_its_curves_and_its_loss(folder: Path) -> None:
    text = """
Iteration 5, Testing net (#0)
Test loss: 0.5
    Test net output #0: accuracy = 0.9
Iteration 5, Testing net (#1)
    Test net output #0: accuracy = 0.8
"""
    log = read(folder, text)
    assert log.tests == {
        0: {"test loss": {5: 0.5}, "accuracy": {5: 0.9}},
        1: {"accuracy": {5: 0.8}},
    }


def test_elements_of_an_output_have_a_curve_each(folder: Path) -> None:
    text = """
Iteration 5, Testing net (#0)
    Test net output #0: per class = 0.9
    Test net output #1: per class = 0.7
    Test net output #2: loss = 0.1 (* 1 = 0.1 loss)
"""
    outputs = {"per class[0]": {5: 0.9}, "per class[1]": {5: 0.7}, "loss": {5: 0.1}}
    assert read(folder, text).tests == {0: outputs}
    row = '{"event": "test", "iteration": 5, "outputs": {"per class": [0.9, 0.7], "loss": 0.1}}\n'
    assert read(folder, row).tests == {0: outputs}


def test_an_iteration_that_was_run_again_counts_as_it_was_last(folder: Path) -> None:
    rows = [f'{{"event": "train", "iteration": {i}, "loss": {loss}}}\n' for i, loss in
            [(0, 3), (10, 2), (20, 1), (10, 2.5), (20, 1.5)]]  # fmt: skip
    assert read(folder, "".join(rows)).loss == {0: 3, 10: 2.5, 20: 1.5}


def test_a_last_line_that_was_cut_off_does_not_count(folder: Path) -> None:
    assert list(read(folder, JSON[: JSON.rindex("{")] + '{"event": "tra').loss) == [0, 100, 200][:2]


def test_what_is_no_log_is_refused_with_its_line(folder: Path) -> None:
    with pytest.raises(Error, match=r"log:2:1: error\[E431\]"):
        read(folder, '{"event": "train", "iteration": 1, "loss": 2}\nhello\n')
    for text in ("", "hello\n", '{"a": 1}\n'):
        with pytest.raises(Error, match="E432"):
            read(folder, text)
    with pytest.raises(Error, match="E310"):
        read_log("nowhere")
