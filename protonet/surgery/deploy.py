"""From the net that trains to the net for use: data and losses out, Input and scores in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from protonet.check.graph import Graph, Node
from protonet.ir.protonet_pb2 import LayerParameter
from protonet.layers.base import Shape, shape_text
from protonet.layers.registry import layer_class
from protonet.prototxt.diagnostics import Diagnostic, Error, nearest

from .subnet import prune_dead, with_layers_first
from .trained_net import TrainedNet

__all__ = ["deploy"]

_SCORES = {"SoftmaxWithLoss": "Softmax", "SigmoidCrossEntropyLoss": "Sigmoid"}
_JUDGED = {"ContrastiveLoss": 2}  # how many first bottoms a loss judges, where it is not one
_MADE_OF_LABELS = frozenset({"Flatten", "Power", "Reshape", "Slice", "Split"})
_FILLERS = {
    "Convolution": "convolution_param",
    "Deconvolution": "convolution_param",
    "InnerProduct": "inner_product_param",
}


def deploy(
    trained: TrainedNet,
    *,
    shape: Sequence[int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    all_heads: bool = False,
) -> TrainedNet:
    """Returns the net of phase TEST for use: images in, scores out.

    Data layers become Input layers of the shape that `shapes` has for the blob, with its batch, or
    else of `shape` (C×H×W, or with the batch before), or of what the data layer's settings tell,
    with batch 1. SoftmaxWithLoss becomes Softmax, SigmoidCrossEntropyLoss Sigmoid,
    unless the net has these scores already; other losses and what reads labels go. Of several
    heads the one of the largest loss weight stays unless `all_heads`. Rates, fillers and rules go
    too.
    """
    view = trained.view()
    graph = view.graph
    labels = {
        top
        for node in graph.nodes
        if not node.bottoms
        for top in node.param.top
        if _only_for_losses(graph, top)
    }
    found = trained.copy()
    gone = set(range(len(trained.net.layer))) - set(view.indices)
    heads = _heads(graph, all_heads)
    inputs: list[LayerParameter] = []
    lost = set(labels)
    staying = [node.param for node in graph.nodes if not _is_loss(node.param)]
    taken = {name for layer in staying for name in (layer.name, *layer.top)}
    goals: list[str] = []
    for position, (node, index) in enumerate(zip(graph.nodes, view.indices, strict=True)):
        layer = found.net.layer[index]
        if not node.bottoms and layer.type not in ("Input", "Parameter"):
            inputs += _inputs(node, graph, labels, shape, shapes or {})
            _drop(found, layer, index, gone)
        elif position in heads:
            score = _made_already(graph, layer)
            if score is not None:
                _drop(found, layer, index, gone)
            else:
                score = "prob" if len(heads) == 1 and "prob" not in taken else f"{layer.name}_prob"
                _score(found, layer, score)
            goals.append(score)
        elif lost.intersection(layer.bottom) or _is_loss(layer):
            lost |= set(layer.top) - set(layer.bottom)
            if layer.type not in _SCORES and layer.type != "Accuracy":
                wanted = list(layer.bottom)[: _JUDGED.get(layer.type, 1)]
                goals += [blob for blob in wanted if blob not in lost]
            _drop(found, layer, index, gone)
        else:
            _strip(layer)
    _judge_names(shapes or {}, [layer.name for layer in inputs])
    found = found.without(gone)
    found.net.ClearField("state")
    for made in inputs:
        text = shape_text(tuple(made.input_param.shape[0].dim))
        found.changes.append(f'input "{made.top[0]}" is {text}')
    found = with_layers_first(found, inputs)
    there = {top for layer in found.net.layer for top in layer.top}
    outputs = [name for name in [*goals, *graph.outputs] if name in there]
    return prune_dead(found, list(dict.fromkeys(outputs))) if goals else found


def _only_for_losses(graph: Graph, blob: str) -> bool:
    """Says whether a blob is read, directly or made into others, by losses and accuracies only."""
    waiting, ends = [blob], 0
    for name in waiting:
        readers = [node.param for node in graph.nodes if name in node.param.bottom]
        for reader in readers:
            if _is_loss(reader) or reader.type == "Silence":
                ends += 1
            elif reader.type in _MADE_OF_LABELS and name not in reader.top:
                waiting += reader.top
            else:
                return False
        if name == blob and not readers:
            return True
    return ends > 0


def _is_loss(layer: LayerParameter) -> bool:
    made = layer_class(layer.type)
    return (made is not None and made.is_loss) or layer.type in (
        "Accuracy",
        "DetectionEvaluate",
        "EvalDetection",
    )


def _heads(graph: Graph, all_heads: bool) -> set[int]:
    """Returns the losses whose scores stay."""
    weights = {
        i: (node.param.loss_weight[0] if node.param.loss_weight else 1.0)
        for i, node in enumerate(graph.nodes)
        if node.param.type in _SCORES
    }
    if all_heads or not weights:
        return set(weights)
    most = max(weights.values())
    return {i for i, weight in weights.items() if weight == most}


def _inputs(
    node: Node,
    graph: Graph,
    labels: set[str],
    shape: Sequence[int] | None,
    shapes: Mapping[str, Sequence[int]],
) -> list[LayerParameter]:
    made = []
    for number, blob in enumerate(node.tops):
        name = graph.blob_names[blob]
        if name in labels or (number < len(node.param.top) and name not in _read(graph)):
            continue
        dims: Shape | None = graph.blob_shapes[blob]
        if name in shapes:
            dims = tuple(shapes[name])
        elif shape is not None:
            dims = (1, *shape) if len(shape) == 3 else tuple(shape)
        elif dims is not None:
            dims = (1, *dims[1:])
        if dims is None:
            raise Error(f'the shape of "{name}" is not known: give it as --shape CxHxW')
        layer = LayerParameter(name=name, type="Input", top=[name])
        layer.input_param.shape.add().dim.extend(dims)
        made.append(layer)
    return made


def _judge_names(shapes: Mapping[str, Sequence[int]], inputs: Sequence[str]) -> None:
    for name in shapes:
        if name not in inputs:
            near = nearest(name, inputs)
            message = f'no data layer makes an input "{name}" (they make: {", ".join(inputs)})'
            raise Error(Diagnostic("E501", message, help=f'did you mean "{near}"?' if near else ""))


def _read(graph: Graph) -> set[str]:
    return {bottom for node in graph.nodes for bottom in node.param.bottom}


def _made_already(graph: Graph, loss: LayerParameter) -> str | None:
    """Returns the scores that a layer of this net makes of what this loss judges, if one does."""
    kind = _SCORES[loss.type]
    for node in graph.nodes:
        layer = node.param
        if (
            layer.type == kind
            and layer.bottom[0] == loss.bottom[0] != layer.top[0]
            and layer.softmax_param.axis == loss.softmax_param.axis
        ):
            return layer.top[0]
    return None


def _score(found: TrainedNet, layer: LayerParameter, name: str) -> None:
    old, kind = layer.type, _SCORES[layer.type]
    title = layer.name
    axis = layer.softmax_param.axis if layer.HasField("softmax_param") else 1
    bottom = layer.bottom[0]
    layer.Clear()
    layer.name, layer.type = name, kind
    layer.bottom.append(bottom)
    layer.top.append(name)
    if axis != 1:
        layer.softmax_param.axis = axis
    found.changes.append(f'layer "{title}" ({old}) is now "{name}" ({kind})')


def _drop(found: TrainedNet, layer: LayerParameter, index: int, gone: set[int]) -> None:
    gone.add(index)
    found.changes.append(f'layer "{layer.name}" ({layer.type}) dropped')


def _strip(layer: LayerParameter) -> None:
    """Takes out what only training asks for."""
    for field in ("include", "exclude", "loss_weight", "propagate_down"):
        layer.ClearField(field)
    if not any(spec.name for spec in layer.param):
        layer.ClearField("param")
    if layer.type in _FILLERS:
        settings = getattr(layer, _FILLERS[layer.type])
        settings.ClearField("weight_filler")
        settings.ClearField("bias_filler")
