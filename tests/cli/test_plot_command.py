"""`protonet plot`: pictures of what `protonet train` has logged."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_training import write_small

from protonet.cli import main
from protonet.solvers.curves import draw_logs
from protonet.solvers.log_reader import read_log

pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(main, [*args])


@pytest.fixture
def logs(folder: Path) -> list[str]:
    """A training's JSON log and its text log."""
    write_small(folder, display=5, test_iter=2, test_interval=10)
    done = run("train", "solver.prototxt", "--log-json", "log.json")
    Path("log.txt").write_text(done.stdout)
    return ["log.json", "log.txt"]


def lines(paths: list[str]) -> dict[str, list[str]]:
    """The labels of the curves, by what their panel shows."""
    figure = draw_logs([read_log(path) for path in paths])
    return {axes.get_ylabel(): [line.get_label() for line in axes.lines] for axes in figure.axes}


def test_a_picture_is_written_for_one_log_or_several(logs: list[str]) -> None:
    done = run("plot", *logs, "--out", "curves.png")
    assert (done.exit_code, done.stdout) == (0, "curves.png\n")
    assert Path("curves.png").read_bytes().startswith(b"\x89PNG")
    done = run("plot", logs[0], "--out", "curves.svg")
    assert done.exit_code == 0
    assert "<svg" in Path("curves.svg").read_text()


def test_the_curves_of_both_forms_of_a_log_are_the_same(logs: list[str]) -> None:
    wanted = {
        "loss": ["training loss", "test loss"],
        "test": ["test accuracy"],
        "learning rate": ["lr"],
    }
    assert lines(logs[:1]) == lines(logs[1:]) == wanted


def test_curves_of_several_runs_have_the_names_of_their_logs(logs: list[str]) -> None:
    assert lines(logs)["test"] == ["log.json: test accuracy", "log.txt: test accuracy"]


def test_an_ending_that_is_no_pictures_is_refused(logs: list[str]) -> None:
    done = run("plot", logs[0], "--out", "curves.doc")
    assert done.exit_code == 1
    assert "E433" in done.stderr
    assert "png" in done.stderr
    assert not Path("curves.doc").exists()


def test_without_matplotlib_the_extra_is_named(
    logs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    done = run("plot", logs[0])
    assert done.exit_code == 1
    assert "pip install 'protonet[plot]'" in done.stderr
