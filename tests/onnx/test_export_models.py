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
from protonet.onnx.import_ import loaded_net
from protonet.onnx.importing.net import import_model
from protonet.onnx.pictures import picture_inputs
from protonet.onnx.verify import Difference, compared, first_difference, random_inputs

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


NAMES = sorted(path.parent.name for path in MODELS.glob("*/deploy.prototxt"))


def random_model(name: str, folder: Path) -> Net:
    file = folder / "deploy.prototxt"
    file.write_text(narrowed(name))
    net = prepared_net(file, batch=1, size=SMALLER.get(name, ())).net
    randomize(net)
    return net


@pytest.mark.parametrize("name", NAMES)
def test_a_model_gives_the_same_in_batches_of_one_and_of_any_size(
    name: str, tmp_path: Path
) -> None:
    net = random_model(name, tmp_path)
    for dynamic, factor in ((False, 1), (True, 2)):
        exported = export_net(net, dynamic=dynamic)
        check_model(exported, name)
        fresh = Net(net.graph.net, seed=0)
        fresh.share_with(net)
        inputs = random_inputs(fresh, factor)
        assert [d for d in compared(fresh, exported, inputs) if not d.is_small] == []
    assert first_difference(fresh, exported, inputs) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_model_comes_back_from_onnx(name: str, tmp_path: Path) -> None:
    net = random_model(name, tmp_path)
    exported = export_net(net)
    found = import_model(exported.model)
    inputs = random_inputs(net)
    wanted = net.forward(**inputs)
    back = loaded_net(found)
    back.forward(**inputs)
    for blob, output in exported.outputs.items():
        values = back.blobs[found.outputs[output]].data
        assert Difference.between(blob, values, wanted[blob]).is_small
    assert not found.forks  # plain Caffe opens what plain Caffe made


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
