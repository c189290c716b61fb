"""Recurrent layers over T steps: RNN, LSTM, and one LSTM step by itself."""

from __future__ import annotations

import math

import numpy as np

from protonet import kernels
from protonet.blob import Blob
from protonet.ir.protonet_pb2 import FillerParameter

from .base import Between, Exactly, Layer, LayerError, Parameter, Shape, shape_text
from .registry import register

FIELD = "recurrent_param"


def _times_transposed(x: np.ndarray, w: np.ndarray, y: np.ndarray, bias: np.ndarray | None,
                      beta: float) -> None:  # fmt: skip
    """y = x Wᵀ + bias + beta y for matrices of rows."""
    m, n, k = len(x), len(w), w.shape[1]
    kernels.matmul(
        a=x, b=w, c=y, column_bias=bias, m=m, n=n, k=k,
        a_row=k, a_column=1, b_row=1, b_column=k, c_row=n, beta=beta,
    )  # fmt: skip


def _times(x: np.ndarray, w: np.ndarray, y: np.ndarray) -> None:
    """y = x W."""
    m, k, n = len(x), len(w), w.shape[1]
    kernels.matmul(
        a=x, b=w, c=y, m=m, n=n, k=k, a_row=k, a_column=1, b_row=n, b_column=1, c_row=n, beta=0
    )


def _add_outer(dy: np.ndarray, x: np.ndarray, dw: np.ndarray) -> None:
    """dW += dyᵀ x."""
    k, m, n = len(x), dy.shape[1], x.shape[1]
    kernels.matmul(
        a=dy, b=x, c=dw, m=m, n=n, k=k, a_row=1, a_column=m, b_row=n, b_column=1, c_row=n, beta=1
    )


def _rows(blob: Blob, axes: int) -> np.ndarray:
    """The blob's data with its first axes as one, and the others as one."""
    shape = blob.shape
    return blob.data.reshape(math.prod(shape[:axes]), math.prod(shape[axes:]))


def _sum_rows(x: np.ndarray, y: np.ndarray) -> None:
    kernels.sum_rows(x=x, y=y, rows=len(x), columns=x.shape[1])


