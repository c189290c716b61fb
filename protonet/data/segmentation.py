"""Images and label images of any size, brought to one crop: `path label` a line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protonet.ir.protonet_pb2 import ImageDataParameter

from .arrays import Array, Batch, array_in
from .chance import uniform_below
from .errors import DataError
from .image_list import read_all, read_image
from .label_images import LabelImageBatches, LabelImageList, nearest, read_label_image
from .pictures import Image
from .resize import resized

__all__ = ["Segmentation", "SegmentationBatches"]

_FACTOR = 40  # the draw that decides how large an image becomes


@dataclass(frozen=True)
class Segmentation:
    """How an image and its labels are read and made large enough for the crop."""

    label_type: int  # of ImageDataParameter: what a line's second word is, if there is one
    ignore_label: int  # of what has no label: the border, images without labels
    crop: int  # both sides; 0: images stay as they are
    border: tuple[float, ...]  # of each channel, or of all
    factors: tuple[float, ...]  # one is drawn for each image

    def read(
        self, images: LabelImageList, index: int, color: bool, size: tuple[int, int]
    ) -> tuple[Image, Image]:
        """Returns the image and the labels, of one size, of a line. Raises DataError."""
        if self.label_type == ImageDataParameter.PIXEL:
            path, label_path = images.pair(index)
            image, labels = read_image(path, color, *size), read_label_image(label_path, *size)
            if image.shape[1:] != labels.shape[1:]:
                raise DataError(
                    f"{images.where(index)}: the label image is "
                    f"{labels.shape[1]}×{labels.shape[2]}, "
                    f"but its image {image.shape[1]}×{image.shape[2]}",
                    code="E454",
                )
            return image, labels
        path, label = images.root + images.line(index), self.ignore_label
        if self.label_type == ImageDataParameter.IMAGE:
            path, label = images.entry(index)
            if not 0 <= label <= 255:
                raise DataError(
                    f"{images.where(index)}: a label is from 0 to 255, not {label}", code="E453"
                )
        image = read_image(path, color, *size)
        return image, np.full((1, *image.shape[1:]), label, np.uint8)

    def scaled(self, pair: tuple[Image, Image], factor: float) -> tuple[Image, Image]:
        """Returns image and labels of another size."""
        image, labels = pair
        height, width = (max(1, round(size * factor)) for size in image.shape[1:])
        return resized(image, height, width), nearest(labels, height, width)

    def bordered(self, pair: tuple[Image, Image]) -> tuple[Image, Image]:
        """Returns image and labels with a border below and at the right where the crop needs it;
        less the mean, the border is 0."""
        image, labels = pair
        rows, columns = (max(0, self.crop - size) for size in image.shape[1:])
        if not rows and not columns:
            return pair
        height, width = image.shape[1] + rows, image.shape[2] + columns
        wide = np.empty((len(image), height, width), np.float32)
        wide[:] = np.array(self.border, np.float32).reshape(-1, 1, 1)
        wide[:, : image.shape[1], : image.shape[2]] = image
        wide_labels = np.full((1, height, width), self.ignore_label, np.uint8)
        wide_labels[:, : image.shape[1], : image.shape[2]] = labels
        return wide, wide_labels


class SegmentationBatches(LabelImageBatches):
    """Makes batches of images, their labels and, for three tops, the size of what is no border."""

    def segmented(self, rule: Segmentation, tops: int) -> SegmentationBatches:
        """Takes the rule; returns itself."""
        self._rule, self._tops = rule, tops
        return self

    def make(self, number: int, spare: Batch | None) -> Batch:
        first = self._start + number * self._size
        positions = np.arange(first, first + self._size)
        chosen = [self._image_at(int(position)) for position in positions + self._skip]
        pairs = read_all(
            chosen, self._pairs,
            lambda index: self._rule.read(self._pairs, index, self._color, self._new_size),
        )  # fmt: skip
        if self._rule.factors:
            limits = np.full(self._size, len(self._rule.factors))
            drawn = uniform_below(limits, self._key, positions, _FACTOR)
            factors = [self._rule.factors[which] for which in drawn.tolist()]
            pairs = [self._rule.scaled(*each) for each in zip(pairs, factors, strict=True)]
        batch = self._batch([self._rule.bordered(pair) for pair in pairs], chosen, positions, spare)
        if self._tops > 2:
            sizes = array_in(spare, 2, (self._size, 1, 1, 2), self._dtype)
            sizes[:, 0, 0] = self._sizes([pair[0] for pair in pairs])
            batch.append(sizes)
        return batch

    def _sizes(self, images: list[Image]) -> Array:
        sizes = np.array([image.shape[1:] for image in images])
        return np.minimum(sizes, self._rule.crop) if self._rule.crop else sizes
