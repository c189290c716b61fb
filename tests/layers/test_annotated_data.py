"""AnnotatedData: shapes from the text; tests/data tests what it reads."""

from __future__ import annotations

import pytest
from gradient_check import layer_net

import protonet


def net(transform: str, tops: str = 'top: "data" top: "label"') -> protonet.Net:
    return layer_net(
        f'type: "AnnotatedData" {tops} transform_param {{ {transform} }} '
        'data_param { source: "elsewhere" batch_size: 4 backend: LMDB }',
        {},
    )


@pytest.mark.parametrize(
    ("transform", "shape"),
    [
        ("resize_param { height: 30 width: 40 }", (4, 3, 30, 40)),
        ("resize_param { height: 30 width: 40 } crop_size: 20", (4, 3, 20, 20)),
        ("resize_param { height: 3 width: 4 } resize_param { height: 5 width: 6 }", (4, 3, 3, 4)),
        ("old_resize_param { height: 30 width: 40 } force_gray: true", (4, 1, 30, 40)),
        ("crop_h: 5 crop_w: 6", (4, 3, 5, 6)),
    ],
)
def test_shapes_come_from_the_text(transform: str, shape: tuple[int, ...]) -> None:
    built = net(transform)
    assert built.blobs["data"].shape == shape
    assert built.blobs["label"].shape == (1, 1, 1, 8)
    assert list(net(transform, 'top: "data"').blobs) == ["data"]


@pytest.mark.parametrize(
    "transform", ["resize_param { height: 30 width: 40 resize_mode: FIT_SMALL_SIZE }"]
)
def test_a_size_that_the_text_does_not_tell_is_said_so(transform: str) -> None:
    with pytest.raises(protonet.Error, match="known only from transform_param"):
        net(transform)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        ("crop_h: 5 crop_w: 6", "crop_h cannot be done"),
        ("crop_size: 5 resize_param { resize_mode: FIT_SMALL_SIZE }", "FIT_SMALL_SIZE cannot be"),
        ("crop_size: 20", "the database elsewhere is not there"),
    ],
)
def test_what_cannot_be_done_is_an_error_when_it_runs(transform: str, message: str) -> None:
    with pytest.raises(protonet.Error, match=message):
        net(transform).forward()
