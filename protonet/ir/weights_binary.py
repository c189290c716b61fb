"""The binary .caffemodel: a NetParameter in wire format, its layers holding their blobs.

Codes: E311 another kind of file, E312 cut off, damaged or of a wrong checksum, E313 a blob
contradicts itself, E315 too large.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from protonet.prototxt.diagnostics import Diagnostic, Error
from protonet.prototxt.encoding import decoded

from .blobs import Array, BlobError, blob_bytes, blob_in, length_delimited, varint
from .files import FilePath, atomic_write, place
from .foreign import recognise
from .layer_types import V0_LAYER_TYPES, current_type
from .layer_weights import Blobs, LayerWeights, Weights
from .protonet_pb2 import LayerParameter, NetParameter
from .wire import FIXED32, LENGTH, Field, WireError, fields_in

__all__ = ["weights_in", "write_weights_binary"]

_LARGEST_FILE = 2**31 - 1  # protobuf's limit for a message


class _Generation(NamedTuple):
    """The numbers of the fields of a layer that matter here."""

    name: int
    type: int
    blobs: int
    inner: int = 0


_V0 = _Generation(name=1, type=2, blobs=50)
_V1 = _Generation(name=4, type=5, blobs=6, inner=1)
_CURRENT = _Generation(name=1, type=2, blobs=7)
_LAYER = 100
_GENERATIONS = {2: _V1, _LAYER: _CURRENT}
_CRC32 = 1015  # a number that is reserved in NetParameter
_CRC32_TAG = varint(_CRC32 << 3 | FIXED32)


def weights_in(data: memoryview, file: str) -> Weights:
    """Find all layers in the bytes of a .caffemodel; the arrays are views of `data`."""
    kind = recognise(data)
    if kind is None:
        raise Error(Diagnostic("E311", "this file is empty", (place(file),)))
    if kind.content != "message":
        message = f"this is {kind.what}, not a .caffemodel"
        raise Error(Diagnostic("E311", message, (place(file),), help=kind.fix))
    layers: list[LayerWeights] = []
    checksums: list[Field] = []
    is_ours = False
    try:
        for field in fields_in(data, 0, len(data)):
            if field.number == _CRC32 and field.wire == FIXED32:
                is_ours = is_ours or not layers
                checksums.append(field)
            elif field.wire == LENGTH and field.number in _GENERATIONS:
                generation = _GENERATIONS[field.number]
                layers.append(_layer_in(data, field.start, field.end, generation))
            elif field.number == 1 and field.wire != LENGTH:
                raise WireError(0, "a net does not begin so")
    except WireError as error:
        if layers:
            raise _damaged(file, error, layers[-1], len(data)) from None
    except BlobError as error:
        raise Error(Diagnostic("E313", str(error), (place(file),))) from None
    if not layers:
        raise _not_a_net(data, file)
    # Two behind the layers are there when another program has changed the net and written it anew.
    if is_ours or len(checksums) == 1:
        _verify(data, checksums[-1], file)
    return Weights(file, layers)


def write_weights_binary(path: FilePath, net: NetParameter, blobs: Blobs, diffs: Blobs) -> None:
    """Write a .caffemodel in the current format; see `write_weights`."""
    # A first checksum of 0 promises that another one comes last.
    pieces: list[bytes | memoryview] = [NetParameter(name=net.name).SerializeToString()]
    pieces.append(_CRC32_TAG + bytes(4))
    for layer in net.layer:
        pieces += _layer_pieces(layer, blobs.get(layer.name, ()), diffs.get(layer.name, ()))
    size = _size(pieces) + len(_CRC32_TAG) + 4
    if size > _LARGEST_FILE:
        message = f"these weights take {size} bytes, more than a .caffemodel can hold (2 GB)"
        help = "save them as .caffemodel.h5 (snapshot_format: HDF5)"
        raise Error(Diagnostic("E315", message, (place(os.fspath(path)),), help=help))
    checksum = 0
    with atomic_write(path) as stream:
        for piece in pieces:
            checksum = zlib.crc32(piece, checksum)
            stream.write(piece)
        stream.write(_CRC32_TAG + checksum.to_bytes(4, "little"))


def _layer_in(data: memoryview, start: int, end: int, generation: _Generation) -> LayerWeights:
    layer = LayerWeights("", "", [], [])
    for field in fields_in(data, start, end):
        if field.number == generation.type and field.wire != LENGTH:
            layer.type = current_type(field.value)
        elif field.wire != LENGTH:
            continue
        elif field.number == generation.name:
            layer.name = _text(data, field.start, field.end)
        elif field.number == generation.type:
            layer.type = _text(data, field.start, field.end)
        elif field.number == generation.blobs:
            try:
                blob = blob_in(data, field.start, field.end)
            except BlobError as error:
                where = f'blob {len(layer.blobs)} of layer "{layer.name}"'
                raise BlobError(f"{where} {error}") from None
            layer.blobs.append(blob.array)
            layer.legacy.append(blob.legacy)
        elif field.number == generation.inner:
            layer = _layer_in(data, field.start, field.end, _V0)
            layer.type = current_type(V0_LAYER_TYPES.get(layer.type, 0))
    return layer


def _verify(data: memoryview, checksum: Field, file: str) -> None:
    """Raise Error E312 unless the last checksum is that of what lies before it."""
    found = zlib.crc32(data[: checksum.start - len(_CRC32_TAG)])
    if checksum.end != len(data):
        why = f"cut off at byte {len(data)}: its checksum should come last"
    elif found.to_bytes(4, "little") != data[checksum.start : checksum.end]:
        why = "damaged: its checksum is wrong"
    else:
        return
    help = "fetch or copy the file again, or take an earlier snapshot"
    raise Error(Diagnostic("E312", why, (place(file),), help=help))


def _text(data: memoryview, start: int, end: int) -> str:
    return decoded(bytes(data[start:end]))


def _damaged(file: str, error: WireError, last: LayerWeights, size: int) -> Error:
    return Error(
        Diagnostic(
            "E312",
            f"damaged or cut off at byte {error.position} of {size}: {error.reason}",
            (place(file),),
            notes=(f'layer "{last.name}" is the last one that could be read',),
            help="fetch or copy the file again and compare its size",
        )
    )


def _not_a_net(data: memoryview, file: str) -> Error:
    # These begin with a number in field 1, where a net has its name.
    numbered = data[0] == 0x08
    help = "it begins like a .solverstate, a .binaryproto or an ONNX model" if numbered else ""
    message = "this is not a .caffemodel: no layers were found in it"
    return Error(Diagnostic("E311", message, (place(file),), help=help))


def _layer_pieces(
    layer: LayerParameter, blobs: Sequence[Array], diffs: Sequence[Array]
) -> list[bytes | memoryview]:
    """Give a layer's record in pieces: its parameters, then its blobs.

    A message's fields may come in any order, so the blobs need not pass through protobuf.
    """
    if layer.blobs:
        bare = LayerParameter()
        bare.CopyFrom(layer)
        bare.ClearField("blobs")
        layer = bare
    pieces: list[bytes | memoryview] = [layer.SerializeToString()]
    for index, array in enumerate(blobs):
        blob = blob_bytes(array, diffs[index] if index < len(diffs) else None)
        pieces += [length_delimited(_CURRENT.blobs, _size(blob)), *blob]
    return [length_delimited(_LAYER, _size(pieces)), *pieces]


def _size(pieces: Sequence[bytes | memoryview]) -> int:
    return sum(len(piece) for piece in pieces)
