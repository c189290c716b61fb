"""Arena: one caller's memory for a compiled program, and the kernels recorded over it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from protonet import kernels
from protonet.blob import Blob, aligned_zeros
from protonet.layers.base import Layer

from .program import Operation, Program, Value
from .tail import Tail, judged, shaped_layer

__all__ = ["Arena"]

_SLACK = 1024  # elements that kernels may read, not use, behind the last value


class Arena:
    """Activations in one piece of memory, placed as `places` says, and a tape that works on it.

    Making one runs the program once over zeros, which records it. Not to be shared by threads
    that run at the same time. `given` is the memory of values that lie elsewhere.
    """

    def __init__(
        self,
        program: Program,
        places: Mapping[Value, int],
        size: int,
        given: Mapping[Value, np.ndarray] | None = None,
    ) -> None:
        self.program, self._places = program, places
        self._memory = aligned_zeros(size + _SLACK, program.dtype)
        self._own = dict(given or {})  # of constant and late values, too
        self._blobs: dict[tuple[Value, int, tuple[int, ...]], Blob] = {}
        self._judging: list[tuple[Layer, list[Blob]]] = []
        self.tapes: list[tuple[Operation, kernels.Tape]] = []
        self.tape = kernels.Tape()
        with np.errstate(all="ignore"):
            for operation in program.operations:
                self._record(operation)
        self._tail = Tail(program.late, self.blob) if program.late else None
        self._inputs = {name: self._view(value) for name, value in program.inputs.items()}
        late = {value for operation in program.late for value in operation.outputs}
        self._outputs = {n: self._view(v) for n, v in program.wanted.items() if v not in late}

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns copies of the wanted blobs for these inputs, all given, of the right shapes."""
        for name, there in self._inputs.items():
            there[...] = inputs[name]
        self.tape.replay()
        for layer, bottom in self._judging:
            judged(layer, bottom)
        found = {name: view.copy() for name, view in self._outputs.items()}
        if self._tail is not None:
            self._tail.run()
            for name, value in self.program.wanted.items():
                if name not in found:
                    found[name] = self.blob(value).data.copy()
        return found

    def time(self, seconds: np.ndarray) -> None:
        """Runs the tapes on what the inputs hold; adds each operation's seconds to `seconds`."""
        for index, (_, tape) in enumerate(self.tapes):
            if len(tape):
                steps = np.zeros(len(tape))
                tape.replay(steps)
                seconds[index] += steps.sum()

    # ---- memory

    @property
    def span(self) -> tuple[int, int]:
        """The address of the memory and its bytes."""
        return self._memory.ctypes.data, self._memory.nbytes

    def memory(self, value: Value) -> np.ndarray:
        """Returns the memory that begins where a value does."""
        root = value.root
        place = self._places.get(root)
        if place is not None:
            return self._memory[place + value.start :]
        if root not in self._own:
            self._own[root] = aligned_zeros(root.count, self.program.dtype)
        return self._own[root][value.start :]

    def blob(self, value: Value) -> Blob:
        """Returns a blob whose data is a value; the same one for values of one place and shape."""
        key = (value.root, value.start, value.shape)
        if key not in self._blobs:
            made = Blob(value.shape, self.program.dtype)
            made.place_data(self.memory(value)[: value.count])
            self._blobs[key] = made
        return self._blobs[key]

    def _view(self, value: Value) -> np.ndarray:
        """Returns a value in its shape, its images apart where they are."""
        memory = self.memory(value)
        if not value.apart:
            return memory[: value.count].reshape(value.shape)
        images, inner = value.shape[0], value.count // value.shape[0]
        step = memory.itemsize
        rows = np.lib.stride_tricks.as_strided(memory, (images, inner), (value.apart * step, step))
        inner_steps = [step]
        for size in value.shape[:1:-1]:
            inner_steps.append(inner_steps[-1] * size)
        return np.lib.stride_tricks.as_strided(
            rows, value.shape, (value.apart * step, *inner_steps[::-1])
        )

    # ---- recording

    def _record(self, operation: Operation) -> None:
        with kernels.Tape() as tape:
            self._emit(operation)
        if operation.constant:
            return
        self.tapes.append((operation, tape))
        self.tape.extend(tape)

    def _emit(self, operation: Operation) -> None:
        if operation.emit(self.memory):
            return
        layer, bottom, top = shaped_layer(operation, self.blob)
        layer.forward(bottom, top)
        if operation.constant:  # its tops may be memory of the layer's
            for value, blob in zip(operation.outputs, top, strict=True):
                self.memory(value)[...] = blob.data.reshape(-1)
        if type(layer).judge != Layer.judge:
            self._judging.append((layer, bottom))
