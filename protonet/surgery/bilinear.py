"""Deconvolutions that enlarge a map by bilinear interpolation, as FCN's begin.

w(y, x) = (1 − |y − c|/f) (1 − |x − c|/f) with f = ⌈F/2⌉ and c = f − 1 for odd F, f − 1/2 for even.
Source: Long, Shelhamer, Darrell 2015; Caffe's filler "bilinear".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from protonet.check.graph import Node
from protonet.ir.blobs import Array
from protonet.layers.base import shape_text

from .trained_net import TrainedNet

__all__ = ["bilinear", "bilinear_kernel"]


def bilinear_kernel(height: int, width: int) -> Array:
    """Returns the F×F weights of interpolation by the factor ⌊(F + 1)/2⌋."""
    sides = []
    for size in (height, width):
        factor = (size + 1) // 2
        centre = factor - 1 if size % 2 else factor - 0.5
        sides.append(1 - np.abs(np.arange(size) - centre) / factor)
    return np.outer(sides[0], sides[1])


def bilinear(trained: TrainedNet, names: Sequence[str] = (), *, fix: bool = False) -> TrainedNet:
    """Returns the net whose Deconvolution layers enlarge each channel by itself.

    All that enlarge and have as many outputs as channels, or those of these `names`; the filters
    between different channels become zero. With `fix` they are not to be trained. Raises Error
    at a named layer that cannot be one.
    """
    found = trained.copy()
    chosen = {trained.index(name) for name in names}
    for view in trained.views():
        for node, index in zip(view.graph.nodes, view.indices, strict=True):
            if chosen and index not in chosen:
                continue
            reason = _why_not(node)
            if reason is None:
                _enlarge(found, node, index, fix)
            elif chosen:
                raise trained.refusal(index, reason)
        break
    if len(found.changes) == len(trained.changes):
        found.changes.append("no Deconvolution layer enlarges each channel by itself")
    return found


def _why_not(node: Node) -> str | None:
    settings = node.param.convolution_param
    shape = node.bottom_shapes[0] if node.bottom_shapes else None
    if node.param.type != "Deconvolution":
        return "it is no Deconvolution"
    if shape is None or len(shape) != 4 or not node.parameters:
        return "its bottom is no map"
    if settings.num_output != shape[1]:
        return f"it makes {settings.num_output} channels of {shape[1]}, not one of each"
    return None


def _enlarge(found: TrainedNet, node: Node, index: int, fix: bool) -> None:
    layer = found.net.layer[index]
    settings = layer.convolution_param
    shape = (node.parameters or [])[0].shape
    weight = np.zeros(shape, np.float32)
    for channel in range(shape[0]):
        weight[channel, channel % shape[1]] = bilinear_kernel(shape[2], shape[3])
    blobs = found.blobs.get(layer.name)
    bias = blobs[1] if blobs and len(blobs) > 1 else np.zeros(settings.num_output, np.float32)
    found.blobs[layer.name] = [weight, bias] if settings.bias_term else [weight]
    # Caffe's filler fills all pairs of channels: it is right for one filter per channel alone.
    if shape[1] == 1 and shape[2] == shape[3]:
        settings.weight_filler.Clear()
        settings.weight_filler.type = "bilinear"
    if fix:
        while len(layer.param) < (2 if settings.bias_term else 1):
            layer.param.add()
        for spec in layer.param:
            spec.lr_mult = spec.decay_mult = 0
    fixed = ", not to be trained" if fix else ""
    found.changes.append(f'layer "{layer.name}": bilinear {shape_text(shape)}{fixed}')
