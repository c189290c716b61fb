"""`protonet test`: the outputs of a trained net over its data."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from small_training import write_small

from protonet.cli import main
from protonet.solvers import Solver


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["test", *args])


def test_every_batch_and_the_means_are_printed(folder: Path) -> None:
    Solver(write_small(folder)).solve()
    done = run(
        "net.prototxt", "--weights", "snapshots/small_iter_20.caffemodel", "--iterations", "3"
    )
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "Running for 3 iterations."
    losses = [float(x) for x in re.findall(r"Batch \d, loss = (\S+)", done.stdout)]
    assert re.findall(r"Batch (\d), accuracy", done.stdout) == ["0", "1", "2"]
    assert len(losses) == 3
    assert lines[-3].startswith("Loss: ")
    assert lines[-2].startswith("accuracy = ")
    mean = re.fullmatch(r"loss = (\S+) \(\* 1 = (\S+) loss\)", lines[-1])
    assert mean is not None
    assert float(mean[1]) == pytest.approx(np.mean(losses), rel=1e-4)
    assert float(lines[-3].split()[1]) == pytest.approx(np.mean(losses), rel=1e-4)


def test_weights_that_do_not_fit_are_an_error(folder: Path) -> None:
    Solver(write_small(folder)).solve()
    net = Path("net.prototxt")
    net.write_text(
        net.read_text().replace("num_output: 6", "num_output: 5").replace("dim: 6", "dim: 5")
    )
    done = run("net.prototxt", "--weights", "snapshots/small_iter_20.caffemodel")
    assert done.exit_code == 1
    assert "error[E302]" in done.stderr


def test_a_net_that_nothing_feeds_is_told(folder: Path) -> None:
    Path("deploy.prototxt").write_text(
        'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'
        'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"\n'
        "  inner_product_param { num_output: 2 } }\n"
    )
    from protonet.net import Net

    Net("deploy.prototxt").save("w.caffemodel")
    done = run("deploy.prototxt", "--weights", "w.caffemodel", "--iterations", "1")
    assert done.exit_code == 0
    assert "nothing feeds x" in done.stderr
