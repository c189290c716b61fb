"""From an ONNX model to a net: node after node, all that cannot be read reported at once.

Codes: E622 an operator that no layer can stand for, E623 an input whose size is not known.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from protonet.ir.files import place
from protonet.ir.protonet_pb2 import NetParameter
from protonet.layers.base import Shape
from protonet.prototxt.diagnostics import Diagnostic, Error

from .builder import Blob, Builder, readable
from .folding import Folder
from .node import Node, Unreadable
from .reading import tensor_array
from .registry import UNREADABLE, node_reader

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

__all__ = ["Imported", "import_model"]

_LEAST_OPSET = 7
_MOST_PROBLEMS = 50
_STANDARD = ("", "ai.onnx")
_MISFITS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError)
"""What numpy and Python say of inputs and attributes that are not what the operator takes."""

Known = Blob | np.ndarray | None  # None: what a node that could not be read makes


@dataclass
class Imported:
    """A net, its trained blobs by layer, and the layers that Caffe 1.0 does not have."""

    net: NetParameter
    weights: dict[str, list[np.ndarray]]
    forks: dict[str, list[str]]
    inputs: dict[str, Shape]
    outputs: dict[str, str]  # output of the model → blob
    values: dict[str, str]  # blob → the last value of the model that it holds


def import_model(
    model: ModelProto,
    file: str = "model",
    *,
    strict_caffe: bool = False,
    batch: int = 1,
    size: Sequence[int] = (),
) -> Imported:
    """Reads a model as a net with the trained blobs of its layers.

    Open axes of the inputs become `batch` (axis 0) and `size` (the last ones of the first input).
    `strict_caffe` refuses layers that Caffe 1.0 does not have. Raises Error with all operators
    that cannot be read.
    """
    try:
        return _Import(model, file, strict_caffe).run(batch, tuple(size))
    except UnicodeDecodeError:
        raise Error(Diagnostic("E620", "a name in it is no text", (place(file),))) from None


class _Import:
    def __init__(self, model: ModelProto, file: str, strict: bool) -> None:
        self.graph, self.file = model.graph, file
        self.builder = Builder(self.graph.name or "net", strict)
        self.problems: list[Diagnostic] = []
        opsets = {entry.domain: entry.version for entry in model.opset_import}
        self.opset = next((opsets[domain] for domain in _STANDARD if domain in opsets), 1)
        if self.opset < _LEAST_OPSET:
            raise self._wrong("E622", f"opset {self.opset} is older than {_LEAST_OPSET}")
        if self.graph.sparse_initializer:
            raise self._wrong("E622", "it keeps constants as sparse tensors, which are not read")
        self.known: dict[str, Known] = {
            tensor.name: tensor_array(tensor, file) for tensor in self.graph.initializer
        }
        self.given: set[int] = set()  # blobs that have a name: `known` keeps them from vanishing
        constants = sum(a.nbytes for a in self.known.values() if isinstance(a, np.ndarray))
        self.folder = Folder(self.opset, constants)
        self.readers: dict[str, list[str]] = {}  # kinds of nodes; "": it is an output
        self._note_readers(self.graph)
        for output in self.graph.output:
            self.readers.setdefault(output.name, []).append("")
        self.uses = Counter({name: len(readers) for name, readers in self.readers.items()})

    def _note_readers(self, graph: GraphProto) -> None:
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node.op_type)
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    self._note_readers(attribute.g)
                    for output in attribute.g.output:
                        self.readers.setdefault(output.name, []).append(node.op_type)

    def run(self, batch: int, size: Shape) -> Imported:
        inputs = self._inputs(batch, size)
        for node in self.graph.node:
            if len(self.problems) < _MOST_PROBLEMS:
                self._read(node)
        if self.problems:
            raise Error(*self.problems)
        outputs = self._outputs()
        self.builder.prune(outputs.values())
        made = {top for layer in self.builder.net.layer for top in layer.top}
        values = {
            blob.name: value
            for value, blob in self.known.items()
            if isinstance(blob, Blob) and not blob.pads and blob.name in made
        }
        return Imported(
            self.builder.net, self.builder.weights, self.builder.forks, inputs, outputs, values
        )

    def _wrong(self, code: str, message: str, help: str = "") -> Error:
        return Error(Diagnostic(code, message, (place(self.file),), help=help))

    # ---- inputs and outputs

    def _inputs(self, batch: int, size: Shape) -> dict[str, Shape]:
        found: dict[str, Shape] = {}
        for value in self.graph.input:
            if value.name in self.known:
                continue
            shape = self._shape(value, batch, () if found else size)
            blob = self.builder.add_input(value.name, shape)
            blob.uses = self.uses[value.name]
            self.known[value.name] = blob
            self.given.add(id(blob))
            found[value.name] = shape
        return found

    def _shape(self, value: ValueInfoProto, batch: int, size: Shape) -> Shape:
        if value.type.tensor_type.elem_type not in (1, 10, 11, 6, 7, 2, 16):
            raise self._wrong("E623", f'input "{value.name}" holds no numbers')
        dims = value.type.tensor_type.shape.dim
        if not value.type.tensor_type.HasField("shape"):
            raise self._wrong("E623", f'the shape of input "{value.name}" is not known')
        sizes = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else 0 for d in dims]
        if sizes and not sizes[0]:
            sizes[0] = batch
        if len(size) > len(sizes):
            told = f'{len(size)} sizes for input "{value.name}" of {len(sizes)} axes'
            raise self._wrong("E623", told)
        if size:
            sizes[len(sizes) - len(size) :] = size
        if 0 in sizes:
            raise self._wrong(
                "E623",
                f'the size of input "{value.name}" is open on axis {sizes.index(0)}',
                "--input H W chooses it",
            )
        if math.prod(sizes) >= 2**31:
            raise self._wrong("E623", f'input "{value.name}" is larger than a blob can be')
        return tuple(sizes)

    def _outputs(self) -> dict[str, str]:
        """Gives the blobs of the outputs their names, where they may have them."""
        outputs: dict[str, str] = {}
        layers = self.builder.net.layer
        inputs = {name for layer in layers if layer.type == "Input" for name in layer.top}
        for value in self.graph.output:
            found = self.known.get(value.name)
            if isinstance(found, np.ndarray):
                found = self.builder.add_constant(value.name, found)
                self.known[value.name] = found
            if not isinstance(found, Blob):
                raise self._wrong("E622", f'output "{value.name}" is made by no node that is read')
            name = found.name
            taken = set(outputs.values()) | inputs
            made = {top for layer in layers for top in layer.top}
            if name != value.name and name not in taken and value.name not in made:
                self.builder.rename(name, value.name)
                for other in self.known.values():
                    if isinstance(other, Blob) and other.name == name:
                        other.name = value.name
                name = value.name
            outputs[value.name] = name
        return outputs

    # ---- nodes

    def _read(self, node: NodeProto) -> None:
        """Adds what a node stands for, and notes why if it cannot be."""
        inputs = [self.known.get(name) if name else None for name in node.input]
        lost = any(name and self.known.get(name) is None for name in node.input)
        for name in node.output:
            self.known.setdefault(name, None)
        if lost:
            return  # an earlier node could not be read, and that was reported
        try:
            found = self._made(node, inputs)
        except Unreadable as error:
            self.problems.append(
                Diagnostic("E622", f"{_title(node)} cannot be read: {error}", (place(self.file),))
            )
            return
        for name, result in zip(node.output, found, strict=False):
            if isinstance(result, Blob):
                if id(result) in self.given:  # another name for the same blob
                    result.uses += self.uses[name] - any(result is known for known in inputs)
                else:
                    result.uses = self.uses[name]
                    self.given.add(id(result))
            self.known[name] = result

    def _made(self, node: NodeProto, inputs: list[Known]) -> Sequence[Known]:
        if node.domain not in _STANDARD:
            raise Unreadable(f"it is of the domain {node.domain}")
        if node.op_type in ("Shape", "Size") and isinstance(inputs[0], Blob):
            return [self._measured(node, inputs[0])]
        if self.folder.can_fold(node) and not any(isinstance(value, Blob) for value in inputs):
            given = [value if isinstance(value, np.ndarray) else None for value in inputs]
            return self.folder.fold(node, given)
        if node.op_type == "If":
            return self._chosen(node, inputs)
        reader = node_reader(node.op_type)
        if reader is None:
            raise Unreadable(UNREADABLE.get(node.op_type, "no layer stands for this operator"))
        name = self._name(node)
        readers = [self.readers.get(output, []) for output in node.output]
        place = Node(node, inputs, self.builder, self.opset, name, readers)
        try:
            with np.errstate(all="ignore"):
                made = reader(place)
        except _MISFITS as error:
            raise Unreadable(f"its inputs or attributes do not fit together ({error})") from None
        return made if isinstance(made, list) else [made]

    def _name(self, node: NodeProto) -> str:
        """Returns a readable name for the node, unless another value has that one."""
        value = node.output[0] if node.output else node.name
        name = readable(value, node.op_type)
        if name != value and name in self.uses:
            return readable(value, "")
        return name

    def _chosen(self, node: NodeProto, inputs: list[Known]) -> Sequence[Known]:
        """Reads the branch that a condition known beforehand chooses."""
        condition = inputs[0]
        if not isinstance(condition, np.ndarray):
            raise Unreadable("its condition depends on the input")
        wanted = "then_branch" if condition.reshape(-1)[0] else "else_branch"
        branch = next(a.g for a in node.attribute if a.name == wanted)
        for tensor in branch.initializer:
            self.known[tensor.name] = tensor_array(tensor, self.file)
        for inner in branch.node:
            self._read(inner)
        return [self.known.get(output.name) for output in branch.output]

    def _measured(self, node: NodeProto, blob: Blob) -> np.ndarray:
        if node.op_type == "Size":
            return np.array(math.prod(blob.shape), np.int64)
        attributes: dict[str, Any] = {a.name: a.i for a in node.attribute}
        part = blob.shape[attributes.get("start", 0) : attributes.get("end")]
        return np.array(part, np.int64)


def _title(node: NodeProto) -> str:
    name = node.name or (node.output[0] if node.output else "")
    return f'{node.op_type} "{name}"'
