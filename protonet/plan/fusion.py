"""Fusing what follows a product into its store: a sum with another value, an activation."""

from __future__ import annotations

import numpy as np

from protonet.ir.protonet_pb2 import EltwiseParameter
from protonet.layers.activation import Clip, PReLU, ReLU
from protonet.layers.eltwise import Eltwise
from protonet.layers.hard_activation import ReLU6
from protonet.layers.pooling import Pooling

from .product import Activation, Product
from .program import Operation, Program, Value

__all__ = ["fuse_activations", "fuse_pools", "fuse_sums"]


def fuse_activations(program: Program) -> None:
    """ReLU, ReLU6, PReLU and Clip become part of the product before them."""
    for operation in list(program.operations):
        rule = _rule(operation)
        if rule is None:
            continue
        value = operation.inputs[0]
        product = program.maker(value)
        if (
            not isinstance(product, Product)
            or product.activation is not None
            or program.only_reader(value) is not operation
            or (rule.slopes is not None and not product.channels_first)
        ):
            continue
        product.activation = rule
        product.outputs = operation.outputs
        product.did.append(operation.name)
        program.remove([operation])


def _rule(operation: Operation) -> Activation | None:
    layer = operation.layer
    if isinstance(layer, ReLU):
        return Activation("ReLU", layer.slope)
    if isinstance(layer, ReLU6):
        return Activation("ReLU6", layer.settings["slope"], high=layer.settings["limit"])
    if isinstance(layer, Clip):
        return Activation("Clip", 1.0, layer.limits["low"], layer.limits["high"])
    if isinstance(layer, PReLU):
        slopes = operation.weights[0].reshape(-1)
        channels = operation.outputs[0].shape[1]
        return Activation("PReLU", slopes=np.ascontiguousarray(np.broadcast_to(slopes, channels)))
    return None


def fuse_sums(program: Program) -> None:
    """x + product: the product adds x as it stores. It moves to where the sum was."""
    for operation in list(program.operations):
        if not _is_plain_sum(operation):
            continue
        for value, other in (operation.inputs[::-1], operation.inputs):
            product = _fusible(program, value, operation)
            if product is None or value is other:
                continue
            program.operations.remove(product)
            product.inputs = [product.inputs[0], other]
            product.outputs = operation.outputs
            product.did.append(operation.name)
            program.replace(operation, product)
            break


def _is_plain_sum(operation: Operation) -> bool:
    layer = operation.layer
    return (
        isinstance(layer, Eltwise)
        and layer.operation == EltwiseParameter.SUM
        and len(operation.inputs) == 2
        and all(c == 1 for c in layer.coefficients)
        and all(value.shape == operation.outputs[0].shape for value in operation.inputs)
    )


def _fusible(program: Program, value: Value, reader: Operation) -> Product | None:
    """Returns the convolution that makes a value for this reader alone and adds nothing yet."""
    product = program.maker(value)
    if (
        isinstance(product, Product)
        and product.is_convolution
        and product.channels_first
        and product.activation is None
        and product.residual is None
        and program.only_reader(value) is reader
    ):
        return product
    return None


def fuse_pools(program: Program) -> None:
    """The greatest of each 2×2 outputs is all that a product stores, if its way can, where that is
    all that is read."""
    for operation in list(program.operations):
        value = operation.inputs[0] if operation.inputs else None
        product = program.maker(value) if value is not None and _is_pair_pool(operation) else None
        if (
            isinstance(product, Product)
            and value is not None
            and program.only_reader(value) is operation
            and product.residual is None
            and _rises(product.activation)
            and not any(size % 2 for size in value.shape[2:])
            and product.can_pool
        ):
            product.pools = True
            product.outputs = operation.outputs
            product.did.append(operation.name)
            program.remove([operation])


def _is_pair_pool(operation: Operation) -> bool:
    layer = operation.layer
    return (
        isinstance(layer, Pooling)
        and layer.is_max
        and len(operation.outputs) == 1
        and tuple(layer.window_size) == tuple(layer.stride) == (2, 2)
        and not any(layer.pad)
    )


def _rises(rule: Activation | None) -> bool:
    """Says whether the greatest value stays the greatest."""
    return rule is None or (rule.slopes is None and rule.slope >= 0)
