"""Our own models, with random weights, compute in ONNX Runtime what they compute here."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from random_weights import randomize

from protonet.ir.protonet_pb2 import TransformationParameter
from protonet.net import Net
from protonet.onnx.exporting.model import check_model, export_net
from protonet.onnx.exporting.prepare import prepared_net
from protonet.onnx.pictures import picture_inputs
from protonet.onnx.verify import compared, first_difference, random_inputs

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

MODELS = Path(__file__).parents[2] / "models"
SMALLER = {
    "alexnet": (99, 99), "caffenet": (99, 99), "fcn_alexnet": (99, 99), "mobilenet": (96, 96),
    "resnet50": (64, 64), "resnet101": (64, 64), "resnet152": (64, 64), "squeezenet": (67, 67),
    "vgg16": (64, 64), "vgg19": (64, 64),
}  # fmt: skip
"""Sizes of images that keep the test short, as does narrowing; others are as they are."""


def narrowed(name: str) -> str:
    """Returns the net's text with a few of its channels where it has many."""
    text = (MODELS / name / "deploy.prototxt").read_text()
    least = 512 if name.startswith(("resnet", "vgg")) else 4096
    return re.sub(
        r"num_output: (\d+)",
        lambda found: found[0] if int(found[1]) < least else f"num_output: {int(found[1]) // 16}",
        text,
    )


@pytest.mark.parametrize("name", sorted(path.parent.name for path in MODELS.glob("*/deploy.*")))
def test_a_model_gives_the_same_in_batches_of_one_and_of_any_size(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / "deploy.prototxt"
    file.write_text(narrowed(name))
    net = prepared_net(file, batch=1, size=SMALLER.get(name, ())).net
    randomize(net)
    for dynamic, factor in ((False, 1), (True, 1), (True, 2)):
        if factor == 1:
            exported = export_net(net, dynamic=dynamic)
            check_model(exported, name)
        fresh = Net(net.graph.net, seed=0)
        fresh.share_with(net)
        inputs = random_inputs(fresh, factor)
        assert [d for d in compared(fresh, exported, inputs) if not d.is_small] == []
    assert first_difference(fresh, exported, inputs) is None


PIXELS = {"scale": 1 / 255}
TRAINED = {
    "wechat_qr/detect": ("detect", PIXELS),
    "wechat_qr/sr": ("sr", PIXELS),
    "mtcnn/det1": ("det1", {"scale": 0.0078125, "mean_value": [127.5]}),
    "mtcnn/det2": ("det2", {"scale": 0.0078125, "mean_value": [127.5]}),
    "mtcnn/det3": ("det3", {"scale": 0.0078125, "mean_value": [127.5]}),
    "cifar10_everpeace/cifar10_full": ("cifar10_full_iter_70000", {"mean_value": [120]}),
    "cifar10_everpeace/cifar10_quick": ("cifar10_quick_iter_5000", {"mean_value": [120]}),
    "cifar10_full_h5_jwcom79/cifar10_full": ("cifar10_full_iter_70000", {"mean_value": [120]}),
    "lenet_everpeace/lenet": ("lenet_iter_10000", PIXELS),
    "open_nsfw/deploy": ("resnet_50_1by2_nsfw", {"mean_value": [104, 117, 123]}),
}  # fmt: skip
"""Nets of others, their weights, and what their pixels are made to."""


@pytest.mark.parametrize("name", TRAINED)
def test_a_trained_model_agrees_on_pictures(name: str, shared: Path) -> None:
    weights, pixels = TRAINED[name]
    file = shared / "models" / f"{name}.prototxt"
    folder = file.parent
    (trained,) = (w for w in folder.glob(f"{weights}.caffemodel*"))
    net = prepared_net(file, trained, batch=1).net
    transform = TransformationParameter(**pixels)
    pictures = [values for _, values in picture_inputs(net, shared / "images", transform)]
    assert len(pictures) > 10
    for dynamic in (False, True):
        exported = export_net(net, dynamic=dynamic)
        check_model(exported, name)
        for inputs in pictures[::3]:
            assert [d for d in compared(net, exported, inputs) if not d.is_small] == []
    (blob,) = pictures[0]
    both = {blob: np.concatenate([picture[blob] for picture in pictures[:2]])}
    assert [d for d in compared(net, exported, both) if not d.is_small] == []
