"""The same bits, forward and backward, whatever the number of threads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from gradient_check import layer_net

from protonet import kernels
from protonet.ir.protonet_pb2 import TRAIN

IMAGES = (3, 7, 61, 67)  # odd everywhere, and enough for the work to be shared
VECTORS = (301, 333)

LAYERS = [
    ('type: "ReLU"', IMAGES),
    ('type: "PReLU"', IMAGES),
    ('type: "PReLU"', VECTORS),
    ('type: "ELU"', IMAGES),
    ('type: "Sigmoid"', IMAGES),
    ('type: "TanH"', IMAGES),
    ('type: "Swish"', IMAGES),
    ('type: "BNLL"', IMAGES),
    ('type: "Clip" clip_param { min: -1 max: 1 }', IMAGES),
    ('type: "AbsVal"', IMAGES),
    ('type: "Exp"', IMAGES),
    ('type: "Power" power_param { power: 1.7 shift: 9 }', IMAGES),
    ('type: "Log" log_param { shift: 9 }', IMAGES),
    ('type: "Dropout"', IMAGES),
    ('type: "Pooling" pooling_param { kernel_size: 3 stride: 2 }', IMAGES),
    ('type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }', IMAGES),
    ('type: "Pooling" pooling_param { pool: AVE global_pooling: true }', IMAGES),
    ('type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 }', IMAGES),
    ('type: "LRN"', IMAGES),
    ('type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL }', IMAGES),
    ('type: "Softmax"', IMAGES),
    ('type: "Softmax"', VECTORS),
    ('type: "SoftmaxWithLoss" bottom: "label"', IMAGES),
    ('type: "SoftmaxWithLoss" bottom: "label"', VECTORS),
    ('type: "EuclideanLoss" bottom: "other"', IMAGES),
    ('type: "Accuracy" bottom: "label"', IMAGES),
    ('type: "Eltwise" bottom: "other" eltwise_param { coeff: 0.3 coeff: -1.7 }', IMAGES),
    ('type: "Eltwise" bottom: "other" eltwise_param { operation: PROD }', IMAGES),
    ('type: "Concat" bottom: "other"', IMAGES),
    ('type: "Tile" tile_param { tiles: 3 }', IMAGES),
    ('type: "Permute" permute_param { order: 0 order: 2 order: 3 order: 1 }', IMAGES),
    ('type: "Reduction" reduction_param { operation: SUMSQ }', IMAGES),
    ('type: "Reduction" reduction_param { operation: MEAN axis: 2 }', IMAGES),
    ('type: "ArgMax" argmax_param { axis: 1 }', IMAGES),
    ('type: "Crop" bottom: "other" crop_param { axis: 2 }', IMAGES),
    ('type: "SigmoidCrossEntropyLoss" bottom: "other"', IMAGES),
    ('type: "HingeLoss" bottom: "label"', VECTORS),
    ('type: "MultinomialLogisticLoss" bottom: "label"', VECTORS),
    ('type: "L1Loss" bottom: "other"', IMAGES),
    ('type: "L1Loss" bottom: "other" l1_loss_param { l2_per_location: true }', IMAGES),
    ('type: "SPP" spp_param { pyramid_height: 2 }', IMAGES),
    ('type: "BN" bn_param { scale_filler { value: 1.5 } }', IMAGES),
    ('type: "BN" bn_param { slope_filler { value: 1.5 } }', VECTORS),
    ('type: "Upsample" upsample_param { scale: 2 }', IMAGES),
    ('type: "Interp" interp_param { zoom_factor: 2 }', IMAGES),
    ('type: "Pad" pad_param { pad_u: 2 pad_l: 3 pad_type: REFLECT }', IMAGES),
    ('type: "ReLU6"', IMAGES),
    ('type: "HardSigmoid"', IMAGES),
    ('type: "HardSwish"', IMAGES),
    ('type: "ShuffleChannel" shuffle_channel_param { group: 7 }', IMAGES),
    ('type: "Reverse" reverse_param { axis: 1 }', IMAGES),
    ('type: "Correlation" bottom: "other" correlation_param { kernel_size: 3 '
     'max_displacement: 2 pad: 2 stride_2: 2 }', IMAGES),
    ('type: "ChannelNorm"', IMAGES),
    ('type: "Resample" resample_param { height: 40 width: 90 }', IMAGES),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = kernels.threads()
    yield
    kernels.choose_threads(before)


def run(layer: str, shape: tuple[int, ...], threads: int) -> list[np.ndarray]:
    """Returns top, gradients of the bottoms, gradients of the parameters."""
    kernels.choose_threads(threads)
    random = np.random.default_rng(0)
    inputs = {"x": random.standard_normal(shape)}
    if '"other"' in layer:
        inputs["other"] = random.standard_normal(shape)
    if '"label"' in layer:
        positions = (shape[0], *shape[2:])
        inputs["label"] = random.integers(0, shape[1], positions).astype(float)
    type, rest = layer.split('" ', 1) if '" ' in layer else (layer[:-1], "")
    text = f'{type}" bottom: "x" {rest} top: "y"'
    net = layer_net(text, inputs, phase=TRAIN, dtype=np.float32)
    net.forward()
    top = net.blobs["y"]
    top.diff[...] = random.standard_normal(top.shape)
    net.backward()
    blobs = [net.blobs[name].diff for name in inputs]
    return [top.data, *blobs, *(blob.diff for blob in net.params.get("layer", []))]


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_results_do_not_depend_on_the_number_of_threads(
    isa: str, layer: str, shape: tuple[int, ...]
) -> None:
    alone = run(layer, shape, 1)
    for threads in (2, 3):
        for one, other in zip(alone, run(layer, shape, threads), strict=True):
            assert one.tobytes() == other.tobytes()
