"""ONNX models of one operator, or of a few, written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

__all__ = ["model_of", "one_node"]


def model_of(
    nodes: Sequence[Any],
    inputs: Mapping[str, Sequence[int | str]],
    constants: Mapping[str, np.ndarray],
    outputs: Sequence[str] = ("y",),
    opset: int = 17,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "small",
        [helper.make_tensor_value_info(n, 1, list(shape)) for n, shape in inputs.items()],
        [helper.make_tensor_value_info(name, 1, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model)
    for output in model.graph.output:  # the checker wants a shape, and none may be known
        output.type.tensor_type.shape.SetInParent()
    return model


def one_node(
    kind: str, shapes: Sequence[Sequence[int]], *constants: np.ndarray | None, opset: int = 17,
    first: bool = False, outputs: int = 1, **attributes: Any,
) -> onnx.ModelProto:  # fmt: skip
    """One operator over blobs of these shapes, then constants (or constants first)."""
    blobs = [f"x{n}" for n in range(len(shapes))]
    fixed = [f"c{n}" if array is not None else "" for n, array in enumerate(constants)]
    names = [*fixed, *blobs] if first else [*blobs, *fixed]
    results = ["y", *(f"y{n}" for n in range(1, outputs))]
    node = helper.make_node(kind, names, results, **attributes)
    given = {f"c{n}": array for n, array in enumerate(constants) if array is not None}
    return model_of([node], dict(zip(blobs, shapes, strict=True)), given, results, opset)
