"""Every recorded layer that has a meaning in a model that runs gives in ONNX what Caffe gave."""

from __future__ import annotations

import numpy as np
import pytest
from golden_cases import GoldenCase, GoldenRun, known_cases

from protonet.net import Net
from protonet.onnx.exporting.model import Exported, check_model, export_net
from protonet.onnx.exporting.registry import REFUSED
from protonet.onnx.verify import compared, random_inputs, run_model
from protonet.prototxt.diagnostics import Error

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

CASES = [*known_cases("layers"), *known_cases("layers_ssd")]
EXCEPTIONS = {
    "Silence-one_bottom": "no outputs",
    "Silence-two_bottoms": "no outputs",
}
OUTSIDE = {case for case in CASES if case.types & set(REFUSED) or str(case) in EXCEPTIONS}


def run_of(case: GoldenCase, monkeypatch: pytest.MonkeyPatch) -> GoldenRun:
    monkeypatch.chdir(case.path.parent)
    monkeypatch.syspath_prepend(str(case.path.parent))
    return GoldenRun(case)


def compare(exported: Exported, run: GoldenRun) -> None:
    """Holds the model's outputs against the first recorded pass: ONNX carries no state over."""
    found = run_model(exported.model, dict(run.of("in")))
    wanted = dict(run.of("outs/0")) or dict(run.of("out"))
    for blob, output in exported.outputs.items():
        assert found[output].shape == wanted[blob].shape
        np.testing.assert_allclose(found[output], wanted[blob], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", [case for case in CASES if case not in OUTSIDE], ids=str)
def test_layers_give_in_onnx_what_caffe_gave(
    case: GoldenCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(case, monkeypatch)
    exported = export_net(run.net)
    check_model(exported, str(case))
    compare(exported, run)


@pytest.mark.parametrize("case", sorted(OUTSIDE, key=str), ids=str)
def test_what_has_no_meaning_there_is_refused_with_the_reason(
    case: GoldenCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(case, monkeypatch)
    reasons = [REFUSED[type] for type in case.types if type in REFUSED]
    with pytest.raises(Error) as refused:
        export_net(run.net)
    for reason in reasons or [EXCEPTIONS[str(case)]]:
        assert reason in str(refused.value)


RECURRENT = [case for case in CASES if case.types & {"LSTM", "RNN"}]


@pytest.mark.parametrize("case", RECURRENT, ids=str)
def test_recurrent_layers_take_any_number_of_steps(
    case: GoldenCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(case, monkeypatch)
    exported = export_net(run.net, dynamic=True)
    check_model(exported, str(case))
    compare(exported, run)
    for factor in (2, 3):
        fresh = Net(run.net.graph.net, seed=0)
        fresh.share_with(run.net)
        found = compared(fresh, exported, random_inputs(fresh, factor))
        assert all(difference.is_small for difference in found)
