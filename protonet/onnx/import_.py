"""An .onnx file to prototxt and caffemodel, proven equal if the user asks.

Code: E624 the net and the model do not agree.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from protonet.ir.files import atomic_write
from protonet.ir.weights import write_weights
from protonet.layers.base import Shape
from protonet.net import Net
from protonet.onnx.importing.net import Imported, import_model
from protonet.onnx.importing.reading import read_model
from protonet.onnx.verify import TOLERANCE, Difference, run_model, showing
from protonet.prototxt import format_text
from protonet.prototxt.diagnostics import Diagnostic, Error

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["ImportReport", "import_onnx", "loaded_net"]


@dataclass
class ImportReport:
    """What was written: layer types that Caffe 1.0 lacks with their layers, and the differences
    of the outputs from ONNX Runtime's."""

    layers: int
    forks: dict[str, list[str]]
    differences: list[Difference] = field(default_factory=list)


def import_onnx(
    model: str | os.PathLike[str],
    out_net: str | os.PathLike[str],
    out_weights: str | os.PathLike[str],
    *,
    strict_caffe: bool = False,
    batch: int = 1,
    size: Sequence[int] = (),
    verify: bool = False,
) -> ImportReport:
    """Writes an ONNX model as a prototxt and a caffemodel.

    Open axes of the inputs become `batch` (axis 0) and `size` (the last ones of the first input).
    `strict_caffe` refuses layers that Caffe 1.0 does not have. `verify` runs both on random
    inputs before the files are written. Raises Error E620 to E624.
    """
    read = read_model(model)
    found = import_model(read, os.fspath(model), strict_caffe=strict_caffe, batch=batch, size=size)
    report = ImportReport(len(found.net.layer), found.forks)
    if verify:
        report.differences = _verified(found, read, os.fspath(model))
    write_weights(out_weights, found.net, found.weights)
    with atomic_write(out_net) as stream:
        stream.write(format_text(found.net).encode())
    return report


def loaded_net(found: Imported) -> Net:
    """Returns an imported net with its trained blobs."""
    net = Net(found.net, seed=0)
    for name, arrays in found.weights.items():
        for blob, array in zip(net.params[name], arrays, strict=True):
            blob.data[...] = array
    return net


def random_feeds(shapes: Mapping[str, Shape], seed: int = 0) -> dict[str, np.ndarray]:
    """Draws normal numbers for the inputs of a model."""
    random = np.random.default_rng(seed)
    return {n: random.standard_normal(shape).astype(np.float32) for n, shape in shapes.items()}


def _verified(found: Imported, model: ModelProto, file: str) -> list[Difference]:
    net, inputs = loaded_net(found), random_feeds(found.inputs)
    wanted = run_model(model, inputs, file)
    net.forward(**dict[str, Any](inputs))
    differences = [
        Difference.between(name, net.blobs[blob].data, np.asarray(wanted[name]))
        for name, blob in found.outputs.items()
    ]
    if not all(difference.is_small for difference in differences):
        notes = [str(d) for d in differences if not d.is_small]
        first = _first_difference(found, net, model, inputs)
        if first is not None:
            notes.append(f"the first blob that differs: {first}")
        raise Error(
            Diagnostic(
                "E624",
                f"{file}: the net gives other outputs than ONNX Runtime (by more than "
                f"{TOLERANCE:g})",
                notes=tuple(notes),
            )
        )
    return differences


def _first_difference(
    found: Imported, net: Net, model: ModelProto, inputs: Mapping[str, np.ndarray]
) -> Difference | None:
    """Compares the blobs of a net that has run with the values that they stand for."""
    values = run_model(showing(model, found.values.values()), inputs)
    for blob, value in found.values.items():
        if value in values:
            difference = Difference.between(blob, net.blobs[blob].data, np.asarray(values[value]))
            if not difference.is_small:
                return difference
    return None
