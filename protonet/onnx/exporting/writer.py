"""Writing the nodes and constants of an ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from protonet.extras import import_extra
from protonet.onnx.names import fresh_name

from .values import Operand, Value

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TensorProto

__all__ = ["DOMAIN", "Writer"]

DOMAIN = "org.protonet"
_FLOAT = 1  # an element type
_SMALL = 256  # elements; constants up to this are stored once


class Writer:
    """The nodes, constants and names of a graph; `prefix` is the layer that is being written."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.names: set[str] = set()
        self.prefix = ""
        self.has_custom = False
        self._small: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._stored: dict[tuple[int, tuple[int, ...]], str] = {}
        self._kept: list[np.ndarray] = []  # so that no address is used twice

    def inner(self) -> Writer:
        """Returns a writer for the body of a Scan or Loop, which has constants of its own."""
        found = Writer(self.opset)
        found.names, found.prefix = self.names, self.prefix
        return found

    def body(self, inputs: Sequence[tuple[Value, int]], outputs: Sequence[Value]) -> GraphProto:
        """Returns what was written as the body of a Scan or Loop.

        Inputs come with their element types: floats of any shape, or scalars. An output that is
        an input has its type, any other is of floats.
        """
        helper = import_extra("onnx.helper", "onnx")
        results = [self.op("Identity", output) for output in outputs]  # none may be an input
        kinds = {value.name: kind for value, kind in inputs}
        graph: GraphProto = helper.make_graph(
            self.nodes,
            self.fresh(f"{self.prefix}/body"),
            [
                helper.make_tensor_value_info(value.name, kind, None if kind == _FLOAT else [])
                for value, kind in inputs
            ],
            [
                helper.make_tensor_value_info(result.name, kinds.get(output.name, _FLOAT), None)
                for output, result in zip(outputs, results, strict=True)
            ],
            self.initializers,
        )
        return graph

    def fresh(self, wanted: str) -> str:
        """Returns a name that is not taken, and takes it."""
        return fresh_name(wanted, self.names)

    def constant(self, array: np.ndarray, name: str = "const") -> Value:
        """Stores an array: floating point as float32, whole numbers as they are."""
        array = np.asarray(array)
        given = array
        if array.dtype.kind == "f":
            array = array.astype(np.float32, copy=False)
        if array.size <= _SMALL:
            key = (array.dtype.str, array.shape, array.tobytes())
            if key not in self._small:
                self._small[key] = self._store(array, name)
            return Value(self, self._small[key], array.shape)
        place = (given.__array_interface__["data"][0], given.shape)
        if place not in self._stored:
            self._kept.append(given)
            self._stored[place] = self._store(array, name)
        return Value(self, self._stored[place], array.shape)

    def _store(self, array: np.ndarray, name: str) -> str:
        stored = self.fresh(f"{self.prefix}/{name}")
        tensor = import_extra("onnx.numpy_helper", "onnx").from_array(
            np.ascontiguousarray(array), stored
        )
        if not array.shape:
            del tensor.dims[:]
        self.initializers.append(tensor)
        return stored

    def lift(self, operand: Operand) -> Value:
        """Returns a value as it is, and a number or an array as a constant."""
        if isinstance(operand, Value):
            return operand
        if isinstance(operand, float | int):
            operand = np.array(operand, np.float32)
        return self.constant(operand)

    def op(self, kind: str, *operands: Operand | None, **attributes: Any) -> Value:
        """Adds an operator with one result; None leaves out an input."""
        return self.ops(kind, 1, *operands, **attributes)[0]

    def ops(
        self,
        kind: str,
        results: int,
        *operands: Operand | None,
        domain: str = "",
        **attributes: Any,
    ) -> list[Value]:
        """Adds an operator with several results."""
        inputs = ["" if operand is None else self.lift(operand).name for operand in operands]
        outputs = [self.fresh(f"{self.prefix}/{kind}") for _ in range(results)]
        given = {name: value for name, value in attributes.items() if value is not None}
        make_node = import_extra("onnx.helper", "onnx").make_node
        self.nodes.append(
            make_node(kind, inputs, outputs, name=outputs[0], domain=domain or None, **given)
        )
        self.has_custom |= bool(domain)
        return [Value(self, name) for name in outputs]
