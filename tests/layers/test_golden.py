"""Every layer gives what Caffe gives, forward and backward."""

from __future__ import annotations

import pytest
from golden_cases import GoldenCase, GoldenRun, known_cases, missing_types

CASES = [*known_cases("layers"), *known_cases("layers_ssd")]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_layers_give_what_caffe_gives(
    case: GoldenCase, isa: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(case.path.parent)
    monkeypatch.syspath_prepend(str(case.path.parent))
    run = GoldenRun(case)
    run.compare_names()
    run.forward()
    if run.meta["backward"]:
        run.backward()


def test_all_recorded_types_have_a_class() -> None:
    assert missing_types("layers") | missing_types("layers_ssd") == set()
