"""AnnotatedData: what the text says of SSD's images with boxes."""

from __future__ import annotations

from protonet.blob import Blob
from protonet.ir.protonet_pb2 import OldResizeParameter, TransformationParameter

from .base import Between, Exactly, Layer, LayerError, Shape, SourceMissing
from .data_layer import batch_size
from .registry import register


def image_size(settings: TransformationParameter, field: tuple[str, str]) -> tuple[int, int]:
    """Returns the height and width that transform_param gives images; SourceMissing at `field` if
    it leaves them as they are."""
    if settings.crop_size:
        return settings.crop_size, settings.crop_size
    if settings.crop_h and settings.crop_w:
        return settings.crop_h, settings.crop_w
    resizes = [*settings.resize_param]
    if settings.HasField("old_resize_param"):
        resizes.append(settings.old_resize_param)
    for resize in resizes:
        fits_small = resize.resize_mode == OldResizeParameter.FIT_SMALL_SIZE
        if resize.height and resize.width and not fits_small:
            return resize.height, resize.width
    raise SourceMissing(
        "the size of the images is known only from transform_param",
        field=field,
        help="give resize_param { height, width }, or crop_size",
    )


@register("AnnotatedData")
class AnnotatedData(Layer):
    """Images and true boxes of an LMDB database of AnnotatedDatum records; shapes only.

    Shapes:     → N×C×H×W, and 1×1×R×8 true boxes (image, class, instance, xmin, ymin, xmax, ymax,
                difficult); N is batch_size, C 3, or 1 with force_gray, H×W the crop's or
                resize_param's (the first's of several); R, the boxes of a batch, is taken for 1.
    Parameters: data_param: see Data; annotated_data_param { batch_sampler, label_map_file };
                transform_param { resize_param, expand_param, distort_param, emit_constraint, … }.
    Rules:      a net that has it can be checked, summarized and given weights; a forward pass is an
                error.
    Source:     Liu et al. 2016 (SSD).
    """

    bottoms, tops = Exactly(0), Between(1, 2)
    is_data = True
    dynamic = True

    def setup(self) -> None:
        self.batch = batch_size(self.param.data_param, "data_param")

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        channels = 1 if self.param.transform_param.force_gray else 3
        size = image_size(self.param.transform_param, ("data_param", "source"))
        image: Shape = (self.batch, channels, *size)
        return [image, (1, 1, 1, 8)][: self.top_count]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        raise LayerError(
            "databases of annotated images cannot be read",
            field=("type",),
            code="E456",
            help="put an Input layer in its place and fill its blobs",
        )

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        """There is nothing below."""
