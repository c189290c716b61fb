"""Operators whose inputs are all known: computed while reading, within bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from protonet.extras import import_extra

from .node import Unreadable

if TYPE_CHECKING:
    from onnx import NodeProto

__all__ = ["Folder"]

_SAME_SIZE = frozenset(
    [
        "Abs",
        "Cast",
        "Ceil",
        "Erf",
        "Exp",
        "Flatten",
        "Floor",
        "Identity",
        "Log",
        "Neg",
        "Not",
        "Reciprocal",
        "Relu",
        "Reshape",
        "Round",
        "Sigmoid",
        "Sign",
        "Slice",
        "Split",
        "Sqrt",
        "Squeeze",
        "Tanh",
        "Transpose",
        "Unsqueeze",
        "ReduceL1",
        "ReduceL2",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "ReduceSumSquare",
        "Clip",
        "Sin",
        "Cos",
        "ScatterND",
        "ScatterElements",
        "NonZero",
        "CumSum",
        "Trilu",
    ]
)
_BROADCAST = frozenset(
    [
        "Add",
        "And",
        "Div",
        "Equal",
        "Greater",
        "GreaterOrEqual",
        "Less",
        "LessOrEqual",
        "Max",
        "Mean",
        "Min",
        "Mod",
        "Mul",
        "Or",
        "Pow",
        "Sub",
        "Sum",
        "Where",
        "Xor",
    ]
)
_MOST_BYTES = 2**28  # of all results, or four times the model's own constants


class Folder:
    """Computes nodes; `budget` bounds what all results together may hold."""

    def __init__(self, opset: int, constants: int) -> None:
        self.opset = opset
        self.budget = max(_MOST_BYTES, 4 * constants)

    def can_fold(self, node: NodeProto) -> bool:
        """Says whether the operator is one that is computed."""
        return node.domain in ("", "ai.onnx") and (
            node.op_type in _SAME_SIZE | _BROADCAST
            or node.op_type
            in ("Concat", "ConstantOfShape", "Expand", "Gather", "Pad", "Range", "Tile", "Shape",
                "Size", "Constant", "MatMul")
        )  # fmt: skip

    def fold(self, node: NodeProto, inputs: Sequence[np.ndarray | None]) -> list[np.ndarray]:
        """Returns the node's results. Raises Unreadable if they are too large or cannot be."""
        try:
            size = _bound(node, inputs)
        except (ValueError, OverflowError, IndexError, TypeError):
            raise Unreadable("its inputs do not fit together") from None
        item = max((array.itemsize for array in inputs if array is not None), default=8)
        self.budget -= size * max(item, 8)
        if self.budget < 0:
            raise Unreadable("what is computed from constants is too large")
        onnx: Any = import_extra("onnx", "onnx")
        reference: Any = import_extra("onnx.reference", "onnx")
        given = {
            name: array for name, array in zip(node.input, inputs, strict=True) if array is not None
        }
        graph = onnx.helper.make_graph(
            [node], "one",
            [onnx.helper.make_tensor_value_info(n, _kind(array), array.shape)
             for n, array in given.items()],
            [onnx.helper.make_empty_tensor_value_info(name) for name in node.output],
        )  # fmt: skip
        model = onnx.helper.make_model(
            graph, opset_imports=[onnx.helper.make_opsetid("", self.opset)]
        )
        try:
            with np.errstate(all="ignore"):
                found = reference.ReferenceEvaluator(model).run(None, given)
        except Exception as error:  # whatever numpy says of inputs that do not fit
            raise Unreadable(f"it cannot be computed: {error}") from None
        return [np.asarray(array) for array in found]


def _kind(array: np.ndarray) -> int:
    kind: int = import_extra("onnx.helper", "onnx").np_dtype_to_tensor_dtype(array.dtype)
    return kind


def _bound(node: NodeProto, inputs: Sequence[np.ndarray | None]) -> int:
    """Returns how many numbers the results have at most."""
    arrays = [array for array in inputs if array is not None]
    kind, total = node.op_type, sum(array.size for array in arrays)
    if kind in _BROADCAST:
        return math.prod(np.broadcast_shapes(*(array.shape for array in arrays)))
    if kind == "MatMul":
        left, right = arrays[0].shape, arrays[1].shape
        outer = math.prod(np.broadcast_shapes(left[:-2], right[:-2]))
        return outer * math.prod(left[-2:-1]) * math.prod(right[-1:] if len(right) > 1 else ())
    if kind == "ConstantOfShape":
        return math.prod(int(n) for n in arrays[0])
    if kind == "Expand":
        wanted = tuple(int(n) for n in arrays[1])
        return math.prod(np.broadcast_shapes(arrays[0].shape, wanted))
    if kind == "Tile":
        return arrays[0].size * math.prod(int(n) for n in arrays[1])
    if kind == "Range":
        start, limit, step = (float(array.reshape(-1)[0]) for array in arrays)
        return max(0, math.ceil((limit - start) / step))
    if kind == "Gather":
        return arrays[1].size * max(1, arrays[0].size)
    if kind == "Pad":
        pads = [int(n) for n in arrays[1]] if len(arrays) > 1 else []
        half = len(pads) // 2
        shape = arrays[0].shape
        return math.prod(n + pads[i] + pads[i + half] for i, n in enumerate(shape[:half]))
    return total
