"""Reading LevelDB databases. The one in level/ was written by LevelDB 1.22, by plyvel: tables on
three levels, packed by Snappy, and a log; records overwritten and deleted in later ones."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_data import MakeNet, numbered, write_leveldb

from protonet import Error
from protonet.data.datum import datum_bytes
from protonet.data.errors import DataError
from protonet.data.leveldb_blocks import masked_checksum, unsnapped
from protonet.data.leveldb_source import LevelDbSource
from protonet.ir.wire import WireError

FOLDER = Path(__file__).parent / "level"


def expected() -> dict[bytes, bytes]:
    """The records in level/, by what was done to them one after the other."""
    versions = dict.fromkeys(range(0, 300, 2), 1)
    versions |= dict.fromkeys(range(0, 300, 3), 2)
    for gone in range(0, 300, 10):
        del versions[gone]
    versions |= dict.fromkeys(range(0, 300, 75), 3)
    del versions[298]
    records = {
        b"%08d" % i: b"%d of %d; " % (version, i) * (i * 37 % 400)
        for i, version in sorted(versions.items())
    }
    return records | {b"large": bytes(range(256)) * 130}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "level"))


def test_the_last_change_of_each_record_counts() -> None:
    with LevelDbSource(str(FOLDER)) as source:
        found = [(key, bytes(value)) for key, value in source.records()]
        assert found == list(expected().items())
        assert source.count == len(found)


def test_records_come_around_and_around_from_any_position() -> None:
    keys, values = zip(*expected().items(), strict=True)
    source = LevelDbSource(str(FOLDER))
    for position in (0, 3, len(keys) - 2, 5 * len(keys) + 7, 1):
        reader = source.reader()
        for first in (position, position + 4, position + 20, position):
            places = [i % len(keys) for i in range(first, first + 4)]
            assert [bytes(r) for r in reader.read(first, 4)] == [values[i] for i in places]
            assert [reader.key(i) for i in range(first, first + 4)] == [
                keys[i].decode() for i in places
            ]
        reader.close()


@pytest.mark.parametrize("backend", ["backend: LEVELDB", ""])
def test_nets_read_them_as_caffe_does_by_default(
    tmp_path: Path, make_net: MakeNet, backend: str
) -> None:
    images = numbered(3)
    write_leveldb(
        tmp_path / "db", [(b"%d" % i, datum_bytes(image, i)) for i, image in enumerate(images)]
    )
    net = make_net(
        f'''layer {{ name: "d" type: "Data" top: "data" top: "label"
          data_param {{ source: "{tmp_path}/db" {backend} batch_size: 2 }} }}'''
    )
    found = [{k: v.copy() for k, v in net.forward().items()} for _ in range(3)]
    assert np.concatenate([each["label"] for each in found]).tolist() == [0, 1, 2, 0, 1, 2]
    np.testing.assert_array_equal(
        np.concatenate([each["data"] for each in found]), np.stack(images * 2)
    )


def test_a_log_that_was_not_written_to_its_end_loses_its_last_entry(copied: Path) -> None:
    log = copied / "000021.log"
    log.write_bytes(log.read_bytes()[:-1])
    keys = [key for key, _ in LevelDbSource(str(copied)).records()]
    assert keys == list(expected())[:-1]


def test_what_cannot_be_read_is_told_with_its_file(copied: Path) -> None:
    table = copied / "000020.ldb"
    whole = table.read_bytes()
    for content, message in (
        (whole[:-1], "000020.ldb: broken: it has not the end of a table"),
        (b"\xff" * 300 + whole[300:], "000020.ldb: broken: the block of records up to 0"),
    ):
        table.write_bytes(content)
        with pytest.raises(DataError, match=message):
            _ = LevelDbSource(str(copied)).count
    table.unlink()
    with pytest.raises(DataError, match=r"000020.ldb: cannot read this file"):
        _ = LevelDbSource(str(copied)).count


@pytest.mark.parametrize("name", ["000020.ldb", "000021.log", "MANIFEST-000018"])
def test_no_byte_changes_unnoticed(copied: Path, name: str) -> None:
    """Other content than was written is never given for it; less of a log is, as if it had not
    been written to its end."""
    whole = (copied / name).read_bytes()
    records = list(expected().items())
    for place in range(0, len(whole), max(1, len(whole) // 100)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        (copied / name).write_bytes(changed)
        with contextlib.suppress(DataError):
            found = [(k, bytes(v)) for k, v in LevelDbSource(str(copied)).records()]
            assert name.endswith("ldb") is False or found == records
            assert set(found) <= set(records)


def test_checksums_are_those_of_other_programs() -> None:
    """The examples of RFC 3720, B.4."""

    def unmasked(data: bytes) -> int:
        turned = masked_checksum(data) - 0xA282EAD8 & 0xFFFFFFFF
        return (turned >> 17 | turned << 15) & 0xFFFFFFFF

    assert unmasked(bytes(32)) == 0x8A9136AA
    assert unmasked(b"\xff" * 32) == 0x62A8AB43
    assert unmasked(bytes(range(32))) == 0x46DD794E
    assert unmasked(b"123456789") == 0xE3069283


def test_other_databases_are_told_with_what_to_write(tmp_path: Path, make_database: object) -> None:
    with pytest.raises(Error, match=r"is an LMDB, not a LevelDB[\s\S]*write backend: LMDB"):
        LevelDbSource(make_database(2))  # type: ignore[operator]
    with pytest.raises(DataError, match="is not there") as caught:
        LevelDbSource(str(tmp_path / "gone"))
    assert caught.value.missing
    write_leveldb(tmp_path / "empty", [])
    with pytest.raises(DataError, match="no records"):
        LevelDbSource(str(tmp_path / "empty"))


@pytest.mark.parametrize(
    ("packed", "bytes_"),
    [
        (b"\x00", b""),
        (b"\x03\x08abc", b"abc"),
        (b"\x46\xf0\x45" + bytes(70), bytes(70)),  # a size of one byte
        (b"\x0a\x04ab\x11\x02", b"ab" * 5),  # 8 from 2 back, more than there are
        (b"\x07\x08abc\x0e\x03\x00", b"abcabca"),  # 4 from 3 back, in two bytes
        (b"\x05\x04ab\x0b\x02\0\0\0", b"ababa"),  # 3 from 2 back, in four bytes
    ],
)
def test_snappy(packed: bytes, bytes_: bytes) -> None:
    assert bytes(unsnapped(memoryview(packed))) == bytes_


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\x04\x08abc",
        b"\x03\x08ab",
        b"\x07\x08abc\x01\x04",
        b"\x07\x08abc\x01\x00",
        b"\xff\xff\xff\xff\x0f\x08abc",
        b"\x46\xf0",
        b"\x05\xfc\xff\xff\xff\xff\0",
        b"\x02\x08abc",
    ],
)
def test_what_is_no_snappy_is_refused(packed: bytes) -> None:
    with pytest.raises((WireError, IndexError)):
        unsnapped(memoryview(packed))
