"""WindowData: windows of images, for detection by regions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from protonet.data.errors import DataError
from protonet.data.window_batches import WindowBatches
from protonet.data.window_list import WindowList

from .base import Exactly, LayerError, Shape
from .data_layer import PrefetchedLayer, about, batch_size
from .registry import register

if TYPE_CHECKING:
    from protonet.data.arrays import Batch
    from protonet.data.prefetch import BatchMaker

_GROUP = "window_data_param"
_MODES = ("warp", "square")


@register("WindowData")
class WindowData(PrefetchedLayer):
    """Windows of a window file's images, drawn at random, objects and background.

    Shapes:     → N×3×crop_size×crop_size (B, G, R) and N labels, 0 for background; N is batch_size.
    Parameters: source (a window file), root_folder (put before each path as it is), batch_size,
                fg_threshold, bg_threshold (0.5: of a window's overlap with an object), fg_fraction
                (0.25), context_pad (pixels of the crop around a window), crop_mode (warp; square),
                cache_images, scale; transform_param { crop_size, mirror, mean_file, mean_value }.
    Rules:      fg_fraction of each batch are objects; the others, which come first, are background.
                scale is window_data_param's; what lies outside the image is 0. (Caffe 1.0)
    Source:     Girshick et al. 2014 (R-CNN); Caffe 1.0.
    """

    tops = Exactly(2)
    source_field = (_GROUP, "source")

    def setup(self) -> None:
        self.settings, transform = self.param.window_data_param, self.param.transform_param
        self.batch = batch_size(self.settings, _GROUP)
        self.crop = int(transform.crop_size)
        self._cache: dict[str, bytes] | None = {} if self.settings.cache_images else None
        if not self.crop:
            raise LayerError(
                "crop_size is missing",
                field=("transform_param",) if self.param.HasField("transform_param") else (),
                help="write transform_param { crop_size: … }: windows are brought to this size",
            )
        if 2 * self.settings.context_pad >= self.crop:
            raise LayerError(
                f"context_pad must be less than half of crop_size {self.crop}",
                field=(_GROUP, "context_pad"),
            )
        if self.settings.crop_mode not in _MODES:
            raise LayerError(
                f'unknown crop_mode "{self.settings.crop_mode}"',
                field=(_GROUP, "crop_mode"),
                help="it is warp or square",
            )
        if not 0 <= self.settings.fg_fraction <= 1:
            raise LayerError("fg_fraction must be from 0 to 1", field=(_GROUP, "fg_fraction"))
        if len(transform.mean_value) not in (0, 1, 3) or (
            transform.mean_value and transform.mean_file
        ):
            raise LayerError(
                "give mean_file, or one mean_value, or three",
                field=("transform_param", "mean_value"),
            )

    def warnings(self) -> list[LayerError]:
        if self.param.transform_param.scale == 1:
            return []
        return [
            LayerError(
                "transform_param's scale has no effect (Caffe ignores it too)",
                field=("transform_param", "scale"),
                code="W210",
                help="write it into window_data_param { scale: … }",
            )
        ]

    def first_shapes(self) -> list[Shape]:
        return [(self.batch, 3, self.crop, self.crop), (self.batch,)]

    def maker(self, dtype: np.dtype) -> Callable[[], BatchMaker[Batch]]:
        settings = self.settings
        with about(*self.source_field):
            windows = WindowList(
                settings.source, settings.root_folder, settings.fg_threshold, settings.bg_threshold
            )
            objects = int(self.batch * np.float32(settings.fg_fraction))
            for kind, rows, wanted in (
                ("background", windows.background, self.batch - objects),
                ("foreground", windows.foreground, objects),
            ):
                if wanted and not len(rows):
                    raise DataError(
                        f"{settings.source}: no window is {kind}, but {wanted} of a batch are",
                        code="E452",
                        help="see fg_threshold, bg_threshold and fg_fraction",
                    )
        return partial(
            WindowBatches, windows, self.param, dtype, self.position, self.key, self._cache
        )
