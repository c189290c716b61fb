"""`protonet detect`: what a trained net makes of windows in pictures."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from protonet.cli.picture_options import picture_options, read_mean

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["detect"]

SIDES = ("ymin", "xmin", "ymax", "xmax")


@click.command()
@click.argument("input_file", metavar="INPUT")
@click.argument("output_file", metavar="OUTPUT")
@picture_options
@click.option(
    "--crop_mode",
    "--crop-mode",
    type=click.Choice(["list", "selective_search"]),
    default="selective_search",
    show_default=True,
    help="Where windows come from: the list INPUT, or a package that proposes them.",
)
@click.option(
    "--context_pad", "--context-pad", type=click.IntRange(0), default=16, show_default=True,
    metavar="N", help="How many pixels of the net's input show what surrounds the window.",
)  # fmt: skip
def detect(
    input_file: str,
    output_file: str,
    model_def: str,
    pretrained_model: str,
    gpu: bool,
    mean_file: str | None,
    input_scale: float | None,
    raw_scale: float,
    channel_swap: list[int] | None,
    crop_mode: str,
    context_pad: int,
) -> None:
    """Classify windows of the pictures that INPUT lists; write the net's output for each as OUTPUT.

    INPUT is a .csv with the columns filename, ymin, xmin, ymax and xmax, or, to have windows
    proposed, a .txt with one file name a line. OUTPUT is a .csv with those columns and class0,
    class1, …, or a .h5 with the datasets filename, window and prediction. Of a
    mean image the mean of each channel is subtracted.
    """
    import protonet.caffe as caffe

    click.echo("GPU mode: the CPU computes" if gpu else "CPU mode")
    mean = read_mean(mean_file)
    if mean is not None and mean.ndim == 3:
        mean = mean.mean((1, 2))  # windows are of all places: so is what is subtracted
    detector = caffe.Detector(
        model_def, pretrained_model, mean=mean, input_scale=input_scale,
        raw_scale=raw_scale, channel_swap=channel_swap, context_pad=context_pad,
    )  # fmt: skip
    start = time.perf_counter()
    click.echo("Loading input...")
    windows = _windows(input_file)
    if crop_mode == "list":
        _judge(input_file, windows)
        found = detector.detect_windows(windows.items())
    else:
        found = detector.detect_selective_search(windows)
    click.echo(f"Processed {len(found)} windows in {time.perf_counter() - start:.3f} s.")
    start = time.perf_counter()
    _save(output_file, found)
    click.echo(f"Saved to {output_file} in {time.perf_counter() - start:.3f} s.")


def _windows(path: str) -> dict[str, list[npt.NDArray[np.float64]]]:
    """Reads pictures' names and windows, none from a .txt; Error at the line that is wrong."""
    from protonet.prototxt.diagnostics import Diagnostic, Error, Span

    found: dict[str, list[npt.NDArray[np.float64]]] = {}
    with open(path, encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream)
        try:
            if path.lower().endswith(".txt"):
                return {name: [] for name in map(str.strip, stream) if name}
            if not path.lower().endswith(".csv"):
                raise Error(f"{path}: not a .csv or .txt")
            for row in rows:
                found.setdefault(row["filename"], []).append(_window(row))
        except UnicodeDecodeError:
            raise Error(f"{path}: not a text in UTF-8") from None
        except (KeyError, TypeError, ValueError, csv.Error):
            message = f"a line needs filename, {', '.join(SIDES)}, and numbers in the last four"
            place = Span(path, rows.line_num, 1, rows.line_num, 1)
            raise Error(Diagnostic("E454", message, (place,))) from None
    return found


def _window(row: Mapping[str, str]) -> npt.NDArray[np.float64]:
    import numpy as np

    window = np.array([float(row[side]) for side in SIDES])
    if not np.isfinite(window).all():
        raise ValueError(window)
    return window


def _judge(path: str, windows: dict[str, Any]) -> None:
    from protonet.prototxt.diagnostics import Error

    if not any(windows.values()):
        raise Error(f"{path}: no windows; --crop_mode list needs a .csv that lists them")


def _save(path: str, found: list[dict[str, Any]]) -> None:
    """Writes one line, or row, for each window."""
    import numpy as np

    predictions = np.array([np.ravel(each["prediction"]) for each in found])
    windows = np.array([each["window"] for each in found]).reshape(-1, 4)
    names = [each["filename"] for each in found]
    if path.lower().endswith(".csv"):
        from protonet.ir.files import atomic_path

        classes = predictions.shape[1] if len(found) else 0
        with (
            atomic_path(path) as temporary,
            open(temporary, "w", encoding="utf-8", newline="") as stream,
        ):
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(["filename", *SIDES, *(f"class{n}" for n in range(classes))])
            for name, window, prediction in zip(names, windows, predictions, strict=True):
                table.writerow([name, *(f"{side:g}" for side in window), *prediction.tolist()])
        return
    import h5py

    with h5py.File(path, "w") as stored:
        stored["filename"] = names
        stored["window"] = windows
        stored["prediction"] = predictions
