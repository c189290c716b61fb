"""Drawing nets, as pycaffe's caffe.draw does: layers as boxes, blobs as octagons."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from protonet.ir.files import atomic_write
from protonet.ir.upgrade import upgrade_net
from protonet.prototxt.source import SourceMap

from .errors import CaffeError
from .graph_picture import Edge, GraphPicture, Node
from .proto import caffe_pb2

__all__ = [
    "BLOB_STYLE", "LAYER_STYLE_DEFAULT", "NEURON_LAYER_STYLE", "Facts",
    "choose_color_by_layertype", "draw_net", "draw_net_to_file", "get_edge_label",
    "get_layer_label", "get_layer_lr_mult", "get_pooling_types_dict", "get_pydot_graph",
    "net_picture",
]  # fmt: skip

LAYER_STYLE_DEFAULT = {"shape": "box", "fillcolor": "#6495ED", "style": "filled"}
NEURON_LAYER_STYLE = {"shape": "box", "fillcolor": "#90EE90", "style": "filled"}  # works in place
BLOB_STYLE = {"shape": "octagon", "fillcolor": "#E0E0E0", "style": "filled"}
_COLORS = {
    "Convolution": "#FF5050",
    "Deconvolution": "#FF5050",
    "Pooling": "#FF9900",
    "InnerProduct": "#CC33FF",
}


@dataclass(frozen=True)
class Facts:
    """What is known of a net besides its text: a line for each blob and layer, by name."""

    blobs: Mapping[str, str] = field(default_factory=dict)
    layers: Mapping[str, str] = field(default_factory=dict)


def get_pooling_types_dict() -> dict[int, str]:
    """Returns the names of the ways of pooling by their numbers."""
    return {number: name for name, number in caffe_pb2.PoolingParameter.PoolMethod.items()}


def get_edge_label(layer: Any) -> str:
    """Returns what is written at the arrows to a layer's tops: how many channels, or examples."""
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in ("Convolution", "Deconvolution"):
        return str(layer.convolution_param.num_output)
    if layer.type == "InnerProduct":
        return str(layer.inner_product_param.num_output)
    return ""


def get_layer_lr_mult(layer: Any) -> float:
    """Returns the learning rate multiplier of a layer's weights; 1 if it learns nothing."""
    if layer.type in ("Convolution", "Deconvolution", "InnerProduct") and layer.param:
        return float(layer.param[0].lr_mult)
    return 1.0


def get_layer_label(layer: Any, rankdir: str, display_lrm: bool = False) -> str:
    """Returns what is written in a layer's box."""
    return "\n".join(_layer_lines(layer, rankdir, display_lrm))


def _layer_lines(layer: Any, rankdir: str, display_lrm: bool) -> list[str]:
    lines = [layer.name, f"({layer.type})"]
    if layer.type in ("Convolution", "Deconvolution"):
        settings = layer.convolution_param
        for words, name, default in (
            ("kernel size", "kernel", 1), ("stride", "stride", 1), ("pad", "pad", 0),
        ):  # fmt: skip
            lines.append(f"{words}: {_window_size(settings, name, default)}")
    elif layer.type == "Pooling":
        settings = layer.pooling_param
        method = get_pooling_types_dict()[settings.pool]
        lines[1] = f"({method} Pooling)"
        if settings.global_pooling:
            lines.append("global")
        else:
            for words, name, default in (
                ("kernel size", "kernel", 1), ("stride", "stride", 1), ("pad", "pad", 0),
            ):  # fmt: skip
                lines.append(f"{words}: {_window_size(settings, name, default)}")
    if display_lrm and layer.type in ("Convolution", "Deconvolution", "InnerProduct"):
        lines.append(f"lr mult: {get_layer_lr_mult(layer):g}")
    return lines if rankdir in ("TB", "BT") else [" ".join(lines[:2]), *lines[2:]]


