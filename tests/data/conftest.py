"""Making databases and nets of a few lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small_data import MakeDatabase, MakeNet, numbered

from protonet import Net
from protonet.data.datum import datum_bytes
from protonet.data.lmdb_writer import write_lmdb
from protonet.ir.document import Document
from protonet.ir.protonet_pb2 import NetParameter
from protonet.prototxt import parse_text


@pytest.fixture
def make_database(tmp_path: Path) -> MakeDatabase:
    """Returns a function that writes images (labels 0, 1, …) or ready records to an LMDB."""

    def make(items: list[np.ndarray] | list[bytes] | int = 5, name: str = "db") -> str:
        path = str(tmp_path / name)
        if isinstance(items, int):
            items = numbered(items)
        with write_lmdb(path, replace=True) as database:
            for index, item in enumerate(items):
                record = item if isinstance(item, bytes) else datum_bytes(item, index)
                database.put(f"{index:08d}", record)
        return path

    return make


@pytest.fixture
def make_net() -> Iterator[MakeNet]:
    """Returns a function that builds a net of a text; the nets are closed afterwards."""
    nets = []

    def make(text: str, **settings: object) -> Net:
        message, source = parse_text(text, NetParameter, "net.prototxt")
        nets.append(Net(Document(message, source, []), **settings))  # type: ignore[arg-type]
        return nets[-1]

    yield make
    for net in nets:
        net.close()


@pytest.fixture
def data_net(make_net: MakeNet) -> MakeNet:
    """Returns a function that builds a net of one Data layer."""

    def make(
        source: str,
        batch_size: int = 2,
        transform: str = "",
        data: str = "backend: LMDB",
        tops: str = 'top: "data" top: "label"',
        **settings: object,
    ) -> Net:
        text = f"""
        layer {{
          name: "digits" type: "Data" {tops}
          data_param {{ source: "{source}" batch_size: {batch_size} {data} }}
          transform_param {{ {transform} }}
        }}"""
        return make_net(text, **settings)

    return make
