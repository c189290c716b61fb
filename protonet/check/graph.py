"""The network as a graph: layers resolved, joined by blobs, with every shape inferred.

Nothing is allocated. `protonet check` and `summary` read the graph; Net lowers it. All that is
wrong is collected; after an error the shapes that depend on it are None, and what needs them
is left unjudged, so that one mistake is reported once.

Codes made here: E101 unknown layer type, I110 shapes that cannot be known beforehand. See
resolve.py, counts.py, sizes.py, sharing.py for the others; layers bring their own (E2xx, E4xx).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from protonet.fillers import judge
from protonet.ir.protonet_pb2 import LayerParameter, NetParameter, NetState
from protonet.ir.rules import filter_net
from protonet.ir.splits import insert_splits
from protonet.layers.base import Layer, LayerError, Parameter, Shape, SourceMissing, shape_text
from protonet.layers.registry import layer_class, layer_types
from protonet.prototxt.diagnostics import Diagnostic, Severity, Span, nearest
from protonet.prototxt.source import Path, SourceMap

from .assumed import assumed_shapes
from .counts import counts_fit
from .own_weights import with_own_weights
from .resolve import MOST_GUESSES, resolve
from .sharing import LearnableParameter, share_parameters
from .sizes import judge_sizes

__all__ = ["AUTOMATIC_TOP", "Graph", "Node", "bottoms_text", "build_graph", "layer_diagnostic"]

AUTOMATIC_TOP = "(automatic)"
_TELLING = 5  # so many letters at the beginning of a type say which is meant
FOREIGN_TYPES = frozenset({"Python"})  # their shapes are known only to code outside protonet


@dataclass
class Node:
    """A layer in its place: the ids of its blobs, and what was inferred."""

    param: LayerParameter
    path: Path
    layer: Layer | None  # None: its type or parameters are wrong, or it is a foreign one
    bottoms: list[int]
    tops: list[int]
    bottom_shapes: list[Shape | None] = field(default_factory=list)
    top_shapes: list[Shape | None] = field(default_factory=list)
    parameters: list[Parameter] | None = None  # None: not known

    @property
    def title(self) -> str:
        return f'layer "{self.param.name}" ({self.param.type})'


@dataclass
class Graph:
    """All layers in order of execution and all blobs, by id."""

    name: str
    state: NetState
    net: NetParameter
    source: SourceMap
    nodes: list[Node] = field(default_factory=list)
    blob_names: list[str] = field(default_factory=list)
    blob_shapes: list[Shape | None] = field(default_factory=list)
    producers: list[int] = field(default_factory=list)  # the node that first made each blob; or −1
    learnable: list[LearnableParameter] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return any(d.severity is Severity.ERROR for d in self.diagnostics)

    @property
    def inputs(self) -> list[str]:
        """Names of the blobs that Input layers make."""
        return [
            self.blob_names[top]
            for node in self.nodes
            if node.param.type == "Input"
            for top in node.tops
        ]

    @property
    def outputs(self) -> list[str]:
        """Names of the blobs that no layer consumes, in alphabetical order."""
        left: set[int] = set()
        for node in self.nodes:  # a layer that works in place makes again what it consumed
            left = left - set(node.bottoms) | set(node.tops)
        return sorted({self.blob_names[blob] for blob in left} - {AUTOMATIC_TOP})

    def top_names(self, node: Node) -> list[str]:
        """Returns the names of a node's tops; an automatic one's has the layer's name in it."""
        names = [self.blob_names[top] for top in node.tops]
        return [f"{n} {node.param.name}" if n == AUTOMATIC_TOP else n for n in names]

    def blob_id(self, name: str) -> int | None:
        """Returns the id of the blob of that name, or None."""
        try:
            return self.blob_names.index(name)
        except ValueError:
            return None

    def places(self, *paths: Path) -> tuple[Span, ...]:
        """Returns where these fields stand in the text; nowhere, if the net has none."""
        return tuple(self.source.span(path) for path in paths) if self.source.text else ()

    def report(
        self,
        code: str,
        message: str,
        path: Path,
        *,
        label: str = "",
        notes: tuple[str, ...] = (),
        help: str = "",
        also: tuple[Path, ...] = (),
    ) -> None:
        """Adds a diagnostic at the place of `path`, with further places `also`."""
        spans = self.places(path, *also)
        self.diagnostics.append(Diagnostic(code, message, spans, label, notes, help))