def _window_size(settings: Any, name: str, default: int) -> str:
    """Returns kernel, stride or pad, whichever way it is written."""
    given = getattr(settings, "kernel_size" if name == "kernel" else name)
    if isinstance(given, int):
        sizes = [given] if settings.HasField("kernel_size" if name == "kernel" else name) else []
    else:
        sizes = list(given)
    sides = [f"{name}_h", f"{name}_w"]
    if not sizes and all(settings.HasField(side) for side in sides):
        sizes = [getattr(settings, side) for side in sides]
    return "×".join(map(str, sizes or [default]))


def choose_color_by_layertype(layertype: str) -> str:
    """Returns the colour of a layer's box."""
    return _COLORS.get(layertype, LAYER_STYLE_DEFAULT["fillcolor"])


def net_picture(
    caffe_net: Any,
    rankdir: str = "LR",
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
    facts: Facts | None = None,
) -> GraphPicture:
    """Returns a net's picture; of the layers of one phase, if that is given.

    A layer that works in place stands beside its blob, with arrows there and back.
    """
    facts = facts or Facts()
    net = caffe_pb2.NetParameter()
    net.CopyFrom(caffe_net)
    net, _, _ = upgrade_net(net, SourceMap())
    picture = GraphPicture(net.name or "Net", rankdir)

    def blob(name: str) -> str:
        node = f"{name}_blob"
        if node not in picture.nodes:
            lines = (name, facts.blobs[name]) if name in facts.blobs else (name,)
            picture.nodes[node] = Node(node, lines, BLOB_STYLE["fillcolor"], is_octagon=True)
        return node

    for index, layer in enumerate(net.layer):
        if phase is not None and not _is_in(layer, phase):
            continue
        bottoms = [blob(name) for name in layer.bottom]
        in_place = len(layer.top) == 1 and list(layer.bottom) == list(layer.top)
        color = choose_color_by_layertype(layer.type)
        if in_place:
            color = NEURON_LAYER_STYLE["fillcolor"]
        lines = _layer_lines(layer, rankdir, display_lrm)
        if layer.name in facts.layers:
            lines.append(facts.layers[layer.name])
        name = f"{layer.name}_{layer.type}"
        if name in picture.nodes:  # the same layer once more, for another phase
            name = f"{name}_{index}"
        picture.nodes[name] = Node(name, tuple(lines), color)
        picture.edges += [Edge(bottom, name) for bottom in bottoms]
        label = get_edge_label(layer) if label_edges else ""
        picture.edges += [Edge(name, blob(top), label) for top in layer.top]
    return picture


def _is_in(layer: Any, phase: int) -> bool:
    """Says whether a layer's rules, as far as they name a phase, let it into this one."""
    if layer.include and layer.exclude:
        raise ValueError(f"layer {layer.name} has both include and exclude specified.")
    if layer.include:
        return any(not rule.HasField("phase") or rule.phase == phase for rule in layer.include)
    return not any(rule.HasField("phase") and rule.phase == phase for rule in layer.exclude)


def get_pydot_graph(
    caffe_net: Any,
    rankdir: str,
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> Any:
    """Returns the picture as a pydot.Dot; CaffeError if pydot is not installed."""
    try:
        import pydot
    except ImportError:
        raise CaffeError("get_pydot_graph needs pydot: pip install 'protonet[draw]'") from None
    text = net_picture(caffe_net, rankdir, label_edges, phase, display_lrm).dot()
    graphs: Any = pydot.graph_from_dot_data(text)
    return graphs[0]


def draw_net(
    caffe_net: Any,
    rankdir: str,
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
) -> bytes:
    """Returns a net's drawing as the bytes of a file of the form `ext`."""
    return net_picture(caffe_net, rankdir, True, phase, display_lrm).drawn(ext)


def draw_net_to_file(
    caffe_net: Any,
    filename: str | os.PathLike[str],
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """Draws a net into a file, in the form that its name ends with."""
    form = os.fspath(filename).rpartition(".")[2]
    drawing = draw_net(caffe_net, rankdir, form, phase, display_lrm)
    with atomic_write(filename) as stream:
        stream.write(drawing)
