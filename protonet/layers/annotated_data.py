"""AnnotatedData: images with true boxes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from protonet.data.annotated_batches import (
    AnnotatedBatches,
    annotated_image_shape,
    plain_transform,
    resizes,
)
from protonet.data.augment import judge_distortion
from protonet.data.box_sampling import judge_samplers
from protonet.data.transformer import Transformer
from protonet.ir.protonet_pb2 import DataParameter, OldResizeParameter, TransformationParameter

from .base import TRAIN, Between, LayerError, Shape, SourceMissing
from .data_layer import PrefetchedLayer, about, batch_size
from .registry import register

if TYPE_CHECKING:
    from protonet.data.arrays import Batch
    from protonet.data.prefetch import BatchMaker


def image_size(settings: TransformationParameter, field: tuple[str, str]) -> tuple[int, int]:
    """Returns the height and width that transform_param gives images; SourceMissing at `field` if
    it leaves them as they are."""
    if settings.crop_size:
        return settings.crop_size, settings.crop_size
    if settings.crop_h and settings.crop_w:
        return settings.crop_h, settings.crop_w
    resizes = [*settings.resize_param]
    if settings.HasField("old_resize_param"):
        resizes.append(settings.old_resize_param)
    for resize in resizes:
        fits_small = resize.resize_mode == OldResizeParameter.FIT_SMALL_SIZE
        if resize.height and resize.width and not fits_small:
            return resize.height, resize.width
    raise SourceMissing(
        "the size of the images is known only from transform_param",
        field=field,
        help="give resize_param { height, width }, or crop_size",
    )


@register("AnnotatedData")
class AnnotatedData(PrefetchedLayer):
    """Images and true boxes of a database of AnnotatedDatum records, around and around.

    Shapes:     → N×C×H×W, and 1×1×R×8 true boxes (image, class, instance, xmin, ymin, xmax, ymax,
                difficult), as shares of the image; N is batch_size, C 3, or 1 with force_gray, H×W
                the crop's or resize_param's (the first's of several); R is the number of boxes of
                a batch, or 1 row of −1 if there are none.
    Parameters: data_param: see Data; annotated_data_param { batch_sampler }; transform_param
                { distort_param, expand_param, resize_param, emit_constraint, crop_size, mirror,
                mean_file, mean_value, scale }.
    Rules:      done in this order: colours, canvas, sampled part, size, crop. Linear resizing is
                OpenCV's, other kinds Pillow's; so are hue and saturation.
    Source:     Liu et al. 2016 (SSD).
    """

    namesake = "MobileNet-YOLO's layer of this name, with labels of pixels, is not supported"
    tops = Between(1, 2)
    source_field = ("data_param", "source")

    def setup(self) -> None:
        self.settings, transform = self.param.data_param, self.param.transform_param
        self.batch = batch_size(self.settings, "data_param")
        self.depth = max(1, self.settings.prefetch)
        self.leveldb = self.settings.backend == DataParameter.LEVELDB
        with about("transform_param"):
            Transformer(plain_transform(transform), self.phase == TRAIN)
            judge_distortion(transform.distort_param)
        with about("annotated_data_param"):
            judge_samplers(self.param.annotated_data_param.batch_sampler)

    def first_shapes(self) -> list[Shape]:
        transform = self.param.transform_param
        channels = 1 if transform.force_gray else 3
        try:
            image: Shape = (channels, *image_size(transform, self.source_field))
        except SourceMissing:
            if resizes(transform):
                raise
            image = annotated_image_shape(self.settings.source, self.leveldb, transform)
        return [(self.batch, *image), (1, 1, 1, 8)][: self.top_count]

    def maker(self, dtype: np.dtype) -> Callable[[], BatchMaker[Batch]]:
        transform = self.param.transform_param
        for name in ("crop_h", "crop_w", "noise_param"):
            if transform.HasField(name) and getattr(transform, name):
                raise LayerError(f"{name} cannot be done", field=("transform_param", name))
        if any(e.resize_mode == OldResizeParameter.FIT_SMALL_SIZE for e in resizes(transform)):
            raise LayerError(
                "resize_mode FIT_SMALL_SIZE cannot be done", field=("transform_param",)
            )
        if self.param.annotated_data_param.yolo_data_type:
            raise LayerError(
                "boxes for yolo_data_type cannot be made",
                field=("annotated_data_param", "yolo_data_type"),
            )
        samplers = [*self.param.annotated_data_param.batch_sampler]
        return partial(
            AnnotatedBatches, self.settings.source, self.leveldb, transform, samplers,
            self.phase == TRAIN, self.batch, dtype, self.position, self.key,
        )  # fmt: skip
