"""`protonet train`: what it prints, writes and how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_training import NET, write_small, write_solver

from protonet.cli import main
from protonet.net import Net


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["train", *args])


def weights(path: str) -> list[bytes]:
    net = Net("net.prototxt", 0, weights=path)
    return [blob.data.tobytes() for blobs in net.params.values() for blob in blobs]


def test_a_training_logs_in_caffes_words_and_writes_a_snapshot(folder: Path) -> None:
    write_small(folder, display=10, test_iter=2, test_interval=10)
    done = run("solver.prototxt")
    assert done.exit_code == 0
    lines = [line.partition("] ")[2] for line in done.stdout.splitlines()]
    assert lines[0] == "Solving small"
    assert "Iteration 10, Testing net (#0)" in lines
    assert any(
        re.fullmatch(r"Iteration 10 \(.* iter/s, .*s/10 iters\), loss = .*", x) for x in lines
    )
    assert "Snapshotting to binary proto file snapshots/small_iter_20.caffemodel" in lines
    assert lines[-1] == "Optimization Done."
    assert done.stderr == ""


def test_the_final_test_is_made_even_where_none_is_due(folder: Path) -> None:
    write_small(folder, test_iter=2, test_interval=15, test_initialization=False)
    done = run("solver.prototxt")
    assert re.findall(r"Iteration (\d+), Testing", done.stdout) == ["15", "20"]


def test_display_takes_the_place_of_the_solvers(folder: Path) -> None:
    write_small(folder, display=1)
    done = run("solver.prototxt", "--display", "8")
    assert re.findall(r"Iteration (\d+), lr", done.stdout) == ["0", "8", "16"]


def test_the_json_log_is_one_object_per_line(folder: Path) -> None:
    write_small(folder, display=10, test_iter=2, test_interval=20)
    run("solver.prototxt", "--log-json", "log.json")
    rows = [json.loads(line) for line in Path("log.json").read_text().splitlines()]
    assert [row["event"] for row in rows] == [
        "test", "train", "train", "snapshot", "train", "test",
    ]  # fmt: skip


def test_resume_goes_on_and_appends_to_the_json_log(folder: Path) -> None:
    write_small(folder, display=5, momentum=0.9)
    run("solver.prototxt")
    straight = weights("snapshots/small_iter_20.caffemodel")
    write_solver(folder, "half.prototxt", display=5, momentum=0.9, max_iter=10)
    run("half.prototxt", "--log-json", "log.json")
    done = run(
        "solver.prototxt", "--resume", "snapshots/small_iter_10.solverstate",
        "--log-json", "log.json",
    )  # fmt: skip
    assert done.exit_code == 0
    assert "Restoring previous solver status from snapshots/small_iter_10" in done.stdout
    assert weights("snapshots/small_iter_20.caffemodel") == straight
    rows = [json.loads(line) for line in Path("log.json").read_text().splitlines()]
    iterations = [row["iteration"] for row in rows if row["event"] == "train"]
    assert iterations == [0, 5, 10, 10, 15, 20]


def test_resume_auto_takes_the_newest_sound_state_and_tells_of_the_others(folder: Path) -> None:
    write_small(folder, snapshot=5)
    run("solver.prototxt")
    newest = Path("snapshots/small_iter_20.solverstate")
    newest.write_bytes(newest.read_bytes()[:100])
    Path("snapshots/small_iter_15.caffemodel").unlink()
    done = run("solver.prototxt", "--resume", "auto")
    assert done.exit_code == 0
    assert "status from snapshots/small_iter_10.solverstate" in done.stdout
    assert "not resuming from snapshots/small_iter_20.solverstate" in done.stderr
    assert "not resuming from snapshots/small_iter_15.solverstate" in done.stderr


def test_resume_auto_without_snapshots_starts_from_the_beginning(folder: Path) -> None:
    write_small(folder)
    done = run("solver.prototxt", "--resume", "auto")
    assert done.exit_code == 0
    assert "no snapshot snapshots/small_iter_* to resume from" in done.stderr


def test_weights_start_a_training_and_cannot_be_given_with_a_state(folder: Path) -> None:
    write_small(folder, base_lr=0.0)
    net = Net("net.prototxt", 0, seed=99)
    net.save("start.caffemodel")
    before = net.params["ip1"][0].data.tobytes()
    done = run("solver.prototxt", "--weights", "start.caffemodel")
    assert done.exit_code == 0
    assert before in weights("snapshots/small_iter_20.caffemodel")
    both = run("solver.prototxt", "--weights", "start.caffemodel", "--resume", "auto")
    assert both.exit_code == 1
    assert "error[E413]: both --weights and --resume are given" in both.stderr


def test_a_state_takes_the_place_of_the_solvers_own_weights(folder: Path) -> None:
    write_small(folder, max_iter=5)
    run("solver.prototxt")
    Path("start.caffemodel").write_bytes(Path("snapshots/small_iter_5.caffemodel").read_bytes())
    write_solver(folder, weights="start.caffemodel")
    Path("start.caffemodel").write_bytes(b"broken")
    done = run("solver.prototxt", "--resume", "snapshots/small_iter_5.solverstate")
    assert done.exit_code == 0, done.stderr


def test_keep_leaves_the_last_snapshots_only(folder: Path) -> None:
    write_small(folder, snapshot=4)
    run("solver.prototxt", "--keep", "2")
    states = sorted(path.name for path in Path("snapshots").glob("*.solverstate"))
    assert states == ["small_iter_16.solverstate", "small_iter_20.solverstate"]
    assert len(list(Path("snapshots").iterdir())) == 4


def test_errors_of_the_solver_and_its_net_are_shown_with_their_lines(folder: Path) -> None:
    path = write_small(folder, type="Adm")
    done = run("solver.prototxt")
    assert done.exit_code == 1
    line = path.read_text().splitlines().index('type: "Adm"') + 1
    assert f'solver.prototxt:{line}:7: error[E401]: unknown solver type "Adm"' in done.stderr
    assert 'help: did you mean "Adam"?' in done.stderr
    assert done.stdout == ""


def test_a_solver_without_max_iter_is_refused(folder: Path) -> None:
    write_small(folder, max_iter=None)
    done = run("solver.prototxt")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "error[E403]: the solver has no max_iter" in done.stderr


def test_warnings_are_shown_and_training_runs(folder: Path) -> None:
    write_small(folder, lr_policy="step", stepsize=100)
    done = run("solver.prototxt")
    assert done.exit_code == 0
    assert "warning[W401]: lr_policy step without gamma" in done.stderr


def test_a_diverging_training_ends_with_an_explanation(folder: Path) -> None:
    write_small(folder, base_lr=1e30, max_iter=50, snapshot_prefix="snapshots/bad")
    done = run("solver.prototxt")
    assert done.exit_code == 1
    assert re.search(r"net.prototxt:\d+:\d+: error\[E42[01]\]: iteration \d+: ", done.stderr)
    assert "is probably too high" in done.stderr


def test_a_state_that_is_missing_is_an_error(folder: Path) -> None:
    write_small(folder)
    done = run("solver.prototxt", "--resume", "nowhere.solverstate")
    assert done.exit_code == 1
    assert "nowhere.solverstate:1:1: error[E310]" in done.stderr


# ---- in a process of its own


FULL_DISK = """
import resource, sys
from protonet.cli import main
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
sys.argv = ["protonet", "train", *sys.argv[1:]]
main()
"""


def test_a_full_disk_at_the_last_snapshot_is_told_and_leaves_the_one_before(folder: Path) -> None:
    """A limit on the size of files is a disk that fills up while a file is written."""
    write_small(folder, max_iter=10)
    run("solver.prototxt")
    before = {path.name: path.read_bytes() for path in Path("snapshots").iterdir()}
    write_solver(folder, max_iter=20, snapshot=5)
    command = [sys.executable, "-c", FULL_DISK, "solver.prototxt", "--resume", "auto"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Snapshot failed, training goes on: snapshots/small_iter_15" in done.stdout
    assert "small_iter_20.caffemodel:1:1: error[E314]: cannot write this file" in done.stderr
    assert "the last snapshot is snapshots/small_iter_10.solverstate" in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name: path.read_bytes() for path in Path("snapshots").iterdir()} == before


def started(*args: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "protonet", "train", *args],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # type: ignore[call-overload]  # fmt: skip


def wait_until_it_runs(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if "Iteration 10 " in line:
            return
    pytest.fail(f"it did not run: {process.communicate()}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_training_with_a_snapshot_and_the_way_on(
    folder: Path, number: signal.Signals
) -> None:
    write_small(folder, max_iter=10**9, display=10)
    process = started("solver.prototxt")
    wait_until_it_runs(process)
    process.send_signal(number)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "once more to stop at once" in err
    assert "Optimization stopped early." in out
    state = re.search(r"protonet train solver.prototxt --resume (\S+)", out)
    assert state is not None
    write_solver(folder, max_iter=int(re.findall(r"\d+", state[1])[0]) + 5)
    assert run("solver.prototxt", "--resume", state[1]).exit_code == 0


SLOW_LAYER = """
import caffe
class Slow(caffe.Layer):
    told = False
    def setup(self, bottom, top): pass
    def reshape(self, bottom, top): pass
    def forward(self, bottom, top):
        if not self.told: print("it runs", flush=True)
        self.told = True
    def backward(self, top, propagate_down, bottom): pass
