"""A trained SSD detector finds what Caffe found with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import protonet


@pytest.mark.parametrize("image", ["jsqr_0", "jsqr_1"])
def test_a_detector_of_qr_codes_finds_what_caffe_found(shared: Path, image: str) -> None:
    with np.load(shared / "golden" / "models" / f"wechat_qr__detect__{image}.npz") as recorded:
        meta = json.loads(str(recorded["meta"]))
        net = protonet.Net(shared / "models" / meta["prototxt"])
        net.copy_from(shared / "models" / meta["model"])
        net.forward(data=recorded["in/data"])
        for name in meta["outputs"] + meta["intermediate"]:
            want = recorded[f"out/{name}"]
            assert net.blobs[name].shape == want.shape
            np.testing.assert_allclose(
                net.blobs[name].data, want, rtol=meta["rtol"], atol=meta["atol"], err_msg=name
            )