def build_graph(
    net: NetParameter,
    source: SourceMap,
    state: NetState,
    known_inputs: Mapping[str, Shape] | None = None,
    *,
    lenient: bool = False,
    splits: bool = True,
    damaged: Collection[Span] = (),
) -> Graph:
    """Resolves and infers an upgraded net for one phase; the graph holds all diagnostics.

    `known_inputs` overrides the shapes of blobs that Input or data layers make. `lenient` is
    for looking at a net that is not going to run: a data source that is not there is no error,
    its shapes are what the layer's settings tell (I110), those of foreign code are unknown.
    `splits` puts Caffe's Split layers in. Layers whose text, at one of the spans `damaged`,
    could not be read whole stay in their places unjudged.
    """
    kept, source, diagnostics = filter_net(net, state, source)
    graph = Graph(net.name, state, kept, source, diagnostics=diagnostics)
    broken = {
        index
        for index in range(len(kept.layer) if damaged else 0)
        if source.span(("layer", index)) in damaged
    }
    joined = resolve(graph, net, broken)
    if splits and joined and not broken:
        graph.net, graph.source = insert_splits(kept, source)
    builder = _Builder(graph, dict(known_inputs or {}), lenient)
    for index, param in enumerate(graph.net.layer):
        builder.add(param, ("layer", index), index in broken)
    share_parameters(graph)
    return graph


class _Builder:
    """Adds layer after layer to a graph."""

    def __init__(self, graph: Graph, known_inputs: dict[str, Shape], lenient: bool) -> None:
        self.graph, self.known_inputs, self.lenient = graph, known_inputs, lenient
        self.ids: dict[str, int] = {}
        self.meant: dict[str, str | None] = {}  # unknown type → the one that was meant
        self.granted: list[Shape | None] | None = None  # of a layer that could not be made

    def add(self, param: LayerParameter, path: Path, broken: bool) -> None:
        self.granted = None
        layer = None if broken else self._create(param, path)
        node = Node(param, path, layer, [], [])
        self._join(node)
        self.graph.nodes.append(node)
        self._infer(node)

    def _join(self, node: Node) -> None:
        """Gives the node its blobs; an unknown bottom is one without maker and shape."""
        made = layer_class(node.param.type)
        missing = (made.automatic_tops if made else 0) - len(node.param.top)
        for name in node.param.bottom:
            if name not in self.ids:
                self.ids[name] = self._new_blob(name, -1)
            node.bottoms.append(self.ids[name])
        for position, name in enumerate([*node.param.top, *[AUTOMATIC_TOP] * missing]):
            if position < len(node.bottoms) and node.param.bottom[position] == name:
                node.tops.append(node.bottoms[position])
                continue
            node.tops.append(self._new_blob(name, len(self.graph.nodes)))
            if name != AUTOMATIC_TOP:
                self.ids[name] = node.tops[-1]

    def _new_blob(self, name: str, producer: int) -> int:
        self.graph.blob_names.append(name)
        self.graph.blob_shapes.append(None)
        self.graph.producers.append(producer)
        return len(self.graph.blob_names) - 1

    def _create(self, param: LayerParameter, path: Path) -> Layer | None:
        """Makes the layer object, or reports why it cannot be."""
        if self.lenient and param.type in FOREIGN_TYPES:
            self.graph.report(
                "I110",
                f'what layer "{param.name}" makes is known only to its code, '
                "which is not run here: the shapes that follow from it are not judged",
                (*path, "type"),
            )
            return None
        made = layer_class(param.type)
        if made is None:
            self._report_unknown_type(param, path)
            return None
        if not counts_fit(self.graph, made, param, path):
            return None
        node = Node(param, path, None, [], [])
        try:
            layer = made(param, self.graph.state.phase)
        except LayerError as error:
            if self.lenient and isinstance(error, SourceMissing):
                self.granted = self._take_for_granted(node, error)
            else:
                self._complain(node, error)
            return None
        for warning in layer.warnings():
            self._complain(node, warning)
        return layer

    def _infer(self, node: Node) -> None:
        graph = self.graph
        node.bottom_shapes = [graph.blob_shapes[blob] for blob in node.bottoms]
        node.top_shapes = [None] * len(node.tops)
        bottoms = [shape for shape in node.bottom_shapes if shape is not None]
        if node.layer is None and self.granted is not None:
            node.top_shapes, node.parameters = self._overridden(node, self.granted), []
        elif node.layer is not None and len(bottoms) == len(node.bottoms):
            try:
                node.top_shapes = self._inferred(node, node.layer, bottoms)
                node.parameters = node.layer.parameters(bottoms)
                judge_sizes(node)
                node.parameters = with_own_weights(node.param, node.parameters)
                _judge_fillers(node.parameters)
            except LayerError as error:
                self._complain(node, error)
                node.top_shapes, node.parameters = [None] * len(node.tops), None
        for blob, shape in zip(node.tops, node.top_shapes, strict=True):
            graph.blob_shapes[blob] = shape

    def _inferred(self, node: Node, layer: Layer, bottoms: list[Shape]) -> list[Shape | None]:
        """Asks the layer, or takes what the caller knows of an input."""
        unknown: list[Shape | None] = [None] * len(node.tops)
        known = self._overridden(node, unknown)
        if known and None not in known:
            return known
        try:
            return self._overridden(node, list(layer.infer(bottoms)))
        except SourceMissing as error:
            if not self.lenient:
                raise
            return self._overridden(node, self._take_for_granted(node, error))

    def _overridden(self, node: Node, shapes: Sequence[Shape | None]) -> list[Shape | None]:
        """Returns these shapes of a layer's tops, or what the caller knows of an input."""
        if node.bottoms:
            return list(shapes)
        names = [self.graph.blob_names[blob] for blob in node.tops]
        return [self.known_inputs.get(n, shape) for n, shape in zip(names, shapes, strict=True)]

    def _take_for_granted(self, node: Node, error: SourceMissing) -> list[Shape | None]:
        """Returns what the settings tell of data that is not there, and says so."""
        shapes = assumed_shapes(node.param)
        first = shapes[0] if shapes else None
        found = layer_diagnostic(self.graph, node, error)
        self.graph.diagnostics.append(
            Diagnostic(
                "I110",
                found.message
                + (
                    ": the shapes that follow from it are not judged"
                    if first is None
                    else f": its images are taken to be {shape_text(first)}"
                ),
                found.spans,
                notes=found.notes,
                help=found.help,
            )
        )
        return shapes

    def _report_unknown_type(self, param: LayerParameter, path: Path) -> None:
        if param.type not in self.meant:
            guess = len(self.meant) < MOST_GUESSES
            self.meant[param.type] = _nearest_type(param.type) if guess else None
        near = self.meant[param.type]
        self.graph.report(
            "E101",
            f'unknown layer type "{param.type}"' if param.type else "the layer has no type",
            (*path, "type"),
            notes=(f'layer "{param.name}"',),
            help=f'did you mean "{near}"?'
            if near
            else "`protonet layers` lists the known types; a Python package can add others (entry "
            "point group protonet.layers)",
        )

    def _complain(self, node: Node, error: LayerError) -> None:
        self.graph.diagnostics.append(layer_diagnostic(self.graph, node, error))


