"""Solver: the loop that trains a net."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np

from protonet.ir.document import Document
from protonet.ir.protonet_pb2 import SolverParameter
from protonet.ir.snapshots import snapshot_prefix
from protonet.net import Net
from protonet.prototxt.diagnostics import Error, Severity

from . import debug, events, watch
from .build import NetMaker, solver_document
from .checking import check_solver, places, split_list
from .events import Listeners
from .loss_window import LossWindow
from .outputs import Output, OutputMeans, images_per_pass, outputs_of
from .policies import LearningRate
from .run_state import net_state, restore_net
from .snapshots import (
    SnapshotFiles,
    drop_older,
    last_sound,
    read_snapshot,
    remove_leftovers,
    require_writable,
    snapshot_files,
    stamp,
)
from .state import State, write_state
from .update import Updater

__all__ = ["Solver"]

FilePath = str | os.PathLike[str]
L = TypeVar("L", bound=Callable[..., object])


class Solver:
    """Trains the net that a solver's text describes, as Caffe does.

    `solver` is a prototxt file, a SolverParameter or a Document; files named in it are found
    from the working directory. `weights` (files) go into the net first and take the place of
    the solver's own `weights`. `net` is the net in training, `test_nets` share its parameters;
    `iter` is the number of updates made. `param` is the solver's message: base_lr, momentum and
    the like may be changed at any time. Raises protonet.Error with all diagnostics.

    `seed`: for a solver without a random_seed; None draws a fresh one.
    `keep`: how many snapshots stay on the disk when a new one is written; None for all.
    `watch_numbers`: a loss or a weight that is not a number, or a softmax loss that has long
    been as large as it can be, raises an Error that tells where it came from; so does what
    passes loss_limit or gradient_limit. False goes on regardless, as Caffe does.
    """

    def __init__(
        self,
        solver: FilePath | SolverParameter | Document[SolverParameter],
        *,
        weights: FilePath | Sequence[FilePath] | None = None,
        level: int = 0,
        stages: Sequence[str] = (),
        dtype: type = np.float32,
        seed: int | None = None,
    ) -> None:
        self.document = solver_document(solver)
        self.param = self.document.message
        self.diagnostics = self.document.diagnostics + check_solver(self.document)
        if any(d.severity is Severity.ERROR for d in self.diagnostics):
            raise Error(*self.diagnostics)
        if weights is None:
            files: list[FilePath] = [f for text in self.param.weights for f in split_list(text)]
        else:
            files = [weights] if isinstance(weights, str | os.PathLike) else list(weights)
        if self.param.random_seed >= 0:
            seed = self.param.random_seed
        maker = NetMaker(self.document, level=level, stages=stages, dtype=dtype, seed=seed)
        self.net: Net = maker.train_net(files)
        self.test_nets: list[Net] = maker.test_nets(self.net, files)
        self.prefix = snapshot_prefix(self.param, self.document.source.file) or "snapshot"
        self.listeners = Listeners()
        self.rate = LearningRate(self.param, self._remark)
        self.updater = Updater(self.net, self.param)
        self.iter = 0
        self.stopped = False  # the last step or solve ended because it was asked to
        self.rate_used = 0.0  # of the last update
        self.keep: int | None = None
        self.watch_numbers = True
        self._watch = watch.LossWatch(self)
        self.last_snapshot: SnapshotFiles | None = None
        self._last_snapshot_iter = -1
        self._stop_wanted = self._snapshot_wanted = False
        self._window = LossWindow(self.param.average_loss)
        self._window_is_resumed = False
        self._can_write = False
        self._displayed_at, self._test_seconds = (0, time.perf_counter()), 0.0

    # ---- listening

    def on_iteration(self, listener: L) -> L:
        """Calls `listener` with IterationDone after each iteration; a decorator, too."""
        self.listeners.add(events.IterationDone, listener)
        return listener

    def on_test(self, listener: L) -> L:
        """Calls `listener` with NetTested after each run of a test net; a decorator, too."""
        self.listeners.add(events.NetTested, listener)
        return listener

    def on_snapshot(self, listener: L) -> L:
        """Calls `listener` with SnapshotTaken when a snapshot is on the disk; a decorator, too."""
        self.listeners.add(events.SnapshotTaken, listener)
        return listener

    def add_callback(
        self, on_start: Callable[[], object], on_gradients_ready: Callable[[], object]
    ) -> None:
        """Calls the first before the passes of each iteration, when the gradients are zero, and
        the second after them, before the update; as pycaffe's."""
        self.listeners.add(events.IterationStarted, lambda event: on_start())
        self.listeners.add(events.GradientsReady, lambda event: on_gradients_ready())

    def displays(self, iteration: int) -> bool:
        """Says whether `Displayed` follows the update of that iteration."""
        return _is_due(self.param.display, iteration)

    # ---- running

    @property
    def lr(self) -> float:
        """The rate of the next iteration; under `multistep` asking takes a step (Caffe)."""
        return self.rate(self.iter)

    def stop(self) -> None:
        """Asks the running `step` or `solve` to end after this iteration; `solve` then writes a
        snapshot. May be called from a signal handler, a listener or another thread."""
        self._stop_wanted = True

    def request_snapshot(self) -> None:
        """Asks the running `step` or `solve` for a snapshot after this iteration; as `stop`."""
        self._snapshot_wanted = True

    def solve(self, resume: FilePath | None = None) -> None:
        """Trains up to max_iter, from the beginning or from a state file, with tests and
        snapshots as the solver says."""
        if resume is not None:
            self.restore(resume)
        self._tell(events.Started(self.net.name, self.param.lr_policy, os.fspath(resume or "")))
        if self.param.snapshot_after_train:
            self._probe()
        self.step(self.param.max_iter - self.iter)
        if self._last_snapshot_iter != self.iter and (
            self.stopped or self.param.snapshot_after_train
        ):
            self._final_snapshot()
        if not self.stopped:
            self._end()
        self._tell(events.Finished(self.iter, self.stopped))

    def _end(self) -> None:
        """What follows the last update: its loss and its test, where they are due."""
        if _is_due(self.param.display, self.iter):
            self._window.add(self.net.run_forward())
            self._display(self.rate_used, [], is_last=True)
        if self.test_nets and _is_due(self.param.test_interval, self.iter):
            self.test_all()

    def step(self, iterations: int = 1) -> None:
        """Makes that many iterations, with tests, display and snapshots where they are due.

        Afterwards the parameters' `diff` holds the last change of each: what was subtracted.
        """
        param = self.param
        if param.snapshot > 0:
            self._probe()
        if not self._window_is_resumed:
            self._window = LossWindow(param.average_loss)
        self._window_is_resumed = False
        end = self.iter + iterations
        self.stopped = self._stop_wanted = False
        self._displayed_at, self._test_seconds = (self.iter, time.perf_counter()), 0.0
        while self.iter < end:
            if self._gradients_are_seen():
                self.net.clear_param_diffs()
            else:
                self.net.begin_gradients()
            if (
                self.test_nets
                and _is_due(param.test_interval, self.iter)
                and (self.iter > 0 or param.test_initialization)
            ):
                self.test_all()
                if self._stop_wanted:
                    break
            self._iterate(keep_change=self.iter + 1 == end or self._changes_are_seen())
            if _is_due(param.snapshot, self.iter) or self._snapshot_wanted:
                self._snapshot_wanted = False
                self._snapshot_or_go_on()
            if self._stop_wanted:
                break
        self.stopped, self._stop_wanted = self._stop_wanted, False

    def _changes_are_seen(self) -> bool:
        """Says whether somebody may look at the parameters' `diff` after this update; if not, the
        update leaves zeros there."""
        return (
            self.param.debug_info
            or self.param.snapshot_diff
            or self.listeners.has(events.IterationDone)
            or self.listeners.has(events.IterationStarted)
        )

    def _gradients_are_seen(self) -> bool:
        """Says whether somebody may look at `diff` before the first backward pass."""
        return self.param.debug_info or self.listeners.has(events.IterationStarted)

    def _iterate(self, keep_change: bool) -> None:
        """One iteration: all its passes, then the update."""
        param, iteration = self.param, self.iter
        self._tell(events.IterationStarted(iteration))
        displays = self.displays(iteration)
        loss = 0.0
        for _ in range(param.iter_size):
            loss += self._pass(displays and param.debug_info)
        loss /= param.iter_size
        self._window.add(loss)
        outputs = outputs_of(self.net) if displays else []
        self.rate.observe(iteration, self._window.mean)
        self._tell(events.GradientsReady(iteration))
        self.apply_update(keep_change)
        if displays:
            if param.debug_info:
                debug.tell_update(self.net, self._remark)
            self._display(self.rate_used, outputs, iteration=iteration)
        self._tell(events.IterationDone(iteration, loss, self._window.mean, self.rate_used))

    def _pass(self, tells: bool) -> float:
        """One forward and backward pass; returns the loss."""
        net = self.net
        loss = debug.forward(net, self._remark) if tells else net.run_forward()
        if self.watch_numbers:
            self._watch.judge(loss)
        if tells:
            debug.backward(net, self._remark)
        else:
            net.run_backward()
        return loss

    def apply_update(self, keep_change: bool = True) -> None:
        """Updates the parameters by the gradients that are in their `diff`, and counts it.

        Afterwards `diff` holds the change, or zeros if not `keep_change`.
        """
        self.rate_used = self.rate(self.iter)
        watches = self.watch_numbers
        judge_norm = partial(watch.judge_gradient, self) if watches else None
        is_finite = self.updater.run(self.rate_used, self.iter, keep_change, judge_norm)
        if watches:
            watch.judge_update(self, is_finite)
        self.iter += 1

    def _display(
        self,
        rate: float,
        outputs: list[Output],
        *,
        iteration: int | None = None,
        is_last: bool = False,
    ) -> None:
        iteration = self.iter if iteration is None else iteration
        done, now = self.iter, time.perf_counter()
        since, then = self._displayed_at
        count, seconds = done - since, now - then
        images = count * self.param.iter_size * images_per_pass(self.net)
        training_seconds = seconds - self._test_seconds
        self._displayed_at, self._test_seconds = (done, now), 0.0
        self._tell(
            events.Displayed(
                iteration, self._window.mean, rate, outputs, self.param.display, count, seconds,
                images / training_seconds if training_seconds > 0 else 0.0, is_last,
            )
        )  # fmt: skip

    # ---- testing

    def test_all(self) -> list[events.NetTested]:
        """Runs every test net over its test_iter batches."""
        results = []
        for number in range(len(self.test_nets)):
            if self._stop_wanted:
                break
            results.append(self.test(number))
        return results

    def test(self, number: int = 0) -> events.NetTested:
        """Runs one test net over its test_iter batches and returns the means of its outputs.

        A request to stop ends it early; the net is put back to where its data stood, so that a
        resumed run makes the whole test.
        """
        net = self.test_nets[number]
        batches = self.param.test_iter[number]
        start, before = time.perf_counter(), net_state(net)
        self._tell(events.NetTestStarted(self.iter, number, batches))
        means, done, loss = OutputMeans(), 0, 0.0
        for _ in range(batches):
            if self._stop_wanted:
                restore_net(net, before)
                break
            loss += net.run_forward()
            means.add(outputs_of(net))
            done += 1
        seconds = time.perf_counter() - start
        self._test_seconds += seconds
        result = events.NetTested(
            self.iter, number, means.means(), done, seconds,
            loss / done if self.param.test_compute_loss and done else None,
            interrupted=done < batches,
        )  # fmt: skip
        self._tell(result)
        return result

    # ---- snapshots

    def snapshot(self) -> SnapshotFiles:
        """Writes weights and state as <snapshot_prefix>_iter_<iter>; Error if that fails."""
        files = snapshot_files(self.prefix, self.iter, self.param.snapshot_format)
        self.net.save(files.model, diffs=self.param.snapshot_diff)
        state = State(
            self.iter, files.model, self.updater.history, self.rate.current_step,
            [net_state(net) for net in (self.net, *self.test_nets)],
            list(self._window.losses),
            minimum_loss=self.rate.minimum_loss, last_event=self.rate.last_event,
        )  # fmt: skip
        stamp(state, files.model)
        write_state(files.state, state)
        self.last_snapshot, self._last_snapshot_iter = files, self.iter
        if self.keep is not None:
            drop_older(self.prefix, self.iter, max(self.keep, 1))
        self._tell(events.SnapshotTaken(self.iter, files.model, files.state))
        return files

    def _final_snapshot(self) -> None:
        """Writes the snapshot after which nothing follows; an Error says what there is instead."""
        try:
            self.snapshot()
        except Error as error:
            note = last_sound(self.last_snapshot)
            raise Error(
                *(replace(found, notes=(*found.notes, note)) for found in error.diagnostics)
            ) from error

    def _snapshot_or_go_on(self) -> None:
        """A disk that is full now may have room for the next one."""
        try:
            self.snapshot()
        except Error as error:
            self._tell(events.SnapshotFailed(self.iter, error))

    def _probe(self) -> None:
        """Finds out before hours of training whether snapshots can be written after them."""
        if self._can_write:
            return
        require_writable(self.prefix, places(self.document.source, ("snapshot_prefix",)))
        remove_leftovers(self.prefix)
        self._can_write = True

    def restore(self, path: FilePath) -> None:
        """Goes back to a snapshot, given by its .solverstate: weights, history, iteration and,
        where the state has them, random streams and positions in the data.

        Error if the state or its weights are not there, damaged or of another net or rule; the
        solver is unchanged then, except for weights that do fit.
        """
        state, model = read_snapshot(path)
        self.updater.judge(state.history, os.fspath(path))
        if model:
            self.net.copy_from(model)
        self.updater.restore(state.history)
        self.iter, self.rate.current_step = state.iteration, state.current_step
        self.rate.minimum_loss, self.rate.last_event = state.minimum_loss, state.last_event
        for net, running in zip((self.net, *self.test_nets), state.nets, strict=False):
            restore_net(net, running)
        self._window = LossWindow(self.param.average_loss, state.recent_loss)
        self._window_is_resumed = True
        self.last_snapshot = SnapshotFiles(model, os.fspath(path))
        self._last_snapshot_iter = self.iter

    # ---- others

    def share_weights(self, net: Net) -> None:
        """Makes the parameters of another net's equally named layers those of this solver."""
        for mine in (self.net, *self.test_nets):
            mine.share_with(net)

    def close(self) -> None:
        """Lets go of the data sources of all nets."""
        for net in (self.net, *self.test_nets):
            net.close()

    def _tell(self, event: object) -> None:
        self.listeners.tell(event)

    def _remark(self, text: str) -> None:
        self.listeners.tell(events.Remark(text))


def _is_due(interval: int, iteration: int) -> bool:
    return interval > 0 and iteration % interval == 0
