"""Reading whole files and replacing them safely.

Codes: E310 the file cannot be read, E314 it cannot be written.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import secrets
import stat
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from protonet.prototxt.diagnostics import Diagnostic, Error, Span, nearest

__all__ = ["FilePath", "atomic_path", "atomic_write", "map_file", "place"]

FilePath = str | os.PathLike[str]

_NAMES_TO_COMPARE = 1000


def place(file: str) -> Span:
    """Give the span that stands for a file as a whole."""
    return Span(file, 1, 1, 1, 1)


def map_file(path: FilePath) -> memoryview:
    """Give the bytes of a file without reading them: a read-only view that keeps it mapped.

    What is not a regular file (a pipe) is read. Raises Error E310.
    """
    try:
        with open(path, "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                return memoryview(stream.read())
            if status.st_size == 0:
                return memoryview(b"")
            return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        file = os.fspath(path)
        message = f"cannot read this file: {_reason(error)}"
        raise Error(Diagnostic("E310", message, (place(file),), help=_similar(file))) from error


@contextlib.contextmanager
def atomic_write(path: FilePath) -> Iterator[BinaryIO]:
    """Write a file so that a crash leaves the old one or the new one, never a part.

    The bytes go to a temporary name in the same folder, are synced, and take the place of
    `path` when the block ends; when it raises, the old file stays. Raises Error E314.
    """
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        yield stream


@contextlib.contextmanager
def atomic_path(path: FilePath) -> Iterator[str]:
    """Give a temporary name in the folder of `path`; the file made there replaces `path`.

    As `atomic_write`, for libraries that want to open the file themselves.
    """
    try:
        target = _target(path)
        if os.path.exists(target) and not os.path.isfile(target):
            yield target  # a device or a pipe cannot be replaced
            return
        temporary = f"{target}.{secrets.token_hex(4)}.tmp"
        try:
            # Made here, not by the caller, to have the permissions that the umask gives.
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            yield temporary
            if os.path.exists(target):
                os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
            _sync(temporary)
            os.replace(temporary, target)
            with contextlib.suppress(OSError):  # some network file systems cannot sync a folder
                _sync(os.path.dirname(target))
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
    except OSError as error:
        message = f"cannot write this file: {_reason(error)}"
        raise Error(Diagnostic("E314", message, (place(os.fspath(path)),))) from error


def _target(path: FilePath) -> str:
    """Give the file that a path leads to, so that a link stays a link. Raises OSError."""
    try:
        target = os.path.realpath(path)
    except ValueError as error:  # a name with a NUL in it
        raise OSError(None, str(error)) from error
    if os.path.isdir(target):
        raise IsADirectoryError(None, "this is a folder")
    return target


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def _similar(file: str) -> str:
    """Give the help line for a file that is not there: the most similar name beside it."""
    folder, name = os.path.split(file)
    try:
        if os.path.exists(file):
            return ""
        with os.scandir(folder or ".") as entries:
            found = nearest(name, [entry.name for entry in islice(entries, _NAMES_TO_COMPARE)])
    except (OSError, ValueError):
        return ""
    return f"did you mean {os.path.join(folder, found)}?" if found else ""
