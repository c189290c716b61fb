"""Activations and other functions of each element by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..place import Inexpressible, Place
from ..registry import writes
from ..values import Value


@writes("ReLU")
def relu(at: Place) -> Value:
    """Relu, or LeakyRelu with a negative_slope."""
    slope = at.param.relu_param.negative_slope
    return at.op("LeakyRelu", at.x, alpha=float(slope)) if slope else at.op("Relu", at.x)


@writes("PReLU")
def prelu(at: Place) -> Value:
    """PRelu."""
    shared = at.param.prelu_param.channel_shared
    return at.op("PRelu", at.x, at.weight(0, (1,) if shared else (-1, *[1] * (at.rank - 2))))


@writes("ELU")
def elu(at: Place) -> Value:
    """Elu."""
    return at.op("Elu", at.x, alpha=float(at.param.elu_param.alpha))


@writes("Sigmoid")
def sigmoid(at: Place) -> Value:
    """Sigmoid."""
    return at.op("Sigmoid", at.x)


@writes("TanH")
def tanh(at: Place) -> Value:
    """Tanh."""
    return at.op("Tanh", at.x)


@writes("Swish")
def swish(at: Place) -> Value:
    """Mul, Sigmoid: x · σ(beta · x)."""
    beta = float(at.param.swish_param.beta)
    return at.x * (at.x if beta == 1 else at.x * beta).op("Sigmoid")


@writes("BNLL")
def bnll(at: Place) -> Value:
    """Softplus."""
    return at.op("Softplus", at.x)


@writes("AbsVal")
def absolute(at: Place) -> Value:
    """Abs."""
    return at.op("Abs", at.x)


@writes("Clip")
def clip(at: Place) -> Value:
    """Clip."""
    settings = at.param.clip_param
    return at.op("Clip", at.x, float(settings.min), float(settings.max))


@writes("Threshold")
def threshold(at: Place) -> Value:
    """Greater, Cast."""
    return at.cast(at.x.above(float(at.param.threshold_param.threshold)), "float")


@writes("ReLU6")
def relu6(at: Place) -> Value:
    """Clip; with LeakyRelu before it, or Min, where there is a negative_slope."""
    settings = at.param.relu6_param
    limit, slope = float(settings.threshold), float(settings.negative_slope)
    if not slope:
        return at.op("Clip", at.x, 0.0, limit)
    return at.op("LeakyRelu", at.x, alpha=slope).op("Min", limit)


@writes("HardSigmoid")
def hard_sigmoid(at: Place) -> Value:
    """HardSigmoid."""
    settings = at.param.hardsigmoid_param
    return at.op("HardSigmoid", at.x, alpha=float(settings.alpha), beta=float(settings.beta))


@writes("HardSwish")
def hard_swish(at: Place) -> Value:
    """HardSwish (opset 14), or Mul and HardSigmoid."""
    if at.opset >= 14:
        return at.op("HardSwish", at.x)
    return at.x * at.op("HardSigmoid", at.x, alpha=1 / 6, beta=0.5)


def _linear(x: Value, scale: float, shift: float) -> Value:
    """shift + scale · x, without what changes nothing."""
    y = x if scale == 1 else x * scale
    return y if shift == 0 else y + shift


@writes("Power")
def power(at: Place) -> Value:
    """Mul, Add, Pow: (shift + scale · x)^power."""
    settings: Any = at.layer
    inner = settings.settings
    if settings.is_constant:
        with np.errstate(all="ignore"):
            value = np.power(np.float32(inner["shift"]), np.float32(inner["power"]))
        zeros = at.zeros(at.tops[0], at.x)
        return zeros + float(value)
    y = _linear(at.x, inner["scale"], inner["shift"])
    return y if inner["power"] == 1 else y ** float(inner["power"])


@writes("Exp")
def exponential(at: Place) -> Value:
    """Mul, Exp: base^shift · e^(ln base · scale · x)."""
    layer: Any = at.layer
    y = (at.x if layer.inner == 1 else at.x * layer.inner).op("Exp")
    return y if layer.factor == 1 else y * layer.factor


@writes("Log")
def logarithm(at: Place) -> Value:
    """Mul, Add, Log: log(shift + scale · x) / log base."""
    layer: Any = at.layer
    settings = layer.settings
    y = _linear(at.x, settings["scale"], settings["shift"]).op("Log")
    return y if settings["factor"] == 1 else y * settings["factor"]


@writes("Dropout")
def dropout(at: Place) -> Value:
    """Nothing, or Mul where the fork's scale_train is false."""
    layer: Any = at.layer
    if layer.draws:
        raise Inexpressible(
            "it drops at random when the net runs", ("dropout_param", "sample_weights_test")
        )
    return at.x if layer.scale == 1 else at.x * layer.scale
