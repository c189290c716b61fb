"""ImageSegData: images of any size and labels a pixel, for segmentation as DeepLab trains it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from protonet.data.label_images import LabelImageList, label_transformer
from protonet.data.segmentation import Segmentation, SegmentationBatches
from protonet.data.transformer import Transformer
from protonet.ir.protonet_pb2 import ImageDataParameter

from .base import TRAIN, Between, LayerError, Shape
from .data_layer import PrefetchedLayer, about, batch_size, refuse_long_skip, refuse_moving
from .registry import register

if TYPE_CHECKING:
    from protonet.data.arrays import Batch
    from protonet.data.prefetch import BatchMaker

_GROUP = "image_data_param"


@register("ImageSegData")
class ImageSegData(PrefetchedLayer):
    """The images of a list file with one label a pixel, whatever their sizes, around and around.

    Shapes:     → N×C×H×W, labels N×1×H×W, and with a third top N×1×1×2: height and width of what
                is image and no border; N is batch_size, C 3 (B, G, R), or 1 without is_color; H×W
                is crop_size, or without it new_height×new_width or the first image's size.
    Parameters: source, root_folder (put before each path as it is), batch_size, new_height and
                new_width, is_color, shuffle (anew in each epoch), rand_skip; label_type: PIXEL, the
                default (a line is an image's path and that of its label image), IMAGE (a path
                and one label for all pixels) or NONE (a path); ignore_label (255); transform_param
                and its scale_factors: in TRAIN both are resized by one of them, drawn anew.
    Rules:      images smaller than the crop get a border below and at the right: mean_value in the
                image, so 0 comes out, and ignore_label in the labels. Crop and mirroring are the
                same for both; labels are resized by their nearest pixels.
    Source:     Chen et al. 2015 (DeepLab) and its fork; scale_factors: PSPNet's training.
    """

    tops = Between(2, 3)
    source_field = (_GROUP, "source")

    def setup(self) -> None:
        self.settings = self.param.image_data_param
        self.batch = batch_size(self.settings, _GROUP)
        self.size = (int(self.settings.new_height), int(self.settings.new_width))
        if bool(self.size[0]) != bool(self.size[1]):
            raise LayerError(
                "give new_height and new_width, or neither",
                field=(_GROUP, "new_height" if self.size[0] else "new_width"),
            )
        if self.settings.ignore_label > 255:
            raise LayerError(
                "ignore_label must be from 0 to 255: labels are bytes",
                field=(_GROUP, "ignore_label"),
            )
        settings = self.param.transform_param
        for index, factor in enumerate(settings.scale_factors):
            if not factor > 0:
                raise LayerError(
                    "scale_factors must be positive",
                    field=("transform_param", "scale_factors", index),
                )
        if settings.scale_factors and not settings.crop_size:
            raise LayerError(
                "images of random sizes need a crop_size",
                field=("transform_param", "scale_factors"),
                help="the crop is what makes them one size",
            )
        with about("transform_param"):
            self.transformer = Transformer(settings, self.phase == TRAIN)
            self.label_transformer = label_transformer(settings, self.phase == TRAIN)
            refuse_moving(self.transformer)
        pixels = not self.settings.HasField("label_type")
        self.rule = Segmentation(
            ImageDataParameter.PIXEL if pixels else self.settings.label_type,
            self.settings.ignore_label, settings.crop_size, tuple(settings.mean_value) or (0.0,),
            tuple(settings.scale_factors) if self.phase == TRAIN else (),
        )  # fmt: skip

    def _list(self) -> LabelImageList:
        images = LabelImageList(self.settings.source, self.settings.root_folder)
        refuse_long_skip(self.settings.rand_skip, len(images), _GROUP)
        return images

    def first_shapes(self) -> list[Shape]:
        pair = self.rule.read(self._list(), 0, self.settings.is_color, self.size)
        image, labels = self.rule.bordered(pair)
        shapes: list[Shape] = [
            (self.batch, *self.transformer.image_shape(*image.shape)),
            (self.batch, *self.label_transformer.image_shape(*labels.shape)),
            (self.batch, 1, 1, 2),
        ]
        return shapes[: self.top_count]

    def maker(self, dtype: np.dtype) -> Callable[[], BatchMaker[Batch]]:
        images, settings = self._list(), self.settings
        arguments = (
            images, settings.is_color, self.size, self.transformer, self.batch,
            settings.shuffle, settings.rand_skip, dtype, self.position, self.key,
        )  # fmt: skip
        labels, rule, tops = self.label_transformer, self.rule, self.top_count

        def make() -> SegmentationBatches:
            made = SegmentationBatches(*arguments).segmented(rule, tops)
            made.labelled(images, self.size, labels)
            return made

        return make
