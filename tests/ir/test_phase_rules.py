"""Layers take part in a net by phase, level and stages, as Caffe's rules say."""

from __future__ import annotations

import pytest

from protonet.ir import NetParameter, NetState, filter_net
from protonet.ir.protonet_pb2 import TEST, TRAIN
from protonet.prototxt import parse_text

TRAINING = NetState(phase=TRAIN, level=2, stage=["a", "b"])


def kept(rules: str, state: NetState = TRAINING) -> bool:
    net, source = parse_text(f'layer {{ name: "x" {rules} }}', NetParameter)
    return bool(filter_net(net, state, source)[0].layer)


@pytest.mark.parametrize(
    ("rules", "taken"),
    [
        ("", True),
        ("include {}", True),
        ("exclude {}", False),
        ("include { phase: TRAIN }", True),
        ("include { phase: TEST }", False),
        ("exclude { phase: TEST }", True),
        ("include { min_level: 2 }", True),
        ("include { min_level: 3 }", False),
        ("include { max_level: 2 }", True),
        ("include { max_level: 1 }", False),
        ('include { stage: "a" stage: "b" }', True),
        ('include { stage: "a" stage: "c" }', False),
        ('include { not_stage: "c" }', True),
        ('include { stage: "a" not_stage: "b" }', False),
        ('include { phase: TEST } include { stage: "a" }', True),
        ('exclude { phase: TEST } exclude { stage: "a" }', False),
        ("include { phase: TRAIN max_level: 1 }", False),
    ],
)
def test_a_layer_is_in_if_an_include_or_no_exclude_rule_holds(rules: str, taken: bool) -> None:
    assert kept(rules) == taken


def test_places_follow_the_layers_that_stay() -> None:
    text = 'layer { name: "a" include { phase: TRAIN } }\nlayer { name: "b" }\nforce_backward: true'
    net, source = parse_text(text, NetParameter)
    test, test_source, diagnostics = filter_net(net, NetState(phase=TEST), source)
    assert [layer.name for layer in test.layer] == ["b"]
    assert test_source.span(("layer", 0, "name")).line == 2
    assert test.force_backward
    assert len(net.layer) == 2
    assert not diagnostics


def test_all_parts_of_the_net_stay() -> None:
    net = NetParameter(
        name="n", input=["x"], input_shape=[{"dim": [1]}], input_dim=[1], debug_info=True
    )
    kept_net, _, _ = filter_net(net, TRAINING, parse_text("", NetParameter)[1])
    net.state.CopyFrom(TRAINING)
    assert kept_net == net


def test_both_kinds_of_rules_are_an_error_at_both_places() -> None:
    text = 'layer { name: "a"\ninclude { phase: TRAIN }\nexclude { stage: "x" } }'
    net, source = parse_text(text, NetParameter)
    (diagnostic,) = filter_net(net, TRAINING, source)[2]
    assert diagnostic.code == "E105"
    assert [span.line for span in diagnostic.spans] == [3, 2]
