"""The schema is Caffe 1.0's, row by row, and the committed code is generated from it."""

from __future__ import annotations

import csv
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto

from protonet.ir import protonet_pb2

ROOT = Path(__file__).resolve().parents[2]
TABLES = ROOT / "tests" / "golden" / "schema"
FILE = protonet_pb2.DESCRIPTOR

TAKEN_IN_CAFFE = {
    ("SolverParameter", "eval_type"),
    ("SolverParameter", "ap_version"),
    ("PoolingParameter", "ceil_mode"),
}
"""Fork fields whose numbers belong to other fields in Caffe 1.0."""


def rows(table: str) -> list[dict[str, str]]:
    with open(TABLES / table, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def described(table: str) -> list[tuple[str, ...]]:
    """What our descriptor says about each row of a table, in the table's own columns."""
    return [
        described_enum(row) if row["label"] == "enum" else described_field(row)
        for row in rows(table)
    ]


def described_field(row: dict[str, str]) -> tuple[str, ...]:
    field = message(row["message"]).fields_by_name.get(row["name"])
    if field is None:
        return (row["message"], "missing", row["name"])
    packed = "packed" if field.GetOptions().packed else ""
    label = label_of(field)
    return (
        row["message"],
        label,
        str(field.number),
        type_of(field),
        field.name,
        default_of(field),
        packed,
    )


def described_enum(row: dict[str, str]) -> tuple[str, ...]:
    value = enum(row["message"]).values_by_name.get(row["default"])
    if value is None:
        return (row["message"], "missing", row["default"])
    return (row["message"], "enum", str(value.number), "", "", value.name, "")


def message(name: str) -> Descriptor:
    return FILE.message_types_by_name[name]


def enum(name: str) -> EnumDescriptor:
    outer, _, inner = name.rpartition(".")
    return message(outer).enum_types_by_name[inner] if outer else FILE.enum_types_by_name[inner]


def label_of(field: FieldDescriptor) -> str:
    proto = DescriptorProto()
    field.containing_type.CopyToProto(proto)
    label = next(other.label for other in proto.field if other.number == field.number)
    return FieldDescriptorProto.Label.Name(label).removeprefix("LABEL_").lower()


def type_of(field: FieldDescriptor) -> str:
    described = field.message_type or field.enum_type
    if described is not None:
        return described.full_name.removeprefix("protonet.")
    names = {
        getattr(FieldDescriptor, name): name
        for name in dir(FieldDescriptor)
        if name.startswith("TYPE_")
    }
    return names[field.type].removeprefix("TYPE_").lower()


def default_of(field: FieldDescriptor) -> str:
    if not field.has_default_value:
        return ""
    if field.enum_type is not None:
        return field.enum_type.values_by_number[field.default_value].name
    if isinstance(field.default_value, bool):
        return str(field.default_value).lower()
    if isinstance(field.default_value, float):
        return f"{field.default_value:.6g}"
    return str(field.default_value)


def as_tuples(table: str) -> list[tuple[str, ...]]:
    return [tuple(row.values()) for row in rows(table)]


def test_every_row_of_caffes_schema_is_ours() -> None:
    assert described("caffe_1.0_schema.tsv") == as_tuples("caffe_1.0_schema.tsv")


def test_fork_fields_are_ours_unless_caffe_has_their_number() -> None:
    wanted = as_tuples("ssd_extra_schema.tsv")
    ours = described("ssd_extra_schema.tsv")
    differing = {(row[0], row[4]) for row, our in zip(wanted, ours, strict=True) if row != our}
    assert differing == TAKEN_IN_CAFFE


def test_fields_of_further_forks_have_their_numbers() -> None:
    assert described("further_forks_schema.tsv") == as_tuples("further_forks_schema.tsv")


def test_our_own_fields_in_messages_of_caffe_have_numbers_from_1000_on() -> None:
    known = {
        (row["message"], row["number"])
        for table in ("caffe_1.0_schema.tsv", "ssd_extra_schema.tsv", "further_forks_schema.tsv")
        for row in rows(table)
    }
    messages = {name for name, _ in known}
    ours = {
        (message.name, str(field.number))
        for message in FILE.message_types_by_name.values()
        for field in message.fields
        if message.name in messages and field.number < 1000
    }
    assert ours <= known


def test_generated_code_is_what_the_schema_gives() -> None:
    if importlib.util.find_spec("grpc_tools") is None:
        pytest.skip("grpcio-tools is not installed")
    command = [sys.executable, ROOT / "tools" / "proto" / "generate.py", "--check"]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert finished.returncode == 0, finished.stderr


def test_package_does_not_collide_with_caffes() -> None:
    assert FILE.package == "protonet"
    assert FILE.name != "caffe.proto"


def test_messages_know_their_module() -> None:
    assert protonet_pb2.NetParameter.__module__ == "protonet.ir.protonet_pb2"
