"""Making batches ahead of their use, in worker threads.

Each worker takes the next batch number that nobody has taken, makes that batch, and puts it
down under its number; the consumer picks them up in order. What a batch holds is a function of
its number, so that the number of workers changes nothing but the speed. An error is put down
like a batch and raised when its turn comes.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from protonet import kernels

__all__ = ["BatchMaker", "OnDemand", "Prefetcher"]

B = TypeVar("B")
B_co = TypeVar("B_co")


class BatchMaker(Protocol[B]):
    """What a worker runs; it belongs to one thread."""

    def make(self, number: int, spare: B | None) -> B:
        """Returns batch `number`; `spare` is a batch no longer used, whose memory it may take."""
        ...

    def close(self) -> None:
        """Lets go of what it reads from."""
        ...


class _Desk(Generic[B]):
    """Where workers and consumer meet. Workers know the desk only, so that a prefetcher which
    nobody holds any more is collected and stops them."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.lock = threading.RLock()  # re-entrant: a collection may stop us while we hold it
        self.room = threading.Condition(self.lock)
        self.ready = threading.Condition(self.lock)
        self.next_to_make = 0
        self.next_to_give = 0
        self.made: dict[int, B | Exception] = {}
        self.spares: list[B] = []
        self.stopped = False
        self._filling = True
        self._making = 0  # how many workers make a batch now
        self._late = True  # the consumer had to wait since the queue was full last

    def _wants_more(self) -> bool:
        """Says whether to make a batch now. A full queue is let run half empty first: to wake a
        worker takes time from the solver, so each time it makes several batches; and one worker
        makes them alone for as long as it keeps ahead."""
        ahead = self.next_to_make - self.next_to_give
        if ahead >= self.depth:
            self._filling = self._late = False
        elif ahead <= self.depth // 2:
            self._filling = True
        return self._filling and (self._late or self._making == 0)

    def take(self) -> tuple[int, B | None] | None:
        """Waits until a batch is wanted; None: stop."""
        with self.lock:
            while not self.stopped and not self._wants_more():
                self.room.wait()
            if self.stopped:
                return None
            number = self.next_to_make
            self.next_to_make += 1
            self._making += 1
            return number, self.spares.pop() if self.spares else None

    def put(self, number: int, batch: B | Exception) -> None:
        with self.lock:
            self.made[number] = batch
            self._making -= 1
            self.ready.notify_all()

    def hurry(self) -> None:
        """Calls every worker: the consumer waits."""
        self._late = True
        self.room.notify_all()

    def stop(self) -> None:
        with self.lock:
            self.stopped = True
            self.room.notify_all()
            self.ready.notify_all()


def _work(desk: _Desk[B], open_maker: Callable[[], BatchMaker[B]]) -> None:
    kernels.choose_threads(1)  # of this thread only: the cores belong to the solver's team
    maker: BatchMaker[B] | None = None
    try:
        while (task := desk.take()) is not None:
            number, spare = task
            try:
                if maker is None:
                    maker = open_maker()
                desk.put(number, maker.make(number, spare))
            except Exception as error:
                desk.put(number, error)
    finally:
        if maker is not None:
            maker.close()


class Prefetcher(Generic[B]):
    """Gives batches 0, 1, 2, … which `workers` threads make, at most `depth` of them ahead."""

    def __init__(
        self, open_maker: Callable[[], BatchMaker[B]], depth: int = 4, workers: int = 1
    ) -> None:
        self._desk: _Desk[B] = _Desk(max(1, depth))
        self._threads = [
            threading.Thread(
                target=_work, args=(self._desk, open_maker), name="protonet-data", daemon=True
            )
            for _ in range(max(1, min(workers, depth)))
        ]
        for thread in self._threads:
            thread.start()
        _running.add(self)
        weakref.finalize(self, self._desk.stop)

    def next(self) -> B:
        """Returns the next batch when it is made, or raises the error that kept it from being made
        (again and again, if asked again)."""
        desk = self._desk
        with desk.lock:
            while not desk.stopped and desk.next_to_give not in desk.made:
                desk.hurry()
                desk.ready.wait()
            if desk.stopped:
                raise RuntimeError("the prefetcher is closed")
            batch = desk.made[desk.next_to_give]
            if isinstance(batch, Exception):
                raise batch
            del desk.made[desk.next_to_give]
            desk.next_to_give += 1
            if desk.next_to_make <= desk.next_to_give + desk.depth // 2:
                desk.room.notify()
            return batch

    def recycle(self, batch: B) -> None:
        """Gives a batch's memory back for another one."""
        with self._desk.lock:
            if len(self._desk.spares) < self._desk.depth:
                self._desk.spares.append(batch)

    def close(self) -> None:
        """Stops the workers and waits for them."""
        self._desk.stop()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()


class OnDemand(Generic[B]):
    """Gives batches 0, 1, 2, … which it makes when they are asked for, in the asker's thread."""

    def __init__(self, open_maker: Callable[[], BatchMaker[B]]) -> None:
        self._open_maker = open_maker
        self._maker: BatchMaker[B] | None = None
        self._number = 0
        self._spare: B | None = None

    def next(self) -> B:
        """Returns the next batch; an error leaves it the next one."""
        if self._maker is None:
            self._maker = self._open_maker()
        spare, self._spare = self._spare, None
        batch = self._maker.make(self._number, spare)
        self._number += 1
        return batch

    def recycle(self, batch: B) -> None:
        """Gives a batch's memory back for another one."""
        self._spare = batch

    def close(self) -> None:
        """Lets go of what is read from."""
        if self._maker is not None:
            self._maker.close()
            self._maker = None


_running: weakref.WeakSet[Prefetcher[Any]] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Threads that work on while Python shuts down would touch what is gone."""
    for prefetcher in list(_running):
        prefetcher.close()
