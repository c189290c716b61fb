"""The AnnotatedData layer reading images with boxes."""

from __future__ import annotations

import numpy as np
import pytest
from small_data import MakeDatabase, MakeNet, numbered

from protonet import Error, Net
from protonet.data.bad_records import bad_records
from protonet.data.box_sampling import sampled_part
from protonet.data.pictures import encode
from protonet.data.resize import resized
from protonet.data.true_boxes import CORNERS, emitted, overlaps
from protonet.ir.protonet_pb2 import AnnotatedDatum, BatchSampler, EmitConstraint

TRAIN, TEST = 0, 1
IMAGES = numbered(3, height=20, width=40)
BOXES = (  # of each image: class, instance, xmin, ymin, xmax, ymax, difficult
    ((2, 0, 0.25, 0.25, 0.5, 0.5, 0), (2, 1, 0.5, 0.5, 1.0, 1.0, 1), (7, 0, 0, 0, 0.125, 0.25, 0)),
    (),
    ((1, 0, 0.0, 0.0, 1.0, 1.0, 0),),
)


def annotated(image: np.ndarray, boxes: tuple[tuple[float, ...], ...], kind: str = "") -> bytes:
    record = AnnotatedDatum(type=AnnotatedDatum.BBOX)
    record.datum.channels, record.datum.height, record.datum.width = image.shape
    record.datum.data = encode(image, kind) if kind else image.tobytes()
    record.datum.encoded = bool(kind)
    for label, instance, xmin, ymin, xmax, ymax, difficult in boxes:
        groups = record.annotation_group
        if not groups or groups[-1].group_label != label:
            groups.add(group_label=int(label))
        one = groups[-1].annotation.add(instance_id=int(instance))
        one.bbox.xmin, one.bbox.ymin, one.bbox.xmax, one.bbox.ymax = xmin, ymin, xmax, ymax
        one.bbox.difficult = bool(difficult)
    return record.SerializeToString()


@pytest.fixture
def source(make_database: MakeDatabase) -> str:
    pairs = zip(IMAGES, BOXES, ("", "png", ""), strict=True)
    return make_database([annotated(*pair) for pair in pairs])


@pytest.fixture
def boxes_net(make_net: MakeNet, source: str) -> MakeNet:
    def make(transform: str = "", annotation: str = "", batch: int = 3, **settings: object) -> Net:
        return make_net(
            f"""layer {{ name: "d" type: "AnnotatedData" top: "data" top: "label"
            data_param {{ source: "{source}" backend: LMDB batch_size: {batch} }}
            annotated_data_param {{ {annotation} }} transform_param {{ {transform} }} }}""",
            **settings,
        )

    return make


def rows(*wanted: tuple[int, int]) -> np.ndarray:
    """The rows of boxes (image in the batch, number in BOXES)."""
    found = [(place, *box) for place, number in wanted for box in BOXES[number]]
    return np.array(found, np.float32)[None, None]


def test_images_and_boxes_come_as_they_are(boxes_net: MakeNet) -> None:
    net = boxes_net()
    assert net.blobs["data"].shape == (3, 3, 20, 40)
    for _ in range(2):
        found = net.forward()
        np.testing.assert_array_equal(found["data"], np.stack(IMAGES))
        np.testing.assert_array_equal(found["label"], rows((0, 0), (2, 2)))


def test_a_batch_without_boxes_is_a_row_of_minus_one(boxes_net: MakeNet) -> None:
    net = boxes_net(batch=1)
    labels = [net.forward()["label"].copy() for _ in range(3)]
    np.testing.assert_array_equal(labels[0], rows((0, 0)))
    np.testing.assert_array_equal(labels[1], np.full((1, 1, 1, 8), -1))
    np.testing.assert_array_equal(labels[2], rows((0, 2)))


def test_images_are_resized_and_boxes_stay(boxes_net: MakeNet) -> None:
    found = boxes_net("resize_param { height: 10 width: 30 }").forward()
    np.testing.assert_array_equal(found["data"], [resized(image, 10, 30) for image in IMAGES])
    np.testing.assert_array_equal(found["label"], rows((0, 0), (2, 2)))


def test_a_padded_image_takes_its_boxes_with_it(boxes_net: MakeNet) -> None:
    net = boxes_net(
        "resize_param { height: 40 width: 40 resize_mode: FIT_LARGE_SIZE_AND_PAD pad_value: 9 }"
    )
    found = net.forward()
    np.testing.assert_array_equal(found["data"][:, :, 10:30], np.stack(IMAGES))
    assert (found["data"][:, :, :10] == 9).all()
    expected = rows((0, 0), (2, 2))
    expected[..., [4, 6]] = 0.25 + expected[..., [4, 6]] / 2
    np.testing.assert_allclose(found["label"], expected, atol=1e-6)


