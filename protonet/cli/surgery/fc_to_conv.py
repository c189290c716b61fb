"""`protonet surgery fc-to-conv`: a classifier that slides over larger images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from protonet.cli.image_options import image_options

from .options import finish, net_and_weights, read

if TYPE_CHECKING:
    from protonet.cli.image_options import Pixels
    from protonet.surgery.trained_net import TrainedNet
    from protonet.surgery.verify import Verification

__all__ = ["fc_to_conv"]

_MOST_COLUMNS = 12


@click.command("fc-to-conv")
@net_and_weights
@click.option(
    "--input", "size", type=click.IntRange(min=1), nargs=2, metavar="H W",
    help="The size of the images that the new net takes.",
)  # fmt: skip
@click.option(
    "--suffix", default="-conv", show_default=True,
    help="What is added to the names of converted layers, whose weights have other shapes.",
)  # fmt: skip
@click.option(
    "--verify", "image", metavar="IMAGE",
    help="Compare the new net, run over this image, with the old one run on each window of it; "
    "the image is resized to --input if that is given.",
)  # fmt: skip
@image_options
def fc_to_conv(
    net: str,
    weights: str | None,
    out_net: str | None,
    out_weights: str | None,
    size: tuple[int, int] | None,
    suffix: str,
    image: str | None,
    mean: str | None,
    scale: float,
    rgb: bool,
) -> None:
    """Make each InnerProduct layer over a plane, and those behind it, a Convolution.

    The new net takes images of any size and gives, for each window as large as the old net's
    input, what the old net would give: a map in one pass.

    If layers pad, a window sees its neighbours where the old net saw zeros, and the two differ:
    --verify tells how much, for windows at the image's border and for the others.
    """
    from protonet.prototxt.diagnostics import Error
    from protonet.surgery.fc_to_conv import fc_to_conv as convert

    original = read(net, weights, out_net, out_weights)
    done = convert(original, size=size, suffix=suffix)
    if image is not None and weights is None:
        raise Error("--verify compares what trained nets give: give WEIGHTS after NET")
    values = None if image is None else _image_for(original, image, size, mean, scale, rgb)
    finish(done.trained, out_net, out_weights)
    for view in done.trained.views():
        for name in view.graph.outputs:
            _tell_output(view.graph.blob_shapes[view.graph.blob_names.index(name)], name)
        break
    if values is not None:
        from protonet.surgery.verify import verify_sliding

        for found in verify_sliding(original, done, values):
            _print(found, (values.shape[1], values.shape[2]))


def _image_for(
    net: TrainedNet,
    image: str,
    size: tuple[int, int] | None,
    mean: str | None,
    scale: float,
    rgb: bool,
) -> Pixels:
    """Returns the image as the net takes it, resized if a size is given."""
    from protonet.cli.image_options import preparation, read_pixels
    from protonet.data.resize import resized
    from protonet.surgery.input_shape import image_input

    channels = image_input(net)[1][1]
    pixels = read_pixels(image, channels)
    prepare = preparation(mean, scale, rgb, channels)
    return prepare(resized(pixels, *size) if size is not None else pixels)


def _tell_output(shape: tuple[int, ...] | None, name: str) -> None:
    from protonet.layers.base import shape_text

    if shape is not None:
        click.echo(f'output "{name}" is {shape_text(shape)}')


def _print(found: Verification, size: tuple[int, int]) -> None:
    """Prints the differences window by window, and the largest of both kinds."""
    rows, columns = found.differences.shape
    click.echo()
    click.echo(
        f'"{found.output}" over {size[0]}×{size[1]}: {rows}×{columns} windows, '
        f"{found.stride[0]}×{found.stride[1]} apart"
    )
    click.echo("largest difference to the window by itself, relative to the largest value:")
    for row in range(rows):
        for start in range(0, columns, _MOST_COLUMNS):
            cells = [
                f"{found.differences[row, column]:8.1e}{'|' if found.border[row, column] else ' '}"
                for column in range(start, min(start + _MOST_COLUMNS, columns))
            ]
            click.echo(f"  {row:3},{start:<3} " + " ".join(cells))
    for words, value in (
        ("windows that touch the border (|):", found.at_border),
        ("other windows:", found.inside),
    ):
        click.echo(f"  {words:36}" + (f"{value:.1e}" if value is not None else "none"))
