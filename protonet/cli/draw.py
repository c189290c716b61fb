"""`protonet draw`: a net as a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from protonet.caffe.draw import Facts
    from protonet.ir.document import Document
    from protonet.ir.protonet_pb2 import NetParameter

__all__ = ["draw"]


@click.command()
@click.argument("net", metavar="NET")
@click.argument("output", metavar="OUTPUT")
@click.option(
    "--rankdir",
    type=click.Choice(["LR", "TB", "BT", "RL"]),
    default="LR",
    show_default=True,
    help="Where the arrows point: TB is from top to bottom.",
)
@click.option(
    "--phase",
    type=click.Choice(["TRAIN", "TEST", "ALL"]),
    default="ALL",
    show_default=True,
    help="Draw the layers of one phase.",
)
@click.option(
    "--display_lrm", "--display-lrm", is_flag=True,
    help="Write the learning rate multipliers of layers that have weights.",
)  # fmt: skip
def draw(net: str, output: str, rankdir: str, phase: str, display_lrm: bool) -> None:
    """Draw NET, a prototxt, into OUTPUT, with shapes and numbers of parameters.

    The name's end says in which form: svg, png, dot (Graphviz's text), or whatever else
    Graphviz makes, if it is installed: pdf, jpg, …
    """
    from protonet.caffe.draw import net_picture
    from protonet.ir.document import read_net_document
    from protonet.ir.files import atomic_write
    from protonet.ir.protonet_pb2 import Phase

    document = read_net_document(net)
    phases = ["TEST", "TRAIN"] if phase == "ALL" else [phase]
    picture = net_picture(
        document.message, rankdir, phase=None if phase == "ALL" else Phase.Value(phase),
        display_lrm=display_lrm, facts=_facts(document, phases),
    )  # fmt: skip
    drawing = picture.drawn(output.rpartition(".")[2])
    with atomic_write(output) as stream:
        stream.write(drawing)


def _facts(document: Document[NetParameter], phases: list[str]) -> Facts:
    """Returns shapes and numbers of parameters, as far as they can be known without running."""
    from protonet.caffe.draw import Facts
    from protonet.check.graph import build_graph
    from protonet.ir.protonet_pb2 import Phase
    from protonet.ir.rules import net_state
    from protonet.layers.base import shape_text

    blobs: dict[str, str] = {}
    layers: dict[str, str] = {}
    for phase in phases:
        state = net_state(document.message, Phase.Value(phase))
        graph = build_graph(document.message, document.source, state, lenient=True, splits=False)
        for name, shape in zip(graph.blob_names, graph.blob_shapes, strict=True):
            if shape is not None:
                blobs.setdefault(name, shape_text(shape))
        for node in graph.nodes:
            count = sum(math.prod(parameter.shape) for parameter in node.parameters or ())
            if count:
                layers.setdefault(node.param.name, f"{count:,} parameters")
    return Facts(blobs, layers)
