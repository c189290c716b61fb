"""A Caffe network as a torch module, from what tools/bench/net_files.py writes.

BatchNorm with the Scale after it becomes one BatchNorm2d, as torch's users write it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["TorchNet"]

Layer = dict[str, Any]


class TorchNet(nn.Module):  # type: ignore[misc]
    """Runs the layers in turn; gives the blobs nobody reads, or in training the sum of losses."""

    def __init__(self, folder: Path, training: bool) -> None:
        super().__init__()
        layers: list[Layer] = json.loads((folder / "layers.json").read_text())
        stored = np.load(folder / "weights.npz")
        self.inputs: list[str] = []
        self.layers = nn.ModuleList()
        self.names: list[tuple[list[str], str]] = []
        self.weights: list[float] = []
        skipped = False
        for index, layer in enumerate(layers):
            if skipped:
                skipped = False
                continue
            if layer["type"] == "Input":
                self.inputs += layer["top"]
                continue
            following = layers[index + 1] if index + 1 < len(layers) else {"type": ""}
            blobs = _blobs(stored, layer)
            top = layer["top"][0]
            if layer["type"] == "BatchNorm" and following["type"] == "Scale":
                module: nn.Module = _batch_norm(layer, blobs, _blobs(stored, following))
                top, skipped = following["top"][0], True
            else:
                module = _MODULES[layer["type"]](layer, blobs)
            self.layers.append(module)
            self.names.append((layer["bottom"], top))
            loss = 1.0 if layer["type"] == "SoftmaxWithLoss" else 0.0
            self.weights.append(layer.get("loss_weight", [loss])[0])
        read = {name for bottoms, _ in self.names for name in bottoms}
        self.outputs = [top for _, top in self.names if top not in read]
        if any(top in bottoms for bottoms, top in self.names[-1:]):
            self.outputs.append(self.names[-1][1])
        self.train(training)

    def forward(self, *inputs: torch.Tensor) -> Any:
        values = dict(zip(self.inputs, inputs, strict=True))
        loss: Any = 0.0
        for layer, (bottoms, top), weight in zip(
            self.layers, self.names, self.weights, strict=True
        ):
            values[top] = layer(*[values[name] for name in bottoms])
            if weight:
                loss = loss + weight * values[top]
        return loss if self.training else {name: values[name] for name in self.outputs}


class Call(nn.Module):  # type: ignore[misc]
    """A function as a module."""

    def __init__(self, call: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.call = call

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.call(*inputs)


def _blobs(stored: Any, layer: Layer) -> list[torch.Tensor]:
    names = [f"{layer['name']}/{i}" for i in range(3)]
    return [torch.from_numpy(stored[name]) for name in names if name in stored]


def _pair(param: Layer, name: str, short: str, default: int) -> tuple[int, int]:
    if f"{short}_h" in param:
        return param[f"{short}_h"], param[f"{short}_w"]
    given = param.get(name, default)
    sizes = given if isinstance(given, list) else [given]
    return sizes[0], sizes[-1]


def _convolution(layer: Layer, blobs: list[torch.Tensor]) -> nn.Module:
    param, weight = layer["convolution_param"], blobs[0]
    groups = param.get("group", 1)
    made = nn.Conv2d(
        weight.shape[1] * groups, weight.shape[0],
        _pair(param, "kernel_size", "kernel", 1),
        _pair(param, "stride", "stride", 1),
        _pair(param, "pad", "pad", 0),
        _pair(param, "dilation", "dilation", 1),
        groups, bias=len(blobs) > 1,
    )  # fmt: skip
    return _with(made, blobs)


def _inner_product(layer: Layer, blobs: list[torch.Tensor]) -> nn.Module:
    linear = nn.Linear(blobs[0].shape[1], blobs[0].shape[0], bias=len(blobs) > 1)
    return nn.Sequential(nn.Flatten(), _with(linear, blobs))


def _with(made: Any, blobs: list[torch.Tensor]) -> Any:
    with torch.no_grad():
        made.weight.copy_(blobs[0])
        if len(blobs) > 1:
            made.bias.copy_(blobs[1])
    return made


def _batch_norm(layer: Layer, blobs: list[torch.Tensor], scale: list[torch.Tensor]) -> nn.Module:
    param = layer.get("batch_norm_param", {})
    made = nn.BatchNorm2d(
        len(blobs[0]), param.get("eps", 1e-5), 1 - param.get("moving_average_fraction", 0.999)
    )
    made.running_mean = blobs[0] / blobs[2]
    made.running_var = blobs[1] / blobs[2]
    return _with(made, scale)


def _pooling(layer: Layer, blobs: list[torch.Tensor]) -> nn.Module:
    param = layer["pooling_param"]
    mean = param.get("pool", "MAX") == "AVE"
    if param.get("global_pooling"):
        return Call(lambda x: (x.mean if mean else x.amax)((2, 3), keepdim=True))
    window = {
        "kernel_size": _pair(param, "kernel_size", "kernel", 1),
        "stride": _pair(param, "stride", "stride", 1),
        "padding": _pair(param, "pad", "pad", 0),
        "ceil_mode": param.get("round_mode", "CEIL") == "CEIL",
    }
    return nn.AvgPool2d(**window) if mean else nn.MaxPool2d(**window)


def _lrn(layer: Layer, blobs: list[torch.Tensor]) -> nn.Module:
    param = layer.get("lrn_param", {})
    return nn.LocalResponseNorm(
        param.get("local_size", 5), param.get("alpha", 1.0), param.get("beta", 0.75),
        param.get("k", 1.0),
    )  # fmt: skip


def _concat(*inputs: torch.Tensor) -> torch.Tensor:
    return torch.cat(inputs, 1)


def _loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(scores.flatten(1), labels.long())


_MODULES: dict[str, Callable[[Layer, list[torch.Tensor]], nn.Module]] = {
    "Convolution": _convolution,
    "InnerProduct": _inner_product,
    "Pooling": _pooling,
    "LRN": _lrn,
    # in place even where the file is not: faster, and nobody else reads these bottoms
    "ReLU": lambda layer, blobs: nn.ReLU(inplace=True),
    "Dropout": lambda layer, blobs: nn.Dropout(
        layer.get("dropout_param", {}).get("dropout_ratio", 0.5)
    ),
    "Concat": lambda layer, blobs: Call(_concat),
    "Eltwise": lambda layer, blobs: Call(torch.add),
    "Softmax": lambda layer, blobs: nn.Softmax(1),
    "SoftmaxWithLoss": lambda layer, blobs: Call(_loss),
}
