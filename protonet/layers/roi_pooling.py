"""Pooling of regions of interest: ROIPooling, PSROIPooling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from protonet import kernels
from protonet.blob import Blob

from .base import Exactly, Layer, LayerError, Shape, shape_text
from .registry import register

__all__ = ["PSROIPooling", "ROIPooling", "judge_regions"]


def judge_regions(bad: np.ndarray, rois: Blob, images: int) -> None:
    """Raises LayerError if `bad`, which a kernel has set, is the index of a region of no image."""
    if bad[0] < 0:
        return
    row = ", ".join(f"{number:g}" for number in rois.data.reshape(-1, 5)[bad[0]])
    raise LayerError(
        f"region {bad[0]} ({row}) is of none of the {images} images, or no box",
        bottom=1,
        code="E209",
        help="a region is image, xmin, ymin, xmax, ymax; images count from 0",
    )


class _RegionLayer(Layer):
    """What layers share that pool regions R×5 of a map N×C×H×W. Regions get a gradient of 0."""

    bottoms = Exactly(2)

    def allow_force_backward(self, bottom: int) -> bool:
        return bottom == 0

    def judge_shapes(self, bottom: list[Shape]) -> None:
        """Raises LayerError if these are no map and regions."""
        if len(bottom[0]) != 4:
            raise LayerError(f"N×C×H×W is needed, not {shape_text(bottom[0])}", bottom=0)
        if len(bottom[1]) < 2 or math.prod(bottom[1][1:]) != 5:
            raise LayerError(f"regions are R×5, not {shape_text(bottom[1])}", bottom=1)

    def bins(self) -> tuple[int, int]:
        """Returns the number of bins in height and width."""
        raise NotImplementedError

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        images, channels, height, width = bottom[0].shape
        self.bad = np.full(1, -1, np.int64)
        self.shape: dict[str, Any] = {
            "x": bottom[0].data, "rois": bottom[1].data, "y": top[0].data, "images": images,
            "channels": channels, "height": height, "width": width, "count": bottom[1].shape[0],
            "out_height": self.bins()[0], "out_width": self.bins()[1],
        }  # fmt: skip

    def judge_values(self) -> None:
        """Looks for regions of no image; part of a forward pass."""
        kernels.judge_regions(
            rois=self.shape["rois"], bad=self.bad,
            count=self.shape["count"], images=self.shape["images"],
        )  # fmt: skip

    def judge(self, bottom: list[Blob]) -> None:
        judge_regions(self.bad, bottom[1], self.shape["images"])

    def clear_regions(self, bottom: list[Blob]) -> None:
        """Sets the regions' gradient, if anybody asks for it, to 0."""
        if self.propagate_down[1]:
            kernels.fill(y=bottom[1].diff, n=bottom[1].count, value=0)


@register("ROIPooling")
class ROIPooling(_RegionLayer):
    """The greatest value of each of h×w bins of a region.

    Shapes:     N×C×H×W, regions R×5 (image, xmin, ymin, xmax, ymax in pixels, both inside) →
                R×C×h×w.
    Parameters: pooled_h, pooled_w (h, w), spatial_scale s (1): positions a pixel; pad_ratio (0):
                widens a region on each side by this share of its size.
    Formula:    the region's side from round(s·xmin) to round(s·xmax), at least 1 long, in w bins;
                bin i from ⌊i·side/w⌋ to ⌈(i + 1)·side/w⌉, limited to the map; an empty bin is 0.
    Gradient:   dy goes to the position of the greatest value, the first of equals; regions have 0.
    Source:     Girshick 2015 (Fast R-CNN); pad_ratio: Cai et al. 2016 (MS-CNN).
    """

    def setup(self) -> None:
        self.settings = self.param.roi_pooling_param
        for name in ("pooled_h", "pooled_w", "spatial_scale"):
            if not getattr(self.settings, name) > 0:
                place = (name,) if self.settings.HasField(name) else ()
                raise LayerError(f"{name} must be positive", field=("roi_pooling_param", *place))
        if not self.settings.pad_ratio >= 0:
            raise LayerError(
                "pad_ratio must not be negative", field=("roi_pooling_param", "pad_ratio")
            )

    def bins(self) -> tuple[int, int]:
        return self.settings.pooled_h, self.settings.pooled_w

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        self.judge_shapes(bottom)
        return [(bottom[1][0], bottom[0][1], *self.bins())]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().reshape(bottom, top)
        self.shape |= {"scale": self.settings.spatial_scale, "pad": self.settings.pad_ratio}
        self.mask = np.zeros(top[0].shape, np.int32)
        self.turned = np.zeros_like(bottom[0].data)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.judge_values()
        kernels.roi_max_pool(shape=self.shape, mask=self.mask, turned=self.turned)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        self.clear_regions(bottom)
        if self.propagate_down[0]:
            kernels.roi_max_pool_backward(
                shape=self.shape, mask=self.mask, dy=top[0].diff, dx=bottom[0].diff
            )


@register("PSROIPooling")
class PSROIPooling(_RegionLayer):
    """The mean of each of G×G bins of a region, each bin from channels of its own.

    Shapes:     N×DG²×H×W, regions R×5 (image, xmin, ymin, xmax, ymax in pixels, both inside) →
                R×D×G×G.
    Parameters: output_dim (D), group_size (G), spatial_scale s: positions a pixel.
    Formula:    bin (i, j) of output d is from channel (d·G + i)·G + j; the region's side from
                s·round(xmin) to s·(round(xmax) + 1), at least 0.1 long, in G bins; bin j from
                ⌊start + j·side/G⌋ to ⌈start + (j + 1)·side/G⌉, limited to the map; an empty bin
                is 0.
    Gradient:   dx += dy / positions of the bin; regions have 0.
    Source:     Dai et al. 2016 (R-FCN).
    """

    def setup(self) -> None:
        self.settings = self.param.psroi_pooling_param
        for name in ("output_dim", "group_size", "spatial_scale"):
            if not getattr(self.settings, name) > 0:
                place = (name,) if self.settings.HasField(name) else ()
                raise LayerError(f"{name} must be positive", field=("psroi_pooling_param", *place))

    def bins(self) -> tuple[int, int]:
        return self.settings.group_size, self.settings.group_size

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        self.judge_shapes(bottom)
        outputs, group = self.settings.output_dim, self.settings.group_size
        if bottom[0][1] != outputs * group**2:
            raise LayerError(
                f"{bottom[0][1]} channels are not output_dim · group_size² = "
                f"{outputs} · {group}² = {outputs * group**2}",
                bottom=0,
            )
        return [(bottom[1][0], outputs, group, group)]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().reshape(bottom, top)
        self.shape |= {"scale": self.settings.spatial_scale}

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.judge_values()
        kernels.roi_position_pool(**self.shape)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        self.clear_regions(bottom)
        if self.propagate_down[0]:
            kernels.roi_position_pool_backward(shape=self.shape, dy=top[0].diff, dx=bottom[0].diff)
