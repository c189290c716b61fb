"""InnerProduct: the fully connected layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from protonet import kernels
from protonet.blob import Blob

from .base import Layer, LayerError, Parameter, Shape, canonical_axis
from .registry import register


@register("InnerProduct")
class InnerProduct(Layer):
    """y = x Wᵀ + b over everything from `axis` on.

    Shapes:     x is M×K, M the axes before `axis` (default 1) and K the rest, flattened;
                W is O×K (K×O if `transpose`), b is O; y keeps the axes before `axis`, then O.
    Parameters: num_output (O), bias_term, weight_filler, bias_filler, axis, transpose.
    Gradient:   dx = dy W, dW = dyᵀ x, db = Σ dy.
    Source:     Caffe 1.0.
    """

    namesake = "NormFace's layer of this name, with weights as a second bottom, is not supported"
    sets_gradients = True

    def setup(self) -> None:
        self.settings = self.param.inner_product_param
        self.outputs = self.settings.num_output
        if self.outputs < 1:
            raise LayerError(
                "num_output must be at least 1", field=("inner_product_param", "num_output")
            )

    def _axis(self, shape: Shape) -> int:
        return canonical_axis(self.settings.axis, len(shape), ("inner_product_param", "axis"))

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        return [(*bottom[0][: self._axis(bottom[0])], self.outputs)]

    def parameters(self, bottom: list[Shape]) -> list[Parameter]:
        inner = math.prod(bottom[0][self._axis(bottom[0]) :])
        shape = (inner, self.outputs) if self.settings.transpose else (self.outputs, inner)
        field = ("inner_product_param", "weight_filler")
        found = [Parameter(shape, self.settings.weight_filler, field)]
        if self.settings.bias_term:
            field = ("inner_product_param", "bias_filler")
            found.append(Parameter((self.outputs,), self.settings.bias_filler, field))
        return found

    def macs(self, bottom: list[Shape], top: list[Shape]) -> int:
        return math.prod(bottom[0]) * self.outputs

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        axis = self._axis(bottom[0].shape)
        self.rows = math.prod(bottom[0].shape[:axis])
        self.inner = math.prod(bottom[0].shape[axis:])
        # Strides of W read as O×K, whichever way it is stored.
        transposed = self.settings.transpose
        self.output_step, self.inner_step = (1, self.outputs) if transposed else (self.inner, 1)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.multiply(bottom[0].data, top[0].data)

    def multiply(self, x: np.ndarray, y: np.ndarray, store: dict[str, Any] | None = None) -> None:
        """Sets y from x; `store` has the fields of the kernels' epilogue_args."""
        kernels.matmul(
            a=x, b=self.blobs[0].data, c=y,
            column_bias=self.blobs[1].data if self.settings.bias_term else None,
            m=self.rows, n=self.outputs, k=self.inner,
            a_row=self.inner, a_column=1, b_row=self.inner_step, b_column=self.output_step,
            c_row=self.outputs, beta=0, store=store or {},
        )  # fmt: skip

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.param_propagate_down[0]:
            if self.settings.transpose:
                self._weight_gradient(bottom[0].data, self.inner, top[0].diff, self.outputs)
            else:
                self._weight_gradient(top[0].diff, self.outputs, bottom[0].data, self.inner)
        if self.settings.bias_term and self.param_propagate_down[1]:
            self.begin_gradient(1)
            kernels.sum_rows(
                x=top[0].diff, y=self.blobs[1].diff, rows=self.rows, columns=self.outputs
            )
        if self.propagate_down[0]:
            kernels.matmul(
                a=top[0].diff, b=self.blobs[0].data, c=bottom[0].diff,
                m=self.rows, n=self.inner, k=self.outputs,
                a_row=self.outputs, a_column=1, b_row=self.output_step, b_column=self.inner_step,
                c_row=self.inner, beta=0,
            )  # fmt: skip

    def _weight_gradient(
        self, left: np.ndarray, left_size: int, right: np.ndarray, right_size: int
    ) -> None:
        """dW += or = leftᵀ right, both with one row per row of the batch."""
        kernels.matmul(
            a=left, b=right, c=self.blobs[0].diff, m=left_size, n=right_size, k=self.rows,
            a_row=1, a_column=left_size, b_row=right_size, b_column=1, c_row=right_size,
            beta=int(self.adds),
        )  # fmt: skip
