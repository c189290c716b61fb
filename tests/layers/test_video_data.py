"""VideoData: the shapes that its text tells."""

from __future__ import annotations

import pytest

import protonet

SSD = """data_param { batch_size: 2 } video_data_param { video_type: WEBCAM device_id: 0 }
  transform_param { resize_param { height: 30 width: 40 } }"""
C3D = """video_data_param { source: "no.lst" batch_size: 3 new_length: 16 new_height: 12
  new_width: 17 use_image: true } transform_param { %s }"""
TSN = """video_data_param { source: "no.txt" batch_size: 2 new_length: 5 num_segments: 3 %s }
  transform_param { crop_size: 22 }"""


def video_net(fields: str, tops: int) -> protonet.Net:
    names = " ".join(f'top: "{name}"' for name in ("data", "label")[:tops])
    text = f'layer {{ name: "v" type: "VideoData" {names} {fields} }}'
    message, _ = protonet.prototxt.parse_text(text, protonet.NetParameter)
    return protonet.Net(message)


@pytest.mark.parametrize(
    ("fields", "shapes"),
    [
        (SSD, [(2, 3, 30, 40)]),
        (C3D % "", [(3, 3, 16, 12, 17), (3,)]),
        (C3D % "crop_size: 11", [(3, 3, 16, 11, 11), (3,)]),
        (TSN % "modality: FLOW", [(2, 30, 22, 22), (2,)]),
        (TSN % "modality: RGB", [(2, 45, 22, 22), (2,)]),
    ],
)
def test_each_forks_shapes_are_told_from_its_text(
    fields: str, shapes: list[tuple[int, ...]]
) -> None:
    net = video_net(fields, len(shapes))
    assert [blob.shape for blob in net.blobs.values()] == shapes
    with pytest.raises(protonet.Error, match="videos cannot be read"):
        net.forward()


def test_a_missing_batch_size_or_image_size_is_told() -> None:
    with pytest.raises(protonet.Error, match="batch_size must be at least 1"):
        video_net(SSD.replace("batch_size: 2", ""), 1)
    with pytest.raises(protonet.Error, match="known only from transform_param"):
        video_net(SSD.replace("height: 30", ""), 1)
