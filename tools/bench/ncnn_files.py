"""Writes a net in ncnn's own format: text that names the layers, and their weights as raw floats.

BatchNorm, and the Scale after it, are folded into the convolution before them, as ncnn's
optimizer does, and ReLU is run by the convolution or the inner product it follows.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

__all__ = ["write_ncnn"]

Layer = dict[str, Any]
RAW_FLOATS = np.zeros(1, np.uint32)  # the tag before weights that are not packed in any way
RELU = 1


class _Operation:
    """A line of the text: what it reads and makes, its numbered settings, its weights."""

    def __init__(self, kind: str, name: str, bottoms: list[str], top: str) -> None:
        self.kind, self.name, self.bottoms, self.tops = kind, name, bottoms, [top]
        self.settings: dict[int, object] = {}
        self.weight: np.ndarray | None = None
        self.bias: np.ndarray | None = None

    def __str__(self) -> str:
        blobs = " ".join([*self.bottoms, *self.tops])
        settings = " ".join(f"{key}={value}" for key, value in self.settings.items())
        counts = f"{len(self.bottoms)} {len(self.tops)}"
        return f"{self.kind:24} {self.name:24} {counts} {blobs} {settings}".rstrip()

    def write(self, file: BinaryIO) -> None:
        if self.weight is not None and self.bias is not None:
            for array in (RAW_FLOATS, self.weight, self.bias):
                file.write(np.ascontiguousarray(array).tobytes())


def write_ncnn(folder: Path) -> list[str]:
    """Writes net.param and net.bin from layers.json and weights.npz; returns the outputs' names."""
    layers: list[Layer] = json.loads((folder / "layers.json").read_text())
    with np.load(folder / "weights.npz") as stored:
        operations = _with_splits(_operations(layers, stored))
    blobs = sum(len(operation.tops) for operation in operations)
    lines = ["7767517", f"{len(operations)} {blobs}", *map(str, operations)]
    (folder / "net.param").write_text("\n".join(lines) + "\n")
    with (folder / "net.bin").open("wb") as file:
        for operation in operations:
            operation.write(file)
    read = {name for operation in operations for name in operation.bottoms}
    return [top for operation in operations for top in operation.tops if top not in read]


def _operations(layers: list[Layer], stored: Any) -> list[_Operation]:
    made: list[_Operation] = []
    now: dict[str, str] = {}  # the blob of each name, which layers in place give again
    makers: dict[str, _Operation] = {}
    uses = Counter(name for layer in layers for name in layer.get("bottom", []))
    for layer in layers:
        kind, name, top = layer["type"], layer["name"], layer["top"][0]
        bottoms = [now[bottom] for bottom in layer.get("bottom", [])]
        before = makers.get(bottoms[0]) if bottoms else None
        in_place = layer.get("bottom") == layer["top"]
        alone = in_place or uses[layer.get("bottom", [""])[0]] == 1
        folded = before is not None and alone and _folded(before, layer, stored)
        if folded or kind == "Dropout":
            now[top] = bottoms[0]
            continue
        operation = _Operation(kind, name, bottoms, f"{top}_{name}" if in_place else top)
        _settings(operation, layer, stored)
        made.append(operation)
        now[top] = operation.tops[0]
        makers[operation.tops[0]] = operation
    return made


def _folded(before: _Operation, layer: Layer, stored: Any) -> bool:
    """Whether the operation before has taken the layer's work over."""
    if before.weight is None or before.bias is None or 9 in before.settings:
        return False
    if layer["type"] == "ReLU":
        before.settings[9] = RELU
        return True
    if layer["type"] not in ("BatchNorm", "Scale"):
        return False
    blobs = [stored[f"{layer['name']}/{i}"] for i in range(3) if f"{layer['name']}/{i}" in stored]
    if layer["type"] == "BatchNorm":
        eps = layer.get("batch_norm_param", {}).get("eps", 1e-5)
        factor = 1 / np.sqrt(blobs[1] / blobs[2] + eps)
        shift = -blobs[0] / blobs[2] * factor
    else:
        factor, shift = blobs
    before.weight = (before.weight.reshape(len(factor), -1) * factor[:, None]).astype(np.float32)
    before.bias = (before.bias * factor + shift).astype(np.float32)
    return True


def _pair(param: Layer, name: str, short: str, default: int) -> tuple[int, int]:
    if f"{short}_h" in param:
        return param[f"{short}_h"], param[f"{short}_w"]
    given = param.get(name, default)
    sizes = given if isinstance(given, list) else [given]
    return sizes[0], sizes[-1]


def _settings(operation: _Operation, layer: Layer, stored: Any) -> None:
    kind, settings = layer["type"], operation.settings
    if kind in ("Convolution", "InnerProduct"):
        weight = stored[f"{layer['name']}/0"]
        bias = f"{layer['name']}/1"
        operation.weight = weight
        operation.bias = stored[bias] if bias in stored else np.zeros(len(weight), np.float32)
        settings[0] = len(weight)
        if kind == "InnerProduct":
            settings.update({1: 1, 2: weight.size})
            return
        param = layer["convolution_param"]
        for first, second, name, short, default in (
            (1, 11, "kernel_size", "kernel", 1), (2, 12, "dilation", "dilation", 1),
            (3, 13, "stride", "stride", 1), (4, 14, "pad", "pad", 0),
        ):  # fmt: skip
            settings[second], settings[first] = _pair(param, name, short, default)
        settings.update({5: 1, 6: weight.size})
        if param.get("group", 1) > 1:
            operation.kind = "ConvolutionDepthWise"
            settings[7] = param["group"]
    elif kind == "Pooling":
        param = layer["pooling_param"]
        settings[0] = int(param.get("pool", "MAX") == "AVE")
        if param.get("global_pooling"):
            settings[4] = 1
            return
        settings[11], settings[1] = _pair(param, "kernel_size", "kernel", 1)
        settings[12], settings[2] = _pair(param, "stride", "stride", 1)
        settings[13], settings[3] = _pair(param, "pad", "pad", 0)
        settings.update({5: 0, 6: 1})  # the last window may hang over; padding counts
    elif kind == "LRN":
        param = layer.get("lrn_param", {})
        settings.update({0: 0, 1: param.get("local_size", 5), 2: param.get("alpha", 1.0),
                         3: param.get("beta", 0.75)})  # fmt: skip
    elif kind == "Eltwise":
        settings[0] = 1  # sum
    elif kind == "Softmax":
        settings.update({0: 0, 1: 1})  # over the first axis after the batch


def _with_splits(operations: list[_Operation]) -> list[_Operation]:
    """In ncnn a blob has one reader: a Split copies the name for each further one."""
    uses = Counter(name for operation in operations for name in operation.bottoms)
    taken: Counter[str] = Counter()
    made = []
    for operation in operations:
        for i, name in enumerate(operation.bottoms):
            if uses[name] > 1:
                operation.bottoms[i] = f"{name}_split{taken[name]}"
                taken[name] += 1
        made.append(operation)
        for top in operation.tops:
            if uses[top] > 1:
                split = _Operation("Split", f"split_{top}", [top], "")
                split.tops = [f"{top}_split{i}" for i in range(uses[top])]
                made.append(split)
    return made
