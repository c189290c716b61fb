"""The networks in models/: their sizes are those of the literature, and they run both ways."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from protonet import Net, check, read_net
from protonet.check.costs import net_costs
from protonet.check.inputs import summary_graph
from protonet.ir.protonet_pb2 import TRAIN, NetParameter
from protonet.prototxt.diagnostics import Severity

MODELS = Path(__file__).parents[2] / "models"
PARAMETERS = {
    "alexnet": 60_965_224,
    "autoencoder": 2_837_314,
    "caffenet": 60_965_224,
    "cifar10_full": 89_578,
    "cifar10_quick": 145_578,
    "fcn_alexnet": 57_037_610,
    "googlenet": 6_998_552,
    "lenet": 431_080,
    "lstm": 1_233,
    "mlp": 266_610,
    "mobilenet": 4_231_976,
    "perceptron": 3,
    "regression": 1_153,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "siamese": 431_102,
    "squeezenet": 1_248_424,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
}
# The tops of the data layers, small where the layers allow it.
SMALL = {
    "alexnet": ((2, 3, 67, 67), (2,)),
    "autoencoder": ((2, 1, 28, 28),),
    "caffenet": ((2, 3, 67, 67), (2,)),
    "cifar10_full": ((2, 3, 32, 32), (2,)),
    "cifar10_quick": ((2, 3, 32, 32), (2,)),
    "fcn_alexnet": ((1, 3, 32, 32), (1, 1, 32, 32)),
    "googlenet": ((1, 3, 224, 224), (1,)),
    "lenet": ((2, 1, 28, 28), (2,)),
    "lstm": ((4, 2, 2), (4, 2), (4, 2, 1)),
    "mlp": ((2, 1, 28, 28), (2,)),
    "mobilenet": ((2, 3, 32, 32), (2,)),
    "regression": ((2, 1), (2, 1)),
    "resnet50": ((2, 3, 32, 32), (2,)),
    "resnet101": ((2, 3, 32, 32), (2,)),
    "resnet152": ((2, 3, 32, 32), (2,)),
    "siamese": ((2, 2, 28, 28), (2,)),
    "squeezenet": ((2, 3, 63, 63), (2,)),
    "vgg16": ((1, 3, 32, 32), (1,)),
    "vgg19": ((1, 3, 32, 32), (1,)),
}
GENERATED = sorted(path.parent.name for path in MODELS.glob("*/generate.py"))


@pytest.mark.parametrize(("name", "count"), PARAMETERS.items(), ids=PARAMETERS)
def test_parameters_are_as_many_as_published(name: str, count: int) -> None:
    costs = net_costs(summary_graph(MODELS / name / "deploy.prototxt"))
    assert costs.complete
    assert costs.parameters == count
    assert f"{count:,} parameters" in " ".join((MODELS / name / "README.md").read_text().split())


@pytest.mark.parametrize("name", PARAMETERS)
def test_files_are_in_order(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(MODELS.parent)
    files = sorted((MODELS / name).glob("*.prototxt"))
    assert {"deploy.prototxt", "solver.prototxt", "train_val.prototxt"} <= {f.name for f in files}
    for file in files:
        found = check(file.relative_to(MODELS.parent))
        assert [str(d) for d in found if d.severity is not Severity.INFO] == []


def _with_small_data(name: str) -> NetParameter:
    """The net for training, its data layers replaced by values of these shapes."""
    net = NetParameter()
    fed: set[str] = set()
    for layer in read_net(MODELS / name / "train_val.prototxt").layer:
        made = net.layer.add()
        made.CopyFrom(layer)
        if layer.bottom:
            continue
        del net.layer[-1]
        if fed.intersection(layer.top):
            continue
        for top in layer.top:
            fed.add(top)
            label = len(SMALL[name][len(fed) - 1]) == 1 or top == "label"
            dummy = net.layer.add(name=top, type="DummyData", top=[top])
            settings = dummy.dummy_data_param
            settings.shape.add().dim.extend(SMALL[name][len(fed) - 1])
            kind = "constant" if label else "uniform"
            settings.data_filler.add(type=kind, value=1 if label else 0, min=0, max=1)
    return net


@pytest.mark.parametrize("name", SMALL)
def test_net_runs_forward_and_backward(name: str) -> None:
    net = Net(_with_small_data(name), TRAIN, seed=1)
    assert np.isfinite(net.run_forward())
    net.run_backward()
    learned = [b for b, lr in zip(net.learnable_params, net.params_lr, strict=True) if lr]
    assert all(np.isfinite(blob.diff).all() for blob in learned[:4])
    # The last bias of two branches that share it may have a gradient of exactly zero.
    assert any(np.any(blob.diff) for blob in learned[-2:])


@pytest.mark.parametrize("stage", ["threshold", "linear", "sigmoid", "tanh"])
def test_perceptron_learns_in_each_form(stage: str, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, MODELS / "perceptron/make_data.py", tmp_path / "models/perceptron/data"],
        check=True, cwd=tmp_path,
    )  # fmt: skip
    net_text = (MODELS / "perceptron/train_val.prototxt").read_text()
    source = str(tmp_path / "models/perceptron/data/points.txt")
    file = tmp_path / "net.prototxt"
    file.write_text(re.sub(r'source: "[^"]*"', f'source: "{source}"', net_text))
    net = Net(file, TRAIN, stages=[stage], seed=1)
    net.run_forward()
    before = net.loss
    for _ in range(40):
        net.clear_param_diffs()
        net.run_forward()
        net.run_backward()
        for blob in net.learnable_params:
            blob.data[...] -= 0.1 * blob.diff
    net.run_forward()
    assert net.loss < before
    net.close()


@pytest.mark.parametrize("name", GENERATED)
def test_generated_files_are_what_the_generator_writes(name: str, tmp_path: Path) -> None:
    root = MODELS.parent
    paths = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    subprocess.run(
        [sys.executable, "-m", f"models.{name}.generate", "--out", tmp_path],
        check=True, cwd=root, env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    for file in ("train_val.prototxt", "deploy.prototxt"):
        assert (tmp_path / file).read_text() == (MODELS / name / file).read_text()
