"""Joining bottoms to tops by name.

Codes: E102 unknown bottom, E103 top with two makers, E106 in place where another reads the blob,
W101 layer name used twice.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cached_property
from typing import TYPE_CHECKING

from protonet.ir.protonet_pb2 import LayerParameter, NetParameter, Phase
from protonet.prototxt.diagnostics import nearest

if TYPE_CHECKING:
    from .graph import Graph

__all__ = ["MOST_GUESSES", "resolve"]

_STRING = re.compile(r""" "([^"\n]*)" | '([^'\n]*)' """, re.VERBOSE)
MOST_GUESSES = 20  # what was meant takes long to find out, and a file that needs more is lost


def resolve(graph: Graph, unfiltered: NetParameter, broken: Collection[int]) -> bool:
    """Reports bottoms without a maker before them, tops with two, names of two layers.

    `unfiltered` is the net with the layers of all phases. Layers with an index in `broken` are
    not blamed, nor is a bottom that one of them may have been meant to make. Returns False if
    the joints are wrong.
    """
    return _Resolver(graph, unfiltered, broken).run()


class _Resolver:
    def __init__(self, graph: Graph, unfiltered: NetParameter, broken: Collection[int]) -> None:
        self.graph, self.unfiltered, self.broken = graph, unfiltered, broken
        self.layers = graph.net.layer
        self.made: dict[str, int] = {}  # blob → the layer that made it last
        self.read: dict[str, int] = {}  # blob → a layer that reads what was made last
        self.unknown: set[str] = set()  # reported once
        self.later: dict[str, int] = {}  # blob → the first layer that makes it, wherever it is
        self.guesses = MOST_GUESSES
        for index, param in enumerate(self.layers):
            for top in param.top:
                self.later.setdefault(top, index)

    @cached_property
    def left_out(self) -> dict[str, str]:
        """Blob → the layer, of any phase, that makes it."""
        return {top: layer.name for layer in self.unfiltered.layer for top in layer.top}

    def run(self) -> bool:
        names: dict[str, int] = {}
        sound = True
        for index, param in enumerate(self.layers):
            if param.name and param.name in names:
                self._report_name(index, names[param.name])
            names.setdefault(param.name, index)
            for position, bottom in enumerate(param.bottom):
                if bottom not in self.made:
                    sound = False
                    self._report_unknown(index, position)
                    self.made[bottom] = index
                    self.unknown.add(bottom)
                if bottom in self.read and bottom in _in_place(param):
                    sound = False
                    self._report_read(index, position)
                self.read[bottom] = index
            for position, top in enumerate(param.top):
                if param.bottom[position : position + 1] != [top]:
                    if top in self.made:
                        sound = False
                        self._report_twice(index, position)
                    self.made[top] = index
                self.read.pop(top, None)
                if position < len(param.loss_weight) and param.loss_weight[position]:
                    self.read[top] = index
        return sound

    def _report_name(self, index: int, first: int) -> None:
        if self.broken and {index, first} & set(self.broken):
            return
        self.graph.report(
            "W101",
            f'a second layer is named "{self.layers[index].name}"',
            ("layer", index, "name"),
            also=(("layer", first, "name"),),
            help="trained weights are found by layer name: give each layer a name of its own",
        )

    def _report_read(self, index: int, position: int) -> None:
        """In Caffe each reader has a blob of its own then, and the layer two tops of one name."""
        param, bottom = self.layers[index], self.layers[index].bottom[position]
        reader = self.read[bottom]
        if index in self.broken or reader in self.broken or bottom in self.unknown:
            return
        who = f'layer "{self.layers[reader].name}"' if reader != index else "this layer"
        if bottom in self.layers[reader].bottom:
            found = ("layer", reader, "bottom", list(self.layers[reader].bottom).index(bottom))
            reads = "reads"
        else:
            found = ("layer", reader, "loss_weight", list(self.layers[reader].top).index(bottom))
            reads = "counts as a loss"
        self.graph.report(
            "E106",
            f'"{bottom}" cannot be changed in place: {who} {reads} it as it was',
            ("layer", index, "top", list(param.top).index(bottom)),
            notes=(_title(param),),
            also=(found,),
            help="give the top a name of its own",
        )

    def _report_twice(self, index: int, position: int) -> None:
        param = self.layers[index]
        top, maker = param.top[position], self.made[param.top[position]]
        if index in self.broken or maker in self.broken or top in self.unknown:
            return
        made_by = f'layer "{self.layers[maker].name}"' if maker != index else "this layer"
        self.graph.report(
            "E103",
            f'top "{top}" is already made by {made_by}',
            ("layer", index, "top", position),
            notes=(_title(param),),
            also=(("layer", maker, "top", list(self.layers[maker].top).index(top)),),
            help="to work in place, name the same blob as bottom and top at the same "
            "position; otherwise choose another name",
        )

    def _report_unknown(self, index: int, position: int) -> None:
        param = self.layers[index]
        bottom = param.bottom[position]
        if index in self.broken or bottom in self.of_broken:
            return
        self.graph.report(
            "E102",
            f'unknown bottom blob "{bottom}"',
            ("layer", index, "bottom", position),
            notes=(_title(param),),
            help=self._help(index, bottom),
        )

    def _help(self, index: int, bottom: str) -> str:
        maker = self.later.get(bottom, -1)
        if maker > index:
            name = self.layers[maker].name
            return f'it is produced later by layer "{name}": move that layer before this one'
        if maker == index:
            return "a layer cannot read what it makes itself"
        if bottom in self.left_out:
            phase = Phase.Name(self.graph.state.phase)
            return (
                f'layer "{self.left_out[bottom]}" makes it, but its include and exclude rules '
                f"leave that layer out in phase {phase}"
            )
        self.guesses -= 1
        near = nearest(bottom, self.made) if self.guesses >= 0 else None
        return f'did you mean "{near}"?' if near else "no layer before this one makes it"

    @cached_property
    def of_broken(self) -> set[str]:
        """All strings in the text of the layers that could not be read whole."""
        lines = self.graph.source.text.split("\n") if self.broken else []
        found: set[str] = set()
        for index in self.broken:
            start = self.graph.source.span(("layer", index)).line - 1
            following = index + 1 < len(self.layers)
            end = self.graph.source.span(("layer", index + 1)).line if following else len(lines)
            text = "\n".join(lines[start : max(end, start + 1)])
            found.update(name for pair in _STRING.findall(text) for name in pair)
        return found


def _in_place(param: LayerParameter) -> set[str]:
    """Returns the blobs that are bottom and top at one position."""
    return {bottom for bottom, top in zip(param.bottom, param.top, strict=False) if bottom == top}


def _title(param: LayerParameter) -> str:
    return f'layer "{param.name}" ({param.type})'
