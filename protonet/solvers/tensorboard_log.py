"""The log for TensorBoard, written with its own event writer.

train/loss, train/lr, train/<output>       at each display
test/<output>, test <n>/<output>           at each test; n only where there are several nets
gradient norm/<layer>/<number>             L2, of the gradient of one iteration before clipping
weight norm/<layer>/<number>               L2, before the update
gradient norm, weight norm                 L2, of all parameters together
gradient/…, weight/…                       the same as histograms
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from protonet.extras import import_extra

from .events import Displayed, GradientsReady, NetTested, SnapshotTaken, Started
from .norms import joint_norm, norm, parameters
from .outputs import Output

if TYPE_CHECKING:
    from .solver import Solver

__all__ = ["TensorBoardLog"]

Array = npt.NDArray[Any]

_EXTRA = "tensorboard"
_BINS = 64
_MOST_IN_A_HISTOGRAM = 1_000_000  # elements, evenly spaced: of large parameters a sample will do
_MOST_ELEMENTS = 100  # of one output


class TensorBoardLog:
    """A listener that writes events to a folder; `close` ends the file.

    When the disk is full `warn` is told, once, and training goes on without the log. Error E430
    if tensorboard is not installed.
    """

    def __init__(self, solver: Solver, folder: str, warn: Callable[[str], object]) -> None:
        self._solver, self._warn = solver, warn
        self._event = import_extra("tensorboard.compat.proto.event_pb2", _EXTRA)
        self._summary = import_extra("tensorboard.compat.proto.summary_pb2", _EXTRA)
        writers = import_extra("tensorboard.summary.writer.event_file_writer", _EXTRA)
        self._failed = False
        os.makedirs(folder, exist_ok=True)
        self._writer = writers.EventFileWriter(folder)

    def __call__(self, event: object) -> None:
        match event:
            case Started(resumed=resumed) if resumed:
                self._start_again(self._solver.iter)
            case GradientsReady() if self._solver.displays(event.iteration):
                self._add(event.iteration, self._parameters())
            case Displayed():
                self._add(event.iteration, self._training(event))
            case NetTested(interrupted=False):
                self._add(event.iteration, self._test(event))
            case SnapshotTaken():
                self._try(self._writer.flush)

    def close(self) -> None:
        self._try(self._writer.close)

    def _training(self, event: Displayed) -> Iterator[Any]:
        yield self._scalar("train/loss", event.smoothed_loss)
        yield self._scalar("train/lr", event.lr)
        yield from self._outputs("train/output", event.outputs)

    def _test(self, event: NetTested) -> Iterator[Any]:
        front = "test" if len(self._solver.test_nets) == 1 else f"test {event.net}"
        yield from self._outputs(front, event.outputs)
        if event.loss is not None:
            yield self._scalar(f"{front}/test loss", event.loss)

    def _outputs(self, front: str, outputs: list[Output]) -> Iterator[Any]:
        for output in outputs:
            several = len(output.values) > 1
            for index, value in enumerate(output.values[:_MOST_ELEMENTS].tolist()):
                name = f"{front}/{output.name}"
                yield self._scalar(f"{name}/{index}" if several else name, value)

    def _parameters(self) -> Iterator[Any]:
        norms: dict[str, list[float]] = {"gradient": [], "weight": []}
        for name, weight, gradient, share in parameters(self._solver):
            for kind, array, scale in (("gradient", gradient, share), ("weight", weight, 1.0)):
                norms[kind].append(norm(array) * scale)
                yield self._scalar(f"{kind} norm/{name}", norms[kind][-1])
                step = max(1, array.size // _MOST_IN_A_HISTOGRAM)
                yield from self._histogram(f"{kind}/{name}", array.ravel()[::step] * scale)
        for kind, values in norms.items():
            yield self._scalar(f"{kind} norm", joint_norm(values))

    def _scalar(self, tag: str, value: float) -> Any:
        return self._summary.Summary.Value(tag=tag, simple_value=value)

    def _histogram(self, tag: str, values: Array) -> Iterator[Any]:
        """Gives a histogram; none where no value is finite."""
        values = values[np.isfinite(values)].astype(np.float64)
        if not values.size:
            return
        counts, edges = np.histogram(values, _BINS)
        yield self._summary.Summary.Value(
            tag=tag,
            histo=self._summary.HistogramProto(
                min=values.min(), max=values.max(), num=values.size, sum=values.sum(),
                sum_squares=float(values @ values), bucket_limit=edges[1:], bucket=counts,
            ),
        )  # fmt: skip

    def _start_again(self, iteration: int) -> None:
        """Lets TensorBoard forget what an interrupted run wrote beyond this iteration."""
        session = self._event.SessionLog(status=self._event.SessionLog.START)
        self._write(self._event.Event(step=iteration, session_log=session))

    def _add(self, iteration: int, values: Iterator[Any]) -> None:
        summary = self._summary.Summary(value=list(values))
        self._write(self._event.Event(step=iteration, summary=summary))

    def _write(self, event: Any) -> None:
        event.wall_time = time.time()
        self._try(lambda: self._writer.add_event(event))

    def _try(self, write: Callable[[], object]) -> None:
        if self._failed:
            return
        try:
            write()
        except OSError as error:
            self._failed = True
            self._warn(f"the log for TensorBoard cannot be written: {error.strerror or error}")
