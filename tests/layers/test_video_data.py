"""VideoData: the shapes that its text tells, and clips of frames in folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import protonet
from protonet.data.image_list import read_image

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
    told = "the list file no.lst is not there" if "use_image" in fields else "videos cannot be read"
    with pytest.raises(protonet.Error, match=told):
        net.forward()


def test_a_missing_batch_size_or_image_size_is_told() -> None:
    with pytest.raises(protonet.Error, match="batch_size must be at least 1"):
        video_net(SSD.replace("batch_size: 2", ""), 1)
    with pytest.raises(protonet.Error, match="known only from transform_param"):
        video_net(SSD.replace("height: 30", ""), 1)


CLIPS = """video_data_param { source: "FOLDER/clips.lst" root_folder: "FOLDER/" batch_size: 2
  new_length: 3 new_height: 8 new_width: 9 use_image: true %s }"""


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two folders of seven frames and a list of three clips."""
    random = np.random.default_rng(0)
    for name in ("run", "jump"):
        (tmp_path / name).mkdir()
        for number in range(1, 8):
            pixels = random.integers(0, 256, (10, 12, 3), dtype=np.uint8)
            PIL.Image.fromarray(pixels).save(tmp_path / name / f"{number:06d}.jpg")
    (tmp_path / "clips.lst").write_text("run 1 4\njump 2 7\nrun 3 5\n")
    return tmp_path


def frames(folder: Path, name: str, *numbers: int) -> np.ndarray:
    paths = [str(folder / name / f"{number:06d}.jpg") for number in numbers]
    return np.stack([read_image(path, True, 8, 9) for path in paths], axis=1)


def test_clips_are_the_frames_of_folders(clips: Path) -> None:
    net = video_net((CLIPS % "").replace("FOLDER", str(clips)), 2)
    found = net.forward()
    first, labels = found["data"].copy(), found["label"].tolist()
    assert labels == [4, 7]
    np.testing.assert_array_equal(first[0], frames(clips, "run", 1, 2, 3))
    np.testing.assert_array_equal(first[1], frames(clips, "jump", 2, 3, 4))
    assert net.forward()["label"].tolist() == [5, 4]
    net.close()


def test_frames_may_be_some_apart(clips: Path) -> None:
    net = video_net((CLIPS % "sampling_rate: 2").replace("FOLDER", str(clips)), 2)
    np.testing.assert_array_equal(net.forward()["data"][1], frames(clips, "jump", 2, 4, 6))
    net.close()


def test_the_frames_of_a_clip_are_cropped_and_mirrored_alike(clips: Path) -> None:
    text = (CLIPS % "shuffle: true").replace("FOLDER", str(clips))
    text = text.replace("batch_size: 2", "batch_size: 8").replace("new_length: 3", "new_length: 1")
    (clips / "clips.lst").write_text("run 1 0\n")
    message = "transform_param { crop_size: 5 mirror: true }"
    longer = text.replace("new_length: 1", "new_length: 4")
    for number in range(2, 8):
        (clips / "run" / f"{number:06d}.jpg").write_bytes(
            (clips / "run" / "000001.jpg").read_bytes()
        )
    net = video_net(f"{longer} {message} phase: TRAIN", 2)
    found = net.forward()["data"]
    net.close()
    for clip in found:
        assert (clip == clip[:, :1]).all()
    assert any((clip != found[0]).any() for clip in found)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run 6 4", r"clips.lst:1: .*000008.jpg: no such file"),
        ("run x 4", r"clips.lst:1: no folder and two whole numbers"),
        ("4", r"clips.lst:1: no folder and two whole numbers"),
    ],
)
def test_a_bad_line_of_clips_is_named(clips: Path, line: str, message: str) -> None:
    (clips / "clips.lst").write_text(line + "  \n")
    net = video_net((CLIPS % "").replace("FOLDER", str(clips)), 2)
    with pytest.raises(protonet.Error, match=message):
        net.forward()
    net.close()
