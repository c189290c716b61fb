"""Running an ONNX model and a net on the same inputs, and finding where they part.

Code: E611 ONNX Runtime cannot run a model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from protonet.extras import import_extra
from protonet.prototxt.diagnostics import Diagnostic, Error

if TYPE_CHECKING:
    from onnx import ModelProto

    from protonet.net import Net
    from protonet.onnx.exporting.model import Exported

__all__ = [
    "TOLERANCE", "Difference", "compared", "first_difference", "random_inputs", "run_model",
    "showing",
]  # fmt: skip

TOLERANCE = 1e-4
_LEAST_SCALE = 0.01  # blobs smaller than this are measured by it

Inputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Difference:
    """How far two arrays are apart: max |a − b|, and that by the largest of the second."""

    name: str
    absolute: float
    relative: float
    reason: str = ""  # why they cannot be compared at all

    @classmethod
    def between(cls, name: str, found: np.ndarray, wanted: np.ndarray) -> Difference:
        if found.shape != wanted.shape:
            told = f"{_text(found.shape)} instead of {_text(wanted.shape)}"
            return cls(name, math.inf, math.inf, f"the shape is {told}")
        same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
        with np.errstate(invalid="ignore"):
            gaps = np.where(same, 0.0, np.abs(found.astype(np.float64) - wanted))
        if np.isnan(gaps).any():
            return cls(name, math.inf, math.inf, "one has NaN where the other has none")
        finite = np.abs(wanted[np.isfinite(wanted)])
        scale = max(_LEAST_SCALE, float(finite.max(initial=0)))
        absolute = float(gaps.max(initial=0))
        return cls(name, absolute, absolute / scale)

    @property
    def is_small(self) -> bool:
        return self.relative <= TOLERANCE

    def __str__(self) -> str:
        if self.reason:
            return f"{self.name}: {self.reason}"
        return f"{self.name}: largest difference {self.absolute:.3g}, relative {self.relative:.3g}"


def _text(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "scalar"


def run_model(model: ModelProto | bytes, inputs: Inputs, file: str = "model") -> dict[str, Any]:
    """Runs a model in ONNX Runtime; returns its outputs by name. Raises Error E611."""
    runtime = import_extra("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    data = model if isinstance(model, bytes) else model.SerializeToString()
    try:
        session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        wanted = {value.name for value in session.get_inputs()}
        found = session.run(None, {n: values for n, values in inputs.items() if n in wanted})
    except Exception as error:  # the runtime's own classes share no base
        reason = str(error).split("\n")[0]
        raise Error(
            Diagnostic("E611", f"{file}: ONNX Runtime cannot run the model: {reason}")
        ) from error
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, found, strict=True))


def compared(net: Net, exported: Exported, inputs: Inputs) -> list[Difference]:
    """Runs both and returns the difference of each output."""
    found = run_model(exported.model, inputs)
    wanted = net.forward(**dict[str, Any](inputs))
    return [
        Difference.between(blob, found[output], wanted[blob])
        for blob, output in exported.outputs.items()
    ]


def first_difference(net: Net, exported: Exported, inputs: Inputs) -> tuple[str, Difference] | None:
    """Runs both layer by layer; returns the first layer whose top differs, and by how much."""
    found = run_model(showing(exported.model, exported.values.values()), inputs)
    for layer, place, values in _steps(net, inputs):
        name = exported.values.get(place, "")
        if name not in found:
            continue
        difference = Difference.between(
            net.graph.blob_names[_blob(net, place)], found[name], values
        )
        if not difference.is_small:
            return layer, difference
    return None


def showing(model: ModelProto, values: Iterable[str]) -> ModelProto:
    """Returns the model with these values, as far as nodes make them, as outputs, too."""
    onnx: Any = import_extra("onnx", "onnx")
    copy: ModelProto = onnx.ModelProto()
    copy.CopyFrom(model)
    made = {name for node in copy.graph.node for name in node.output}
    shown = {value.name for value in copy.graph.output}
    for name in dict.fromkeys(values):
        if name in made and name not in shown:
            copy.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    return copy


def _blob(net: Net, place: tuple[int, int]) -> int:
    return net.graph.nodes[place[0]].tops[place[1]]


def _steps(net: Net, inputs: Inputs) -> Iterator[tuple[str, tuple[int, int], np.ndarray]]:
    """Runs a net layer by layer; yields each layer's title, place and tops."""
    for name, values in inputs.items():
        net.blobs[name].reshape(*values.shape)
    net.reshape()
    for name, values in inputs.items():
        net.blobs[name].data[...] = values
    for index, node in enumerate(net.graph.nodes):
        net.run_forward(index, index)
        for top in range(len(node.tops)):
            yield node.title, (index, top), net._tops[index][top].data


def random_inputs(net: Net, factor: int = 1, seed: int = 0) -> dict[str, np.ndarray]:
    """Draws values that the readers of each input accept; `factor` times the batch."""
    random = np.random.default_rng(seed)
    shapes = [net.blobs[name].shape for name in net.inputs]
    batch = shapes[0][:1] if shapes else ()
    inputs = {}
    for name, shape in zip(net.inputs, shapes, strict=True):
        if shape[:1] == batch and shape:
            shape = (factor * shape[0], *shape[1:])
        inputs[name] = _drawn(net, name, shape, random).astype(np.float32)
    return inputs


def _drawn(net: Net, name: str, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Draws normal numbers, or rows, choices and regions for those who want them."""
    for node in net.graph.nodes:
        for position, blob in enumerate(node.bottoms):
            if not _comes_from(net, blob, name):
                continue
            kind = node.param.type
            if kind == "Embed":
                return random.integers(0, node.param.embed_param.input_dim, shape)
            if kind == "BatchReindex" and position == 1:
                return random.integers(0, (node.bottom_shapes[0] or (1,))[0], shape)
            if kind == "Filter" and position == len(node.bottoms) - 1:
                return random.integers(0, 2, shape)
            if kind in ("LSTM", "RNN") and position == 1:
                return random.integers(0, 2, shape)
            if kind in ("ROIPooling", "PSROIPooling") and position == 1:
                return _regions(node, shape, random)
    return random.standard_normal(shape)


def _comes_from(net: Net, blob: int, name: str) -> bool:
    """Says whether a blob is an input, or a Split's copy of one."""
    while net.graph.blob_names[blob] != name:
        node = net.graph.nodes[net.graph.producers[blob]]
        if node.param.type != "Split":
            return False
        blob = node.bottoms[0]
    return True


def _regions(node: Any, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Draws boxes inside the image: image, xmin, ymin, xmax, ymax."""
    settings = node.param.roi_pooling_param
    scale = settings.spatial_scale if node.param.type == "ROIPooling" else 1.0
    images, _, height, width = node.bottom_shapes[0]
    count = math.prod(shape) // 5
    corners = np.sort(random.random((2, count, 2)), axis=0) * (
        np.array([width, height]) / max(scale, 1e-6)
    )
    first = random.integers(0, images, (count, 1))
    return np.concatenate([first, *np.floor(corners)], axis=1).reshape(shape)
