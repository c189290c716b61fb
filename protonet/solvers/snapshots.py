"""The files of a snapshot: their names, writing both, finding them again.

<prefix>_iter_<n>.caffemodel with the weights, then <prefix>_iter_<n>.solverstate with the rest,
which names the first; .h5 is appended to both for HDF5. Each is whole or not there; the
state, written last, makes the snapshot, and knows the size and checksum of the weights.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
import zlib
from dataclasses import dataclass

from protonet.ir.files import FilePath, map_file, place
from protonet.ir.protonet_pb2 import SolverParameter
from protonet.ir.weights import read_weights
from protonet.prototxt.diagnostics import Diagnostic, Error, Span

from .state import State, damaged, read_state

__all__ = [
    "SnapshotFiles", "drop_older", "find_model", "last_sound", "newest_sound", "read_snapshot",
    "remove_leftovers", "require_writable", "snapshot_files", "stamp",
]  # fmt: skip

_CHUNK_BYTES = 1 << 24
_LEFT_BEHIND_S = 3600.0


@dataclass(frozen=True)
class SnapshotFiles:
    """The paths of the two files of one snapshot."""

    model: str
    state: str


def snapshot_files(prefix: str, iteration: int, snapshot_format: int) -> SnapshotFiles:
    """Returns the names that a snapshot after `iteration` updates has."""
    end = ".h5" if snapshot_format == SolverParameter.HDF5 else ""
    stem = f"{prefix}_iter_{iteration}"
    return SnapshotFiles(f"{stem}.caffemodel{end}", f"{stem}.solverstate{end}")


def last_sound(last: SnapshotFiles | None) -> str:
    """Says what there is to go on from when training has ended badly."""
    return f"the last snapshot is {last.state}" if last else "there is no snapshot yet"


def require_writable(prefix: str, places: tuple[Span, ...]) -> None:
    """Raises Error E411 at these places unless a snapshot could be written."""
    reason = _probe(prefix)
    if reason is not None:
        raise Error(
            Diagnostic(
                "E411", f"snapshots cannot be written: {reason}", places,
                help="make that folder, or change snapshot_prefix "
                "(it is found from the folder that protonet runs in)",
            )
        )  # fmt: skip


def _probe(prefix: str) -> str | None:
    """Tries whether a snapshot could be written; returns the reason if not."""
    folder = os.path.dirname(prefix) or "."
    probe = f"{prefix}_{secrets.token_hex(4)}.tmp"
    try:
        with open(probe, "xb"):
            pass
        os.unlink(probe)
    except FileNotFoundError:
        return f"there is no folder {folder}"
    except OSError as error:
        return f"{folder}: {(error.strerror or str(error)).lower()}"
    return None


def stamp(state: State, model: FilePath) -> None:
    """Writes size and checksum of the weights' file into the state."""
    state.learned_net_bytes, state.learned_net_crc32 = _measured(model)


def _measured(path: FilePath) -> tuple[int, int]:
    data = map_file(path)
    checksum = 0
    for start in range(0, len(data), _CHUNK_BYTES):
        checksum = zlib.crc32(data[start : start + _CHUNK_BYTES], checksum)
    return len(data), checksum


def read_snapshot(path: FilePath) -> tuple[State, str]:
    """Reads a state and returns it with the file of the weights that belongs to it ("": none).

    Error E310 to E315 if either is not there or damaged.
    """
    state = read_state(path)
    return state, find_model(os.fspath(path), state) if state.learned_net else ""


def find_model(file: str, state: State) -> str:
    """Returns the file of the weights of a state file.

    Its name is relative to the working directory, as in Caffe; or it lies beside the state, when
    both were moved. Where the state knows the checksum only the right file will do.
    """
    beside = os.path.join(os.path.dirname(file), os.path.basename(state.learned_net))
    candidates = dict.fromkeys([state.learned_net, beside])
    existing = [name for name in candidates if os.path.isfile(name)]
    if not existing:
        raise Error(
            Diagnostic(
                "E310",
                f"the weights of this state are not there: {state.learned_net}",
                (place(file),),
                help="put that .caffemodel beside the .solverstate, or run from the folder "
                "where training was started",
            )
        )
    problems = []
    for name in existing:
        problem = _model_problem(name, state)
        if problem is None:
            return name
        problems.append(problem)
    raise problems[0]


def _model_problem(model: str, state: State) -> Error | None:
    if state.learned_net_crc32 is None:
        return None
    size, checksum = _measured(model)
    if state.learned_net_bytes is not None and size != state.learned_net_bytes:
        return damaged(model, f"it has {size} bytes, its state says {state.learned_net_bytes}")
    if checksum != state.learned_net_crc32:
        return damaged(model, "it is not the file that its state was written with")
    return None


def newest_sound(prefix: str) -> tuple[str | None, list[Error]]:
    """Returns the state file of the newest snapshot that is whole, and why newer ones are not."""
    rejected = []
    for _, name in _state_files(prefix):
        try:
            state, model = read_snapshot(name)
            if model and state.learned_net_crc32 is None:
                read_weights(model)
        except Error as error:
            rejected.append(error)
        else:
            return name, rejected
    return None, rejected


def drop_older(prefix: str, iteration: int, keep: int) -> None:
    """Removes all but the last `keep` snapshots up to this iteration; what cannot be removed
    stays. Snapshots of later iterations, of another run, are left alone."""
    names = [name for number, name in _state_files(prefix) if number <= iteration]
    for state in names[keep:]:
        stem, _, end = state.rpartition(".solverstate")
        for name in (state, f"{stem}.caffemodel{end}"):
            with contextlib.suppress(OSError):
                os.unlink(name)


def remove_leftovers(prefix: str) -> None:
    """Removes unfinished files of this prefix that killed processes have left behind.

    Only those that nobody has written to for an hour: another process may be at work.
    """
    folder, stem = os.path.split(prefix)
    unfinished = re.compile(
        re.escape(stem) + r"_iter_\d+\.(caffemodel|solverstate)(\.h5)?\.[0-9a-f]{8}\.tmp"
    )
    for name in _names(folder):
        path = os.path.join(folder, name)
        if unfinished.fullmatch(name):
            with contextlib.suppress(OSError):
                if time.time() - os.stat(path).st_mtime > _LEFT_BEHIND_S:
                    os.unlink(path)


def _state_files(prefix: str) -> list[tuple[int, str]]:
    """Gives iteration and name of each state file of a prefix, the highest iteration first."""
    folder, stem = os.path.split(prefix)
    wanted = re.compile(re.escape(stem) + r"_iter_(\d+)\.solverstate(\.h5)?")
    found = []
    for name in _names(folder):
        match = wanted.fullmatch(name)
        if match:
            found.append((int(match[1]), os.path.join(folder, name)))
    return sorted(found, reverse=True)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder or ".")
    except OSError:
        return []
