"""From V1 layers, `layers { type: CONVOLUTION ... }`, to the current format.

Codes: I102 layers were upgraded, I105 transform fields of data layers moved.
"""

from __future__ import annotations

from protonet.prototxt.source import Path

from .layer_types import current_type
from .protonet_pb2 import LayerParameter, NetParameter, V1LayerParameter
from .trail import Trail
from .upgrade_crop import place_crops

__all__ = ["upgrade_data_transform", "upgrade_v1"]

_DATA_PARAMS = {
    V1LayerParameter.DATA: "data_param",
    V1LayerParameter.IMAGE_DATA: "image_data_param",
    V1LayerParameter.WINDOW_DATA: "window_data_param",
}
_TRANSFORM_FIELDS = ("scale", "mean_file", "crop_size", "mirror")
_PARAM_FIELDS = {
    "param": "name",
    "blob_share_mode": "share_mode",
    "blobs_lr": "lr_mult",
    "weight_decay": "decay_mult",
}
"""V1 lists with one value for each blob → the field of ParamSpec that has it now."""


def upgrade_data_transform(net: NetParameter, trail: Trail) -> None:
    """Move scale, mean_file, crop_size and mirror of V1 data layers to transform_param."""
    moves: dict[Path, Path] = {}
    for index, layer in enumerate(net.layers):
        name = _DATA_PARAMS.get(layer.type)
        if name is None:
            continue
        param = getattr(layer, name)
        for field in _TRANSFORM_FIELDS:
            if param.HasField(field):
                setattr(layer.transform_param, field, getattr(param, field))
                param.ClearField(field)
                path: Path = ("layers", index)
                moves[(*path, "transform_param", field)] = (*path, name, field)
    if moves:
        first = next(iter(moves.values()))
        message = f"{first[-1]} of a data layer upgraded to transform_param"
        if len(moves) > 1:
            message = f"{len(moves)} fields of data layers upgraded to transform_param"
        trail.say("I105", message, first)
        trail.moved(moves)


def upgrade_v1(net: NetParameter, trail: Trail) -> None:
    """Turn all `layers` into `layer`."""
    count = len(net.layers)
    if not any(d.code == "I103" for d in trail.diagnostics):
        plural = "" if count == 1 else "s"
        trail.say("I102", f"{count} layer{plural} upgraded from the V1 format", ("layers", 0))
    moves: dict[Path, Path] = {}
    for index, old in enumerate(net.layers):
        _upgrade_layer(old, net.layer.add(), ("layers", index), ("layer", index), moves)
    net.ClearField("layers")
    trail.moved(moves)
    place_crops(net, trail)


def _upgrade_layer(
    old: V1LayerParameter, new: LayerParameter, old_path: Path, path: Path, moves: dict[Path, Path]
) -> None:
    moves[path] = old_path
    for field, value in old.ListFields():
        name = field.name
        if name == "type":
            new.type = current_type(value)
        elif name in _PARAM_FIELDS:
            for index, item in enumerate(value):
                param = new.param[index] if index < len(new.param) else new.param.add()
                setattr(param, _PARAM_FIELDS[name], item)
                spec: Path = (*path, "param", index)
                moves[(*spec, _PARAM_FIELDS[name])] = (*old_path, name, index)
                moves.setdefault(spec, (*old_path, name, index))
        elif name == "name":
            new.name = value
        else:
            getattr(new, name).MergeFrom(value)
