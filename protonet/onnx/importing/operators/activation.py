"""Functions of each element by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..builder import Blob
from ..node import Node, Unreadable
from ..registry import Result, reads

_LARGEST = float(np.finfo(np.float32).max)


@reads("Relu")
def relu(at: Node) -> Blob:
    """ReLU."""
    return at.layer("ReLU", at.x, in_place=True)


@reads("LeakyRelu")
def leaky_relu(at: Node) -> Blob:
    """ReLU with negative_slope."""
    slope = {"negative_slope": at.attribute("alpha", 0.01)}
    return at.layer("ReLU", at.x, in_place=True, relu_param=slope)


@reads("PRelu")
def prelu(at: Node) -> Blob:
    """PReLU."""
    x, slope = at.x, at.constant(1, "its slope")
    if slope.size == 1:
        shared = {"channel_shared": True}
        return at.layer("PReLU", x, blobs=[slope.reshape(())], in_place=True, prelu_param=shared)
    shape = (1,) * (x.rank - slope.ndim) + slope.shape
    if x.rank < 2 or len(shape) > x.rank or shape[1] != slope.size:
        raise Unreadable("slopes that differ along another axis than the channels")
    if slope.size != x.shape[1]:
        raise Unreadable(f"{slope.size} slopes for {x.shape[1]} channels")
    return at.layer("PReLU", x, blobs=[slope.reshape(-1)], in_place=True)


@reads("Clip")
def clip(at: Node) -> Blob:
    """Clip; ReLU where it only cuts below 0."""
    low, high = at.attribute("min"), at.attribute("max")
    if at.has(1):
        low = float(at.constant(1, "its minimum").reshape(-1)[0])
    if at.has(2):
        high = float(at.constant(2, "its maximum").reshape(-1)[0])
    if low == 0 and (high is None or high >= _LARGEST):
        return at.layer("ReLU", at.x, in_place=True)
    limits = {
        "min": -_LARGEST if low is None else low,
        "max": _LARGEST if high is None else high,
    }
    return at.layer("Clip", at.x, in_place=True, clip_param=limits)


@reads("Sigmoid")
def sigmoid(at: Node) -> Blob:
    """Sigmoid."""
    return at.layer("Sigmoid", at.x, in_place=True)


@reads("Tanh")
def tanh(at: Node) -> Blob:
    """TanH."""
    return at.layer("TanH", at.x, in_place=True)


@reads("Elu")
def elu(at: Node) -> Blob:
    """ELU."""
    return at.layer("ELU", at.x, in_place=True, elu_param={"alpha": at.attribute("alpha", 1.0)})


@reads("Selu")
def selu(at: Node) -> Blob:
    """ELU, Power."""
    alpha, gamma = at.attribute("alpha", 1.67326324), at.attribute("gamma", 1.05070102)
    return power(at, at.layer("ELU", at.x, suffix="elu", elu_param={"alpha": alpha}), scale=gamma)


@reads("Celu")
def celu(at: Node) -> Blob:
    """Power, ELU, Power: α · elu(x / α)."""
    alpha = at.attribute("alpha", 1.0)
    if alpha == 1:
        return at.layer("ELU", at.x, in_place=True)
    narrow = at.layer("Power", at.x, suffix="narrow", power_param={"scale": 1 / alpha})
    return power(at, at.layer("ELU", narrow, suffix="elu", in_place=True), scale=alpha)


@reads("ThresholdedRelu")
def thresholded_relu(at: Node) -> Blob:
    """Threshold, Eltwise."""
    limit = {"threshold": at.attribute("alpha", 1.0)}
    passed = at.layer("Threshold", at.x, suffix="passed", threshold_param=limit)
    return at.layer("Eltwise", at.x, passed, eltwise_param={"operation": "PROD"})


@reads("Gelu")
def gelu(at: Node) -> Blob:
    """Power, Eltwise, TanH, where its approximation by tanh is meant."""
    if at.attribute("approximate", "none") != "tanh":
        raise Unreadable('no layer has the error function: export GELU with approximate="tanh"')
    x = at.x
    cube = at.layer("Power", x, suffix="cube", power_param={"power": 3})
    root = float(np.sqrt(2 / np.pi))
    inner = {"operation": "SUM", "coeff": [root, 0.044715 * root]}
    gate = at.layer("Eltwise", x, cube, suffix="inner", eltwise_param=inner)
    gate = at.layer("TanH", gate, suffix="tanh", in_place=True)
    gate = at.layer("Power", gate, suffix="gate", in_place=True,
                    power_param={"scale": 0.5, "shift": 0.5})  # fmt: skip
    return at.layer("Eltwise", x, gate, eltwise_param={"operation": "PROD"})


@reads("Mish")
def mish(at: Node) -> Blob:
    """BNLL, TanH, Eltwise."""
    gate = at.layer("TanH", at.layer("BNLL", at.x, suffix="softplus"), suffix="gate", in_place=True)
    return at.layer("Eltwise", at.x, gate, eltwise_param={"operation": "PROD"})


@reads("Softplus")
def softplus(at: Node) -> Blob:
    """BNLL."""
    return at.layer("BNLL", at.x, in_place=True)


@reads("Abs")
def absolute(at: Node) -> Blob:
    """AbsVal."""
    return at.layer("AbsVal", at.x)


@reads("Exp")
def exponential(at: Node) -> Blob:
    """Exp."""
    return at.layer("Exp", at.x, in_place=True)


@reads("Log")
def logarithm(at: Node) -> Blob:
    """Log."""
    return at.layer("Log", at.x, in_place=True)


def power(at: Node, x: Blob, scale: float = 1, shift: float = 0, power: float = 1,
          suffix: str = "") -> Blob:  # fmt: skip
    """Adds a Power layer: (shift + scale · x)^power."""
    given = {"scale": (scale, 1), "shift": (shift, 0), "power": (power, 1)}
    settings = {name: value for name, (value, usual) in given.items() if value != usual}
    return at.layer("Power", x, in_place=True, suffix=suffix, power_param=settings)


@reads("Neg")
def negative(at: Node) -> Blob:
    """Power."""
    return power(at, at.x, scale=-1)


@reads("Sqrt")
def square_root(at: Node) -> Blob:
    """Power."""
    return power(at, at.x, power=0.5)


@reads("Reciprocal")
def reciprocal(at: Node) -> Blob:
    """Power."""
    return power(at, at.x, power=-1)


@reads("Pow")
def pow_(at: Node) -> Blob:
    """Power, where the exponent is one number."""
    exponent = at.constant(1, "its exponent")
    if exponent.size != 1:
        raise Unreadable("exponents that differ from element to element")
    return power(at, at.x, power=float(exponent.reshape(-1)[0]))


def _hard_sigmoid(at: Node, alpha: float, beta: float, suffix: str, also: str) -> Blob:
    line = at.layer("Power", at.x, suffix=also, power_param={"scale": alpha, "shift": beta})
    limits = {"min": 0.0, "max": 1.0}
    return at.layer("Clip", line, suffix=suffix, in_place=True, clip_param=limits)


@reads("HardSigmoid")
def hard_sigmoid(at: Node) -> Blob:
    """Power, Clip."""
    return _hard_sigmoid(at, at.attribute("alpha", 0.2), at.attribute("beta", 0.5), "", "line")


@reads("HardSwish")
def hard_swish(at: Node) -> Blob:
    """Power, Clip, Eltwise."""
    x = at.x
    gate = _hard_sigmoid(at, 1 / 6, 0.5, "gate", "line")
    return at.layer("Eltwise", x, gate, eltwise_param={"operation": "PROD"})


@reads("Softmax", "LogSoftmax")
def softmax(at: Node) -> Blob:
    """Softmax; with Log after it for LogSoftmax."""
    x, axis = at.x, at.attribute("axis", -1 if at.opset >= 13 else 1)
    axis = axis % x.rank
    if at.opset < 13 and any(size != 1 for size in x.shape[axis + 1 :]):
        raise Unreadable("a softmax over several axes at once, as before opset 13")
    settings: dict[str, Any] = {} if axis == 1 else {"softmax_param": {"axis": axis}}
    if at.kind == "Softmax":
        return at.layer("Softmax", x, **settings)
    return at.layer("Log", at.layer("Softmax", x, suffix="softmax", **settings), in_place=True)


@reads("Identity", "Dropout", "Cast")
def identity(at: Node) -> Result:
    """Nothing."""
    found = at.inputs[0]
    if found is None:
        raise Unreadable("it has no input")
    whole = at.kind == "Cast" and at.attribute("to") not in (1, 10, 11)
    if whole and set(at.readers[0]) - {"Gather", "Compress", ""}:
        raise Unreadable("it casts to another type than float, which blobs do not hold")
    return found


@reads("Greater")
def greater(at: Node) -> Blob:
    """Threshold, where the limit is one number."""
    limit = at.constant(1, "its limit")
    if limit.size != 1 or set(at.readers[0]) - {"Cast"}:
        raise Unreadable("a comparison whose result is no number")
    settings = {"threshold": float(limit.reshape(-1)[0])}
    return at.layer("Threshold", at.x, threshold_param=settings)


@reads("LRN")
def lrn(at: Node) -> Blob:
    """LRN."""
    settings = {
        "local_size": at.attribute("size", 5),
        "alpha": at.attribute("alpha", 0.0001),
        "beta": at.attribute("beta", 0.75),
        "k": at.attribute("bias", 1.0),
    }
    return at.layer("LRN", at.x, lrn_param=settings)


@reads("BatchNormalization")
def batch_normalization(at: Node) -> Blob:
    """BatchNorm, and Scale unless its factors change nothing."""
    x = at.x
    if at.attribute("training_mode", 0) or at.results > 1:
        raise Unreadable("it is in training mode: export the model for inference")
    scale, bias, mean, variance = (at.constant(n, "its statistics") for n in range(1, 5))
    plain = bool((scale == 1).all() and (bias == 0).all())
    settings = {"use_global_stats": True, "eps": at.attribute("epsilon", 1e-5)}
    y = at.layer(
        "BatchNorm", x, suffix="" if plain else "norm", in_place=True, batch_norm_param=settings,
        blobs=[mean, variance, np.ones(1)],
    )  # fmt: skip
    if plain:
        return y
    return at.layer("Scale", y, blobs=[scale, bias], in_place=True, scale_param={"bias_term": True})
