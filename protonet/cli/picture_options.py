"""The options that `classify` and `detect` share: a trained net and how its pictures are prepared.

Their names and meanings are those of Caffe's own scripts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

__all__ = ["numbers", "picture_options", "read_array", "read_mean"]


def picture_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command a trained net and the preparation of its pictures."""
    for option in reversed(
        [
            click.option(
                "--model_def", "--model-def", required=True, metavar="FILE",
                help="The net, a prototxt for deployment.",
            ),
            click.option(
                "--pretrained_model", "--pretrained-model", required=True, metavar="FILE",
                help="Its trained weights.",
            ),
            click.option("--gpu", is_flag=True, help="No effect: protonet computes on the CPU."),
            click.option(
                "--mean_file", "--mean-file", metavar="FILE",
                help="What is subtracted: a .npy or .binaryproto, C×H×W or one value per channel.",
            ),
            click.option(
                "--input_scale", "--input-scale", type=float, metavar="X",
                help="Multiply by this last.",
            ),
            click.option(
                "--raw_scale", "--raw-scale", type=float, default=255.0, show_default=True,
                metavar="X", help="Multiply by this before the mean is subtracted.",
            ),
            click.option(
                "--channel_swap", "--channel-swap", default="2,1,0", show_default=True,
                callback=numbers, metavar="I,J,K",
                help="The order of channels; the default makes B, G, R of R, G, B.",
            ),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


def numbers(_: click.Context, option: click.Parameter, text: str | None) -> list[int] | None:
    """Reads a list of whole numbers with commas between them; none of an empty one."""
    if not text:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(f'"{text}" is no list of whole numbers') from None


def read_mean(path: str | None) -> Any:
    """Reads a mean of either form as an array, H×W, C×H×W or C; Error if it is none."""
    if path is None:
        return None
    from protonet.ir.binary import read_blob

    if path.endswith(".npy"):
        return read_array(path)
    mean = read_blob(path)
    return mean[0] if mean.ndim == 4 else mean


def read_array(path: str) -> Any:
    """Reads the numbers in a .npy; Error if it is none."""
    import numpy as np

    from protonet.prototxt.diagnostics import Error

    try:
        stored = np.load(path)
    except (ValueError, EOFError):
        raise Error(f"{path}: not an array as numpy stores it") from None
    if not np.issubdtype(stored.dtype, np.number):
        raise Error(f"{path}: not an array of numbers")
    return stored
