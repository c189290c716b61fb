"""Where a top's coordinates lie in another top's: for cropping one to the other.

A layer maps a coordinate x of its bottom to a·x + b of its top, per spatial axis:

    Convolution, Pooling, Im2col    a = 1/S, b = (P − (F' − 1)/2) / S      F' = D(F − 1) + 1
    Deconvolution                   a = S,   b = (F' − 1)/2 − P
    Crop                            a = 1,   b = −offset
    element by element              a = 1,   b = 0

A map is (axis, a, b); axis is the last one before the mapped axes, None where any will do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import CaffeError
from .net_spec import Function, Top, layers

__all__ = [
    "AxisMismatchException", "CropError", "UndefinedMapException", "compose", "conv_params",
    "coord_map", "coord_map_from_to", "crop", "crop_params", "inverse",
]  # fmt: skip

PASS_THROUGH_LAYERS = [
    "AbsVal", "BNLL", "BatchNorm", "Bias", "Dropout", "ELU", "Eltwise", "Exp", "LRN", "Log",
    "MVN", "PReLU", "Power", "ReLU", "Scale", "Sigmoid", "Split", "TanH", "Threshold",
]  # fmt: skip

_BY_AXIS = {"pad_h", "pad_w", "kernel_h", "kernel_w", "stride_h", "stride_w"}

Array = npt.NDArray[Any]
Map = tuple[int | None, Any, Any]
_SAME: Map = (None, 1, 0)


class UndefinedMapException(Exception):
    """A layer's coordinates have no map."""


class AxisMismatchException(Exception):
    """Two maps begin at different axes."""


class CropError(CaffeError, AssertionError):
    """A top cannot be cropped to another: see the text. (pycaffe asserts.)"""


def conv_params(fn: Function) -> tuple[int, Array, Array, Array]:
    """Returns axis, stride, extent of the kernel with its dilation, and pad, one per axis."""
    params = fn.params.get("convolution_param", fn.params.get("pooling_param", fn.params))
    by_axis = _BY_AXIS & set(params)
    if by_axis:
        raise CropError(f"{fn.type_name}: cropping does not know {', '.join(sorted(by_axis))}")
    kernel = np.array(params["kernel_size"], ndmin=1)
    dilation = np.array(params.get("dilation", 1), ndmin=1)
    return (
        params.get("axis", 1),
        np.array(params.get("stride", 1), ndmin=1),
        (kernel - 1) * dilation + 1,
        np.array(params.get("pad", 0), ndmin=1),
    )


def crop_params(fn: Function) -> tuple[int, Array]:
    """Returns axis and offsets of a Crop."""
    params = fn.params.get("crop_param", fn.params)
    return params.get("axis", 2), np.array(params.get("offset", 0), ndmin=1)


def coord_map(fn: Function) -> Map:
    """Returns a layer's map from its bottom to its top; UndefinedMapException if there is none."""
    if fn.type_name in ("Convolution", "Pooling", "Im2col"):
        axis, stride, extent, pad = conv_params(fn)
        return axis, 1 / stride, (pad - (extent - 1) / 2) / stride
    if fn.type_name == "Deconvolution":
        axis, stride, extent, pad = conv_params(fn)
        return axis, stride, (extent - 1) / 2 - pad
    if fn.type_name == "Crop":
        axis, offset = crop_params(fn)
        return axis - 1, 1, -offset
    if fn.type_name in PASS_THROUGH_LAYERS:
        return _SAME
    raise UndefinedMapException(f"{fn.type_name} does not map coordinates")


def compose(base_map: Map, next_map: Map) -> Map:
    """Returns x → base(next(x)); AxisMismatchException if they begin at different axes."""
    (axis1, a1, b1), (axis2, a2, b2) = base_map, next_map
    if axis1 is not None and axis2 is not None and axis1 != axis2:
        raise AxisMismatchException(f"maps of axes from {axis1} and from {axis2} on")
    return axis2 if axis1 is None else axis1, a1 * a2, a1 * b2 + b1


def inverse(coord_map: Map) -> Map:
    """Returns the map back."""
    axis, a, b = coord_map
    return axis, 1 / a, -b / a


def _bottoms(top: Top) -> tuple[Top, ...]:
    """Returns the bottoms that a top's coordinates come from; Crop's second only lends a size."""
    return top.fn.inputs[:1] if top.fn.type_name == "Crop" else top.fn.inputs


def _maps_to(top: Top) -> dict[Top, Map]:
    """Returns the map to `top` from each top below it that has one, nearest first."""
    maps = {top: _SAME}
    waiting = [top]
    for current in waiting:
        bottoms = _bottoms(current)
        try:
            step = compose(maps[current], coord_map(current.fn)) if bottoms else _SAME
        except UndefinedMapException:
            continue
        for bottom in bottoms:
            if bottom not in maps:
                maps[bottom] = step
                waiting.append(bottom)
    return maps


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """Returns the map of coordinates of one top to another's, through a top both come from.

    RuntimeError if there is none.
    """
    from_maps = _maps_to(top_from)
    for top, to_map in _maps_to(top_to).items():
        if top in from_maps:
            return compose(to_map, inverse(from_maps[top]))
    raise CaffeError("Could not compute map between tops; are they connected by spatial layers?")


def crop(top_from: Top, top_to: Top) -> Top:
    """Returns a Crop of one top to the other's size, at the place where it belongs.

    CropError, an AssertionError, if they differ in scale, or the place is outside or between
    elements.
    """
    axis, a, b = coord_map_from_to(top_from, top_to)
    if not np.all(a == 1):
        raise CropError(f"scale mismatch on crop (a = {a})")
    if not np.all(b <= 0):
        raise CropError(f"cannot crop negative offset (b = {b})")
    if not np.all(np.round(b) == b):
        raise CropError(f"cannot crop noninteger offset (b = {b})")
    offset = np.array(-np.round(b), ndmin=1).astype(int).tolist()
    made: Top = layers.Crop(
        top_from, top_to, crop_param={"axis": 2 if axis is None else axis + 1, "offset": offset}
    )
    return made
