"""The gradients of elementwise, pooling, normalising, softmax, joining and moving layers."""

from __future__ import annotations

import numpy as np
import pytest
from gradient_check import check_gradients, values

from protonet.ir.protonet_pb2 import TEST, TRAIN

PLAIN = 'bottom: "x" top: "y"'
IN_PLACE = 'bottom: "x" top: "x"'


def away_from_zero(*shape: int, seed: int = 0) -> np.ndarray:
    x = values(*shape, seed=seed)
    return x + 0.05 * np.sign(x)


def distinct(*shape: int) -> np.ndarray:
    """Numbers that all differ by much more than a step of differences."""
    return np.random.default_rng(3).permutation(int(np.prod(shape))).reshape(shape) / 10 - 2


def positive(*shape: int) -> np.ndarray:
    return values(*shape, low=0.2, high=2)


ONE_BOTTOM = {
    "ReLU": ["", "relu_param { negative_slope: 0.3 }", "relu_param { negative_slope: -0.5 }"],
    "PReLU": [
        "", "prelu_param { channel_shared: true }",
        'prelu_param { filler { type: "uniform" min: -1 } }',
    ],
    "ELU": ["", "elu_param { alpha: 0.4 }", "elu_param { alpha: -0.4 }"],
    "Sigmoid": [""],
    "TanH": [""],
    "Swish": ["", "swish_param { beta: 2.5 }"],
    "BNLL": [""],
    "Clip": ["clip_param { min: -0.5 max: 0.7 }", "clip_param { min: 0.1 max: 0.2 }"],
    "Exp": ["", "exp_param { base: 2 scale: -1.5 shift: 0.5 }"],
    "Power": [
        "power_param { power: 3 scale: 0.5 shift: -0.2 }", "power_param { power: 1 scale: -2 }",
        "power_param { power: 2 shift: 1 }", "power_param { power: 0 }",
        "power_param { scale: 0 shift: 2 power: 3 }",
    ],
}  # fmt: skip
FOR_POSITIVE = {
    "Log": ["", "log_param { base: 10 scale: 2 shift: 0.5 }"],
    "Power": [
        "power_param { power: 0.5 }", "power_param { power: -1 scale: 2 shift: 1 }",
        "power_param { power: 2.7 }", "power_param { power: -0.5 shift: 0.5 }",
    ],
}  # fmt: skip


def cases(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(type, settings) for type, all in table.items() for settings in all]


@pytest.mark.parametrize("blobs", [PLAIN, IN_PLACE], ids=["apart", "in place"])
@pytest.mark.parametrize(("type", "settings"), cases(ONE_BOTTOM))
def test_gradients_of_elementwise_layers(type: str, settings: str, blobs: str) -> None:
    check_gradients(f'type: "{type}" {blobs} {settings}', x=away_from_zero(2, 3, 4))


@pytest.mark.parametrize("blobs", [PLAIN, IN_PLACE], ids=["apart", "in place"])
@pytest.mark.parametrize(("type", "settings"), cases(FOR_POSITIVE))
def test_gradients_of_functions_of_positive_numbers(type: str, settings: str, blobs: str) -> None:
    check_gradients(f'type: "{type}" {blobs} {settings}', x=positive(2, 3, 4))


def test_gradient_of_absolute_values() -> None:
    for shape in ((3, 4), (2, 3, 2, 2)):
        check_gradients(f'type: "AbsVal" {PLAIN}', x=away_from_zero(*shape))


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 2, 2)])
def test_gradient_of_a_slope_for_each_channel(shape: tuple[int, ...]) -> None:
    check_gradients(f'type: "PReLU" {PLAIN}', x=away_from_zero(*shape))


@pytest.mark.parametrize(
    "settings",
    [
        "pool: MAX kernel_size: 3 stride: 2",
        "pool: MAX kernel_size: 2 stride: 2 pad: 1",
        "pool: AVE kernel_size: 3 stride: 2 pad: 1",
        "pool: AVE kernel_h: 2 kernel_w: 3 stride_h: 2 stride_w: 1",
        "pool: AVE global_pooling: true",
        "pool: MAX global_pooling: true",
        "pool: STOCHASTIC kernel_size: 2 stride: 2",
        "pool: STOCHASTIC kernel_size: 3 stride: 1",
    ],
)
@pytest.mark.parametrize("width", [5, 21], ids=["short rows", "long rows"])
def test_gradients_of_pooling(settings: str, width: int) -> None:
    x = positive(1, 2, 6, width) if "STOCHASTIC" in settings else distinct(1, 2, 6, width)
    check_gradients(f'type: "Pooling" {PLAIN} pooling_param {{ {settings} }}', x=x)


