"""The wire format is read in place, and what is no message is refused where that shows."""

from __future__ import annotations

import pytest

from protonet.ir.protonet_pb2 import LayerParameter, NetParameter
from protonet.ir.wire import LENGTH, WireError, fields_in, varint_at


def numbers(data: bytes) -> list[int]:
    view = memoryview(data)
    return [field.number for field in fields_in(view, 0, len(view))]


def test_fields_lie_where_protobuf_wrote_them() -> None:
    layer = LayerParameter(name="conv1", type="Convolution", loss_weight=[0.5, 1])
    net = NetParameter(name="n", force_backward=True, layer=[layer])
    data = memoryview(net.SerializeToString())
    name, force_backward, record = fields_in(data, 0, len(data))
    assert bytes(data[name.start : name.end]) == b"n"
    assert force_backward.value == 1
    assert (record.number, record.wire) == (100, LENGTH)
    assert LayerParameter.FromString(bytes(data[record.start : record.end])) == layer


def test_groups_are_skipped() -> None:
    group = b"\x0b\x10\x01\x13\x08\x01\x14\x0c"  # group 1 holds a number and group 2
    assert numbers(group + b"\x18\x05") == [1, 3]


@pytest.mark.parametrize(
    ("data", "position", "reason"),
    [
        (b"\x0a\x05abc", 0, "field 1 should be 5 bytes long, 3 are left"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 0, "bytes long, 0 are left"),
        (b"\x08\x80", 1, "cut off"),
        (b"\x0d\x01\x02", 0, "field 1 is cut off"),
        (b"\x00\x01", 0, "no field begins here"),
        (b"\x0c", 0, "no field begins here"),
        (b"\x0f", 0, "no field begins here"),
        (b"\x08" + b"\xff" * 11, 1, "no number ends here"),
        (b"\x0b\x14", 1, "a group ends that did not begin"),
        (b"\x0b" * 1000, 33, "groups are nested too deeply"),
        (b"\x0b", 1, "cut off"),
    ],
)
def test_what_is_no_message_is_refused_at_its_byte(data: bytes, position: int, reason: str) -> None:
    with pytest.raises(WireError, match=reason) as caught:
        numbers(data)
    assert caught.value.position == position


def test_negative_numbers_take_ten_bytes() -> None:
    data = memoryview(b"\xff" * 9 + b"\x01")
    assert varint_at(data, 0, 10) == (2**64 - 1, 10)