class Recurrent(Layer):
    """What RNN and LSTM share: inputs, state, and the products over all steps at once.

    The state of step t−1 is multiplied by cont[t] (0 starts a sequence afresh). Unless it is
    exposed, the last state of one forward pass is the first of the next.
    """

    states = 0  # h, or h and c
    gates = 0  # rows of the input weights for each output

    bottoms, tops = Between(2, 5), Between(1, 3)

    def setup(self) -> None:
        self.settings = self.param.recurrent_param
        self.size = self.settings.num_output
        if self.size < 1:
            raise LayerError("num_output must be at least 1", field=(FIELD, "num_output"))
        exposed = self.states if self.settings.expose_hidden else 0
        self.has_static = self.bottom_count == 3 + exposed
        if self.bottom_count not in (2 + exposed, 3 + exposed):
            raise LayerError(
                f"{self.type} takes x, cont, perhaps x_static, and {exposed} initial states",
                field=("bottom",),
                code="E104",
                help="initial states go with expose_hidden: true",
            )
        if self.top_count != 1 + exposed:
            raise LayerError(
                f"{self.type} makes 1 top and {exposed} final states, not {self.top_count} tops",
                field=("top",),
                code="E104",
                help="final states go with expose_hidden: true",
            )
        self.exposed = exposed

    def allow_force_backward(self, bottom: int) -> bool:
        """cont and the initial states get no gradient (Caffe)."""
        return bottom == 0 or (bottom == 2 and self.has_static)

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        x, cont = bottom[:2]
        if len(x) < 2:
            raise LayerError(f"x must be T×N×…, not {shape_text(x)}", bottom=0)
        if cont != x[:2]:
            raise LayerError(
                f"cont must be {shape_text(x[:2])} (T×N of x), not {shape_text(cont)}", bottom=1
            )
        if self.has_static and (not bottom[2] or bottom[2][0] != x[1]):
            raise LayerError(f"x_static must have {x[1]} rows (N of x)", bottom=2)
        state = (1, x[1], self.size)
        for number in range(self.bottom_count - self.exposed, self.bottom_count):
            if bottom[number] != state:
                raise LayerError(
                    f"an initial state must be {shape_text(state)}, "
                    f"not {shape_text(bottom[number])}",
                    bottom=number,
                )
        return [(*x[:2], self.size), *[state] * self.exposed]

    def _weight(self, shape: Shape) -> Parameter:
        return Parameter(shape, self.settings.weight_filler, (FIELD, "weight_filler"))

    def _bias(self, size: int) -> Parameter:
        filler: FillerParameter = self.settings.bias_filler
        return Parameter((size,), filler, (FIELD, "bias_filler"))

    def parameters(self, bottom: list[Shape]) -> list[Parameter]:
        rows = self.gates * self.size
        found = [self._weight((rows, math.prod(bottom[0][2:]))), self._bias(rows)]
        if self.has_static:
            found.append(self._weight((rows, math.prod(bottom[2][1:]))))
        found.append(self._weight((rows, self.size)))
        return found

    def macs(self, bottom: list[Shape], top: list[Shape]) -> int:
        weights = [p.shape for p in self.parameters(bottom) if len(p.shape) == 2]
        steps = math.prod(bottom[0][:2])
        static = math.prod(weights[1]) * bottom[0][1] if self.has_static else 0
        repeated = weights[:1] + weights[2 if self.has_static else 1 :]
        return steps * sum(math.prod(shape) for shape in repeated) + static

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.steps, self.batch = bottom[0].shape[:2]
        rows, kind = self.steps * self.batch, bottom[0].dtype
        wide = self.gates * self.size
        self.active = np.zeros((rows, wide), kind)  # gates of all steps, then their gradients
        self.dgates = np.zeros((rows, wide), kind)
        self.before = np.zeros((rows, self.size), kind)  # cont_t h_{t-1}
        self.hidden = np.zeros((rows, self.size), kind)
        # The state is kept over a change of T (Caffe fixes T, and N may change).
        fits = getattr(self, "first_states", None)
        if fits is None or fits[0].shape[0] != self.batch:
            self.first_states = [
                np.zeros((self.batch, self.size), kind) for _ in range(self.states)
            ]
            self.last_states = [np.zeros_like(state) for state in self.first_states]
        self.dnext = np.zeros((self.batch, self.size), kind)
        self.static_sum = np.zeros((self.batch, wide), kind)

    def _step(self, array: np.ndarray, t: int) -> np.ndarray:
        return array[t * self.batch : (t + 1) * self.batch]

    @property
    def _recurrent_weight(self) -> Blob:
        return self.blobs[3 if self.has_static else 2]

    def _begin(self, bottom: list[Blob]) -> None:
        """Sets the first states, and the gates of all steps from x and x_static."""
        for number, state in enumerate(self.first_states):
            source = (
                bottom[self.bottom_count - self.exposed + number].data
                if self.exposed
                else self.last_states[number]
            )
            kernels.copy(x=source, y=state, n=state.size)
        x = _rows(bottom[0], 2)
        _times_transposed(x, self.blobs[0].data, self.active, self.blobs[1].data, 0)
        if self.has_static:
            static = _rows(bottom[2], 1)
            _times_transposed(static, self.blobs[2].data, self.static_sum, None, 0)
            for t in range(self.steps):
                gates = self._step(self.active, t)
                kernels.axpby(x=self.static_sum, y=gates, n=gates.size, a=1, b=1)

    def _recur(self, bottom: list[Blob], t: int, h: np.ndarray) -> None:
        """Adds the part of step t's gates that comes from the state h before it."""
        before = self._step(self.before, t)
        kernels.scale(
            x=h, scale=bottom[1].data[t], y=before, outer=1, channels=self.batch, inner=self.size
        )
        gates = self._step(self.active, t)
        _times_transposed(before, self._recurrent_weight.data, gates, None, 1)

    def _recur_back(self, bottom: list[Blob], t: int) -> None:
        """Sets dnext, the gradient of the state before step t."""
        _times(self._step(self.dgates, t), self._recurrent_weight.data, self.dnext)
        kernels.scale(
            x=self.dnext, scale=bottom[1].data[t], y=self.dnext,
            outer=1, channels=self.batch, inner=self.size,
        )  # fmt: skip

    def _end(self, states: list[np.ndarray], top: list[Blob]) -> None:
        """Keeps the last states for the next pass and shows them if they are exposed."""
        for number, state in enumerate(states):
            kernels.copy(x=state, y=self.last_states[number], n=state.size)
            if self.exposed:
                kernels.copy(x=state, y=top[1 + number].data, n=state.size)

    def _gradients_of_inputs(self, bottom: list[Blob]) -> None:
        """From dgates: the gradients of x, x_static and of the weights that met them."""
        learns = self.param_propagate_down
        recurrent = 3 if self.has_static else 2
        x = _rows(bottom[0], 2)
        if learns[0]:
            _add_outer(self.dgates, x, self.blobs[0].diff)
        if learns[1]:
            _sum_rows(self.dgates, self.blobs[1].diff)
        if learns[recurrent]:
            _add_outer(self.dgates, self.before, self.blobs[recurrent].diff)
        if self.propagate_down[0]:
            _times(self.dgates, self.blobs[0].data, bottom[0].diff.reshape(x.shape))
        if self.has_static and (learns[2] or self.propagate_down[2]):
            kernels.fill(y=self.static_sum, n=self.static_sum.size, value=0)
            flat = self.dgates.reshape(self.steps, self.static_sum.size)
            _sum_rows(flat, self.static_sum.reshape(-1))
            static = _rows(bottom[2], 1)
            if learns[2]:
                _add_outer(self.static_sum, static, self.blobs[2].diff)
            if self.propagate_down[2]:
                dstatic = bottom[2].diff.reshape(static.shape)
                _times(self.static_sum, self.blobs[2].data, dstatic)


