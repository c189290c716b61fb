"""Data layers give what Caffe gives, batch after batch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from protonet import Net

FOLDER = Path(__file__).parents[1] / "golden" / "layers"
TYPES = ("Data", "HDF5Data", "ImageData", "MemoryData", "DummyData")
CASES = [case for type in TYPES for case in sorted((FOLDER / type).glob("*.npz"))]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.stem}")
def test_data_layers_give_what_caffe_gives(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = np.load(case)
    meta = json.loads(str(recorded["meta"]))
    monkeypatch.chdir(case.parent)
    net = Net(f"{case.stem}.prototxt", ["TRAIN", "TEST"].index(meta["phase"]))
    if meta["type"] == "MemoryData":
        net.layers[0].set_input_arrays(recorded["in/data"], recorded["in/labels"])  # type: ignore[attr-defined]
    for number in range(meta["forwards"]):
        net.forward()
        prefixes = [f"outs/{number}/"] + ["out/"] * (number == meta["forwards"] - 1)
        for key in recorded:
            blob = next((key[len(p) :] for p in prefixes if key.startswith(p)), None)
            if blob is not None:
                found, want = net.blobs[blob].data, recorded[key]
                assert found.shape == want.shape
                np.testing.assert_allclose(found, want, rtol=meta["rtol"], atol=meta["atol"])
    net.close()


def test_there_are_cases_of_every_data_layer() -> None:
    assert {case.parent.name for case in CASES} == set(TYPES)
