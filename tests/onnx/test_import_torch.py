"""Networks that torch exported, by both of its exporters, give as a net what torch gave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import protonet
from protonet.onnx.import_ import import_onnx
from protonet.prototxt.diagnostics import Error

pytest.importorskip("onnx")

PLAIN = ["Dense", "Inverted", "Residual", "Vgg"]
FORKS = {"Shapes": {"Permute", "PixelShuffle"}, "UNet": {"BilinearInterpolate"}}
EXPORTERS = ["script", "dynamo"]


def imported(model: Path, folder: Path, **options: Any) -> tuple[protonet.Net, set[str]]:
    report = import_onnx(model, folder / "n.prototxt", folder / "n.caffemodel", **options)
    net = protonet.Net(folder / "n.prototxt", weights=folder / "n.caffemodel")
    return net, set(report.forks)


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", [*PLAIN, *FORKS])
def test_a_net_of_torch_gives_what_torch_gave(
    golden: Path, tmp_path: Path, name: str, exporter: str
) -> None:
    model = golden / "onnx" / f"{name}_{exporter}.onnx"
    net, forks = imported(model, tmp_path, strict_caffe=name in PLAIN)
    with np.load(golden / "onnx" / f"{name}.npz") as recorded:
        found = net.forward(x=recorded["x"])["y"]
        np.testing.assert_allclose(found, recorded["y"], rtol=1e-4, atol=1e-5)
    assert forks == FORKS.get(name, set())
    assert (net.inputs, net.outputs) == (["x"], ["y"])


@pytest.mark.parametrize("name", FORKS)
def test_plain_caffe_is_refused_where_a_forks_layer_is_needed(
    golden: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(Error, match=r"which Caffe 1\.0 does not have"):
        imported(golden / "onnx" / f"{name}_dynamo.onnx", tmp_path, strict_caffe=True)
    assert not list(tmp_path.iterdir())


def test_names_are_those_of_the_modules(golden: Path, tmp_path: Path) -> None:
    net, _ = imported(golden / "onnx" / "Residual_script.onnx", tmp_path)
    assert net.layer_names[:4] == ["x", "stem.0", "stem.2", "stem.3"]


@pytest.mark.filterwarnings("ignore")  # of torch about itself
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_net_exported_now_agrees(tmp_path: Path, exporter: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from torch_nets import NETS, exported

    for name in NETS:
        module, x = exported(name, tmp_path / "m.onnx", exporter)
        net, _ = imported(tmp_path / "m.onnx", tmp_path)
        (found,) = net.forward(**{net.inputs[0]: x.numpy()}).values()
        np.testing.assert_allclose(found, module(x).detach().numpy(), rtol=1e-4, atol=1e-5)
