"""The state of a solver between two iterations, and its file: .solverstate or .solverstate.h5.

Both forms are Caffe's. What Caffe has no place for (random streams, positions in the data, a
checksum) stands where Caffe does not look: in fields from number 1000 on, in a dataset
`protonet`.

Codes: E310 to E315 as for other binary files, E312 also for a wrong checksum.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from protonet.ir.files import FilePath, map_file, place
from protonet.ir.foreign import recognise
from protonet.ir.protonet_pb2 import NetRunState
from protonet.prototxt.diagnostics import Diagnostic, Error

__all__ = ["State", "damaged", "read_state", "write_state"]

Array = npt.NDArray[Any]


@dataclass
class State:
    """What it takes, besides the weights, to go on training.

    `history` is the update rule's state as arrays: one per parameter, for AdaDelta and Adam two
    (first those of all parameters, then the others). `learned_net` names the file of the weights;
    `learned_net_crc32` and `learned_net_bytes` are None if unknown (a state of Caffe's).
    `minimum_loss` and `last_event` belong to the policy `plateau`.
    """

    iteration: int
    learned_net: str
    history: list[Array]
    current_step: int = 0
    nets: list[NetRunState] = field(default_factory=list)
    recent_loss: list[float] = field(default_factory=list)
    learned_net_crc32: int | None = None
    learned_net_bytes: int | None = None
    minimum_loss: float = math.inf
    last_event: int = 0


def read_state(path: FilePath) -> State:
    """Reads a .solverstate of either form; its content tells which.

    Error E310 to E313 if it is not there, another kind of file, cut off or damaged.
    """
    data = map_file(path)
    kind = recognise(data)
    if kind is not None and kind.content == "hdf5":
        from .state_hdf5 import read_state_hdf5

        return read_state_hdf5(path)
    if kind is None or kind.content != "message":
        found = f"this is {kind.what}" if kind else "this file is empty"
        raise Error(
            Diagnostic(
                "E311", f"{found}, not a .solverstate", (place(os.fspath(path)),),
                help=kind.fix if kind else "",
            )
        )  # fmt: skip
    from .state_binary import state_in

    return state_in(data, os.fspath(path))


def write_state(path: FilePath, state: State) -> None:
    """Writes a .solverstate, as HDF5 if the name ends in .h5; the old file is replaced when all
    is written. Error E314, E315 if it cannot be."""
    if os.fspath(path).endswith(".h5"):
        from .state_hdf5 import write_state_hdf5

        write_state_hdf5(path, state)
    else:
        from .state_binary import write_state_binary

        write_state_binary(path, state)


def damaged(file: str, why: str) -> Error:
    """Says that a state file is not whole."""
    return Error(
        Diagnostic(
            "E312", f"damaged or cut off: {why}", (place(file),),
            help="resume from an earlier snapshot; `--resume auto` finds the newest sound one",
        )
    )  # fmt: skip


def as_little_endian(array: Array) -> Array:
    """Gives the array as files hold it: float32, or float64 if it is that."""
    return np.ascontiguousarray(array, "<f8" if array.dtype == np.float64 else "<f4")
