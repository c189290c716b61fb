"""`protonet slide`: a classifier over all windows of an image, at several scales."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import click

from protonet.cli.image_options import Pixels, Preparation, image_options

if TYPE_CHECKING:
    from protonet.surgery.found_boxes import Box, ScaledScores
    from protonet.surgery.sliding_window import SlidingWindow

__all__ = ["slide"]


@click.command()
@click.argument("net", metavar="NET")
@click.argument("weights", metavar="WEIGHTS")
@click.argument("image", metavar="IMAGE")
@click.option(
    "--scales", default="1", show_default=True, metavar="S,S,...",
    help="The image is searched at these sizes, relative to its own.",
)  # fmt: skip
@click.option(
    "--class", "class_", type=click.IntRange(min=0), metavar="K",
    help="Look for this class only; without it, for all.",
)  # fmt: skip
@click.option(
    "--stride", type=click.IntRange(min=1), metavar="PIXELS",
    help="How far apart windows are: the net's own stride, or a divisor of it.",
)  # fmt: skip
@click.option("--out", metavar="PNG", help="Where to write the class's map over the image.")
@click.option("--json", "boxes_file", metavar="FILE", help="Where to write the boxes.")
@click.option(
    "--threshold", type=float, default=0.5, show_default=True,
    help="The least score of a window that becomes a box.",
)  # fmt: skip
@click.option(
    "--overlap", type=click.FloatRange(0, 1), default=0.3, show_default=True,
    help="Boxes that share more than this of their union with a better one go.",
)  # fmt: skip
@click.option("--output", metavar="BLOB", help="The blob of scores, if the net has several.")
@click.option(
    "--window", type=click.IntRange(min=1), nargs=2, metavar="H W",
    help="The size of a window, if not that of the net's input.",
)  # fmt: skip
@click.option(
    "--memory", type=click.IntRange(min=1), metavar="MB",
    help="What a pass may need: larger images are tiled. Half of the machine's unless given.",
)  # fmt: skip
@image_options
def slide(
    net: str,
    weights: str,
    image: str,
    scales: str,
    class_: int | None,
    stride: int | None,
    out: str | None,
    boxes_file: str | None,
    threshold: float,
    overlap: float,
    output: str | None,
    window: tuple[int, int] | None,
    memory: int | None,
    mean: str | None,
    scale: float,
    rgb: bool,
) -> None:
    """Slide a classifier over IMAGE and tell where it sees what.

    NET is the classifier as it was trained, or what `protonet surgery fc-to-conv` made of it.
    Windows as large as its input are scored in one pass for each scale. Windows that overlap a
    better one of their class are left out of the boxes.
    """
    from protonet.cli.image_options import preparation, read_pixels
    from protonet.prototxt.diagnostics import Error
    from protonet.surgery.found_boxes import best_boxes
    from protonet.surgery.sliding_window import SlidingWindow
    from protonet.surgery.trained_net import read_trained_net

    sizes = _scales(scales)
    slider = SlidingWindow(read_trained_net(net, weights), output=output, window=window)
    prepare = preparation(mean, scale, rgb, slider.channels)
    pixels = read_pixels(image, slider.channels)
    maps = [
        found
        for size in sizes
        if (found := _searched(slider, pixels, prepare, size, stride, memory)) is not None
    ]
    if not maps:
        raise Error(f"a window of {slider.window[0]}×{slider.window[1]} fits at none of the scales")
    classes = maps[0].scores.shape[0]
    if class_ is not None and class_ >= classes:
        raise Error(f"--class {class_}: the net tells classes 0 to {classes - 1}")
    boxes = best_boxes(maps, threshold, overlap, class_)
    _tell(maps, boxes)
    if boxes_file is not None:
        _write_boxes(boxes_file, image, pixels, slider, maps, boxes)
        click.echo(f"wrote {boxes_file}")
    if out is not None:
        from protonet.surgery.heatmap import class_map, overlay, write_png

        shown = class_ if class_ is not None else _strongest(maps)
        scores = class_map(maps, shown, pixels.shape[1], pixels.shape[2])
        write_png(out, overlay(pixels, scores))
        click.echo(f"wrote {out}: class {shown}, from {scores.min():.3g} to {scores.max():.3g}")


def _scales(text: str) -> list[float]:
    from protonet.prototxt.diagnostics import Error

    try:
        found = [float(word) for word in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 < size <= 100 and math.isfinite(size) for size in found):
        raise Error(f'--scales "{text}": write numbers above 0, as in 1,0.7,0.5')
    return found


def _searched(
    slider: SlidingWindow,
    pixels: Pixels,
    prepare: Preparation,
    size: float,
    stride: int | None,
    memory: int | None,
) -> ScaledScores | None:
    """Returns the scores at one scale; None, and a line, if the window does not fit."""
    from protonet.data.resize import resized
    from protonet.surgery.found_boxes import ScaledScores

    height, width = (max(1, round(side * size)) for side in pixels.shape[1:])
    if height < slider.window[0] or width < slider.window[1]:
        click.echo(f"scale {size:g}: {height}×{width} is smaller than the window", err=True)
        return None
    values = prepare(resized(pixels, height, width))
    steps = (stride, stride) if stride is not None else slider.stride
    limit = memory * 10**6 if memory is not None else None
    scores = (
        slider.scores(values, memory=limit)
        if steps == slider.stride
        else slider.fine_scores(values, steps, memory=limit)
    )
    scale = (height / pixels.shape[1], width / pixels.shape[2])
    return ScaledScores(scores, scale, slider.window, steps)


def _strongest(maps: list[ScaledScores]) -> int:
    """Returns the class with the highest score anywhere."""
    best = [found.scores.reshape(found.scores.shape[0], -1).max(axis=1) for found in maps]
    return max(range(len(best[0])), key=lambda kind: max(float(scores[kind]) for scores in best))


def _tell(maps: list[ScaledScores], boxes: list[Box]) -> None:
    for found in maps:
        rows, columns = found.scores.shape[1:]
        click.echo(
            f"scale {found.scale[0]:.3g}: {rows}×{columns} windows of "
            f"{found.window[0]}×{found.window[1]}, {found.stride[0]}×{found.stride[1]} apart"
        )
    for box in boxes[:20]:
        corners = " ".join(f"{side:.0f}" for side in box.box)
        click.echo(f"class {box.class_}  {box.score:.4f}  {corners}")
    if len(boxes) > 20:
        click.echo(f"and {len(boxes) - 20} more boxes (--json has all)")
    if not boxes:
        best = max(float(found.scores.max()) for found in maps)
        click.echo(f"no window reaches the threshold; the highest score is {best:.4f}")


def _write_boxes(
    path: str,
    image: str,
    pixels: Pixels,
    slider: SlidingWindow,
    maps: list[ScaledScores],
    boxes: list[Box],
) -> None:
    from protonet.ir.files import atomic_write

    document: dict[str, Any] = {
        "version": 1,
        "image": image,
        "height": pixels.shape[1],
        "width": pixels.shape[2],
        "window": list(slider.window),
        "scales": [
            {
                "scale": list(found.scale),
                "stride": list(found.stride),
                "windows": list(found.scores.shape[1:]),
            }
            for found in maps
        ],
        "boxes": [
            {"box": list(b.box), "score": b.score, "class": b.class_, "scale": b.scale}
            for b in boxes
        ],
    }
    with atomic_write(path) as stream:
        stream.write(json.dumps(document, indent=1).encode() + b"\n")
