"""`protonet caffe`: scripts that call the caffe binary."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_training import write_small

from protonet.cli import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["caffe", *args])


def test_a_net_is_trained_resumed_and_tested(folder: Path) -> None:
    write_small(folder, max_iter=20, snapshot=10, display=10)
    done = run("train", "-solver", "solver.prototxt", "--logtostderr=1", "-gpu", "0")
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert "-gpu has no effect" in done.stderr
    log = r"^I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ \S+:\d+\] "
    assert re.search(log + r"Iteration 10, lr = 0\.05$", done.stderr, re.M)
    whole = Path("snapshots/small_iter_20.caffemodel").read_bytes()
    done = run(
        "train", "--solver=solver.prototxt", "--snapshot=snapshots/small_iter_10.solverstate"
    )
    assert done.exit_code == 0, done.output
    assert Path("snapshots/small_iter_20.caffemodel").read_bytes() == whole
    done = run(
        "test", "-model=net.prototxt", "-weights", "snapshots/small_iter_20.caffemodel",
        "-iterations", "3",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert re.search(log + r"Batch 2, accuracy = \S+$", done.stderr, re.M)
    assert re.search(log + r"Loss: \S+$", done.stderr, re.M)


def test_training_begins_from_weights(folder: Path) -> None:
    write_small(folder, max_iter=2)
    run("train", "-solver", "solver.prototxt")
    done = run(
        "train", "-solver", "solver.prototxt",
        "-weights", "snapshots/small_iter_2.caffemodel,snapshots/small_iter_2.caffemodel",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    done = run("train", "-solver", "solver.prototxt", "-weights", "a.caffemodel", "-snapshot", "b")
    assert done.exit_code == 1
    assert "both --weights and --resume" in done.stderr


def test_layers_are_timed(folder: Path) -> None:
    write_small(folder)
    done = run("time", "-model", "net.prototxt", "-iterations", "2", "-phase", "TEST")
    assert done.exit_code == 0, done.output
    for words in (
        r"Iteration: 2 forward-backward time: \S+ ms\.",
        r"ip1\tforward: \S+ ms\.",
        r"accuracy\tbackward: \S+ ms\.",
        r"Average Forward pass: \S+ ms\.",
        r"Average Backward pass: \S+ ms\.",
        r"Total Time: \S+ ms\.",
    ):
        assert re.search(words, done.stderr), words


def test_flags_may_stand_before_the_action_and_switches_have_a_no(folder: Path) -> None:
    write_small(folder, max_iter=1)
    done = run("--nologtostderr", "-solver", "solver.prototxt", "-v=1", "train", "-logtostderr")
    assert done.exit_code == 0, done.output
    assert "Optimization Done." in done.stderr
    assert run("-version").stdout.startswith("caffe version 1.0.0 (protonet ")


def test_stages_and_levels_reach_the_net(folder: Path) -> None:
    Path("net.prototxt").write_text(
        """layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 1 } } }
           layer { name: "a" type: "ReLU" bottom: "d" top: "a" include { stage: "x" stage: "y" } }
           layer { name: "b" type: "ReLU" bottom: "d" top: "b" include { min_level: 3 } }"""
    )
    done = run("time", "-model", "net.prototxt", "-iterations", "1", "-stage", "x,y", "-level", "3")
    assert re.findall(r"(\w)\tforward", done.stderr)[-2:] == ["a", "b"]
    done = run("time", "-model", "net.prototxt", "-iterations", "1")
    assert re.findall(r"(\w)\tforward", done.stderr) == ["d"]


def test_a_query_for_devices_tells_the_cpu() -> None:
    done = run("device_query", "-gpu", "0")
    assert done.exit_code == 0
    assert "no GPU" in done.stdout
    assert re.search(r"instruction set: \w+\nthreads: \d+", done.stdout)


def test_what_is_wrong_with_the_command_line_is_told() -> None:
    for arguments in ([], ["--help"], ["-h"], ["-helpshort"], ["train", "-help"]):
        done = run(*arguments)
        assert (done.exit_code, "train -solver FILE" in done.stdout) == (0, True)
    for arguments, message in (
        (["tran"], 'no such action: "tran"'),
        (["train"], "-solver is missing"),
        (["test", "-model", "x"], "-weights is missing"),
        (["train", "-solvr", "x"], 'unknown flag "-solvr"'),
        (["train", "-solver"], 'flag "-solver" needs a value'),
        (["train", "solver.prototxt"], 'what is "solver.prototxt"?'),
        (["-solver", "x"], "an action is missing"),
        (["-nogpu", "x"], 'unknown flag "-nogpu"'),
    ):
        done = run(*arguments)
        assert done.exit_code == 2
        assert message in done.stderr
    missing = run("test", "-model", "nowhere.prototxt", "-weights", "w")
    assert missing.exit_code == 1
    assert "nowhere.prototxt" in missing.stderr
