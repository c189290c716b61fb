"""BlobProto and arrays: every way to store one is read, views where that can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from protonet.ir.blobs import BlobError, blob_array, blob_bytes, blob_in, blob_proto
from protonet.ir.protonet_pb2 import BlobProto
from protonet.ir.wire import WireError

ARRAYS = st.sampled_from([np.float32, np.float64]).flatmap(
    lambda dtype: arrays.arrays(
        dtype, arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)
    )
)


def stored(data: bytes) -> np.ndarray:
    return blob_in(memoryview(data)).array


def unpacked(values: list[float], tag: bytes, dtype: str) -> bytes:
    return b"".join(tag + np.array(value, dtype).tobytes() for value in values)


@given(ARRAYS)
def test_an_array_comes_back_from_its_message(array: np.ndarray) -> None:
    back = blob_array(blob_proto(array))
    assert back.dtype == array.dtype or not array.size
    np.testing.assert_array_equal(back, array)
    assert back.shape == array.shape


@given(ARRAYS)
def test_written_bytes_are_what_protobuf_reads(array: np.ndarray) -> None:
    proto = BlobProto.FromString(b"".join(blob_bytes(array, array)))
    assert tuple(proto.shape.dim) == array.shape
    values, diff = proto.data, proto.diff
    if array.dtype == np.float64:
        values, diff = proto.double_data, proto.double_diff
    np.testing.assert_array_equal(values, array.ravel())
    np.testing.assert_array_equal(diff, array.ravel())


def test_packed_values_are_a_view() -> None:
    data = blob_proto(np.arange(6, dtype=np.float32).reshape(2, 3)).SerializeToString()
    array = stored(data)
    assert array.base is not None
    assert not array.flags.writeable
    assert np.shares_memory(array, np.frombuffer(data, np.uint8))


def test_strided_arrays_are_written_in_c_order() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    np.testing.assert_array_equal(blob_array(blob_proto(array)), array)


def test_other_number_types_are_stored_as_floats() -> None:
    assert blob_array(blob_proto(np.arange(3))).dtype == np.float32


def test_a_scalar_has_no_axes() -> None:
    assert blob_array(BlobProto(shape={}, data=[0.25])).shape == ()


def test_the_old_four_axes_are_told() -> None:
    blob = blob_in(
        memoryview(
            BlobProto(num=1, height=2, width=2, channels=1, data=[1, 2, 3, 4]).SerializeToString()
        )
    )
    assert blob.array.shape == (1, 1, 2, 2)
    assert blob.legacy
    assert not blob_in(memoryview(blob_proto(np.ones(3)).SerializeToString())).legacy


def test_missing_ones_of_the_old_axes_are_zero_as_in_caffe() -> None:
    assert blob_array(BlobProto(num=0)).shape == (0, 0, 0, 0)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200, 1000])
@pytest.mark.parametrize(("tag", "dtype"), [(b"\x2d", "<f4"), (b"\x41", "<f8")])
def test_unpacked_values_are_read(count: int, tag: bytes, dtype: str) -> None:
    values = list(range(count))
    shape = BlobProto(shape={"dim": [count]}).SerializeToString()
    for data in (shape + unpacked(values, tag, dtype), unpacked(values, tag, dtype) + shape):
        array = stored(data)
        assert array.dtype == dtype
        np.testing.assert_array_equal(array, values)
        np.testing.assert_array_equal(array, blob_array(BlobProto.FromString(data)))


def test_values_in_pieces_are_joined_in_order() -> None:
    pieces = [BlobProto(data=[1, 2]), BlobProto(shape={"dim": [2]}), BlobProto(data=[3])]
    data = b"".join(p.SerializeToString() for p in pieces)
    data += unpacked([4], b"\x2d", "<f4") + BlobProto(shape={"dim": [2]}).SerializeToString()
    np.testing.assert_array_equal(stored(data), [[1, 2], [3, 4]])


def test_axes_may_be_unpacked() -> None:
    data = b"\x3a\x04\x08\x02\x08\x01" + BlobProto(data=[1, 2]).SerializeToString()
    assert stored(data).shape == (2, 1)


def test_tags_longer_than_needed_are_read() -> None:
    data = b"\xad\x00" + np.float32(7).tobytes() + b"\x3a\x00"
    assert stored(data) == 7


def test_doubles_win_over_floats_as_in_caffe() -> None:
    array = blob_array(BlobProto(shape={"dim": [1]}, data=[1, 2], double_data=[3]))
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, [3])


@pytest.mark.parametrize(
    ("proto", "reason"),
    [
        (BlobProto(shape={"dim": [2, 3]}, data=[1]), "2×3, 6 values, but holds 1"),
        (BlobProto(shape={"dim": [2, 3]}), "6 values, but holds 0"),
        (BlobProto(data=[1, 2]), "1 values, but holds 2"),
        (BlobProto(shape={"dim": [-1]}, data=[1]), "has the shape -1"),
        (BlobProto(num=-2, channels=1, height=1, width=1), "has the shape -2×1×1×1"),
        (BlobProto(shape={"dim": [2**40, 2**40, 0]}), "more than 2147483647 values"),
        (BlobProto(shape={"dim": [1] * 33}, data=[1]), "more than 32 axes"),
    ],
)
def test_parts_that_contradict_each_other_are_refused(proto: BlobProto, reason: str) -> None:
    with pytest.raises(BlobError, match=reason):
        blob_array(proto)


def test_half_precision_of_a_fork_is_named() -> None:
    with pytest.raises(BlobError, match="raw_data"):
        stored(b"\x3a\x03\x0a\x01\x01" + b"\x62\x02ab")


def test_packed_values_cut_inside_a_number_are_refused() -> None:
    with pytest.raises(WireError, match="5 bytes are no whole number of values"):
        stored(b"\x2a\x05abcde")
