"""Blobs and layers under other names."""

from __future__ import annotations

from collections.abc import Mapping

from protonet.ir.protonet_pb2 import NetParameter
from protonet.prototxt.diagnostics import Diagnostic, Error, nearest

from .trained_net import TrainedNet

__all__ = ["rename", "rename_blobs"]


def rename_blobs(net: NetParameter, names: Mapping[str, str]) -> None:
    """Renames blobs wherever they are made or read, in the net that is given."""
    for layer in net.layer:
        for blobs in (layer.bottom, layer.top):
            for position, name in enumerate(blobs):
                if name in names:
                    blobs[position] = names[name]


def rename(
    trained: TrainedNet,
    layers: Mapping[str, str] | None = None,
    blobs: Mapping[str, str] | None = None,
    *,
    prefix: str = "",
) -> TrainedNet:
    """Returns the net with layers and blobs under other names, old → new.

    A blob that is named as its layer goes with it. `prefix` is put before the names of all
    layers, parameters and blobs that are not renamed. Raises Error if a name is not there or is
    taken.
    """
    found = trained.copy()
    of_layers, of_blobs = dict(layers or {}), dict(blobs or {})
    names = {layer.name for layer in trained.net.layer}
    made = {blob for layer in trained.net.layer for blob in (*layer.top, *layer.bottom)}
    _known(trained, of_layers, names, "layer")
    _known(trained, of_blobs, made, "blob")
    for old, new in of_layers.items():
        if old in made and old not in of_blobs:
            of_blobs[old] = new
    if prefix:
        of_layers |= {name: prefix + name for name in names if name not in of_layers}
        of_blobs |= {name: prefix + name for name in made if name not in of_blobs}
        for layer in found.net.layer:
            for spec in layer.param:
                if spec.name:
                    spec.name = prefix + spec.name
    _free(of_layers, names, "layer")
    _free(of_blobs, made, "blob")
    for layer in found.net.layer:
        layer.name = of_layers.get(layer.name, layer.name)
    rename_blobs(found.net, of_blobs)
    found.blobs = {of_layers.get(name, name): arrays for name, arrays in found.blobs.items()}
    for what, renamed in (("layer", of_layers), ("blob", of_blobs)):
        found.changes += [
            f'{what} "{old}" is now "{new}"' for old, new in sorted(renamed.items()) if old != new
        ]
    found.views()
    return found


def _known(trained: TrainedNet, wanted: Mapping[str, str], there: set[str], what: str) -> None:
    for name in wanted:
        if name not in there:
            near = nearest(name, there)
            raise Error(
                Diagnostic(
                    "E501", f'the net has no {what} "{name}"', (trained.source.start,),
                    help=f'did you mean "{near}"?' if near else "",
                )
            )  # fmt: skip


def _free(renamed: Mapping[str, str], there: set[str], what: str) -> None:
    """Raises Error if two would have one name."""
    seen: dict[str, str] = {}
    for old in sorted(there):
        new = renamed.get(old, old)
        if new in seen:
            raise Error(
                Diagnostic("E501", f'{what}s "{seen[new]}" and "{old}" would both be named "{new}"')
            )
        seen[new] = old
