"""Two nets in one: the second reads what the first makes, or both read the same input."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from protonet.layers.base import shape_text
from protonet.prototxt.diagnostics import Diagnostic, Error, nearest
from protonet.prototxt.source import SourceMap

from .names import rename, rename_blobs
from .trained_net import TrainedNet

__all__ = ["merge"]


def merge(
    first: TrainedNet, second: TrainedNet, joints: Mapping[str, str], *, prefix: str = ""
) -> TrainedNet:
    """Returns the layers of both nets; `joints` says which blob of the first takes the place of
    which input of the second (first's blob → second's input).

    Where both read an input, both read it as it is fed: what a layer makes in its place gets that
    layer's name. `prefix` goes before all names of the second's layers, parameters and blobs.
    Raises Error if names of the two clash, or a joint has no such blob or another shape.
    """
    here, there = first.view().graph, second.view().graph
    for blob, taken in joints.items():
        for name, graph, what in ((blob, here, "first"), (taken, there, "second")):
            if name not in graph.blob_names:
                near = nearest(name, graph.blob_names)
                raise Error(
                    Diagnostic(
                        "E501", f'the {what} net has no blob "{name}"',
                        help=f'did you mean "{near}"?' if near else "",
                    )
                )  # fmt: skip
        shapes = [g.blob_shapes[g.blob_names.index(n)] for n, g in ((blob, here), (taken, there))]
        if None not in shapes and (shapes[0] or ())[1:] != (shapes[1] or ())[1:]:
            raise Error(
                f'"{blob}" is {shape_text(shapes[0] or ())}, but "{taken}" of the second net is '
                f"{shape_text(shapes[1] or ())}"
            )
    joined = {prefix + taken: blob for blob, taken in joints.items()}
    other = rename(second, prefix=prefix) if prefix else second.copy()
    found = first.copy()
    fed = {top for layer in found.net.layer if layer.type == "Input" for top in layer.top}
    _leave_in_place(found, fed.intersection(joints))
    told = len(other.changes)
    _leave_in_place(other, set(joined))
    found.changes += other.changes[told:]
    names = {layer.name for layer in found.net.layer}
    blobs = {top for layer in found.net.layer for top in layer.top}
    parameters = {spec.name for layer in found.net.layer for spec in layer.param if spec.name}
    clashes = []
    for layer in other.net.layer:
        if layer.type == "Input":
            kept = [top for top in layer.top if top not in joined]
            if not kept:
                found.changes.append(f'input "{layer.name}" of the second net is joined')
                continue
            if len(kept) < len(layer.top):
                raise Error(f'of input layer "{layer.name}" either all tops are joined, or none')
        if layer.name in names:
            clashes.append(f'layer "{layer.name}"')
        clashes += [f'blob "{top}"' for top in layer.top if top in blobs - set(layer.bottom)]
        clashes += [f'parameter "{s.name}"' for s in layer.param if s.name in parameters]
        found.net.layer.add().CopyFrom(layer)
        found.changes.append(f'layer "{layer.name}" ({layer.type}) added')
        if layer.name in other.blobs:
            found.blobs[layer.name] = list(other.blobs[layer.name])
    made_by_joint = [top for layer in other.net.layer for top in layer.top if top in joined]
    inputs = {t for layer in other.net.layer if layer.type == "Input" for t in layer.top}
    if set(made_by_joint) - inputs:
        wrong = sorted(set(made_by_joint) - inputs)[0]
        raise Error(f'"{wrong}" of the second net is no input: a layer makes it')
    if clashes:
        raise Error(
            Diagnostic(
                "E501", f"both nets have {', '.join(dict.fromkeys(clashes))}",
                help="give --prefix, which goes before the second net's names",
            )
        )  # fmt: skip
    rename_blobs(found.net, joined)
    found.source = SourceMap()
    found.view()
    return found


def _leave_in_place(trained: TrainedNet, inputs: Collection[str]) -> None:
    """Lets what layers make in the place of these inputs be blobs of their own, in the net that is
    given."""
    taken = {name for layer in trained.net.layer for name in layer.top}
    names: dict[str, str] = {}
    for layer in trained.net.layer:
        for position, name in enumerate(layer.bottom):
            layer.bottom[position] = names.get(name, name)
        for position, name in enumerate(layer.top):
            if name in inputs and name in layer.bottom:
                names[name] = layer.name if layer.name not in taken else f"{layer.name}/{name}"
                trained.changes.append(
                    f'layer "{layer.name}" makes "{names[name]}" of "{name}", not in its place'
                )
            layer.top[position] = names.get(name, name)
