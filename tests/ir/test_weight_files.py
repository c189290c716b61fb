"""Files of trained weights: all generations are read, what is written real Caffe can read."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from short_work import ends_within

from protonet.ir import NetParameter, Weights, read_weights, write_weights
from protonet.ir.blobs import blob_array, blob_proto
from protonet.ir.protonet_pb2 import BlobProto, V1LayerParameter
from protonet.prototxt import Error

NETS = Path(__file__).resolve().parents[1] / "golden" / "nets"
LENET = NETS / "lenet.caffemodel"
LENET_HDF5 = NETS / "lenet.caffemodel.h5"

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)
BIAS = np.array([0.5, -0.5], dtype=np.float32)


def net_of(*names: str, shared: str = "") -> NetParameter:
    """A net of fully connected layers, all with a parameter of the name `shared` if given."""
    net = NetParameter(name="n")
    for name in names:
        net.layer.add(name=name, type="InnerProduct", bottom=["x"], top=[name])
        if shared:
            net.layer[-1].param.add(name=shared)
    return net


def same(one: Weights, other: Weights) -> bool:
    """Whether all blobs of `one` are in `other`."""
    for layer in one.layers:
        found = other.find(layer.name)
        assert found is not None
        for a, b in zip(layer.blobs, found.blobs, strict=True):
            np.testing.assert_array_equal(a, b)
    return True


def test_caffes_file_is_read_as_protobuf_reads_it() -> None:
    weights = read_weights(LENET)
    net = NetParameter.FromString(LENET.read_bytes())
    assert [(w.name, w.type) for w in weights.layers] == [(x.name, x.type) for x in net.layer]
    for stored, layer in zip(weights.layers, net.layer, strict=True):
        assert stored.legacy == [False] * len(layer.blobs)
        for array, proto in zip(stored.blobs, layer.blobs, strict=True):
            assert array is not None
            assert array.shape == tuple(proto.shape.dim)
            np.testing.assert_array_equal(array.ravel(), proto.data)


def test_caffes_hdf5_file_holds_the_same() -> None:
    assert same(read_weights(LENET), read_weights(LENET_HDF5))


def test_blobs_are_views_of_the_file() -> None:
    layer = read_weights(LENET).find("ip1")
    assert layer is not None
    assert layer.blobs[0] is not None
    assert layer.blobs[0].base is not None
    assert not layer.blobs[0].flags.writeable


def test_weights_stay_valid_when_their_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.caffemodel"
    write_weights(path, net_of("ip"), {"ip": [WEIGHT]})
    weights = read_weights(path)
    write_weights(path, net_of("ip"), {"ip": [WEIGHT + 1]})
    np.testing.assert_array_equal(weights.layers[0].blobs[0], WEIGHT)  # type: ignore[arg-type]


def test_v1_layers_are_read(tmp_path: Path) -> None:
    net = NetParameter(name="old")
    layer = net.layers.add(name="conv1", type=V1LayerParameter.CONVOLUTION, blobs_lr=[1, 2])
    layer.blobs.add(num=1, channels=1, height=2, width=3, data=WEIGHT.ravel())
    path = tmp_path / "v1.caffemodel"
    path.write_bytes(net.SerializeToString())
    (stored,) = read_weights(path).layers
    assert (stored.name, stored.type, stored.legacy) == ("conv1", "Convolution", [True])
    np.testing.assert_array_equal(stored.blobs[0], WEIGHT.reshape(1, 1, 2, 3))  # type: ignore[arg-type]


def test_v0_layers_are_read(tmp_path: Path) -> None:
    net = NetParameter(name="older")
    inner = net.layers.add(bottom=["x"], top=["y"]).layer
    inner.name, inner.type = "fc6", "innerproduct"
    inner.blobs.append(blob_proto(WEIGHT))
    path = tmp_path / "v0.caffemodel"
    path.write_bytes(net.SerializeToString())
    (stored,) = read_weights(path).layers
    assert (stored.name, stored.type) == ("fc6", "InnerProduct")
    np.testing.assert_array_equal(stored.blobs[0], WEIGHT)  # type: ignore[arg-type]


def test_the_first_layer_of_a_name_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.caffemodel"
    write_weights(path, net_of("a", "a"), {})
    weights = read_weights(path)
    found = weights.find("a")
    assert found is weights.layers[0]
    assert weights.find("b") is None


def test_written_file_is_the_message_caffe_would_write(tmp_path: Path) -> None:
    net = net_of("ip", "relu")
    net.layer[0].blobs.append(blob_proto(BIAS))  # inline weights give way to those handed over
    net.force_backward = True  # not part of what Caffe writes
    path = tmp_path / "a.caffemodel"
    write_weights(path, net, {"ip": [WEIGHT, BIAS]})
    expected = NetParameter(name="n", layer=net.layer)
    del expected.layer[0].blobs[:]
    expected.layer[0].blobs.add(shape={"dim": [2, 3]}, data=WEIGHT.ravel())
    expected.layer[0].blobs.add(shape={"dim": [2]}, data=BIAS)
    found = NetParameter.FromString(path.read_bytes())
    found.DiscardUnknownFields()  # the checksum
    assert found == expected
    assert len(net.layer[0].blobs) == 1


def test_gradients_are_written_on_demand(tmp_path: Path) -> None:
    path = tmp_path / "a.caffemodel"
    write_weights(path, net_of("ip"), {"ip": [WEIGHT]}, {"ip": [WEIGHT * 2]})
    (layer,) = NetParameter.FromString(path.read_bytes()).layer
    assert list(layer.blobs[0].diff) == [0, 2, 4, 6, 8, 10]
    hdf5 = tmp_path / "a.caffemodel.h5"
    write_weights(hdf5, net_of("ip"), {"ip": [WEIGHT]}, {"ip": [WEIGHT * 2]})
    with h5py.File(hdf5) as stored:
        np.testing.assert_array_equal(stored["diff/ip/0"][()], WEIGHT * 2)


@pytest.mark.parametrize("suffix", [".caffemodel", ".caffemodel.h5"])
def test_weights_come_back_from_both_kinds_of_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    blobs = {
        "ip/1": [WEIGHT, BIAS],
        "scalar": [np.array(3, np.float32)],
        "doubles": [np.array([1 / 3, 2])],
        "empty": [np.zeros((0, 4), np.float32)],
    }
    write_weights(path, net_of("ip", *blobs), blobs)
    weights = read_weights(path)
    assert weights.leaves_out_shared == suffix.endswith(".h5")
    for name, arrays in blobs.items():
        found = weights.find(name)
        assert found is not None
        for array, stored in zip(arrays, found.blobs, strict=True):
            assert stored is not None
            assert stored.shape == array.shape
            np.testing.assert_array_equal(stored, array)
    doubles = weights.find("doubles")
    assert doubles is not None
    assert doubles.blobs[0] is not None
    assert doubles.blobs[0].dtype == np.float64


def test_hdf5_leaves_out_what_an_earlier_layer_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.caffemodel.h5"
    write_weights(path, net_of("a", "b", shared="w"), {"a": [WEIGHT, BIAS], "b": [WEIGHT, -BIAS]})
    weights = read_weights(path)
    b = weights.find("b")
    assert b is not None
    assert b.blobs[0] is None
    np.testing.assert_array_equal(b.blobs[1], -BIAS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a", "a/0"], 'blob 0 of layer "a" and layer "a/0"'),
        (["a", "a"], 'layer "a" and layer "a"'),
        (["a//b"], 'a layer of the name "a//b"'),
        ([""], 'a layer of the name ""'),
    ],
)
def test_names_that_hdf5_cannot_hold_are_refused(
    tmp_path: Path, names: list[str], said: str
) -> None:
    path = tmp_path / "a.h5"
    with pytest.raises(Error, match="E316") as caught:
        write_weights(path, net_of(*names), {name: [WEIGHT] for name in names})
    assert said in str(caught.value)
    assert not path.exists()


def test_more_than_two_gigabytes_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.caffemodel"
    blobs = {"ip": [np.zeros(2**20, np.float32)] * 600}  # 4 MB here, 2.4 GB there
    with pytest.raises(Error, match=r"E315.*2 GB"):
        write_weights(path, net_of("ip"), blobs)
    assert not path.exists()


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (b"", "E311", "this file is empty"),
        (b'name: "LeNet"\nlayer {\n}\n', "E311", "a text file (a prototxt?)"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "E311", "git lfs pull"),
        (b"\n<!DOCTYPE html>\n<html>", "E311", "a web page"),
        (b"PK\x03\x04\x14\x00", "E311", "a zip archive"),
        (b"\x1f\x8b\x08\x00", "E311", "unpack it first"),
        (b"\x08\x07\x12\x04", "E311", "a .solverstate, a .binaryproto or an ONNX model"),
        (b"\x0a\x01n", "E311", "no layers were found"),
        (bytes(100), "E311", "no layers were found"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "E312", "damaged HDF5 file"),
    ],
)
def test_other_kinds_of_files_are_named(
    tmp_path: Path, content: bytes, code: str, said: str
) -> None:
    path = tmp_path / "a.caffemodel"
    path.write_bytes(content)
    with pytest.raises(Error) as caught:
        read_weights(path)
    assert caught.value.diagnostics[0].code == code
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{path}:1:1: ")


def test_a_file_that_is_cut_off_says_where_and_what_came_last(tmp_path: Path) -> None:
    path = tmp_path / "cut.caffemodel"
    path.write_bytes(LENET.read_bytes()[:50_000])
    with pytest.raises(Error) as caught:
        read_weights(path)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E312"
    assert "of 50000" in diagnostic.message
    assert diagnostic.notes == ('layer "pool1" is the last one that could be read',)


def written(path: Path) -> bytes:
    net = net_of("ip1", "ip2")
    write_weights(path, net, {name: [WEIGHT, BIAS] for name in ("ip1", "ip2")})
    return path.read_bytes()


@pytest.mark.parametrize("suffix", ["", ".h5"])
def test_a_flipped_byte_among_the_numbers_is_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w.caffemodel{suffix}"
    whole = written(path)
    for at in (whole.find(WEIGHT.tobytes()) + 5, whole.rfind(BIAS.tobytes()) + 6):
        changed = bytearray(whole)
        changed[at] ^= 0x10
        path.write_bytes(changed)
        with pytest.raises(Error, match=r"E312.*damaged"):
            read_weights(path)


def test_no_byte_of_a_file_can_be_flipped_or_cut_off_unseen(tmp_path: Path) -> None:
    path = tmp_path / "w.caffemodel"
    whole = written(path)
    sound = read_weights(path)
    for at in range(len(whole)):
        for damaged in (whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :], whole[:at]):
            path.write_bytes(damaged)
            with pytest.raises(Error, match=r"E31[123]"):
                read_weights(path)
    path.write_bytes(whole)
    assert same(sound, read_weights(path))


def test_a_file_that_another_program_has_changed_and_written_anew_is_read(tmp_path: Path) -> None:
    path = tmp_path / "w.caffemodel"
    net = NetParameter.FromString(written(path))
    net.layer[0].blobs[0].data[0] = 7
    path.write_bytes(net.SerializeToString())
    (weight, _) = read_weights(path).layers[0].blobs
    assert weight is not None
    assert weight[0, 0] == 7


def test_a_blob_that_contradicts_itself_is_named(tmp_path: Path) -> None:
    net = net_of("ip")
    net.layer[0].blobs.add(shape={"dim": [2, 2]}, data=[1])
    path = tmp_path / "a.caffemodel"
    path.write_bytes(net.SerializeToString())
    with pytest.raises(Error, match=r'E313.*blob 0 of layer "ip" has the shape 2×2, 4 values'):
        read_weights(path)


def test_hdf5_that_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["label"] = BIAS
    with pytest.raises(Error, match=r"E311.*no group /data"):
        read_weights(path)
    with h5py.File(path, "w") as file:
        file["data/ip/0"] = "text"
    with pytest.raises(Error, match=r'E313.*blob 0 of layer "ip" is no array of floats'):
        read_weights(path)


def test_hdf5_that_promises_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data/ip/0", (2**20, 2**20), "f4", chunks=(64, 64))
    with pytest.raises(Error, match=r"E312.*more than the file can hold"):
        read_weights(path)


def test_hdf5_groups_that_contain_each_other_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("data/a")
        group["b"] = group
    with pytest.raises(Error, match=r"E312.*contain each other"):
        read_weights(path)


def small_file(suffix: str, folder: Path) -> bytes:
    path = folder / f"whole{suffix}"
    blobs = {"ip": [WEIGHT, BIAS], "ip2": [WEIGHT.astype(np.float64)]}
    write_weights(path, net_of("ip", "relu", "ip2"), blobs)
    return path.read_bytes()


@pytest.mark.parametrize("suffix", [".caffemodel", ".caffemodel.h5"])
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_damaged_files_load_or_say_what_is_wrong(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, seed: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    data = bytearray(small_file(suffix, folder))
    chance = random.Random(seed)
    for _ in range(chance.choice([0, 1, 1, 2, 20])):
        data[chance.randrange(len(data))] = chance.randrange(256)
    if chance.random() < 0.3:
        del data[chance.randrange(len(data)) :]
    path = folder / f"damaged{suffix}"
    path.write_bytes(data)

    def load() -> None:
        with contextlib.suppress(Error):
            read_weights(path)

    assert ends_within(2, load)


def test_published_models_are_read_as_protobuf_reads_them(shared: Path) -> None:
    files = sorted((shared / "models").glob("*/*.caffemodel"))
    assert files
    for path in files:
        net = NetParameter.FromString(path.read_bytes())
        weights = read_weights(path)
        layers = list(net.layer) or list(net.layers)
        assert [w.name for w in weights.layers] == [layer.name for layer in layers]
        for stored, layer in zip(weights.layers, layers, strict=True):
            assert stored.type
            for array, proto in zip(stored.blobs, layer.blobs, strict=True):
                np.testing.assert_array_equal(array, blob_array(proto))
                np.testing.assert_array_equal(np.ravel(array), proto.data)  # type: ignore[arg-type]


def test_blob_proto_of_a_text_file_is_read_too() -> None:
    assert blob_array(BlobProto(shape={"dim": [1, 2]}, data=[1, 2])).tolist() == [[1, 2]]
