"""The offsets of V1's CROP layers, which have none in their text.

FCN's fork of Caffe cut the first bottom where it belongs over the second. A layer maps a coordinate
x of its bottom to a·x + b of its top:

    Convolution, Pooling   a = 1/S, b = (P − (F' − 1)/2) / S      F' = D(F − 1) + 1
    Deconvolution          a = S,   b = (F' − 1)/2 − P
    Crop                   a = 1,   b = −offset
    element by element     a = 1,   b = 0

and so both bottoms' coordinates are found from a blob that both come from.

Codes: E124 the bottoms do not come from one blob on the same scale.
"""

from __future__ import annotations

from fractions import Fraction

from .protonet_pb2 import LayerParameter, NetParameter
from .trail import Trail

__all__ = ["place_crops"]

_SAME_PLACE = {
    "AbsVal", "BN", "BNLL", "BatchNorm", "Bias", "Concat", "Dropout", "ELU", "Eltwise", "Exp",
    "LRN", "Log", "MVN", "PReLU", "Power", "ReLU", "Scale", "Sigmoid", "Slice", "Softmax", "Split",
    "TanH", "Threshold",
}  # fmt: skip

Line = tuple[Fraction, Fraction]  # a and b
Map = tuple[Line, Line]  # along rows and columns
_SAME: Map = ((Fraction(1), Fraction(0)), (Fraction(1), Fraction(0)))


def place_crops(net: NetParameter, trail: Trail) -> None:
    """Set the offsets of all Crop layers without crop_param."""
    if not any(layer.type == "Crop" for layer in net.layer):
        return
    maps: dict[str, dict[int, Map]] = {}  # blob → a top's number → the map from there
    for number, name in enumerate(net.input):
        maps[name] = {-1 - number: _SAME}
    count = 0
    for index, layer in enumerate(net.layer):
        if layer.type == "Crop" and not layer.HasField("crop_param") and len(layer.bottom) == 2:
            _place(layer, maps, trail, index)
        step = _map_of(layer)
        sources = layer.bottom[:1] if layer.type == "Crop" else layer.bottom
        found: dict[int, Map] = {}
        if step is not None:
            for name in sources:
                for origin, to_bottom in maps.get(name, {}).items():
                    found.setdefault(origin, _after(step, to_bottom))
        for name in layer.top:
            maps[name] = {**found, count: _SAME}
            count += 1


def _place(
    layer: LayerParameter, maps: dict[str, dict[int, Map]], trail: Trail, index: int
) -> None:
    whole, reference = (maps.get(name, {}) for name in layer.bottom)
    common = [origin for origin in reversed(whole) if origin in reference]
    offsets = []
    for (a, b), (c, d) in (
        zip(whole[common[0]], reference[common[0]], strict=True) if common else ()
    ):
        if a == c and b >= d:
            offsets.append(round(b - d))
    if len(offsets) == 2:
        layer.crop_param.offset.extend(offsets)
        return
    trail.say(
        "E124",
        f'where "{layer.bottom[0]}" is to be cut for "{layer.bottom[1]}" cannot be told from the '
        "layers between them",
        ("layer", index, "type"),
        help='write layer { type: "Crop" … crop_param { offset: … } } and all others as `layer`',
    )


def _after(outer: Map, inner: Map) -> Map:
    rows, columns = ((a * c, a * d + b) for (a, b), (c, d) in zip(outer, inner, strict=True))
    return rows, columns


def _map_of(layer: LayerParameter) -> Map | None:
    if layer.type in _SAME_PLACE:
        return _SAME
    if layer.type == "Crop":
        offset = [*layer.crop_param.offset, 0, 0][:2] if layer.HasField("crop_param") else (0, 0)
        rows, columns = ((Fraction(1), Fraction(-each)) for each in offset)
        return rows, columns
    if layer.type not in ("Convolution", "Deconvolution", "Pooling"):
        return None
    lines = [_window(layer, axis) for axis in (0, 1)]
    return None if lines[0] is None or lines[1] is None else (lines[0], lines[1])


def _window(layer: LayerParameter, axis: int) -> Line | None:
    pooling = layer.type == "Pooling"
    settings = layer.pooling_param if pooling else layer.convolution_param
    if pooling and layer.pooling_param.global_pooling:
        return None

    def setting(name: str, short: str, default: int) -> Fraction:
        own = f"{short}_{'hw'[axis]}"
        if settings.HasField(own):
            return Fraction(getattr(settings, own))
        value = getattr(settings, name)
        if pooling:
            return Fraction(value)
        return Fraction([*value, *value, default][axis] if value else default)

    dilation = 1 if pooling else _dilation(layer, axis)
    extent = dilation * (setting("kernel_size", "kernel", 1) - 1) + 1
    stride, pad = setting("stride", "stride", 1), setting("pad", "pad", 0)
    if stride <= 0:
        return None
    if layer.type == "Deconvolution":
        return stride, (extent - 1) / 2 - pad
    return 1 / stride, (pad - (extent - 1) / 2) / stride


def _dilation(layer: LayerParameter, axis: int) -> int:
    given = layer.convolution_param.dilation
    return [*given, *given][axis] if given else 1
