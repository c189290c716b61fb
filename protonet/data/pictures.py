"""Images of a batch where they lie in memory, and decoding of image files to such images."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import DataError
from .pillow_pixels import pixels_of

__all__ = ["PICTURE", "Image", "Pictures", "decode", "encode", "lent_image"]

_JPEG_QUALITY = 95  # OpenCV's

Image = npt.NDArray[Any]
"""A C×H×W array of uint8 or float32, of any strides; channels are B, G, R where there are 3."""

PICTURE = np.dtype(
    [
        (name, np.int64)
        for name in (
            "pixels", "is_float", "channel_step", "row_step", "column_step",
            "top", "left", "mirror",
        )
    ]
)  # fmt: skip
"""The C struct `picture` of kernels.h, where each field is explained."""


class _Lent:
    """Somebody's memory, for numpy, which keeps the owner as long as it needs it."""

    def __init__(
        self,
        owner: object,
        address: int,
        kind: str,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
    ) -> None:
        self._owner = owner
        self.__array_interface__ = {
            "data": (address, True), "shape": shape, "strides": strides, "typestr": kind,
            "version": 3,
        }  # fmt: skip


def lent_image(
    owner: object, address: int, kind: str, shape: tuple[int, ...], strides: tuple[int, ...]
) -> Image:
    """Returns the image at that address in the owner's memory, read-only; strides in bytes."""
    return np.asarray(_Lent(owner, address, kind, shape, strides))


class Pictures:
    """The places and sizes of a batch's images; `owners` keeps their memory alive."""

    def __init__(self, count: int, channels: int) -> None:
        self.places = np.zeros(count, PICTURE)
        self.channels = channels
        self.heights = np.zeros(count, np.int64)
        self.widths = np.zeros(count, np.int64)
        self.owners: list[Any] = []

    def __len__(self) -> int:
        return len(self.places)

    def put(self, index: int, image: Image) -> None:
        """Makes this C×H×W array image `index`."""
        place = self.places[index]
        place["pixels"] = image.__array_interface__["data"][0]
        place["is_float"] = image.dtype == np.float32
        for name, stride in zip(("channel", "row", "column"), image.strides, strict=True):
            place[f"{name}_step"] = stride // image.itemsize
        self.heights[index], self.widths[index] = image.shape[1:]
        self.owners.append(image)

    def image(self, index: int) -> Image:
        """Returns image `index` where it lies, C×H×W, read-only."""
        place = self.places[index]
        item = 4 if place["is_float"] else 1
        return lent_image(
            self,
            int(place["pixels"]),
            "<f4" if item == 4 else "|u1",
            (self.channels, int(self.heights[index]), int(self.widths[index])),
            tuple(int(place[f"{axis}_step"]) * item for axis in ("channel", "row", "column")),
        )

    @classmethod
    def of(cls, images: Sequence[Image]) -> Pictures:
        """Returns the places of these images, which have the same number of channels."""
        made = cls(len(images), images[0].shape[0])
        for index, image in enumerate(images):
            made.put(index, image)
        return made


def decode(content: bytes | memoryview, mode: str = "") -> Image:
    """Decodes an image file's bytes (JPEG, PNG, …) to C×H×W uint8, channels B, G, R.

    `mode` is "color" for three channels, "gray" for one, "" for as many as the file has. Raises
    DataError E453 if it cannot be decoded.
    """
    from PIL import Image as pillow
    from PIL import UnidentifiedImageError

    try:
        with pillow.open(io.BytesIO(content)) as image:
            if mode == "gray":
                image.draft("L", image.size)  # a JPEG's luminance, as libjpeg itself gives it
            return _channels_first(_eight_bit(image), mode, image.format == "PNG")
    except UnidentifiedImageError:  # its text names an address in memory
        raise DataError(
            "the image cannot be decoded: it is of no known kind", code="E453"
        ) from None
    except Exception as error:  # Pillow's decoders raise whatever broken bytes lead them to
        raise DataError(
            f"the image cannot be decoded: {error or type(error).__name__}", code="E453"
        ) from None


def encode(image: Image, kind: str) -> bytes:
    """Returns a C×H×W image of bytes (grey or B, G, R) as an image file, kind "jpg" or "png"."""
    from PIL import Image as pillow

    pixels = image[0] if len(image) == 1 else image[::-1].transpose(1, 2, 0)
    with io.BytesIO() as file:
        whole = pillow.fromarray(np.ascontiguousarray(pixels))
        if kind == "jpg":
            whole.save(file, "JPEG", quality=_JPEG_QUALITY)
        else:
            whole.save(file, "PNG")
        return file.getvalue()


def _eight_bit(image: Any) -> Any:
    """Returns the image in one of the modes L, RGB and RGBA."""
    from PIL import Image as pillow

    if image.mode == "CMYK" and image.format == "JPEG":
        return pillow.fromarray(_printed(np.asarray(image)))
    if image.mode.startswith("I;16"):
        return pillow.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("L", "RGB", "RGBA"):
        return image
    return image.convert({"1": "L", "LA": "RGBA"}.get(image.mode, "RGB"))


def _printed(inks: Image) -> Image:
    """Returns R, G, B of C, M, Y, K, of the printers' JPEG files that are among photographs: an
    ink's share of the light, rounded down as OpenCV does."""
    light = 255 - inks.astype(np.int32)
    colors, black = light[:, :, :3], light[:, :, 3:]
    return (black - ((255 - colors) * black >> 8)).astype(np.uint8)


def _channels_first(image: Any, mode: str, by_libpng: bool) -> Image:
    if mode == "gray" and image.mode != "L":
        return _gray(np.asarray(image.convert("RGB")), by_libpng)[None]
    if mode == "color" and image.mode != "RGB":
        image = image.convert("RGB")
    image.load()
    pixels = pixels_of(image)
    if pixels.shape[2] == 4:
        return pixels[:, :, [2, 1, 0, 3]].transpose(2, 0, 1)
    return pixels[:, :, ::-1].transpose(2, 0, 1)


def _gray(rgb: Image, by_libpng: bool) -> Image:
    """Returns 0.299 R + 0.587 G + 0.114 B, to the last bit as OpenCV reads grey images: PNG files
    by libpng's integers, rounded down, others by its own, rounded."""
    if by_libpng:
        weighted = rgb.astype(np.int32) @ np.array([9797, 19234, 3737], np.int32)
        return (weighted >> 15).astype(np.uint8)
    weighted = rgb.astype(np.int32) @ np.array([4899, 9617, 1868], np.int32)
    return ((weighted + (1 << 13)) >> 14).astype(np.uint8)
