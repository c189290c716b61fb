"""Of every type: settings and bottoms that cannot be, each refused with the layer's name and place.

A row is an example of the type (layer_examples.py) with other settings, and perhaps with bottoms of
other shapes. A type without a row of its own has no setting that could be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from gradient_check import layer_net
from layer_examples import ARRAYS_ARE_NOT_ENOUGH, Example, examples_of

from protonet import Error
from protonet.layers.registry import layer_class, layer_types

Shape = tuple[int, ...]
Row = str | tuple[str | None, Shape | None] | tuple[str | None, Shape | None, Shape | None]

# Types with nothing to set wrong: any bottom will do for them.
NOTHING_TO_SET = {"AbsVal", "BNLL", "HardSwish", "Sigmoid", "Silence", "Split", "TanH"}

CONVOLUTIONS = [
    "convolution_param { num_output: 4 }",
    "convolution_param { num_output: 0 kernel_size: 3 }",
    "convolution_param { num_output: 4 kernel_size: 0 }",
    "convolution_param { num_output: 4 kernel_size: 3 stride: 0 }",
    "convolution_param { num_output: 4 kernel_size: 3 dilation: 0 }",
    "convolution_param { num_output: 4 kernel_size: 3 pad: -1 }",
    "convolution_param { num_output: 4 kernel_size: 3 group: 0 }",
    "convolution_param { num_output: 4 kernel_size: 3 group: 3 }",
    "convolution_param { num_output: 3 kernel_size: 3 group: 2 }",
    "convolution_param { num_output: 4 kernel_size: 3 axis: 4 }",
    "convolution_param { num_output: 4 kernel_size: 3 stride: 1 stride: 1 stride: 1 }",
    'convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xaver" } }',
]
TOO_LARGE = "convolution_param { num_output: 4 kernel_size: 9 }"
TOO_LARGE_DILATED = "convolution_param { num_output: 4 kernel_size: 3 dilation: 4 }"
POOLS = [
    "pooling_param { kernel_size: 0 }",
    "pooling_param { kernel_size: 2 stride: 0 }",
    "pooling_param { kernel_size: 2 pad: -1 }",
    "pooling_param { kernel_size: 2 pad: 2 }",
    "pooling_param { kernel_size: 99 }",
    ("pooling_param { kernel_size: 2 }", (2, 3)),
]
ROIS_OF_NONE = (2, 4)
RECURRENT = [
    "",
    "recurrent_param { num_output: 0 }",
    'recurrent_param { num_output: 2 weight_filler { type: "xaver" } }',
    "recurrent_param { num_output: 2 expose_hidden: true }",
    ("recurrent_param { num_output: 2 }", (3,), None),
    ("recurrent_param { num_output: 2 }", None, (3, 4)),
]

BAD: dict[str, Sequence[Row]] = {
    "Accum": [("", None, (3, 1, 3, 7)), ("", (2, 3), None),
              "accum_param { size_divisible_by: 0 }"],
    "Accuracy": ["accuracy_param { top_k: 0 }", "accuracy_param { top_k: 9 }",
                 "accuracy_param { axis: 4 }", ("", (4, 3), (5,)), ("", (), None)],
    "ArgMax": ["argmax_param { top_k: 0 }", "argmax_param { top_k: 99 }",
               "argmax_param { axis: 5 }", ("", ()), ("", (2, 0))],
    "Axpy": [("", (2, 4), None), ("", (3, 3), None), ("", (), None)],
    "BN": [("", ()), "bn_param { eps: -1 }", "bn_param { momentum: nan }",
           'bn_param { slope_filler { type: "xaver" } }'],
    "BatchNorm": [("", ()), "batch_norm_param { eps: -1 }", "batch_norm_param { eps: nan }",
                  "batch_norm_param { moving_average_fraction: nan }",
                  "param { lr_mult: 1 }"],
    "BatchReindex": [("", (), None), ("", None, (2, 2))],
    "Bias": ["bias_param { axis: 3 }", "bias_param { axis: 1 num_axes: 3 }",
             "bias_param { num_axes: -2 }", 'bias_param { filler { type: "xaver" } }'],
    "BilinearInterpolate": ["bilinear_interpolate_param { dst_h: -1 dst_w: 2 }",
                            "bilinear_interpolate_param { scale_factor: 0 }",
                            ("bilinear_interpolate_param { dst_h: 7 dst_w: 3 }", (2, 3))],
    "ChannelNorm": [("", ()), ("", (3,))],
    "Clip": ["clip_param { min: 2 max: 1 }", "clip_param { min: 0 max: nan }"],
    "Concat": ["concat_param { axis: 3 }", "concat_param { axis: -4 }", ("", None, (2, 3, 5)),
               ("", None, (2, 3)), "concat_param { axis: 1 concat_dim: 1 }"],
    "ContrastiveLoss": [("", (4, 3), None, ), ("", (), None),
                        "contrastive_loss_param { margin: nan }"],
    "Convolution": [*CONVOLUTIONS, TOO_LARGE, TOO_LARGE_DILATED],
    "ConvolutionDepthwise": [*CONVOLUTIONS, TOO_LARGE, TOO_LARGE_DILATED,
                             "convolution_param { num_output: 6 kernel_size: 3 }"],
    "Correlation": ["", "correlation_param { kernel_size: 2 max_displacement: 2 pad: 2 }",
                    "correlation_param { kernel_size: 1 max_displacement: 2 pad: 2 stride_1: 0 }",
                    "correlation_param { kernel_size: 1 max_displacement: 2 pad: 2 stride_2: 0 }",
                    "correlation_param { kernel_size: 1 max_displacement: 9 }",
                    ("correlation_param { kernel_size: 1 max_displacement: 2 pad: 2 }", None,
                     (1, 2, 4, 4))],
    "Crop": ["crop_param { axis: 4 }", "crop_param { axis: 2 offset: 9 }",
             "crop_param { axis: 2 offset: 0 offset: 0 offset: 0 }", ("", None, (2, 4, 9, 9)),
             ("", None, (2, 4))],
    "Deconvolution": [*CONVOLUTIONS, "convolution_param { num_output: 4 kernel_size: 1 pad: 9 }"],
    "DepthwiseConvolution": [*CONVOLUTIONS, TOO_LARGE, TOO_LARGE_DILATED,
                             "convolution_param { num_output: 6 kernel_size: 3 }"],
    "DetectionEvaluate": ["", "detection_evaluate_param { num_classes: 0 }",
                          "detection_evaluate_param { num_classes: 3 overlap_threshold: 0 }",
                          'detection_evaluate_param { num_classes: 3 name_size_file: "no/file" }',
                          ("detection_evaluate_param { num_classes: 3 }", (1, 1, 2, 6), None)],
    "DetectionOutput": ["", "detection_output_param { num_classes: 0 }",
                        "detection_output_param { num_classes: 3 biases: 1 biases: 1 num_box: 1 }",
                        "detection_output_param { num_classes: 4 }",
                        "detection_output_param { num_classes: 3 nms_param { nms_threshold: -1 } }",
                        "detection_output_param { num_classes: 3 nms_param { eta: 2 } }",
                        ("detection_output_param { num_classes: 3 }", None, (2, 5))],
    "Downsample": ["", "downsample_param { top_height: 0 top_width: 3 }",
                   ("downsample_param { top_height: 2 top_width: 3 }", (2, 3))],
    "Dropout": ["dropout_param { dropout_ratio: 1 }", "dropout_param { dropout_ratio: -0.1 }",
                "dropout_param { dropout_ratio: nan }"],
    "DummyData": ["", "dummy_data_param { shape { dim: -1 } }", "dummy_data_param { num: 2 }",
                  'dummy_data_param { shape { dim: 2 } data_filler { type: "xaver" } }',
                  "dummy_data_param { shape { dim: 2 } shape { dim: 2 } }"],
    "ELU": ["elu_param { alpha: nan }"],
    "Eltwise": [("", None, (2, 3, 5)), "eltwise_param { coeff: 1 }",
                "eltwise_param { operation: PROD coeff: 1 coeff: 2 }"],
    "Embed": ["", "embed_param { input_dim: 0 num_output: 3 }",
              "embed_param { input_dim: 4 num_output: 0 }",
              'embed_param { input_dim: 4 num_output: 3 weight_filler { type: "xaver" } }'],
    "EuclideanLoss": [("", None, (3, 3, 2)), ("", None, (2, 3, 3)), ("", (), None)],
    "Exp": ["exp_param { base: 0 }", "exp_param { base: -2 }", "exp_param { scale: nan }"],
    "Filter": [("", (), None), ("", (3, 3), None), ("", None, (2, 2))],
    "Flatten": ["flatten_param { axis: 3 }", "flatten_param { axis: 2 end_axis: 1 }",
                "flatten_param { end_axis: 3 }"],
    "FlowWarp": [("", None, (1, 3, 4, 5)), ("", (2, 3), None)],
    "HardSigmoid": ["hardsigmoid_param { alpha: nan }"],
    "HingeLoss": [("", (), None), ("", (4, 3), (5,)), ("", (4, 0), None)],
    "Im2col": ["convolution_param { }", "convolution_param { kernel_size: 0 }",
               "convolution_param { kernel_size: 2 stride: 0 }",
               "convolution_param { kernel_size: 2 pad: -1 }",
               "convolution_param { kernel_size: 9 }",
               "convolution_param { kernel_size: 2 axis: 4 }"],
    "InfogainLoss": ["infogain_loss_param { axis: 4 }", ("", (), None, None),
                     ("", (4, 3), (5,))],
    "InnerProduct": ["", "inner_product_param { num_output: 0 }",
                     "inner_product_param { num_output: 2 axis: 3 }",
                     'inner_product_param { num_output: 2 weight_filler { type: "xaver" } }'],
    "Input": ["input_param { shape { dim: -1 } }",
              "input_param { shape { dim: 1 } shape { dim: 1 } }"],
    "Interp": ["", "interp_param { zoom_factor: 0 }", "interp_param { shrink_factor: 0 }",
               "interp_param { height: 0 width: 2 }", "interp_param { zoom_factor: 2 pad_beg: 1 }",
               "interp_param { zoom_factor: 2 pad_beg: -9 }",
               ("interp_param { zoom_factor: 2 }", (2, 3))],
    "L1Loss": [("", None, (1, 2, 2, 4)), ("", (), None), "l1_loss_param { epsilon: nan }"],
    "LRN": ["lrn_param { local_size: 4 }", "lrn_param { local_size: 0 }",
            "lrn_param { alpha: nan }", ("", (2, 3))],
    "LSTM": RECURRENT,
    "LSTMUnit": [("", (2, 2, 2), None), ("", None, (1, 2, 7))],
    "Log": ["log_param { base: 1 }", "log_param { base: -2 }", "log_param { base: 0 }",
            "log_param { shift: nan }"],
    "MVN": ["mvn_param { eps: -1 }", "mvn_param { eps: nan }"],
    "MaxUnPool": ["", "max_unpool_param { dst_h: 0 dst_w: 6 }",
                  ("max_unpool_param { dst_h: 4 dst_w: 6 }", None, (1, 1, 3, 3)),
                  ("max_unpool_param { dst_h: 4 dst_w: 6 }", (2, 3), None)],
    "MultiBoxLoss": ["", "multibox_loss_param { num_classes: 0 }",
                     "multibox_loss_param { num_classes: 7 }",
                     "multibox_loss_param { num_classes: 3 overlap_threshold: nan }"],
    "MultinomialLogisticLoss": [("", (), None), ("", (4, 3), (5,))],
    "Normalize": [("", (2,)), "norm_param { eps: -1 }",
                  'norm_param { scale_filler { type: "xaver" } }'],
    "PReLU": [("", (2,)), 'prelu_param { filler { type: "xaver" } }'],
    "PSROIPooling": ["psroi_pooling_param { output_dim: 2 group_size: 3 spatial_scale: 1 }",
                     "psroi_pooling_param { output_dim: 0 group_size: 2 spatial_scale: 1 }",
                     "psroi_pooling_param { output_dim: 2 group_size: 0 spatial_scale: 1 }",
                     "psroi_pooling_param { output_dim: 2 group_size: 2 spatial_scale: nan }",
                     ("psroi_pooling_param { output_dim: 2 group_size: 2 spatial_scale: 1 }", None,
                      ROIS_OF_NONE)],
    "Pad": ["pad_param { pad_u: -9 }", "pad_param { pad_l: 9 pad_type: REFLECT }",
            ("pad_param { pad_l: 1 }", (2,))],
    "Parameter": ["parameter_param { shape { dim: -1 } }"],
    "Permute": ["permute_param { order: 3 }", "permute_param { order: 1 order: 1 }"],
    "PixelShuffle": ["pixelshuffle_param { upscale_factor: 3 }",
                     "pixelshuffle_param { upscale_factor: 0 }",
                     "pixelshuffle_param { upscale_factor: -2 }",
                     ("pixelshuffle_param { upscale_factor: 2 }", (2, 4))],
    "Pooling": [*POOLS, "", "pooling_param { global_pooling: true kernel_size: 2 }",
                "pooling_param { kernel_size: 2 kernel_h: 2 kernel_w: 2 }"],
    "Power": ["power_param { power: nan }"],
    "PriorBox": ["", "prior_box_param { min_size: 0 clip: true }",
                 "prior_box_param { min_size: 4 max_size: 3 clip: true }",
                 "prior_box_param { min_size: 4 max_size: 5 max_size: 6 clip: true }",
                 "prior_box_param { min_size: 4 aspect_ratio: 0 clip: true }",
                 "prior_box_param { min_size: 4 clip: true variance: 0.1 variance: 0.1 }",
                 "prior_box_param { min_size: 4 clip: true step: 0 }"],
    "Proposal": ["proposal_param { feat_stride: 0 }", "proposal_param { ratio: 0 }",
                 "proposal_param { scale: -1 }", "proposal_param { ratio: 1 scale: 8 }",
                 "proposal_param { base_size: 0 }", ("", None, (1, 36, 3, 5), )],
    "RNN": RECURRENT,
    "ROIPooling": ["", "roi_pooling_param { pooled_h: 0 pooled_w: 2 }",
                   "roi_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: nan }",
                   ("roi_pooling_param { pooled_h: 2 pooled_w: 2 }", None, ROIS_OF_NONE),
                   ("roi_pooling_param { pooled_h: 2 pooled_w: 2 }", (2, 3), None)],
    "ReLU": ["relu_param { negative_slope: nan }"],
    "ReLU6": ["relu6_param { threshold: nan }"],
    "Reduction": ["reduction_param { axis: 4 }", "reduction_param { axis: -5 }",
                  "reduction_param { coeff: nan }"],
    "RegionLoss": ["", "region_loss_param { num_class: 2 num: 5 }",
                   "region_loss_param { num_class: 0 }"],
    "Reorg": ["reorg_param { stride: 0 }", "reorg_param { stride: 3 }", ("", (2, 4))],
    "Resample": ["", "resample_param { height: 0 width: 3 }", "resample_param { height: 3 }",
                 ("resample_param { height: 3 width: 3 }", (2, 3))],
    "Reshape": ["reshape_param { shape { dim: 7 } }", "reshape_param { shape { dim: -2 } }",
                "reshape_param { shape { dim: -1 dim: -1 } }",
                "reshape_param { shape { dim: 5 dim: -1 } }", "reshape_param { axis: 5 }",
                "reshape_param { shape { dim: 4 } axis: 2 num_axes: 5 }"],
    "Resize": ["", "resize_param { height: 0 width: 3 }",
               "resize_param { is_pyramid_test: true out_height_scale: 0 out_width_scale: 1 }",
               ("resize_param { height: 3 width: 3 }", (2,))],
    "Reverse": ["reverse_param { axis: 3 }", "reverse_param { axis: -4 }", ("", ())],
    "SPP": ["", "spp_param { pyramid_height: 0 }", "spp_param { pyramid_height: 9 }",
            ("spp_param { pyramid_height: 2 }", (2, 3))],
    "Scale": ["scale_param { axis: 3 }", "scale_param { axis: 1 num_axes: 3 }",
              "scale_param { num_axes: -2 }", 'scale_param { filler { type: "xaver" } }'],
    "ShuffleChannel": ["shuffle_channel_param { group: 3 }", "shuffle_channel_param { group: 0 }",
                       ("", ())],
    "SigmoidCrossEntropyLoss": [("", None, (3, 2)), ("", (), None)],
    "Slice": ["slice_param { axis: 4 }", "slice_param { slice_point: 9 }",
              "slice_param { slice_point: 0 }", "slice_param { axis: 2 slice_dim: 2 }",
              ("", (2, 3))],
    "SmoothL1Loss": [("", None, (2, 3, 3)), ("", (), None), "smooth_l1_loss_param { sigma: nan }"],
    "Softmax": ["softmax_param { axis: 4 }", "softmax_param { axis: -5 }", ("", ())],
    "SoftmaxWithLoss": ["softmax_param { axis: 4 }", ("", (), None), ("", (4, 3), (5,)),
                        ("", (4, 0), None)],
    "Swish": ["swish_param { beta: nan }"],
    "Threshold": ["threshold_param { threshold: nan }"],
    "Tile": ["", "tile_param { tiles: 0 }", "tile_param { tiles: 2 axis: 3 }"],
    "Transpose": ["", "transpose_param { dim: 0 dim: 0 dim: 1 }", "transpose_param { dim: 0 }",
                  "transpose_param { dim: 0 dim: 1 dim: 3 }"],
    "Unpooling": ["unpooling_param { kernel_size: 0 }", "unpooling_param { }",
                  "unpooling_param { kernel_size: 2 stride: 0 }",
                  ("unpooling_param { kernel_size: 2 }", (2, 3), None),
                  ("unpooling_param { kernel_size: 2 }", None, (1, 1, 3, 3))],
    "Unsqueeze": ["unsqueeze_param { dim: 5 }", "unsqueeze_param { dim: -5 }"],
    "Upsample": ["upsample_param { scale: 0 }", "upsample_param { scale: -1 }",
                 "upsample_param { scale: 2 upsample_h: 0 upsample_w: 0 }",
                 ("upsample_param { scale: 2 }", (2, 3), None),
                 ("upsample_param { scale: 2 }", None, (1, 1, 3, 3))],
    "EvalDetection": ["", "eval_detection_param { side: 4 num_object: 2 }",
                      "eval_detection_param { side: 3 num_class: 2 num_object: 1 biases: 1 "
                      "biases: 1 nms: 0.5 }",
                      "eval_detection_param { side: 4 num_class: 0 nms: 0.5 }",
                      "eval_detection_param { side: 4 num_class: 2 num_object: 1 biases: 1 "
                      "biases: 1 nms: -1 }"],
    "YoloDetectionOutput": ["", "yolo_detection_output_param { num_classes: 2 num_box: 9 }",
                            "yolo_detection_output_param { num_classes: 0 num_box: 3 }"],
    "AnnotatedData": ['data_param { source: "no/such" batch_size: 1 }',
                      'data_param { source: "no/such" batch_size: 0 }'],
    "Data": ['data_param { source: "no/such" batch_size: 1 }', "data_param { batch_size: 1 }",
             'data_param { source: "no/such" batch_size: 0 }'],
    "DenseImageData": ['dense_image_data_param { source: "no/such" }',
                       'dense_image_data_param { source: "no/such" batch_size: 0 }'],
    "HDF5Data": ['hdf5_data_param { source: "no/such" batch_size: 1 }', "",
                 'hdf5_data_param { source: "no/such" batch_size: 0 }'],
    "HDF5Output": ['hdf5_output_param { file_name: "no/such/folder/file" }', ""],
    "IdxData": ['idx_data_param { images: "no/such" labels: "no/such" batch_size: 1 }', ""],
    "ImageData": ['image_data_param { source: "no/such" batch_size: 1 }', "",
                  'image_data_param { source: "no/such" batch_size: 0 }',
                  'image_data_param { source: "no/such" batch_size: 1 new_height: 3 }'],
    "ImageSegData": ['image_data_param { source: "no/such" batch_size: 1 }', "",
                     'image_data_param { source: "no/such" batch_size: 1 new_height: 3 }',
                     'image_data_param { source: "no/such" batch_size: 1 ignore_label: 256 }'],
    "ImageFolder": ['image_folder_param { source: "no/such" batch_size: 1 }', ""],
    "MemoryData": ["", "memory_data_param { batch_size: 0 channels: 1 height: 1 width: 1 }",
                   "memory_data_param { batch_size: 1 channels: 1 height: 1 }"],
    "Python": ["", 'python_param { module: "no_such_module" layer: "Layer" }'],
    "VideoData": ['video_data_param { source: "no/such" batch_size: 1 }', ""],
    "WindowData": ['window_data_param { source: "no/such" batch_size: 1 }', "",
                   'window_data_param { source: "no/such" batch_size: 0 }'],
}  # fmt: skip

# Types of files, whose bottoms and tops no example shows.
FILES = {
    type: Example(type, "", (np.ones((1, 1)),) if type == "HDF5Output" else (),
                  tops=0 if type == "HDF5Output" else 1)
    for type in ARRAYS_ARE_NOT_ENOUGH
}  # fmt: skip


def example_of(type: str) -> Example:
    return FILES[type] if type in FILES else examples_of(type)[0]


def bad_layers() -> list[Example]:
    return [_bad_layer(type, row) for type, rows in BAD.items() for row in rows]


def _bad_layer(type: str, row: Row) -> Example:
    example = example_of(type)
    settings, *shapes = (row,) if isinstance(row, str) else row
    bottoms = list(example.bottoms)
    for number, shape in enumerate(shapes):
        if shape is not None:
            bottoms[number] = np.resize(bottoms[number], shape)
    return replace(example, settings=settings, bottoms=tuple(bottoms))


def assert_refused(text: str, inputs: dict[str, np.ndarray], phase: int) -> None:
    with pytest.raises(Error) as caught:
        layer_net(text, inputs, phase=phase).forward()
    found = caught.value.diagnostics
    assert found
    for each in found:
        assert each.spans[0].file == "net.prototxt"
        assert each.spans[0].line == 2 + len(inputs)
        assert 'layer "layer"' in " ".join((each.message, *each.notes))


def test_every_type_has_a_row() -> None:
    assert set(layer_types()) == BAD.keys() | NOTHING_TO_SET
    assert not BAD.keys() & NOTHING_TO_SET


@pytest.mark.parametrize("bad", bad_layers(), ids=str)
def test_what_cannot_be_is_refused(bad: Example) -> None:
    assert_refused(bad.text, bad.inputs, bad.phase)


@pytest.mark.parametrize("type", sorted(layer_types()))
@pytest.mark.parametrize("which", ["bottom", "top"])
def test_too_few_and_too_many_blobs_are_refused(type: str, which: str) -> None:
    example, layer = example_of(type), layer_class(type)
    assert layer is not None
    allowed = layer.bottoms if which == "bottom" else layer.tops
    made = layer.automatic_tops if which == "top" else 0
    wrong = [count for count in range(12) if max(count, made) not in allowed]
    for count in wrong:
        bottoms = count if which == "bottom" else len(example.bottoms)
        text = example.with_blobs(bottoms, count if which == "top" else example.tops)
        inputs = {f"x{i}": np.ones((2, 2)) for i in range(bottoms)}
        inputs.update({name: array for name, array in example.inputs.items() if name in inputs})
        assert_refused(text, inputs, example.phase)


@pytest.mark.parametrize("type", sorted(set(layer_types()) - ARRAYS_ARE_NOT_ENOUGH))
def test_an_empty_batch_is_computed_or_refused(type: str) -> None:
    example = example_of(type)
    inputs = {name: array[:0] if array.ndim else array for name, array in example.inputs.items()}
    try:
        layer_net(example.text, inputs, phase=example.phase).forward()
    except Error as error:
        for found in error.diagnostics:
            assert 'layer "layer"' in " ".join((found.message, *found.notes))
            assert found.spans
