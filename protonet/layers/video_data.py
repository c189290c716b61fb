"""VideoData: what the text says of the frames of videos."""

from __future__ import annotations

from protonet.blob import Blob
from protonet.ir.protonet_pb2 import VideoDataParameter

from .annotated_data import image_size
from .base import Between, Exactly, Layer, LayerError, Shape, SourceMissing
from .data_layer import batch_size
from .registry import register

_GROUP = "video_data_param"
_COLOURS = 3
_DIRECTIONS = 2  # of flow


@register("VideoData")
class VideoData(Layer):
    """Frames of videos or of a camera; shapes only. Three forks' layers of one name.

    Shapes:     → N×3×H×W (SSD: video_type, video_file, device_id; N is data_param's batch_size);
                → N×3×L×H×W and N labels (C3D: clips of new_length L frames);
                → N×(S·L·3)×H×W and N labels (TSN: modality, num_segments S; FLOW: 2 for 3);
                H×W is the crop's or resize_param's, or new_height×new_width.
    Parameters: video_data_param, transform_param, data_param { batch_size }.
    Rules:      without `source` it is SSD's; with modality or num_segments it is TSN's, else C3D's.
                A net that has it can be checked, summarized and given weights; a forward pass is an
                error.
    Source:     Liu et al. 2016 (SSD), Tran et al. 2015 (C3D), Wang et al. 2016 (TSN).
    """

    bottoms, tops = Exactly(0), Between(1, 2)
    is_data = True
    dynamic = True

    def setup(self) -> None:
        self.settings = settings = self.param.video_data_param
        self.of_list = bool(settings.source)
        group = _GROUP if self.of_list else "data_param"
        self.batch = batch_size(getattr(self.param, group), group)
        self.of_segments = settings.HasField("modality") or settings.HasField("num_segments")

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
        raise LayerError(
            "videos cannot be read",
            field=("type",),
            code="E456",
            help="put an Input layer in its place and fill its blobs",
        )

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        """There is nothing below."""
