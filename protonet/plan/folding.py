"""Folding a factor and a summand per channel into the product before it.

BatchNorm by gathered statistics, Scale, Bias and Power 1 are y = a·x + s per channel. Behind
Wx + b that is W' = aW, b' = ab + s.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from protonet import kernels
from protonet.layers.affine import Bias, Scale
from protonet.layers.arithmetic import Power
from protonet.layers.base import Layer
from protonet.layers.batch_norm import BatchNorm
from protonet.layers.dropout import Dropout

from .product import Product
from .program import Operation, Program, Value

__all__ = ["ChannelAffine", "find_affine", "fold_affine", "join_affine"]


class ChannelAffine(Operation):
    """y = factor · x + summand, each one number for every channel of axis 1."""

    def __init__(
        self, layer: Layer, value: Value, output: Value, factor: np.ndarray, summand: np.ndarray
    ) -> None:
        super().__init__(layer, [value], [output])
        self.factor, self.summand = factor, summand
        self.did: list[str] = []

    def __str__(self) -> str:
        did = f" [{', '.join(self.did)}]" if self.did else ""
        return super().__str__() + did

    def macs(self) -> int:
        return 0

    @property
    def in_place(self) -> bool:
        return True

    def emit(self, memory: Callable[[Value], np.ndarray]) -> bool:
        shape = self.outputs[0].shape
        kernels.call(
            "scale", x=memory(self.inputs[0]), y=memory(self.outputs[0]), scale=self.factor,
            bias=self.summand, outer=shape[0], channels=shape[1], inner=math.prod(shape[2:]),
        )  # fmt: skip
        return True


def find_affine(program: Program) -> None:
    """BatchNorm by gathered statistics, Scale, Bias and Power 1 become one operation kind."""
    for operation in list(program.operations):
        numbers = _numbers(operation)
        if numbers is None or not all(np.isfinite(each).all() for each in numbers):
            continue
        value, output = operation.inputs[0], operation.outputs[0]
        program.replace(operation, ChannelAffine(operation.layer, value, output, *numbers))


def _numbers(operation: Operation) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns factor and summand per channel, in float64; None if the operation is another."""
    layer, shape = operation.layer, operation.outputs[0].shape if operation.outputs else ()
    if len(shape) < 2 or len(operation.inputs) != 1:
        return None
    channels = shape[1]
    blobs = [blob.astype(np.float64).reshape(-1) for blob in operation.weights]
    one, zero = np.ones(channels), np.zeros(channels)
    if isinstance(layer, BatchNorm) and layer.use_global:
        weight = blobs[2][0]
        mean, variance = (blob / weight if weight else blob * 0 for blob in blobs[:2])
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = 1 / np.sqrt(variance + layer.settings.eps)
            return factor, -mean * factor
    if isinstance(layer, Scale | Bias):
        first, run = layer.extent([shape])
        if (first, run) != (1, (channels,)):
            return None
        if isinstance(layer, Bias):
            return one, blobs[0]
        return blobs[0], blobs[1] if len(blobs) > 1 else zero
    if isinstance(layer, Power) and layer.param.power_param.power == 1:
        settings = layer.param.power_param
        return one * settings.scale, one * settings.shift
    if isinstance(layer, Dropout) and not layer.draws:
        return one * layer.scale, zero
    return None


def join_affine(program: Program) -> None:
    """Of two in a row, the second takes the first's numbers in."""
    for first in [op for op in program.operations if isinstance(op, ChannelAffine)]:
        second = program.only_reader(first.outputs[0])
        if not isinstance(second, ChannelAffine):
            continue
        second.summand = second.factor * first.summand + second.summand
        second.factor = second.factor * first.factor
        second.did = [*first.did, first.name, *second.did]
        second.inputs = first.inputs
        program.remove([first])


def fold_affine(program: Program) -> None:
    """Factor and summand go into the weights and the bias of the product before them."""
    for affine in [op for op in program.operations if isinstance(op, ChannelAffine)]:
        value = affine.inputs[0]
        product = program.maker(value)
        if not isinstance(product, Product) or program.only_reader(value) is not affine:
            continue
        if affine.factor.size != product.channels or not product.channels_first:
            continue
        axis = product.weight_axis
        factor = affine.factor.reshape([-1 if i == axis else 1 for i in range(product.weight.ndim)])
        bias = np.zeros(product.channels) if product.bias is None else product.bias
        dtype = product.weight.dtype
        product.weight = np.ascontiguousarray(product.weight * factor, dtype)
        product.bias = (bias * affine.factor + affine.summand).astype(dtype)
        product.outputs = affine.outputs
        product.did += [*affine.did, affine.name]
        program.remove([affine])
    for operation in program.operations:
        if isinstance(operation, ChannelAffine):
            operation.factor = operation.factor.astype(program.dtype)
            operation.summand = operation.summand.astype(program.dtype)
