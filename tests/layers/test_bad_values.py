"""Of every type with labels, marks, indices or true boxes: one that cannot be is refused when the
layer runs, with the layer's name and place, and nothing is read or written beyond an array."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import layer_net
from layer_examples import ARRAYS_ARE_NOT_ENOUGH, Example, examples_of

from protonet import Error
from protonet.layers.registry import layer_class, layer_types

NO_INDEX = [-1, 99, np.nan, np.inf, -np.inf, 1e30]
"""Below 0, beyond the last class or row, and what no whole number can hold."""
NAN = [np.nan]

# Type → (bottom, element, values): each of these values at this place is refused.
BAD: dict[str, list[tuple[int, int, list[float]]]] = {
    "Accuracy": [(1, 0, NO_INDEX), (1, -1, NO_INDEX)],
    "BatchReindex": [(1, 0, NO_INDEX), (1, -1, NO_INDEX)],
    "ContrastiveLoss": [(2, 0, NAN), (2, -1, NAN)],
    "DetectionEvaluate": [
        (0, 1, [99, np.nan, np.inf]),  # -1: nothing was found
        (1, 1, NO_INDEX),
        *((bottom, element, NAN) for bottom in (0, 1) for element in (0, 2, 3, 6)),
    ],
    "EvalDetection": [(1, 1, [0, *NO_INDEX]), (1, 0, [99, np.nan]), (1, 3, NAN), (1, 6, NAN)],
    "Embed": [(0, 0, NO_INDEX), (0, -1, NO_INDEX)],
    "Filter": [(-1, 0, NAN), (-1, -1, NAN)],
    "HingeLoss": [(1, 0, NO_INDEX), (1, -1, NO_INDEX)],
    "InfogainLoss": [(1, 0, NO_INDEX), (1, -1, NO_INDEX)],
    "MaxUnPool": [(1, 0, NO_INDEX), (1, -1, NO_INDEX)],
    "MultiBoxLoss": [(3, 1, [0, *NO_INDEX]), *((3, element, NAN) for element in (0, 3, 6, 8, 14))],
    "MultinomialLogisticLoss": [(1, 0, NO_INDEX), (1, -1, NO_INDEX)],
    "PSROIPooling": [(1, 0, NO_INDEX), *((1, element, [np.nan, np.inf]) for element in (1, 4, -1))],
    "ROIPooling": [(1, 0, NO_INDEX), *((1, element, [np.nan, np.inf]) for element in (1, 4, -1))],
    "RegionLoss": [(1, 1, NO_INDEX), *((1, element, NAN) for element in (0, 3, 6, 8, 14))],
    "SigmoidCrossEntropyLoss": [(1, 0, NAN), (1, -1, NAN)],
    "SoftmaxWithLoss": [(1, 0, NO_INDEX), (1, -1, NO_INDEX)],
    "Unpooling": [(1, 0, NO_INDEX), (1, -1, NO_INDEX)],
    "Upsample": [(1, 0, NO_INDEX), (1, -1, NO_INDEX)],
}

# Bottoms without a gradient of which any number will do: sizes are asked of them, numbers are
# compared, or a layer that makes what is judged later has made them.
ANY_NUMBER = {
    "ArgMax", "Crop", "DetectionOutput", "Downsample", "Interp", "LSTMUnit", "Resample",
    "SmoothL1Loss", "Threshold", "YoloDetectionOutput",
}  # fmt: skip


def example_of(type: str) -> Example:
    return max(examples_of(type), key=lambda example: len(example.bottoms))


def bad_values() -> list[tuple[str, int, int, float]]:
    return [
        (type, bottom, element, value)
        for type, rows in BAD.items()
        for bottom, element, values in rows
        for value in values
    ]


def test_every_type_whose_bottoms_are_not_differentiable_is_looked_at() -> None:
    types = set(layer_types()) - ARRAYS_ARE_NOT_ENOUGH
    judged = {type for type in types if getattr(layer_class(type), "labels", ())}
    assert judged <= BAD.keys() | ANY_NUMBER
    assert not BAD.keys() & ANY_NUMBER


@pytest.mark.parametrize(("type", "bottom", "element", "value"), bad_values())
def test_what_cannot_be_is_refused(
    type: str, bottom: int, element: int, value: float, isa: str
) -> None:
    example = example_of(type)
    inputs, bottom = example.inputs, bottom % len(example.bottoms)
    inputs[f"x{bottom}"].flat[element] = value
    net = layer_net(example.text, inputs, phase=example.phase)
    with pytest.raises(Error) as caught:
        net.forward()
    (found,) = caught.value.diagnostics
    assert found.spans[0].file == "net.prototxt"
    assert found.spans[0].line == 2 + len(inputs)
    assert 'layer "layer"' in " ".join((found.message, *found.notes))
    column = found.spans[0].column
    name = f'layer {{ name: "layer" {example.text} }}'[column - 1 :].split()[0]
    assert name == f'"x{bottom}"'


@pytest.mark.parametrize("type", sorted(BAD))
def test_a_pass_after_a_refused_one_is_as_if_it_had_not_been(type: str) -> None:
    example = example_of(type)
    bottom, element, values = BAD[type][0]
    bottom %= len(example.bottoms)
    net = layer_net(example.text, example.inputs, phase=example.phase)
    first = [array.copy() for array in net.forward().values()]
    net.blobs[f"x{bottom}"].data.flat[element] = values[0]
    with pytest.raises(Error):
        net.forward()
    net.blobs[f"x{bottom}"].data[...] = example.bottoms[bottom]
    for again, wanted in zip(net.forward().values(), first, strict=True):
        np.testing.assert_array_equal(again, wanted)
