"""`protonet export`: a net for other runtimes."""

from __future__ import annotations

from typing import Any

import click

from protonet.cli.python_layers import allow_python_layers
from protonet.cli.sizes import Sizes, WithSizes

__all__ = ["export"]


@click.group()
def export() -> None:
    """Write a net for another runtime."""


class Batch(click.ParamType[int | str]):
    """A number, or the word dynamic."""

    name = "batch"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        if value == "dynamic":
            return "dynamic"
        if not str(value).isdigit() or int(value) < 1:
            self.fail(f"{value!r} is neither a batch size nor the word dynamic", param, ctx)
        return int(value)


@export.command("onnx", cls=WithSizes)
@click.argument("net", metavar="NET")
@click.argument("weights", metavar="[WEIGHTS]", required=False)
@click.option("--out", required=True, metavar="M.onnx", help="The file to write.")
@click.option("--opset", type=int, default=17, show_default=True, help="ONNX's operator set.")
@click.option(
    "--batch", type=Batch(), metavar="dynamic|N", help="The batch; default: that of the file."
)
@click.option(
    "--input", "sizes", type=Sizes(), metavar="H W", help="The size of the net's first input."
)
@click.option(
    "--verify", is_flag=True,
    help="Run the model in ONNX Runtime on random inputs and compare with protonet.",
)  # fmt: skip
@click.option("--verify-images", metavar="DIR", help="Compare on the pictures of a folder, too.")
@click.option(
    "--python-layer-domain", is_flag=True,
    help="Write layers that ONNX cannot express as operators of the domain org.protonet.",
)  # fmt: skip
@allow_python_layers
def onnx(
    net: str,
    weights: str | None,
    out: str,
    opset: int,
    batch: int | str | None,
    sizes: tuple[int, ...] | None,
    verify: bool,
    verify_images: str | None,
    python_layer_domain: bool,
) -> None:
    """Write NET with its WEIGHTS as an ONNX model.

    What ONNX cannot express is told all at once, with file and line. Without WEIGHTS the fillers'
    values are written.
    """
    from protonet.onnx.export import export_onnx

    report = export_onnx(
        net, weights, out, opset=opset, batch=batch, size=sizes or (), verify=verify,
        images=verify_images, python_layer_domain=python_layer_domain,
    )  # fmt: skip
    for title, differences in report.runs:
        click.echo(f"{title}:")
        for difference in differences:
            click.echo(f"  {difference}")
    if report.runs and weights is None:
        click.echo("no weights were given: what was compared are the fillers' values", err=True)
    click.echo(f"{report.file}: {', '.join(report.inputs)} → {', '.join(report.outputs)}")
