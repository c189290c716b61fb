"""No source of data takes more and more memory, threads or files."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import threading
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import PIL.Image
import pytest
from small_data import MakeDatabase, MakeNet, numbered, write_leveldb

from protonet import Net
from protonet.data.datum import datum_bytes, encoded_datum_bytes
from protonet.data.idx import write_idx
from protonet.data.pictures import encode
from protonet.ir.protonet_pb2 import AnnotatedDatum

IMAGES = numbered(6)
RUNS = 5
MOST_GROWN = 1 << 16  # bytes in one run of batches
TEXTS = {  # FOLDER is where the files are
    "raw": 'type: "Data" data_param { source: "FOLDER/raw" backend: LMDB batch_size: 4 }',
    "encoded": 'type: "Data" data_param { source: "FOLDER/encoded" backend: LMDB batch_size: 4 }',
    "leveldb": 'type: "Data" data_param { source: "FOLDER/level" batch_size: 4 }',
    "augmented": """type: "Data" data_param { source: "FOLDER/raw" backend: LMDB batch_size: 4 }
        transform_param { max_rotation: 9 mirror: true crop_size: 3
          distort_param { hue_prob: 1 hue_delta: 9 } }""",
    "boxes": """type: "AnnotatedData"
        data_param { source: "FOLDER/boxes" backend: LMDB batch_size: 4 }
        transform_param { resize_param { height: 8 width: 8 } expand_param { max_expand_ratio: 2 } }
        annotated_data_param { batch_sampler { max_sample: 1 sampler { min_scale: 0.5 } } }""",
    "hdf5": 'type: "HDF5Data" hdf5_data_param { source: "FOLDER/hdf5.txt" batch_size: 4 }',
    "shuffled": """type: "HDF5Data"
        hdf5_data_param { source: "FOLDER/hdf5.txt" batch_size: 4 shuffle: true }""",
    "list": """type: "ImageData" image_data_param { source: "FOLDER/list.txt" batch_size: 4
        root_folder: "FOLDER/" shuffle: true new_height: 6 new_width: 6 }""",
    "folder": 'type: "ImageFolder" image_data_param { source: "FOLDER/pets" batch_size: 4 }',
    "pairs": """type: "DenseImageData" dense_image_data_param { source: "FOLDER/pairs.txt"
        root_folder: "FOLDER/" batch_size: 4 }""",
    "labels": """type: "ImageSegData" image_data_param { source: "FOLDER/pairs.txt"
        root_folder: "FOLDER/" batch_size: 4 } transform_param { crop_size: 9 }""",
    "windows": """type: "WindowData" window_data_param { source: "FOLDER/windows.txt"
        root_folder: "FOLDER/" batch_size: 4 } transform_param { crop_size: 6 mirror: true }""",
    "clips": """type: "VideoData" video_data_param { source: "FOLDER/clips.txt" batch_size: 2
        root_folder: "FOLDER/" new_length: 3 new_height: 6 new_width: 6 use_image: true }""",
    "idx": """type: "IdxData"
        data_param { source: "FOLDER/i" label_source: "FOLDER/l" batch_size: 4 }""",
    "memory": """type: "MemoryData"
        memory_data_param { batch_size: 2 channels: 3 height: 4 width: 5 }""",
    "dummy": """type: "DummyData" dummy_data_param { shape { dim: 9 }
        data_filler { type: "gaussian" } }""",
}


@pytest.fixture
def folder(tmp_path: Path, make_database: MakeDatabase) -> Path:
    """A folder with a small data set of each kind."""
    make_database(IMAGES, "raw")
    write_leveldb(
        tmp_path / "level", [(b"%d" % i, datum_bytes(each, i)) for i, each in enumerate(IMAGES)]
    )
    shape = (3, 4, 5)
    make_database([encoded_datum_bytes(encode(i, "jpg"), shape, 1) for i in IMAGES], "encoded")
    boxes = AnnotatedDatum()
    boxes.datum.channels, boxes.datum.height, boxes.datum.width = shape
    boxes.datum.data = IMAGES[0].tobytes()
    box = boxes.annotation_group.add(group_label=1).annotation.add().bbox
    box.xmax = box.ymax = 1
    make_database([boxes.SerializeToString()] * 3, "boxes")
    for name in ("1.h5", "2.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            file["data"], file["label"] = np.stack(IMAGES), np.arange(6)
    (tmp_path / "hdf5.txt").write_text(f"{tmp_path}/1.h5\n{tmp_path}/2.h5\n")
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    names = [f"pets/cat/{index}.png" for index in range(6)]
    for name, image in zip(names, IMAGES, strict=True):
        PIL.Image.fromarray(image[::-1].transpose(1, 2, 0)).save(tmp_path / name)
    (tmp_path / "clip").mkdir()
    for index, image in enumerate(IMAGES):
        PIL.Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / f"clip/{index:06d}.jpg")
    (tmp_path / "clips.txt").write_text("clip 0 1\nclip 2 1\nclip 3 1\n")
    (tmp_path / "list.txt").write_text("".join(f"{name} 1\n" for name in names))
    (tmp_path / "pairs.txt").write_text("".join(f"{name} {name}\n" for name in names))
    (tmp_path / "windows.txt").write_text(
        "".join(f"# 0\n{name}\n3\n4\n5\n2\n1 1 0 0 3 3\n0 0 1 1 2 2\n" for name in names)
    )
    write_idx(tmp_path / "i", np.stack(IMAGES)[:, 0])
    write_idx(tmp_path / "l", np.arange(6, dtype=np.uint8))
    return tmp_path


def source_net(make_net: MakeNet, folder: Path, kind: str) -> Net:
    tops = 'top: "data"' if kind == "dummy" else 'top: "data" top: "label"'
    text = TEXTS[kind].replace("FOLDER", str(folder))
    net = make_net(f'layer {{ name: "source" {tops} {text} }}', phase=0)
    if kind == "memory":
        net.layers[0].set_input_arrays(np.stack(IMAGES).astype(np.float32), np.zeros(6, np.float32))
    return net


def resident_bytes() -> int:
    """Memory in use, without what an allocator keeps of freed memory (where it can be asked)."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc")
@pytest.mark.parametrize("kind", TEXTS)
def test_memory_is_flat_over_many_batches(make_net: MakeNet, folder: Path, kind: str) -> None:
    """A leak makes each run of batches grow; an allocator that takes its memory late, one."""
    net = source_net(make_net, folder, kind)
    batches = int(os.environ.get("PROTONET_TEST_BATCHES", "180"))
    sizes = []
    for _ in range(RUNS + 1):
        for _ in range(batches // RUNS):
            net.forward()
        sizes.append(resident_bytes())
    grown = [after - before for before, after in pairwise(sizes)]
    assert min(grown) < MOST_GROWN, f"each {batches // RUNS} batches took {grown} bytes"


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs Linux's /proc")
@pytest.mark.parametrize("kind", TEXTS)
def test_nets_that_come_and_go_leave_nothing_open(
    make_net: MakeNet, folder: Path, kind: str
) -> None:
    loads = int(os.environ.get("PROTONET_TEST_LOADS", "6"))
    found = []
    for _ in range(loads):
        net = source_net(make_net, folder, kind)
        net.forward()
        net.close()
        gc.collect()
        found.append((len(os.listdir("/proc/self/fd")), threading.active_count()))
    (files, threads), (files_at_first, threads_at_first) = found[-1], found[1]
    assert files <= files_at_first  # fewer: what earlier tests left has ended meanwhile
    assert threads <= threads_at_first
