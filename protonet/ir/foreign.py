"""Telling what a file is that is not what it should be."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

__all__ = ["Kind", "recognise"]


class Kind(NamedTuple):
    """What a file is, in words, and what its owner can do about it."""

    what: str
    fix: str = ""
    content: Literal["text", "message", "hdf5", "other"] = "other"


_FETCH = "download the file itself: the raw file's address, not the page that shows it"
_UNPACK = "unpack it first"

_SIGNATURES: list[tuple[bytes, Kind]] = [
    (b"\x89HDF\r\n\x1a\n", Kind("an HDF5 file", content="hdf5")),
    (
        b"version https://git-lfs",
        Kind("a git-LFS pointer that stands for the file", "run `git lfs pull` in its repository"),
    ),
    (b"PK\x03\x04", Kind("a zip archive", _UNPACK)),
    (b"\x1f\x8b", Kind("a gzip archive", _UNPACK)),
    (b"BZh", Kind("a bzip2 archive", _UNPACK)),
    (b"\xfd7zXZ\x00", Kind("an xz archive", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", Kind("a 7z archive", _UNPACK)),
    (b"Rar!", Kind("a rar archive", _UNPACK)),
    (b"\x93NUMPY", Kind("a numpy array file")),
    (b"\x89PNG", Kind("a PNG image")),
    (b"\xff\xd8\xff", Kind("a JPEG image")),
    (b"\x80\x02", Kind("a Python pickle (a PyTorch file?)")),
]
_TAR = Kind("a tar archive", _UNPACK)
_PAGE = Kind("a web page", _FETCH)
_PROTOTXT = Kind("a text file (a prototxt?)", "give the binary file here", "text")
_TEXT = Kind("a text file", content="text")
_BINARY = Kind("a binary file", "give the text file here", "message")

_FIRST_FIELD = re.compile(rb"\s*(#[^\n]*\s*)*[A-Za-z_]\w*\s*[:{<]")
_HEAD = 4096
_NOT_IN_TEXT = bytes(c for c in range(32) if c not in b"\t\n\v\f\r\x1a\x1b")


def recognise(data: bytes | memoryview) -> Kind | None:
    """Tell the kind of a file by its first bytes; None for an empty one.

    A protobuf message in wire format has no signature: it is "a binary file".
    """
    head = bytes(data[:_HEAD])
    if not head:
        return None
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[257:262] == b"ustar":
        return _TAR
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return _PAGE
    if head.translate(None, _NOT_IN_TEXT) != head:
        return _BINARY
    return _PROTOTXT if _FIRST_FIELD.match(head) else _TEXT
