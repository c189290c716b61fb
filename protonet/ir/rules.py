"""Which layers belong to a phase: include and exclude rules (Caffe's NetStateRule)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from protonet.ir.protonet_pb2 import LayerParameter, NetParameter, NetState, NetStateRule
from protonet.prototxt.diagnostics import Diagnostic
from protonet.prototxt.source import Path, SourceMap

__all__ = ["filter_net", "layer_is_in", "net_state", "rule_matches"]


def net_state(
    net: NetParameter, phase: int, level: int = 0, stages: Iterable[str] = ()
) -> NetState:
    """Returns the state that a net is built for: the stages in its file and those asked for.

    Its level is the one asked for, whatever the file says, as in Caffe.
    """
    state = NetState(phase=cast(Any, phase), level=level, stage=net.state.stage)
    state.stage.extend(stages)
    return state


def rule_matches(rule: NetStateRule, state: NetState) -> bool:
    """Says whether the state has the rule's phase, level and stages.

    Every condition that is given must hold: phase equal, min_level ≤ level ≤ max_level, each
    `stage` present, no `not_stage` present.
    """
    return (
        (not rule.HasField("phase") or rule.phase == state.phase)
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and all(stage in state.stage for stage in rule.stage)
        and not any(stage in state.stage for stage in rule.not_stage)
    )


def layer_is_in(layer: LayerParameter, state: NetState) -> bool:
    """Says whether a layer belongs to the state: any include rule, or no exclude rule, matches."""
    if layer.include:
        return any(rule_matches(rule, state) for rule in layer.include)
    return not any(rule_matches(rule, state) for rule in layer.exclude)


def filter_net(
    net: NetParameter, state: NetState, source: SourceMap
) -> tuple[NetParameter, SourceMap, list[Diagnostic]]:
    """Keeps the layers of this state; the net's own state becomes it.

    A layer with both include and exclude rules is an error (E105).
    """
    kept = NetParameter()
    for field, value in net.ListFields():
        if field.name in ("layer", "state"):
            continue
        if isinstance(value, str | int | float):
            setattr(kept, field.name, value)
        else:
            getattr(kept, field.name).MergeFrom(value)
    kept.state.CopyFrom(state)
    moves: dict[Path, Path] = {}
    diagnostics = []
    for index, layer in enumerate(net.layer):
        if layer.include and layer.exclude:
            diagnostics.append(
                Diagnostic(
                    "E105",
                    f'layer "{layer.name}" has both include and exclude rules',
                    (
                        source.key_span(("layer", index, "exclude", 0)),
                        source.key_span(("layer", index, "include", 0)),
                    ),
                    help="an include rule already excludes all else: keep one kind",
                )
            )
        if layer_is_in(layer, state):
            moves["layer", len(kept.layer)] = ("layer", index)
            kept.layer.append(layer)
    return kept, source.remapped(moves), diagnostics
