"""What an operator's function sees: attributes, constants, blobs, and how to add layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from protonet.layers.base import Shape, shape_text

if TYPE_CHECKING:
    from onnx import NodeProto

    from .builder import Blob, Builder

__all__ = ["Node", "Unreadable"]


class Unreadable(Exception):
    """An operator that no layer can stand for; the text says why."""


class Node:
    """One operator of the model; inputs are blobs, constants, or None where they are left out."""

    def __init__(
        self,
        proto: NodeProto,
        inputs: Sequence[Blob | np.ndarray | None],
        builder: Builder,
        opset: int,
        name: str,
        readers: Sequence[Sequence[str]],
    ) -> None:
        self.readers = readers  # the kinds of nodes that read each result; "": an output
        self.proto, self.inputs, self.builder, self.opset = proto, inputs, builder, opset
        self.name = name
        self._constants: dict[int, Blob] = {}  # that were needed as blobs
        self._attributes = {attribute.name: attribute for attribute in proto.attribute}

    @property
    def kind(self) -> str:
        return self.proto.op_type

    def attribute(self, name: str, default: Any = None) -> Any:
        """Returns an attribute: number, list, text or tensor."""
        found = self._attributes.get(name)
        if found is None:
            return default
        from onnx.helper import get_attribute_value

        value = get_attribute_value(found)
        return value.decode() if isinstance(value, bytes) else value

    def has(self, index: int) -> bool:
        return index < len(self.inputs) and self.inputs[index] is not None

    def constant(self, index: int, what: str) -> np.ndarray:
        """Returns an input that must be known beforehand."""
        found = self.inputs[index] if self.has(index) else None
        if not isinstance(found, np.ndarray):
            raise Unreadable(f"{what} is not a constant")
        return found

    def numbers(self, index: int, name: str, what: str) -> list[int] | None:
        """Returns whole numbers given by an input or, in older opsets, by an attribute."""
        if self.has(index):
            return [int(n) for n in self.constant(index, what).reshape(-1)]
        found = self.attribute(name)
        return None if found is None else [int(n) for n in found]

    def blob(self, index: int = 0) -> Blob:
        """Returns an input as a blob; a constant in its place becomes a Parameter layer."""
        found = self.inputs[index] if self.has(index) else None
        if found is None:
            raise Unreadable("it lacks an input")
        if not isinstance(found, np.ndarray):
            return found
        if index not in self._constants:
            name = f"{self.name}/constant{index or ''}"
            self._constants[index] = self.builder.add_constant(name, found)
        return self._constants[index]

    @property
    def x(self) -> Blob:
        return self.blob(0)

    @property
    def results(self) -> int:
        return len(self.proto.output)

    def layer(
        self, type: str, *bottoms: Blob, suffix: str = "", blobs: Sequence[np.ndarray] = (),
        tops: int = 1, in_place: bool = False, **settings: Any,
    ) -> Blob:  # fmt: skip
        """Adds a layer with one top; `suffix` names it where it is not the node's last."""
        return self.layers(
            type, *bottoms, suffix=suffix, blobs=blobs, tops=tops, in_place=in_place, **settings
        )[0]

    def layers(
        self, type: str, *bottoms: Blob, suffix: str = "", blobs: Sequence[np.ndarray] = (),
        tops: int = 1, in_place: bool = False, **settings: Any,
    ) -> list[Blob]:  # fmt: skip
        """Adds a layer with several tops."""
        name = f"{self.name}/{suffix}" if suffix else self.name
        return self.builder.add(type, name, bottoms, settings, blobs, tops, in_place)

    def reshape(self, x: Blob, shape: Shape, suffix: str = "") -> Blob:
        """Returns x in another shape: Flatten where that says it, else Reshape."""
        if x.shape == shape:
            return x
        if len(shape) == 2 and len(x.shape) > 2 and shape[0] == x.shape[0]:
            return self.layer("Flatten", x, suffix=suffix)
        keeps = bool(shape) and bool(x.shape) and shape[0] == x.shape[0]
        if 0 in shape[int(keeps) :]:
            raise Unreadable(f"a shape with an empty axis: {shape_text(shape)}")
        dims = [0, *shape[1:]] if keeps else list(shape)
        return self.layer("Reshape", x, suffix=suffix, reshape_param={"shape": {"dim": dims}})
