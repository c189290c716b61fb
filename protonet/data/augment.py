"""Random changes of training images before they are cropped, off unless transform_param asks.

    resize     the shorter side drawn from a range (random_resize_param, img_rand_resize_…)
    rotation   around the centre by up to max_rotation degrees; what comes from outside is 0
    colours    brightness, contrast, saturation and hue as distort_param says (Liu et al. 2016)

What an image becomes depends on (key, position) alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .chance import uniform
from .errors import DataError
from .pictures import Image, Pictures
from .resize import resized

if TYPE_CHECKING:
    from protonet.ir.protonet_pb2 import DistortionParameter, TransformationParameter

__all__ = ["Augmenter", "distorted", "judge_distortion"]

_FIRST_DRAW = 16  # the transformer's own are below
_SIDE, _ANGLE, _COLOURS = _FIRST_DRAW, _FIRST_DRAW + 1, _FIRST_DRAW + 2
COLOUR_DRAWS = 14
_HUES = 180  # OpenCV's hues of a circle, in which hue_delta is given
_OWN_HUES = 256  # Pillow's


class Augmenter:
    """Changes a batch's images as `param` says. Raises DataError for settings that cannot be."""

    def __init__(self, param: TransformationParameter) -> None:
        self.sides = _sides(param)
        self._angle = float(param.max_rotation)
        self._colours = param.distort_param if param.HasField("distort_param") else None
        if self._colours is not None:
            judge_distortion(self._colours)
        if not 0 <= self._angle <= 180:
            raise _wrong("max_rotation must be from 0 to 180", "max_rotation")
        if self.sides and not param.crop_size:
            raise _wrong(
                "images of random sizes need a crop_size",
                next(iter(_side_fields(param))),
                help="the crop is what makes them one size",
            )
        if self.sides and param.crop_size > self.sides[0]:
            raise _wrong(
                f"crop_size {param.crop_size} does not fit a shorter side of {self.sides[0]}",
                "crop_size",
            )

    def __bool__(self) -> bool:
        return bool(self.sides or self._angle or self._colours is not None)

    @property
    def moves_pixels(self) -> bool:
        """Whether images are resized or rotated."""
        return bool(self.sides or self._angle)

    def __call__(self, pictures: Pictures, key: int, positions: npt.NDArray[np.int64]) -> Pictures:
        """Returns the changed images."""
        images = [pictures.image(index) for index in range(len(pictures))]
        for image in images:
            if image.dtype != np.uint8:
                raise DataError("only images of bytes can be augmented, not floats", code="E454")
        if self._colours is not None:
            draws = np.stack(
                [uniform(key, positions, _COLOURS + draw) for draw in range(COLOUR_DRAWS)], axis=1
            )
            images = [
                distorted(image, self._colours, row)
                for image, row in zip(images, draws, strict=True)
            ]
        if self._angle:
            angles = (2 * uniform(key, positions, _ANGLE) - 1) * self._angle
            images = [_rotated(i, angle) for i, angle in zip(images, angles.tolist(), strict=True)]
        if self.sides:
            low, high = self.sides
            sides = low + (uniform(key, positions, _SIDE) * (high - low + 1)).astype(np.int64)
            images = [_scaled(i, side) for i, side in zip(images, sides.tolist(), strict=True)]
        return Pictures.of(images)


def _side_fields(param: TransformationParameter) -> dict[str, int]:
    """Returns the fields that ask for random sizes, with their values."""
    names = ("img_rand_resize_lower", "img_rand_resize_upper")
    found = {name: int(getattr(param, name)) for name in names if param.HasField(name)}
    if param.HasField("random_resize_param"):
        found["random_resize_param"] = 0
    return found


def _sides(param: TransformationParameter) -> tuple[int, int] | None:
    """Returns the least and greatest shorter side, None for images as they are."""
    fields = _side_fields(param)
    if not fields:
        return None
    field = next(iter(fields))
    if field == "random_resize_param":
        low = int(param.random_resize_param.min_size)
        high = int(param.random_resize_param.max_size)
    else:
        low, high = (int(getattr(param, f"img_rand_resize_{end}")) for end in ("lower", "upper"))
    if not 1 <= low <= high:
        raise _wrong(f"the shorter side cannot be from {low} to {high}", field)
    return low, high


