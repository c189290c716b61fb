"""Files of weights written anew: binary or HDF5, old formats as the current one."""

from __future__ import annotations

import os
from typing import cast

from google.protobuf.message import DecodeError

from protonet.prototxt.diagnostics import Diagnostic, Error
from protonet.prototxt.source import SourceMap

from .blobs import Array
from .files import FilePath, map_file, place
from .foreign import recognise
from .protonet_pb2 import LayerParameter, NetParameter
from .upgrade import upgrade_net
from .weights import Weights, read_weights, write_weights

__all__ = ["rewrite_weights"]


def rewrite_weights(path: FilePath, out: FilePath) -> int:
    """Writes a file of weights again: a name that ends in .h5 asks for HDF5.

    What a binary file tells of its layers is kept, in the current format. Returns the number of
    layers with weights. Raises Error E310 to E317.
    """
    weights = read_weights(path)
    blobs: dict[str, list[Array]] = {}
    for layer in weights.layers:
        if any(blob is None for blob in layer.blobs):
            raise Error(
                Diagnostic(
                    "E317",
                    f'layer "{layer.name}" shares weights, which HDF5 files leave out',
                    (place(os.fspath(path)),),
                    help="give the net's prototxt, too",
                )
            )
        if layer.blobs:
            blobs.setdefault(layer.name, [cast(Array, blob) for blob in layer.blobs])
    write_weights(out, _layers_of(path, weights), blobs)
    return len(blobs)


def _layers_of(path: FilePath, weights: Weights) -> NetParameter:
    """Returns what the file tells of its layers, without their weights."""
    data = map_file(path)
    kind = recognise(data)
    net = NetParameter()
    if kind is None or kind.content != "hdf5":
        try:
            net.ParseFromString(bytes(data))
        except DecodeError:  # larger than a message of protobuf's may be
            net.Clear()
    for layer in net.layer:
        layer.ClearField("blobs")
    for old in net.layers:
        old.ClearField("blobs")
        old.layer.ClearField("blobs")
    found, _, _ = upgrade_net(net, SourceMap())
    named = {layer.name for layer in found.layer}
    found.layer.extend(
        LayerParameter(name=layer.name, type=layer.type)
        for layer in weights.layers
        if layer.name not in named and layer.blobs  # none: they may be another layer's
    )
    return found
