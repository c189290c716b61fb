"""The layers that tools/bench/layers.py times: text, bottoms, and the same in PyTorch.

A bottom is what it holds and its shape: `x` numbers around 0, `positive` 0.1 … 2, `binary` 0 or
1, `classes K` whole numbers below K, `rows` whole numbers below the first bottom's first axis,
`cont` 0 at the first step of a sequence, `mask` places in windows of 2×2, `image` the height, width
and scale of an image; `regions` R, `priors` P, `truths` R K: so many boxes, within a plane of the
first bottom, or within the image, or of the first bottom's images and classes below K.
The text of PyTorch is a callable of the bottoms; `n` is torch.nn, `f` torch.nn.functional. Its
parameters, if it has any, take part in the backward pass as ours do. None: PyTorch has no layer
of that kind, nor a few calls that come to the same.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CASES", "Case"]

IMAGES = "x 16 64 56 56"
SMALL = "x 16 256 14 14"
VECTORS = "x 64 4096"
SCORES = "x 128 1000"
DENSE = "x 4 21 128 128"
MASK = "mask 16 256 14 14"
UNPOOLED = "lambda x, m: f.max_unpool2d(x, m.long(), 2)"
ANCHORS = "biases: 1 biases: 1 biases: 3 biases: 2 biases: 2 biases: 3"


class Case(NamedTuple):
    type: str
    settings: str
    bottoms: tuple[str, ...]
    torch: str | None
    tops: int = 1
    backward: bool = True


CASES = [
    # activations
    Case("ReLU", "", (IMAGES,), "f.relu"),
    Case("ReLU", "relu_param { negative_slope: 0.1 }", (IMAGES,), "lambda x: f.leaky_relu(x, 0.1)"),
    Case("PReLU", "", (IMAGES,), "n.PReLU(64)"),
    Case("ELU", "", (IMAGES,), "f.elu"),
    Case("Sigmoid", "", (IMAGES,), "torch.sigmoid"),
    Case("TanH", "", (IMAGES,), "torch.tanh"),
    Case("Swish", "", (IMAGES,), "f.silu"),
    Case("BNLL", "", (IMAGES,), "f.softplus"),
    Case("AbsVal", "", (IMAGES,), "torch.abs"),
    Case("Clip", "clip_param { min: -0.5 max: 0.5 }", (IMAGES,), "lambda x: x.clamp(-0.5, 0.5)"),
    Case("Exp", "", (IMAGES,), "torch.exp"),
    Case("Log", "", ("positive 16 64 56 56",), "torch.log"),
    Case("Power", "power_param { power: 2 scale: 0.5 shift: 1 }", (IMAGES,),
         "lambda x: (1 + 0.5 * x) ** 2"),
    Case("Power", "power_param { power: 0.7 }", ("positive 16 64 56 56",), "lambda x: x ** 0.7"),
    Case("Threshold", "", (IMAGES,), "lambda x: (x > 0).to(x.dtype)", backward=False),
    Case("ReLU6", "", (IMAGES,), "f.relu6"),
    Case("HardSigmoid", "", (IMAGES,), "f.hardsigmoid"),
    Case("HardSwish", "", (IMAGES,), "f.hardswish"),
    Case("Dropout", "", (IMAGES,), "f.dropout"),
    # channels and statistics
    Case("Scale", "scale_param { bias_term: true }", (IMAGES,),
         "Affine(torch.ones(64, 1, 1), torch.zeros(64, 1, 1))"),
    Case("Scale", "scale_param { axis: 0 }", (IMAGES, "x 16 64"),
         "lambda x, a: x * a[:, :, None, None]"),
    Case("Bias", "", (IMAGES,), "Affine(None, torch.zeros(64, 1, 1))"),
    Case("BatchNorm", "batch_norm_param { use_global_stats: false }", (IMAGES,),
         "n.BatchNorm2d(64, affine=False)"),
    Case("BN", "", (IMAGES,), "n.BatchNorm2d(64)"),
    Case("MVN", "", (IMAGES,), "lambda x: f.instance_norm(x)"),
    Case("LRN", "", (IMAGES,), "n.LocalResponseNorm(5, 1.0, 0.75)"),
    Case("LRN", "lrn_param { norm_region: WITHIN_CHANNEL }", (IMAGES,),
         "lambda x: x * (1 + f.avg_pool2d(x * x, 5, 1, 2)) ** -0.75"),
    Case("Normalize", "", (IMAGES,), "Normalized()"),
    Case("ChannelNorm", "", (IMAGES,), "lambda x: x.norm(dim=1, keepdim=True)"),
    Case("Axpy", "", ("x 16 64 1 1", IMAGES, IMAGES), "lambda a, x, y: a * x + y"),
    # pooling
    Case("Pooling", "pooling_param { kernel_size: 2 stride: 2 }", (IMAGES,),
         "lambda x: f.max_pool2d(x, 2)"),
    Case("Pooling", "pooling_param { kernel_size: 3 stride: 2 }", (IMAGES,),
         "lambda x: f.max_pool2d(x, 3, 2, ceil_mode=True)"),
    Case("Pooling", "pooling_param { kernel_size: 3 stride: 1 pad: 1 }", (IMAGES,),
         "lambda x: f.max_pool2d(x, 3, 1, 1)"),
    Case("Pooling", "pooling_param { pool: AVE kernel_size: 3 stride: 2 }", (IMAGES,),
         "lambda x: f.avg_pool2d(x, 3, 2, ceil_mode=True)"),
    Case("Pooling", "pooling_param { pool: AVE kernel_size: 2 stride: 2 }", (IMAGES,),
         "lambda x: f.avg_pool2d(x, 2)"),
    Case("Pooling", "pooling_param { pool: AVE global_pooling: true }", (IMAGES,),
         "lambda x: f.adaptive_avg_pool2d(x, 1)"),
    Case("Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 }",
         ("positive 16 64 56 56",), "StochasticPool()"),
    Case("SPP", "spp_param { pyramid_height: 3 }", (IMAGES,),
         "lambda x: torch.cat([f.adaptive_max_pool2d(x, b).flatten(1) for b in (1, 2, 4)], 1)"),
    Case("ROIPooling", "roi_pooling_param { pooled_h: 7 pooled_w: 7 spatial_scale: 0.0625 }",
         ("x 1 256 38 50", "regions 128"), None),
    Case("PSROIPooling", "psroi_pooling_param { spatial_scale: 0.0625 output_dim: 21 "
         "group_size: 7 }", ("x 1 1029 38 50", "regions 128"), None),
    # joining and moving
    Case("Eltwise", "", (IMAGES, IMAGES), "lambda x, y: x + y"),
    Case("Eltwise", "eltwise_param { operation: PROD }", (IMAGES, IMAGES), "lambda x, y: x * y"),
    Case("Eltwise", "eltwise_param { operation: MAX }", (IMAGES, IMAGES), "torch.maximum"),
    Case("Eltwise", "eltwise_param { coeff: 1 coeff: -1 }", (IMAGES, IMAGES), "torch.sub"),
    Case("Concat", "", (IMAGES, IMAGES), "lambda *x: torch.cat(x, 1)"),
    Case("Slice", "", (IMAGES,), "lambda x: [p.contiguous() for p in x.chunk(2, 1)]", tops=2),
    Case("Split", "", (IMAGES,), "lambda x: [x.view_as(x), x.view_as(x)]", tops=2),
    Case("Flatten", "", (IMAGES,), "lambda x: x.flatten(1)"),
    Case("Reshape", "reshape_param { shape { dim: 0 dim: -1 } }", (IMAGES,),
         "lambda x: x.reshape(x.shape[0], -1)"),
    Case("Unsqueeze", "unsqueeze_param { dim: 1 }", (IMAGES,), "lambda x: x.unsqueeze(1)"),
    Case("Tile", "tile_param { tiles: 3 }", (SMALL,), "lambda x: x.repeat(1, 3, 1, 1)"),
    Case("Crop", "crop_param { axis: 2 offset: 2 }", (IMAGES, "x 16 64 48 48"),
         "lambda x, y: x[:, :, 2:50, 2:50].contiguous()"),
    Case("Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }", (IMAGES,),
         "lambda x: x.permute(0, 2, 3, 1).contiguous()"),
    Case("Transpose", "transpose_param { dim: 1 dim: 0 dim: 2 dim: 3 }", (IMAGES,),
         "lambda x: x.permute(1, 0, 2, 3).contiguous()"),
    Case("Reverse", "reverse_param { axis: 1 }", (IMAGES,), "lambda x: x.flip(1)"),
    Case("ShuffleChannel", "shuffle_channel_param { group: 4 }", (IMAGES,), "lambda x: "
         "x.view(16, 4, 16, 56, 56).transpose(1, 2).reshape(x.shape)"),
    Case("PixelShuffle", "pixelshuffle_param { upscale_factor: 2 }", (IMAGES,),
         "lambda x: f.pixel_shuffle(x, 2)"),
    Case("Reorg", "reorg_param { stride: 2 }", (IMAGES,), "lambda x: f.pixel_unshuffle(x, 2)"),
    Case("Pad", "pad_param { pad_u: 2 pad_d: 2 pad_l: 2 pad_r: 2 }", (IMAGES,),
         "lambda x: f.pad(x, (2, 2, 2, 2))"),
    Case("BatchReindex", "", (IMAGES, "rows 16"), "lambda x, i: x[i.long()]"),
    Case("Filter", "", (IMAGES, "binary 16"), "lambda x, s: x[s.nonzero()[:, 0]]"),
    Case("Reduction", "reduction_param { axis: 1 }", (IMAGES,), "lambda x: x.flatten(1).sum(1)"),
    Case("Reduction", "reduction_param { operation: SUMSQ }", (IMAGES,),
         "lambda x: (x * x).sum()"),
    Case("ArgMax", "argmax_param { axis: 1 }", (IMAGES,), "lambda x: x.argmax(1)", backward=False),
    Case("Silence", "", (IMAGES,), "lambda x: torch.zeros(1)", tops=0, backward=False),
    # other sizes
    Case("Upsample", "upsample_param { scale: 2 }", (SMALL,),
         'lambda x: f.interpolate(x, scale_factor=2, mode="nearest")'),
    Case("Upsample", "upsample_param { scale: 2 }", (SMALL, MASK), UNPOOLED),
    Case("MaxUnPool", "max_unpool_param { dst_h: 28 dst_w: 28 }", (SMALL, MASK), UNPOOLED),
    Case("Unpooling", "unpooling_param { kernel_size: 2 stride: 2 }", (SMALL, MASK), UNPOOLED),
    Case("Accum", "", ("x 16 64 28 28", "x 16 256 14 14"), "lambda x, y: torch.cat([x, "
         'f.interpolate(y, (28, 28), mode="bilinear", align_corners=True)], 1)'),
    Case("Interp", "interp_param { zoom_factor: 2 }", (SMALL,),
         'lambda x: f.interpolate(x, (27, 27), mode="bilinear", align_corners=True)'),
    Case("Resize", "resize_param { height: 28 width: 28 }", (SMALL,),
         'lambda x: f.interpolate(x, scale_factor=2, mode="bilinear")'),
    Case("BilinearInterpolate", "bilinear_interpolate_param { scale_factor: 2 }", (SMALL,),
         'lambda x: f.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)'),
    Case("Resample", "resample_param { height: 28 width: 28 }", (SMALL,),
         'lambda x: f.interpolate(x, (28, 28), mode="bilinear")'),
    Case("Downsample", "downsample_param { top_height: 7 top_width: 7 }", (SMALL,),
         'lambda x: f.interpolate(x, (7, 7), mode="bilinear", antialias=True)', backward=False),
    Case("FlowWarp", "", (SMALL, "x 16 2 14 14"), "Warp()"),
    Case("Correlation", "correlation_param { kernel_size: 1 max_displacement: 4 pad: 4 }",
         ("x 2 64 48 64", "x 2 64 48 64"), "Correlated(4)"),
    # losses and measures
    Case("Softmax", "", (SCORES,), "lambda x: f.softmax(x, 1)"),
    Case("Softmax", "", (DENSE,), "lambda x: f.softmax(x, 1)"),
    Case("SoftmaxWithLoss", "", (SCORES, "classes 1000 128"),
         "lambda x, y: f.cross_entropy(x, y.long())"),
    Case("SoftmaxWithLoss", "", (DENSE, "classes 21 4 128 128"),
         "lambda x, y: f.cross_entropy(x, y.long())"),
    Case("InfogainLoss", "", (SCORES, "classes 1000 128", "positive 1000 1000"),
         "lambda x, y, h: -(h[y.long()] * f.log_softmax(x, 1)).sum() / len(x)"),
    Case("MultinomialLogisticLoss", "", ("positive 128 1000", "classes 1000 128"),
         "lambda x, y: f.nll_loss(x.clamp(min=1e-20).log(), y.long())"),
    Case("SigmoidCrossEntropyLoss", "", (VECTORS, "binary 64 4096"),
         'lambda x, y: f.binary_cross_entropy_with_logits(x, y, reduction="sum") / len(x)'),
    Case("EuclideanLoss", "", (VECTORS, VECTORS),
         'lambda x, y: f.mse_loss(x, y, reduction="sum") / (2 * len(x))'),
    Case("L1Loss", "", (VECTORS, VECTORS),
         'lambda x, y: f.l1_loss(x, y, reduction="sum") / len(x)'),
    Case("SmoothL1Loss", "", (VECTORS, VECTORS),
         'lambda x, y: f.smooth_l1_loss(x, y, reduction="sum") / len(x)'),
    Case("HingeLoss", "", (SCORES, "classes 1000 128"), "Hinge()"),
    Case("ContrastiveLoss", "", ("x 512 256", "x 512 256", "binary 512"), "Contrastive()"),
    Case("Accuracy", "accuracy_param { top_k: 5 }", (SCORES, "classes 1000 128"),
         "lambda x, y: (x.topk(5, 1).indices == y.long()[:, None]).sum() / len(x)",
         backward=False),
    # products and convolutions
    Case("InnerProduct", "inner_product_param { num_output: 1000 }", (VECTORS,),
         "n.Linear(4096, 1000)"),
    Case("Embed", "embed_param { num_output: 256 input_dim: 10000 }", ("classes 10000 64 32",),
         "Embedded(10000, 256)"),
    Case("Convolution", "convolution_param { num_output: 64 kernel_size: 3 pad: 1 }", (IMAGES,),
         "n.Conv2d(64, 64, 3, padding=1)"),
    Case("Convolution", "convolution_param { num_output: 256 kernel_size: 1 }", (SMALL,),
         "n.Conv2d(256, 256, 1)"),
    Case("Deconvolution", "convolution_param { num_output: 64 kernel_size: 4 stride: 2 pad: 1 }",
         (SMALL,), "n.ConvTranspose2d(256, 64, 4, 2, 1)"),
    Case("ConvolutionDepthwise", "convolution_param { num_output: 64 kernel_size: 3 pad: 1 }",
         (IMAGES,), "n.Conv2d(64, 64, 3, padding=1, groups=64)"),
    Case("DepthwiseConvolution", "convolution_param { num_output: 64 kernel_size: 3 pad: 1 }",
         (IMAGES,), "n.Conv2d(64, 64, 3, padding=1, groups=64)"),
    Case("Im2col", "convolution_param { kernel_size: 3 pad: 1 }", (SMALL,),
         "lambda x: f.unfold(x, 3, padding=1)"),
    Case("RNN", "recurrent_param { num_output: 256 }", ("x 20 32 256", "cont 20 32"),
         "Recurrent(n.RNN(256, 256))"),
    Case("LSTM", "recurrent_param { num_output: 256 }", ("x 20 32 256", "cont 20 32"),
         "Recurrent(n.LSTM(256, 256))"),
    Case("LSTMUnit", "", ("x 1 256 256", "x 1 256 1024", "cont 1 256"), "Unit()", tops=2),
    # boxes
    Case("PriorBox", "prior_box_param { min_size: 30 aspect_ratio: 2 flip: true clip: true "
         "variance: 0.1 }", ("x 1 8 38 38", "x 1 3 300 300"), None, backward=False),
    Case("MultiBoxLoss", "multibox_loss_param { num_classes: 21 }",
         ("x 8 7668", "x 8 40257", "priors 1917", "truths 32 21"), None),
    Case("DetectionOutput", "detection_output_param { num_classes: 21 keep_top_k: 200 "
         "confidence_threshold: 0.5 nms_param { nms_threshold: 0.45 top_k: 400 } }",
         ("x 1 7668", "x 1 40257", "priors 1917"), None, backward=False),
    Case("Proposal", "", ("x 1 18 38 50", "x 1 36 38 50", "image 608 800"), None, backward=False),
    Case("RegionLoss", f"region_loss_param {{ num_class: 20 num: 3 {ANCHORS} }}",
         ("x 8 75 13 13", "truths 32 21"), None),
    Case("YoloDetectionOutput", "yolo_detection_output_param { num_classes: 20 num_box: 3 "
         f"confidence_threshold: 0.5 {ANCHORS} }}", ("x 1 75 13 13",), None, backward=False),
    Case("EvalDetection", "eval_detection_param { side: 13 num_class: 20 num_object: 3 nms: 0.5 "
         f"{ANCHORS} }}", ("x 8 75 13 13", "truths 32 21"), None, backward=False),
]  # fmt: skip