def _scaled(image: Image, side: int) -> Image:
    """Returns an image whose shorter side is `side`."""
    height, width = image.shape[1:]
    shorter = min(height, width)
    return resized(image, max(side, height * side // shorter), max(side, width * side // shorter))


def _rotated(image: Image, angle: float) -> Image:
    from PIL import Image as pillow

    out = np.empty(image.shape, np.uint8)
    for plane, turned in zip(image, out, strict=True):
        whole = pillow.fromarray(np.ascontiguousarray(plane))
        turned[...] = whole.rotate(angle, pillow.Resampling.BILINEAR)
    return out


def judge_distortion(param: DistortionParameter) -> None:
    """Raises DataError for ranges that cannot be."""
    for name in ("brightness_delta", "hue_delta"):
        if getattr(param, name) < 0:
            raise _wrong(f"{name} must not be negative", "distort_param", name)
    for name in ("contrast", "saturation"):
        low, high = getattr(param, f"{name}_lower"), getattr(param, f"{name}_upper")
        if getattr(param, f"{name}_prob") > 0 and not 0 <= low <= high:
            raise _wrong(
                f"{name} cannot be from {low:g} to {high:g}", "distort_param", f"{name}_lower"
            )


def distorted(image: Image, param: DistortionParameter, draws: npt.NDArray[np.float64]) -> Image:
    """Returns a C×H×W image of bytes with other colours.

    `draws` are COLOUR_DRAWS numbers in [0, 1). Brightness adds, contrast and saturation multiply,
    hue adds 1/180s of the circle; contrast comes second or last, by chance. Grey images have
    neither saturation nor hue. Where a change is not drawn, no bit is changed.
    """
    order = ("brightness", "contrast", "saturation", "hue")
    if draws[0] < 0.5:
        order = ("brightness", "saturation", "hue", "contrast")
    chance = dict(zip(("brightness", "contrast", "saturation", "hue"), draws[1:5], strict=True))
    amount = dict(zip(chance, draws[5:9], strict=True))
    values = np.arange(256.0)
    for name in order:
        if chance[name] >= getattr(param, f"{name}_prob"):
            continue
        if name == "brightness":
            delta = (2 * amount[name] - 1) * param.brightness_delta
            image = _mapped(image, values + delta)
        elif name == "contrast":
            image = _mapped(image, values * _between(param, name, amount[name]))
        elif len(image) == 3 and name == "saturation":
            image = _in_hsv(image, 0, _between(param, name, amount[name]))
        elif len(image) == 3:
            image = _in_hsv(image, (2 * amount[name] - 1) * param.hue_delta, 1.0)
    if draws[9] < param.random_order_prob:
        image = image[np.argsort(draws[10 : 10 + len(image)])]
    return image


def _between(param: DistortionParameter, name: str, share: float) -> float:
    low, high = getattr(param, f"{name}_lower"), getattr(param, f"{name}_upper")
    return float(low + share * (high - low))


def _mapped(image: Image, values: npt.NDArray[np.float64]) -> Image:
    """Returns the image with each byte replaced by its value, rounded and kept in 0 … 255."""
    table = np.rint(values).clip(0, 255).astype(np.uint8)
    return np.take(table, image)


def _in_hsv(image: Image, hue: float, saturation: float) -> Image:
    from PIL import Image as pillow

    rgb = pillow.fromarray(np.ascontiguousarray(image[::-1].transpose(1, 2, 0)))
    hsv = np.array(rgb.convert("HSV"))
    if hue:
        hsv[:, :, 0] += np.uint8(round(hue * _OWN_HUES / _HUES) % _OWN_HUES)
    if saturation != 1:
        hsv[:, :, 1] = _mapped(hsv[:, :, 1], np.arange(256.0) * saturation)
    changed = np.asarray(pillow.fromarray(hsv, "HSV").convert("RGB"))
    return changed[:, :, ::-1].transpose(2, 0, 1)


def _wrong(message: str, *names: str, help: str = "") -> DataError:
    return DataError(message, code="E201", help=help, field=("transform_param", *names))
