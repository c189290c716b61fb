"""What `transform_param` does to images: crop, mirror, mean, scale, in this order of places.

    y = (x − mean) · scale, where x and mean are taken at the same place of the uncropped image

A crop of crop_size × crop_size is taken at random in TRAIN and at ((H − crop)/2, (W − crop)/2)
in TEST; `mirror` turns half of the images left to right, in both phases. (Caffe 1.0)
In TRAIN, what protonet.data.augment tells is done before, where the settings ask for it; from
images of random sizes the mean image is taken resized to each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from protonet import kernels

from .augment import Augmenter
from .chance import uniform_below
from .errors import DataError
from .mean import read_mean, resized_mean
from .pictures import Pictures

if TYPE_CHECKING:
    from protonet.ir.protonet_pb2 import TransformationParameter

__all__ = ["Tell", "Transformer"]

Tell = Callable[[int, DataError], DataError]
"""Adds to an error about image i of a batch which record or file that is."""

_TOP, _LEFT, _MIRROR = range(3)  # which of a record's draws


class Transformer:
    """Maps the images of a batch as `param` says. Raises DataError for settings that cannot be."""

    def __init__(self, param: TransformationParameter, train: bool) -> None:
        self.param = param
        self.train = train
        self._mean_image: npt.NDArray[Any] | None = None
        self._mean_values = np.array(param.mean_value or [0.0], np.float32)
        if param.mean_file and param.mean_value:
            raise _wrong("give mean_file or mean_value, not both", "mean_value")
        if param.force_color and param.force_gray:
            raise _wrong("force_color and force_gray exclude each other", "force_gray")
        self._augmenter = Augmenter(param)
        """Is used in training only, but judged always."""

    @property
    def decode_mode(self) -> str:
        """What encoded images are decoded to: "color", "gray" or "" for what they are."""
        return "color" if self.param.force_color else "gray" if self.param.force_gray else ""

    @property
    def _random_sizes(self) -> bool:
        return self.train and bool(self._augmenter.sides)

    @property
    def moves_pixels(self) -> bool:
        """Whether images are resized or rotated at random."""
        return self.train and self._augmenter.moves_pixels

    def image_shape(self, channels: int, height: int, width: int) -> tuple[int, int, int]:
        """Returns C×H'×W' of what an image of this size becomes.

        Raises DataError where crop or mean do not fit it; `missing` if the mean file is not there.
        """
        crop = self.param.crop_size
        if self._random_sizes and self._augmenter.sides:
            height = width = self._augmenter.sides[0]  # at least; the crop fits and decides
        if crop > min(height, width):
            raise DataError(
                f"crop_size {crop} does not fit an image of {height}×{width}",
                code="E204",
                field=("transform_param", "crop_size"),
                help=f"crop_size must be at most {min(height, width)}",
            )
        self._mean_for(channels, height, width)
        return (channels, crop, crop) if crop else (channels, height, width)

    def batch_shape(self, pictures: Pictures, tell: Tell) -> tuple[int, int, int]:
        """Returns C×H'×W' of what these images become, which may differ in size only if they are
        cropped. Raises DataError; `tell` adds which of them it is about."""
        height, width = int(pictures.heights[0]), int(pictures.widths[0])
        shape = self.image_shape(pictures.channels, height, width)
        if (pictures.heights == height).all() and (pictures.widths == width).all():
            return shape
        sizes = np.stack([pictures.heights, pictures.widths], axis=1)
        for index in np.flatnonzero((sizes != sizes[0]).any(axis=1)).tolist():
            other_height, other_width = sizes[index].tolist()
            try:
                if not self.param.crop_size:
                    raise DataError(
                        f"the image is {other_height}×{other_width}, "
                        f"but the first of its batch is {height}×{width}",
                        code="E454",
                        help="set crop_size in transform_param, or bring the images to one size",
                    )
                self.image_shape(pictures.channels, other_height, other_width)
            except DataError as error:
                raise tell(index, error) from None
        return shape

    def _mean_for(
        self, channels: int, height: int, width: int
    ) -> tuple[npt.NDArray[Any], tuple[int, int, int]]:
        """Returns the mean's values and its steps along channel, row and column."""
        steps = (height * width, width, 1)
        if self.param.mean_file:
            if self._mean_image is None:
                self._mean_image = read_mean(self.param.mean_file)
            mean = self._mean_image
            if self._random_sizes and len(mean) == channels:
                return resized_mean(mean, height, width), steps
            if mean.shape != (channels, height, width):
                raise _wrong(
                    f"mean_file holds a mean of {'×'.join(map(str, mean.shape))}, "
                    f"but the images are {channels}×{height}×{width}",
                    "mean_file",
                    code="E454",
                    help="a mean has the size of the uncropped images; "
                    "or give mean_value, one number per channel",
                )
            return mean, steps
        values = self._mean_values
        if len(values) not in (1, channels):
            raise _wrong(
                f"{len(values)} mean_value for images of {channels} channels",
                "mean_value",
                help="give one for all channels, or one for each",
            )
        return values, (1 if len(values) > 1 else 0, 0, 0)

    def run(
        self,
        pictures: Pictures,
        key: int,
        positions: npt.NDArray[np.int64],
        out: npt.NDArray[Any],
    ) -> None:
        """Sets `out`, N×C×H'×W' of float32 or float64, from N images.

        Their chance is drawn from (key, position). All images must fit `out` and the mean, as
        `image_shape` judged.
        """
        _, channels, height, width = out.shape
        if self.train and self._augmenter:
            pictures = self._augmenter(pictures, key, positions)
        free_rows, free_columns = pictures.heights - height, pictures.widths - width
        places = pictures.places
        if free_rows.any() or free_columns.any():
            if self.train:
                places["top"] = uniform_below(free_rows + 1, key, positions, _TOP)
                places["left"] = uniform_below(free_columns + 1, key, positions, _LEFT)
            else:
                places["top"], places["left"] = free_rows // 2, free_columns // 2
        if self.param.mirror:
            two = np.full(len(pictures), 2)
            places["mirror"] = uniform_below(two, key, positions, _MIRROR)
        # One mean for all, or where each image has a size of its own one for each.
        count = 1 if self._random_sizes and self.param.mean_file else len(pictures)
        for first in range(0, len(pictures), count):
            size = int(pictures.heights[first]), int(pictures.widths[first])
            mean, steps = self._mean_for(channels, *size)
            kernels.transform_pictures(
                pictures=places[first : first + count], mean=mean.astype(out.dtype, copy=False),
                y=out[first : first + count],
                n=count, channels=channels, height=height, width=width,
                mean_channel_step=steps[0], mean_row_step=steps[1], mean_column_step=steps[2],
                scale=self.param.scale,
            )  # fmt: skip


def _wrong(message: str, name: str, code: str = "E201", help: str = "") -> DataError:
    return DataError(message, code=code, help=help, field=("transform_param", name))
