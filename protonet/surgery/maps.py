"""Which blobs of a net are maps over the image, or vectors that can become one.

A layer that slides (convolution, pooling, one value after the other) gives a map from a map.
A vector that is made of a map (by InnerProduct over the whole plane, or by flattening) becomes
a map itself when the net is made to slide: what follows must then work channel by channel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from protonet.check.graph import Graph, Node
from protonet.layers.base import Shape

__all__ = [
    "BY_CHANNEL",
    "BY_ELEMENT",
    "LOCAL",
    "SLIDING",
    "Volume",
    "is_global",
    "layers_with_edges",
    "slid_plane",
]

BY_ELEMENT = frozenset({
    "AbsVal", "BNLL", "Clip", "Dropout", "ELU", "Eltwise", "Exp", "HardSigmoid", "HardSwish", "Log",
    "Power", "ReLU", "ReLU6", "Sigmoid", "Split", "Swish", "TanH", "Threshold",
})  # fmt: skip
BY_CHANNEL = frozenset(
    {"BN", "BatchNorm", "Bias", "Concat", "PReLU", "Scale", "Slice", "Softmax"}
)  # fmt: skip
LOCAL = BY_ELEMENT | BY_CHANNEL | {
    "Convolution", "ConvolutionDepthwise", "DepthwiseConvolution", "LRN", "Pooling",
    "ShuffleChannel",
}  # fmt: skip
"""Layer types whose outputs depend on a window around them alone."""
SLIDING = LOCAL | {
    "Axpy", "Crop", "Deconvolution", "Im2col", "Interp", "MVN", "Normalize", "Pad", "Upsample",
}  # fmt: skip
"""Layer types whose tops are maps if their bottoms are."""


@dataclass(frozen=True)
class Volume:
    """C channels over a plane: what a blob holds of each image at the net's own input size.

    `folded`: the net as it is has it as a vector. `flattened` and `pooled` name the flattening
    layers, and the poolings over the whole plane, that it has come through: their indices.
    """

    channels: int
    plane: tuple[int, ...]
    folded: bool = False
    flattened: frozenset[int] = frozenset()
    pooled: frozenset[int] = frozenset()

    @property
    def is_point(self) -> bool:
        return all(size == 1 for size in self.plane)

    @property
    def count(self) -> int:
        return self.channels * math.prod(self.plane)


def is_global(node: Node) -> bool:
    """Says whether a layer pools over the whole plane, whatever its size."""
    return node.param.type == "Pooling" and node.param.pooling_param.global_pooling


def slid_plane(graph: Graph, node: Node) -> tuple[int, ...] | None:
    """Returns the plane of a layer's first top if that is a map, else None."""
    shape: Shape | None = node.top_shapes[0] if node.top_shapes else None
    return shape[2:] if shape is not None and len(shape) >= 4 else None


def layers_with_edges(graph: Graph) -> list[str]:
    """Returns the layers whose outputs at the edge of an image are made of less of it: they pad,
    or (pooling) their last window hangs over."""
    found = []
    for node in graph.nodes:
        shape = node.bottom_shapes[0] if node.bottom_shapes else None
        if node.layer is None or shape is None or is_global(node):
            continue
        window = node.layer.window(len(shape)) if len(shape) >= 4 else None
        if window is None:
            continue
        extent, stride, pad = window
        over = node.param.type == "Pooling" and any(
            (size + 2 * p - e) % s
            for size, e, s, p in zip(shape[2:], extent, stride, pad, strict=True)
        )
        if any(pad) or over:
            found.append(node.param.name)
    return found