@pytest.mark.parametrize("blobs", [PLAIN, IN_PLACE], ids=["apart", "in place"])
@pytest.mark.parametrize(
    "settings",
    [
        "local_size: 3 alpha: 0.5",
        "local_size: 5 alpha: 2 beta: 0.5 k: 2",
        "local_size: 3 alpha: 1 beta: 1",
        "local_size: 7 alpha: 1 beta: 1.3 k: 0.7",
        "local_size: 3 alpha: 3 norm_region: WITHIN_CHANNEL",
        "local_size: 5 alpha: 1 beta: 0.5 norm_region: WITHIN_CHANNEL",
    ],
)
def test_gradients_of_response_normalisation(settings: str, blobs: str) -> None:
    check_gradients(f'type: "LRN" {blobs} lrn_param {{ {settings} }}', x=values(2, 5, 3, 4))


@pytest.mark.parametrize("blobs", [PLAIN, IN_PLACE], ids=["apart", "in place"])
@pytest.mark.parametrize("settings", ["", "dropout_ratio: 0.2", "scale_train: false"])
@pytest.mark.parametrize("phase", [TEST, TRAIN], ids=["TEST", "TRAIN"])
def test_gradients_of_dropout(settings: str, blobs: str, phase: int) -> None:
    layer = f'type: "Dropout" {blobs} dropout_param {{ {settings} }}'
    check_gradients(layer, phase=phase, x=values(3, 20))


@pytest.mark.parametrize("blobs", [PLAIN, IN_PLACE], ids=["apart", "in place"])
@pytest.mark.parametrize("axis", [1, -1, 0])
def test_gradients_of_softmax(axis: int, blobs: str) -> None:
    check_gradients(f'type: "Softmax" {blobs} softmax_param {{ axis: {axis} }}', x=values(2, 4, 3))


@pytest.mark.parametrize(
    "settings",
    [
        "",
        "softmax_param { axis: -1 }",
        "loss_param { ignore_label: 2 }",
        "loss_param { ignore_label: 2 normalization: FULL }",
        "loss_param { normalization: BATCH_SIZE }",
        "loss_param { normalization: NONE }",
        "loss_param { normalize: false }",
        "loss_weight: 2.5",
        "loss_param { weight_by_label_freqs: true class_weighting: 1 class_weighting: 2 "
        "class_weighting: 0.5 class_weighting: 4 }",
    ],
)
def test_gradients_of_softmax_loss(settings: str) -> None:
    positions = (2, 3) if "axis" in settings else (2, 5)
    x = values(*positions, 4) if "axis" in settings else values(2, 4, 5)
    labels = np.random.default_rng(0).integers(0, 4, positions).astype(float)
    blobs = 'bottom: "x" bottom: "label" top: "y"'
    check_gradients(f'type: "SoftmaxWithLoss" {blobs} {settings}', x=x, label=labels)


@pytest.mark.parametrize("settings", ["", "loss_weight: 0.5"])
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 2, 2)])
def test_gradients_of_euclidean_loss(settings: str, shape: tuple[int, ...]) -> None:
    layer = f'type: "EuclideanLoss" bottom: "a" bottom: "b" top: "y" {settings}'
    check_gradients(layer, a=values(*shape), b=values(*shape, seed=1))


@pytest.mark.parametrize("count", [1, 2, 3, 9, 17])
@pytest.mark.parametrize(
    "settings",
    ["operation: SUM", "operation: PROD", "operation: PROD stable_prod_grad: false",
     "operation: MAX"],
)  # fmt: skip
def test_gradients_of_eltwise(count: int, settings: str) -> None:
    inputs = {f"x{i}": away_from_zero(2, 3, seed=i) for i in range(count)}
    bottoms = " ".join(f'bottom: "{name}"' for name in inputs)
    check_gradients(f'type: "Eltwise" {bottoms} top: "y" eltwise_param {{ {settings} }}', **inputs)


