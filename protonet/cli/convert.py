"""`protonet convert`: from one format to another, told apart by the files' suffixes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import click

from protonet.cli.export import Batch
from protonet.cli.python_layers import allow_python_layers
from protonet.cli.sizes import Sizes, WithSizes

__all__ = ["convert"]

_KINDS = {
    ".onnx": "onnx", ".prototxt": "net", ".pbtxt": "net", ".txt": "net", ".prototext": "net",
    ".caffemodel": "weights", ".h5": "weights", ".hdf5": "weights",
    ".binaryproto": "mean", ".npy": "mean",
}  # fmt: skip


@click.command(cls=WithSizes)
@click.argument("files", nargs=-1, required=True, metavar="A [B]")
@click.option(
    "--out", "outs", multiple=True, required=True, metavar="FILE",
    help="What to write; a second --out for the weights beside a net.",
)  # fmt: skip
@click.option("--opset", type=int, help="ONNX's operator set, to ONNX.")
@click.option("--batch", type=Batch(), metavar="dynamic|N", help="The batch, to or from ONNX.")
@click.option(
    "--input", "sizes", type=Sizes(), metavar="H W",
    help="The size of the first input, to or from ONNX.",
)  # fmt: skip
@click.option(
    "--strict-caffe", is_flag=True,
    help="From ONNX: refuse what needs a layer that Caffe 1.0 lacks.",
)  # fmt: skip
@click.option("--verify", is_flag=True, help="To or from ONNX: compare with ONNX Runtime.")
@allow_python_layers
def convert(
    files: tuple[str, ...],
    outs: tuple[str, ...],
    opset: int | None,
    batch: int | str | None,
    sizes: tuple[int, ...] | None,
    strict_caffe: bool,
    verify: bool,
) -> None:
    """Convert A, or a net A with its weights B, to what the suffix of FILE says.

    \b
    net.prototxt [net.caffemodel]  →  .onnx             as export onnx does
    model.onnx                     →  .prototxt         as import onnx does; the weights go
                                                        beside it, or to a second --out
    net.prototxt [net.caffemodel]  →  .prototxt, .caffemodel, .h5
                                                        old formats become the current one
    net.caffemodel                 →  .h5, .caffemodel  binary or HDF5, and back
    mean.binaryproto               →  .npy, and back
    """
    given, wanted = _by_kind(files), _by_kind(outs)
    into_onnx, from_onnx = "onnx" in wanted, "onnx" in given
    chosen = {"--opset": opset, "--batch": batch, "--input": sizes, "--verify": verify or None,
              "--strict-caffe": strict_caffe or None}  # fmt: skip
    fitting = {"--batch", "--input", "--verify"} if into_onnx != from_onnx else set()
    fitting |= {"--opset"} if into_onnx else {"--strict-caffe"} if from_onnx else set()
    for name, value in chosen.items():
        if value is not None and name not in fitting:
            raise click.UsageError(f"{name} means nothing for this conversion")
    context = click.get_current_context()
    if set(given) in ({"net"}, {"net", "weights"}) and set(wanted) == {"onnx"}:
        from protonet.cli.export import onnx as export_onnx

        options: dict[str, Any] = {} if opset is None else {"opset": opset}
        context.invoke(
            export_onnx, net=given["net"], weights=given.get("weights"), out=wanted["onnx"],
            batch=batch, sizes=sizes, verify=verify, **options,
        )  # fmt: skip
    elif set(given) == {"onnx"} and wanted and set(wanted) <= {"net", "weights"}:
        from protonet.cli.import_ import onnx as import_onnx

        if batch == "dynamic":
            raise click.UsageError("--batch dynamic: a prototxt has one batch size")
        net = wanted.get("net") or _beside(wanted["weights"], ".prototxt")
        weights = wanted.get("weights") or _beside(wanted["net"], ".caffemodel")
        context.invoke(
            import_onnx, model=given["onnx"], out_net=net, out_weights=weights,
            strict_caffe=strict_caffe, batch=batch or 1, sizes=sizes, verify=verify,
        )  # fmt: skip
    elif "net" in given and wanted and set(wanted) <= set(given) <= {"net", "weights"}:
        _current(given["net"], given.get("weights"), wanted.get("net"), wanted.get("weights"))
    elif set(given) == set(wanted) == {"weights"}:
        from protonet.ir.rewrite import rewrite_weights

        layers = rewrite_weights(given["weights"], wanted["weights"])
        click.echo(f"{wanted['weights']}: weights of {layers} layers")
    elif set(given) == set(wanted) == {"mean"}:
        from protonet.data.mean import read_mean
        from protonet.data.mean_image import write_mean

        mean = read_mean(given["mean"])
        write_mean(wanted["mean"], mean)
        click.echo(f"{wanted['mean']}: a mean image of {'×'.join(map(str, mean.shape))}")
    else:
        raise _refusal(files, outs, set(given), set(wanted))


def _by_kind(files: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in files:
        kind = _KINDS.get(os.path.splitext(file)[1].lower())
        if kind is None:
            known = ", ".join(_KINDS)
            raise click.UsageError(f"{file}: its suffix is none of {known}")
        if kind in found:
            raise click.UsageError(f"{found[kind]} and {file} are of the same kind")
        found[kind] = file
    return found


def _beside(file: str, suffix: str) -> str:
    return os.path.splitext(file)[0] + suffix


def _current(net: str, weights: str | None, out_net: str | None, out_weights: str | None) -> None:
    """Writes a net (or a solver) and its weights in the current format."""
    from protonet.ir.document import read_document
    from protonet.ir.files import atomic_write
    from protonet.ir.protonet_pb2 import SolverParameter
    from protonet.prototxt import format_text

    document = read_document(net)
    if weights is None and out_net is not None:
        with atomic_write(out_net) as stream:
            stream.write(format_text(document.message).encode())
        for found in document.diagnostics:
            click.echo(found.message)
        click.echo(f"wrote {out_net}")
        return
    if isinstance(document.message, SolverParameter):
        raise click.UsageError(f"{net} is a solver, which has no weights")
    from protonet.cli.surgery.parts import upgrade

    click.get_current_context().invoke(
        upgrade, net=net, weights=weights, out_net=out_net, out_weights=out_weights
    )


def _refusal(
    files: Sequence[str], outs: Sequence[str], given: set[str], wanted: set[str]
) -> click.UsageError:
    told = f"no way from {' and '.join(files)} to {' and '.join(outs)}"
    if "net" not in given and wanted == {"onnx"}:
        return click.UsageError(f"{told}: weights need their net's prototxt")
    if "weights" in wanted and given == {"net"}:
        return click.UsageError(f"{told}: a prototxt holds no weights, give them, too")
    return click.UsageError(f"{told}: see protonet convert --help")
