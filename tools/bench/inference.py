"""Times whole networks' inference here and in other engines: same cores, same run, taken in turn.

    python tools/bench/inference.py [NET …] [--batches 1,16] [--threads N] [--json FILE]

NETs are folders of models/; random weights, the same for all: the others read the net as ONNX.
Each engine runs in a process of its own; what it computes is compared with ours first. Medians
over the rounds; GFLOP/s counts two operations for each multiply-add, and the peak is that of a
loop of multiply-adds in the same run. Engines come from `--python`, or an environment made in
.venv-bench-inference; one that is not there is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from engines import ROOT, Worker, has, made_python
from peak import fma_peak

NETS = (
    "lenet", "cifar10_quick", "caffenet", "vgg16", "googlenet", "resnet50", "squeezenet",
    "mobilenet",
)  # fmt: skip
ENGINES = ("onnxruntime", "openvino", "opencv-python-headless<5")

OUR_WORKER = """
import sys, time, statistics
import numpy as np
import protonet
from protonet import kernels
folder, threads = sys.argv[1], int(sys.argv[2])
kernels.choose_threads(threads)
x = np.load(folder + "/x.npy")
net = protonet.Net(folder + "/net.prototxt", 1, weights=folder + "/net.caffemodel")
name, output = net.inputs[0], net.outputs[0]
plan = protonet.compile(net)
del net
def run():
    return plan.run(**{name: x})[output]
"""
ONNXRUNTIME_WORKER = """
import sys, time, statistics
import numpy as np
import onnxruntime
folder, threads = sys.argv[1], int(sys.argv[2])
x = np.load(folder + "/x.npy")
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
session = onnxruntime.InferenceSession(folder + "/net.onnx", options,
                                       providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
def run():
    return session.run(None, {name: x})[0]
"""
OPENVINO_WORKER = """
import sys, time, statistics
import numpy as np
import openvino
folder, threads = sys.argv[1], int(sys.argv[2])
x = np.load(folder + "/x.npy")
model = openvino.Core().compile_model(folder + "/net.onnx", "CPU", {
    "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
    "INFERENCE_PRECISION_HINT": "f32"})
request = model.create_infer_request()
def run():
    return request.infer([x], share_inputs=True, share_outputs=True)[model.output(0)]
"""
OPENCV_WORKER = """
import sys, time, statistics
import numpy as np
import cv2
folder, threads = sys.argv[1], int(sys.argv[2])
cv2.setNumThreads(threads)
x = np.load(folder + "/x.npy")
net = cv2.dnn.readNetFromONNX(folder + "/net.onnx")
def run():
    net.setInput(x)
    return net.forward()
"""
ANSWERS = """
made = np.array(run()).reshape(len(x), -1)
np.save(folder + "/" + sys.argv[3] + ".npy", made)
start = time.perf_counter()
run()
count = max(1, min(200, int(0.1 / (time.perf_counter() - start))))
for _ in range(3):
    run()
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    for _ in range(count):
        run()
    print((time.perf_counter() - start) / count * 1e3, flush=True)
"""
WORKERS = {
    "onnxruntime": ONNXRUNTIME_WORKER, "openvino": OPENVINO_WORKER, "opencv": OPENCV_WORKER,
}  # fmt: skip

PREPARE = """
import sys
import numpy as np
import protonet
from protonet.onnx import export_onnx
net_file, folder, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])
text = protonet.read_net(net_file)
for layer in text.layer:
    for shape in layer.input_param.shape:
        shape.dim[0] = batch
with open(folder + "/net.prototxt", "w") as file:
    file.write(protonet.format_text(text))
net = protonet.Net(folder + "/net.prototxt", 1, seed=1)
random = np.random.default_rng(1)
for layer in net.layers:
    for number, blob in enumerate(layer.blobs):
        if layer.type == "BatchNorm":
            blob.data[...] = (random.normal(size=blob.shape) * 0.1, 1, 1)[number]
        elif layer.type in ("Convolution", "InnerProduct") and number == 0:
            deep = blob.data[0].size
            blob.data[...] = random.normal(size=blob.shape) * (2 / deep) ** 0.5
