"""`protonet surgery`: operations on nets and their trained weights."""

from __future__ import annotations

from importlib import import_module

import click

from protonet.cli.near_names import NearNames

__all__ = ["surgery"]

_OPERATIONS = {
    "fc-to-conv": ("fc_to_conv", "Make a classifier slide over larger images."),
    "fold-bn": ("weights", "Fold BatchNorm, BN and Scale into the layers beside them."),
    "transplant": ("weights", "Copy weights of another net, by name or a map of names."),
    "share": ("weights", "Let layers use one layer's weights."),
    "bilinear": ("weights", "Make Deconvolution layers enlarge by interpolation."),
    "deploy": ("parts", "Make the net for use of the net that trains."),
    "extract": ("parts", "Keep what leads to an output."),
    "drop": ("parts", "Take layers out."),
    "prune-dead": ("parts", "Take out layers whose results nothing needs."),
    "merge": ("parts", "Put two nets into one."),
    "rename": ("parts", "Give layers and blobs other names."),
    "upgrade": ("parts", "Write an old net and its weights in the current format."),
}


class _Operations(NearNames):
    """A group that imports an operation when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_OPERATIONS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _OPERATIONS:
            return None
        module = import_module(f"protonet.cli.surgery.{_OPERATIONS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Operations"):
            formatter.write_dl([(name, help) for name, (_, help) in _OPERATIONS.items()])


@click.group(cls=_Operations)
def surgery() -> None:
    """Operate on a net and its trained weights.

    An operation reads NET (a prototxt) and WEIGHTS (a .caffemodel or .caffemodel.h5), writes what
    became of them under other names, and prints what it changed. Without WEIGHTS only the net is
    worked on.
    """