def test_a_centred_crop_clips_boxes_and_drops_those_outside(boxes_net: MakeNet) -> None:
    found = boxes_net("crop_size: 20", phase=TEST).forward()
    np.testing.assert_array_equal(found["data"][0], IMAGES[0][:, :, 10:30])
    expected = [
        [0, 2, 0, 0.0, 0.25, 0.5, 0.5, 0],
        [0, 2, 1, 0.5, 0.5, 1.0, 1.0, 1],
        [2, 1, 0, 0.0, 0.0, 1.0, 1.0, 0],
    ]
    np.testing.assert_allclose(found["label"][0, 0], expected, atol=1e-6)
    by_centre = boxes_net("crop_size: 20 emit_constraint { emit_type: CENTER }", phase=TEST)
    np.testing.assert_allclose(by_centre.forward()["label"][0, 0], expected, atol=1e-6)


def test_mirrored_images_have_mirrored_boxes(boxes_net: MakeNet) -> None:
    net = boxes_net("mirror: true", batch=1, seed=1)
    turned = 0
    for number in range(30):
        found = net.forward()
        if number % 3:
            continue
        mirrored = bool((found["data"][0] == IMAGES[0][:, :, ::-1]).all())
        turned += mirrored
        expected = rows((0, 0))
        if mirrored:
            expected[..., [3, 5]] = 1 - expected[..., [5, 3]]
        np.testing.assert_allclose(found["label"], expected, atol=1e-6)
    assert 0 < turned < 10


def test_an_expanded_image_lies_on_the_mean_and_its_boxes_shrink(boxes_net: MakeNet) -> None:
    net = boxes_net(
        "resize_param { height: 80 width: 160 interp_mode: NEAREST } mean_value: 50 "
        "expand_param { prob: 1 max_expand_ratio: 4 }",
        batch=1, phase=TRAIN, seed=1,
    )  # fmt: skip
    sizes = []
    for number in range(9):
        found = net.forward()
        if number % 3 == 2:
            _, _, _, xmin, ymin, xmax, ymax, _ = found["label"][0, 0, 0].tolist()
            sizes.append((xmax - xmin, ymax - ymin))
            outside = np.ones((80, 160), bool)
            outside[int(ymin * 80) : int(ymax * 80) + 1, int(xmin * 160) : int(xmax * 160) + 1] = 0
            assert (found["data"][0][:, outside] == 0).all()
    assert all(0.24 < w <= 1 and abs(w - h) < 0.03 for w, h in sizes)
    assert len(set(sizes)) == 3


def test_sampled_parts_show_what_their_boxes_say(boxes_net: MakeNet) -> None:
    sampler = """batch_sampler { max_sample: 1 max_trials: 50
        sampler { min_scale: 0.3 max_scale: 1 min_aspect_ratio: 0.5 max_aspect_ratio: 2 }
        sample_constraint { min_jaccard_overlap: 0.3 } }"""
    resize = "resize_param { height: 16 width: 16 }"
    first, again = (
        [{k: v.copy() for k, v in net.forward().items()} for _ in range(6)]
        for net in (boxes_net(resize, sampler, phase=TRAIN, seed=s) for s in (1, 1))
    )
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one["data"], other["data"])
        np.testing.assert_array_equal(one["label"], other["label"])
    assert len({one["data"].tobytes() for one in first}) == 6
    corners = np.concatenate([one["label"][0, 0, :, 3:7] for one in first])
    assert corners.min() >= 0
    assert corners.max() <= 1


def test_a_sampler_finds_parts_that_satisfy_its_constraint() -> None:
    random = np.random.default_rng(0)
    boxes = np.float32(BOXES[0])
    sampler = BatchSampler(max_sample=3, max_trials=200)
    sampler.sampler.min_scale = 0.2
    sampler.sample_constraint.min_object_coverage = 0.9
    for _ in range(20):
        part = sampled_part(boxes, [sampler], random)
        assert part is not None
        corners = boxes[:, CORNERS]
        whole = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
        assert (overlaps(corners, part) / whole).max() >= 0.9
    sampler.sample_constraint.min_object_coverage = 1.1
    assert sampled_part(boxes, [sampler], random) is None


def test_constraints_say_which_boxes_a_part_keeps() -> None:
    boxes = np.float32(BOXES[0])
    part = (0.0, 0.0, 0.45, 0.45)
    assert len(emitted(boxes, part, None)) == 2
    by_centre = EmitConstraint(emit_type=EmitConstraint.CENTER)
    assert emitted(boxes, part, by_centre)[:, 0].tolist() == [2, 7]
    by_area = EmitConstraint(emit_type=EmitConstraint.MIN_OVERLAP, emit_overlap=0.7)
    assert emitted(boxes, part, by_area)[:, 0].tolist() == [7]


def test_bad_records_are_named_or_left_out(
    make_database: MakeDatabase, boxes_net: MakeNet, source: str
) -> None:
    make_database([annotated(IMAGES[0], BOXES[0]), b"\x08", annotated(IMAGES[2], BOXES[2])])
    with pytest.raises(Error, match=r'record 1 .key "00000001".: this is no AnnotatedDatum'):
        boxes_net().forward()
    bad_records.skipping = True
    try:
        found = boxes_net().forward()
        np.testing.assert_array_equal(found["label"], rows((0, 0), (1, 2), (2, 2)))
        assert len(bad_records.listed()) == 1
    finally:
        bad_records.clear()
