"""Normalisations by the statistics of the input itself, over parts of an image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..builder import Blob
from ..node import Node, Unreadable
from ..registry import reads


def _of_parts(at: Node, parts: int, eps: float, suffix: str) -> Blob:
    """Normalises each of so many equal runs of numbers: as the channels of one image, by the
    statistics of the batch, whose eps stands under the root as in ONNX (MVN's does not)."""
    x = at.x
    whole = x.shape if x.shape[:2] == (1, parts) else (1, parts, math.prod(x.shape) // parts)
    zeros = np.zeros(parts)
    settings = {"use_global_stats": False, "eps": eps}
    y = at.layer(
        "BatchNorm", at.reshape(x, whole, "parts"), suffix=suffix, batch_norm_param=settings,
        blobs=[zeros, zeros, np.zeros(1)],
    )  # fmt: skip
    return at.reshape(y, x.shape, "whole")


def _scaled(at: Node, y: Blob, axis: int, scale: np.ndarray, bias: np.ndarray | None) -> Blob:
    settings: dict[str, Any] = {"bias_term": bias is not None}
    if axis != 1:
        settings["axis"] = axis
    if scale.ndim != 1:
        settings["num_axes"] = scale.ndim
    blobs = [scale] if bias is None else [scale, bias]
    return at.layer("Scale", y, blobs=blobs, in_place=True, scale_param=settings)


@reads("InstanceNormalization")
def instance_normalization(at: Node) -> Blob:
    """BatchNorm by the batch's own statistics, with Reshape around it unless N is 1; Scale."""
    x = at.x
    scale, bias = at.constant(1, "its scale"), at.constant(2, "its bias")
    y = _of_parts(at, math.prod(x.shape[:2]), at.attribute("epsilon", 1e-5), "norm")
    return _scaled(at, y, 1, scale, bias)


@reads("GroupNormalization")
def group_normalization(at: Node) -> Blob:
    """Reshape, BatchNorm by the batch's own statistics, Reshape, Scale."""
    x, groups = at.x, at.attribute("num_groups")
    scale, bias = at.constant(1, "its scale"), at.constant(2, "its bias")
    if not groups or x.shape[1] % groups:
        raise Unreadable(f"{groups} groups of {x.shape[1]} channels")
    y = _of_parts(at, x.shape[0] * groups, at.attribute("epsilon", 1e-5), "norm")
    if len(scale) != x.shape[1]:  # one for each group, as in opset 18
        scale, bias = (np.repeat(array, x.shape[1] // groups) for array in (scale, bias))
    return _scaled(at, y, 1, scale, bias)


@reads("LayerNormalization")
def layer_normalization(at: Node) -> Blob:
    """Reshape, BatchNorm by the batch's own statistics, Reshape, Scale."""
    x = at.x
    axis = at.attribute("axis", -1) % x.rank
    if at.results > 1 and any(at.readers[1:]):
        raise Unreadable("its further results, the mean and the deviation")
    if axis == 0:
        raise Unreadable("a normalisation over the batch")
    scale = at.constant(1, "its scale")
    bias = at.constant(2, "its bias") if at.has(2) else None
    if scale.shape != x.shape[axis:]:
        raise Unreadable("a scale of another shape than what is normalised")
    y = _of_parts(at, math.prod(x.shape[:axis]), at.attribute("epsilon", 1e-5), "norm")
    return _scaled(at, y, axis, scale, bias)
