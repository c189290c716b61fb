"""What Caffe accepts without a word and is likely a mistake.

Codes: W201 softmax twice, W202 a loss over one class, W203 batch-norm's statistics the wrong way
round, W204 a label that is asked for a gradient, W205 weights that start at zero, W206 mirrored
test images, W207 an empty batch; I101 unused top. A habit is told once, with the names of the
other layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from protonet.ir.protonet_pb2 import TEST, TRAIN
from protonet.layers.base import shape_text
from protonet.prototxt.diagnostics import Diagnostic
from protonet.prototxt.source import Path

from .propagation import loss_weights, plan_backward

if TYPE_CHECKING:
    from .graph import Graph, Node

__all__ = ["LINTS", "lint", "unused_tops"]

Finding = tuple[str, str, Path, str]  # code, message, place, help

# Losses that take raw scores: which layer they already contain.
_CONTAINS = {
    "SoftmaxWithLoss": "Softmax",
    "SigmoidCrossEntropyLoss": "Sigmoid",
    "InfogainLoss": "Softmax",
}
_NAMED = 4
_SHOWN = frozenset({"Accuracy", "ArgMax"})


def lint(graph: Graph) -> list[Diagnostic]:
    """Returns the warnings about one phase of a net."""
    diagnostics = []
    for check in LINTS:
        found = list(check(graph))
        for code, message, path, help in found[:1]:
            node = graph.nodes[_node_index(graph, path)]
            notes = [node.title, *_elsewhere(graph, [other[2] for other in found[1:]])]
            place = graph.places(path)
            diagnostics.append(Diagnostic(code, message, place, "", tuple(notes), help))
    return diagnostics


def _elsewhere(graph: Graph, paths: Sequence[Path]) -> list[str]:
    """Tells of the further places of a habit, so that it is explained once."""
    if not paths:
        return []
    names = [graph.nodes[_node_index(graph, path)].param.name for path in paths]
    shown = ", ".join(f'"{name}"' for name in names[:_NAMED])
    more = len(names) - _NAMED
    return [f"the same in layer{'s' * (len(names) > 1)} {shown}" + f" and {more} more" * (more > 0)]


def _node_index(graph: Graph, path: Path) -> int:
    return next(i for i, node in enumerate(graph.nodes) if node.path == path[:2])


def activation_twice(graph: Graph) -> Iterator[Finding]:
    """Softmax or Sigmoid in front of a loss that contains it: learning nearly stops."""
    for node in graph.nodes:
        inner = _CONTAINS.get(node.param.type)
        if inner is None or not node.bottoms:
            continue
        maker = _maker(graph, node, 0)
        if maker is not None and maker.param.type == inner:
            yield (
                "W201",
                f"{node.param.type} contains {inner}, and so its bottom gets {inner} twice: "
                f'from layer "{maker.param.name}" and here',
                (*node.path, "bottom", 0),
                f'use "{maker.param.bottom[0]}" here, the scores before {inner}',
            )


def one_class(graph: Graph) -> Iterator[Finding]:
    """Softmax over one class is 1 whatever is learned."""
    for node in graph.nodes:
        shape = node.bottom_shapes[0] if node.bottom_shapes else None
        axis = node.param.softmax_param.axis
        if (
            node.param.type != "SoftmaxWithLoss"
            or not shape
            or not -len(shape) <= axis < len(shape)
        ):
            continue
        if shape[axis] == 1:
            yield (
                "W202",
                "the softmax is taken over one class: it is always 1, and nothing is learned",
                (*node.path, "bottom", 0),
                "num_output of the layer before must be the number of classes; for one yes or no "
                "use SigmoidCrossEntropyLoss",
            )


def statistics_swapped(graph: Graph) -> Iterator[Finding]:
    """use_global_stats against the phase: unset is right for both."""
    for node in graph.nodes:
        settings = node.param.batch_norm_param
        if node.param.type != "BatchNorm" or not settings.HasField("use_global_stats"):
            continue
        path = (*node.path, "batch_norm_param", "use_global_stats")
        only_training = any(rule.phase == TRAIN for rule in node.param.include)
        if graph.state.phase == TEST and not settings.use_global_stats:
            yield (
                "W203",
                "in phase TEST too this layer normalises by the statistics of the batch: results "
                "depend on what else is in it",
                path,
                "leave use_global_stats out: batch in TRAIN, gathered statistics in TEST",
            )
        elif only_training and settings.use_global_stats:
            yield (
                "W203",
                "a layer for TRAIN alone uses gathered statistics and never gathers any",
                path,
                "leave use_global_stats out: batch in TRAIN, gathered statistics in TEST",
            )


def gradient_to_label(graph: Graph) -> Iterator[Finding]:
    """A loss cannot give its labels a gradient; Caffe aborts when the backward pass gets there."""
    layers = [node.layer for node in graph.nodes if node.layer is not None]
    if graph.state.phase != TRAIN or len(layers) != len(graph.nodes):
        return
    plan = plan_backward(graph, layers)
    for index, (node, layer) in enumerate(zip(graph.nodes, layers, strict=True)):
        for bottom in layer.labels:
            if plan.layers[index] and bottom < len(node.bottoms) and plan.bottoms[index][bottom]:
                yield (
                    "W204",
                    f"{layer.type} has no gradient for its bottom {bottom}, and training will ask "
                    "for one: a layer that learns stands before it",
                    (*node.path, "bottom", bottom),
                    "exchange the bottoms if they are the wrong way round, or set propagate_down",
                )


def empty_source(graph: Graph) -> Iterator[Finding]:
    """A batch of no items, or images without pixels: all that follows computes nothing."""
    for node in graph.nodes:
        for position, shape in enumerate(node.top_shapes[: len(node.param.top)]):
            if not node.bottoms and shape is not None and 0 in shape:
                name = node.param.top[position]
                yield (
                    "W207",
                    f'"{name}" is empty: {shape_text(shape)}',
                    (*node.path, "top", position),
                    "each size must be at least 1 for anything to be computed",
                )


def zero_weights(graph: Graph) -> Iterator[Finding]:
    """A layer that learns and starts at zero, among others that do not."""
    if graph.state.phase != TRAIN or not _losses(graph):
        return
    plain, filled = [], 0
    for node in graph.nodes:
        weight = node.parameters[0] if node.parameters else None
        if weight is None or weight.filler is None or len(weight.shape) < 2:
            continue
        rate = node.param.param[0].lr_mult if node.param.param else 1.0
        if weight.filler.ByteSize():
            filled += 1
        elif rate and not node.param.blobs:
            plain.append((node, weight.field))
    for node, field in plain if filled else ():
        yield (
            "W205",
            "the weights start at zero: this layer has no weight_filler, and others have one",
            (*node.path, *field[:-1]),
            'add weight_filler { type: "msra" }, if the weights are not loaded from a file',
        )


def mirrored_test(graph: Graph) -> Iterator[Finding]:
    """`mirror` flips at random in TEST as well, in Caffe and here.

    Judged where a layer is written for TEST alone: a file without rules may be for training.
    """
    for node in graph.nodes:
        rules = node.param.include
        for_test = bool(rules) and all(rule.phase == TEST for rule in rules)
        if for_test and node.param.transform_param.mirror:
            yield (
                "W206",
                "mirror flips images at random in phase TEST too",
                (*node.path, "transform_param", "mirror"),
                "leave mirror out here",
            )


LINTS: tuple[Callable[[Graph], Iterator[Finding]], ...] = (
    activation_twice,
    one_class,
    statistics_swapped,
    gradient_to_label,
    empty_source,
    zero_weights,
    mirrored_test,
)


def unused_tops(graphs: Sequence[Graph]) -> list[Diagnostic]:
    """Returns a note (I101) for each top that no layer reads in any of these phases.

    Every net has outputs: only a net with a loss is judged, in phase TRAIN, where nobody looks
    at a top that reaches no loss and is none; and inputs that nobody reads.
    """
    if any(found.code == "E102" for graph in graphs for found in graph.diagnostics):
        return []  # the unused one may be what was meant there
    used: set[tuple[str, str]] = set()
    candidates: dict[tuple[str, str], Diagnostic] = {}
    for graph in graphs:
        consumed = {blob for node in graph.nodes for blob in node.bottoms}
        training = graph.state.phase == TRAIN and _losses(graph)
        for node in graph.nodes:
            losses = loss_weights(node, node.layer) if node.layer else [1.0] * len(node.tops)
            for position, name in enumerate(node.param.top):
                key = node.param.name, name
                if node.tops[position] in consumed or losses[position]:
                    used.add(key)
                elif node.param.type == "Input" or (training and not _shown(node)):
                    candidates[key] = _unused(graph, node, position)
    return [found for key, found in candidates.items() if key not in used]


def _shown(node: Node) -> bool:
    """Says whether the layer's tops are made to be looked at, not to be read by a layer."""
    return node.param.type in _SHOWN or (node.layer is not None and node.layer.is_loss)


def _unused(graph: Graph, node: Node, position: int) -> Diagnostic:
    name = node.param.top[position]
    if node.param.type == "Input":
        message, help = f'no layer reads the input "{name}"', ""
    else:
        message = f'no layer reads top "{name}": it is an output of the net'
        help = f'if that is meant, layer {{ type: "Silence" bottom: "{name}" }} says so'
    place = graph.places((*node.path, "top", position))
    return Diagnostic("I101", message, place, "", (node.title,), help)


def _losses(graph: Graph) -> bool:
    return any(
        any(loss_weights(node, node.layer)) for node in graph.nodes if node.layer is not None
    )


def _maker(graph: Graph, node: Node, bottom: int) -> Node | None:
    """Returns the layer that last wrote this bottom, in place or not."""
    blob = node.bottoms[bottom]
    found = None
    for other in graph.nodes:
        if other is node:
            break
        if blob in other.tops:
            found = other
    return found
