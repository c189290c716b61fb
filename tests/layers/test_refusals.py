"""Parameters, shapes and values that cannot be: refused with the layer's name and the place."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import layer_net

from protonet import Error

IMAGE, LABELS = (2, 3, 6, 5), (2, 6, 5)

# layer text, shapes of the bottoms x, z; what the message says, and the text at the place
REFUSED = [
    ('type: "Clip" clip_param { min: 2 max: 1 }', [IMAGE], "min 2", "2"),
    ('type: "Exp" exp_param { base: -2 }', [IMAGE], "base", "-2"),
    ('type: "Exp" exp_param { base: 0 }', [IMAGE], "base", "0"),
    ('type: "Exp" exp_param { shift: 1000 }', [IMAGE], "too large", "1000"),
    ('type: "Log" log_param { base: 1 }', [IMAGE], "base 1", "1"),
    ('type: "PReLU"', [(5,)], "at least 2 axes", '"x"'),
    ('type: "PReLU" prelu_param { filler { type: "xaver" } }', [IMAGE], "xaver", '"xaver"'),
    ('type: "Dropout" dropout_param { dropout_ratio: 1 }', [IMAGE], "below 1", "1"),
    ('type: "Dropout" dropout_param { dropout_ratio: -0.5 }', [IMAGE], "-0.5", "-0.5"),
    ('type: "Pooling"', [IMAGE], "kernel_size", ""),
    ('type: "Pooling" pooling_param { kernel_size: 0 }', [IMAGE], "at least 1", "0"),
    ('type: "Pooling" pooling_param { kernel_size: 2 stride: 0 }', [IMAGE], "stride", "0"),
    ('type: "Pooling" pooling_param { kernel_size: 9 }', [IMAGE], "9×9 does not fit", "9"),
    ('type: "Pooling" pooling_param { kernel_size: 2 pad: 2 }', [IMAGE], "pad 2", "2"),
    ('type: "Pooling" pooling_param { kernel_size: 2 pad_h: 1 }', [IMAGE], "pad_w", "1"),
    ('type: "Pooling" pooling_param { kernel_size: 2 stride: 1 stride_h: 2 stride_w: 2 }',
     [IMAGE], "either stride", "1"),
    ('type: "Pooling" pooling_param { kernel_size: 2 kernel_h: 2 kernel_w: 2 }', [IMAGE],
     "either kernel_size", "2"),
    ('type: "Pooling" pooling_param { global_pooling: true pad: 1 }', [IMAGE], "pad 0", "true"),
    ('type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 2 pad: 1 }', [IMAGE],
     "padding", "1"),
    ('type: "Pooling" top: "mask" pooling_param { pool: AVE kernel_size: 2 }', [IMAGE],
     "second top", '"mask"'),
    ('type: "LRN" lrn_param { local_size: 4 }', [IMAGE], "odd", "4"),
    ('type: "LRN" lrn_param { local_size: 0 }', [IMAGE], "odd", "0"),
    ('type: "LRN"', [(2, 3)], "N×C×H×W", '"x"'),
    ('type: "Softmax" softmax_param { axis: 4 }', [IMAGE], "axis 4", "4"),
    ('type: "Softmax" softmax_param { axis: -5 }', [IMAGE], "axis -5", "-5"),
    ('type: "SoftmaxWithLoss"', [IMAGE, (2, 6)], "12 labels", '"z"'),
    ('type: "SoftmaxWithLoss"', [(6, 3), (1, 6)], "first dimension", '"z"'),
    ('type: "SoftmaxWithLoss" loss_param { weight_by_label_freqs: true class_weighting: 1 }',
     [IMAGE, LABELS], "1 class_weighting for 3", "1"),
    ('type: "EuclideanLoss"', [IMAGE, (2, 3, 6, 4)], "2×3×6×4", '"z"'),
    ('type: "EuclideanLoss"', [IMAGE, (3, 3, 6, 5)], "first dimension", '"z"'),
    ('type: "Accuracy" accuracy_param { top_k: 0 }', [IMAGE, LABELS], "at least 1", "0"),
    ('type: "Accuracy" accuracy_param { top_k: 4 }', [IMAGE, LABELS], "3 classes", "4"),
    ('type: "Accuracy" accuracy_param { axis: 9 }', [IMAGE, LABELS], "axis 9", "9"),
    ('type: "Eltwise"', [IMAGE, LABELS], "one shape", '"z"'),
    ('type: "Eltwise" eltwise_param { coeff: 1 }', [IMAGE, IMAGE], "1 coeff for 2", "1"),
    ('type: "Eltwise" eltwise_param { operation: MAX coeff: 1 coeff: 1 }', [IMAGE, IMAGE],
     "SUM", "1"),
    ('type: "Concat"', [IMAGE, (2, 3, 6, 4)], "differs", '"z"'),
    ('type: "Concat" concat_param { axis: 4 }', [IMAGE, IMAGE], "axis 4", "4"),
    ('type: "Concat" concat_param { axis: 1 concat_dim: 2 }', [IMAGE, IMAGE], "not both", "2"),
    ('type: "Slice" top: "b" slice_param { slice_point: 1 slice_point: 2 }', [IMAGE],
     "2 slice_point for 2 tops", "1"),
    ('type: "Slice" top: "b" slice_param { slice_point: 3 }', [IMAGE], "beyond", "3"),
    ('type: "Slice" top: "b" top: "c" slice_param { slice_point: 2 slice_point: 1 }', [IMAGE],
     "not above 2", "1"),
    ('type: "Slice" top: "b"', [IMAGE], "equal parts", ""),
    ('type: "Flatten" flatten_param { axis: 5 }', [IMAGE], "axis 5", "5"),
    ('type: "Flatten" flatten_param { axis: 2 end_axis: 1 }', [IMAGE], "before axis 2", "1"),
    ('type: "Reshape" reshape_param { shape { dim: -2 } }', [IMAGE], "-2", "-2"),
    ('type: "Reshape" reshape_param { shape { dim: -1 dim: -1 } }', [IMAGE], "only one", "-1"),
    ('type: "Reshape" reshape_param { shape { dim: 7 dim: -1 } }', [IMAGE], "divided by 7", "-1"),
    ('type: "Reshape" reshape_param { shape { dim: 7 } }', [IMAGE], "7", "shape"),
    ('type: "Reshape" reshape_param { shape { dim: 1 dim: 0 } axis: 3 num_axes: 1 }', [IMAGE],
     "axis 4", "0"),
    ('type: "Reshape" reshape_param { shape { dim: 5 } axis: 6 }', [IMAGE], "axis 6", "6"),
    ('type: "Reshape" reshape_param { shape { dim: 5 } axis: 3 num_axes: 2 }', [IMAGE],
     "beyond", "2"),
    ('type: "Crop"', [IMAGE, (2, 3, 7, 5)], "leaves the bottom", '"z"'),
    ('type: "Crop" crop_param { offset: 3 offset: 1 }', [IMAGE, (2, 3, 4, 4)],
     "4 elements from 3 on, of 6", "3"),
    ('type: "Crop" crop_param { offset: 1 offset: 1 offset: 1 }', [IMAGE, (2, 3, 4, 4)],
     "3 offset for 2 axes", "1"),
    ('type: "Crop" crop_param { axis: 4 }', [IMAGE, IMAGE], "axis 4", "4"),
    ('type: "Crop"', [IMAGE, (2, 3)], "too few axes", '"z"'),
    ('type: "Permute" permute_param { order: 1 order: 1 }', [IMAGE], "twice", "1"),
    ('type: "Permute" permute_param { order: 4 }', [IMAGE], "axis 4", "4"),
    ('type: "Tile"', [IMAGE], "tiles must be given", ""),
    ('type: "Tile" tile_param { tiles: -1 }', [IMAGE], "at least 1", "-1"),
    ('type: "Tile" tile_param { tiles: 2 axis: 4 }', [IMAGE], "axis 4", "4"),
    ('type: "Reduction" reduction_param { axis: -5 }', [IMAGE], "axis -5", "-5"),
    ('type: "ArgMax" argmax_param { top_k: 0 }', [IMAGE], "at least 1", "0"),
    ('type: "ArgMax" argmax_param { top_k: 4 axis: 1 }', [IMAGE], "of 3 elements", "4"),
    ('type: "ArgMax" argmax_param { axis: 4 }', [IMAGE], "axis 4", "4"),
]  # fmt: skip


def blobs_of(shapes: list[tuple[int, ...]]) -> dict[str, np.ndarray]:
    return {name: np.zeros(shape) for name, shape in zip("xz", shapes, strict=False)}


@pytest.mark.parametrize(("layer", "shapes", "part", "place"), REFUSED)
def test_what_cannot_be_is_refused_at_its_place(
    layer: str, shapes: list[tuple[int, ...]], part: str, place: str
) -> None:
    inputs = blobs_of(shapes)
    text = " ".join(f'bottom: "{name}"' for name in inputs) + f' top: "y" {layer}'
    with pytest.raises(Error) as caught:
        layer_net(text, inputs)
    (found,) = caught.value.diagnostics
    assert part in found.message
    assert 'layer "layer"' in "".join((found.message, *found.notes))
    (span,) = found.spans
    assert span.line == 2 + len(inputs)
    column = f'layer {{ name: "layer" {text} }}'[span.column - 1 : span.end_column - 1]
    assert not place or column == place


@pytest.mark.parametrize("value", [3, -1, np.nan, np.inf, 1e30])
@pytest.mark.parametrize("type", ["SoftmaxWithLoss", "Accuracy"])
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 5)], ids=["rows", "side by side"])
def test_a_label_of_no_class_is_named(type: str, value: float, shape: tuple[int, ...]) -> None:
    labels = np.ones((shape[0], *shape[2:]))
    labels.flat[2] = value
    layer = f'type: "{type}" bottom: "x" bottom: "z" top: "y"'
    net = layer_net(layer, {"x": np.zeros(shape), "z": labels})
    for _ in range(2):
        with pytest.raises(Error, match=r"net\.prototxt:4") as caught:
            net.forward()
        (found,) = caught.value.diagnostics
        assert f"label {value:g} (element 2)" in found.message
        assert "classes 0 to 2" in found.message
    net.blobs["z"].data[...] = 2
    net.forward()


def test_an_ignored_label_need_be_no_class() -> None:
    layer = 'type: "SoftmaxWithLoss" bottom: "x" bottom: "z" top: "y" '
    net = layer_net(
        layer + "loss_param { ignore_label: 255 }",
        {"x": np.zeros((2, 3)), "z": np.array([255.0, 1])},
    )
    net.forward()
    assert net.loss == pytest.approx(np.log(3))


@pytest.mark.parametrize(
    ("layer", "inputs", "index"),
    [
        ('type: "Embed" bottom: "i" top: "y" embed_param { input_dim: 4 num_output: 2 }',
         {"i": np.zeros(3)}, "i"),
        ('type: "BatchReindex" bottom: "x" bottom: "i" top: "y"',
         {"x": np.zeros((4, 2)), "i": np.zeros(3)}, "i"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", [4, -1, np.nan, 1e12])
def test_an_index_that_is_no_row_any_more_gives_its_gradient_to_none(
    layer: str, inputs: dict[str, np.ndarray], index: str, value: float
) -> None:
    net = layer_net(layer, inputs)
    net.forward()
    net.blobs[index].data[1] = value
    net.blobs["y"].diff[...] = 1
    net.backward()
    found = net.blobs["x"] if "x" in inputs else net.params["layer"][0]
    np.testing.assert_array_equal(found.diff, [[2, 2], [0, 0], [0, 0], [0, 0]])
    with pytest.raises(Error, match=r"element 1\) does not exist"):
        net.forward()


def test_a_picture_may_be_resampled_to_none() -> None:
    net = layer_net(
        'type: "Resample" bottom: "x" bottom: "like" top: "y"',
        {"x": np.ones((1, 2, 3, 4)), "like": np.ones((1, 2, 0, 4))},
    )
    assert net.forward()["y"].shape == (1, 2, 0, 4)
