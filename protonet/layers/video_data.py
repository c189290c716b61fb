"""VideoData: the frames of videos."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from protonet.blob import Blob
from protonet.data.clips import ClipBatches, ClipList
from protonet.data.transformer import Transformer
from protonet.ir.protonet_pb2 import VideoDataParameter

from .annotated_data import image_size
from .base import TRAIN, Between, LayerError, Shape, SourceMissing
from .data_layer import PrefetchedLayer, about, batch_size
from .registry import register

if TYPE_CHECKING:
    from protonet.data.arrays import Batch
    from protonet.data.prefetch import BatchMaker

_GROUP = "video_data_param"
_COLOURS = 3
_DIRECTIONS = 2  # of flow


@register("VideoData")
class VideoData(PrefetchedLayer):
    """Frames of videos or of a camera. Three forks' layers of one name.

    Shapes:     → N×3×H×W (SSD: video_type, video_file, device_id; N is data_param's batch_size);
                → N×3×L×H×W and N labels (C3D: clips of new_length L frames);
                → N×(S·L·3)×H×W and N labels (TSN: modality, num_segments S; FLOW: 2 for 3);
                H×W is the crop's or resize_param's, or new_height×new_width.
    Parameters: video_data_param, transform_param, data_param { batch_size }.
    Rules:      without `source` it is SSD's; with modality or num_segments it is TSN's, else C3D's.
                C3D's with use_image reads frames: `folder first_frame label` a line of `source`,
                images folder/000001.jpg, …, each sampling_rate after the one before, resized to
                new_height×new_width, the frames of a clip cropped and mirrored alike. The other
                forms can be checked, summarized and given weights; a forward pass is an error.
    Source:     Liu et al. 2016 (SSD), Tran et al. 2015 (C3D), Wang et al. 2016 (TSN).
    """

    tops = Between(1, 2)
    source_field = (_GROUP, "source")

    def setup(self) -> None:
        self.settings = settings = self.param.video_data_param
        self.of_list = bool(settings.source)
        group = _GROUP if self.of_list else "data_param"
        self.batch = batch_size(getattr(self.param, group), group)
        self.of_segments = settings.HasField("modality") or settings.HasField("num_segments")
        with about("transform_param"):
            self.transformer = Transformer(self.param.transform_param, self.phase == TRAIN)

    def _image_size(self) -> tuple[int, int]:
        try:
            return image_size(self.param.transform_param, (_GROUP, "source"))
        except SourceMissing:
            if self.settings.new_height and self.settings.new_width:
                return self.settings.new_height, self.settings.new_width
            raise

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        size, length = self._image_size(), self.settings.new_length or 1
        frames: Shape = (self.batch, _COLOURS, *size)
        if self.of_list and self.of_segments:
            is_flow = self.settings.modality == VideoDataParameter.FLOW
            channels = length * (self.settings.num_segments or 1)
            frames = (self.batch, channels * (_DIRECTIONS if is_flow else _COLOURS), *size)
        elif self.of_list:
            frames = (self.batch, _COLOURS, length, *size)
        shapes: list[Shape] = [frames, (self.batch,)]
        return shapes[: self.top_count]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        settings = self.settings
        if not (self.of_list and settings.use_image) or self.of_segments:
            raise LayerError(
                "videos cannot be read",
                field=("type",),
                code="E456",
                help="write their frames to folders for VideoData { source … use_image: true }, "
                "or put an Input layer in its place and fill its blobs",
            )
        if settings.use_temporal_jitter or settings.skip_frames:
            name = "use_temporal_jitter" if settings.use_temporal_jitter else "skip_frames"
            raise LayerError(
                f"{name} is not there for folders of frames", field=(_GROUP, name), code="E456",
                help="name each clip by a line of the list",
            )  # fmt: skip
        super().forward(bottom, top)

    def maker(self, dtype: np.dtype) -> Callable[[], BatchMaker[Batch]]:
        settings = self.settings
        with about(*self.source_field):
            clips = ClipList(settings.source, settings.root_folder)
        size = (int(settings.new_height), int(settings.new_width))
        transformer, batch, start, key = self.transformer, self.batch, self.position, self.key
        length, step = settings.new_length or 1, settings.sampling_rate or 1
        shuffle = settings.shuffle
        return lambda: ClipBatches(
            clips, True, size, transformer, batch, shuffle, 0, dtype, start, key
        ).of_frames(clips, length, step)
