"""Batch normalisation folded into the layer before it, or after it.

BatchNorm and BN by gathered statistics, and Scale, are one factor a and one summand s per
channel, y = a·x + s. Behind y = Wx + b that is W' = aW, b' = ab + s. Before W it is W' = Wa and
b' = b + Σ W·s, which is right only where W never reads padding: there the summand is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from protonet.check.graph import Graph
from protonet.ir.blobs import Array
from protonet.ir.protonet_pb2 import LayerParameter

from .names import rename_blobs
from .trained_net import TrainedNet

__all__ = ["fold_batch_norm"]

_LINEAR = frozenset(
    {"Convolution", "ConvolutionDepthwise", "Deconvolution", "DepthwiseConvolution", "InnerProduct"}
)
_NORMS = frozenset({"BN", "BatchNorm", "Scale"})


@dataclass
class _Affine:
    """y = factor · x + summand per channel, and the layers that do it, in order."""

    layers: list[int]
    factor: Array
    summand: Array


def fold_batch_norm(trained: TrainedNet) -> TrainedNet:
    """Returns the net for use without the BatchNorm, BN and Scale layers that could be folded.

    The net must be for use: in TRAIN, BatchNorm works with the batch's statistics. What stays
    is told with its reason in `changes`.
    """
    graph = trained.view().graph
    folding = _Folding(trained.copy(), graph, trained.view().indices)
    folding.run()
    if not folding.gone:
        folding.found.changes.append("no BatchNorm, BN or Scale layer could be folded")
    rename_blobs(folding.found.net, folding.names())
    return folding.found.without(folding.gone)


class _Folding:
    def __init__(self, found: TrainedNet, graph: Graph, indices: list[int]) -> None:
        self.found, self.graph, self.indices = found, graph, indices
        self.gone: set[int] = set()
        self.aliases: dict[str, str] = {}
        self.layers = [found.net.layer[index] for index in indices]

    def run(self) -> None:
        node = 0
        while node < len(self.layers):
            run = self._run_from(node)
            if run is None:
                node += 1
                continue
            self._fold(run)
            node = run.layers[-1] + 1

    def names(self) -> dict[str, str]:
        """Returns the blobs that are called otherwise now, each by its last name."""
        found = {}
        for name in self.aliases:
            last = name
            while last in self.aliases:
                last = self.aliases[last]
            found[name] = last
        return found

    # ---- what can be folded

    def _run_from(self, node: int) -> _Affine | None:
        """Returns the row of BatchNorm, BN and Scale layers that begins here, as one factor and one
        summand; None if none begins here or its numbers are not known."""
        run: _Affine | None = None
        current: int | None = node
        while current is not None and self.layers[current].type in _NORMS:
            one = self._affine(current)
            if one is None:
                break
            if run is None:
                run = one
            else:
                run.factor, run.summand = (
                    one.factor * run.factor, one.factor * run.summand + one.summand,
                )  # fmt: skip
                run.layers.append(current)
            readers = self._readers(current)
            follows = len(readers) == 1 and readers[0] == current + 1
            current = readers[0] if follows else None
        return run

    def _affine(self, node: int) -> _Affine | None:
        layer = self.layers[node]
        blobs = [blob.astype(np.float64) for blob in self.found.blobs.get(layer.name, ())]
        if not blobs:
            self._tell(node, "it has no weights")
            return None
        if layer.type == "BatchNorm":
            settings = layer.batch_norm_param
            if settings.HasField("use_global_stats") and not settings.use_global_stats:
                self._tell(node, "it works with the statistics of the batch")
                return None
            weight = float(blobs[2].ravel()[0])
            mean, variance = (blob / weight if weight else blob * 0 for blob in blobs[:2])
            factor = 1 / np.sqrt(variance + settings.eps)
            return _Affine([node], factor, -mean * factor)
        if layer.type == "BN":
            return self._bn(node, [blob.ravel() for blob in blobs])
        scale = layer.scale_param
        rank = len(self.graph.nodes[node].bottom_shapes[0] or ())
        if len(layer.bottom) > 1 or scale.axis not in (1, 1 - rank) or blobs[0].ndim != 1:
            self._tell(node, "its factor is not one per channel")
            return None
        summand = blobs[1] if scale.bias_term else np.zeros_like(blobs[0])
        return _Affine([node], blobs[0], summand)

    def _bn(self, node: int, blobs: list[Array]) -> _Affine | None:
        """Returns what SegNet's BN does in mode INFERENCE, or PSPNet's with its statistics."""
        layer: Any = self.graph.nodes[node].layer
        slope, bias = blobs[:2]
        if layer.only_scales:
            return _Affine([node], slope, bias)
        if not layer.keeps_running:
            self._tell(node, "it works with the statistics of the batch (bn_mode: LEARN)")
            return None
        mean, variance = blobs[2:]
        factor = slope / np.sqrt(variance + layer.settings.eps)
        return _Affine([node], factor, bias - mean * factor)

    def _readers(self, node: int) -> list[int]:
        """Returns the layers that read what this one makes, until it is made anew."""
        blob = self.layers[node].top[0]
        found = []
        for other in range(node + 1, len(self.layers)):
            if blob in self.layers[other].bottom:
                found.append(other)
            if blob in self.layers[other].top:
                break
        return found

    def _fold(self, run: _Affine) -> None:
        first, last = run.layers[0], run.layers[-1]
        maker = self._maker(first)
        reason = self._why_not_back(maker, first)
        if reason is None and maker is not None:
            self._into_the_one_before(maker, run)
            return
        readers = self._readers(last)
        forward = self._why_not_forward(readers, last, run)
        if forward is None:
            self._into_those_after(readers, run)
            return
        self._tell(first, f"before it: {reason}; after it: {forward}")

    def _maker(self, node: int) -> int | None:
        blob = self.layers[node].bottom[0]
        makers = [other for other in range(node) if blob in self.layers[other].top]
        return makers[-1] if makers else None

    def _why_not_back(self, maker: int | None, node: int) -> str | None:
        if maker is None or self.layers[maker].type not in _LINEAR:
            return "no layer of weights"
        if self._readers(maker) != [node]:
            return f'others read "{self.layers[node].bottom[0]}" too'
        return self._why_not_changed(maker)

    def _why_not_changed(self, node: int) -> str | None:
        layer = self.layers[node]
        if layer.name not in self.found.blobs:
            return f'layer "{layer.name}" has no weights'
        if any(spec.name for spec in layer.param):
            return f'layer "{layer.name}" shares its weights'
        if len(layer.bottom) > 1:
            return f'layer "{layer.name}" has several bottoms'
        rank = len(self.graph.nodes[node].bottom_shapes[0] or ())
        if _settings(layer).axis not in (1, 1 - rank if rank else 1):
            return f'layer "{layer.name}" works along another axis than that of the channels'
        return None

    def _why_not_forward(self, readers: list[int], last: int, run: _Affine) -> str | None:
        if not readers:
            return "it is the output"
        for node in readers:
            layer = self.layers[node]
            if layer.type not in _LINEAR or list(layer.bottom) != [self.layers[last].top[0]]:
                return f'layer "{layer.name}" ({layer.type}) reads it'
            reason = self._why_not_changed(node)
            if reason is not None:
                return reason
            bound = self.graph.nodes[node].layer
            # Filters have as many axes as what they read, whose shape may follow from lost data.
            window = bound.window(self.found.blobs[layer.name][0].ndim) if bound else None
            shifted = bool(np.any(run.summand != 0))
            if layer.type == "Deconvolution" and shifted:
                return f'the edges of layer "{layer.name}" would lack its summand'
            if window is not None and any(window[2]) and shifted:
                return f'layer "{layer.name}" pads with zeros, which it would shift'
        return None

    # ---- folding

    def _into_the_one_before(self, maker: int, run: _Affine) -> None:
        layer = self.layers[maker]
        weight, bias = self._weight_and_bias(layer)
        axis = 1 if layer.type == "Deconvolution" or _transposed(layer) else 0
        if layer.type == "Deconvolution":
            group = layer.convolution_param.group
            grouped = weight.reshape(group, -1, *weight.shape[1:])
            factor = run.factor.reshape(group, 1, -1, *[1] * (weight.ndim - 2))
            weight = (grouped * factor).reshape(weight.shape)
        else:
            weight = weight * _along(run.factor, axis, weight.ndim)
        self._put(layer, weight, bias * run.factor + run.summand)
        top = self.layers[run.layers[-1]].top[0]
        if layer.top[0] != top:
            self.aliases[layer.top[0]] = top
        self._drop(run, f'into layer "{layer.name}" before it')

    def _into_those_after(self, readers: list[int], run: _Affine) -> None:
        for node in readers:
            layer = self.layers[node]
            weight, bias = self._weight_and_bias(layer)
            if layer.type == "InnerProduct":
                matrix = weight.T if _transposed(layer) else weight
                volume = matrix.reshape(matrix.shape[0], run.factor.size, -1)
                bias = bias + np.einsum("ocp,c->o", volume, run.summand)
                matrix = (volume * run.factor[:, None]).reshape(matrix.shape)
                weight = matrix.T if _transposed(layer) else matrix
            elif layer.type == "Deconvolution":
                weight = weight * _along(run.factor, 0, weight.ndim)
            else:
                group = run.factor.size // weight.shape[1]
                grouped = weight.reshape(group, -1, *weight.shape[1:])
                shape = (group, 1, -1, *[1] * (weight.ndim - 2))
                shift = grouped * run.summand.reshape(shape)
                bias = bias + shift.reshape(weight.shape[0], -1).sum(axis=1)
                weight = (grouped * run.factor.reshape(shape)).reshape(weight.shape)
            self._put(layer, weight, bias)
        source = self.layers[run.layers[0]].bottom[0]
        top = self.layers[run.layers[-1]].top[0]
        if source != top:
            self.aliases[top] = source
        names = ", ".join(f'"{self.layers[node].name}"' for node in readers)
        self._drop(run, f"into {names} after it")

    def _weight_and_bias(self, layer: LayerParameter) -> tuple[Array, Array]:
        blobs = [blob.astype(np.float64) for blob in self.found.blobs[layer.name]]
        outputs = _settings(layer).num_output or blobs[0].shape[0]
        return blobs[0], blobs[1] if len(blobs) > 1 else np.zeros(outputs)

    def _put(self, layer: LayerParameter, weight: Array, bias: Array) -> None:
        dtype = self.found.blobs[layer.name][0].dtype
        self.found.blobs[layer.name] = [weight.astype(dtype), bias.astype(dtype)]
        _settings(layer).bias_term = True

    def _drop(self, run: _Affine, where: str) -> None:
        for node in run.layers:
            self.gone.add(self.indices[node])
            layer = self.layers[node]
            self.found.changes.append(f'layer "{layer.name}" ({layer.type}) folded {where}')

    def _tell(self, node: int, reason: str) -> None:
        layer = self.layers[node]
        self.found.changes.append(f'layer "{layer.name}" ({layer.type}) stays: {reason}')


def _along(values: Array, axis: int, rank: int) -> Array:
    return values.reshape([-1 if i == axis else 1 for i in range(rank)])


def _transposed(layer: LayerParameter) -> bool:
    return layer.type == "InnerProduct" and layer.inner_product_param.transpose


def _settings(layer: LayerParameter) -> Any:
    return layer.inner_product_param if layer.type == "InnerProduct" else layer.convolution_param
