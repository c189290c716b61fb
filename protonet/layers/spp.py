"""SPP: pooling over a pyramid of ever finer grids."""

from __future__ import annotations

import math

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.protonet_pb2 import LayerParameter, PoolingParameter, SPPParameter

from .base import LayerError, Shape, shape_text
from .pooling import Pooling
from .random_state import RandomLayer
from .registry import register

FIELD = "spp_param"


@register("SPP")
class SPP(RandomLayer):
    """Pools the plane into 2ˡ×2ˡ bins for each level l, and joins the bins of all levels.

    Shapes:     N×C×H×W → N×(C·Σ 4ˡ), level after level; pyramid_height 1 gives N×C×1×1.
    Parameters: pyramid_height (number of levels), pool (MAX, AVE, STOCHASTIC).
    Formula:    y = the pooled levels, each flattened, side by side.
    Rules:      level l has windows of ceil(H/2ˡ) at that stride and (2ˡ·F − H + 1)/2 of padding,
                which must be below F. (Caffe 1.0)
    Gradient:   that of each level's pooling, added up.
    Source:     He et al. 2014, Spatial pyramid pooling.
    """

    def setup(self) -> None:
        self.settings = self.param.spp_param
        self.height = self.settings.pyramid_height
        if self.height < 1:
            raise LayerError(
                "pyramid_height must be at least 1",
                field=(FIELD, "pyramid_height") if self.settings.HasField("pyramid_height") else (),
            )

    def _level(self, level: int, size: Shape) -> Pooling:
        """Returns the pooling of a level over planes of that size."""
        bins = 2**level
        kernel = [math.ceil(extent / bins) for extent in size]
        pad = [(bins * f - extent + 1) // 2 for f, extent in zip(kernel, size, strict=True)]
        if any(p >= f for p, f in zip(pad, kernel, strict=True)):
            raise LayerError(
                f"a plane of {shape_text(size)} cannot be cut into {bins}×{bins} bins: "
                "some would lie in the padding alone",
                field=(FIELD, "pyramid_height"),
                code="E204",
                help=f"at most {level} levels fit this plane",
            )
        if any(pad) and self.settings.pool == SPPParameter.STOCHASTIC:
            raise LayerError(
                f"STOCHASTIC takes no padding, which {bins}×{bins} bins of {shape_text(size)} need",
                field=(FIELD, "pool"),
            )
        settings = PoolingParameter(
            pool=SPPParameter.PoolMethod.Name(self.settings.pool),
            kernel_h=kernel[0], kernel_w=kernel[1], pad_h=pad[0], pad_w=pad[1],
            stride_h=kernel[0], stride_w=kernel[1],
        )  # fmt: skip
        param = LayerParameter(name=self.name, bottom=["x"], top=["y"], pooling_param=settings)
        return Pooling(param, self.phase)

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        if len(bottom[0]) != 4 or 0 in bottom[0][2:]:
            raise LayerError(f"SPP takes N×C×H×W, not {shape_text(bottom[0])}", bottom=0)
        levels = [self._level(level, bottom[0][2:]) for level in range(self.height)]
        pooled = [level.infer(bottom)[0] for level in levels]
        if self.height == 1:
            return pooled
        return [(bottom[0][0], sum(math.prod(shape[1:]) for shape in pooled))]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape = bottom[0].shape
        self.levels = [self._level(level, shape[2:]) for level in range(self.height)]
        self.pooled: list[Blob] = []
        for level in self.levels:
            level.propagate_down = self.propagate_down
            level._counters = self.counters  # every level's pass is one more
            pooled = Blob(level.infer([shape])[0], bottom[0].dtype)
            level.reshape(bottom, [pooled])
            self.pooled.append(pooled)
        # Where several levels give back a gradient, all but the first are added to it.
        self.part = Blob(shape if self.height > 1 else (), bottom[0].dtype)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        if self.height == 1:
            self.levels[0].forward(bottom, top)
            return
        start, across = 0, top[0].shape[1]
        for level, pooled in zip(self.levels, self.pooled, strict=True):
            level.forward(bottom, [pooled])
            columns = math.prod(pooled.shape[1:])
            kernels.copy_rows(
                x=pooled.data, y=top[0].data.reshape(-1)[start:], rows=pooled.shape[0],
                columns=columns, x_row=columns, y_row=across,
            )  # fmt: skip
            start += columns

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if not self.propagate_down[0]:
            return
        if self.height == 1:
            self.levels[0].backward(top, bottom)
            return
        start, across = 0, top[0].shape[1]
        for index, (level, pooled) in enumerate(zip(self.levels, self.pooled, strict=True)):
            columns = math.prod(pooled.shape[1:])
            kernels.copy_rows(
                x=top[0].diff.reshape(-1)[start:], y=pooled.diff, rows=pooled.shape[0],
                columns=columns, x_row=across, y_row=columns,
            )  # fmt: skip
            start += columns
            self.part.share_data(bottom[0])
            level.backward([pooled], [self.part if index else bottom[0]])
            if index:
                dx = bottom[0].diff
                kernels.axpby(x=self.part.diff, y=dx, n=bottom[0].count, a=1, b=1)
