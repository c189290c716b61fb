"""Parts of a net: what leads to a blob, what is left without a layer, what nothing needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from protonet.ir.protonet_pb2 import LayerParameter, NetParameter
from protonet.ir.rules import layer_is_in
from protonet.layers.base import shape_text
from protonet.layers.registry import layer_class
from protonet.prototxt.diagnostics import Diagnostic, Error, nearest
from protonet.prototxt.source import Path

from .names import rename_blobs
from .trained_net import TrainedNet

__all__ = ["drop_layers", "extract", "prune_dead", "with_layers_first"]


def extract(trained: TrainedNet, outputs: Sequence[str], inputs: Sequence[str] = ()) -> TrainedNet:
    """Returns the layers of phase TEST that make `outputs` of `inputs`.

    A blob or a layer's name will do for an output. Each input becomes an Input layer of the
    shape that it has; what does not come from these begins where the net does. Raises Error if
    there is no such blob, or a layer makes one of `inputs` and what is needed besides.
    """
    view = trained.view()
    net = trained.net
    kept: set[int] = set()
    given = {_blob(trained, name, inputs=True) for name in inputs}
    needed = {_blob(trained, name) for name in outputs}
    for index in reversed(view.indices):
        layer = net.layer[index]
        missing = needed.intersection(layer.top) - given
        if not missing:
            continue
        if given.intersection(layer.top):
            also, here = (sorted(blobs)[0] for blobs in (missing, given.intersection(layer.top)))
            raise trained.refusal(
                index, f'it makes "{here}", which is to be an input, and "{also}", which is needed',
                help=f'make "{also}" an input too',
            )  # fmt: skip
        kept.add(index)
        # What a layer works on in place is made by a layer before it.
        needed -= set(layer.top) - set(layer.bottom)
        needed |= set(layer.bottom) - given
    found = trained.without(set(range(len(net.layer))) - kept)
    _tell_gone(trained, found, kept)
    if not given:
        return found
    made: list[LayerParameter] = []
    for name in inputs:
        blob = _blob(trained, name, inputs=True)
        shape = view.graph.blob_shapes[view.graph.blob_names.index(blob)]
        if shape is None:
            raise Error(f'the shape of "{blob}" is not known')
        layer = LayerParameter(name=blob, type="Input", top=[blob])
        layer.input_param.shape.add().dim.extend(shape)
        made.append(layer)
        found.changes.append(f'input "{blob}" is {shape_text(shape)}')
    with_inputs = with_layers_first(found, made)
    with_inputs.view()
    return with_inputs


def drop_layers(trained: TrainedNet, names: Sequence[str], *, bridge: bool = False) -> TrainedNet:
    """Returns the net without these layers and all that lives on what they make.

    With `bridge` only the layers themselves go, and what read their top reads their bottom.
    Raises Error at a layer that cannot be bridged.
    """
    dropped = {i for name in names for i in _indices(trained, name)}
    found = trained.copy()
    if bridge:
        alias: dict[str, str] = {}
        for index in sorted(dropped):
            layer = trained.net.layer[index]
            if len(layer.bottom) != 1 or len(layer.top) != 1:
                raise trained.refusal(
                    index, "only a layer with one bottom and one top can be bridged",
                    help="without --bridge it goes with all that lives on it",
                )  # fmt: skip
            source = layer.bottom[0]
            if source != layer.top[0]:
                alias[layer.top[0]] = alias.get(source, source)
        rename_blobs(found.net, alias)
    else:
        dropped |= _dependents(trained.net, dropped)
    found = found.without(dropped)
    _tell_gone(trained, found, set(range(len(trained.net.layer))) - dropped)
    _judge(found)
    return found


def prune_dead(trained: TrainedNet, outputs: Sequence[str] = ()) -> TrainedNet:
    """Returns the net without layers whose results nothing needs.

    Needed are `outputs`; if none are given the losses and accuracies, and in a net that has
    none, every blob that nothing reads (what Silence reads is not needed).
    """
    layers = trained.net.layer
    wanted = {_blob(trained, name) for name in outputs}
    goals = {i for i, layer in enumerate(layers) if _is_goal(layer)}
    last = _last_makers(layers)
    kept: set[int] = set()
    needed = set(wanted)
    for index in range(len(layers) - 1, -1, -1):
        layer = layers[index]
        if wanted:
            alive = bool(needed.intersection(layer.top))
        else:
            ends = not goals and bool(layer.bottom) and index in last
            alive = index in goals or bool(needed.intersection(layer.top)) or ends
        if alive:
            kept.add(index)
            needed |= set(layer.bottom)
    found = trained.without(set(range(len(layers))) - kept)
    _tell_gone(trained, found, kept)
    _judge(found)
    return found


def _last_makers(layers: Iterable[LayerParameter]) -> set[int]:
    """Returns the layers that make a blob which no later layer reads."""
    makers: dict[str, int] = {}
    for index, layer in enumerate(layers):
        for blob in layer.bottom:
            makers.pop(blob, None)
        makers |= dict.fromkeys(layer.top, index)
    return set(makers.values())


def _is_goal(layer: LayerParameter) -> bool:
    made = layer_class(layer.type)
    return (
        (made is not None and made.is_loss)
        or layer.type in ("Accuracy", "DetectionEvaluate", "EvalDetection")
        or any(weight != 0 for weight in layer.loss_weight)
    )


def _dependents(net: NetParameter, dropped: Collection[int]) -> set[int]:
    """Returns the layers that then lack a bottom, and so on."""
    found = set(dropped)
    lost: set[str] = set()
    there: set[str] = set()
    for index, layer in enumerate(net.layer):
        in_place = set(layer.top) & set(layer.bottom)
        if index in found or lost.intersection(layer.bottom):
            fresh = set(layer.top) - in_place
            found.add(index)
            lost |= fresh - there
        else:
            there |= set(layer.top)
            lost -= set(layer.top)
    return found


def _indices(trained: TrainedNet, name: str) -> list[int]:
    trained.index(name)  # raises if there is none
    return [i for i, layer in enumerate(trained.net.layer) if layer.name == name]


def _blob(trained: TrainedNet, name: str, *, inputs: bool = False) -> str:
    """Returns the blob of that name, or the one that the layer of that name makes."""
    state = trained.state()
    layers = [layer for layer in trained.net.layer if layer_is_in(layer, state)]
    blobs = {top for layer in layers for top in layer.top}
    if name in blobs:
        return name
    for layer in layers:
        if layer.name == name and layer.top:
            return layer.bottom[0] if inputs and layer.bottom else layer.top[0]
    near = nearest(name, blobs)
    raise Error(
        Diagnostic(
            "E501", f'the net has no blob "{name}"', (trained.source.start,),
            help=f'did you mean "{near}"?' if near else "",
        )
    )  # fmt: skip


def _tell_gone(before: TrainedNet, after: TrainedNet, kept: Collection[int]) -> None:
    for index, layer in enumerate(before.net.layer):
        if index not in kept:
            after.changes.append(f'layer "{layer.name}" ({layer.type}) dropped')


def _judge(found: TrainedNet) -> None:
    if not found.net.layer:
        raise Error("nothing would be left of the net")
    found.views()


def with_layers_first(found: TrainedNet, made: Sequence[LayerParameter]) -> TrainedNet:
    """Returns the net with these layers before all others."""
    changed = found.copy()
    layers = [*made, *changed.net.layer]
    bare = NetParameter()
    bare.CopyFrom(changed.net)
    del bare.layer[:]
    bare.layer.extend(layers)
    moves: dict[Path, Path] = {
        ("layer", i + len(made)): ("layer", i) for i in range(len(found.net.layer))
    }
    for number in range(len(made)):
        moves["layer", number] = ("name",)
    return TrainedNet(bare, found.source.remapped(moves), changed.blobs, changed.changes)
