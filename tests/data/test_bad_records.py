"""Records that cannot be read: told, or left out and listed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner
from small_data import MakeDatabase, MakeNet, numbered

from protonet import Error, read_net
from protonet.cli import main
from protonet.data.bad_records import BadRecords, bad_records, stand_ins
from protonet.data.datum import datum_bytes
from protonet.data.errors import DataError

IMAGES = numbered(6)


@pytest.fixture
def skipping() -> Iterator[None]:
    """Bad records are left out."""
    bad_records.skipping = True
    yield
    bad_records.clear()


@pytest.fixture
def source(make_database: MakeDatabase) -> str:
    """A database of six records of which 1, 2 and 5 are bad."""
    records = [datum_bytes(image, index) for index, image in enumerate(IMAGES)]
    records[1] = records[2] = b"\x08"
    records[5] = datum_bytes(IMAGES[5], 5)[:-9]
    return make_database(records)


def labels(net, count: int) -> list[list[float]]:
    return [net.forward()["label"].tolist() for _ in range(count)]


@pytest.mark.usefixtures("skipping")
def test_the_next_good_record_of_the_batch_stands_in(source: str, data_net: MakeNet) -> None:
    net = data_net(source, 3)
    assert labels(net, 4) == [[0, 0, 0], [3, 4, 3]] * 2
    np.testing.assert_array_equal(net.forward()["data"][1], IMAGES[0])
    assert [message.split("record ")[1][0] for message in bad_records.listed()] == ["1", "2", "5"]


@pytest.mark.usefixtures("skipping")
def test_a_batch_without_a_good_record_is_an_error(source: str, data_net: MakeNet) -> None:
    net = data_net(source, 1)
    assert labels(net, 1) == [[0]]
    with pytest.raises(Error, match=r'record 1 .key "00000001".: this is no Datum'):
        net.forward()


def test_a_bad_record_is_an_error_if_nothing_else_is_said(source: str, data_net: MakeNet) -> None:
    with pytest.raises(Error, match=r'record 1 .key "00000001".'):
        data_net(source, 3).forward()


@pytest.mark.usefixtures("skipping")
@pytest.mark.parametrize("kind", ["ImageData", "DenseImageData"])
def test_files_that_cannot_be_read_are_left_out(
    tmp_path: Path, make_net: MakeNet, kind: str
) -> None:
    lines = []
    for index, image in enumerate(IMAGES):
        PIL.Image.fromarray(image[::-1].transpose(1, 2, 0)).save(tmp_path / f"{index}.png")
        lines.append(f"{index}.png {index if kind == 'ImageData' else f'{index}.png'}\n")
    (tmp_path / "4.png").write_bytes(b"")
    (tmp_path / "5.png").unlink()
    (tmp_path / "list.txt").write_text("".join(lines) + "a line of another form\n")
    group = "image_data_param" if kind == "ImageData" else "dense_image_data_param"
    net = make_net(
        f"""layer {{ name: "d" type: "{kind}" top: "data" top: "label" {group} {{
        source: "{tmp_path}/list.txt" root_folder: "{tmp_path}/" batch_size: 7 }} }}"""
    )
    images = net.forward()["data"]
    np.testing.assert_array_equal(images[:5], np.stack([*IMAGES[:4], IMAGES[0]]))
    assert [m.split("list.txt:")[1][0] for m in bad_records.listed()] == ["5", "6", "7"]


def test_bad_records_are_listed_in_their_order_whoever_found_them_first() -> None:
    found = BadRecords()
    found.skipping = True
    for source, number in [("b", 2), ("a", 10), ("b", 1), ("a", 9), ("a", 10)]:
        found.leave_out(DataError(f"{source}: record {number}"), source, number)
    assert found.listed() == ["a: record 9", "a: record 10", "b: record 1", "b: record 2"]


def test_stand_ins_go_around() -> None:
    assert stand_ins([False, True, True, False, True]) == [0, 3, 3, 3, 0]
    assert stand_ins([True, True]) is None


def test_the_command_lists_what_was_left_out(source: str, tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(
        f"""layer {{ name: "d" type: "Data" top: "data" top: "label"
        data_param {{ source: "{source}" backend: LMDB batch_size: 3 }} }}
        layer {{ name: "s" type: "Reduction" bottom: "data" top: "sum" }}"""
    )
    weights = tmp_path / "none.caffemodel"
    weights.write_bytes(read_net(str(net)).SerializeToString())
    arguments = ["test", str(net), "--weights", str(weights), "--iterations", "2"]
    assert CliRunner().invoke(main, arguments).exit_code == 1
    result = CliRunner().invoke(main, [*arguments, "--skip-bad-records"])
    assert result.exit_code == 0
    assert "left out: " in result.stderr
    assert "protonet: 3 bad records were left out" in result.stderr
    assert not bad_records.skipping
