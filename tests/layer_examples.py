"""Small nets of one layer each, of every type that can be tried on arrays.

What all types have in common is tested on these: gradients, empty batches, odd shapes. A type
has two examples or more, where its parameters make a difference different ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from gradient_check import values

from protonet.ir.protonet_pb2 import TEST, TRAIN

__all__ = ["ARRAYS_ARE_NOT_ENOUGH", "Example", "all_examples", "examples_of"]

# Types that read or write files, or run a user's code.
ARRAYS_ARE_NOT_ENOUGH = {
    "AnnotatedData", "Data", "DenseImageData", "HDF5Data", "HDF5Output", "IdxData",
    "ImageData", "ImageFolder", "ImageSegData", "MemoryData", "Python", "VideoData", "WindowData",
}  # fmt: skip


@dataclass(frozen=True)
class Example:
    """A layer's type and settings, its bottoms' values and the number of its tops."""

    type: str
    settings: str
    bottoms: tuple[np.ndarray, ...]
    tops: int = 1
    phase: int = TEST
    counted: int | None = None  # how many tops have a gradient; None: all
    parameters: tuple[np.ndarray, ...] = ()  # instead of those of the fillers

    def __str__(self) -> str:
        phase = ", TRAIN" if self.phase == TRAIN else ""
        shapes = ", ".join("×".join(map(str, bottom.shape)) or "scalar" for bottom in self.bottoms)
        return f"{self.type} {self.settings} on {shapes}{phase}"

    @property
    def text(self) -> str:
        """The layer without its name."""
        return self.with_blobs(len(self.bottoms), self.tops)

    def with_blobs(self, bottoms: int, tops: int) -> str:
        """The same with another number of blobs."""
        names = [f'bottom: "x{i}"' for i in range(bottoms)] + [f'top: "y{i}"' for i in range(tops)]
        return " ".join([f'type: "{self.type}"', *names, self.settings])

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        return {f"x{i}": bottom.copy() for i, bottom in enumerate(self.bottoms)}


def distinct(*shape: int, seed: int = 3) -> np.ndarray:
    """Numbers that all differ by much more than a step of differences, none of them near 0."""
    count = int(np.prod(shape))
    steps = np.random.default_rng(seed).permutation(count).reshape(shape)
    return (steps - count // 2 + 0.37) / 10


def positive(*shape: int, seed: int = 0) -> np.ndarray:
    return values(*shape, seed=seed, low=0.2, high=2)


def classes(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, count, shape).astype(float)


def boxes(*shape: int, seed: int = 5) -> np.ndarray:
    """Corners of boxes inside the unit square; the last axis is 4."""
    random = np.random.default_rng(seed)
    corner = random.uniform(0.05, 0.5, (*shape, 2))
    return np.concatenate([corner, corner + random.uniform(0.2, 0.45, (*shape, 2))], -1)


def priors(count: int) -> np.ndarray:
    corners = boxes(count)
    return np.stack([corners, np.full_like(corners, 0.1)]).reshape(1, 2, -1)


def true_boxes(count: int, images: int, labels: int) -> np.ndarray:
    """Rows image, class from 1, instance, corners, difficult."""
    rows = np.zeros((1, 1, count, 8))
    rows[..., 0] = np.arange(count) % images
    rows[..., 1] = 1 + np.arange(count) % labels
    rows[..., 3:7] = boxes(1, 1, count)
    return rows


def regions(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, float)


ROIS = regions((0, 0, 0, 15, 15), (1, 4, 8, 20, 19), (0, 7.4, 2.6, 21.5, 12.5), (1, 9, 9, 3, 3))
BEGINNING = np.array([[0.0, 0], [1, 1], [1, 0]])  # T×N: where sequences go on
FILLER = 'weight_filler { type: "gaussian" std: 0.7 }'
BOTH_FILLERS = FILLER + ' bias_filler { type: "uniform" min: -1 }'
MASK = np.array([0.0, 3, 8, 17, 22, 13]).reshape(1, 1, 2, 3)  # one index in each window of 4×6

_families: list[Callable[[], list[Example]]] = []


def family(make: Callable[[], list[Example]]) -> Callable[[], list[Example]]:
    _families.append(make)
    return make


@cache
def all_examples() -> list[Example]:
    return [example for make in _families for example in make()]


def examples_of(type: str) -> list[Example]:
    return [example for example in all_examples() if example.type == type]


def each(type: str, settings: list[str], *bottoms: np.ndarray, **more: int) -> list[Example]:
    return [Example(type, text, bottoms, **more) for text in settings]  # type: ignore[arg-type]


@family
def elementwise() -> list[Example]:
    x = distinct(2, 3, 4)
    return [
        *each("AbsVal", ["", "loss_weight: 2"], x),
        *each("ReLU", ["", "relu_param { negative_slope: 0.3 }"], x),
        *each("PReLU", ['prelu_param { filler { type: "uniform" min: -1 } }',
                        "prelu_param { channel_shared: true }"], x),
        *each("ELU", ["", "elu_param { alpha: 0.4 }"], x),
        *each("Sigmoid", ["", "sigmoid_param { engine: CAFFE }"], x),
        *each("TanH", ["", "tanh_param { engine: CAFFE }"], x),
        *each("Swish", ["", "swish_param { beta: 2.5 }"], x),
        *each("BNLL", ["", "loss_weight: 2"], x),
        *each("Clip", ["clip_param { min: -0.5 max: 0.7 }", "clip_param { min: 0.1 max: 0.2 }"], x),
        *each("Threshold", ["", "threshold_param { threshold: 0.5 }"], x),
        *each("Exp", ["", "exp_param { base: 2 scale: -1.5 shift: 0.5 }"], x),
        *each("Log", ["", "log_param { base: 10 scale: 2 shift: 0.5 }"], positive(2, 3, 4)),
        *each("Power", ["power_param { power: 3 scale: 0.5 shift: -0.2 }",
                        "power_param { scale: -2 }"], x),
        *each("Power", ["power_param { power: -0.5 shift: 0.5 }"], positive(2, 3, 4)),
        *each("ReLU6", ["", "relu6_param { threshold: 0.7 negative_slope: 0.25 }"], x),
        *each("HardSigmoid", ["", "hardsigmoid_param { alpha: 1 beta: 0.4 }"], x),
        *each("HardSwish", ["", "loss_weight: 2"], x * 3),
        *each("Dropout", ["", "dropout_param { dropout_ratio: 0.2 }"], x, phase=TRAIN),
        *each("Dropout", ["dropout_param { sample_weights_test: true }"], x),
        *each("Scale", ["", "scale_param { axis: 0 num_axes: 2 bias_term: true }"], x),
        *each("Scale", ["", "scale_param { axis: 1 bias_term: true }"], x, values(3, 4)),
        *each("Bias", ["", "bias_param { axis: 0 num_axes: -1 }"], x),
        *each("Bias", ["bias_param { axis: 0 }"], x, values(2, 3)),
        *each("Axpy", [""], values(2, 3), x, values(2, 3, 4)),
        *each("Axpy", [""], values(2, 3, 1, 1), distinct(2, 3, 2, 2), values(2, 3, 2, 2)),
        *each("Eltwise", ["", "eltwise_param { coeff: 2 coeff: -1 }",
                          "eltwise_param { operation: PROD }",
                          "eltwise_param { operation: MAX }"], x,
              distinct(2, 3, 4, seed=4) + 0.033),
    ]  # fmt: skip


@family
def products() -> list[Example]:
    def convolution(fields: str) -> str:
        return f"convolution_param {{ {fields} {BOTH_FILLERS} }}"

    image = values(2, 4, 5, 5)
    plain = convolution("num_output: 2 kernel_size: 3 pad: 1 stride: 2")
    grouped = convolution("num_output: 4 kernel_size: 2 group: 2 dilation: 2")
    ours = convolution("num_output: 4 kernel_size: 3 pad: 1")
    strided = convolution("num_output: 4 kernel_size: 2 stride: 2 bias_term: false")
    readable = plain.replace("num_output", "engine: CAFFE num_output")
    return [
        *each("Convolution", [plain, grouped, readable], image),
        *each("Convolution", [plain], values(1, 2, 3, 4, 3)),
        *each("Deconvolution", [plain, grouped], image[:1, :, :3, :3]),
        *each("DepthwiseConvolution", [ours, strided], image),
        *each("ConvolutionDepthwise", [ours, strided], image),
        *each("Im2col", ["convolution_param { kernel_size: 2 stride: 2 pad: 1 }",
                         "convolution_param { kernel_size: 3 dilation: 2 }"], image),
        *each("InnerProduct", [f"inner_product_param {{ num_output: 3 {BOTH_FILLERS} }}",
                               f"inner_product_param {{ num_output: 2 axis: 2 transpose: true "
                               f"bias_term: false {FILLER} }}"], values(2, 3, 4)),
        *each("Embed", [f"embed_param {{ input_dim: 4 num_output: 3 {BOTH_FILLERS} }}",
                        f"embed_param {{ input_dim: 4 num_output: 2 bias_term: false {FILLER} }}"],
              classes(4, 2, 3)),
        *each("Correlation", ["correlation_param { kernel_size: 1 max_displacement: 2 pad: 2 }",
                              "correlation_param { kernel_size: 3 max_displacement: 2 pad: 3 "
                              "stride_1: 2 stride_2: 2 correlation_type: SUBTRACT }"],
              distinct(1, 2, 4, 5), distinct(1, 2, 4, 5, seed=4) + 0.033),
    ]  # fmt: skip


@family
def recurrent() -> list[Example]:
    exposed = f"recurrent_param {{ num_output: 2 expose_hidden: true {BOTH_FILLERS} }}"
    plain = exposed.replace("expose_hidden: true", "")
    x, state, static = values(3, 2, 3), values(1, 2, 2, seed=6), values(2, 2, seed=8)
    return [
        *each("RNN", [plain], x, BEGINNING),
        *each("RNN", [plain], x, BEGINNING, static),
        *each("RNN", [exposed], x, BEGINNING, state, tops=2, counted=1),
        *each("LSTM", [plain], x, BEGINNING),
        *each("LSTM", [plain], x, BEGINNING, static),
        *each("LSTM", [exposed], x, BEGINNING, state, values(1, 2, 2, seed=7), tops=3, counted=1),
        *each("LSTMUnit", [""], state, values(1, 2, 8), np.array([[0.0, 1]]), tops=2),
        *each("LSTMUnit", [""], values(1, 3, 1), values(1, 3, 4), np.ones((1, 3)), tops=2),
    ]


@family
def windows() -> list[Example]:
    image, settings = distinct(1, 2, 6, 5), "pooling_param {{ {} }}"
    return [
        *each("Pooling", [settings.format(each) for each in (
            "kernel_size: 3 stride: 2", "pool: AVE kernel_size: 3 stride: 2 pad: 1",
            "pool: AVE global_pooling: true")], image),
        *each("Pooling", [settings.format("kernel_size: 2 stride: 2")], image, tops=2, counted=1),
        *each("Pooling", [settings.format("pool: STOCHASTIC kernel_size: 2 stride: 2")],
              positive(1, 2, 6, 5), phase=TRAIN),
        *each("SPP", ["spp_param { pyramid_height: 2 }",
                      "spp_param { pyramid_height: 2 pool: AVE }"], image),
        *each("ROIPooling", ["roi_pooling_param { pooled_h: 3 pooled_w: 2 spatial_scale: 0.25 }",
                             "roi_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 0.2 "
                             "pad_ratio: 0.2 }"], distinct(2, 2, 6, 7), ROIS),
        *each("PSROIPooling", ["psroi_pooling_param { output_dim: 2 group_size: 2 "
                               "spatial_scale: 0.25 }",
                               "psroi_pooling_param { output_dim: 8 group_size: 1 "
                               "spatial_scale: 0.2 }"], values(2, 8, 6, 7), ROIS),
        *each("Unpooling", ["unpooling_param { kernel_size: 2 stride: 2 }",
                            "pooling_param { kernel_size: 2 stride: 2 }"],
              values(1, 1, 2, 3), MASK),
        *each("Unpooling", ["unpooling_param { kernel_size: 2 stride: 2 }"], values(1, 1, 2, 3)),
        *each("Upsample", ["upsample_param { scale: 2 }",
                           "upsample_param { scale: 2 upsample_h: 4 upsample_w: 7 }"],
              values(1, 1, 2, 3), MASK),
        *each("Upsample", ["upsample_param { scale: 2 }"], values(1, 2, 2, 3)),
        *each("MaxUnPool", ["max_unpool_param { dst_h: 4 dst_w: 6 }",
                            "max_unpool_param { dst_h: 5 dst_w: 5 }"],
              values(1, 1, 2, 3), MASK),
        *each("LRN", ["lrn_param { local_size: 3 alpha: 0.5 }",
                      "lrn_param { local_size: 3 alpha: 3 norm_region: WITHIN_CHANNEL }"],
              values(2, 5, 3, 4)),
    ]  # fmt: skip


@family
def statistics() -> list[Example]:
    x, fill = values(3, 2, 2, 3, low=-2, high=2), ' { type: "constant" value: 2 } '
    return [
        *each("BatchNorm", ["", "batch_norm_param { eps: 0.1 }"], x, phase=TRAIN),
        Example("BatchNorm", "batch_norm_param { use_global_stats: true }", (x,),
                parameters=(np.array([0.1, -0.2]), np.array([1.5, 0.7]), np.array([2.0]))),
        *each("BN", [f"bn_param {{ scale_filler {fill} shift_filler {fill} }}",
                     f"bn_param {{ slope_filler {fill} bias_filler {fill} }}"], x, phase=TRAIN),
        *each("BN", [f"bn_param {{ slope_filler {fill} bias_filler {fill} frozen: true }}"], x),
        *each("MVN", ["", "mvn_param { normalize_variance: false }",
                      "mvn_param { across_channels: true eps: 1e-7 }"], x),
        *each("Normalize", ["norm_param { scale_filler { value: 3 } }",
                            "norm_param { across_spatial: false channel_shared: false }"], x),
        *each("Softmax", ["", "softmax_param { axis: -1 }"], x),
        *each("ChannelNorm", [""], x),
        *each("ChannelNorm", [""], positive(2, 3)),
        *each("Reduction", ["", "reduction_param { operation: ASUM axis: 1 }",
                            "reduction_param { operation: SUMSQ axis: 2 coeff: 0.5 }",
                            "reduction_param { operation: MEAN axis: -1 }"], x),
        *each("ArgMax", ["", "argmax_param { top_k: 2 axis: 1 out_max_val: true }"], x),
    ]  # fmt: skip


@family
def moves() -> list[Example]:
    x, image = values(2, 3, 4), values(2, 4, 2, 3)
    return [
        *each("Concat", ["", "concat_param { axis: -1 }"], x, values(2, 3, 4, seed=1)),
        *each("Slice", ["", "slice_param { axis: 2 slice_point: 1 }"], image[:, :, :, :2], tops=2),
        *each("Split", ["", "loss_weight: 1 loss_weight: 2"], x, tops=2),
        *each("Flatten", ["", "flatten_param { axis: 0 end_axis: -2 }"], x),
        *each("Reshape", ["reshape_param { shape { dim: 0 dim: -1 } }",
                          "reshape_param { shape { dim: 2 dim: 2 } axis: 2 }"], x),
        *each("Unsqueeze", ["unsqueeze_param { dim: 1 }", "unsqueeze_param { dim: -1 }"], x),
        *each("Permute", ["permute_param { order: 0 order: 2 }",
                          "permute_param { order: 2 order: 1 order: 0 }"], x),
        *each("Transpose", ["transpose_param { dim: 1 dim: 2 dim: 0 }",
                            "transpose_param { dim: 0 dim: 2 dim: 1 }"], x),
        *each("Reverse", ["", "reverse_param { axis: -1 }"], x),
        *each("Tile", ["tile_param { tiles: 2 }", "tile_param { tiles: 3 axis: 0 }"], x),
        *each("Crop", ["crop_param { axis: 2 offset: 1 offset: 0 }", "crop_param { axis: 3 }"],
              image, np.zeros((2, 4, 1, 2))),
        *each("ShuffleChannel", ["", "shuffle_channel_param { group: 2 }"], image),
        *each("PixelShuffle", ["pixelshuffle_param { upscale_factor: 2 }",
                               "pixelshuffle_param { upscale_factor: 1 }"], image),
        *each("Reorg", ["", "reorg_param { stride: 2 reverse: true }"], values(1, 4, 4, 2)),
        *each("Pad", ["pad_param { pad_u: 1 pad_d: 2 pad_l: 1 }",
                      "pad_param { pad_u: 1 pad_r: 1 pad_type: REFLECT }",
                      "pad_param { pad_u: -1 pad_l: 2 pad_type: REPLICATE }"], image),
        *each("BatchReindex", [""], x, np.array([1.0, 0, 1, 1])),
        *each("BatchReindex", [""], values(3, 2), np.array([2.0])),
        *each("Filter", [""], x, np.array([0.0, 1])),
        *each("Filter", [""], values(3, 2), values(3, 1, seed=2), np.array([1.0, 0, 1]), tops=2),
        *each("Parameter", ["parameter_param { shape { dim: 2 dim: 3 } }",
                            "parameter_param { shape { dim: 4 } }"]),
        *each("Input", ["input_param { shape { dim: 2 dim: 3 } }"]),
        *each("DummyData", ["dummy_data_param { shape { dim: 2 } data_filler { value: 3 } }",
                            "dummy_data_param { num: 2 channels: 3 height: 1 width: 2 }"]),
        *each("Silence", [""], x, tops=0),
        *each("Silence", [""], x, image, tops=0),
    ]  # fmt: skip


@family
def resizing() -> list[Example]:
    image, size = values(1, 2, 4, 5), values(1, 1, 3, 7)
    flow = values(1, 2, 4, 5, low=-2, high=2)
    flow = np.floor(flow) + 0.1 + 0.8 * (flow - np.floor(flow))  # keeps off the kinks
    return [
        *each("Interp", ["interp_param { zoom_factor: 2 }",
                         "interp_param { height: 3 width: 2 pad_beg: -1 }"], image),
        *each("Interp", [""], image, size),
        *each("Resize", ["resize_param { height: 3 width: 8 }",
                         "resize_param { is_pyramid_test: true out_height_scale: 2 "
                         "out_width_scale: 0.5 }"], image),
        *each("BilinearInterpolate", ["bilinear_interpolate_param { dst_h: 7 dst_w: 3 }",
                                      "bilinear_interpolate_param { scale_factor: 2 "
                                      "align_corners: false }"], image),
        *each("Resample", ["resample_param { height: 3 width: 7 }",
                           "resample_param { height: 6 width: 3 type: CUBIC antialias: false }"],
              image),
        *each("Resample", ["resample_param { type: NEAREST }"], image, size),
        *each("Downsample", ["downsample_param { top_height: 2 top_width: 3 }"], image),
        *each("Downsample", [""], image, size[..., :2]),
        *each("Accum", ["", "accum_param { have_reference: true }"], image, size),
        *each("FlowWarp", ["", "flow_warp_param { fill_value: ZERO }"], values(1, 2, 4, 5), flow),
    ]  # fmt: skip


@family
def losses() -> list[Example]:
    scores, labels = values(4, 3, low=-2, high=2), np.array([0.0, 2, 1, 2])
    x, t = distinct(2, 3, 2), distinct(2, 3, 2, seed=4) + 0.033
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    return [
        *each("SoftmaxWithLoss", ["", "loss_param { ignore_label: 2 normalization: FULL }"],
              scores, labels),
        *each("SoftmaxWithLoss", ["softmax_param { axis: 2 } loss_weight: 1 loss_weight: 0"],
              values(2, 3, 4), classes(4, 2, 3), tops=2, counted=1),
        *each("SigmoidCrossEntropyLoss", ["", "loss_param { normalization: NONE }"],
              scores, values(4, 3, low=0, seed=2)),
        *each("InfogainLoss", ["", "loss_param { normalization: BATCH_SIZE }"],
              scores, labels, positive(3, 3)),
        *each("MultinomialLogisticLoss", ["", "loss_weight: 3"], shares, labels),
        *each("HingeLoss", ["", "hinge_loss_param { norm: L2 }"], scores, labels),
        *each("EuclideanLoss", ["", "loss_weight: 3"], x, t),
        *each("ContrastiveLoss", ["", "contrastive_loss_param { legacy_version: true margin: 9 }"],
              values(4, 2), values(4, 2, seed=1), np.array([0.0, 1, 0, 1])),
        *each("L1Loss", ["", "l1_loss_param { l2_per_location: true }"],
              distinct(1, 2, 2, 3), distinct(1, 2, 2, 3, seed=4) + 0.033),
        *each("L1Loss", ["l1_loss_param { plateau: 0.3 }"], distinct(1, 2, 2, 3)),
        *each("SmoothL1Loss", ["", "smooth_l1_loss_param { sigma: 2 }"], x, t),
        *each("SmoothL1Loss", [""], x, t, positive(2, 3, 2), positive(2, 3, 2, seed=2)),
        *each("Accuracy", ["", "accuracy_param { top_k: 2 ignore_label: 1 }"], scores, labels),
    ]  # fmt: skip


@family
def detection() -> list[Example]:
    box, grid = "prior_box_param {{ min_size: 4 {} }}", values(2, 3 * 7, 2, 3)
    anchors = " ".join(f"biases: {size}" for size in (1, 1.5, 2.5, 0.75, 3, 3.5))
    evaluation = "eval_detection_param {{ side: 3 num_class: 2 num_object: 3 nms: 0.4 {} {} }}"
    region = "region_loss_param {{ num_class: 2 num: 3 thresh: 0.3 rescore: 0 {} {} }}"
    multibox = "multibox_loss_param {{ num_classes: 3 code_type: CENTER_SIZE {} }}"
    fixed = " propagate_down: true propagate_down: true propagate_down: false propagate_down: false"
    predictions = values(2, 4 * 6), values(2, 3 * 6, seed=2, low=-2, high=2), priors(6)
    given = (*predictions, true_boxes(3, 2, 2))
    detections = np.array([[0, 1, 0.9, 0.1, 0.1, 0.5, 0.5], [1, 2, 0.4, 0.2, 0.2, 0.6, 0.7]])
    return [
        *each("PriorBox", [box.format(""), box.format("max_size: 9 aspect_ratio: 2")],
              values(1, 2, 2, 3), values(1, 3, 20, 30)),
        *each("DetectionOutput", ["detection_output_param { num_classes: 3 }",
                                  "detection_output_param { num_classes: 3 code_type: CENTER_SIZE "
                                  "keep_top_k: 2 nms_param { top_k: 4 } }"], *predictions),
        *each("MultiBoxLoss", [multibox.format("") + fixed,
                               multibox.format("conf_loss_type: LOGISTIC loc_loss_type: L2 "
                                               "mining_type: NONE") + fixed], *given),
        *each("DetectionEvaluate", ["detection_evaluate_param { num_classes: 3 }",
                                    "detection_evaluate_param { num_classes: 3 "
                                    "evaluate_difficult_gt: false }"],
              detections[None, None], true_boxes(3, 2, 2)),
        *each("Proposal", ["proposal_param { min_size: 2 post_nms_topn: 5 }",
                           "proposal_param { ratio: 1 scale: 8 scale: 16 scale: 32 ratio: 2 "
                           "ratio: 0.5 nms_thresh: 0.5 }"],
              values(1, 18, 3, 4, low=0), values(1, 36, 3, 4), np.array([[48.0, 64, 1]]), tops=2),
        *each("RegionLoss", [region.format(anchors, ""), region.format(anchors, "bias_match: 0")],
              grid, true_boxes(4, 2, 2)),
        *each("EvalDetection", [evaluation.format("", anchors),
                                evaluation.format("score_type: PROB threshold: 0.1", anchors)],
              values(2, 3 * 7, 3, 3), true_boxes(3, 2, 2)),
        *each("YoloDetectionOutput", [
            f"yolo_detection_output_param {{ num_classes: 2 num_box: 3 {anchors} }}",
            f"yolo_detection_output_param {{ num_classes: 2 num_box: 3 {anchors} "
            "confidence_threshold: 0.3 }"], grid),
    ]  # fmt: skip
