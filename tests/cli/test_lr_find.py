"""`protonet train --lr-find`: the range test."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_training import write_small

from protonet.cli import main
from protonet.solvers import Solver
from protonet.solvers.lr_find import range_test

pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["train", "solver.prototxt", *args])


def test_a_rate_is_suggested_and_drawn_and_nothing_else_is_written(folder: Path) -> None:
    write_small(folder, momentum=0.9, snapshot=1, test_iter=2, test_interval=1, display=1)
    done = run("--lr-find")
    assert done.exit_code == 0, done.output
    found = re.match(r"base_lr: (\S+)  # the loss falls fastest there\n", done.stdout)
    assert found is not None
    assert 1e-4 < float(found[1]) < 1
    assert Path("snapshots/small_lr_find.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in Path("snapshots").iterdir()] == ["small_lr_find.png"]


def test_the_test_ends_where_the_loss_diverges(folder: Path) -> None:
    found = range_test(Solver(write_small(folder, momentum=0.99)))
    assert found.suggestion is not None
    assert found.lowest is not None
    assert found.diverges is not None
    assert found.suggestion <= found.lowest < found.diverges
    assert len(found.rates) == len(found.losses) == len(found.smoothed)
    assert found.rates == sorted(found.rates)


def test_a_tiny_rate_of_the_solver_lowers_the_beginning(folder: Path) -> None:
    found = range_test(Solver(write_small(folder, base_lr=1e-8)))
    assert found.rates[0] == pytest.approx(1e-11)


def test_the_solvers_policy_and_limits_do_not_count(folder: Path) -> None:
    path = write_small(
        folder, lr_policy="cosine", warmup_iter=5, min_lr=0.01, loss_limit=1e-9,
        gradient_limit=1e-9,
    )  # fmt: skip
    assert range_test(Solver(path)).rates[0] == pytest.approx(1e-7)


def test_a_loss_that_never_falls_is_told(folder: Path) -> None:
    path = write_small(folder)
    net = Path("net.prototxt")
    net.write_text(net.read_text().replace('type: "InnerProduct"', 'type: "InnerProduct" '
                   "param { lr_mult: 0 } param { lr_mult: 0 }"))  # fmt: skip
    found = range_test(Solver(path))
    assert found.diverges is None


def test_without_matplotlib_nothing_is_begun(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_small(folder)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    done = run("--lr-find")
    assert done.exit_code == 1
    assert "pip install 'protonet[plot]'" in done.stderr
