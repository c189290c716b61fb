"""The binary .solverstate: a SolverState in wire format, read and written without going through
its numbers one by one.

Order of the fields: the weights' checksum, the other small ones, the history, the state's own
checksum. So a file that is cut off anywhere shows it: after the first a last has to follow.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterable

from google.protobuf.message import DecodeError

from protonet.ir.blobs import BlobError, blob_bytes, blob_in, length_delimited, varint
from protonet.ir.files import FilePath, atomic_write, place
from protonet.ir.protonet_pb2 import SolverState
from protonet.ir.wire import FIXED32, LENGTH, WireError, fields_in
from protonet.prototxt.diagnostics import Diagnostic, Error

from .state import Array, State, damaged

__all__ = ["extras", "state_in", "state_of", "write_state_binary"]

_HISTORY = SolverState.DESCRIPTOR.fields_by_name["history"].number
_CRC32 = SolverState.DESCRIPTOR.fields_by_name["crc32"].number
_CRC32_TAG = varint(_CRC32 << 3 | FIXED32)
_LARGEST_FILE = 2**31 - 1  # protobuf's limit for a message


def state_in(data: memoryview, file: str) -> State:
    """Finds the state in the bytes of a file; the history's arrays are views of `data`."""
    history, others = [], bytearray()
    checksum_at = -1
    try:
        for field in fields_in(data, 0, len(data)):
            if field.number == _HISTORY and field.wire == LENGTH:
                history.append(blob_in(data, field.start, field.end).array)
            else:
                others += varint(field.number << 3 | field.wire)
                if field.wire == LENGTH:
                    others += varint(field.end - field.start)
                others += data[field.start : field.end]
            if field.number == _CRC32:
                checksum_at = field.start - len(_CRC32_TAG)
        message = SolverState.FromString(bytes(others))
    except WireError as error:
        raise damaged(file, f"at byte {error.position} of {len(data)} {error.reason}") from None
    except DecodeError:
        raise damaged(file, "it is no SolverState") from None
    except BlobError as error:
        problem = f"array {len(history)} of the history {error}"
        raise Error(Diagnostic("E313", problem, (place(file),))) from None
    if not message.HasField("iter"):
        raise Error(Diagnostic("E311", "this is no .solverstate", (place(file),)))
    if checksum_at >= 0:
        if zlib.crc32(data[:checksum_at]) != message.crc32:
            raise damaged(file, "its checksum is wrong")
    elif message.HasField("learned_net_crc32"):
        raise damaged(file, "it ends before its checksum")
    return state_of(message, history)


def state_of(message: SolverState, history: list[Array]) -> State:
    """Joins a SolverState's small fields and its arrays."""
    return State(
        message.iter, message.learned_net, history, message.current_step,
        list(message.net_run_state), list(message.recent_loss),
        message.learned_net_crc32 if message.HasField("learned_net_crc32") else None,
        message.learned_net_bytes if message.HasField("learned_net_bytes") else None,
        message.minimum_loss if message.HasField("minimum_loss") else math.inf,
        message.iter_last_event,
    )  # fmt: skip


def extras(state: State) -> SolverState:
    """Gives the fields that Caffe does not have, without the checksum."""
    message = SolverState(
        net_run_state=state.nets,
        recent_loss=state.recent_loss,
        learned_net_crc32=state.learned_net_crc32,
        learned_net_bytes=state.learned_net_bytes,
    )
    if state.minimum_loss < math.inf:
        message.minimum_loss, message.iter_last_event = state.minimum_loss, state.last_event
    return message


def write_state_binary(path: FilePath, state: State) -> None:
    """Writes a .solverstate; see `write_state`."""
    message = extras(state)
    message.iter, message.learned_net = state.iteration, state.learned_net
    message.current_step = state.current_step
    first = SolverState(learned_net_crc32=state.learned_net_crc32)
    pieces: list[bytes | memoryview] = [first.SerializeToString(), message.SerializeToString()]
    for array in state.history:
        blob = blob_bytes(array)
        pieces.append(length_delimited(_HISTORY, _size(blob)))
        pieces += blob
    size = _size(pieces)
    if size > _LARGEST_FILE:
        raise Error(
            Diagnostic(
                "E315",
                f"this state takes {size} bytes, more than a .solverstate can hold (2 GB)",
                (place(os.fspath(path)),),
                help="save it as .solverstate.h5 (snapshot_format: HDF5)",
            )
        )
    checksum = 0
    with atomic_write(path) as stream:
        for piece in pieces:
            checksum = zlib.crc32(piece, checksum)
            stream.write(piece)
        stream.write(_CRC32_TAG + checksum.to_bytes(4, "little"))


def _size(pieces: Iterable[bytes | memoryview]) -> int:
    return sum(len(piece) for piece in pieces)
