"""Options that say how an image becomes what a net takes, and reading it so."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click
import numpy as np
import numpy.typing as npt

__all__ = ["Preparation", "image_options", "preparation", "read_pixels"]

F = TypeVar("F", bound=Callable[..., Any])
Pixels = npt.NDArray[Any]


@dataclass(frozen=True)
class Preparation:
    """values = (pixels − mean) · scale, channels in the order B, G, R, or R, G, B."""

    mean: Pixels | float = 0.0
    scale: float = 1.0
    rgb: bool = False

    def __call__(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """Returns C×H×W bytes (B, G, R) as the net takes them."""
        ordered = pixels[::-1] if self.rgb else pixels
        values = (ordered.astype(np.float32) - self.mean) * np.float32(self.scale)
        return np.ascontiguousarray(values, np.float32)


def image_options(function: F) -> F:
    """Adds --mean, --scale-values and --rgb to a command."""
    for add in (
        click.option("--rgb", is_flag=True, help="The net takes R, G, B instead of B, G, R."),
        click.option(
            "--scale-values", "scale", type=float, default=1.0, metavar="FACTOR",
            help="What the pixels, 0 to 255 less the mean, are multiplied with.",
        ),
        click.option(
            "--mean", metavar="B,G,R|FILE",
            help="What is subtracted: a value per channel in the net's order, or a .binaryproto, "
            "whose mean per channel is taken.",
        ),
    ):  # fmt: skip
        function = add(function)
    return function


def preparation(mean: str | None, scale: float, rgb: bool, channels: int) -> Preparation:
    """Reads these options for a net that takes so many channels. Raises Error if they are wrong."""
    from protonet.prototxt.diagnostics import Error

    if mean is None:
        return Preparation(0.0, scale, rgb)
    try:
        values = np.array([float(word) for word in mean.split(",")], np.float32)
    except ValueError:
        values = _mean_of_file(mean)
    if values.size not in (1, channels):
        raise Error(f"--mean has {values.size} values, and the net takes {channels} channels")
    return Preparation(values.reshape(-1, 1, 1), scale, rgb)


def _mean_of_file(path: str) -> Pixels:
    from protonet.data.mean import read_mean

    return np.asarray(read_mean(path).mean(axis=(1, 2)))


def read_pixels(path: str | os.PathLike[str], channels: int) -> Pixels:
    """Reads an image file as C×H×W bytes, B, G, R or grey. Raises Error if it cannot be."""
    from protonet.data.errors import DataError
    from protonet.data.pictures import decode
    from protonet.ir.files import map_file

    try:
        return decode(map_file(path), "gray" if channels == 1 else "color")
    except DataError as error:
        raise error.about(os.fspath(path)) from None
