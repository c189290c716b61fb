"""The functions of the module itself."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings

import pytest

import protonet.caffe as caffe
from protonet.caffe import processors


def test_layer_types_are_listed() -> None:
    types = caffe.layer_type_list()
    assert {"Data", "Convolution", "InnerProduct", "Python", "SoftmaxWithLoss"} <= set(types)
    assert types == sorted(types)


def test_phases_are_caffes_numbers() -> None:
    assert (caffe.TRAIN, caffe.TEST) == (0, 1)
    assert caffe.__version__ == "1.0.0"


def test_calls_for_a_gpu_warn_once_and_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "_told", False)
    with pytest.warns(UserWarning, match="computes on the CPU"):
        caffe.set_mode_gpu()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        caffe.set_device(0)
        caffe.NCCL(None, caffe.NCCL.new_uid()).bcast()
        caffe.set_mode_cpu()
    assert not caffe.has_nccl()


def test_several_solvers_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "_solvers", {"count": 1, "rank": 0})
    assert (caffe.solver_count(), caffe.solver_rank()) == (1, 0)
    caffe.set_solver_count(4)
    caffe.set_solver_rank(2)
    caffe.set_multiprocess(True)
    assert (caffe.solver_count(), caffe.solver_rank()) == (4, 2)


def test_log_lines_have_glogs_form(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protonet.caffe.glog._least", None)
    caffe.init_log()
    caffe.log("here")
    assert capsys.readouterr().err.endswith("] here\n")
    caffe.init_log(1)
    caffe.log("not here")
    assert capsys.readouterr().err == ""


def test_a_timer_gives_milliseconds() -> None:
    timer = caffe.Timer()
    assert timer.ms == 0
    timer.start()
    time.sleep(0.002)
    timer.stop()
    first = timer.ms
    assert first >= 2
    assert timer.ms == first


SUBMODULES = """
import sys
import protonet.caffe
{bind}
import caffe
import caffe.io
from caffe import layers as L, params as P
from caffe.proto import caffe_pb2
from caffe.pycaffe import Net
assert caffe is protonet.caffe
assert caffe.pycaffe is sys.modules["caffe.pycaffe"]
assert caffe.pycaffe.__name__ == "protonet.caffe.pycaffe"
assert caffe_pb2.NetParameter is caffe.io.caffe_pb2.NetParameter
assert Net is caffe.Net
try:
    import caffe.nothing
except ModuleNotFoundError as error:
    print(error)
"""


@pytest.mark.parametrize("bind", ["protonet.caffe.bind()", "sys.modules['caffe'] = protonet.caffe"])
def test_submodules_are_the_same_under_both_names(bind: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", SUBMODULES.format(bind=bind)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "No module named 'caffe.nothing'\n"


def test_another_caffe_is_not_pushed_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "caffe", warnings)
    with pytest.raises(ImportError, match="another caffe"):
        caffe.bind()
