"""How many bottoms, tops, loss weights and propagate_down flags a layer is given.

Codes: E104 number of bottoms or tops, E106 in place where that cannot be, E107 propagate_down,
E108 loss_weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protonet.ir.protonet_pb2 import LayerParameter
from protonet.layers.base import Layer
from protonet.prototxt.source import Path

if TYPE_CHECKING:
    from .graph import Graph

__all__ = ["counts_fit"]


def counts_fit(graph: Graph, made: type[Layer], param: LayerParameter, path: Path) -> bool:
    """Says whether the layer's lists are as long as its class wants, and reports what is not."""
    before = len(graph.diagnostics)
    title = f'layer "{param.name}" ({param.type})'
    _judge_blobs(graph, made, param, path, title)
    tops = max(len(param.top), made.automatic_tops)
    for code, field, given, blobs, what in (
        ("E107", "propagate_down", len(param.propagate_down), len(param.bottom), "bottom"),
        ("E108", "loss_weight", len(param.loss_weight), tops, "top"),
    ):
        if given not in (0, blobs):
            graph.report(
                code,
                f"{given} {field} for {_many(blobs, what)}",
                (*path, field, 0),
                notes=(title,),
                help=f"write it once for each {what}, or not at all",
            )
    for position, (bottom, top) in enumerate(zip(param.bottom, param.top, strict=False)):
        if bottom == top and not made.in_place:
            graph.report(
                "E106",
                f"{param.type} cannot work in place",
                (*path, "top", position),
                notes=(title,),
                help="give the top a name of its own",
            )
    return len(graph.diagnostics) == before


def _judge_blobs(
    graph: Graph, made: type[Layer], param: LayerParameter, path: Path, title: str
) -> None:
    for what, count, allowed in (
        ("bottom", len(param.bottom), made.bottoms),
        ("top", max(len(param.top), made.automatic_tops), made.tops),
    ):
        if count in allowed:
            continue
        plural = "" if str(allowed) in ("1", "at least 1") else "s"
        too_many = count > allowed.least
        graph.report(
            "E104",
            f"{title} takes {allowed} {what}{plural}, not {count}",
            (*path, what, allowed.most or 0) if too_many else path,
            help=made.namesake if too_many else "",
        )
    if made.equal_bottoms_and_tops and len(param.bottom) != len(param.top):
        graph.report(
            "E104",
            f"{title} takes as many tops as bottoms, not {_many(len(param.bottom), 'bottom')} "
            f"and {_many(len(param.top), 'top')}",
            path,
        )


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
