"""Which axes of which blobs have a length that is known only when the model runs.

All shapes are inferred a second time for twice the batch: what changes is Free. The rows that
Filter, DetectionOutput and their like leave are Free in any case.
"""

from __future__ import annotations

from protonet.check.graph import Graph, Node, layer_diagnostic
from protonet.layers.base import LayerError, Shape, shape_text
from protonet.layers.registry import create_layer
from protonet.prototxt.diagnostics import Diagnostic

from .values import Dims, Free

__all__ = ["BATCH", "free_axes"]

BATCH = 2  # times the batch of the reference shapes
_ROWS = {"Filter": 0, "DetectionOutput": 2, "Proposal": 0, "YoloDetectionOutput": 2, "Python": 0}


def free_axes(graph: Graph, dynamic: bool) -> tuple[list[list[Dims]], list[Diagnostic]]:
    """Returns each node's tops, with Free lengths, and why a net cannot do with any batch."""
    problems: list[Diagnostic] = []
    probe: dict[int, Shape] = {}
    tops: list[list[Dims]] = []
    batch = _batch(graph)
    for node in graph.nodes:
        known = [shape or () for shape in node.top_shapes]
        if node.param.type == "Input":
            made = [
                (BATCH * shape[0], *shape[1:]) if dynamic and shape[:1] == (batch,) else shape
                for shape in known
            ]
        else:
            made = _inferred(graph, node, [probe[blob] for blob in node.bottoms], known, problems)
        probe.update(zip(node.tops, made, strict=True))
        tops.append([_compared(shape, other) for shape, other in zip(known, made, strict=True)])
    return tops, problems


def _batch(graph: Graph) -> int | None:
    """Returns the first axis of the first input."""
    shapes = [s for node in graph.nodes if node.param.type == "Input" for s in node.top_shapes]
    return shapes[0][0] if shapes and shapes[0] else None


def _compared(shape: Shape, other: Shape) -> Dims:
    return tuple(
        size if size == again else Free(size) for size, again in zip(shape, other, strict=True)
    )


def _inferred(
    graph: Graph, node: Node, bottoms: list[Shape], known: list[Shape], problems: list[Diagnostic]
) -> list[Shape]:
    """Returns the shapes of a node's tops for the larger batch; those known if it refuses."""
    assert node.layer is not None
    if [tuple(shape) for shape in bottoms] == node.bottom_shapes:
        made = list(known)
    else:
        try:
            layer = create_layer(node.param, graph.state.phase)
            made = list(layer.infer(bottoms))
            _judge(node, [wanted.shape for wanted in layer.parameters(bottoms)])
            if [len(shape) for shape in made] != [len(shape) for shape in known]:
                raise LayerError("the number of its top's axes depends on the batch")
        except LayerError as error:
            error.code = "E602"
            error.message = f"not for any batch: {error.message}"
            error.help = "--batch N fixes the batch"
            problems.append(layer_diagnostic(graph, node, error))
            made = list(known)
    if node.param.type in _ROWS and made:
        axis = _ROWS[node.param.type]
        made = [
            (*shape[:axis], 2 * shape[axis] + 1, *shape[axis + 1 :]) if len(shape) > axis else shape
            for shape in made
        ]
    return made


def _judge(node: Node, shapes: list[Shape]) -> None:
    for number, (wanted, shape) in enumerate(zip(node.parameters or (), shapes, strict=True)):
        if wanted.shape != shape:
            raise LayerError(
                f"parameter {number} is {shape_text(wanted.shape)}, but would be "
                f"{shape_text(shape)} for twice the batch"
            )
