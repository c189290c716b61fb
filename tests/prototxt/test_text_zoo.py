"""Real files from many repositories: what protobuf's own parser makes of them, we do."""

import csv

import pytest
from google.protobuf import text_format

from protonet.ir import protonet_pb2 as pb
from protonet.prototxt import Error, format_text, parse_text, parse_text_diagnosed, read_text

MESSAGES = {"solver": pb.SolverParameter, "labelmap": pb.LabelMap}


@pytest.fixture(scope="module")
def files(shared):
    with open(shared / "zoo" / "INDEX.tsv", encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    return [
        (shared / "zoo" / row["file"], MESSAGES.get(row["kind"], pb.NetParameter)) for row in rows
    ]


def googles(path, message_type):
    try:
        return text_format.Parse(path.read_bytes(), message_type()), None
    except text_format.ParseError as error:
        return None, error.GetLine()


def test_files_are_read_and_refused_as_by_protobufs_own_parser(files):
    accepted = 0
    for path, message_type in files:
        expected, line = googles(path, message_type)
        if expected is not None:
            assert parse_text(read_text(path), message_type)[0] == expected, path
            accepted += 1
        else:
            with pytest.raises(Error) as raised:
                parse_text(read_text(path), message_type, path.name)
            lines = [diagnostic.spans[0].line for diagnostic in raised.value.diagnostics]
            assert line in lines, path
    assert accepted > 200


def test_files_read_back_from_their_canonical_text(files):
    for path, message_type in files:
        message = parse_text_diagnosed(read_text(path), message_type)[0]
        text = format_text(message)
        again, _, diagnostics = parse_text_diagnosed(text, message_type)
        if not any(diagnostic.code == "E006" for diagnostic in diagnostics):
            assert diagnostics == [], path
        assert again == message, path


def test_malformed_files_are_refused_with_the_line(shared):
    paths = sorted((shared / "zoo" / "_malformed").iterdir())
    assert paths
    for path in paths:
        with pytest.raises(Error) as raised:
            parse_text(read_text(path), pb.NetParameter, path.name)
        assert googles(path, pb.NetParameter)[1] in [
            diagnostic.spans[0].line for diagnostic in raised.value.diagnostics
        ]
