"""Do trained weights fit a net: layers are found by name, blobs must have the net's shapes.

Codes: E301 another number of blobs, E302 another shape, I301 a layer without weights, W301 none
with.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from protonet.ir.layer_weights import LayerWeights, Weights
from protonet.layers.base import Shape, shape_text
from protonet.prototxt.diagnostics import Diagnostic, Severity, nearest
from protonet.prototxt.source import Path

if TYPE_CHECKING:
    import numpy as np

    from .graph import Graph, Node

__all__ = ["Fitting", "fit_weights", "shapes_agree"]


@dataclass
class Fitting:
    """Which stored blob goes where, and what does not fit."""

    places: list[tuple[int, int, np.ndarray]] = field(default_factory=list)  # node, parameter
    diagnostics: list[Diagnostic] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return any(found.severity is Severity.ERROR for found in self.diagnostics)


def shapes_agree(wanted: Shape, stored: Shape, legacy: bool) -> bool:
    """Caffe's rule: equal shapes; a legacy N×C×H×W may have ones in front of the wanted shape."""
    if not legacy:
        return wanted == stored
    return len(wanted) <= 4 and (1,) * (4 - len(wanted)) + wanted == stored


def fit_weights(graph: Graph, weights: Weights) -> Fitting:
    """Finds the stored blobs for each layer's parameters; all that do not fit are reported.

    A layer that the file does not have keeps its fillers' values (I301); one that only the
    file has is passed over, as in Caffe.
    """
    fitting = Fitting()
    owners = {use: learnable.uses[0] for learnable in graph.learnable for use in learnable.uses}
    found = False
    unknown: list[Node] = []
    for index, node in enumerate(graph.nodes):
        stored = weights.find(node.param.name)
        if stored is None:
            if node.parameters:
                unknown.append(node)
            continue
        if node.parameters is None or not (node.parameters or stored.blobs):
            continue
        found = True
        blobs = list(stored.blobs)
        if weights.leaves_out_shared:
            blobs += [None] * (len(node.parameters) - len(blobs))
        if len(blobs) != len(node.parameters):
            fitting.diagnostics.append(_count_differs(graph, node, stored, weights))
            continue
        wrong: dict[int, Shape] = {}
        for number, (wanted, array) in enumerate(zip(node.parameters, blobs, strict=True)):
            if array is None:
                if owners.get((index, number), (index, number)) == (index, number):
                    fitting.diagnostics.append(_count_differs(graph, node, stored, weights))
                    break
            elif shapes_agree(wanted.shape, array.shape, stored.legacy[number]):
                fitting.places.append((index, number, array))
            else:
                wrong[number] = array.shape
        if wrong:
            fitting.diagnostics.append(_shapes_differ(graph, node, wrong, weights))
    if found:
        fitting.diagnostics += [_not_there(graph, node, weights) for node in unknown]
    elif unknown:
        fitting.diagnostics.append(_none_there(graph, unknown[0], weights))
    return fitting


def _count_differs(graph: Graph, node: Node, stored: LayerWeights, weights: Weights) -> Diagnostic:
    here, there = len(node.parameters or ()), sum(blob is not None for blob in stored.blobs)
    return Diagnostic(
        "E301",
        f"{node.title} has {_blobs(here)}, but {_blobs(there)} in the trained weights",
        graph.places((*node.path, "name")),
        notes=(_stored_as(stored, weights),),
        help="set bias_term as it was in training, or rename the layer to start it afresh",
    )


def _shapes_differ(
    graph: Graph, node: Node, wrong: dict[int, Shape], weights: Weights
) -> Diagnostic:
    """Tells all that does not fit one layer at once: it has one cause."""
    from .graph import bottoms_text

    parameters = node.parameters or []
    (number, stored), *others = wrong.items()
    wanted = parameters[number].shape
    place: Path = (*node.path, "name")
    help = "rename the layer to start it afresh, or give the net what it was trained with"
    label = ""
    if math.prod(wanted) == math.prod(stored):
        help = "the counts agree and the axes do not: give the layer the type it was trained with"
    elif node.param.type == "InnerProduct" and number == 0:
        place, label, help = _inner_product(node, wanted, stored)
    also = tuple(
        f"parameter {other} is {shape_text(parameters[other].shape)}, but {shape_text(shape)} there"
        for other, shape in others
    )
    return Diagnostic(
        "E302",
        f'parameter {number} of layer "{node.param.name}" is {shape_text(wanted)}, '
        f"but {shape_text(stored)} in the trained weights",
        graph.places(place),
        label,
        (*also, node.title + bottoms_text(graph, node), f"weights: {weights.file}"),
        help,
    )


def _inner_product(node: Node, wanted: Shape, stored: Shape) -> tuple[Path, str, str]:
    """Tells which side of a fully connected layer's matrix does not fit, and why."""
    settings = node.param.inner_product_param
    sizes = [size for size in stored if size != 1]
    outputs = settings.num_output
    if len(sizes) == 2:
        inner_there, outputs_there = sizes if settings.transpose else sizes[::-1]
        if outputs_there != outputs:
            return (
                (*node.path, "inner_product_param", "num_output"),
                f"trained with {outputs_there}",
                "rename the layer to train it afresh with another num_output",
            )
        bottom = node.bottom_shapes[0] or ()
        inner = math.prod(wanted) // outputs
        return (
            (*node.path, "bottom", 0),
            f"{'·'.join(map(str, bottom[settings.axis :]))} = {inner} inputs, "
            f"trained with {inner_there}",
            "give the net the input size that it was trained with",
        )
    return (*node.path, "name"), "", "rename the layer to start it afresh"


def _not_there(graph: Graph, node: Node, weights: Weights) -> Diagnostic:
    here = {other.param.name for other in graph.nodes}
    near = nearest(node.param.name, [w.name for w in weights.layers if w.name not in here])
    return Diagnostic(
        "I301",
        f"{node.title} is not in the trained weights: it starts from its fillers",
        graph.places((*node.path, "name")),
        notes=(f"weights: {weights.file}",),
        help=f'the weights have a layer "{near}": give this one that name to use them'
        if near
        else "",
    )


def _none_there(graph: Graph, first: Node, weights: Weights) -> Diagnostic:
    names = ", ".join(f'"{layer.name}"' for layer in weights.layers if layer.blobs)
    return Diagnostic(
        "W301",
        "no layer of this net is in the trained weights: all start from their fillers",
        graph.places((*first.path, "name")),
        notes=(f"weights: {weights.file}: {textwrap.shorten(names, 100) or 'no blobs at all'}",),
        help="layers are found by name: are these the weights of another net?",
    )


def _stored_as(stored: LayerWeights, weights: Weights) -> str:
    shapes = ", ".join("left out" if b is None else shape_text(b.shape) for b in stored.blobs)
    kind = f" ({stored.type})" if stored.type else ""
    return f'weights: {weights.file}, layer "{stored.name}"{kind}: {shapes or "no blobs"}'


def _blobs(count: int) -> str:
    return f"{count or 'no'} parameter blob{'' if count == 1 else 's'}"
