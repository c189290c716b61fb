"""Fully connected layers as convolutions: a classifier that slides over larger images.

An InnerProduct over a C×H×W volume is a convolution with F = H×W, P = 0, S = 1 that happens to
have one place to go; on a larger image it has more, and gives a map. What follows becomes 1×1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from protonet.check.graph import Graph
from protonet.ir.blobs import Array
from protonet.ir.protonet_pb2 import LayerParameter, ParamSpec
from protonet.layers.base import shape_text
from protonet.prototxt.diagnostics import Diagnostic, Error

from .fc_plan import FcPlan, plan_fc_to_conv
from .input_shape import resize_input
from .maps import Volume, layers_with_edges
from .names import rename_blobs
from .trained_net import PhaseView, TrainedNet

__all__ = ["SlidingNet", "fc_to_conv"]


_FEW = 3


@dataclass
class SlidingNet:
    """The net that slides, and what its blobs are called that had another name before."""

    trained: TrainedNet
    renamed: dict[str, str] = field(default_factory=dict)


def fc_to_conv(
    trained: TrainedNet, *, size: Sequence[int] | None = None, suffix: str = "-conv"
) -> SlidingNet:
    """Returns the net with every InnerProduct over a plane, and those behind it, as Convolution.

    Flattening layers between go; pooling over the whole plane becomes pooling over a window of
    the size that the plane had. Converted layers, and the blobs named after them, get `suffix`.
    `size` is the new H×W of the input. Raises Error at a layer that cannot be part of it.
    """
    views = trained.views()
    plans = [(view, plan_fc_to_conv(trained, view)) for view in views]
    plan = _joined([plan for _, plan in plans])
    if not plan.converted and not plan.pooled:
        _judge_shapes(trained, views)
        message = "no InnerProduct layer of this net sees a plane: there is nothing to convert"
        raise Error(Diagnostic("E502", message, (trained.source.start,)))
    found = trained.copy()
    _share(trained, found, plan)
    for index, volume in plan.converted.items():
        _convert(found, index, volume)
    for index, plane in plan.pooled.items():
        _pool_window(found, index, plane)
    for index, edits in plan.edits.items():
        for words, change in edits:
            change(found.net.layer[index])
            found.changes.append(f'layer "{found.net.layer[index].name}": {words}')
    flattened = _remove_flattening(found, plan, views)
    renamed = _rename(found, plan.converted, suffix)
    renamed |= {old: renamed.get(new, new) for old, new in flattened.items()}
    gone = {i for i in plan.removed if found.net.layer[i].type != "Split"}
    found = found.without(gone)
    found.changes += plan.remarks
    edges = [name for view in views for name in layers_with_edges(view.graph)]
    if edges:
        found.changes.append(
            f"{_some(edges)}: at its edges a window sees its neighbours where the net by itself "
            "sees padding or nothing, so the two differ (--verify tells how much)"
        )
    if size is not None:
        resize_input(found, size)
    found.views()  # whatever is wrong now is told before anything is written
    return SlidingNet(found, renamed)


def _some(names: Sequence[str]) -> str:
    """Writes layers' names: all if they are few."""
    distinct = list(dict.fromkeys(names))
    quoted = ", ".join(f'"{name}"' for name in distinct[:_FEW])
    left = len(distinct) - _FEW
    many = f"{quoted} and {left} more" if left > 0 else quoted
    return f"layer {many}" if len(distinct) == 1 else f"layers {many}"


def _judge_shapes(trained: TrainedNet, views: list[PhaseView]) -> None:
    """Raises Error if it is not known whether an InnerProduct sees a plane."""
    for view in views:
        for node, index in zip(view.graph.nodes, view.indices, strict=True):
            if node.param.type == "InnerProduct" and node.bottom_shapes[:1] == [None]:
                raise trained.refusal(
                    index, f'the shape of "{node.param.bottom[0]}" is not known: it follows from '
                    "data that are not there",
                    help="make a net for use of this one first: protonet surgery deploy --shape",
                )  # fmt: skip


def _joined(plans: list[FcPlan]) -> FcPlan:
    """Joins the plans of several phases, the first's word counting where they differ."""
    whole = FcPlan()
    for plan in plans:
        whole.converted = plan.converted | whole.converted
        whole.pooled = plan.pooled | whole.pooled
        whole.edits = plan.edits | whole.edits
        whole.removed |= plan.removed
        whole.remarks += [remark for remark in plan.remarks if remark not in whole.remarks]
    return whole


def _convert(found: TrainedNet, index: int, volume: Volume) -> None:
    """Makes an InnerProduct a Convolution; W goes from O×K to O×C×F×F."""
    layer = found.net.layer[index]
    settings = layer.inner_product_param
    made = layer.convolution_param
    made.num_output = settings.num_output
    _set_kernel(layer, volume.plane)
    if not settings.bias_term:
        made.bias_term = False
    for filler in ("weight_filler", "bias_filler"):
        if settings.HasField(filler):
            getattr(made, filler).CopyFrom(getattr(settings, filler))
    transposed, outputs = settings.transpose, settings.num_output
    layer.type = "Convolution"
    layer.ClearField("inner_product_param")
    shape = (outputs, volume.channels, *volume.plane)
    across = "×".join(map(str, volume.plane))
    found.changes.append(
        f'layer "{layer.name}": InnerProduct → Convolution {across}, weights {shape_text(shape)}'
    )
    blobs = found.blobs.get(layer.name)
    if blobs and blobs[0].shape != shape:
        weight: Array = blobs[0].T if transposed else blobs[0]
        found.blobs[layer.name] = [weight.reshape(shape), *blobs[1:]]


