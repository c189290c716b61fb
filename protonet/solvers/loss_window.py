"""The smoothed loss: the mean over the last few iterations."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

__all__ = ["LossWindow"]


class LossWindow:
    """The last `size` losses. A new `step` starts an empty one (Caffe), a resumed run its old."""

    def __init__(self, size: int, losses: Iterable[float] = ()) -> None:
        self.losses: deque[float] = deque(losses, maxlen=max(size, 1))

    def add(self, loss: float) -> None:
        self.losses.append(loss)

    @property
    def mean(self) -> float:
        """The smoothed loss; 0 before the first."""
        return sum(self.losses) / len(self.losses) if self.losses else 0.0