net.save(folder + "/net.caffemodel")
x = random.normal(size=net.blobs[net.inputs[0]].shape).astype(np.float32)
np.save(folder + "/x.npy", x)
export_onnx(folder + "/net.prototxt", folder + "/net.caffemodel", folder + "/net.onnx")
macs = 0
for node, layer in zip(net.graph.nodes, net.layers):
    macs += layer.macs(node.bottom_shapes, node.top_shapes)
print(2 * macs)
"""


def measured(
    net: str, batch: int, threads: int, rounds: int, python: str, engines: list[str]
) -> dict[str, object]:
    """Returns the median times in ms by engine, and the floating-point operations of a run."""
    with tempfile.TemporaryDirectory() as folder:
        prepare = [
            sys.executable, "-c", PREPARE, ROOT / "models" / net / "deploy.prototxt", folder, batch,
        ]  # fmt: skip
        done = subprocess.run(
            [str(word) for word in prepare], check=True, capture_output=True, text=True
        )
        workers = {
            "protonet": Worker(sys.executable, OUR_WORKER + ANSWERS, folder, threads, "ours")
        }
        for engine in engines:
            try:
                source = WORKERS[engine] + ANSWERS
                workers[engine] = Worker(python, source, folder, threads, engine)
            except SystemExit:
                print(f"{engine} cannot run {net}", file=sys.stderr)
        ours = np.load(Path(folder) / "ours.npy")
        for engine in workers:
            if engine != "protonet":
                theirs = np.load(Path(folder) / f"{engine}.npy")
                apart = float(np.abs(ours - theirs).max())
                if apart > 1e-3:
                    print(f"{engine}: {net} differs by {apart:.2g}", file=sys.stderr)
        times: dict[str, list[float]] = {name: [] for name in workers}
        for _ in range(rounds):
            for name, worker in workers.items():
                times[name].append(float(worker.ask()))
                time.sleep(0.02)  # let the other's spinning threads go to sleep
        for worker in workers.values():
            worker.close()
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {"net": net, "batch": batch, "flop": int(done.stdout.split()[-1]), "ms": medians}


def row(found: dict[str, object], peak: float) -> str:
    """Returns a line of the table: times, ours against the best other, share of the peak."""
    times: dict[str, float] = found["ms"]  # type: ignore[assignment]
    others = [ms for name, ms in times.items() if name != "protonet"]
    ratio = f"{times['protonet'] / min(others):.2f}" if others else "-"
    speed = found["flop"] / times["protonet"] / 1e6  # type: ignore[operator]
    cells = " ".join(f"{times.get(name, float('nan')):12.3f}" for name in ("protonet", *WORKERS))
    return f"{found['net']:14}{found['batch']:6} {cells} {ratio:>6} {speed / peak:8.0%}"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("nets", nargs="*", metavar="NET", default=NETS)
    options.add_argument("--batches", default="1,16")
    options.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--python", help="a Python that has the other engines")
    options.add_argument("--json", type=Path, help="write the figures there")
    given = options.parse_args()
    python = given.python or made_python(".venv-bench-inference", ENGINES) or sys.executable
    modules = {"onnxruntime": "onnxruntime", "openvino": "openvino", "opencv": "cv2"}
    engines = [name for name, module in modules.items() if has(python, module)]
    peak = fma_peak(given.threads)
    print(f"{given.threads} threads, FMA peak {peak:.0f} GFLOP/s; ms for a run")
    heads = " ".join(f"{name:>12}" for name in ("protonet", *WORKERS))
    print(f"{'net':14}{'batch':>6} {heads} {'ratio':>6} {'of peak':>8}")
    figures = []
    for net in given.nets or NETS:
        for batch in map(int, given.batches.split(",")):
            found = measured(net, batch, given.threads, given.rounds, python, engines)
            figures.append(found)
            print(row(found, peak), flush=True)
    if given.json:
        document = {"threads": given.threads, "peak_gflop_per_s": peak, "runs": figures}
        given.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
