"""ImageData and ImageFolder: image files named by a list, or in a folder for each class."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from protonet.data.image_folder import ImageFolder, write_class_names
from protonet.data.image_list import ImageBatches, ImageList, read_image
from protonet.data.transformer import Transformer

from .base import TRAIN, Exactly, LayerError, Shape
from .data_layer import PrefetchedLayer, about, batch_size, refuse_long_skip, without_effect
from .registry import register

if TYPE_CHECKING:
    from protonet.data.arrays import Batch
    from protonet.data.prefetch import BatchMaker

_GROUP = "image_data_param"


@register("ImageData")
class ImageData(PrefetchedLayer):
    """The images of a list file and their labels, around and around.

    Shapes:     → N×C×H×W and N labels; N is batch_size, C 3 (B, G, R), or 1 without is_color; H×W
                is new_height×new_width or the size of the batch's first image, cropped if
                transform_param says so.
    Parameters: source (`path label` a line), root_folder (put before each path as it is),
                batch_size, new_height and new_width (resized as OpenCV does it), is_color,
                shuffle (anew in each epoch), rand_skip, transform_param.
    Source:     Caffe 1.0.
    """

    tops = Exactly(2)
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
        with about("transform_param"):
            self.transformer = Transformer(self.param.transform_param, self.phase == TRAIN)

    def warnings(self) -> list[LayerError]:
        return without_effect(self.param, _GROUP)

    def _find(self) -> ImageList | ImageFolder:
        return ImageList(self.settings.source, self.settings.root_folder)

    def _list(self) -> ImageList | ImageFolder:
        images = self._find()
        refuse_long_skip(self.settings.rand_skip, len(images), _GROUP)
        return images

    def first_shapes(self) -> list[Shape]:
        images = self._list()
        image = read_image(images.entry(0)[0], self.settings.is_color, *self.size)
        return [(self.batch, *self.transformer.image_shape(*image.shape)), (self.batch,)]

    def maker(self, dtype: np.dtype) -> Callable[[], BatchMaker[Batch]]:
        return partial(
            ImageBatches, self._list(), self.settings.is_color, self.size, self.transformer,
            self.batch, self.settings.shuffle, self.settings.rand_skip, dtype,
            self.position, self.key,
        )  # fmt: skip


@register("ImageFolder")
class ImageFolderData(ImageData):
    """The images in the folders of a folder, one for each class, around and around.

    Shapes:     as ImageData; the labels number the folders in the order of their names, from 0.
    Parameters: image_data_param { source: the folder, label_list: a file to which the classes'
                names are written at the first pass, one a line }; else as ImageData.
    Source:     protonet's own, after other frameworks' folders of images.
    """

    def _find(self) -> ImageList | ImageFolder:
        return ImageFolder(self.settings.source)

    def maker(self, dtype: np.dtype) -> Callable[[], BatchMaker[Batch]]:
        if self.settings.label_list:
            with about(_GROUP, "label_list"):
                write_class_names(
                    self.settings.label_list, ImageFolder(self.settings.source).classes
                )
        return super().maker(dtype)