@register("RNN")
class RNN(Recurrent):
    """h_t = tanh(W_hh (cont_t h_{t−1}) + W_xh x_t + b_h), o_t = tanh(W_ho h_t + b_o).

    Shapes:     x T×N×…, cont T×N, [x_static N×…], [h_0 1×N×H] → o T×N×H, [h_T 1×N×H]; blobs
                W_xh, b_h, [W_xs], W_hh, W_ho, b_o.
    Parameters: num_output (H), expose_hidden (first and last state as bottom and top), fillers.
    Formula:    x_static, where it is given, adds W_xs x_static inside the first tanh.
    Gradient:   through time over the T steps; none to cont, h_0, nor from h_T (Caffe).
    Source:     Elman 1990; Donahue et al. 2015.
    """

    states, gates = 1, 1

    def parameters(self, bottom: list[Shape]) -> list[Parameter]:
        output = [self._weight((self.size, self.size)), self._bias(self.size)]
        return super().parameters(bottom) + output

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().reshape(bottom, top)
        self.dhidden = np.zeros_like(self.hidden)
        self.doutput = np.zeros_like(self.hidden)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self._begin(bottom)
        h = self.first_states[0]
        for t in range(self.steps):
            self._recur(bottom, t, h)
            h = self._step(self.hidden, t)
            kernels.rnn_unit(x=self._step(self.active, t), y=h, n=h.size)
        y = top[0].data.reshape(self.hidden.shape)
        _times_transposed(self.hidden, self.blobs[-2].data, y, self.blobs[-1].data, 0)
        kernels.rnn_unit(x=y, y=y, n=y.size)
        self._end([h], top)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        y, dy = top[0].data, top[0].diff
        kernels.rnn_unit_backward(y=y, dy=dy, dx=self.doutput, n=y.size)
        if self.param_propagate_down[-2]:
            _add_outer(self.doutput, self.hidden, self.blobs[-2].diff)
        if self.param_propagate_down[-1]:
            _sum_rows(self.doutput, self.blobs[-1].diff)
        _times(self.doutput, self.blobs[-2].data, self.dhidden)
        for t in reversed(range(self.steps)):
            h = self._step(self.hidden, t)
            kernels.rnn_unit_backward(
                y=h, dy=self._step(self.dhidden, t), dx=self._step(self.dgates, t), n=h.size,
                more=self.dnext if t + 1 < self.steps else None,
            )  # fmt: skip
            self._recur_back(bottom, t)
        self._gradients_of_inputs(bottom)


