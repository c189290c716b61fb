"""The network as a graph: layers resolved, joined by blobs, with every shape inferred.

Nothing is allocated. `protonet check` and `summary` read the graph; Net lowers it. All that is
wrong is collected; after an error the shapes that depend on it are None, and what needs them
is left unjudged, so that one mistake is reported once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from protonet.fillers import judge
from protonet.ir.protonet_pb2 import LayerParameter, NetParameter, NetState
from protonet.ir.rules import filter_net
from protonet.ir.splits import insert_splits
from protonet.layers.base import Layer, LayerError, Parameter, Shape, shape_text
from protonet.layers.registry import layer_class, layer_types
from protonet.prototxt.diagnostics import Diagnostic, Severity, nearest
from protonet.prototxt.source import Path, SourceMap

from .resolve import resolve
from .sharing import LearnableParameter, share_parameters

__all__ = ["Graph", "Node", "build_graph", "layer_diagnostic"]

AUTOMATIC_TOP = "(automatic)"


@dataclass
class Node:
    """A layer in its place: the ids of its blobs, and what was inferred."""

    param: LayerParameter
    path: Path
    layer: Layer | None  # None: its type or parameters are wrong
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
    producers: list[int] = field(default_factory=list)  # the node that first made each blob
    learnable: list[LearnableParameter] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return any(d.severity is Severity.ERROR for d in self.diagnostics)

    def blob_id(self, name: str) -> int | None:
        """Returns the id of the blob of that name, or None."""
        try:
            return self.blob_names.index(name)
        except ValueError:
            return None

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
        spans = tuple(self.source.span(p) for p in (path, *also))
        self.diagnostics.append(Diagnostic(code, message, spans, label, notes, help))


def build_graph(
    net: NetParameter,
    source: SourceMap,
    state: NetState,
    known_inputs: dict[str, Shape] | None = None,
) -> Graph:
    """Resolves and infers an upgraded net for one phase; the graph holds all diagnostics.

    `known_inputs` overrides the shapes of blobs that Input or data layers make.
    """
    kept, source, diagnostics = filter_net(net, state, source)
    graph = Graph(net.name, state, kept, source, diagnostics=diagnostics)
    if graph.failed:
        return graph
    resolve(graph)
    if graph.failed:
        # The joints are wrong: layers are still judged one by one, shapes are not.
        for index, param in enumerate(kept.layer):
            _create(graph, param, ("layer", index))
        return graph
    graph.net, graph.source = insert_splits(kept, source)
    ids: dict[str, int] = {}
    for index, param in enumerate(graph.net.layer):
        node = _place(graph, ids, param, ("layer", index))
        _infer(graph, node, known_inputs or {})
    share_parameters(graph)
    return graph


def _place(graph: Graph, ids: dict[str, int], param: LayerParameter, path: Path) -> Node:
    """Adds a node and the blobs that it makes."""
    made = layer_class(param.type)
    missing = (made.automatic_tops if made else 0) - len(param.top)
    bottoms = [ids[name] for name in param.bottom]
    tops = []
    for position, name in enumerate([*param.top, *[AUTOMATIC_TOP] * missing]):
        in_place = position < len(param.bottom) and param.bottom[position] == name
        if in_place:
            tops.append(ids[name])
            continue
        graph.blob_names.append(name)
        graph.blob_shapes.append(None)
        graph.producers.append(len(graph.nodes))
        tops.append(len(graph.blob_names) - 1)
        if name != AUTOMATIC_TOP:
            ids[name] = tops[-1]
    node = Node(param, path, _create(graph, param, path), bottoms, tops)
    graph.nodes.append(node)
    return node


def _create(graph: Graph, param: LayerParameter, path: Path) -> Layer | None:
    """Makes the layer object, or reports why it cannot be."""
    made = layer_class(param.type)
    if made is None:
        near = nearest(param.type, layer_types())
        graph.report(
            "E101",
            f'unknown layer type "{param.type}"' if param.type else "the layer has no type",
            (*path, "type"),
            notes=(f'layer "{param.name}"',),
            help=f'did you mean "{near}"?' if near else "`protonet layers` lists the known types",
        )
        return None
    if not _counts_fit(graph, made, param, path):
        return None
    try:
        return made(param, graph.state.phase)
    except LayerError as error:
        node = Node(param, path, None, [], [])
        graph.diagnostics.append(layer_diagnostic(graph, node, error))
        return None


def _counts_fit(graph: Graph, made: type[Layer], param: LayerParameter, path: Path) -> bool:
    """Judges the numbers of bottoms, tops, loss weights and propagate_down flags."""
    title = f'layer "{param.name}" ({param.type})'
    before = len(graph.diagnostics)
    for what, names, allowed in (
        ("bottom", param.bottom, made.bottoms),
        ("top", param.top, made.tops),
    ):
        count = len(names)
        if what == "top":
            count = max(count, made.automatic_tops)
        if count not in allowed:
            graph.report(
                "E104",
                f"{title} takes {allowed} {what}{'' if str(allowed) == '1' else 's'}, not {count}",
                (*path, what, count - 1) if count > allowed.least else path,
            )
    if made.equal_bottoms_and_tops and len(param.bottom) != len(param.top):
        graph.report(
            "E104",
            f"{title} takes as many tops as bottoms, "
            f"not {len(param.bottom)} bottoms and {len(param.top)} tops",
            path,
        )
    if param.propagate_down and len(param.propagate_down) != len(param.bottom):
        graph.report(
            "E107",
            f"{len(param.propagate_down)} propagate_down for {len(param.bottom)} bottoms",
            (*path, "propagate_down", 0),
            notes=(title,),
            help="write it once for each bottom, or not at all",
        )
    tops = max(len(param.top), made.automatic_tops)
    if param.loss_weight and len(param.loss_weight) != tops:
        graph.report(
            "E108",
            f"{len(param.loss_weight)} loss_weight for {tops} tops",
            (*path, "loss_weight", 0),
            notes=(title,),
            help="write it once for each top, or not at all",
        )
    for position, name in enumerate(param.top):
        same = position < len(param.bottom) and param.bottom[position] == name
        if same and not made.in_place:
            graph.report(
                "E106",
                f"{param.type} cannot work in place",
                (*path, "top", position),
                notes=(title,),
                help="give the top a name of its own",
            )
    return len(graph.diagnostics) == before


def _infer(graph: Graph, node: Node, known_inputs: dict[str, Shape]) -> None:
    node.bottom_shapes = [graph.blob_shapes[i] for i in node.bottoms]
    node.top_shapes = [None] * len(node.tops)
    known = [shape for shape in node.bottom_shapes if shape is not None]
    if node.layer is not None and len(known) == len(node.bottoms):
        try:
            node.top_shapes = list(node.layer.infer(known))
            node.parameters = node.layer.parameters(known)
            _judge_fillers(node.parameters)
        except LayerError as error:
            graph.diagnostics.append(layer_diagnostic(graph, node, error))
    for position, blob in enumerate(node.tops):
        name = graph.blob_names[blob]
        if name in known_inputs and not node.bottoms:
            node.top_shapes[position] = known_inputs[name]
        graph.blob_shapes[blob] = node.top_shapes[position]


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
        (graph.source.span(place),),
        error.label,
        (node.title + _bottoms_text(graph, node),),
        error.help,
    )


def _bottoms_text(graph: Graph, node: Node) -> str:
    """Tells each bottom's shape and where it was made."""
    parts = []
    for blob, shape in zip(node.bottoms, node.bottom_shapes, strict=False):
        if shape is None:
            continue
        producer = graph.nodes[graph.producers[blob]]
        line = graph.source.span(producer.path).line
        parts.append(
            f', bottom "{graph.blob_names[blob]}" is {shape_text(shape)}, made at line {line}'
        )
    return "".join(parts)
