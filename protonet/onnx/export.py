"""A net and its weights to an .onnx file, proven equal if the user asks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from protonet.ir.files import atomic_write
from protonet.net import Net
from protonet.onnx.exporting.model import (
    DEFAULT_OPSET,
    LEAST_OPSET,
    MOST_OPSET,
    Exported,
    check_model,
    export_net,
)
from protonet.onnx.exporting.prepare import Prepared, prepared_net
from protonet.onnx.pictures import picture_inputs
from protonet.onnx.verify import TOLERANCE, Difference, compared, first_difference, random_inputs
from protonet.prototxt.diagnostics import Diagnostic, Error

__all__ = ["Report", "export_onnx"]

_MOST_BYTES = 2**31 - 1  # of one protobuf message


@dataclass
class Report:
    """What was written, and how far ONNX Runtime is from protonet on each output of each run."""

    file: str
    inputs: list[str]
    outputs: list[str]
    runs: list[tuple[str, list[Difference]]] = field(default_factory=list)


def export_onnx(
    net: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    *,
    opset: int = DEFAULT_OPSET,
    batch: int | str | None = None,
    size: Sequence[int] = (),
    verify: bool = False,
    images: str | os.PathLike[str] | None = None,
    inputs: Mapping[str, np.ndarray] | None = None,
    python_layer_domain: bool = False,
) -> Report:
    """Writes a net with its weights as an ONNX model.

    `batch` is a number, or "dynamic" for any; None takes the file's. `size` replaces the last
    axes of the first input. `verify` runs the model in ONNX Runtime beside the net on random
    inputs, on the pictures of the folder `images`, and on `inputs`, before the file is written.
    `python_layer_domain` writes layers that ONNX cannot express as operators of the domain
    org.protonet. Raises Error: E601 to E607, E612 where the two do not agree.
    """
    if not LEAST_OPSET <= opset <= MOST_OPSET:
        raise Error(
            Diagnostic("E606", f"opset {opset} is not one of {LEAST_OPSET} to {MOST_OPSET}")
        )
    dynamic = batch == "dynamic"
    fixed = batch if isinstance(batch, int) else None
    prepared = prepared_net(net, weights, batch=fixed, size=size)
    ready, file = prepared.net, os.fspath(out)
    exported = export_net(
        ready, opset=opset, dynamic=dynamic, custom=python_layer_domain, metadata=prepared.metadata
    )
    if exported.model.ByteSize() > _MOST_BYTES:
        raise Error(Diagnostic("E603", f"{file}: the model is larger than the 2 GB of one file"))
    check_model(exported, file)
    report = Report(file, list(ready.inputs), list(exported.outputs.values()))
    for title, values in _trials(prepared, dynamic, verify, images, inputs):
        report.runs.append((title, _verified(ready, exported, title, values)))
    with atomic_write(file) as stream:
        stream.write(exported.model.SerializeToString())
    return report


def _trials(
    prepared: Prepared,
    dynamic: bool,
    random: bool,
    images: str | os.PathLike[str] | None,
    inputs: Mapping[str, np.ndarray] | None,
) -> Iterator[tuple[str, Mapping[str, np.ndarray]]]:
    """Yields what the two are compared on, with a title for each."""
    if random:
        yield "random inputs", random_inputs(prepared.net)
    if random and dynamic:
        yield "random inputs, twice the batch", random_inputs(prepared.net, 2)
    if images is not None:
        yield from picture_inputs(prepared.net, images, prepared.transform)
    if inputs is not None:
        yield "given inputs", inputs


def _verified(
    net: Net, exported: Exported, title: str, inputs: Mapping[str, np.ndarray]
) -> list[Difference]:
    """Returns the differences of the outputs; Error E612 that names the first layer at fault."""
    if exported.has_custom:
        raise Error(
            Diagnostic("E612", "a model with operators of our own runs in no other runtime: "
                       "it cannot be verified")
        )  # fmt: skip
    fresh = Net(net.graph.net, seed=net.seed)  # a recurrent layer starts from its first state
    fresh.share_with(net)
    found = compared(fresh, exported, inputs)
    if all(difference.is_small for difference in found):
        return found
    fresh = Net(net.graph.net, seed=net.seed)
    fresh.share_with(net)
    first = first_difference(fresh, exported, inputs)
    notes = [f"{title}: {difference}" for difference in found if not difference.is_small]
    if first is not None:
        layer, difference = first
        notes.append(f"the first blob that differs: {difference}, made by {layer}")
    raise Error(
        Diagnostic(
            "E612",
            f"ONNX Runtime gives other outputs than protonet (by more than {TOLERANCE:g})",
            notes=tuple(notes),
        )
    )
