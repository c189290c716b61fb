"""Python: a layer whose code the net file names and its user writes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

from protonet.blob import Blob
from protonet.prototxt.diagnostics import nearest

from . import python_permission
from .base import TEST, AtLeast, Layer, LayerError, Parameter, Shape
from .registry import register

__all__ = ["BlobVector", "Python", "PythonLayer"]

FIELD = "python_param"


class BlobVector(list[Blob]):
    """Blobs in order; a layer adds its learnable ones in `setup`."""

    def add_blob(self, *shape: int) -> None:
        """Appends a blob of that shape, filled with zeros."""
        self.append(Blob(shape))


class PythonLayer:
    """Base class of a user's layers, as caffe.Layer is; `bottom` and `top` are lists of Blobs.

    setup(bottom, top)       once: read param_str, add learnable blobs with their first values
    reshape(bottom, top)     before each forward pass: give the tops their shapes
    forward(bottom, top)     set top[i].data
    backward(top, propagate_down, bottom)
                             set bottom[i].diff where propagate_down[i]; add to blobs[i].diff
    """

    type: str = "Python"
    param_str: str = ""
    phase: int = TEST
    blobs: list[Blob]

    def __init__(self, *_: object) -> None:
        self.blobs = BlobVector()

    @property
    def param_str_(self) -> str:
        """What pycaffe called param_str before its version 1.0."""
        return self.param_str

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        pass

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        pass

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(
        self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]
    ) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no backward")


@register("Python")
class Python(Layer):
    """Runs a class of the user's: `layer` of the Python module `module`, found on sys.path.

    Shapes:     whatever the class makes of its bottoms; known only when it runs.
    Parameters: module, layer, param_str (handed over as self.param_str).
    Gradient:   what the class's `backward` sets.
    Rules:      the class derives from protonet.caffe.Layer; in its module `import caffe` gives
                protonet.caffe unless another caffe is loaded already. What it raises comes out
                unchanged. `check` and `summary` never import it; the command line runs it only
                with --allow-python-layers.
    Source:     Caffe 1.0.
    """

    bottoms, tops = AtLeast(0), AtLeast(0)
    dynamic = True
    in_place = True  # whether that can be is the class's affair

    def setup(self) -> None:
        self.settings = self.param.python_param
        for name in ("module", "layer"):
            if not getattr(self.settings, name):
                raise LayerError(
                    f"python_param has no {name}",
                    field=(FIELD,),
                    help='name the code: python_param { module: "file" layer: "Class" }',
                )
        self._instance: PythonLayer | None = None
        self._bottom: list[Blob] = []
        self._top: list[Blob] = []

    @property
    def instance(self) -> PythonLayer | None:
        """The user's object, once shapes have been asked for."""
        return self._instance

    # ---- making the user's object

    def _made(self, bottom: list[Shape]) -> PythonLayer:
        """Returns the user's object, on first use made and set up over blobs of its own."""
        if self._instance is None:
            instance = self._class()(self.param)
            if not isinstance(getattr(instance, "blobs", None), BlobVector):
                instance.blobs = BlobVector()  # its __init__ did not call ours
            instance.param_str, instance.phase = self.settings.param_str, self.phase
            self._bottom = [Blob(shape) for shape in bottom]
            names = list(self.param.bottom)
            self._top = [
                self._bottom[position] if names[position : position + 1] == [top] else Blob()
                for position, top in enumerate(self.param.top)
            ]
            instance.setup(self._bottom, self._top)
            self._instance = instance
        return self._instance

    def _class(self) -> type[PythonLayer]:
        module, name = self.settings.module, self.settings.layer
        if not python_permission.allowed:
            raise LayerError(
                f'the layer runs Python code, class "{name}" of module "{module}", '
                "which is not allowed",
                field=(FIELD, "module"),
                help="--allow-python-layers lets it run; give it only for nets that you trust",
            )
        found = getattr(_imported(module), name, None)
        if found is None:
            names = [n for n, v in vars(sys.modules[module]).items() if isinstance(v, type)]
            near = nearest(name, names)
            raise LayerError(
                f'module "{module}" has no class "{name}"',
                field=(FIELD, "layer"),
                help=f'did you mean "{near}"?' if near else "",
            )
        if not (isinstance(found, type) and issubclass(found, PythonLayer)):
            raise LayerError(
                f'"{name}" of module "{module}" is not a layer',
                field=(FIELD, "layer"),
                help="derive it from protonet.caffe.Layer",
            )
        return found

    # ---- shapes

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        instance = self._made(bottom)
        for blob, shape in zip(self._bottom, bottom, strict=True):
            if blob.shape != shape:
                blob.reshape(*shape)
        instance.reshape(self._bottom, self._top)
        return [blob.shape for blob in self._top]

    def parameters(self, bottom: list[Shape]) -> list[Parameter]:
        return [Parameter(blob.shape, initial=blob.data) for blob in self._made(bottom).blobs]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        # From here on the user's object sees the net's own blobs, with what `setup` put there.
        if top is not self._top:
            for mine, blob in zip(self._top, top, strict=True):
                if mine.count == blob.count:
                    blob.data.reshape(-1)[:] = mine.data.reshape(-1)
        self._bottom, self._top = bottom, top
        if self._instance is not None:
            self._instance.blobs[:] = self.blobs

    # ---- run

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        instance = self._made([blob.shape for blob in bottom])
        instance.reshape(bottom, top)
        instance.forward(bottom, top)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        instance = self._made([blob.shape for blob in bottom])
        instance.backward(top, list(self.propagate_down), bottom)


def _imported(name: str) -> Any:
    """Imports the user's module; what fails inside it comes out as it is."""
    caffe = importlib.import_module("protonet.caffe")
    sys.modules.setdefault("caffe", caffe)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in (name, name.partition(".")[0]):
            raise
        raise LayerError(
            f'there is no Python module "{name}"',
            field=(FIELD, "module"),
            help="put the folder that it lies in on PYTHONPATH",
        ) from None
