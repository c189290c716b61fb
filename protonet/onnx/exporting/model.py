"""From a Net to an ONNX model: layer after layer, all that cannot be said reported at once.

Codes: E601 a layer that ONNX cannot express, E602 one that needs a fixed batch, E603 a model that
ONNX's own checker refuses, E604 an input without a shape, E605 a net without outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from protonet.check.graph import AUTOMATIC_TOP, Graph, layer_diagnostic
from protonet.extras import import_extra
from protonet.layers.base import Layer, LayerError
from protonet.prototxt import format_text
from protonet.prototxt.diagnostics import Diagnostic, Error

from .place import Inexpressible, Place
from .registry import REFUSED, layer_writer
from .sizes import free_axes
from .values import Dims, Free, Value
from .writer import DOMAIN, Writer

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

    from protonet.net import Net

__all__ = ["DEFAULT_OPSET", "LEAST_OPSET", "MOST_OPSET", "Exported", "export_net"]

LEAST_OPSET, DEFAULT_OPSET, MOST_OPSET = 13, 17, 21


@dataclass
class Exported:
    """An ONNX model, and which of its values is which blob of the net."""

    model: ModelProto
    values: dict[tuple[int, int], str] = field(default_factory=dict)  # node, top → value
    outputs: dict[str, str] = field(default_factory=dict)  # blob → output
    dynamic: bool = False  # any batch
    has_custom: bool = False


def export_net(
    net: Net,
    *,
    opset: int = DEFAULT_OPSET,
    dynamic: bool = False,
    custom: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> Exported:
    """Writes a net with its parameters as an ONNX model.

    `dynamic` leaves the batch (axis 0 of the inputs) open. `custom` writes layers that ONNX has
    no words for as operators of the domain org.protonet. Raises Error with everything that cannot
    be expressed, each at its place in the net's text.
    """
    return _Export(net, opset, dynamic, custom).run(dict(metadata or {}))


class _Export:
    def __init__(self, net: Net, opset: int, dynamic: bool, custom: bool) -> None:
        self.graph: Graph = net.graph
        self.layers: list[Layer] = net.layers
        self.dynamic, self.custom = dynamic, custom
        self.writer = Writer(opset)
        self.writer.names.update(self.graph.blob_names)
        self.tops, self.problems = free_axes(self.graph, dynamic)
        self.values: dict[int, Value] = {}  # by blob, as it is at this place of the net
        self.versions: dict[tuple[int, int], Value] = {}
        self.inputs: dict[str, Dims] = {}

    def run(self, metadata: dict[str, str]) -> Exported:
        for index, node in enumerate(self.graph.nodes):
            made = self._written(index)
            for top, (blob, value, dims) in enumerate(
                zip(node.tops, made, self.tops[index], strict=True)
            ):
                self.versions[index, top] = value
                self.values[blob] = Value(self.writer, value.name, dims)
        if self.problems:
            raise Error(*self.problems)
        names, outputs = self._names()
        if not outputs:
            raise Error(Diagnostic("E605", f'the net "{self.graph.name}" has no outputs to export'))
        model = self._model(names, outputs, metadata)
        found = {place: names.get(value.name, value.name) for place, value in self.versions.items()}
        return Exported(model, found, outputs, self.dynamic, self.writer.has_custom)

    # ---- layers

    def _written(self, index: int) -> list[Value]:
        """Returns the values of a node's tops; after a problem, values that stand for them."""
        node, layer = self.graph.nodes[index], self.layers[index]
        tops = self.tops[index]
        if node.param.type == "Input":
            return [self._input(node.param.top[top], dims, index) for top, dims in enumerate(tops)]
        bottoms = [self.values[blob] for blob in node.bottoms]
        self.writer.prefix = node.param.name
        try:
            place = Place(self.writer, layer, bottoms, tops)
            writer = layer_writer(node.param.type)
            if writer is None:
                return self._custom(place)
            made = writer(place)
            return made if isinstance(made, list) else [made]
        except Inexpressible as error:
            reason = LayerError(
                f"{node.param.type} cannot be written as ONNX: {error.reason}",
                field=error.field, code="E601",
            )  # fmt: skip
            self.problems.append(layer_diagnostic(self.graph, node, reason))
            return [Value(self.writer, "", dims) for dims in tops]

    def _input(self, name: str, dims: Dims, index: int) -> Value:
        if 0 in dims:
            node = self.graph.nodes[index]
            reason = LayerError(f'input "{name}" has no shape', code="E604", field=("top", 0))
            self.problems.append(layer_diagnostic(self.graph, node, reason))
        self.inputs[name] = dims
        return Value(self.writer, name, dims)

    def _custom(self, at: Place) -> list[Value]:
        """Writes a layer as an operator of our own domain, its settings as text."""
        type = at.param.type
        if not self.custom or not at.bottoms:
            raise Inexpressible(REFUSED.get(type, "protonet does not know how"))
        blobs = [at.weight(number) for number in range(len(at.blobs))]
        return at.writer.ops(
            type, len(at.tops), *at.bottoms, *blobs, domain=DOMAIN, param=format_text(at.param)
        )

    # ---- names

    def _names(self) -> tuple[dict[str, str], dict[str, str]]:
        """Returns new names of values, and the output of each blob that is one.

        The last value of a blob has the blob's name; what it was before a layer worked in place
        has the layer's name behind it.
        """
        last: dict[str, tuple[int, int]] = {}
        wanted = set(self.graph.outputs)
        for index, node in enumerate(self.graph.nodes):
            for top, blob in enumerate(node.tops):
                name = self.graph.blob_names[blob]
                if node.param.type != "Split" or name in wanted:
                    last[name] = index, top
        constants = {tensor.name for tensor in self.writer.initializers}
        names: dict[str, str] = {}
        outputs: dict[str, str] = {}
        for name, place in last.items():
            value = self.versions[place].name
            is_input = self.graph.nodes[place[0]].param.type == "Input"
            if name == AUTOMATIC_TOP or is_input or (value == name and name not in wanted):
                continue
            target = name
            if name in self.inputs:
                target = self.writer.fresh(f"{name}/{self.graph.nodes[place[0]].param.name}")
            if value in names or value in constants or value in self.inputs:
                self.writer.prefix = self.graph.nodes[place[0]].param.name
                value = self.writer.op("Identity", self.versions[place]).name
                self.versions[place] = Value(self.writer, value)
            names[value] = target
            if name in wanted:
                outputs[name] = target
        for (index, position), version in self.versions.items():
            node = self.graph.nodes[index]
            if version.name not in names and version.name not in constants | set(self.inputs):
                before = self.graph.blob_names[node.tops[position]]
                names[version.name] = self.writer.fresh(f"{before}/{node.param.name}")
        return names, {name: outputs[name] for name in sorted(outputs)}

    # ---- the model

    def _model(
        self, names: dict[str, str], outputs: dict[str, str], metadata: dict[str, str]
    ) -> ModelProto:
        helper: Any = import_extra("onnx.helper", "onnx")
        nodes = self._needed(names, set(outputs.values()))
        used = {name for node in nodes for name in node.input}
        shapes: dict[str, Dims] = {}
        for (index, top), version in self.versions.items():
            shapes[names.get(version.name, version.name)] = self.tops[index][top]
        made = {name for node in nodes for name in node.output}
        infos = [
            self._info(name, dims)
            for name, dims in shapes.items()
            if name in made and name not in outputs.values()
        ]
        graph = helper.make_graph(
            nodes,
            self.graph.name or "net",
            [self._info(name, dims) for name, dims in self.inputs.items()],
            [self._info(name, shapes[name]) for name in outputs.values()],
            [tensor for tensor in self.writer.initializers if tensor.name in used],
            value_info=infos,
        )
        opsets = [helper.make_opsetid("", self.writer.opset)]
        if self.writer.has_custom:
            opsets.append(helper.make_opsetid(DOMAIN, 1))
        from protonet import __version__

        model: ModelProto = helper.make_model(
            graph, opset_imports=opsets, producer_name="protonet", producer_version=__version__,
            ir_version=helper.find_min_ir_version_for(opsets[:1]),
        )  # fmt: skip
        helper.set_model_props(model, metadata)
        return model

    def _needed(self, names: dict[str, str], outputs: set[str]) -> list[Any]:
        """Returns the nodes, renamed, without those whose results nobody reads."""
        for node in self.writer.nodes:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]
            node.name = names.get(node.name, node.name)
        read, kept = set(outputs), []
        for node in reversed(self.writer.nodes):
            if read & set(node.output):
                read.update(node.input)
                kept.append(node)
        return kept[::-1]

    def _info(self, name: str, dims: Dims) -> ValueInfoProto:
        helper: Any = import_extra("onnx.helper", "onnx")
        batch = next(iter(self.inputs.values()), ())[:1]
        sizes: list[int | str | None] = []
        for axis, size in enumerate(dims):
            if not isinstance(size, Free):
                sizes.append(int(size))
            elif self.dynamic and axis == 0 and (size,) == batch:
                sizes.append("batch")
            else:
                sizes.append(None)
        info: ValueInfoProto = helper.make_tensor_value_info(name, 1, sizes)
        return info


def check_model(exported: Exported, file: str) -> None:
    """Raises Error if ONNX's own checker refuses the model."""
    checker: Any = import_extra("onnx.checker", "onnx")
    try:
        checker.check_model(exported.model, full_check=not exported.has_custom)
    except Exception as error:
        raise Error(
            Diagnostic("E603", f"{file}: onnx.checker refuses the model: {error}")
        ) from error
