"""Net: pycaffe's net over protonet's."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from protonet.blob import Blob
from protonet.ir.weights_binary import write_weights_binary
from protonet.ir.weights_hdf5 import write_weights_hdf5
from protonet.layers.memory_data import MemoryData
from protonet.layers.python_layer import PythonLayer
from protonet.net import Net as Computing

from . import legacy
from .errors import CaffeError, caffe_errors
from .layer import layer_seen
from .nccl import NCCL
from .random_seed import next_seed, note_net
from .shape_watch import ShapeWatch

__all__ = ["Net", "net_seen"]

Array = npt.NDArray[Any]
FilePath = str | os.PathLike[str]
Hook = Callable[[int], object] | NCCL


class Net:
    """A net as pycaffe's scripts know it.

        Net(network_file, phase, level=0, stages=None, weights=None)
        Net(network_file, weights, phase)                       (of former times)

    `blobs` and `params` map names to Blobs; every array that is handed out is a live view of the
    net's memory and outlives the net. Raises CaffeError, which is a RuntimeError, where Caffe
    would end the process.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        given = legacy.net_arguments(arguments, named)
        with caffe_errors():
            self._adopt(
                Computing(
                    given.network_file, given.phase, level=given.level,
                    stages=given.stages, seed=next_seed(),
                )
            )  # fmt: skip
            if given.weights is not None:
                self._net.copy_from(given.weights)

    def _adopt(self, net: Computing) -> None:
        self._net = net
        note_net(net)
        self._watch = ShapeWatch(net)
        self._blobs = list(net._blobs)
        self._blob_names = list(net.graph.blob_names)
        self._layer_names = list(net.layer_names)
        weights = net.blob_loss_weights
        self._blob_loss_weights = [weights.get(name, 0.0) for name in self._blob_names]
        self._inputs = [self._blob_names.index(name) for name in net.inputs]
        self._outputs = [self._blob_names.index(name) for name in net.outputs]

    # ---- what there is

    @property
    def name(self) -> str:
        return self._net.name

    @property
    def blobs(self) -> OrderedDict[str, Blob]:
        """All blobs by name, in the order in which layers make them."""
        return self._kept("_blobs_dict", zip(self._blob_names, self._blobs, strict=True))

    @property
    def blob_loss_weights(self) -> OrderedDict[str, float]:
        """The weight of each blob in the loss, 0 for most."""
        weights = zip(self._blob_names, self._blob_loss_weights, strict=True)
        return self._kept("_blob_loss_weights_dict", weights)

    @property
    def params(self) -> OrderedDict[str, list[Blob]]:
        """The learnable blobs of each layer that has any, by its name."""
        with_blobs = (layer for layer in self._net.layers if layer.blobs)
        return self._kept("_params_dict", ((layer.name, layer.blobs) for layer in with_blobs))

    @property
    def layers(self) -> list[PythonLayer]:
        """All layers in order; for a Python layer, the object of the user's class."""
        if not hasattr(self, "_layers"):
            self._layers = [layer_seen(layer) for layer in self._net.layers]
        return self._layers

    @property
    def layer_dict(self) -> OrderedDict[str, PythonLayer]:
        return self._kept("_layer_dict", zip(self._layer_names, self.layers, strict=True))

    @property
    def inputs(self) -> list[str]:
        """Names of the blobs that are fed from outside."""
        return [self._blob_names[index] for index in self._inputs]

    @property
    def outputs(self) -> list[str]:
        """Names of the blobs that no layer consumes."""
        return [self._blob_names[index] for index in self._outputs]

    @property
    def top_names(self) -> OrderedDict[str, list[str]]:
        """The names of each layer's tops, by its name."""
        return self._kept("_top_names_dict", self._net.top_names.items())

    @property
    def bottom_names(self) -> OrderedDict[str, list[str]]:
        """The names of each layer's bottoms, by its name."""
        return self._kept("_bottom_names_dict", self._net.bottom_names.items())

    def _top_ids(self, layer: int) -> list[int]:
        self._judge(layer, layer)
        return list(self._net.graph.nodes[layer].tops)

    def _bottom_ids(self, layer: int) -> list[int]:
        self._judge(layer, layer)
        return list(self._net.graph.nodes[layer].bottoms)

    def _judge(self, first: int, last: int) -> None:
        """Raises CaffeError if layers first … last are not all there."""
        count = len(self._layer_names)
        if first < 0 or last >= count:
            wrong = first if first < 0 else last
            raise CaffeError(f"there is no layer {wrong}: the net has {count}")

    def _kept(self, place: str, pairs: Any) -> OrderedDict[str, Any]:
        """Returns the dictionary of that name, made on first use: scripts hold on to it."""
        if place not in self.__dict__:
            self.__dict__[place] = OrderedDict(pairs)
        found: OrderedDict[str, Any] = self.__dict__[place]
        return found

    # ---- running

    def forward(
        self,
        blobs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **inputs: Array,
    ) -> dict[str, Array]:
        """Runs the layers from `start` to `end`, names included; returns live views.

        `inputs` fill the input blobs, all of them, in the shapes these have. What is returned are
        the net's outputs (the tops of `end`, if that is given) and the `blobs` asked for.
        """
        first = self._layer_index(start, 0)
        last = self._layer_index(end, len(self._layer_names) - 1)
        wanted = [*(self.outputs if end is None else self.top_names[end]), *(blobs or [])]
        if inputs:
            if set(inputs) != set(self.inputs):
                raise Exception("Input blob arguments do not match net inputs.")
            for name, values in inputs.items():
                if values.shape[0] != self.blobs[name].shape[0]:
                    raise Exception("Input is not batch sized")
                self.blobs[name].data[...] = values
        self._forward(first, last)
        return {name: self.blobs[name].data for name in wanted}

    def backward(
        self,
        diffs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **tops: Array,
    ) -> dict[str, Array]:
        """Runs the layers backward from `start` to `end`, names included; returns live views.

        `tops` fill the gradients of the output blobs, all of them. What is returned are the
        gradients of the inputs (the bottoms of `end`, if that is given) and the `diffs` asked for.
        """
        first = self._layer_index(start, len(self._layer_names) - 1)
        last = self._layer_index(end, 0)
        wanted = [*(self.inputs if end is None else self.bottom_names[end]), *(diffs or [])]
        if tops:
            if set(tops) != set(self.outputs):
                raise Exception("Top diff arguments do not match net outputs.")
            for name, values in tops.items():
                if values.shape[0] != self.blobs[name].shape[0]:
                    raise Exception("Diff is not batch sized")
                self.blobs[name].diff[...] = values
        self._backward(first, last)
        return {name: self.blobs[name].diff for name in wanted}

    def _forward(self, start: int, end: int) -> float:
        """Runs layers start … end by index and returns the loss."""
        self._judge(start, end)
        with caffe_errors():
            self._watch.settle()
            loss = self._net.run_forward(start, end)
            self._watch.note()
        return loss

    def _backward(self, start: int, end: int) -> None:
        """Runs layers start … end backward by index, start ≥ end."""
        self._judge(end, start)
        with caffe_errors():
            self._watch.settle_backward()
            self._net.run_backward(start, end)
            self._watch.note()

    def _layer_index(self, name: str | None, otherwise: int) -> int:
        return otherwise if name is None else self._layer_names.index(name)

    def forward_all(self, blobs: Sequence[str] | None = None, **inputs: Array) -> dict[str, Array]:
        """Runs any number of examples, batch after batch; returns copies, one row per example."""
        found: dict[str, list[Array]] = {n: [] for n in (*self.outputs, *(blobs or []))}
        for batch in self._batch(inputs):
            for name, values in self.forward(blobs, None, None, **batch).items():
                found[name].extend(values.copy())
        return _unpadded(found, _examples(inputs))

    def forward_backward_all(
        self,
        blobs: Sequence[str] | None = None,
        diffs: Sequence[str] | None = None,
        **given: Array,
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Runs any number of examples forward and backward, batch after batch.

        `given` holds values of the inputs and gradients of the outputs, by name. Returns copies of
        blobs and of gradients, one row per example.
        """
        values: dict[str, list[Array]] = {n: [] for n in (*self.outputs, *(blobs or []))}
        slopes: dict[str, list[Array]] = {n: [] for n in (*self.inputs, *(diffs or []))}
        fed = self._batch({name: given[name] for name in self.inputs if name in given})
        pulled = self._batch({name: given[name] for name in self.outputs if name in given})
        nothing: dict[str, Array] = {}
        for inputs, tops in zip_longest(fed, pulled, fillvalue=nothing):
            for name, array in self.forward(blobs, None, None, **inputs).items():
                values[name].extend(array.copy())
            for name, array in self.backward(diffs, None, None, **tops).items():
                slopes[name].extend(array.copy())
        count = _examples(given)
        return _unpadded(values, count), _unpadded(slopes, count)

    def _batch(self, arrays: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
        """Cuts arrays of examples into batches of the net's size, the last filled with zeros."""
        if not arrays:
            return
        size = self._blobs[0].shape[0]
        for start in range(0, _examples(arrays), size):
            batch = {name: array[start : start + size] for name, array in arrays.items()}
            missing = size - _examples(batch)
            if missing:
                batch = {
                    name: np.concatenate([array, np.zeros((missing, *array.shape[1:]))])
                    for name, array in batch.items()
                }
            yield batch

    def reshape(self) -> None:
        """Gives all blobs the shapes that follow from the input blobs'."""
        with caffe_errors():
            self._net.reshape()
            self._watch.note()

    def set_input_arrays(self, data: Array, labels: Array) -> None:
        """Hands examples to the MemoryData layer that the net begins with."""
        first = self._net.layers[0] if self._net.layers else None
        if not isinstance(first, MemoryData):
            raise CaffeError(
                "set_input_arrays may only be called if the first layer is a MemoryDataLayer"
            )
        if data.ndim != 4:
            raise CaffeError("data array must be 4-d")
        with caffe_errors():
            first.set_input_arrays(data, labels)

    _set_input_arrays = set_input_arrays

    def clear_param_diffs(self) -> None:
        """Sets the gradients of all parameters to zero."""
        self._net.clear_param_diffs()

    # ---- hooks

    def before_forward(self, hook: Hook) -> None:
        """Calls `hook` with the layer's index before each layer of every forward pass."""
        self._hook(self._net.before_forward, hook)

    def after_forward(self, hook: Hook) -> None:
        """Calls `hook` with the layer's index after each layer of every forward pass."""
        self._hook(self._net.after_forward, hook)

    def before_backward(self, hook: Hook) -> None:
        """Calls `hook` with the layer's index before each layer of every backward pass."""
        self._hook(self._net.before_backward, hook)

    def after_backward(self, hook: Hook) -> None:
        """Calls `hook` with the layer's index after each layer of every backward pass."""
        self._hook(self._net.after_backward, hook)

    @staticmethod
    def _hook(add: Callable[[Callable[[int], object]], None], hook: Hook) -> None:
        if not isinstance(hook, NCCL):
            add(hook)

    # ---- weights

    def copy_from(self, weights: FilePath) -> None:
        """Loads parameters by layer name from a .caffemodel, binary or HDF5."""
        with caffe_errors():
            self._net.copy_from(weights)

    load_hdf5 = copy_from

    def share_with(self, other: Net) -> None:
        """Makes the parameters of equally named layers the other net's memory."""
        with caffe_errors():
            self._net.share_with(other._net)
            self._watch.note()

    def save(self, path: FilePath) -> None:
        """Writes net and parameters as a binary .caffemodel."""
        with caffe_errors():
            write_weights_binary(path, self._net.graph.net, self._arrays(), {})

    def save_hdf5(self, path: FilePath, write_diff: bool = False) -> None:
        """Writes the parameters as HDF5, with their gradients if `write_diff`."""
        with caffe_errors():
            diffs = self._arrays("diff") if write_diff else {}
            write_weights_hdf5(path, self._net.graph.net, self._arrays(), diffs)

    def _arrays(self, part: str = "data") -> dict[str, list[Array]]:
        return {
            name: [getattr(blob, part) for blob in blobs] for name, blobs in self.params.items()
        }


def net_seen(net: Computing) -> Net:
    """Returns the Net over one that a solver has made."""
    seen = Net.__new__(Net)
    seen._adopt(net)
    return seen


def _examples(arrays: Mapping[str, Array]) -> int:
    return len(next(iter(arrays.values()), ()))


def _unpadded(rows: Mapping[str, Sequence[Array]], count: int) -> dict[str, Array]:
    """Joins rows to arrays, without those that only filled the last batch."""
    arrays = {name: np.asarray(found) for name, found in rows.items()}
    padding = len(next(iter(arrays.values()), ())) - count
    return {name: array[:-padding] if padding > 0 else array for name, array in arrays.items()}
