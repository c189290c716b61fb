"""Box arithmetic that the detection layers share: codes, overlaps, non-maximum suppression.

A box is xmin, ymin, xmax, ymax. SSD's are relative to the image; `extra` is 1 for boxes in pixels
whose xmax and ymax are the last pixel inside (Fast R-CNN), which are one wider than they look.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from protonet import kernels

from .base import LayerError, Shape, shape_text

if TYPE_CHECKING:
    from protonet.ir.protonet_pb2 import NonMaximumSuppressionParameter

__all__ = [
    "BoxCode", "Suppression", "box_overlaps", "count_priors", "decode_boxes", "encode_boxes",
    "suppress_boxes",
]  # fmt: skip


@dataclass(frozen=True)
class BoxCode:
    """How a network's four numbers tell a box from a prior p of size w × h, variances v.

    Formula: CORNER      box = p + v·t
             CORNER_SIZE box = p + v·t·(w, h, w, h)
             CENTER_SIZE centre = centre(p) + v·t·(w, h), size = e^(v·t)·(w, h)
             v counts as 1 if the variance is in the target (`in_target`).
    Source:  Liu et al. 2016 (SSD).
    """

    kind: int
    in_target: bool = False


def decode_boxes(offsets: np.ndarray, priors: np.ndarray, code: BoxCode, boxes: np.ndarray) -> None:
    """Sets boxes from offsets, both N×P×L×4, and priors 2×P×4 (boxes, then variances)."""
    images, count, locations, _ = boxes.shape
    kernels.decode_boxes(
        offsets=offsets, priors=priors, boxes=boxes, images=images, count=count,
        locations=locations, code=asdict(code),
    )  # fmt: skip


def encode_boxes(boxes: np.ndarray, priors: np.ndarray, code: BoxCode) -> np.ndarray:
    """Returns the offsets that decode to these boxes, P×4, one for each of the priors 2×P×4."""
    offsets = np.empty_like(boxes)
    kernels.encode_boxes(
        boxes=boxes, priors=priors, offsets=offsets, count=len(boxes), code=asdict(code)
    )
    return offsets


def box_overlaps(a: np.ndarray, b: np.ndarray, extra: float = 0) -> np.ndarray:
    """Returns the intersection over union of each of a (A×4) with each of b (B×4): A×B."""
    overlaps = np.empty((len(a), len(b)), a.dtype)
    kernels.box_overlaps(a=a, b=b, overlaps=overlaps, a_count=len(a), b_count=len(b), extra=extra)
    return overlaps


@dataclass(frozen=True)
class Suppression:
    """Which boxes non-maximum suppression keeps.

    Rules: of the boxes scored above least_score the top_k best, the best first; equal scores in
           their order. A box is dropped if its area is below least_area, or if it overlaps a kept
           one by more than `overlap`; each kept one multiplies `overlap` by eta while it is above
           0.5. At most `keep` are kept. −1: no limit.
    """

    overlap: float
    least_score: float = float("-inf")
    least_area: float = 0.0
    eta: float = 1.0
    extra: float = 0.0
    top_k: int = -1
    keep: int = -1

    @classmethod
    def read(
        cls, settings: NonMaximumSuppressionParameter, field: str, least_score: float
    ) -> Suppression:
        """Reads nms_param inside the LayerParameter's `field`."""
        place = (field, "nms_param")
        if settings.nms_threshold < 0:
            raise LayerError("nms_threshold must not be negative", field=(*place, "nms_threshold"))
        if not 0 < settings.eta <= 1:
            raise LayerError("eta must be above 0 and at most 1", field=(*place, "eta"))
        return cls(
            settings.nms_threshold,
            least_score,
            eta=settings.eta,
            top_k=settings.top_k if settings.HasField("top_k") else -1,
        )

    @property
    def fields(self) -> dict[str, float]:
        """This rule as the kernels take it."""
        return asdict(self)


def suppress_boxes(boxes: np.ndarray, scores: np.ndarray, rule: Suppression) -> np.ndarray:
    """Returns the indices of the boxes (N×4) that are kept, the best first."""
    kept = np.empty(len(boxes), np.int64)
    count = np.zeros(1, np.int64)
    kernels.suppress_boxes(
        boxes=boxes, scores=scores, kept=kept, count=count, n=len(boxes), rule=rule.fields
    )
    return kept[: count[0]]


def count_priors(priors: Shape, bottom: int) -> int:
    """Returns P of prior boxes 1×2×4P; LayerError if that is not their shape."""
    if len(priors) < 3 or priors[:2] != (1, 2) or priors[2] % 4 or any(n != 1 for n in priors[3:]):
        raise LayerError(
            f"prior boxes are 1×2×4P, not {shape_text(priors)}",
            bottom=bottom,
            help="take them from PriorBox layers, joined by a Concat over axis 2",
        )
    return priors[2] // 4
