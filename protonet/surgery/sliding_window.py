"""A classifier slid over images: the scores of all windows by one pass, or by tiles.

Window (i, j) is the part of the image from row i·S and column j·S on, as large as the net's own
input. The net's map may have more places; those whose windows leave the image are cut off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from protonet.check.graph import build_graph
from protonet.check.memory import machine_memory_bytes, memory_bytes
from protonet.layers.base import shape_text
from protonet.plan import compile
from protonet.prototxt.diagnostics import Diagnostic, Error, nearest

from .fc_to_conv import SlidingNet, fc_to_conv
from .input_shape import image_input, resize_input
from .reach import Reach, reach_of
from .running import running_net
from .trained_net import TrainedNet

__all__ = ["SlidingWindow", "Tiling"]

Scores = npt.NDArray[np.floating[Any]]
"""K×H'×W': for each of K classes the map of the windows' scores."""


@dataclass(frozen=True)
class Tiling:
    """How many windows down and across one pass takes."""

    rows: int
    columns: int


class SlidingWindow:
    """A trained classifier that scores all windows of an image, whatever its size.

    `trained` may have InnerProduct layers, which are converted, or be converted already; then
    `window` (H×W) is the smallest input that it takes unless given. `output` is the blob of
    scores: the net's only one unless given. Raises Error if the net cannot slide.
    """

    def __init__(
        self,
        trained: TrainedNet,
        *,
        output: str | None = None,
        window: tuple[int, int] | None = None,
    ) -> None:
        self.input, dims = image_input(trained)
        self.channels = dims[1]
        try:
            self.sliding = fc_to_conv(trained)
            own: tuple[int, int] | None = (dims[2], dims[3])
        except Error as error:
            if [found.code for found in error.diagnostics] != ["E502"]:
                raise
            self.sliding, own = SlidingNet(trained), None
        graph = self.sliding.trained.view().graph
        self.output = self._chosen(graph.outputs, output)
        reach = reach_of(graph, self.output)
        if reach is None:
            raise Error(f'output "{self.output}" is no map over the image')
        self.reach: Reach = reach
        if any(step.denominator != 1 for step in reach.stride):
            raise Error(f'output "{self.output}" is finer than the image')
        self.stride = (int(reach.stride[0]), int(reach.stride[1]))
        self.window = window or own or self._smallest()
        self._plan = compile(running_net(self.sliding.trained, self.window))

    def _chosen(self, outputs: list[str], wanted: str | None) -> str:
        if wanted is not None:
            name = self.sliding.renamed.get(wanted, wanted)
            if name in outputs:
                return name
            near = nearest(name, outputs)
            raise Error(
                Diagnostic(
                    "E501", f'the net has no output "{wanted}" (outputs: {", ".join(outputs)})',
                    help=f'did you mean "{near}"?' if near else "",
                )
            )  # fmt: skip
        if len(outputs) == 1:
            return outputs[0]
        raise Error(f"the net has several outputs, choose one: {', '.join(outputs)}")

    def _smallest(self) -> tuple[int, int]:
        """Returns what one place of the map sees, its padding taken off."""
        reach = self.reach
        return (math.ceil(reach.high[0] + reach.low[0]), math.ceil(reach.high[1] + reach.low[1]))

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Returns how many windows there are down and across an image of this size."""
        counts = [
            (size - own) // step + 1
            for size, own, step in zip((height, width), self.window, self.stride, strict=True)
        ]
        if min(counts) < 1:
            sizes = shape_text(self.window), shape_text((height, width))
            raise Error(f"a window of {sizes[0]} does not fit an image of {sizes[1]}")
        return counts[0], counts[1]

    def scores(
        self, image: npt.NDArray[Any], *, memory: int | None = None, tiling: Tiling | None = None
    ) -> Scores:
        """Returns the scores of all windows of a C×H×W image, prepared as the net takes it.

        What would need more than `memory` bytes (half of the machine's unless given) is done in
        tiles, which overlap by what the net sees: the result is the same.
        """
        rows, columns = self.grid(*image.shape[1:])
        tiling = tiling or self.tiling(image.shape[1], image.shape[2], memory)
        whole: Scores | None = None
        for top in range(0, rows, tiling.rows):
            for left in range(0, columns, tiling.columns):
                down = range(top, min(top + tiling.rows, rows))
                across = range(left, min(left + tiling.columns, columns))
                part = self._part(image, down, across)
                if whole is None:
                    whole = np.empty((part.shape[0], rows, columns), part.dtype)
                whole[:, down.start : down.stop, across.start : across.stop] = part
        assert whole is not None
        return whole

    def fine_scores(
        self, image: npt.NDArray[Any], stride: tuple[int, int], *, memory: int | None = None
    ) -> Scores:
        """Returns the scores of windows `stride` apart: passes over shifted images, stitched.

        `stride` must divide the net's own. Raises Error if it does not.
        """
        for fine, own in zip(stride, self.stride, strict=True):
            if fine < 1 or own % fine:
                raise Error(
                    Diagnostic(
                        "E501", f"a stride of {fine} cannot be stitched from the net's {own}",
                        help=f"take a divisor of {own}",
                    )
                )  # fmt: skip
        self.grid(*image.shape[1:])
        height, width = image.shape[1:]
        rows = (height - self.window[0]) // stride[0] + 1
        columns = (width - self.window[1]) // stride[1] + 1
        whole: Scores | None = None
        down, across = self.stride[0] // stride[0], self.stride[1] // stride[1]
        for y in range(min(down, rows)):
            for x in range(min(across, columns)):
                part = self.scores(image[:, y * stride[0] :, x * stride[1] :], memory=memory)
                if whole is None:
                    whole = np.empty((part.shape[0], rows, columns), part.dtype)
                whole[:, y::down, x::across] = part
        assert whole is not None
        return whole

    def tiling(self, height: int, width: int, memory: int | None = None) -> Tiling:
        """Returns the largest tiles whose pass over an image of this size stays in `memory`."""
        limit = memory if memory is not None else (machine_memory_bytes() or 2**33) // 2
        rows, columns = self.grid(height, width)
        while self._needed_bytes(self._size(rows, columns, height, width)) > limit:
            if self.reach.elsewhere:
                raise Error(
                    f'layer "{self.reach.elsewhere}" sees the whole image: it cannot be tiled, '
                    f"and {height}×{width} needs more memory than there is"
                )
            if rows == columns == 1:
                raise Error(f"one window of {shape_text(self.window)} needs more memory than that")
            rows, columns = (
                (-(-rows // 2), columns) if rows >= columns else (rows, -(-columns // 2))
            )
        return Tiling(rows, columns)

    def _size(self, rows: int, columns: int, height: int, width: int) -> tuple[int, int]:
        """Returns the largest part of the image that so many windows need at once."""
        sizes = []
        for axis, (count, size) in enumerate(((rows, height), (columns, width))):
            sees = self.reach.high[axis] - self.reach.low[axis]
            sizes.append(min(size, math.ceil(sees) + count * self.stride[axis] + self.window[axis]))
        return sizes[0], sizes[1]

    def _needed_bytes(self, size: tuple[int, int]) -> int:
        resized = self.sliding.trained.copy()
        resize_input(resized, size, batch=1, note=False)
        graph = build_graph(resized.net, resized.source, resized.state(), splits=True)
        return memory_bytes(graph)

    def _part(self, image: npt.NDArray[Any], down: range, across: range) -> Scores:
        """Runs the net over what the windows of these rows and columns need."""
        spans = []
        for axis, windows in enumerate((down, across)):
            step, own = self.stride[axis], self.window[axis]
            low, high = math.floor(self.reach.low[axis] / step), math.ceil(self.reach.high[axis])
            # A multiple of the stride, so that the windows of all layers stay where they were.
            first = max(0, windows.start + low) if not self.reach.elsewhere else 0
            end = (windows.stop - 1) * step + max(high, own)
            spans.append((first, min(image.shape[axis + 1], end), windows.start - first))
        (top, bottom, row), (left, right, column) = spans
        if self.reach.elsewhere:
            bottom, right = image.shape[1:]
        part = image[:, top * self.stride[0] : bottom, left * self.stride[1] : right]
        made: Scores = self._plan.run(**{self.input: part[None]})[self.output][0]
        return made[:, row : row + len(down), column : column + len(across)].copy()