def test_gradients_of_a_weighted_sum() -> None:
    check_gradients(
        'type: "Eltwise" bottom: "a" bottom: "b" bottom: "c" top: "y" '
        "eltwise_param { coeff: 2 coeff: -1 coeff: 0.5 }",
        a=values(2, 3), b=values(2, 3, seed=1), c=values(2, 3, seed=2),
    )  # fmt: skip


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gradients_of_concat(axis: int) -> None:
    shape = [2, 3, 4]
    inputs = {}
    for seed, size in enumerate((1, 3, 2)):
        shape[axis] = size
        inputs[f"x{seed}"] = values(*shape, seed=seed)
    bottoms = " ".join(f'bottom: "{name}"' for name in inputs)
    check_gradients(f'type: "Concat" {bottoms} top: "y" concat_param {{ axis: {axis} }}', **inputs)


@pytest.mark.parametrize(
    "settings",
    ["axis: 1 slice_point: 1 slice_point: 4", "axis: -1", "axis: 0 slice_point: 1 slice_point: 2"],
)
def test_gradients_of_slice(settings: str) -> None:
    tops = 'top: "a" top: "b" top: "c"'
    check_gradients(
        f'type: "Slice" bottom: "x" {tops} slice_param {{ {settings} }}', x=values(3, 6, 3)
    )


def test_gradients_of_split_add_up() -> None:
    for count in (1, 2, 9):
        tops = " ".join(f'top: "y{i}"' for i in range(count))
        check_gradients(f'type: "Split" bottom: "x" {tops}', x=values(3, 4))


@pytest.mark.parametrize(
    "layer",
    [
        'type: "Flatten"',
        'type: "Flatten" flatten_param { axis: 0 end_axis: -2 }',
        'type: "Reshape" reshape_param { shape { dim: 0 dim: -1 } }',
        'type: "Reshape" reshape_param { shape { dim: 6 } axis: 1 num_axes: 2 }',
    ],
)
def test_gradients_of_layers_that_only_change_the_shape(layer: str) -> None:
    check_gradients(f"{layer} {PLAIN}", x=values(2, 3, 2, 2))


@pytest.mark.parametrize(
    "settings",
    ["axis: 2 offset: 1 offset: 3", "axis: 1 offset: 1", "axis: -1", "axis: -2", "axis: 0"],
)
def test_gradients_of_crop(settings: str) -> None:
    reference = {
        "axis: 1 offset: 1": (2, 2, 3, 4), "axis: -1": (9, 9, 9, 3),
        "axis: -2": (9, 9, 3, 2, 7),  # axes beyond the input's last play no part
    }  # fmt: skip
    check_gradients(
        f'type: "Crop" bottom: "x" bottom: "like" top: "y" crop_param {{ {settings} }}',
        x=values(2, 3, 4, 6), like=np.zeros(reference.get(settings, (2, 3, 2, 3))),
    )  # fmt: skip


@pytest.mark.parametrize("order", [(0, 2, 3, 1), (3, 2, 1, 0), (1,), (0, 1, 3, 2), ()])
def test_gradients_of_permute(order: tuple[int, ...]) -> None:
    settings = " ".join(f"order: {axis}" for axis in order)
    check_gradients(f'type: "Permute" {PLAIN} permute_param {{ {settings} }}', x=values(2, 3, 4, 5))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("tiles", [1, 3])
def test_gradients_of_tile(axis: int, tiles: int) -> None:
    settings = f"axis: {axis} tiles: {tiles}"
    check_gradients(f'type: "Tile" {PLAIN} tile_param {{ {settings} }}', x=values(2, 3, 4))


@pytest.mark.parametrize("operation", ["SUM", "ASUM", "SUMSQ", "MEAN"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gradients_of_reduction(operation: str, axis: int) -> None:
    settings = f"operation: {operation} axis: {axis} coeff: 1.5"
    check_gradients(
        f'type: "Reduction" {PLAIN} reduction_param {{ {settings} }}', x=away_from_zero(2, 3, 4)
    )
