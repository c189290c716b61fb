"""Times how fast images come out of databases, here and in PyTorch's DataLoader, on two cores.

    python tools/bench/data.py [--rounds 9] [--torch-python PYTHON] [--json FILE]

raw     an LMDB of 3×256×256 bytes: random crops of 227, half of them mirrored, the mean taken off,
        in batches of 64; two workers each. PyTorch's slice the record's bytes, no protobuf.
decode  256×256 JPEG files, in two threads each: to our images, and by Pillow alone.
lenet   LeNet's training iteration with digits from an LMDB, and with the same digits in memory.
The sides take turns. Medians over the rounds; a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from engines import ROOT, Worker, torch_python

DIGITS = [
    ROOT / "models" / "lenet" / "data" / f"train-{what}-ubyte.gz"
    for what in ("images-idx3", "labels-idx1")
]

OUR_RAW = """
import sys, time
import numpy as np
from protonet import Net, NetParameter, kernels
from protonet.ir.protonet_pb2 import TRAIN
from protonet.prototxt import parse_text
path, batches = sys.argv[1], int(sys.argv[2])
kernels.choose_threads(2)
text = '''layer { name: "d" type: "Data" top: "data" top: "label"
  data_param { source: "%s" backend: LMDB batch_size: 64 }
  transform_param { crop_size: 227 mirror: true
    mean_value: 104 mean_value: 117 mean_value: 123 } }''' % path
net = Net(parse_text(text, NetParameter)[0], TRAIN)
net.forward()
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    for _ in range(batches):
        net.forward()
    print(64 * batches / (time.perf_counter() - start), flush=True)
"""

TORCH_RAW = """
import random, sys, time
import lmdb, numpy as np, torch
path, batches, count, offset = sys.argv[1], *map(int, sys.argv[2:])
class Records(torch.utils.data.Dataset):
    mean = torch.tensor([104., 117., 123.])[:, None, None]
    transaction = None
    def __len__(self):
        return 10**9
    def __getitem__(self, index):
        if self.transaction is None:
            self.transaction = lmdb.open(path, readonly=True, lock=False).begin(buffers=True)
        record = self.transaction.get(b"%08d" % (index % count))
        image = np.frombuffer(record, np.uint8, 3 * 256 * 256, offset).reshape(3, 256, 256)
        top, left = random.randrange(30), random.randrange(30)
        x = torch.from_numpy(image[:, top:top + 227, left:left + 227]).float().sub_(self.mean)
        return (x.flip(2) if random.random() < 0.5 else x), 0
torch.set_num_threads(2)
import warnings; warnings.filterwarnings("ignore")
loader = iter(torch.utils.data.DataLoader(
    Records(), 64, sampler=iter(range(10**9)), num_workers=2))
next(loader)
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    for _ in range(batches):
        next(loader)
    print(64 * batches / (time.perf_counter() - start), flush=True)
