"""What holds for every layer type: right gradients, and none that reach into foreign memory."""

from __future__ import annotations

import pytest
from gradient_check import check_gradients, layer_net
from layer_examples import ARRAYS_ARE_NOT_ENOUGH, Example, all_examples, examples_of

from protonet.layers.registry import layer_types

# Their tops are no smooth function of anything, so that nothing is ever learned through them.
NO_GRADIENT = {
    "Accuracy", "ArgMax", "DetectionEvaluate", "DetectionOutput", "Downsample", "DummyData",
    "EvalDetection", "Input", "PriorBox", "Proposal", "Silence", "Threshold", "YoloDetectionOutput",
}  # fmt: skip


@pytest.mark.parametrize("type", sorted(set(layer_types()) - ARRAYS_ARE_NOT_ENOUGH - NO_GRADIENT))
def test_every_differentiable_type_is_checked_with_two_parameterisations(type: str) -> None:
    assert len({(e.settings, len(e.bottoms), str(e)) for e in examples_of(type)}) >= 2


@pytest.mark.parametrize(
    "example", [e for e in all_examples() if e.type not in NO_GRADIENT], ids=str
)
def test_gradients_are_those_of_the_values(example: Example) -> None:
    tops = [f"y{i}" for i in range(example.tops)]
    check_gradients(
        example.text, phase=example.phase, tops=tops[: example.counted],
        parameters=example.parameters, **example.inputs,
    )  # fmt: skip


@pytest.mark.parametrize(
    "example", [e for e in all_examples() if e.type not in NO_GRADIENT], ids=str
)
def test_a_backward_pass_needs_no_forward_pass_since_the_last_reshape(example: Example) -> None:
    net = layer_net(example.text, example.inputs, phase=example.phase)
    net.backward()
    net.forward()
    net.reshape()
    net.backward()
