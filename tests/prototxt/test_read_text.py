"""Reading text files, and files that are none."""

import os
import struct

import pytest

from protonet.ir import protonet_pb2 as pb
from protonet.prototxt import Error, parse_text, read_text


def refused(path):
    with pytest.raises(Error) as raised:
        read_text(path)
    (diagnostic,) = raised.value.diagnostics
    assert str(raised.value).startswith(f"{os.fspath(path)}:1:1: error[{diagnostic.code}]: ")
    return diagnostic


def test_byte_order_mark_is_left_out(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_bytes(b'\xef\xbb\xbfname: "\xc3\xa9"\r\n')
    assert read_text(path) == 'name: "é"\r\n'


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "gbk"])
def test_comments_in_other_encodings_do_no_harm(tmp_path, encoding):
    path = tmp_path / "net.prototxt"
    comment = "网络 é" if encoding == "gbk" else "réseau"
    path.write_bytes(f'# {comment}\nname: "net" # {comment}'.encode(encoding, "replace"))
    net, source = parse_text(read_text(str(path)), pb.NetParameter)
    assert net.name == "net"
    assert source.span(("name",)).line == 2


def test_string_in_latin1_is_read_as_such_between_utf8(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_bytes(b'name: "\xe9"\ninput: "\xc3\xa9"')
    net, _ = parse_text(read_text(path), pb.NetParameter)
    assert (net.name, net.input[0]) == ("é", "é")


def test_missing_file_folder_and_impossible_name_are_told(tmp_path):
    assert "no such file" in refused(tmp_path / "none.prototxt").message
    assert "folder" in refused(tmp_path).message
    assert refused("a\0b").code == "E010"
    assert refused("").code == "E010"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_told(tmp_path):
    path = tmp_path / "net.prototxt"
    path.touch(mode=0)
    assert "denied" in refused(path).message.lower()


def test_weights_given_as_text_are_told(tmp_path):
    path = tmp_path / "net.caffemodel"
    net = pb.NetParameter(name="net")
    net.layer.add(name="conv").blobs.add(data=[0.1 * i for i in range(100)])
    path.write_bytes(net.SerializeToString())
    diagnostic = refused(path)
    assert diagnostic.code == "E011"
    assert "binary" in diagnostic.message
    assert ".caffemodel" in diagnostic.help


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf16_is_told(tmp_path, encoding):
    path = tmp_path / "net.prototxt"
    text = 'name: "net"' if encoding == "utf-16" else '\ufeffname: "net"'
    path.write_bytes(text.encode(encoding))
    assert "UTF-16" in refused(path).message


def test_numbers_are_not_text(tmp_path):
    path = tmp_path / "mean.binaryproto"
    path.write_bytes(struct.pack("<200f", *range(200)))
    assert refused(path).code == "E011"


def test_one_broken_byte_is_left_to_the_parser(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_bytes(b'name: "net"\n' * 20 + b"\0")
    assert read_text(path).endswith("\0")


def test_empty_file_is_empty_text(tmp_path):
    path = tmp_path / "empty.prototxt"
    path.touch()
    assert read_text(path) == ""
    assert parse_text("", pb.NetParameter)[0] == pb.NetParameter()
