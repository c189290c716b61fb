"""Random parts of an image that have something in common with its true boxes.

Each sampler draws parts until `max_sample` of them satisfy its constraint, or max_trials have been
drawn: their area is scale², their aspect ratio within 1/scale² … scale². (Liu et al. 2016)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from protonet.ir.protonet_pb2 import BatchSampler, SampleConstraint, Sampler

from .errors import DataError
from .true_boxes import CORNERS, Boxes, Rectangle, areas, overlaps

__all__ = ["judge_samplers", "sampled_part"]


def judge_samplers(samplers: Sequence[BatchSampler]) -> None:
    """Raises DataError for ranges that cannot be."""
    for index, each in enumerate(samplers):
        sampler = each.sampler
        field = ("annotated_data_param", "batch_sampler", index, "sampler")
        if not 0 < sampler.min_scale <= sampler.max_scale <= 1:
            raise DataError("min_scale and max_scale must rise from 0 to 1", field=field)
        if not 0 < sampler.min_aspect_ratio <= sampler.max_aspect_ratio:
            raise DataError("min_aspect_ratio must be from 0 to max_aspect_ratio", field=field)


def sampled_part(
    boxes: Boxes, samplers: Sequence[BatchSampler], random: np.random.Generator
) -> Rectangle | None:
    """Returns one of the parts that the samplers find, each as likely; None if there are none."""
    found: list[Rectangle] = []
    for each in samplers:
        if not each.use_original_image:
            continue
        kept = 0
        for _ in range(each.max_trials):
            if each.HasField("max_sample") and kept >= each.max_sample:
                break
            part = _draw(each.sampler, random)
            if _satisfies(part, boxes, each.sample_constraint):
                kept += 1
                found.append(part)
    return found[int(random.integers(len(found)))] if found else None


def _draw(sampler: Sampler, random: np.random.Generator) -> Rectangle:
    scale = random.uniform(sampler.min_scale, sampler.max_scale)
    ratio = random.uniform(sampler.min_aspect_ratio, sampler.max_aspect_ratio)
    ratio = min(max(ratio, scale**2), 1 / scale**2)
    width, height = min(scale * ratio**0.5, 1.0), min(scale / ratio**0.5, 1.0)
    left, top = random.uniform(0, 1 - width), random.uniform(0, 1 - height)
    return left, top, left + width, top + height


def _satisfies(part: Rectangle, boxes: Boxes, constraint: SampleConstraint) -> bool:
    """Says whether a box has in common with the part what the constraint wants, for one kind of
    measure at least."""
    corners = boxes[:, CORNERS]
    common = overlaps(corners, part)
    whole = areas(corners)
    own = np.float32((part[2] - part[0]) * (part[3] - part[1]))
    measures = {
        "jaccard_overlap": common / np.maximum(whole + own - common, np.float32(1e-12)),
        "sample_coverage": common / own,
        "object_coverage": common / np.maximum(whole, np.float32(1e-12)),
    }
    stated = [
        name
        for name in measures
        if constraint.HasField(f"min_{name}") or constraint.HasField(f"max_{name}")
    ]
    good = np.ones(len(boxes), bool)  # of the measures so far: a box that fails one is done with
    for name in stated:
        if constraint.HasField(f"min_{name}"):
            good &= measures[name] >= getattr(constraint, f"min_{name}")
        if constraint.HasField(f"max_{name}"):
            good &= measures[name] <= getattr(constraint, f"max_{name}")
        if good.any():
            return True
    return not stated