def _set_kernel(layer: LayerParameter, plane: Sequence[int]) -> None:
    made = layer.convolution_param
    if len(set(plane)) == 1:
        made.kernel_size.append(plane[0])
    elif len(plane) == 2:
        made.kernel_h, made.kernel_w = plane
    else:
        made.kernel_size.extend(plane)


def _pool_window(found: TrainedNet, index: int, plane: Sequence[int]) -> None:
    layer = found.net.layer[index]
    settings = layer.pooling_param
    settings.ClearField("global_pooling")
    if len(set(plane)) == 1:
        settings.kernel_size = plane[0]
    else:
        settings.kernel_h, settings.kernel_w = plane
    settings.ClearField("stride")
    across = "×".join(map(str, plane))
    found.changes.append(
        f'layer "{layer.name}": pools over windows of {across} instead of the whole plane'
    )


def _share(trained: TrainedNet, found: TrainedNet, plan: FcPlan) -> None:
    """Judges parameters that converted layers share, and lets their shapes differ if they must."""
    users: dict[str, list[tuple[int, int]]] = {}
    for index, layer in enumerate(trained.net.layer):
        for number, spec in enumerate(layer.param):
            if spec.name:
                users.setdefault(spec.name, []).append((index, number))
    for name, uses in users.items():
        if not any(index in plan.converted and number == 0 for index, number in uses):
            continue
        layers = [trained.net.layer[index] for index, _ in uses]
        flips = {layer.inner_product_param.transpose for layer in layers}
        whole = all(index in plan.converted for index, _ in uses)
        sizes = {_matrix(layer, plan.converted.get(index)) for layer, (index, _) in
                 zip(layers, uses, strict=True)}  # fmt: skip
        if flips != {False} and not (whole and len(flips) == 1 and len(sizes) == 1):
            index = next(i for i, _ in uses if i in plan.converted)
            raise trained.refusal(
                index,
                f'it shares parameter "{name}" with a layer that reads the matrix the other way '
                "round, and two convolutions cannot",
                "param",
                help="give each layer a matrix of its own: remove the parameter's name",
            )
        volumes = {plan.converted[i].plane if i in plan.converted else None for i, _ in uses}
        if len(volumes) > 1 or len(sizes) > 1:
            for index, number in uses[1:]:
                found.net.layer[index].param[number].share_mode = ParamSpec.PERMISSIVE
            found.changes.append(f'parameter "{name}": share_mode PERMISSIVE')


def _matrix(layer: LayerParameter, volume: Volume | None) -> tuple[int, int] | None:
    if volume is None:
        return None
    return layer.inner_product_param.num_output, volume.count


def _remove_flattening(
    found: TrainedNet, plan: FcPlan, views: Sequence[PhaseView]
) -> dict[str, str]:
    """Lets the readers of a flattening layer read what it read; returns the names that go."""
    alias: dict[str, str] = {}
    for index in sorted(plan.removed):
        layer = found.net.layer[index]
        source = alias.get(layer.bottom[0], layer.bottom[0])
        if any(_needs_copy(view.graph, layer, source) for view in views):
            layer.type = "Split"
            layer.ClearField("flatten_param")
            layer.ClearField("reshape_param")
            found.changes.append(f'layer "{layer.name}": a copy instead of a vector')
            continue
        alias[layer.top[0]] = source
        found.changes.append(f'layer "{layer.name}" ({layer.type}) removed')
    rename_blobs(found.net, alias)
    return alias


def _needs_copy(graph: Graph, layer: LayerParameter, source: str) -> bool:
    """Says whether others read what a layer flattens, which is a flattened `source`, while its top
    is worked on in place, or is an output of its own."""
    top = layer.top[0]
    in_place = any(top in n.param.bottom and top in n.param.top for n in graph.nodes)
    shared = any(
        sum(list(node.param.bottom).count(blob) for node in graph.nodes) > 1
        for blob in (layer.bottom[0], source)
    )
    return (in_place or top in graph.outputs) and shared


def _rename(found: TrainedNet, converted: dict[int, Volume], suffix: str) -> dict[str, str]:
    renamed: dict[str, str] = {}
    if not suffix:
        return renamed
    names = {layer.name for layer in found.net.layer}
    made = {top for layer in found.net.layer for top in layer.top}
    for index in converted:
        layer = found.net.layer[index]
        old, new = layer.name, layer.name + suffix
        if new in names or new in made:
            raise found.refusal(index, f'the name "{new}" is taken', help="choose another suffix")
        layer.name = new
        if old in found.blobs:
            found.blobs[new] = found.blobs.pop(old)
        if layer.top[0] == old:
            renamed[old] = new
    rename_blobs(found.net, renamed)
    return renamed
