"""Parameters that layers share by name (`param { name: … }`), as Caffe's Net does it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protonet.ir.protonet_pb2 import ParamSpec
from protonet.layers.base import Shape, shape_text

if TYPE_CHECKING:
    from .graph import Graph

__all__ = ["LearnableParameter", "share_parameters"]


@dataclass
class LearnableParameter:
    """One blob that solvers update: the layers' parameters that are this blob."""

    shape: Shape
    name: str  # "" if it is not shared by name
    uses: list[tuple[int, int]]  # (node, parameter index); the owner first
    lr_mult: float
    decay_mult: float


_ANY_SPEC = ParamSpec()


def share_parameters(graph: Graph) -> None:
    """Fills graph.learnable and reports shapes and multipliers that do not agree."""
    named: dict[str, LearnableParameter] = {}
    given: dict[tuple[str, str], bool] = {}
    for node_index, node in enumerate(graph.nodes):
        if node.parameters is None:
            continue
        specs = node.param.param
        if len(specs) > len(node.parameters):
            graph.report(
                "E109",
                f"{len(specs)} param for a layer of {len(node.parameters)} parameter blobs",
                (*node.path, "param", len(node.parameters)),
                notes=(node.title,),
            )
            continue
        for index, wanted in enumerate(node.parameters):
            spec = specs[index] if index < len(specs) else _ANY_SPEC
            owner = named.get(spec.name) if spec.name else None
            if owner is None:
                learnable = LearnableParameter(
                    wanted.shape, spec.name, [(node_index, index)], spec.lr_mult, spec.decay_mult
                )
                if not wanted.learnable:
                    learnable.lr_mult = learnable.decay_mult = 0.0
                graph.learnable.append(learnable)
                if spec.name:
                    named[spec.name] = learnable
                for what in ("lr_mult", "decay_mult"):
                    given[spec.name, what] = spec.HasField(what)
                continue
            owner.uses.append((node_index, index))
            path = (*node.path, "param", index)
            first = graph.nodes[owner.uses[0][0]]
            if spec.share_mode == ParamSpec.PERMISSIVE:
                fits = math.prod(wanted.shape) == math.prod(owner.shape)
            else:
                fits = wanted.shape == owner.shape
            if not fits:
                graph.report(
                    "E110",
                    f'parameter "{spec.name}" is {shape_text(owner.shape)} in layer '
                    f'"{first.param.name}" but {shape_text(wanted.shape)} here',
                    (*path, "name"),
                    notes=(node.title,),
                    also=((*first.path, "param", owner.uses[0][1]),),
                    help="share_mode: PERMISSIVE shares blobs of equal count, "
                    "otherwise the shapes must be equal",
                )
            for what in ("lr_mult", "decay_mult"):
                if not spec.HasField(what):
                    continue
                here, there = getattr(spec, what), getattr(owner, what)
                if given[spec.name, what] and here != there:
                    graph.report(
                        "E111",
                        f'shared parameter "{spec.name}" has {what} {there:g} in layer '
                        f'"{first.param.name}" and {here:g} here',
                        (*path, what),
                        notes=(node.title,),
                        help="give it once, or the same number everywhere",
                    )
                setattr(owner, what, here)
                given[spec.name, what] = True
