"""A net's files made ready for the way out: trained weights in, the input's size and batch chosen.

Codes: E606 an option that the net's inputs do not allow.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.json_format import MessageToDict

from protonet.ir.document import Document, read_net_document
from protonet.ir.protonet_pb2 import NetParameter, TransformationParameter
from protonet.layers.registry import layer_class
from protonet.net import Net
from protonet.prototxt.diagnostics import Diagnostic, Error
from protonet.surgery.deploy import deploy
from protonet.surgery.trained_net import TrainedNet

__all__ = ["Prepared", "prepared_net"]


@dataclass(frozen=True)
class Prepared:
    """A net to be written, what the model's metadata tells of it, and how its images are fed."""

    net: Net
    metadata: dict[str, str]
    transform: TransformationParameter


def prepared_net(
    path: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    *,
    batch: int | None = None,
    size: Sequence[int] = (),
    seed: int | None = 0,
) -> Prepared:
    """Reads a net and its weights.

    `batch` and `size` (the last axes of the first input) replace what the file says. Without
    `weights` the fillers' values are taken.
    """
    document = _deployed(read_net_document(path), size)
    metadata = {"protonet.net": os.path.basename(os.fspath(path))}
    if weights is not None:
        metadata["protonet.weights"] = os.path.basename(os.fspath(weights))
    transform = _transform(read_net_document(path).message)
    if transform.ListFields():
        told = MessageToDict(transform, preserving_proto_field_name=True)
        metadata["protonet.preprocessing"] = json.dumps(told, sort_keys=True)
    _resize(document, batch, size)
    return Prepared(Net(document, weights=weights, seed=seed), metadata, transform)


def _deployed(document: Document[NetParameter], size: Sequence[int]) -> Document[NetParameter]:
    """Returns a net that takes its images as inputs, where it has data layers of its own."""
    makes = {layer.type for layer in document.message.layer if not layer.bottom}
    if not any((found := layer_class(type)) and found.is_data for type in makes):
        return document
    shape = tuple(size) if len(size) > 2 else None
    try:
        ready = deploy(TrainedNet(document.message, document.source), shape=shape)
    except Error as error:  # deploy's own command has another name for the option
        raise Error(str(error).replace("--shape CxHxW", "--input C H W")) from None
    return Document(ready.net, ready.source, document.diagnostics)


def _transform(net: NetParameter) -> TransformationParameter:
    """Returns the transform_param of the net's data, of the last phase that has one."""
    found = TransformationParameter()
    for layer in net.layer:
        if layer.HasField("transform_param"):
            found = layer.transform_param
    return found


def _resize(document: Document[NetParameter], batch: int | None, size: Sequence[int]) -> None:
    """Changes the shapes of the net's inputs."""
    shapes = [
        (shape, ("layer", index, "input_param", "shape", number))
        for index, layer in enumerate(document.message.layer)
        if layer.type == "Input"
        for number, shape in enumerate(layer.input_param.shape)
    ]
    if (batch or size) and not shapes:
        raise Error(Diagnostic("E606", "the net has no input whose shape could be changed"))
    if not shapes:
        return
    first, place = shapes[0]
    if size:
        if len(size) > len(first.dim):
            raise Error(
                Diagnostic(
                    "E606",
                    f"--input gives {len(size)} sizes, but the input has {len(first.dim)} axes",
                    (document.source.span(place),),
                )
            )
        first.dim[len(first.dim) - len(size) :] = list(size)
    if batch is not None and first.dim:
        before = first.dim[0]
        for shape, _ in shapes:
            if shape.dim and shape.dim[0] == before:
                shape.dim[0] = batch
