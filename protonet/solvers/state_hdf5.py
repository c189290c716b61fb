"""The HDF5 .solverstate.h5: datasets iter, learned_net, current_step and history/<index>.

The dataset `protonet`, which Caffe does not ask for, holds our fields of SolverState as bytes;
its checksum is over learned_net and the history's numbers.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf.message import DecodeError

from protonet.ir.files import FilePath, atomic_path, place
from protonet.ir.protonet_pb2 import SolverState
from protonet.prototxt.diagnostics import Diagnostic, Error

from .state import Array, State, as_little_endian, damaged
from .state_binary import extras, state_of

if TYPE_CHECKING:
    import h5py

__all__ = ["read_state_hdf5", "write_state_hdf5"]

_EXTRAS = "protonet"
_MOST_COMPRESSION = 1100  # no filter of HDF5 shrinks data further


def read_state_hdf5(path: FilePath) -> State:
    """Reads a .solverstate.h5; see `read_state`."""
    import h5py

    file = os.fspath(path)
    try:
        with h5py.File(file, "r") as stored:
            if not isinstance(stored.get("history"), h5py.Group) or "iter" not in stored:
                raise Error(
                    Diagnostic("E311", "this HDF5 file is no .solverstate.h5", (place(file),))
                )
            history = _history(stored["history"])
            message = SolverState()
            if _EXTRAS in stored:
                message = SolverState.FromString(stored[_EXTRAS][()].tobytes())
            message.iter = int(_only(stored["iter"]))
            message.current_step = int(_only(stored["current_step"]))
            if "learned_net" in stored:
                name = stored["learned_net"][()]
                message.learned_net = os.fsdecode(name).rstrip("\0")
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, DecodeError) as error:
        raise damaged(file, str(error)) from error
    if message.HasField("crc32") and message.crc32 != _checksum(message.learned_net, history):
        raise damaged(file, "its checksum is wrong")
    return state_of(message, history)


def write_state_hdf5(path: FilePath, state: State) -> None:
    """Writes a .solverstate.h5; see `write_state`."""
    import h5py

    message = extras(state)
    message.crc32 = _checksum(state.learned_net, state.history)
    name = os.fsencode(state.learned_net) + b"\0"  # Caffe reads it as a C string
    with atomic_path(path) as temporary:
        try:
            with h5py.File(temporary, "w") as stored:
                stored["iter"] = np.array([state.iteration], "<i4")
                stored["current_step"] = np.array([state.current_step], "<i4")
                stored.create_dataset("learned_net", data=np.array(name, f"S{len(name)}"))
                group = stored.create_group("history")
                for index, array in enumerate(state.history):
                    group[str(index)] = as_little_endian(array)
                stored[_EXTRAS] = np.frombuffer(message.SerializeToString(), np.uint8)
        except (RuntimeError, ValueError) as error:
            raise Error(
                Diagnostic("E314", f"cannot write this file: {error}", (place(os.fspath(path)),))
            ) from error


def _history(group: h5py.Group) -> list[Array]:
    history = []
    for index in range(len(group)):
        dataset = group[str(index)]
        size = dataset.size * dataset.dtype.itemsize
        if dataset.dtype.kind != "f" or size > _MOST_COMPRESSION * dataset.id.get_storage_size():
            raise ValueError(f"array {index} of the history is no array of floats")
        history.append(as_little_endian(dataset[()]))
    return history


def _only(dataset: h5py.Dataset) -> Any:
    """Gives the one number of a dataset of one number."""
    values = np.asarray(dataset[()]).reshape(-1)
    if len(values) != 1:
        raise ValueError(f"{dataset.name} should be one number")
    return values[0]


def _checksum(learned_net: str, history: list[Array]) -> int:
    checksum = zlib.crc32(os.fsencode(learned_net))
    for array in history:
        checksum = zlib.crc32(as_little_endian(array).tobytes(), checksum)
    return checksum
