"""From V0 layers, `layers { layer { type: "conv" ... } bottom: ... }`, to V1.

Codes: E121 unknown type, W120 a field that is left out, I103 layers were upgraded.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from protonet.prototxt.diagnostics import nearest
from protonet.prototxt.source import Path

from .layer_types import V0_LAYER_TYPES
from .protonet_pb2 import ConvolutionParameter, NetParameter, V1LayerParameter
from .trail import Trail
from .upgrade_v0_padding import fold_padding

__all__ = ["has_v0_layers", "upgrade_v0"]

_KEPT = ("name", "layers", "input", "input_dim", "force_backward")
_SAME_NAME = ("name", "blobs", "blobs_lr", "weight_decay")

_CONVOLUTION, _POOLING = "convolution_param", "pooling_param"
_INNER_PRODUCT, _LRN = "inner_product_param", "lrn_param"
_DATA, _IMAGES, _WINDOWS = "data_param", "image_data_param", "window_data_param"
_HDF5, _TRANSFORM = "hdf5_data_param", "transform_param"
_WEIGHTED = {"conv": _CONVOLUTION, "innerproduct": _INNER_PRODUCT}
_SPATIAL = {"conv": _CONVOLUTION, "pool": _POOLING}
_BATCHES = {"data": _DATA, "hdf5_data": _HDF5, "images": _IMAGES, "window_data": _WINDOWS}
_ANY = "any type"
_PER_AXIS = ("pad", "kernel_size", "stride")

_FIELDS: dict[str, tuple[str, dict[str, str]]] = {
    "num_output": ("num_output", _WEIGHTED),
    "biasterm": ("bias_term", _WEIGHTED),
    "weight_filler": ("weight_filler", _WEIGHTED),
    "bias_filler": ("bias_filler", _WEIGHTED),
    "pad": ("pad", _SPATIAL),
    "kernelsize": ("kernel_size", _SPATIAL),
    "stride": ("stride", _SPATIAL),
    "group": ("group", {"conv": _CONVOLUTION}),
    "pool": ("pool", {"pool": _POOLING}),
    "dropout_ratio": ("dropout_ratio", {"dropout": "dropout_param"}),
    "local_size": ("local_size", {"lrn": _LRN}),
    "alpha": ("alpha", {"lrn": _LRN}),
    "beta": ("beta", {"lrn": _LRN}),
    "k": ("k", {"lrn": _LRN}),
    "concat_dim": ("concat_dim", {"concat": "concat_param"}),
    "source": ("source", {**_BATCHES, "infogain_loss": "infogain_loss_param"}),
    "batchsize": ("batch_size", _BATCHES),
    "rand_skip": ("rand_skip", {"data": _DATA, "images": _IMAGES}),
    "shuffle_images": ("shuffle", {"images": _IMAGES}),
    "new_height": ("new_height", {"images": _IMAGES}),
    "new_width": ("new_width", {"images": _IMAGES}),
    "det_fg_threshold": ("fg_threshold", {"window_data": _WINDOWS}),
    "det_bg_threshold": ("bg_threshold", {"window_data": _WINDOWS}),
    "det_fg_fraction": ("fg_fraction", {"window_data": _WINDOWS}),
    "det_context_pad": ("context_pad", {"window_data": _WINDOWS}),
    "det_crop_mode": ("crop_mode", {"window_data": _WINDOWS}),
    "scale": ("scale", {_ANY: _TRANSFORM}),
    "meanfile": ("mean_file", {_ANY: _TRANSFORM}),
    "cropsize": ("crop_size", {_ANY: _TRANSFORM}),
    "mirror": ("mirror", {_ANY: _TRANSFORM}),
    "hdf5_output_param": ("", {"hdf5_output": "hdf5_output_param"}),
}
"""V0 field → its name now, and for which V0 types in which message. ("": the message itself.)"""


def has_v0_layers(net: NetParameter) -> bool:
    """Whether any layer of the net is in the V0 form."""
    return any(layer.HasField("layer") for layer in net.layers)


def upgrade_v0(net: NetParameter, trail: Trail) -> NetParameter:
    """Give the net with V1 layers in place of V0 ones."""
    count = len(net.layers)
    plural = "" if count == 1 else "s"
    trail.say("I103", f"{count} layer{plural} upgraded from the V0 format", ("layers", 0))
    net = fold_padding(net, trail)
    upgraded = NetParameter(input=net.input, input_dim=net.input_dim)
    for field, value in net.ListFields():
        if field.name in ("name", "force_backward"):
            setattr(upgraded, field.name, value)
        elif field.name not in ("layers", "input", "input_dim"):
            message = f"{field.name} is left out, as in Caffe: it is younger than the V0 format"
            trail.say("W120", message, (field.name, 0))
    moves: dict[Path, Path] = {}
    dropped: dict[tuple[str, str], Path] = {}
    for index, old in enumerate(net.layers):
        if old.HasField("layer"):
            _upgrade_layer(old, upgraded.layers.add(), ("layers", index), trail, moves, dropped)
        else:
            upgraded.layers.append(old)
    for (name, v0_type), path in dropped.items():
        trail.say("W120", f"{name} means nothing in a layer of type {v0_type}: left out", path)
    trail.moved(moves)
    return upgraded


def _upgrade_layer(
    connection: V1LayerParameter,
    new: V1LayerParameter,
    path: Path,
    trail: Trail,
    moves: dict[Path, Path],
    dropped: dict[tuple[str, str], Path],
) -> None:
    """Fill the V1 layer `new` from the V0 layer in `connection`; both have the same path."""
    old = connection.layer
    new.bottom.extend(connection.bottom)
    new.top.extend(connection.top)
    old_path: Path = (*path, "layer")
    for field, value in old.ListFields():
        name = field.name
        if name == "type":
            moves[(*path, "type")] = (*old_path, "type")
            if value in V0_LAYER_TYPES:
                new.type = V0_LAYER_TYPES[value]
            else:
                _say_unknown_type(value, (*old_path, "type"), trail)
        elif name in _SAME_NAME:
            moves[(*path, name)] = (*old_path, name)
            if name == "name":
                new.name = value
            else:
                getattr(new, name).MergeFrom(value)
        else:
            new_name, messages = _FIELDS.get(name, ("", {}))
            message_name = messages.get(old.type) or messages.get(_ANY)
            if message_name is None:
                if old.type in V0_LAYER_TYPES:  # the others are told as unknown
                    dropped.setdefault((name, old.type), (*old_path, name))
                continue
            moved: Path = (*path, message_name, new_name) if new_name else (*path, message_name)
            moves[moved] = (*old_path, name)
            moves.setdefault((*path, message_name), (*old_path, name))
            _set(getattr(new, message_name), new_name, value)


def _set(message: Any, name: str, value: Any) -> None:
    """Set a field of a message, or without a name the message itself."""
    if not name:
        message.MergeFrom(value)
    elif isinstance(value, Message):
        getattr(message, name).MergeFrom(value)
    elif isinstance(message, ConvolutionParameter) and name in _PER_AXIS:
        getattr(message, name).append(value)  # one for all axes
    else:
        setattr(message, name, value)


def _say_unknown_type(v0_type: str, path: Path, trail: Trail) -> None:
    guess = nearest(v0_type, V0_LAYER_TYPES)
    help = f'did you mean "{guess}"?' if guess else ""
    trail.say_of_value("E121", f'unknown V0 layer type "{v0_type}"', path, help=help)
