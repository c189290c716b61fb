"""What the generators of the larger models have in common: parts of nets, and writing them.

Run a generator from the repository's root: python -m models.vgg16.generate
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from protonet.caffe.net_spec import NetSpec, Top, layers
from protonet.ir.files import atomic_write
from protonet.ir.protonet_pb2 import TEST, NetParameter
from protonet.prototxt import format_text
from protonet.surgery.deploy import deploy
from protonet.surgery.trained_net import TrainedNet

__all__ = [
    "MSRA", "XAVIER", "classify", "conv", "dense", "dropout", "gaussian", "imagenet", "mean_plane",
    "norm", "pool", "relu", "write",
]  # fmt: skip

IMAGENET_MEAN = [104, 117, 123]  # B, G, R
WEIGHT_AND_BIAS = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}]
XAVIER = {"type": "xavier"}
MSRA = {"type": "msra"}


def gaussian(std: float) -> dict[str, Any]:
    return {"type": "gaussian", "std": std}


def imagenet(net: NetSpec, crop: int, batch: int) -> None:
    """Adds "data" and "label": photographs in a database, a random part of crop×crop of each."""
    net.data, net.label = layers.Data(
        ntop=2,
        include={"phase": 0},
        transform_param={"mirror": True, "crop_size": crop, "mean_value": IMAGENET_MEAN},
        data_param={"source": "data/ilsvrc12_train_lmdb", "backend": 1, "batch_size": batch},
    )


def conv(
    net: NetSpec,
    name: str,
    bottom: Top,
    outputs: int,
    kernel: int,
    *,
    filler: dict[str, Any] = XAVIER,
    bias: float | None = 0.0,
    **more: Any,
) -> Top:
    """Adds a convolution; `bias` is what its bias starts from, None for none."""
    settings: dict[str, Any] = {"num_output": outputs, "kernel_size": kernel, **more}
    settings["weight_filler"] = filler
    if bias is None:
        settings["bias_term"] = False
    else:
        settings["bias_filler"] = {"type": "constant", "value": bias}
    param = WEIGHT_AND_BIAS if bias is not None else WEIGHT_AND_BIAS[:1]
    net[name] = layers.Convolution(bottom, param=param, convolution_param=settings)
    return net[name]


def dense(
    net: NetSpec,
    name: str,
    bottom: Top,
    outputs: int,
    *,
    filler: dict[str, Any] = XAVIER,
    bias: float = 0.0,
) -> Top:
    """Adds a fully connected layer."""
    net[name] = layers.InnerProduct(
        bottom,
        param=WEIGHT_AND_BIAS,
        num_output=outputs,
        weight_filler=filler,
        bias_filler={"type": "constant", "value": bias},
    )
    return net[name]


def relu(net: NetSpec, name: str, bottom: Top) -> Top:
    net[name] = layers.ReLU(bottom, in_place=True)
    return net[name]


def dropout(net: NetSpec, name: str, bottom: Top, ratio: float = 0.5) -> Top:
    net[name] = layers.Dropout(bottom, in_place=True, dropout_ratio=ratio)
    return net[name]


def norm(net: NetSpec, name: str, scale_name: str, bottom: Top) -> Top:
    """Adds batch normalisation with a factor and a summand per channel, in place."""
    net[name] = layers.BatchNorm(bottom, in_place=True)
    net[scale_name] = layers.Scale(
        net[name],
        in_place=True,
        bias_term=True,
        param=[{"lr_mult": 1, "decay_mult": 0}, {"lr_mult": 1, "decay_mult": 0}],
    )
    return net[scale_name]


def pool(net: NetSpec, name: str, bottom: Top, kernel: int, stride: int, **more: Any) -> Top:
    """Adds a pooling, of maxima unless `pool` (1: means) says otherwise."""
    net[name] = layers.Pooling(bottom, kernel_size=kernel, stride=stride, **more)
    return net[name]


def mean_plane(net: NetSpec, name: str, bottom: Top) -> Top:
    """Adds the mean over the whole plane."""
    net[name] = layers.Pooling(bottom, pool=1, global_pooling=True)
    return net[name]


def classify(net: NetSpec, scores: Top, prefix: str = "", weight: float = 1.0) -> None:
    """Adds the loss, and for TEST the shares of labels that are among the best one and five."""
    named = {"loss": f"{prefix}loss", "top1": f"{prefix}accuracy", "top5": f"{prefix}accuracy_top5"}
    net[named["loss"]] = layers.SoftmaxWithLoss(scores, net.label, loss_weight=weight)
    tested = {"include": {"phase": TEST}}
    net[named["top1"]] = layers.Accuracy(scores, net.label, **tested)
    net[named["top5"]] = layers.Accuracy(scores, net.label, top_k=5, **tested)


def write(
    generator: str,
    name: str,
    net: NetSpec,
    test_batch: int,
    *,
    shape: tuple[int, ...] | None = None,
) -> None:
    """Writes train_val.prototxt and deploy.prototxt beside the generator, or into --out.

    Data layers get a twin for TEST: from the database of that name with "val" for "train", a part
    from the middle of each image, not mirrored. `shape` is the net's input in use, where the data
    layers do not tell it.
    """
    parser = argparse.ArgumentParser(description=f"Write the net {name}.")
    parser.add_argument("--out", type=Path, default=Path(generator).parent)
    folder: Path = parser.parse_args().out
    made = NetParameter.FromString(net.to_proto().SerializeToString())
    trains = NetParameter(name=name)
    for layer in made.layer:
        trains.layer.add().CopyFrom(layer)
        if layer.type == "Data":
            tests = trains.layer.add()
            tests.CopyFrom(layer)
            tests.include[0].phase = TEST
            tests.transform_param.ClearField("mirror")
            tests.data_param.source = layer.data_param.source.replace("train", "val")
            tests.data_param.batch_size = test_batch
    for_use = deploy(TrainedNet(trains), shape=shape).net
    module = f"models.{Path(generator).parent.name}.{Path(generator).stem}"
    for file, message in (("train_val.prototxt", trains), ("deploy.prototxt", for_use)):
        with atomic_write(folder / file) as stream:
            stream.write(f"# Written by python -m {module}\n".encode())
            stream.write(format_text(message).encode())
