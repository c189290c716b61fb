"""The Data layer: a database through decoding, transforming and prefetching into a net."""

from __future__ import annotations

import gc
import io
import os
import threading
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from small_data import MakeDatabase, MakeNet, numbered

from protonet import Error, kernels
from protonet.check.graph import build_graph
from protonet.data.datum import datum_bytes
from protonet.ir.protonet_pb2 import Datum, NetParameter, NetState
from protonet.prototxt import parse_text

TRAIN = 0


def encoded(image: np.ndarray, form: str = "png", label: int = 0) -> bytes:
    """A Datum that holds an image file: C×H×W in the order B, G, R."""
    pixels = image[::-1].transpose(1, 2, 0) if len(image) == 3 else image[0]
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).save(stream, form)
    return Datum(data=stream.getvalue(), label=label, encoded=True).SerializeToString()


def batches(net: object, count: int) -> list[dict[str, np.ndarray]]:
    return [
        {name: values.copy() for name, values in net.forward().items()}  # type: ignore[attr-defined]
        for _ in range(count)
    ]


def test_records_come_in_order_and_start_over(
    make_database: MakeDatabase, data_net: MakeNet
) -> None:
    images = numbered(5)
    net = data_net(make_database(images), batch_size=2)
    found = batches(net, 5)
    assert np.concatenate([b["label"] for b in found]).tolist() == [0, 1, 2, 3, 4] * 2
    np.testing.assert_array_equal(np.concatenate([b["data"] for b in found]), np.stack(images * 2))


def test_a_batch_may_be_larger_than_the_database(
    make_database: MakeDatabase, data_net: MakeNet
) -> None:
    net = data_net(make_database(3), batch_size=7)
    assert [b["label"].tolist() for b in batches(net, 2)] == [
        [0, 1, 2, 0, 1, 2, 0],
        [1, 2, 0, 1, 2, 0, 1],
    ]


def test_the_label_may_be_left_out(make_database: MakeDatabase, data_net: MakeNet) -> None:
    net = data_net(make_database(3), tops='top: "data"')
    assert list(net.forward()) == ["data"]
    assert net.blobs["data"].shape == (2, 3, 4, 5)


@pytest.mark.parametrize("form", ["png", "bmp"])
def test_encoded_records_are_decoded_to_blue_green_red(
    make_database: MakeDatabase, data_net: MakeNet, form: str
) -> None:
    images = numbered(4, 3, 6, 7)
    net = data_net(make_database([encoded(image, form) for image in images]), batch_size=4)
    np.testing.assert_array_equal(net.forward()["data"], np.stack(images))


def test_jpegs_are_decoded_as_pillow_does(make_database: MakeDatabase, data_net: MakeNet) -> None:
    record = encoded(numbered(1, 3, 32, 32)[0], "jpeg")
    net = data_net(make_database([record]), batch_size=1)
    with PIL.Image.open(io.BytesIO(Datum.FromString(record).data)) as image:
        rgb = np.asarray(image)
    np.testing.assert_array_equal(net.forward()["data"][0], rgb[:, :, ::-1].transpose(2, 0, 1))


def test_colour_and_grey_can_be_forced(make_database: MakeDatabase, data_net: MakeNet) -> None:
    colour, grey = numbered(1, 3, 2, 2)[0], np.array([[[9, 200], [3, 4]]], np.uint8)
    path = make_database([encoded(colour), encoded(grey)])
    found = data_net(path, transform="force_color: true").forward()["data"]
    np.testing.assert_array_equal(found, np.stack([colour, np.repeat(grey, 3, axis=0)]))
    found = data_net(path, transform="force_gray: true").forward()["data"]
    blue, green, red = colour.astype(float)
    np.testing.assert_array_equal(found[0, 0], np.floor(0.114 * blue + 0.587 * green + 0.299 * red))
    np.testing.assert_array_equal(found[1], grey)


def test_float_records(make_database: MakeDatabase, data_net: MakeNet) -> None:
    images = [np.random.default_rng(i).normal(size=(2, 3, 3)).astype(np.float32) for i in (0, 1)]
    net = data_net(make_database([datum_bytes(i, -3) for i in images]), transform="mean_value: 2")
    found = net.forward()
    np.testing.assert_array_equal(found["data"], np.stack(images) - 2)
    assert found["label"].tolist() == [-3, -3]


def test_raw_encoded_and_float_records_mix(make_database: MakeDatabase, data_net: MakeNet) -> None:
    images = numbered(3)
    records = [datum_bytes(images[0], 0), encoded(images[1]), datum_bytes(images[2] / 1.0, 0)]
    net = data_net(make_database(records), batch_size=3)
    np.testing.assert_array_equal(net.forward()["data"], np.stack(images))


