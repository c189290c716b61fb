"""PriorBox: the boxes that SSD's predictions are relative to."""

from __future__ import annotations

import math

import numpy as np

from protonet import kernels
from protonet.blob import Blob

from .base import Exactly, Layer, LayerError, Shape, shape_text
from .registry import register

_FIELD = "prior_box_param"


@register("PriorBox")
class PriorBox(Layer):
    """Boxes of several sizes around each position of a feature map, and their variances.

    Shapes:     features N×C×H×W, image N×C'×H'×W' → 1×2×4HWK: the boxes xmin, ymin, xmax, ymax
                relative to the image, then four variances for each.
    Parameters: min_size s (one or more), max_size m (none, or one for each s), aspect_ratio r,
                flip (true: also 1/r), clip (true: limit boxes to 0 … 1), variance (.1; one or
                four), img_size or img_h and img_w (H', W'), step or step_h and step_w (H'/H,
                W'/W), offset (.5).
    Formula:    centre ((w + offset)·step_w, (h + offset)·step_h); for each s the sizes s×s, then
                √(s·m)×√(s·m), then s√r×s/√r for each r; K = Σ of these. Divided by W', H'.
    Gradient:   0: the boxes depend on sizes only.
    Rules:      sizes are cut to whole numbers; an aspect ratio that is there already, or is 1, adds
                nothing.
    Source:     Liu et al. 2016 (SSD).
    """

    bottoms = Exactly(2)
    constant = True

    def setup(self) -> None:
        self.settings = self.param.prior_box_param
        if not self.settings.min_size:
            raise LayerError("min_size must be given", field=(_FIELD,))
        self._judge_sizes()
        self.variance = list(self.settings.variance) or [0.1]
        if len(self.variance) not in (1, 4):
            raise LayerError(
                f"variance must be given once or four times, not {len(self.variance)} times",
                field=(_FIELD, "variance"),
            )
        for index, value in enumerate(self.variance):
            if not value > 0:
                raise LayerError("variance must be positive", field=(_FIELD, "variance", index))
        self.image = self._pair("img", "img_size")
        self.step = self._pair("step", "step")
        self.sizes = self._sizes()

    def _judge_sizes(self) -> None:
        smallest, greatest = self.settings.min_size, self.settings.max_size
        for index, size in enumerate(smallest):
            if not 1 <= size < math.inf:
                raise LayerError(
                    "min_size must be at least 1 and finite", field=(_FIELD, "min_size", index)
                )
        if greatest and len(greatest) != len(smallest):
            raise LayerError(
                f"{len(greatest)} max_size for {len(smallest)} min_size",
                field=(_FIELD, "max_size"),
                help="give one max_size for each min_size, or none",
            )
        for index, (size, most) in enumerate(zip(smallest, greatest, strict=False)):
            if not size <= most < math.inf:
                raise LayerError(
                    f"max_size {most:g} must not be less than min_size {size:g}",
                    field=(_FIELD, "max_size", index),
                )
        for index, ratio in enumerate(self.settings.aspect_ratio):
            if not 0 < ratio < math.inf:
                raise LayerError(
                    "aspect_ratio must be positive and finite",
                    field=(_FIELD, "aspect_ratio", index),
                )

    def _pair(self, name: str, both: str) -> tuple[float, float] | None:
        """Reads name_h and name_w, or the field for both."""
        given = [n for n in (f"{name}_h", f"{name}_w") if self.settings.HasField(n)]
        if not given and not self.settings.HasField(both):
            return None
        if given and self.settings.HasField(both):
            raise LayerError(
                f"give either {both} or {name}_h and {name}_w, not both", field=(_FIELD, both)
            )
        names = (f"{name}_h", f"{name}_w") if given else (both, both)
        for wanted in names:
            if not getattr(self.settings, wanted) > 0:
                stated = self.settings.HasField(wanted)
                raise LayerError(
                    f"{wanted} must be positive", field=(_FIELD, wanted) if stated else (_FIELD,)
                )
        return getattr(self.settings, names[0]), getattr(self.settings, names[1])

    def warnings(self) -> list[LayerError]:
        if self.settings.HasField("clip"):
            return []
        return [
            LayerError(
                "clip is not given: it is true here, but false in the original SSD",
                field=(_FIELD,),
                code="W212",
                help="write clip: false if the net was made for the original SSD",
            )
        ]

    def _sizes(self) -> np.ndarray:
        """Returns width and height of the boxes of one position, K×2."""
        ratios = [1.0]
        for ratio in self.settings.aspect_ratio:
            if all(abs(ratio - known) >= 1e-6 for known in ratios):
                ratios += [ratio, 1 / ratio] if self.settings.flip else [ratio]
        found: list[tuple[float, float]] = []
        for index, exact in enumerate(self.settings.min_size):
            size = float(int(exact))
            found.append((size, size))
            if self.settings.max_size:
                between = math.sqrt(size * int(self.settings.max_size[index]))
                found.append((between, between))
            found += [
                (size * math.sqrt(r), size / math.sqrt(r)) for r in ratios if abs(r - 1) >= 1e-6
            ]
        return np.array(found)

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        for number, shape in enumerate(bottom):
            if len(shape) != 4:
                raise LayerError(f"N×C×H×W is needed, not {shape_text(shape)}", bottom=number)
        if not self.image and 0 in bottom[1][2:]:
            raise LayerError(f"the image is empty: {shape_text(bottom[1])}", bottom=1)
        return [(1, 2, bottom[0][2] * bottom[0][3] * len(self.sizes) * 4)]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        image = np.array(self.image or bottom[1].shape[2:], np.float64)[::-1]
        height, width = bottom[0].shape[2:]
        grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1)
        step = np.array(self.step)[::-1] if self.step else image / (max(1, width), max(1, height))
        centres = ((grid + self.settings.offset) * step)[:, :, None, :]
        boxes = np.concatenate([centres - self.sizes / 2, centres + self.sizes / 2], -1)
        boxes /= np.tile(image, 2)
        if self.settings.clip:
            np.clip(boxes, 0, 1, out=boxes)
        self.priors = np.empty(top[0].shape, top[0].dtype)
        self.priors[0, 0] = boxes.reshape(-1)
        self.priors[0, 1].reshape(-1, 4)[:] = self.variance

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.copy(x=self.priors, y=top[0].data, n=top[0].count)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        for blob, wanted in zip(bottom, self.propagate_down, strict=True):
            if wanted:
                kernels.fill(y=blob.diff, n=blob.count, value=0)
