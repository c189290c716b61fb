"""`protonet plot`: the curves of trainings from their logs."""

from __future__ import annotations

import os
from typing import Any

import click

__all__ = ["plot", "save_figure"]


@click.command()
@click.argument("logs", metavar="LOG…", nargs=-1, required=True)
@click.option(
    "--out",
    metavar="FILE",
    default="training.png",
    show_default=True,
    help="The picture to write: .png, .svg or .pdf.",
)
def plot(logs: tuple[str, ...], out: str) -> None:
    """Draw loss, test outputs and learning rate of one or several trainings.

    A LOG is what `protonet train --log-json` wrote, what `protonet train` printed into a file, or
    the log of Caffe's own tool. Needs matplotlib: pip install 'protonet[plot]'.
    """
    from protonet.solvers.curves import draw_logs
    from protonet.solvers.log_reader import read_log

    save_figure(draw_logs([read_log(log) for log in logs]), out)
    click.echo(out)


def save_figure(figure: Any, out: str) -> None:
    """Writes a matplotlib figure; the file is whole or not there. Error E433 for an ending that
    matplotlib has no format for."""
    from protonet.ir.files import atomic_path
    from protonet.prototxt.diagnostics import Diagnostic, Error

    form = os.path.splitext(out)[1].lstrip(".").lower() or "png"
    known = sorted(figure.canvas.get_supported_filetypes())
    if form not in known:
        raise Error(
            Diagnostic("E433", f"no picture can be written as .{form}", help=", ".join(known))
        )
    with atomic_path(out) as temporary:
        figure.savefig(temporary, format=form, dpi=120)
