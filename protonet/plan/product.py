"""Product: a convolution or fully connected operation, with what its store does besides.

y = activation(W x + b + residual). Lowering packs W once for the kernel that the shape takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from protonet import kernels
from protonet.layers.base import Layer
from protonet.layers.convolution import Convolution, Deconvolution, convolution_shape
from protonet.layers.linear import InnerProduct

from . import tuning
from .program import Operation, Program, Value

__all__ = ["Activation", "Product", "find_products"]


@dataclass(frozen=True, eq=False)
class Activation:
    """max(v, 0) + slope · min(v, 0), then kept within low … high; `slopes`: one a channel."""

    name: str
    slope: float = 0.0
    low: float = -math.inf
    high: float = math.inf
    slopes: np.ndarray | None = None


class Product(Operation):
    """A linear layer: `weight` as the layer stores it, `bias` or None, one input and output.

    `residual` is added before the activation; it is the second of `inputs`.
    """

    def __init__(
        self,
        layer: Layer,
        value: Value,
        output: Value,
        weight: np.ndarray,
        bias: np.ndarray | None,
        exact: bool,
    ) -> None:
        super().__init__(layer, [value], [output])
        self.exact = exact  # whether weights stay as they are
        self.tiles = kernels.isa() == "amx" and not exact
        self.weight, self.bias = weight, bias
        self.activation: Activation | None = None
        self.did: list[str] = []  # layers that became part of this one
        self.packed: np.ndarray | None = None
        self.made = output.shape  # by the product itself, before it is pooled
        self.pools = False
        self.way = 0  # that a convolution goes; 0: as the kernel chooses

    @property
    def residual(self) -> Value | None:
        return self.inputs[1] if len(self.inputs) > 1 else None

    @property
    def in_place(self) -> bool:
        return False

    @property
    def output(self) -> Value:
        return self.outputs[0]

    @property
    def channels(self) -> int:
        """The number of outputs that have a weight row and a bias of their own."""
        return int(self.layer.outputs)  # type: ignore[attr-defined]

    @property
    def channels_first(self) -> bool:
        """Says whether axis 1 of the output counts the channels."""
        return self._axis() == 1

    @property
    def weight_axis(self) -> int:
        """The axis of `weight` that counts the channels."""
        return int(not self.is_convolution and self.layer.settings.transpose)  # type: ignore[attr-defined]

    @property
    def is_convolution(self) -> bool:
        return isinstance(self.layer, Convolution)

    def macs(self) -> int:
        return self.layer.macs([self.inputs[0].shape], [self.made])

    def for_one_image(self, of_one: Callable[[Value], Value]) -> Operation:
        found = super().for_one_image(of_one)
        assert isinstance(found, Product)
        found.made, found.packed, found.way = (1, *self.made[1:]), None, 0
        return found

    def strided(self, value: Value) -> bool:
        return self.is_convolution and self.channels_first and value is not self.residual

    def __str__(self) -> str:
        did = f" [{', '.join(self.did)}]" if self.did else ""
        return super().__str__() + did

    def _axis(self) -> int:
        axis: int = self.layer.settings.axis  # type: ignore[attr-defined]
        return axis + len(self.inputs[0].shape) if axis < 0 else axis

    # ---- lowering

    @property
    def can_pool(self) -> bool:
        """Says whether the way that the kernel takes can pool as it stores."""
        if not self.is_convolution:
            return False
        way = self._packed_size(pool=1)[1]
        return way in (kernels.WAY_WINOGRAD, kernels.WAY_STRIPS)

    @property
    def weight_bytes(self) -> int:
        """The size of the weights as the kernel reads them."""
        return self._packed_size()[0] or self.weight.nbytes

    def pack(self, known: dict[tuple[Any, ...], np.ndarray]) -> None:
        """Lays the weights out for the kernel, once for all arenas; what is `known` of the same
        product over other shapes is used again."""
        if self.is_convolution and tuning.is_on() and self._packed_size()[1]:
            fields = self._fields(self.weight, self.weight)
            self.way = tuning.quickest_way(fields, self._packed_for)
        size, way = self._packed_size()
        if not size:
            return
        key = (self.name, self.outputs[0].name, *self.did, size, way)
        if key not in known:
            known[key] = self._packed_for(way)[1]
        self.packed = known[key]
        if self.is_convolution:
            self.way = way

    def _packed_for(self, way: int) -> tuple[int, np.ndarray]:
        """Returns the weights as the kernel takes them for a way, and the way that it will go."""
        changed = {"way": way} if self.is_convolution else {}
        size, taken = self._packed_size(**changed)
        packed = np.zeros(size // self.weight.itemsize + 1, self.weight.dtype)
        shape = self._fields(self.weight, self.weight) | changed
        kernels.call(self._pack_kernel, shape=shape, size=np.zeros(2, np.int64), packed=packed)
        return taken, packed

    @property
    def _pack_kernel(self) -> str:
        return "convolution_pack" if self.is_convolution else "matmul_pack"

    def _packed_size(self, **changed: int) -> tuple[int, int]:
        size = np.zeros(2, np.int64)
        shape = self._fields(self.weight, self.weight) | changed
        kernels.call(self._pack_kernel, shape=shape, size=size)
        return int(size[0]), int(size[1])

    def emit(self, memory: Callable[[Value], np.ndarray]) -> bool:
        fields = self._fields(memory(self.inputs[0]), memory(self.output))
        store: dict[str, Any] = {}
        if self.residual is not None:
            store["residual"] = memory(self.residual)
        if self.activation is not None:
            rule = self.activation
            store |= {
                "activate": 1, "slope": rule.slope, "low": rule.low, "high": rule.high,
                "slopes": rule.slopes,
            }  # fmt: skip
        name = "convolution" if self.is_convolution else "matmul"
        kernels.call(name, **fields, store=store, packed=self.packed)
        return True

    def _fields(self, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
        source, axis = self.inputs[0], self._axis()
        if self.is_convolution:
            _, geometry = self.layer._geometry(source.shape)  # type: ignore[attr-defined]
            group: int = self.layer.group  # type: ignore[attr-defined]
            shape = convolution_shape(geometry, group, source.shape, self.made, axis)
            return {
                "x": x, "y": y, "weight": self.weight, "bias": self.bias,
                "x_image": source.apart, "y_image": self.output.apart,
                "pool": int(self.pools), "tiles": int(self.tiles), "way": self.way,
                "mixes": int(not self.exact), **shape,
            }  # fmt: skip
        inner = math.prod(source.shape[axis:])
        transposed: bool = self.layer.settings.transpose  # type: ignore[attr-defined]
        steps = (1, self.channels) if transposed else (inner, 1)
        return {
            "a": x, "c": y, "b": self.weight, "column_bias": self.bias,
            "m": math.prod(source.shape[:axis]), "n": self.channels, "k": inner,
            "a_row": inner, "a_column": 1, "b_row": steps[1], "b_column": steps[0],
            "c_row": self.channels, "beta": 0, "tiles": int(self.tiles),
            "rounds": int(not self.exact),
        }  # fmt: skip


def find_products(program: Program) -> None:
    """Convolution and InnerProduct become products; one with several bottoms becomes several."""
    found: list[Operation] = []
    for operation in program.operations:
        layer = operation.layer
        linear = isinstance(layer, InnerProduct | Convolution)
        if not linear or isinstance(layer, Deconvolution):
            found.append(operation)
            continue
        weight, *bias = operation.weights
        for value, output in zip(operation.inputs, operation.outputs, strict=True):
            summand = bias[0] if bias else None
            found.append(Product(layer, value, output, weight, summand, program.exact))
    program.operations = found
    program.changed()
