"""Joining bottoms to tops by name: unknown bottoms, tops made twice, names used twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protonet.prototxt.diagnostics import nearest

if TYPE_CHECKING:
    from .graph import Graph

__all__ = ["resolve"]


def resolve(graph: Graph) -> None:
    """Reports every bottom without a maker before it and every top with two makers."""
    made: dict[str, int] = {}
    names: dict[str, int] = {}
    later: dict[str, int] = {}
    for index, param in enumerate(graph.net.layer):
        for top in param.top:
            later.setdefault(top, index)
    for index, param in enumerate(graph.net.layer):
        path = ("layer", index)
        if param.name in names and param.name:
            graph.report(
                "W101",
                f'a second layer is named "{param.name}"',
                (*path, "name"),
                also=(("layer", names[param.name], "name"),),
                help="weights are found by name, and only the first of the two will get them",
            )
        names.setdefault(param.name, index)
        for position, bottom in enumerate(param.bottom):
            if bottom not in made:
                _report_unknown(graph, index, position, made, later)
        for position, top in enumerate(param.top):
            in_place = position < len(param.bottom) and param.bottom[position] == top
            if in_place:
                continue
            if top in made:
                first = graph.net.layer[made[top]]
                graph.report(
                    "E103",
                    f'top "{top}" is already made by layer "{first.name}"',
                    (*path, "top", position),
                    notes=(f'layer "{param.name}" ({param.type})',),
                    also=(("layer", made[top]),),
                    help="to work in place, name the same blob as bottom and top at the same "
                    "position; otherwise choose another name",
                )
            made[top] = index


def _report_unknown(
    graph: Graph, index: int, position: int, made: dict[str, int], later: dict[str, int]
) -> None:
    param = graph.net.layer[index]
    bottom = param.bottom[position]
    if later.get(bottom, -1) > index:
        maker = graph.net.layer[later[bottom]]
        help = f'it is produced later by layer "{maker.name}": move that layer before this one'
    elif later.get(bottom) == index:
        help = "a layer cannot read what it makes itself"
    else:
        near = nearest(bottom, made)
        help = f'did you mean "{near}"?' if near else "no layer before this one makes it"
    graph.report(
        "E102",
        f'unknown bottom blob "{bottom}"',
        ("layer", index, "bottom", position),
        notes=(f'layer "{param.name}" ({param.type})',),
        help=help,
    )
    made.setdefault(bottom, index)  # say it once