def _nearest_type(name: str) -> str | None:
    """Returns the type that was meant: the nearest, or else the one with the same beginning."""
    begun = [
        known for known in layer_types() if known[:_TELLING].lower() == name[:_TELLING].lower()
    ]
    return nearest(name, layer_types()) or (begun[0] if len(begun) == 1 else None)


def _judge_fillers(parameters: list[Parameter]) -> None:
    for wanted in parameters:
        if wanted.filler is None:
            continue
        try:
            judge(wanted.filler, wanted.shape)
        except LayerError as error:
            error.field = (*wanted.field, *error.field)
            raise


def layer_diagnostic(graph: Graph, node: Node, error: LayerError) -> Diagnostic:
    """Places a layer's complaint: at the field or the bottom that it names."""
    place: Path = node.path
    if error.field:
        place = (*node.path, *error.field)
    elif error.bottom is not None:
        place = (*node.path, "bottom", error.bottom)
    return Diagnostic(
        error.code,
        error.message,
        graph.places(place),
        error.label,
        (node.title + bottoms_text(graph, node),),
        error.help,
    )


def bottoms_text(graph: Graph, node: Node) -> str:
    """Tells each bottom's shape and where it was made."""
    parts = []
    for blob, shape in zip(node.bottoms, node.bottom_shapes, strict=False):
        if shape is None:
            continue
        producer = graph.nodes[graph.producers[blob]]
        made = "".join(f", made at line {span.line}" for span in graph.places(producer.path))
        parts.append(f', bottom "{graph.blob_names[blob]}" is {shape_text(shape)}{made}')
    return "".join(parts)
