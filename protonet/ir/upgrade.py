"""Bringing nets and solvers of all of Caffe's generations into the current format.

The steps, in Caffe's order: V0 layers to V1, transform fields of V1 data layers, V1 layers to
the current format, inputs to an Input layer, BatchNorm's parameters, and a solver's type.

Codes: E120 two generations of layers in one net; I102 to I107 tell what was upgraded (see the
modules of the steps).
"""

from __future__ import annotations

from protonet.prototxt.diagnostics import Diagnostic
from protonet.prototxt.source import Path, SourceMap

from .protonet_pb2 import NetParameter, SolverParameter
from .trail import Trail
from .upgrade_current import upgrade_batch_norm, upgrade_inputs
from .upgrade_solver_type import upgrade_solver_type
from .upgrade_v0 import has_v0_layers, upgrade_v0
from .upgrade_v1 import upgrade_data_transform, upgrade_v1

__all__ = ["upgrade_net", "upgrade_solver"]


def upgrade_net(
    net: NetParameter, source: SourceMap
) -> tuple[NetParameter, SourceMap, list[Diagnostic]]:
    """Upgrade a net; the net that is given stays as it is.

    Returns the net in the current format, the source map that finds its fields in the original
    text, and one note for each kind of upgrade. With an error among these the net is as far as
    it got.
    """
    trail = Trail(source)
    upgraded = NetParameter()
    upgraded.CopyFrom(net)
    return _upgraded(upgraded, trail), trail.source, trail.diagnostics


def upgrade_solver(
    solver: SolverParameter, source: SourceMap
) -> tuple[SolverParameter, SourceMap, list[Diagnostic]]:
    """Upgrade a solver and the nets that are written inside it; as `upgrade_net`."""
    upgraded = SolverParameter()
    upgraded.CopyFrom(solver)
    trail = Trail(source)
    upgrade_solver_type(upgraded, trail)
    for inner, path in _inner_nets(upgraded):
        inner_trail = Trail(trail.source, path)
        inner.CopyFrom(_upgraded(inner, inner_trail))
        trail.source = inner_trail.source
        trail.diagnostics += inner_trail.diagnostics
    return upgraded, trail.source, trail.diagnostics


def _upgraded(net: NetParameter, trail: Trail) -> NetParameter:
    """Upgrade a net that may be changed; returns it, or the one that takes its place."""
    if net.layer and net.layers:
        trail.say(
            "E120",
            "a net cannot have both `layer` and `layers`",
            ("layers", 0),
            also=(("layer", 0),),
            help='`layers` is the older form: write all layers as `layer { type: "..." }`',
        )
        return net
    if has_v0_layers(net):
        net = upgrade_v0(net, trail)
    if net.layers and not trail.failed:
        upgrade_data_transform(net, trail)
        upgrade_v1(net, trail)
    if net.input and not trail.failed:
        upgrade_inputs(net, trail)
    upgrade_batch_norm(net, trail)
    return net


def _inner_nets(solver: SolverParameter) -> list[tuple[NetParameter, Path]]:
    nets: list[tuple[NetParameter, Path]] = []
    if solver.HasField("net_param"):
        nets.append((solver.net_param, ("net_param",)))
    if solver.HasField("train_net_param"):
        nets.append((solver.train_net_param, ("train_net_param",)))
    nets += [(net, ("test_net_param", i)) for i, net in enumerate(solver.test_net_param)]
    return nets