def test_each_batch_takes_the_size_of_its_first_image(
    make_database: MakeDatabase, make_net: MakeNet
) -> None:
    path = make_database([*numbered(1, 1, 2, 3), *numbered(1, 1, 5, 4)])
    net = make_net(f"""
        layer {{ name: "d" type: "Data" top: "data"
                data_param {{ source: "{path}" batch_size: 1 backend: LMDB }} }}
        layer {{ name: "relu" type: "ReLU" bottom: "data" top: "out" }}""")
    assert [net.forward()["out"].shape for _ in range(4)] == [(1, 1, 2, 3), (1, 1, 5, 4)] * 2
    np.testing.assert_array_equal(net.blobs["out"].data, net.blobs["data"].data)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_batches_do_not_depend_on_the_number_of_workers(
    make_database: MakeDatabase, data_net: MakeNet, workers: int
) -> None:
    path = make_database(numbered(7, 3, 12, 12))
    transform = "crop_size: 5 mirror: true mean_value: 3 scale: 0.5"
    found = []
    for number in (1, workers):
        net = data_net(path, batch_size=3, transform=transform, phase=TRAIN, seed=11)
        net.layers[0].workers = number
        found.append(batches(net, 12))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one["data"], other["data"])
        np.testing.assert_array_equal(one["label"], other["label"])


def test_the_seed_decides_the_crops_and_epochs_differ(
    make_database: MakeDatabase, data_net: MakeNet
) -> None:
    path = make_database(numbered(8, 1, 20, 20))

    def crops(seed: int) -> list[np.ndarray]:
        net = data_net(path, 8, transform="crop_size: 4", phase=TRAIN, seed=seed)
        return [batch["data"] for batch in batches(net, 2)]

    one, same, other = crops(1), crops(1), crops(2)
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one[0], other[0])
    assert not np.array_equal(one[0], one[1])


def test_a_restored_layer_goes_on_where_it_was(
    make_database: MakeDatabase, data_net: MakeNet
) -> None:
    path = make_database(numbered(7, 1, 9, 9))
    settings = {"batch_size": 3, "transform": "crop_size: 4 mirror: true", "phase": TRAIN}
    net = data_net(path, **settings, seed=1)
    batches(net, 4)
    state = net.layers[0].state()
    assert state["position"] == 12
    expected = batches(net, 3)
    other = data_net(path, **settings, seed=2)
    batches(other, 1)
    other.layers[0].restore(state)
    for found, want in zip(batches(other, 3), expected, strict=True):
        np.testing.assert_array_equal(found["data"], want["data"])
        np.testing.assert_array_equal(found["label"], want["label"])


def test_two_nets_read_one_database(make_database: MakeDatabase, data_net: MakeNet) -> None:
    path = make_database(5)
    one, other = data_net(path), data_net(path, batch_size=3)
    for _ in range(4):
        one.forward()
    assert other.forward()["label"].tolist() == [0, 1, 2]
    one.close()
    assert other.forward()["label"].tolist() == [3, 4, 0]


def test_float64_nets(make_database: MakeDatabase, data_net: MakeNet) -> None:
    net = data_net(make_database(2), transform="scale: 0.1", dtype=np.float64)
    found = net.forward()["data"]
    assert found.dtype == np.float64
    assert found[0, 0, 0, 1] == float(np.float32(0.1))


def test_building_and_checking_starts_no_threads_and_keeps_no_files_open(
    make_database: MakeDatabase, data_net: MakeNet
) -> None:
    path, threads = make_database(5), threading.active_count()
    before = set(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else set()
    net = data_net(path)
    assert net.blobs["data"].shape == (2, 3, 4, 5)
    assert threading.active_count() <= threads
    if before:
        assert len(os.listdir("/proc/self/fd")) <= len(before)


def test_nets_that_come_and_go_leave_no_threads_and_files(
    make_database: MakeDatabase, data_net: MakeNet
) -> None:
    path = make_database(5)
    if not os.path.exists("/proc/self/fd"):
        pytest.skip("this system does not list open files")
    data_net(path).forward()
    files = threads = 0
    for number in range(30):
        net = data_net(path)
        net.forward()
        net.close()
        del net
        if number == 5:
            gc.collect()
            files, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= files
    assert threading.active_count() <= threads


def test_a_recording_net_does_not_record_what_workers_run(
    make_database: MakeDatabase, data_net: MakeNet
) -> None:
    net = data_net(make_database(5))
    with kernels.Tape() as tape:
        for _ in range(10):
            net.forward()
    assert len(tape) == 0


@pytest.mark.parametrize(
    ("settings", "place", "message"),
    [
        ({"batch_size": 0}, "4:51", "batch_size must be at least 1"),
        ({"transform": "crop_size: 5"}, "5:40", "crop_size 5 does not fit an image of 4×5"),
        ({"transform": "mean_value: 1 mean_value: 2"}, "5:41", "2 mean_value for images of 3"),
        ({"transform": 'mean_file: "gone"'}, "5:40", "the mean file gone is not there"),
        ({"data": ""}, "4:11", "db is an LMDB, not a LevelDB"),
        ({"data": "backend: LEVELDB"}, "4:62", "db is an LMDB, not a LevelDB"),
    ],
)
def test_mistakes_are_shown_where_they_are(
    make_database: MakeDatabase,
    data_net: MakeNet,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    settings: dict[str, object],
    place: str,
    message: str,
) -> None:
    make_database(3)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Error) as caught:
        data_net("db", **settings)
    first = str(caught.value).splitlines()[0]
    assert message in first
    assert first.startswith("net.prototxt:")
    line = caught.value.diagnostics[-1].spans[0].line
    assert line == int(place.split(":")[0])


