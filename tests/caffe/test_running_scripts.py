"""`python -m protonet.caffe` runs what was written for pycaffe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import protonet

SCRIPT = """
import sys
import caffe
import caffe.io
from caffe import layers as L, params as P
from caffe.proto import caffe_pb2
import helper

class Twice(caffe.Layer):
    def setup(self, bottom, top):
        pass
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)
    def forward(self, bottom, top):
        top[0].data[...] = 2 * bottom[0].data

if __name__ == "__main__":
    n = caffe.NetSpec()
    n.data = L.DummyData(shape=dict(dim=[2]), data_filler=dict(value=float(sys.argv[1])))
    n.twice = L.Python(n.data, module="__main__", layer="Twice")
    with open("net.prototxt", "w") as f:
        f.write(str(n.to_proto()))
    net = caffe.Net("net.prototxt", caffe.TEST)
    print(net.forward()["twice"].tolist(), helper.same, sys.argv[0])
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    source = str(Path(protonet.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source, "GLOG_minloglevel": "2"}
    return subprocess.run(
        [sys.executable, "-m", "protonet.caffe", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/script.py").write_text(SCRIPT)
    (tmp_path / "scripts/helper.py").write_text(
        "import caffe, protonet.caffe\nsame = caffe is protonet.caffe"
    )
    return tmp_path


def test_a_script_runs_as_if_pycaffe_were_installed(folder: Path) -> None:
    done = run(folder, "scripts/script.py", "1.5")
    assert done.stdout == "[3.0, 3.0] True scripts/script.py\n", done.stderr


def test_modules_and_code_run_too(folder: Path) -> None:
    done = run(folder, "-c", "import caffe, sys; print(caffe.__name__, sys.argv)", "x")
    assert done.stdout == "protonet.caffe ['-c', 'x']\n", done.stderr
    done = run(folder / "scripts", "-m", "script", "4")
    assert done.stdout.startswith("[8.0, 8.0] True"), done.stderr


def test_exit_codes_are_the_scripts(folder: Path) -> None:
    (folder / "ends.py").write_text("import sys; sys.exit(7)")
    assert run(folder, "ends.py").returncode == 7
    (folder / "fails.py").write_text("import caffe\ncaffe.Net('nowhere.prototxt', caffe.TEST)")
    failed = run(folder, "fails.py")
    assert failed.returncode == 1
    assert "protonet.caffe.CaffeError: nowhere.prototxt" in failed.stderr


STARTING = """
import multiprocessing, subprocess, sys
import caffe

def name(number):
    return f"{caffe.__name__} {number} {caffe.io.__name__}"

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(name, [1]))
    subprocess.run([sys.executable, "-c", "import caffe.io; print(caffe.__name__)"], check=True)
"""


def test_processes_that_a_script_starts_import_caffe_too(folder: Path) -> None:
    (folder / "starting.py").write_text(STARTING)
    done = run(folder, "starting.py")
    assert sorted(done.stdout.splitlines()) == [
        "['protonet.caffe 1 protonet.caffe.io']", "protonet.caffe",
    ], done.stderr  # fmt: skip


def test_a_traceback_begins_in_the_script(folder: Path) -> None:
    (folder / "fails.py").write_text("def fail():\n    return 1 / 0\n\nfail()")
    wanted = [
        "Traceback (most recent call last):",
        '  File "fails.py", line 4, in <module>',
        '  File "fails.py", line 2, in fail',
    ]
    told = run(folder, "fails.py").stderr
    assert [line for line in told.splitlines() if line.lstrip()[:4] in ("Trac", "File")] == wanted
    (folder / "wrong.py").write_text("print(")
    assert run(folder, "wrong.py").stderr.startswith('  File "wrong.py", line 1\n')
    failed = run(folder, "-c", "[][1]")
    assert failed.returncode == 1
    assert '"<string>", line 1' in failed.stderr.splitlines()[1]


def test_the_root_of_a_caffe_that_was_never_compiled_does_no_harm(folder: Path) -> None:
    package = folder / "caffe-master/python/caffe"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from .pycaffe import Net")
    (package / "pycaffe.py").write_text("from ._caffe import Net")
    (folder / "scripts/old.py").write_text(
        "import sys\nsys.path.insert(0, 'caffe-master/python')\n"
        "import caffe, caffe.pycaffe, caffe.proto.caffe_pb2 as pb\n"
        "from caffe.io import load_image\n"
        "print(caffe.__name__, caffe.pycaffe.__name__, pb.NetParameter.__name__)"
    )
    done = run(folder, "scripts/old.py")
    assert done.stdout == "protonet.caffe protonet.caffe.pycaffe NetParameter\n", done.stderr


def test_without_a_script_the_use_is_shown(folder: Path) -> None:
    assert run(folder, "--help").stdout.startswith("usage: python -m protonet.caffe SCRIPT")
    missing = run(folder, "missing.py")
    assert (missing.returncode, missing.stderr.splitlines()[-1]) == (
        2, "python -m protonet.caffe: there is no missing.py",
    )  # fmt: skip
