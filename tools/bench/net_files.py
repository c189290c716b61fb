"""Writes what the engines of tools/bench/nets.py read: one net, its weights, a batch, the outputs.

A folder holds `net.prototxt` and `net.caffemodel` (protonet, OpenCV), for inference `net.onnx`
(ONNX Runtime, OpenVINO), `layers.json` and `weights.npz` (PyTorch, ncnn), `batch.npz` with what
the net is given, and `wanted.npz` with what it has to give. For training that is the losses
before the first and the second iteration, without dropout.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.json_format import MessageToDict

from protonet import Net, NetParameter, Solver, SolverParameter, format_text, read_net
from protonet.ir.protonet_pb2 import TEST, TRAIN, BlobShape, LayerParameter

__all__ = ["LEARNING_RATE", "MOMENTUM", "WEIGHT_DECAY", "write_inference", "write_training"]

MODELS = Path(__file__).resolve().parents[2] / "models"
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 1e-3, 0.9, 5e-4


def write_inference(name: str, batch: int, folder: Path) -> float:
    """Writes the deployed net for a batch; returns its floating-point operations."""
    from protonet.onnx.export import export_onnx

    message = read_net(MODELS / name / "deploy.prototxt")
    message.layer[0].input_param.shape[0].dim[0] = batch
    net = _written(message, TEST, folder)
    export_onnx(
        folder / "net.prototxt", folder / "net.caffemodel", folder / "net.onnx", batch=batch
    )
    shape = net.blobs[net.inputs[0]].shape
    values = np.random.default_rng(2).standard_normal(shape, np.float32)
    given: dict[str, Any] = {net.inputs[0]: values}
    wanted: dict[str, Any] = net.forward(**given)
    np.savez(folder / "batch.npz", **given)
    np.savez(folder / "wanted.npz", **wanted)
    return _flop(net)


def write_training(name: str, batch: int, folder: Path) -> float:
    """Writes the net for training; returns an iteration's floating-point operations.

    They are thrice the forward pass's, less the gradient of the first layer's bottom.
    """
    deployed = read_net(MODELS / name / "deploy.prototxt")
    shape = [batch, *deployed.layer[0].input_param.shape[0].dim[1:]]
    message = fed_from_memory(read_net(MODELS / name / "train_val.prototxt"), shape)
    net = _written(message, TRAIN, folder)
    random = np.random.default_rng(2)
    scores = next(layer for layer in message.layer if layer.type == "SoftmaxWithLoss").bottom[0]
    given: dict[str, Any] = {
        "data": random.standard_normal(shape, np.float32),
        "label": random.integers(net.blobs[scores].shape[1], size=batch).astype(np.float32),
    }
    np.savez(folder / "batch.npz", **given)
    solver = made_solver(without_dropout(message), folder / "net.caffemodel", given)
    losses = []
    for _ in range(2):
        losses.append(solver.net.run_forward())
        solver.step(1)
    np.savez(folder / "wanted.npz", losses=np.array(losses))
    flop = _flop(net)
    first = next(i for i, layer in enumerate(net.layers) if layer.type == "Convolution")
    return 3 * flop - 2 * _macs(net)[first]


def made_solver(message: NetParameter, weights: Path, given: dict[str, np.ndarray]) -> Solver:
    """Returns a solver with SGD whose net holds the weights and the batch."""
    solver = Solver(
        SolverParameter(
            net_param=message, base_lr=LEARNING_RATE, momentum=MOMENTUM,
            weight_decay=WEIGHT_DECAY, lr_policy="fixed", max_iter=10**9, random_seed=1,
            display=0, snapshot_prefix="unused", solver_mode=SolverParameter.CPU,
        )
    )  # fmt: skip
    solver.net.copy_from(weights)
    for name, values in given.items():
        solver.net.blobs[name].data[...] = values
    return solver


def fed_from_memory(message: NetParameter, shape: list[int]) -> NetParameter:
    """Returns the net of TRAIN with an Input in place of its data, all parameters learning alike.

    Without rates of their own for biases both sides take the same step.
    """
    made = NetParameter(name=message.name)
    given = made.layer.add(name="data", type="Input", top=["data", "label"])
    given.input_param.shape.extend([BlobShape(dim=shape), BlobShape(dim=shape[:1])])
    for layer in message.layer:
        phases = {rule.phase for rule in layer.include}
        if layer.type in ("Data", "Accuracy") or (phases and TRAIN not in phases):
            continue
        kept = made.layer.add()
        kept.CopyFrom(layer)
        if kept.type != "BatchNorm":
            del kept.param[:]
    return made


def without_dropout(message: NetParameter) -> NetParameter:
    """Returns the net whose Dropout layers keep everything; they must be in place."""
    made = NetParameter()
    made.CopyFrom(message)
    kept: list[LayerParameter] = [layer for layer in message.layer if layer.type != "Dropout"]
    del made.layer[:]
    made.layer.extend(kept)
    return made


def _written(message: NetParameter, phase: int, folder: Path) -> Net:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.prototxt").write_text(format_text(message))
    net = Net(message, phase, seed=1)
    _fill(net)
    net.save(folder / "net.caffemodel")
    layers = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=False
    )["layer"]
    (folder / "layers.json").write_text(json.dumps(layers))
    arrays: dict[str, Any] = {
        f"{name}/{index}": blob.data
        for name, blobs in net.params.items()
        for index, blob in enumerate(blobs)
    }
    np.savez(folder / "weights.npz", **arrays)
    return net


def _fill(net: Net) -> None:
    """Weights that keep the values' size from layer to layer, as those of a trained net do."""
    random = np.random.default_rng(1)
    for layer in net.layers:
        if layer.type == "BatchNorm":
            mean, variance, factor = (blob.data for blob in layer.blobs)
            mean[...] = 0.1 * random.standard_normal(mean.shape)
            variance[...] = random.uniform(0.5, 1.5, variance.shape)
            factor[...] = 1
        elif layer.type == "Scale":
            layer.blobs[0].data[...] = random.uniform(0.4, 0.8, layer.blobs[0].shape)
            layer.blobs[1].data[...] = 0.1 * random.standard_normal(layer.blobs[1].shape)
        elif layer.blobs:
            weight = layer.blobs[0].data
            size = np.sqrt(2 / (weight.size / weight.shape[0]))
            weight[...] = size * random.standard_normal(weight.shape, np.float32)
            for bias in layer.blobs[1:]:
                bias.data[...] = 0.01 * random.standard_normal(bias.shape)


def _macs(net: Net) -> list[int]:
    blobs, bottoms, tops = net.blobs, net.bottom_names, net.top_names
    return [
        layer.macs(
            [blobs[name].shape for name in bottoms[layer.name]],
            [blobs[name].shape for name in tops[layer.name]],
        )
        for layer in net.layers
    ]


def _flop(net: Net) -> float:
    return 2.0 * sum(_macs(net))