"""

DECODE = """
import io, sys, time
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from PIL import Image
from protonet.data.pictures import decode
random = np.random.default_rng(0)
def file():
    coarse = random.integers(0, 256, (17, 17, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((256, 256), Image.BICUBIC)).astype(float)
    pixels = (smooth + random.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8)
    with io.BytesIO() as stream:
        Image.fromarray(pixels).save(stream, "JPEG", quality=90)
        return stream.getvalue()
files = [file() for _ in range(64)] * 4
def alone(content):
    with Image.open(io.BytesIO(content)) as image:
        image.load()
def ours(content):
    decode(content, "color")
side = {"ours": ours, "pillow": alone}[sys.argv[1]]
with ThreadPoolExecutor(2) as pool:
    list(pool.map(side, files))
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in pool.map(side, files):
            pass
        print(len(files) / (time.perf_counter() - start), flush=True)
"""

LENET = """
import sys, time
import numpy as np
from protonet import NetParameter, Solver, SolverParameter, kernels, read_net
from protonet.data.convert import read_idx_pair
from protonet.prototxt import parse_text
database, iterations, memory = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "memory"
kernels.choose_threads(2)
net = read_net("models/lenet/train_val.prototxt")
layers = [layer for layer in net.layer if layer.type not in ("Data", "Accuracy")]
data = next(layer for layer in net.layer if layer.type == "Data")
data.data_param.source = database
data.ClearField("include")
if memory:
    data = parse_text('''layer { name: "digits" type: "MemoryData" top: "data" top: "label"
      memory_data_param { batch_size: 64 channels: 1 height: 28 width: 28 } }''',
      NetParameter)[0].layer[0]
net = NetParameter(name="LeNet", layer=[data, *layers])
solver = Solver(SolverParameter(net_param=net, base_lr=0.01, momentum=0.9, weight_decay=5e-4,
                                lr_policy="fixed", max_iter=10**9, random_seed=1, display=0,
                                snapshot_prefix="unused", solver_mode=SolverParameter.CPU))
if memory:
    pixels, labels = read_idx_pair(*sys.argv[4:])
    pixels = pixels[:, None].astype(np.float32) / 256
    solver.net.layers[0].set_input_arrays(pixels, labels.astype(np.float32))
solver.step(10)
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    solver.step(iterations)
    print(iterations / (time.perf_counter() - start), flush=True)
"""


def make_raw(path: str, count: int) -> int:
    """Writes a database of random images; returns where in a record its pixels begin."""
    import numpy as np

    from protonet.data.datum import datum_bytes
    from protonet.data.lmdb_writer import write_lmdb

    random = np.random.default_rng(0)
    with write_lmdb(path) as database:
        for index in range(count):
            image = random.integers(0, 256, (3, 256, 256), dtype=np.uint8)
            record = datum_bytes(image, 0)
            database.put(f"{index:08d}", record)
    return record.index(image.tobytes()[:64])


def compared(sides: dict[str, Worker], rounds: int, unit: str) -> dict[str, object]:
    """Lets the sides take turns; prints and returns what they reach in each round."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, worker in sides.items():
            rates[name].append(float(worker.ask()))
            time.sleep(0.1)  # until the other's threads sleep and its queue is full
    for name, values in rates.items():
        print(f"  {name:18} {statistics.median(values):9,.0f} {unit}/s (best {max(values):,.0f})")
    figures: dict[str, object] = {"rates": rates}
    if len(sides) == 2:
        first, second = rates
        pairs = zip(rates[first], rates[second], strict=True)
        figures["ratio"] = ratio = statistics.median(a / b for a, b in pairs)
        print(f"  {first} / {second}: {ratio:.2f}")
    for worker in sides.values():
        worker.close()
    return figures


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--only", choices=["raw", "decode", "lenet"], help="one of the three")
    options.add_argument("--torch-python", help="a Python that has torch and lmdb")
    options.add_argument("--json", type=Path, help="write the figures there")
    given = options.parse_args()
    figures: dict[str, object] = {}
    if given.only in (None, "raw"):
        print("raw 3×256×256 records, cropped to 227, mirrored, mean taken off:")
        with tempfile.TemporaryDirectory() as folder:
            path, count = str(Path(folder) / "db"), 512
            offset = make_raw(path, count)
            sides = {"protonet": Worker(sys.executable, OUR_RAW, path, 40)}
            other = torch_python(given.torch_python)
            if other:
                sides["torch DataLoader"] = Worker(other, TORCH_RAW, path, 40, count, offset)
            figures["raw"] = compared(sides, given.rounds, "images")
    if given.only in (None, "decode"):
        print("256×256 JPEG files decoded:")
        sides = {
            name: Worker(sys.executable, DECODE, side)
            for name, side in (("protonet", "ours"), ("Pillow alone", "pillow"))
        }
        figures["decode"] = compared(sides, given.rounds, "images")
    if given.only in (None, "lenet"):
        from protonet.data.convert import idx_to_lmdb

        print("LeNet, training iterations of 64 digits:")
        with tempfile.TemporaryDirectory() as folder:
            database = str(Path(folder) / "db")
            idx_to_lmdb(DIGITS[0], DIGITS[1], database)
            sides = {
                f"from {kind}": Worker(sys.executable, LENET, database, 100, kind, *DIGITS)
                for kind in ("LMDB", "memory")
            }
            figures["lenet"] = compared(sides, given.rounds, "iterations")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
