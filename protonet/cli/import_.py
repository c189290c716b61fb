"""`protonet import`: nets of other tools."""

from __future__ import annotations

import click

from protonet.cli.sizes import Sizes, WithSizes

__all__ = ["import_"]


@click.group("import")
def import_() -> None:
    """Read a net of another tool."""


@import_.command("onnx", cls=WithSizes)
@click.argument("model", metavar="M.onnx")
@click.option("--out-net", required=True, metavar="N", help="The prototxt to write.")
@click.option("--out-weights", required=True, metavar="W", help="The caffemodel to write.")
@click.option(
    "--strict-caffe", is_flag=True, help="Refuse what needs a layer that Caffe 1.0 lacks."
)
@click.option("--batch", type=click.IntRange(1), default=1, show_default=True, metavar="N",
              help="The batch, where the model leaves it open.")  # fmt: skip
@click.option(
    "--input", "sizes", type=Sizes(), metavar="H W", help="The size of the model's first input."
)
@click.option(
    "--verify", is_flag=True,
    help="Run the net beside ONNX Runtime on random inputs and compare.",
)  # fmt: skip
def onnx(
    model: str,
    out_net: str,
    out_weights: str,
    strict_caffe: bool,
    batch: int,
    sizes: tuple[int, ...] | None,
    verify: bool,
) -> None:
    """Write an ONNX model as a prototxt and a caffemodel.

    Layers of forks are used only where Caffe 1.0 has none, and are listed. What cannot be read is
    told all at once.
    """
    from protonet.onnx.import_ import import_onnx

    report = import_onnx(
        model, out_net, out_weights, strict_caffe=strict_caffe, batch=batch, size=sizes or (),
        verify=verify,
    )  # fmt: skip
    for difference in report.differences:
        click.echo(difference)
    for type, names in sorted(report.forks.items()):
        click.echo(f"{type} is not in Caffe 1.0: {', '.join(names)}")
    click.echo(f"{out_net}, {out_weights}: {report.layers} layers")
