"""DenseImageData: images whose labels are images, for segmentation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from protonet.data.image_list import read_image
from protonet.data.label_images import (
    LabelImageBatches,
    LabelImageList,
    label_transformer,
    read_label_image,
)
from protonet.data.transformer import Transformer

from .base import TRAIN, Exactly, LayerError, Shape
from .data_layer import PrefetchedLayer, about, batch_size, refuse_long_skip, refuse_moving
from .registry import register

if TYPE_CHECKING:
    from protonet.data.arrays import Batch
    from protonet.data.prefetch import BatchMaker

_GROUP = "dense_image_data_param"


@register("DenseImageData")
class DenseImageData(PrefetchedLayer):
    """The images of a list file with one label a pixel, around and around.

    Shapes:     → N×C×H×W and labels N×1×H'×W'; N is batch_size, C 3 (B, G, R), or 1 without
                is_color; H×W is new_height×new_width or the first image's size, cropped if
                transform_param says so; H' = H / label_divide_factor.
    Parameters: source (a line for each image: its path and that of its label image), root_folder
                (put before each path as it is), batch_size, new_height and new_width, is_color,
                shuffle (anew in each epoch), rand_skip, label_divide_factor (1), transform_param.
    Rules:      images are resized as OpenCV does it, label images by their nearest pixels; a crop
                and a mirroring are the same for both, mean and scale are for the image alone.
    Source:     SegNet's fork; label_divide_factor: ENet's.
    """

    tops = Exactly(2)
    source_field = (_GROUP, "source")

    def setup(self) -> None:
        self.settings = self.param.dense_image_data_param
        self.batch = batch_size(self.settings, _GROUP)
        self.size = (int(self.settings.new_height), int(self.settings.new_width))
        if bool(self.size[0]) != bool(self.size[1]):
            raise LayerError(
                "give new_height and new_width, or neither",
                field=(_GROUP, "new_height" if self.size[0] else "new_width"),
            )
        given = self.settings.HasField("label_divide_factor")
        factor = self.settings.label_divide_factor if given else 1
        if factor < 1 or (factor > 1 and not self.size[0]):
            raise LayerError(
                "label_divide_factor must be at least 1, and goes with new_height and new_width",
                field=(_GROUP, "label_divide_factor"),
            )
        self.label_size = (self.size[0] // factor, self.size[1] // factor)
        settings = self.param.transform_param
        if factor > 1 and settings.crop_size:
            raise LayerError(
                "labels of another size than the images cannot be cropped with them",
                field=(_GROUP, "label_divide_factor"),
            )
        with about("transform_param"):
            self.transformer = Transformer(settings, self.phase == TRAIN)
            self.label_transformer = label_transformer(settings, self.phase == TRAIN)
            refuse_moving(self.transformer)

    def _list(self) -> LabelImageList:
        images = LabelImageList(self.settings.source, self.settings.root_folder)
        refuse_long_skip(self.settings.rand_skip, len(images), _GROUP)
        return images

    def first_shapes(self) -> list[Shape]:
        path, label_path = self._list().pair(0)
        image = read_image(path, self.settings.is_color, *self.size)
        label = read_label_image(label_path, *self.label_size)
        return [
            (self.batch, *self.transformer.image_shape(*image.shape)),
            (self.batch, *self.label_transformer.image_shape(*label.shape)),
        ]

    def maker(self, dtype: np.dtype) -> Callable[[], BatchMaker[Batch]]:
        images, settings = self._list(), self.settings
        arguments = (
            images, settings.is_color, self.size, self.transformer, self.batch,
            settings.shuffle, settings.rand_skip, dtype, self.position, self.key,
        )  # fmt: skip
        label_size, transformer = self.label_size, self.label_transformer

        def make() -> LabelImageBatches:
            return LabelImageBatches(*arguments).labelled(images, label_size, transformer)

        return make
