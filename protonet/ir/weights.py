"""Files of trained weights: .caffemodel, binary or HDF5."""

from __future__ import annotations

import os

from .files import FilePath, map_file
from .foreign import recognise
from .layer_weights import Blobs, LayerWeights, Weights
from .protonet_pb2 import NetParameter

__all__ = ["LayerWeights", "Weights", "read_weights", "write_weights"]


def read_weights(path: FilePath) -> Weights:
    """Read a .caffemodel, binary (V0, V1 or current format) or HDF5; its content tells which.

    A binary file stays on disk: the arrays are views of the mapped file. Raises Error E310 to
    E313.
    """
    data = map_file(path)
    kind = recognise(data)
    if kind is not None and kind.content == "hdf5":
        from .weights_hdf5 import read_weights_hdf5

        return read_weights_hdf5(path)
    from .weights_binary import weights_in

    return weights_in(data, os.fspath(path))


def write_weights(
    path: FilePath, net: NetParameter, blobs: Blobs, diffs: Blobs | None = None
) -> None:
    """Write a net with its blobs, given by layer name, as Caffe writes a .caffemodel.

    A name that ends in .h5 asks for HDF5. The layers are stored as they are in `net`, only
    blobs that are in `net` itself are not. float64 arrays are stored as doubles, others as
    floats. The old file is replaced when all is written. Raises Error E314, E315, E316.
    """
    if os.fspath(path).endswith(".h5"):
        from .weights_hdf5 import write_weights_hdf5

        write_weights_hdf5(path, net, blobs, diffs or {})
    else:
        from .weights_binary import write_weights_binary

        write_weights_binary(path, net, blobs, diffs or {})
