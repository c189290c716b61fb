"""What Caffe computed in TEST, computed by plans: every layer type, its outputs and all blobs."""

from __future__ import annotations

import numpy as np
import pytest
from golden_cases import GoldenCase, GoldenRun, known_cases

import protonet

CASES = [case for kind in ("layers", "layers_ssd") for case in known_cases(kind)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_plan_computes_what_caffe_computed(
    case: GoldenCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(case.path.parent)
    monkeypatch.syspath_prepend(str(case.path.parent))
    run = GoldenRun(case)
    if run.meta["phase"] == "TRAIN":
        with pytest.raises(protonet.Error, match="build the net for TEST"):
            protonet.compile(run.net)
        return
    if run.meta["forwards"] > 1:
        pytest.skip("several passes on end change what layers carry over")
    for name, values in run.of("in"):
        run.net.blobs[name].data[...] = values
    for keep in ((), [name for name in run.net.blobs if name != "(automatic)"]):
        plan = protonet.compile(run.net, keep=keep)
        made = plan.run(**{name: run.net.blobs[name].data for name in plan.inputs})
        for name, expected in run.of("out"):
            if name in made:
                assert made[name].shape == expected.shape
                np.testing.assert_allclose(
                    made[name], expected, rtol=run.meta["rtol"], atol=run.meta["atol"], err_msg=name
                )
        assert set(made) >= set(run.net.outputs)
