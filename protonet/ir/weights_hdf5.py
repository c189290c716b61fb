"""The HDF5 .caffemodel: a dataset /data/<layer>/<index> for each blob.

Blobs that share the memory of an earlier layer's are left out. Layers without blobs are
empty groups. Gradients, if any, are under /diff.

Codes: E312 damaged, E313 a dataset that is no blob, E314 cannot be written, E316 names that
HDF5 cannot hold.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from protonet.prototxt.diagnostics import Diagnostic, Error

from .blobs import Array
from .files import FilePath, atomic_path, place
from .layer_weights import Blobs, LayerWeights, Weights
from .protonet_pb2 import NetParameter

if TYPE_CHECKING:
    import h5py

__all__ = ["read_weights_hdf5", "write_weights_hdf5"]

_MOST_COMPRESSION = 1100  # no filter of HDF5 shrinks data further
_DEEPEST_GROUP = 32
_OTHER = "rename a layer, or save as .caffemodel (snapshot_format: BINARYPROTO)"


def read_weights_hdf5(path: FilePath) -> Weights:
    """Read a .caffemodel.h5; layers come in the order of their names."""
    import h5py

    file = os.fspath(path)
    layers: list[LayerWeights] = []
    try:
        with h5py.File(file, "r") as stored:
            root = stored.get("data")
            if not isinstance(root, h5py.Group):
                raise _bad(file, "E311", "this HDF5 file holds no weights: it has no group /data")
            _collect(root, "", layers, file)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise _bad(file, "E312", f"damaged HDF5 file: {error}") from error
    return Weights(file, layers, leaves_out_shared=True)


def write_weights_hdf5(path: FilePath, net: NetParameter, blobs: Blobs, diffs: Blobs) -> None:
    """Write a .caffemodel.h5; see `write_weights`."""
    import h5py

    file = os.fspath(path)
    _refuse_colliding_names(file, net, blobs)
    with atomic_path(path) as temporary:
        try:
            with h5py.File(temporary, "w") as stored:
                _store(stored.create_group("data"), net, blobs)
                if diffs:
                    _store(stored.create_group("diff"), net, diffs)
        except (RuntimeError, ValueError) as error:
            raise _bad(file, "E314", f"cannot write this file: {error}") from error


def _collect(group: h5py.Group, name: str, layers: list[LayerWeights], file: str) -> None:
    """Add the layers in a group. A layer's name may contain "/": then it is a group in a group."""
    import h5py

    if name.count("/") > _DEEPEST_GROUP:
        raise _bad(file, "E312", "damaged HDF5 file: groups contain each other")
    numbered: dict[int, h5py.Dataset] = {}
    groups: list[tuple[str, h5py.Group]] = []
    for key in group:
        if group.get(key, getlink=True).__class__ is not h5py.HardLink:
            continue  # links can go round in circles or out of the file
        entry = group[key]
        if isinstance(entry, h5py.Group):
            groups.append((f"{name}/{key}" if name else key, entry))
        elif isinstance(entry, h5py.Dataset) and key.isdecimal() and len(key) <= 4:
            numbered[int(key)] = entry
    if name and (numbered or not groups):
        blobs: list[Array | None] = [None] * (max(numbered, default=-1) + 1)
        for index, dataset in numbered.items():
            blobs[index] = _array(dataset, f'blob {index} of layer "{name}"', file)
        layers.append(LayerWeights(name, "", blobs, [False] * len(blobs)))
    for inner_name, inner in groups:
        _collect(inner, inner_name, layers, file)


def _array(dataset: h5py.Dataset, what: str, file: str) -> Array:
    if dataset.dtype.kind != "f" or dataset.shape is None:
        raise _bad(file, "E313", f"{what} is no array of floats")
    size = dataset.size * dataset.dtype.itemsize
    if size > _MOST_COMPRESSION * dataset.id.get_storage_size():
        raise _bad(file, "E312", f"{what} should be {size} bytes, more than the file can hold")
    single = dataset.dtype.itemsize <= 4
    values = np.empty(dataset.shape, np.float32 if single else np.float64)
    if values.size:
        dataset.read_direct(values)
    values.flags.writeable = False
    return values


def _store(root: h5py.Group, net: NetParameter, blobs: Blobs) -> None:
    shared: set[str] = set()
    for layer in net.layer:
        group = root.require_group(layer.name)  # "a" may be there for the sake of "a/b"
        for index, array in enumerate(blobs.get(layer.name, ())):
            name = layer.param[index].name if index < len(layer.param) else ""
            if name and name in shared:
                continue
            shared.add(name)
            data = array if array.dtype == np.float64 else np.asarray(array, "<f4")
            # With a checksum, which HDF5 verifies on reading; it has none for a single number.
            checked = {"chunks": data.shape, "fletcher32": True} if data.ndim and data.size else {}
            group.create_dataset(str(index), data=data, **checked)


def _refuse_colliding_names(file: str, net: NetParameter, blobs: Blobs) -> None:
    """Raise E316 where two things would have the same path in the file."""
    taken: dict[str, str] = {}
    for layer in net.layer:
        parts = layer.name.split("/")
        paths = [(layer.name, f'layer "{layer.name}"')]
        for index, _ in enumerate(blobs.get(layer.name, ())):
            paths.append((f"{layer.name}/{index}", f'blob {index} of layer "{layer.name}"'))
        if not all(parts) or "." in parts:
            raise _bad(file, "E316", f'HDF5 cannot hold a layer of the name "{layer.name}"', _OTHER)
        for path, what in paths:
            if path in taken:
                message = f"HDF5 cannot hold both {taken[path]} and {what}: both are /data/{path}"
                raise _bad(file, "E316", message, _OTHER)
            taken[path] = what


def _bad(file: str, code: str, message: str, help: str = "") -> Error:
    return Error(Diagnostic(code, message, (place(file),), help=help))