"""


def test_a_second_signal_ends_it_at_once(folder: Path) -> None:
    slow = 'layer { name: "slow" type: "Python" bottom: "y" python_param { %s } }'
    (folder / "slow.py").write_text(SLOW_LAYER)
    write_small(folder, NET + slow % 'module: "slow" layer: "Slow"', iter_size=10**9)
    process = started("solver.prototxt", "--allow-python-layers")
    assert process.stdout is not None
    assert "it runs\n" in process.stdout
    assert process.stderr is not None
    process.send_signal(signal.SIGINT)
    assert "stopping" in process.stderr.readline() + process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)
    assert process.returncode == -signal.SIGINT


def test_a_lost_terminal_writes_a_snapshot_and_training_goes_on(folder: Path) -> None:
    write_small(folder, max_iter=10**9, display=10)
    process = started("solver.prototxt")
    wait_until_it_runs(process)
    process.send_signal(signal.SIGHUP)
    assert process.stdout is not None
    for line in process.stdout:
        if "Snapshotting solver state" in line:
            break
    assert process.poll() is None
    process.kill()
    process.communicate()


def test_a_live_line_is_drawn_on_a_terminal(folder: Path) -> None:
    write_small(folder, max_iter=2000, test_iter=2, test_interval=1000, snapshot_after_train=False)
    terminal, inner = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(
        [sys.executable, "-m", "protonet", "train", "solver.prototxt"],
        stdout=inner, stderr=inner, env=environment,
    )  # fmt: skip
    os.close(inner)
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    assert process.wait() == 0
    text = shown.decode()
    assert re.search(
        r"small  \d+/2000 +\d+%  loss \S+  lr 0.05  \d+ images/s  0:00:\d\d left", text
    )
    assert re.search(r"iteration 2000: test: accuracy \S+, loss", text)
    assert "Iteration" not in text, "Caffe's words are for files"
    assert "\x1b[?25h" in text, "the cursor is there again"