def test_a_missing_source_is_an_error_of_a_net_and_a_note_of_a_check(data_net: MakeNet) -> None:
    with pytest.raises(Error, match=r"net.prototxt:4:.*the database gone_lmdb is not there"):
        data_net("gone_lmdb")
    text = """
      layer { name: "d" type: "Data" top: "data"
              data_param { source: "gone_lmdb" batch_size: 2 backend: LMDB } }
      layer { name: "relu" type: "ReLU" bottom: "data" top: "out" }"""
    message, source = parse_text(text, NetParameter)
    graph = build_graph(message, source, NetState(), lenient=True)
    assert not graph.failed
    assert ["gone_lmdb" in str(d) for d in graph.diagnostics] == [True]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b"", "0 bytes for an image of 0×0×0"),
        (b"\xff\xff\xff", "this is no Datum"),
        (datum_bytes(np.zeros((3, 4, 5), np.uint8), 0)[:-9], "this is no Datum"),
        (b"hello world, how are you", "this is no Datum"),
        (Datum(channels=3, height=4, width=5, data=b"123").SerializeToString(), "3 bytes for an"),
        (Datum(channels=-1, height=-1, width=3, data=b"123").SerializeToString(), "3 bytes for"),
        (
            Datum(channels=2**31 - 1, height=2**31 - 1, width=4, data=b"1234").SerializeToString(),
            "4 bytes for",
        ),
        (Datum(channels=1, height=1, width=2, float_data=[1]).SerializeToString(), "1 floats for"),
        (Datum(data=b"not an image", encoded=True).SerializeToString(), "cannot be decoded"),
        (Datum(data=b"", encoded=True).SerializeToString(), "cannot be decoded"),
        (datum_bytes(np.zeros((1, 4, 5), np.uint8), 0), "1 channels, but the first .* has 3"),
        (datum_bytes(np.zeros((3, 4, 6), np.uint8), 0), "the image is 4×6, but .* is 4×5"),
    ],
)
def test_a_bad_record_is_named_when_its_turn_comes(
    make_database: MakeDatabase, data_net: MakeNet, record: bytes, message: str
) -> None:
    good = [datum_bytes(image, index) for index, image in enumerate(numbered(4))]
    net = data_net(make_database([*good[:3], record]))
    assert net.forward()["label"].tolist() == [0, 1]
    for _ in range(2):
        with pytest.raises(Error, match=message) as caught:
            net.forward()
        assert "net.prototxt:4:" in str(caught.value)
        assert 'db: record 3 (key "00000003")' in str(caught.value)


def test_a_truncated_image_is_named(make_database: MakeDatabase, data_net: MakeNet) -> None:
    datum = Datum.FromString(encoded(numbered(1, 3, 40, 40)[0], "jpeg"))
    datum.data = datum.data[:-200]
    path = make_database([encoded(numbered(1, 3, 40, 40)[0]), datum.SerializeToString()])
    with pytest.raises(Error, match=r"record 1 .*the image cannot be decoded: .*truncated"):
        data_net(path).forward()


def test_settings_that_caffe_ignores_are_warned_of(
    make_database: MakeDatabase, data_net: MakeNet
) -> None:
    net = data_net(make_database(2), data="backend: LMDB scale: 0.5 mirror: true")
    assert [d.code for d in net.diagnostics] == ["W210", "W210"]
    assert "scale has no effect" in net.diagnostics[0].message
    np.testing.assert_array_equal(net.forward()["data"], np.stack(numbered(2)))


def test_what_is_saved_by_another_layer_is_refused(
    make_database: MakeDatabase, data_net: MakeNet
) -> None:
    from protonet.layers.base import LayerError

    net = data_net(make_database(2))
    with pytest.raises(LayerError, match="not that of a data layer"):
        net.layers[0].restore({"counter": 3})
