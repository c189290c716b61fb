"""`protonet diff`: what is different between two nets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from protonet.cli.failure import FAILED
from protonet.cli.image_options import image_options
from protonet.cli.sizes import Sizes, WithSizes

if TYPE_CHECKING:
    import numpy as np

    from protonet.diff import Comparison, Side
    from protonet.diff.comparison import ShapeChange

__all__ = ["diff"]

_MOST_LINES = 20  # of one kind


@click.command(cls=WithSizes)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--weights", multiple=True, metavar="FILE",
    help="Trained weights of the prototxts among A and B: one file for both, or one for each.",
)  # fmt: skip
@click.option("--image", metavar="FILE", help="Run both on this picture, not on random numbers.")
@image_options
@click.option(
    "--input", "sizes", type=Sizes(), metavar="H W", help="The size of the first input of both."
)
@click.option(
    "--tolerance", type=click.FloatRange(0), default=1e-4, show_default=True, metavar="X",
    help="Numbers are alike that differ by no more than X of the largest of their array.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text",
    help="How differences are printed.",
)  # fmt: skip
def diff(
    a: str,
    b: str,
    weights: tuple[str, ...],
    image: str | None,
    mean: str | None,
    scale: float,
    rgb: bool,
    sizes: tuple[int, ...] | None,
    tolerance: float,
    form: str,
) -> None:
    """Tell what is different between the nets A and B: layers and their settings, shapes,
    parameters, and, on one input, the blobs, up to the first that differs.

    Each is a prototxt, a .caffemodel (or .h5) or an .onnx model. A prototxt without weights runs
    with its fillers' values, the same on both sides; a .caffemodel runs in the net of the other
    side. Where just one is ONNX, layers have other names: what both compute decides.

    Exit code 0 if there is no difference, 1 if there is.
    """
    from protonet.diff import compare

    one, other = _sides(a, b, weights, sizes or ())
    inputs = None if image is None else _pictured(one, image, mean, scale, rgb)
    found = compare(one, other, inputs=inputs, tolerance=tolerance)
    if form == "json":
        click.echo(json.dumps(_document(found), indent=2))
    else:
        for line in _lines(found):
            click.echo(line)
    if not found.same:
        raise SystemExit(FAILED)


def _sides(a: str, b: str, weights: Sequence[str], sizes: tuple[int, ...]) -> tuple[Side, Side]:
    from protonet.diff import read_side
    from protonet.prototxt.diagnostics import Error

    places = [n for n, file in enumerate((a, b)) if not file.endswith(_OTHERS)]
    if len(weights) > max(1, len(places)) or (weights and not places):
        raise Error(f"{len(weights)} files of --weights for {len(places)} prototxts")
    given = dict.fromkeys((0, 1), "")
    for number, place in enumerate(places):
        if weights:
            given[place] = weights[min(number, len(weights) - 1)]
    sides: dict[int, Side] = {}
    for place in sorted((0, 1), key=lambda n: (a, b)[n].endswith(".onnx")):
        options: dict[str, Any] = {"size": sizes}
        other = sides.get(1 - place)
        if other is not None and other.inputs:  # stands for what an ONNX model leaves open
            shape = next(iter(other.inputs.values()))
            options = {"batch": shape[0] if shape else 1, "size": sizes or shape[1:]}
        if not (a, b)[place].endswith(".onnx"):
            options = {"size": sizes}
        sides[place] = read_side((a, b)[place], given[place] or None, **options)
    return sides[0], sides[1]


_OTHERS = (".onnx", ".caffemodel", ".h5", ".hdf5")


def _pictured(
    side: Side, image: str, mean: str | None, scale: float, rgb: bool
) -> dict[str, np.ndarray]:
    """Returns the picture as the first input; others are zeros."""
    import numpy as np

    from protonet.cli.image_options import preparation, read_pixels
    from protonet.data.resize import resized
    from protonet.prototxt.diagnostics import Error

    shape = next(iter(side.inputs.values()), ())
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise Error(f"{side.file}: its first input is not N×1×H×W or N×3×H×W: no picture")
    prepare = preparation(mean, scale, rgb, shape[1])
    pixels = np.ascontiguousarray(read_pixels(image, shape[1]))
    values = prepare(resized(pixels, *shape[2:]))
    inputs = {name: np.zeros(shape, np.float32) for name, shape in side.inputs.items()}
    inputs[next(iter(inputs))][...] = values
    return inputs


def _lines(found: Comparison) -> list[str]:
    a, b = found.a.file, found.b.file
    lines: list[str] = []
    lines += _some([f"layer {name}: only in {a}" for name in found.only_a])
    lines += _some([f"layer {name}: only in {b}" for name in found.only_b])
    lines += _some([f"layer {change}" for change in found.changes])
    lines += _some([f"blob {_shapes(change)}" for change in found.shapes])
    lines += _some([f"parameter {_shapes(change)}" for change in found.parameter_shapes])
    lines += _some([f"parameter {difference}" for difference in found.parameters])
    lines += _some([f"parameter {name}: nothing in {b} is like it" for name in found.unmatched_a])
    lines += _some([f"parameter {name}: nothing in {a} is like it" for name in found.unmatched_b])
    if found.parameters_alike:
        close = f", {found.parameters_close} of them not to the bit" * bool(found.parameters_close)
        lines.append(f"{_many(found.parameters_alike, 'parameter')} alike{close}")
    if found.not_run:
        lines.append(f"blobs are not compared: {found.not_run}")
    else:
        lines.append(f"{_many(found.blobs_alike, 'blob')} alike")
    if found.first is not None:
        made = f", made by {found.first_made_by}" if found.first_made_by else ""
        lines.append(f"the first blob that differs: {found.first}{made}")
    lines.append("no difference" if found.same else f"{a} and {b} differ")
    return lines


def _some(lines: list[str]) -> list[str]:
    if len(lines) <= _MOST_LINES:
        return lines
    return [*lines[:_MOST_LINES], f"… and {len(lines) - _MOST_LINES} more like these"]


def _shapes(change: ShapeChange) -> str:
    from protonet.layers.base import shape_text

    return f"{change.name}: {shape_text(change.a)} → {shape_text(change.b)}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _document(found: Comparison) -> dict[str, Any]:
    def numbers(difference: Any) -> dict[str, Any]:
        finite = difference.absolute != float("inf")
        return {
            "name": difference.name,
            "absolute": difference.absolute if finite else None,
            "relative": difference.relative if finite else None,
            "reason": difference.reason,
        }

    def shape(change: ShapeChange) -> dict[str, Any]:
        return {"name": change.name, "a": list(change.a), "b": list(change.b)}

    return {
        "version": 1,
        "a": found.a.file,
        "b": found.b.file,
        "same": found.same,
        "tolerance": found.tolerance,
        "layers": {
            "only_a": found.only_a,
            "only_b": found.only_b,
            "changed": [vars(change) for change in found.changes],
        },
        "shapes": [shape(change) for change in found.shapes],
        "parameters": {
            "alike": found.parameters_alike,
            "not_to_the_bit": found.parameters_close,
            "shapes": [shape(change) for change in found.parameter_shapes],
            "differ": [numbers(difference) for difference in found.parameters],
            "unmatched_a": found.unmatched_a,
            "unmatched_b": found.unmatched_b,
        },
        "blobs": {
            "compared": not found.not_run,
            "reason": found.not_run,
            "alike": found.blobs_alike,
            "first": None if found.first is None else numbers(found.first),
            "made_by": found.first_made_by,
        },
    }
