"""Images whose labels are images: `path label_path` a line, one class number a pixel."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from protonet.ir.protonet_pb2 import TransformationParameter

from .arrays import Batch, array_in
from .errors import DataError
from .image_list import ImageBatches, ImageList, read_all, read_image
from .pictures import Image, Pictures
from .transformer import Transformer

__all__ = [
    "LabelImageBatches",
    "LabelImageList",
    "label_transformer",
    "nearest",
    "read_label_image",
]


class LabelImageList(ImageList):
    """A list file that names an image and its label image a line."""

    def pair(self, index: int) -> tuple[str, str]:
        """Returns both paths of a line. Raises DataError E453 for a line of another form."""
        words = self.line(index).split()
        if len(words) != 2:
            raise DataError(
                f"{self.where(index)}: not two paths: {self.line(index)!r}",
                code="E453",
                help="write `path label_path`",
            )
        return self.root + words[0], self.root + words[1]

    def line(self, index: int) -> str:
        """Returns a line of the list."""
        return os.fsdecode(bytes(self._content[self._starts[index] : self._ends[index]])).strip()


def read_label_image(path: str, height: int, width: int) -> Image:
    """Reads an image of class numbers as 1×H×W bytes; unless height is 0 resized by taking the
    pixel at or before each place, so that no class appears that was not there. DataError."""
    image = read_image(path, False)
    return nearest(image, height, width) if height else image


def nearest(image: Image, height: int, width: int) -> Image:
    """Returns a C×H×W image as C×height×width of the pixels at or before each place."""
    if image.shape[1:] == (height, width):
        return image
    rows = np.arange(height) * image.shape[1] // height
    columns = np.arange(width) * image.shape[2] // width
    return np.ascontiguousarray(image[:, rows[:, None], columns])


def label_transformer(param: TransformationParameter, train: bool) -> Transformer:
    """Returns what crops and mirrors labels as `param` does images, and leaves their values."""
    return Transformer(
        TransformationParameter(crop_size=param.crop_size, mirror=param.mirror), train
    )


class LabelImageBatches(ImageBatches):
    """Makes batches of images and their label images, both cropped and mirrored alike."""

    def labelled(
        self, images: LabelImageList, label_size: tuple[int, int], labels: Transformer
    ) -> LabelImageBatches:
        """Takes what concerns labels; returns itself."""
        self._pairs, self._label_size, self._label_transformer = images, label_size, labels
        return self

    def make(self, number: int, spare: Batch | None) -> Batch:
        first = self._start + number * self._size
        positions = np.arange(first, first + self._size)
        chosen = [self._image_at(int(position)) for position in positions + self._skip]
        return self._batch(read_all(chosen, self._pairs, self._read_pair), chosen, positions, spare)

    def _batch(
        self,
        pairs: list[tuple[Image, Image]],
        chosen: list[int],
        positions: npt.NDArray[np.int64],
        spare: Batch | None,
    ) -> Batch:
        """Returns what becomes of images and label images of the chosen lines."""
        images, labels = zip(*pairs, strict=True)
        batch: Batch = []
        for top, (found, transformer) in enumerate(
            ((images, self._transformer), (labels, self._label_transformer))
        ):
            pictures = Pictures.of(found)
            shape = transformer.batch_shape(
                pictures, lambda i, error: error.about(self._pairs.where(chosen[i]))
            )
            batch.append(array_in(spare, top, (self._size, *shape), self._dtype))
            transformer.run(pictures, self._key, positions, batch[top])
        return batch

    def _read_pair(self, index: int) -> tuple[Image, Image]:
        path, label_path = self._pairs.pair(index)
        image = read_image(path, self._color, *self._new_size)
        label = read_label_image(label_path, *self._label_size)
        self._judge_sizes(image, label)
        return image, label

    def _judge_sizes(self, image: Image, label: Image) -> None:
        """A crop is taken at one place of both, so both must have one size."""
        if self._transformer.param.crop_size and image.shape[1:] != label.shape[1:]:
            raise DataError(
                f"the label image is {label.shape[1]}×{label.shape[2]}, "
                f"but its image {image.shape[1]}×{image.shape[2]}",
                code="E454",
                help="to crop them they must have one size",
            )