@register("LSTM")
class LSTM(Recurrent):
    """c_t = cont_t f c_{t−1} + i g, h_t = o tanh(c_t), gates from x_t and cont_t h_{t−1}.

    Shapes:     x T×N×…, cont T×N, [x_static N×…], [h_0, c_0 1×N×H] → h T×N×H, [h_T, c_T];
                blobs W_xc (4H×·), b_c, [W_xs], W_hc, rows in the order i, f, o, g.
    Parameters: num_output (H), expose_hidden (states as bottoms and tops), fillers.
    Formula:    i, f, o = σ(W x + b + …), g = tanh(…).
    Gradient:   through time over the T steps; none to cont, h_0, c_0, nor from h_T, c_T (Caffe).
    Source:     Hochreiter and Schmidhuber 1997; Donahue et al. 2015.
    """

    states, gates = 2, 4

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().reshape(bottom, top)
        self.cell = np.zeros_like(self.hidden)
        self.dcell = np.zeros_like(self.dnext)
        self.dh = np.zeros_like(self.dnext)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        self._begin(bottom)
        h, c = self.first_states
        for t in range(self.steps):
            self._recur(bottom, t, h)
            gates, c_before = self._step(self.active, t), c
            h, c = self._step(self.hidden, t), self._step(self.cell, t)
            kernels.lstm_unit(
                c_before=c_before, gates=gates, cont=bottom[1].data[t], active=gates, c=c, h=h,
                rows=self.batch, size=self.size,
            )  # fmt: skip
        kernels.copy(x=self.hidden, y=top[0].data, n=self.hidden.size)
        self._end([h, c], top)

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        dy = top[0].diff.reshape(self.hidden.shape)
        for t in reversed(range(self.steps)):
            last = t + 1 == self.steps
            kernels.copy(x=self._step(dy, t), y=self.dh, n=self.dh.size)
            if not last:
                kernels.axpby(x=self.dnext, y=self.dh, n=self.dh.size, a=1, b=1)
            kernels.lstm_unit_backward(
                c_before=self._step(self.cell, t - 1) if t else self.first_states[1],
                active=self._step(self.active, t), c=self._step(self.cell, t),
                dc=None if last else self.dcell, dh=self.dh, dc_before=self.dcell,
                dgates=self._step(self.dgates, t), rows=self.batch, size=self.size,
            )  # fmt: skip
            self._recur_back(bottom, t)
        self._gradients_of_inputs(bottom)


@register("LSTMUnit")
class LSTMUnit(Layer):
    """One LSTM step: c = cont f c_before + i g, h = o tanh(c).

    Shapes:   c_before 1×N×H, gates 1×N×4H (i, f, o, g before activation), cont 1×N
              → c 1×N×H, h 1×N×H.
    Formula:  i, f, o = σ(gates), g = tanh(gates), each of its quarter.
    Gradient: to c_before and gates; none to cont.
    Source:   Hochreiter and Schmidhuber 1997; Donahue et al. 2015.
    """

    bottoms, tops = Exactly(3), Exactly(2)
    labels = (2,)

    def infer(self, bottom: list[Shape]) -> list[Shape]:
        c, gates, cont = bottom
        if len(c) != 3 or c[0] != 1:
            raise LayerError(f"the cell state must be 1×N×H, not {shape_text(c)}", bottom=0)
        if gates != (1, c[1], 4 * c[2]):
            raise LayerError(
                f"the gates must be {shape_text((1, c[1], 4 * c[2]))}, not {shape_text(gates)}",
                bottom=1,
            )
        if cont != (1, c[1]):
            raise LayerError(f"cont must be 1×{c[1]}, not {shape_text(cont)}", bottom=2)
        return [c, c]

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.active = np.zeros_like(bottom[1].data)
        self.rows, self.size = bottom[0].shape[1:]

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        kernels.lstm_unit(
            c_before=bottom[0].data, gates=bottom[1].data, cont=bottom[2].data,
            active=self.active, c=top[0].data, h=top[1].data, rows=self.rows, size=self.size,
        )  # fmt: skip

    def backward(self, top: list[Blob], bottom: list[Blob]) -> None:
        if self.propagate_down[0] or self.propagate_down[1]:
            kernels.lstm_unit_backward(
                c_before=bottom[0].data, active=self.active, c=top[0].data,
                dc=top[0].diff, dh=top[1].diff, dc_before=bottom[0].diff,
                dgates=bottom[1].diff, rows=self.rows, size=self.size,
            )  # fmt: skip
