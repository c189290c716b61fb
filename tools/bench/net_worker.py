"""One engine of tools/bench/nets.py in a process of its own.

    python net_worker.py ENGINE inference|training FOLDER THREADS SECONDS

Prints how far its outputs are from those that protonet gave (the largest difference, as a share
of the largest output), then for each line it reads the median ms of one run, over SECONDS. On one
thread they are ms of the processor, which other programs do not lengthen; else of the clock.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, Any]  # name → np.ndarray
Run = Callable[[], Any]
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 1e-3, 0.9, 5e-4  # as in net_files.py


def protonet_inference(folder: Path, threads: int) -> tuple[Run, Run]:
    import protonet
    from protonet import kernels

    kernels.choose_threads(threads)
    batch = _stored(folder, "batch")
    plan = protonet.compile(folder / "net.prototxt", weights=folder / "net.caffemodel")
    return lambda: plan.run(**batch), lambda: plan.run(**batch)


def protonet_net_inference(folder: Path, threads: int) -> tuple[Run, Run]:
    """What a plain `net.forward()` takes, without a plan."""
    import protonet
    from protonet import kernels

    kernels.choose_threads(threads)
    batch = _stored(folder, "batch")
    net = protonet.Net(folder / "net.prototxt", weights=folder / "net.caffemodel")
    return lambda: net.forward(**batch), lambda: net.forward(**batch)


def protonet_training(folder: Path, threads: int) -> tuple[Run, Run]:
    from net_files import made_solver, without_dropout

    from protonet import kernels, read_net

    kernels.choose_threads(threads)
    message, batch = read_net(folder / "net.prototxt"), _stored(folder, "batch")
    weights = folder / "net.caffemodel"

    def losses() -> Arrays:
        solver = made_solver(without_dropout(message), weights, batch)
        given = []
        for _ in range(2):
            given.append(solver.net.run_forward())
            solver.step(1)
        return {"losses": np.array(given)}

    solver = made_solver(message, weights, batch)
    return lambda: solver.step(1), losses


def _torch(threads: int) -> Any:
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    return torch


def torch_inference(folder: Path, threads: int, form: str = "") -> tuple[Run, Run]:
    torch = _torch(threads)
    from torch_net import TorchNet

    net: Any = TorchNet(folder, training=False)
    values = [torch.from_numpy(array) for array in _stored(folder, "batch").values()]
    if form == "channels_last":
        net = net.to(memory_format=torch.channels_last)
        values = [v.to(memory_format=torch.channels_last) for v in values]
    if form == "compile":
        import torch._inductor.config as inductor

        inductor.freezing = True
        net = torch.compile(net)

    def run() -> Any:
        with torch.inference_mode() if form != "compile" else torch.no_grad():
            return net(*values)

    return run, lambda: {name: np.asarray(value) for name, value in run().items()}


def torch_training(folder: Path, threads: int, form: str = "") -> tuple[Run, Run]:
    torch = _torch(threads)
    from torch_net import TorchNet

    batch = _stored(folder, "batch")
    values = [torch.from_numpy(batch["data"]), torch.from_numpy(batch["label"]).long()]

    def ready(compiled: bool) -> tuple[Any, Callable[[], float]]:
        module: Any = TorchNet(folder, training=True)
        if form == "channels_last":
            module = module.to(memory_format=torch.channels_last)
            values[0] = values[0].to(memory_format=torch.channels_last)
        solver = torch.optim.SGD(
            module.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY,
            fused=True,
        )  # fmt: skip
        called = torch.compile(module) if compiled else module

        def step() -> float:
            solver.zero_grad()
            loss = called(*values)
            loss.backward()
            solver.step()
            return float(loss.detach())

        return module, step

    def losses() -> Arrays:
        module, step = ready(compiled=False)
        for part in module.modules():
            if isinstance(part, torch.nn.Dropout):
                part.p = 0
        return {"losses": np.array([step(), step()])}

    return ready(form == "compile")[1], losses


def onnxruntime_inference(folder: Path, threads: int) -> tuple[Run, Run]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        folder / "net.onnx", options, providers=["CPUExecutionProvider"]
    )
    batch = _stored(folder, "batch")
    names = [output.name for output in session.get_outputs()]
    return (
        lambda: session.run(None, batch),
        lambda: dict(zip(names, session.run(None, batch), strict=True)),
    )


def openvino_inference(folder: Path, threads: int) -> tuple[Run, Run]:
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = core.compile_model(str(folder / "net.onnx"), "CPU", settings)
    request = compiled.create_infer_request()
    batch = _stored(folder, "batch")

    def outputs() -> Arrays:
        request.infer(batch, share_inputs=True)
        return {
            output.get_any_name(): np.array(request.get_tensor(output).data)
            for output in compiled.outputs
        }

    return lambda: request.infer(batch, share_inputs=True, share_outputs=True), outputs


def opencv_inference(folder: Path, threads: int) -> tuple[Run, Run]:
    import cv2

    cv2.setNumThreads(threads)
    net = cv2.dnn.readNetFromCaffe(str(folder / "net.prototxt"), str(folder / "net.caffemodel"))
    batch = _stored(folder, "batch")
    names = net.getUnconnectedOutLayersNames()

    def run() -> Any:
        for name, values in batch.items():
            net.setInput(values, name)
        return net.forward(names)

    return run, lambda: dict(zip(names, run(), strict=True))


def ncnn_inference(folder: Path, threads: int) -> tuple[Run, Run]:
    import ncnn
    from ncnn_files import write_ncnn

    outputs = write_ncnn(folder)
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    net.load_param(str(folder / "net.param"))
    net.load_model(str(folder / "net.bin"))
    ((name, batch),) = _stored(folder, "batch").items()
    images = [ncnn.Mat(image).clone() for image in batch]

    def run() -> list[list[Any]]:
        """ncnn takes one image at a time."""
        given = []
        for image in images:
            extractor = net.create_extractor()
            extractor.input(name, image)
            given.append([extractor.extract(output)[1] for output in outputs])
        return given

    def compared() -> Arrays:
        given = run()
        return {
            output: np.stack([np.array(image[i]) for image in given])
            for i, output in enumerate(outputs)
        }

    return run, compared


ENGINES: dict[tuple[str, str], Callable[[Path, int], tuple[Run, Run]]] = {
    ("protonet", "inference"): protonet_inference,
    ("protonet-net", "inference"): protonet_net_inference,
    ("torch", "inference"): torch_inference,
    ("torch-cl", "inference"): lambda f, t: torch_inference(f, t, "channels_last"),
    ("torch.compile", "inference"): lambda f, t: torch_inference(f, t, "compile"),
    ("onnxruntime", "inference"): onnxruntime_inference,
    ("openvino", "inference"): openvino_inference,
    ("opencv", "inference"): opencv_inference,
    ("ncnn", "inference"): ncnn_inference,
    ("protonet", "training"): protonet_training,
    ("torch", "training"): torch_training,
    ("torch-cl", "training"): lambda f, t: torch_training(f, t, "channels_last"),
    ("torch.compile", "training"): lambda f, t: torch_training(f, t, "compile"),
}


def _stored(folder: Path, name: str) -> Arrays:
    with np.load(folder / f"{name}.npz") as arrays:
        return {key: arrays[key] for key in arrays.files}


def deviation(given: Arrays, wanted: Arrays) -> float:
    """Returns the largest difference as a share of the output's largest value."""
    worst = 0.0
    for name, values in wanted.items():
        # engines name outputs after their own operators; with one output there is no doubt
        found = given[name] if name in given or len(given) > 1 else next(iter(given.values()))
        difference = np.abs(found.reshape(values.shape) - values).max()
        worst = max(worst, float(difference / np.abs(values).max()))
    return worst


def main() -> None:
    engine, mode, folder, threads, seconds = sys.argv[1:]
    os.environ["OMP_NUM_THREADS"] = threads
    run, outputs = ENGINES[engine, mode](Path(folder), int(threads))
    off = deviation(outputs(), _stored(Path(folder), "wanted"))
    for _ in range(2):
        run()
    print(off, flush=True)
    clock = time.process_time if int(threads) == 1 else time.perf_counter
    for _ in sys.stdin:
        times: list[float] = []
        while not times or sum(times) < float(seconds):
            start = clock()
            run()
            times.append(clock() - start)
        print(statistics.median(times) * 1e3, flush=True)


if __name__ == "__main__":
    main()
