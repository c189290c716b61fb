"""The pictures of a folder as a net's input."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from protonet.data.errors import DataError
from protonet.data.pictures import decode
from protonet.data.resize import resized
from protonet.ir.files import map_file
from protonet.ir.protonet_pb2 import TransformationParameter
from protonet.net import Net
from protonet.prototxt.diagnostics import Diagnostic, Error

__all__ = ["picture_inputs"]

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif")


def picture_inputs(
    net: Net, folder: str | os.PathLike[str], transform: TransformationParameter
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yields each picture's name and the inputs made of it, resized to the net's first input.

    Channels are B, G, R, or one of grey; `transform` gives mean_value and scale. Other inputs are
    zeros. Raises Error E607 if the input is no image or the folder has no picture.
    """
    name = net.inputs[0] if net.inputs else ""
    shape = net.blobs[name].shape if name else ()
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise Error(Diagnostic("E607", "the net's first input is not N×1×H×W or N×3×H×W: no image"))
    found = sorted(
        entry.path for entry in os.scandir(folder) if entry.name.lower().endswith(_SUFFIXES)
    )
    if not found:
        raise Error(Diagnostic("E607", f"there is no picture in {os.fspath(folder)}"))
    for path in found:
        try:
            picture = decode(map_file(path), "color" if shape[1] == 3 else "gray")
        except DataError as error:
            raise Error(Diagnostic("E607", f"{path}: {error.message}")) from None
        pixels = resized(np.ascontiguousarray(picture), *shape[2:]).astype(np.float32)
        mean = np.array(transform.mean_value or [0], np.float32).reshape(-1, 1, 1)
        inputs = {other: np.zeros(net.blobs[other].shape, np.float32) for other in net.inputs}
        inputs[name][...] = (pixels - mean) * transform.scale
        yield os.path.basename(path), inputs
