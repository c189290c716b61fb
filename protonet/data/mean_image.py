"""The mean of all images of a database."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from protonet.ir.files import FilePath, atomic_write
from protonet.ir.protonet_pb2 import BlobProto

from .convert import Progress, no_progress
from .databases import open_database
from .errors import DataError
from .scan import scan

__all__ = ["mean_of", "write_mean"]


def mean_of(
    path: str, mode: str = "", progress: Progress = no_progress
) -> tuple[npt.NDArray[np.float32], int]:
    """Returns the mean image, C×H×W, and the number of images; `mode` as of `decode`.

    Sums are exact for images of bytes. Raises DataError for a bad record and E454 where the
    images differ in size.
    """
    total: npt.NDArray[np.float64] | None = None
    with open_database(path) as source:
        for record in progress(scan(source, mode), source.count):
            if isinstance(record.image, DataError):
                raise record.image
            if total is None:
                total = np.zeros(record.image.shape)
            if record.image.shape != total.shape:
                found, first = ("×".join(map(str, a.shape)) for a in (record.image, total))
                raise DataError(
                    f"{path}: record {record.number} is {found}, but the first {first}",
                    code="E454",
                    help="a mean image needs images of one size: convert them with --resize",
                )
            total += record.image
        assert total is not None  # a source has records
        return (total / source.count).astype(np.float32), source.count


def write_mean(path: FilePath, mean: npt.NDArray[np.float32]) -> None:
    """Writes a mean image: as an array of C×H×W if the name ends in .npy, else as one blob of
    1×C×H×W with the four sizes that readers of any age know. Raises Error E314."""
    with atomic_write(path) as file:
        if os.fspath(path).endswith(".npy"):
            np.save(file, mean)
            return
        channels, height, width = mean.shape
        blob = BlobProto(num=1, channels=channels, height=height, width=width)
        blob.data.extend(mean.ravel().tolist())
        file.write(blob.SerializeToString())
