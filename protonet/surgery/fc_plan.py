"""What must change for a net to slide: which layers are converted, which vanish, which stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from protonet.check.graph import Node
from protonet.ir.protonet_pb2 import LayerParameter

from .maps import BY_CHANNEL, BY_ELEMENT, SLIDING, Volume, is_global, slid_plane
from .trained_net import PhaseView, TrainedNet

__all__ = ["FcPlan", "plan_fc_to_conv"]

Edit = Callable[[LayerParameter], None]
_ENDS = frozenset({"SoftmaxWithLoss", "Accuracy"})
_RESHAPING = frozenset({"Flatten", "Reshape"})


@dataclass
class FcPlan:
    """Indices of layers: InnerProducts with what they see, flattening layers that go, poolings
    over the whole plane with its size, small changes; and remarks for the user."""

    converted: dict[int, Volume] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    pooled: dict[int, tuple[int, ...]] = field(default_factory=dict)
    edits: dict[int, list[tuple[str, Edit]]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def plan_fc_to_conv(trained: TrainedNet, view: PhaseView) -> FcPlan:
    """Follows what blobs are through one phase of a net.

    Raises Error at a layer that cannot work on a map in place of the vector that it reads.
    """
    scout = _Walk(trained, view, None)
    scout.run()
    walk = _Walk(trained, view, scout.needed)
    walk.run()
    return walk.plan


class _Walk:
    """One way through the graph. Without `chosen` it finds out which flattening layers and
    poolings lead to a layer that is converted; with them, it makes the plan."""

    def __init__(self, trained: TrainedNet, view: PhaseView, chosen: set[int] | None) -> None:
        self.trained, self.graph, self.indices = trained, view.graph, view.indices
        self.chosen = chosen
        self.needed: set[int] = set()
        self.plan = FcPlan()
        self.volumes: dict[int, Volume | None] = {}

    def run(self) -> None:
        for node, index in zip(self.graph.nodes, self.indices, strict=True):
            bottoms = [self.volumes.get(blob) for blob in node.bottoms]
            made = self._follow(node, index, bottoms)
            for position, blob in enumerate(node.tops):
                self.volumes[blob] = made[position] if position < len(made) else None
        for name in self.graph.outputs:
            last = len(self.graph.blob_names) - 1 - self.graph.blob_names[::-1].index(name)
            self._end(self.volumes.get(last))

    def _end(self, volume: Volume | None) -> None:
        """Notes that a net ends in what it pooled over the whole plane."""
        if volume is not None and volume.is_point and volume.pooled:
            self.needed |= volume.pooled | volume.flattened

    def _follow(self, node: Node, index: int, bottoms: list[Volume | None]) -> list[Volume | None]:
        kind = node.param.type
        nothing: list[Volume | None] = [None] * len(node.tops)
        if not bottoms:
            return self._maps(node, frozenset())
        if all(volume is None for volume in bottoms):
            if kind == "InnerProduct":
                self.plan.remarks.append(
                    f'layer "{node.param.name}" (InnerProduct) stays: what it reads is no map'
                )
            return nothing
        first = bottoms[0]
        if kind == "InnerProduct" and first is not None:
            return [self._inner_product(node, index, first)]
        if kind in _RESHAPING and first is not None:
            return [self._reshaped(node, index, first)]
        if kind in _ENDS and first is not None:
            self._end(first)
        if any(volume is not None and volume.folded for volume in bottoms):
            return self._folded(node, index, bottoms)
        if kind not in SLIDING or first is None:
            return nothing
        plane = slid_plane(self.graph, node)
        pooled = frozenset[int]().union(*(v.pooled for v in bottoms if v and v.plane == plane))
        if is_global(node):
            pooled = self._global_pooling(node, index, first)
        return self._maps(node, pooled)

    def _maps(self, node: Node, pooled: frozenset[int]) -> list[Volume | None]:
        return [
            Volume(shape[1], tuple(shape[2:]), pooled=pooled)
            if shape is not None and len(shape) >= 4
            else None
            for shape in node.top_shapes
        ]

    def _global_pooling(self, node: Node, index: int, bottom: Volume) -> frozenset[int]:
        if self.chosen is None:
            return frozenset({index})
        if index in self.chosen:
            self.plan.pooled[index] = bottom.plane
            return frozenset({index})
        self.plan.remarks.append(
            f'layer "{node.param.name}" still pools over the whole image: what a window gives '
            "depends on what lies around it"
        )
        return frozenset()

    def _inner_product(self, node: Node, index: int, bottom: Volume) -> Volume | None:
        rank = len(node.bottom_shapes[0] or ())
        axis = node.param.inner_product_param.axis
        if axis not in (1, 1 - rank):
            if self.chosen is None:
                return None
            raise self.trained.refusal(
                index, f"axis {axis} makes no map: a convolution joins all that follows axis 1",
                "inner_product_param", "axis",
                help="only InnerProduct with axis: 1 has a convolution that equals it",
            )  # fmt: skip
        self.needed |= bottom.flattened | bottom.pooled
        self.plan.converted[index] = bottom
        return Volume(
            node.param.inner_product_param.num_output, (1,) * len(bottom.plane), folded=True
        )

    def _reshaped(self, node: Node, index: int, bottom: Volume) -> Volume | None:
        """Flatten and Reshape: a vector of a volume, or a vector as N×K×1×1."""
        before, after = node.bottom_shapes[0], node.top_shapes[0]
        if before is not None and after is not None and before[:1] == after[:1]:
            points = all(size == 1 for size in after[2:])
            if after[1:2] == (bottom.count,) and points:
                stays = self.chosen is not None and index not in self.chosen
                if stays and not bottom.folded:
                    return None
                self.plan.removed.add(index)
                folded = len(after) < 4 or not bottom.is_point
                flattened = bottom.flattened | {index}
                return Volume(bottom.channels, bottom.plane, folded, flattened, bottom.pooled)
        if bottom.folded and self.chosen is not None:
            raise self.trained.refusal(
                index, "it gives a vector another shape, and the vector becomes a map",
                help="cut the net before it (protonet surgery extract)",
            )  # fmt: skip
        return None

    # ---- layers behind a vector that becomes a map

    def _folded(self, node: Node, index: int, bottoms: list[Volume | None]) -> list[Volume | None]:
        reason = self._obstacle(node, index, bottoms)
        if reason is None or self.chosen is None:  # a scout goes on, to see what lies behind
            return self._made_of_vectors(node, [v for v in bottoms if v is not None])
        raise self.trained.refusal(
            index, f"it reads a vector that becomes a map: {reason}",
            help="cut the net before it (protonet surgery extract), or drop this layer "
            "(protonet surgery drop)",
        )  # fmt: skip

    def _made_of_vectors(self, node: Node, bottoms: list[Volume]) -> list[Volume | None]:
        first, kind = bottoms[0], node.param.type
        if kind in _ENDS | {"ArgMax", "Silence"}:
            return [None] * len(node.tops)
        flattened = frozenset[int]().union(*(volume.flattened for volume in bottoms))
        pooled = frozenset[int]().union(*(volume.pooled for volume in bottoms))
        made: list[Volume | None] = []
        for shape in node.top_shapes:
            channels = first.channels
            if kind == "Concat":
                channels = sum(volume.channels for volume in bottoms)
            elif kind == "Slice" and shape is not None:
                channels = shape[1]
            made.append(Volume(channels, first.plane, True, flattened, pooled))
        return made

    def _obstacle(self, node: Node, index: int, bottoms: list[Volume | None]) -> str | None:
        """Returns why a layer cannot work on maps, or None; notes the changes that it needs."""
        kind = node.param.type
        if kind in _ENDS | {"ArgMax"}:
            bottoms = bottoms[:1]
        if any(volume is None for volume in bottoms):
            return "another bottom is no map"
        known = [volume for volume in bottoms if volume is not None]
        if any(volume.plane != known[0].plane for volume in known):
            return "its bottoms come from planes of different sizes"
        if kind in BY_ELEMENT:
            same = all(volume.channels == known[0].channels for volume in known)
            return None if same else "its bottoms have different numbers of channels"
        if kind == "Silence":
            return None
        if kind not in BY_CHANNEL | _ENDS | {"ArgMax"}:
            return f"{kind} does not work place by place"
        if kind == "PReLU" and node.param.prelu_param.channel_shared:
            return None
        if not known[0].is_point and kind != "Concat":
            return "it has a value of its own for each place of the plane"
        if kind in ("Scale", "Bias"):
            return self._broadcast(node, index, len(bottoms))
        if kind == "ArgMax":
            return self._arg_max(node, index)
        return self._axis(node, index)

    def _axis(self, node: Node, index: int) -> str | None:
        settings = _settings(node.param)
        if settings is None or not hasattr(settings, "axis"):
            return None
        rank = len(node.bottom_shapes[0] or ())
        if settings.axis not in (1, 1 - rank):
            return f"axis {settings.axis} is not that of the channels"
        if settings.axis != 1:
            self._edit(index, "axis: 1", lambda layer: setattr(_settings(layer), "axis", 1))
        return None

    def _broadcast(self, node: Node, index: int, bottoms: int) -> str | None:
        settings: Any = _settings(node.param)
        if bottoms > 1:
            return None if settings.axis == 0 else "it multiplies channels, image by image"
        reason = self._axis(node, index)
        if reason is None and settings.num_axes == -1:
            self._edit(index, "num_axes: 1", lambda layer: setattr(_settings(layer), "num_axes", 1))
        elif reason is None and settings.num_axes != 1:
            return "it has no value for each channel"
        return reason

    def _arg_max(self, node: Node, index: int) -> str | None:
        settings = node.param.argmax_param
        if settings.HasField("axis"):
            return self._axis(node, index)
        if settings.out_max_val:
            return "without an axis, out_max_val gives pairs of index and value"
        self._edit(index, "axis: 1", lambda layer: setattr(layer.argmax_param, "axis", 1))
        return None

    def _edit(self, index: int, words: str, change: Edit) -> None:
        self.plan.edits.setdefault(index, []).append((words, change))


def _settings(layer: LayerParameter) -> Any:
    """Returns the message of a layer's own settings, or None if its type has none here."""
    names = {
        "SoftmaxWithLoss": "softmax_param",
        "Accuracy": "accuracy_param",
        "Softmax": "softmax_param",
        "Concat": "concat_param",
        "Slice": "slice_param",
        "Scale": "scale_param",
        "Bias": "bias_param",
        "ArgMax": "argmax_param",
    }
    return getattr(layer, names[layer.type]) if layer.type in names else None
