"""Planes padded and resized."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..builder import Blob
from ..node import Node, Unreadable
from ..registry import reads


@reads("Pad")
def pad(at: Node) -> Blob:
    """The pad of the convolution after it; else the fork's layer Pad."""
    x, mode = at.x, at.attribute("mode", "constant")
    pads = at.numbers(1, "pads", "its pads") or []
    if at.has(3):
        pads = _on_all_axes(at, x, pads)
    value = at.attribute("value", 0.0)
    if at.has(2):
        value = float(at.constant(2, "its value").reshape(-1)[0])
    if not any(pads):
        return x
    if len(pads) != 2 * x.rank or x.rank < 3:
        raise Unreadable(f"{len(pads)} pads for {x.rank} axes")
    outer = x.rank - 2
    before, after = pads[: x.rank], pads[x.rank :]
    if any(before[:outer]) or any(after[:outer]):
        raise Unreadable("a pad along another axis than those of the plane")
    plane = (*before[outer:], *after[outer:])
    zeros = mode == "constant" and value == 0 and min(plane) >= 0
    if zeros and set(at.readers[0]) == {"Conv"}:
        return Blob(x.name, x.shape, x.layer, x.uses, x.is_view, plane)
    kinds = {"constant": "CONSTANT", "edge": "REPLICATE", "reflect": "REFLECT"}
    if mode not in kinds:
        raise Unreadable(f"mode {mode}")
    settings: dict[str, Any] = dict(zip(("pad_u", "pad_l", "pad_d", "pad_r"), plane, strict=True))
    if mode != "constant":
        settings["pad_type"] = kinds[mode]
    elif value:
        settings["pad_value"] = value
    return at.layer("Pad", x, pad_param=settings)


def _on_all_axes(at: Node, x: Blob, pads: list[int]) -> list[int]:
    axes = [int(axis) % x.rank for axis in at.constant(3, "its axes").reshape(-1)]
    before, after = [0] * x.rank, [0] * x.rank
    for number, axis in enumerate(axes):
        before[axis], after[axis] = pads[number], pads[number + len(axes)]
    return before + after


def _size(at: Node) -> tuple[int, int]:
    """Returns the plane that a Resize or Upsample makes."""
    x = at.x
    if x.rank != 4:
        raise Unreadable(f"a blob of {x.rank} axes: Caffe resizes N×C×H×W")
    if at.attribute("axes") is not None:
        raise Unreadable("sizes for some axes only")
    sizes = at.numbers(3, "-", "its size") if at.kind == "Resize" and at.opset > 10 else None
    if sizes:
        wanted = sizes
    else:
        first = 2 if at.kind == "Resize" and at.opset > 10 else 1
        given = at.attribute("scales") if not at.has(first) else at.constant(first, "its scale")
        if given is None:
            raise Unreadable("neither sizes nor scales")
        scales = np.asarray(given, np.float64).reshape(-1)
        if len(scales) != 4:
            raise Unreadable(f"{len(scales)} scales for 4 axes")
        wanted = [int(np.floor(n * s + 1e-6)) for n, s in zip(x.shape, scales, strict=True)]
    if len(wanted) != 4 or tuple(wanted[:2]) != x.shape[:2] or min(wanted) < 1:
        raise Unreadable("it resizes another axis than those of the plane")
    return wanted[2], wanted[3]


@reads("Resize", "Upsample")
def resize(at: Node) -> Blob:
    """Deconvolution (nearest, by whole factors), Upsample (nearest), or Interp,
    BilinearInterpolate, Resize (linear), by the rule for positions."""
    x, (height, width) = at.x, _size(at)
    mode = at.attribute("mode", "nearest")
    usual = "half_pixel" if at.kind == "Resize" and at.opset > 10 else "asymmetric"
    rule = at.attribute("coordinate_transformation_mode", usual)
    if (height, width) == x.shape[2:]:
        return x
    if mode == "nearest":
        return _nearest(at, x, height, width, rule)
    if mode != "linear":
        raise Unreadable(f"mode {mode}")
    if at.attribute("antialias", 0):
        raise Unreadable("antialias")
    if rule == "align_corners":
        size = {"height": height, "width": width}
        return at.layer("Interp", x, interp_param=size)
    if rule == "half_pixel" or (rule == "pytorch_half_pixel" and min(height, width) > 1):
        settings = {"dst_h": height, "dst_w": width, "align_corners": False}
        return at.layer("BilinearInterpolate", x, bilinear_interpolate_param=settings)
    if rule == "asymmetric":
        return at.layer("Resize", x, resize_param={"height": height, "width": width})
    raise Unreadable(f"coordinate_transformation_mode {rule}")


def _nearest(at: Node, x: Blob, height: int, width: int, rule: str) -> Blob:
    (old_height, old_width), channels = x.shape[2:], x.shape[1]
    rounding = at.attribute("nearest_mode", "round_prefer_floor")
    if at.kind == "Upsample" or at.opset <= 10:
        rounding = "floor"
    whole = height % old_height == 0 and width % old_width == 0
    # By a whole factor each pixel is repeated, whichever of these rules is meant.
    repeats = rule in ("asymmetric", "half_pixel", "pytorch_half_pixel") and (
        rounding == "floor" or (rule != "asymmetric" and rounding == "round_prefer_floor")
    )
    if whole and repeats:
        s = [height // old_height, width // old_width]
        settings: dict[str, Any] = {"num_output": channels, "bias_term": False}
        if channels > 1:
            settings["group"] = channels
        same = s[0] == s[1]
        settings |= {"kernel_size": s[:1] if same else s, "stride": s[:1] if same else s}
        ones = np.ones((channels, 1, *s), np.float32)
        return at.layer("Deconvolution", x, blobs=[ones], convolution_param=settings)
    if rule != "asymmetric" or rounding != "floor":
        raise Unreadable(f"{rule} with {rounding}")
    return at.layer("Upsample", x, upsample_param={"upsample_h": height, "upsample_w": width})
