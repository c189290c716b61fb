"""Layers that a whole pass runs as one, as nobody sees the values in between.

After the pass each blob holds what the layers one by one would have left there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from protonet import kernels
from protonet.blob import Blob, aligned_zeros
from protonet.layers.activation import ReLU
from protonet.layers.affine import Scale
from protonet.layers.base import Layer
from protonet.layers.batch_norm import BatchNorm
from protonet.layers.convolution import Convolution, Deconvolution
from protonet.layers.eltwise import Eltwise
from protonet.layers.linear import InnerProduct
from protonet.layers.sharing import Split

__all__ = ["Addition", "Chain", "Normalization", "Rectification", "chains_of"]


class Chain:
    """Layers that run as one in a forward pass, and those that then do so in a backward pass."""

    def __init__(self, forward_layers: range, backward_layers: range) -> None:
        self.forward_layers, self.backward_layers = forward_layers, backward_layers
        self.is_joined = False  # in the last forward pass

    def forward(self) -> None:
        raise NotImplementedError

    def backward(self) -> None:
        """Runs only after `forward`."""

    def part(self) -> None:
        """Leaves what the layers need to go backward one by one after `forward`."""


class Rectification(Chain):
    """A product and the ReLU behind it, which is applied as the product is stored."""

    def __init__(
        self, first: int, product: Convolution | InnerProduct, x: Blob, y: Blob, slope: float
    ) -> None:
        super().__init__(range(first, first + 2), range(0))
        self.product, self.x, self.y, self.slope = product, x, y, slope

    def forward(self) -> None:
        store = {"activate": 1, "slope": self.slope, "low": -np.inf, "high": np.inf}
        self.product.multiply(self.x.data, self.y.data, store)


class Addition(Chain):
    """The sum of two blobs, the ReLU behind it, and going backward the Split behind that.

    The gradients of `readers`, one or two, add up to that of y; summands that are `wanted` get it.
    """

    def __init__(
        self,
        layers: range,
        backward_layers: range,
        summands: Sequence[Blob],
        wanted: Sequence[bool],
        y: Blob,
        readers: Sequence[Blob],
        slope: float,
    ) -> None:
        super().__init__(layers, backward_layers)
        self.summands, self.wanted = summands, wanted
        self.y, self.readers, self.slope = y, readers, slope

    def forward(self) -> None:
        a, b = (blob.data for blob in self.summands)
        kernels.add_relu(a=a, b=b, y=self.y.data, n=self.y.count, slope=self.slope)

    def backward(self) -> None:
        other = self.readers[1].diff if len(self.readers) == 2 else None
        da, db = (
            blob.diff if wanted else None
            for blob, wanted in zip(self.summands, self.wanted, strict=True)
        )
        kernels.add_relu_backward(
            dy=self.readers[0].diff, other_dy=other, y=self.y.data, sum=self.y.diff,
            da=da, db=db, n=self.y.count, slope=self.slope,
        )  # fmt: skip


class Normalization(Chain):
    """BatchNorm and the Scale behind it, in one pass over each channel forward and two backward.

    Where BatchNorm works in place, the convolution before it belongs to the chain, too: it stores
    to a buffer of the chain, `before`, so that what is normalised is still there going backward.
    Then a ReLU behind the Scale also does, if `slope` is given.
    """

    def __init__(
        self,
        first: int,
        product: Convolution | None,
        norm: BatchNorm,
        scale: Scale,
        x: Blob,
        y: Blob,
        slope: float | None = None,
    ) -> None:
        start, stop = first if product is None else first - 1, first + (2 if slope is None else 3)
        super().__init__(range(start, stop), range(first, stop))
        self.rectified = {} if slope is None else {"rectify": 1, "below": slope}
        self.product, self.norm, self.scale, self.x, self.y = product, norm, scale, x, y
        self.before: np.ndarray | None = None

    def _made_before(self) -> np.ndarray:
        if self.before is None or self.before.shape != self.y.shape:
            self.before = aligned_zeros(self.y.count, self.y.dtype).reshape(self.y.shape)
        return self.before

    @property
    def _normalized(self) -> np.ndarray:
        """What is normalised."""
        return self.x.data if self.product is None else self._made_before()

    def forward(self) -> None:
        norm, scale, dtype = self.norm, self.scale, self.y.dtype
        channels = norm.size["channels"]
        if self.product is not None:
            self.product.multiply(self.x.data, self._made_before())
        variance = np.zeros(channels, dtype)
        kernels.bn(
            x=self._normalized, y=self.y.data, slope=scale.blobs[0].data,
            bias=scale.blobs[1].data if scale.has_bias else np.zeros(channels, dtype),
            mean=norm.mean, inverse_std=norm.inverse_std, variance=variance,
            eps=norm.settings.eps, **norm.size, **self.rectified,
        )  # fmt: skip
        count = self.y.count // channels
        unbiased = count / (count - 1) if count > 1 else 1.0
        new = ((norm.mean, 1.0), (variance, unbiased), (np.ones(1, dtype), 1.0))
        for (values, by), running in zip(new, norm.running.values(), strict=True):
            kernels.axpby(
                x=values, y=running, n=values.size, a=by, b=norm.settings.moving_average_fraction
            )

    def backward(self) -> None:
        norm, scale = self.norm, self.scale
        learns = scale.param_propagate_down
        scale.begin_gradients()
        kernels.bn_backward(
            shape={"x": self._normalized, "slope": scale.blobs[0].data, "mean": norm.mean,
                   "inverse_std": norm.inverse_std, "y": self.y.data, **norm.size,
                   **self.rectified},
            dy=self.y.diff, dx=self._input.diff,
            dslope=scale.blobs[0].diff if learns[0] else None,
            dbias=scale.blobs[1].diff if scale.has_bias and learns[1] else None,
        )  # fmt: skip
        if self.product is None:
            kernels.scale(x=self.y.diff, scale=scale.blobs[0].data, y=self.y.diff, **norm.size)

    @property
    def _input(self) -> Blob:
        """BatchNorm's bottom."""
        return self.x if self.product is None else self.y

    def part(self) -> None:
        per_channel = (1, -1, *[1] * (self.y.data.ndim - 2))
        mean, inverse = (a.reshape(per_channel) for a in (self.norm.mean, self.norm.inverse_std))
        for kept in (self.norm.normalized, self.scale.kept):
            if kept is not None:
                kept[...] = (self._normalized - mean) * inverse


def chains_of(
    layers: Sequence[Layer],
    bottoms: Sequence[Sequence[Blob]],
    tops: Sequence[Sequence[Blob]],
    runs_backward: Sequence[bool],
) -> list[Chain]:
    """Returns the chains of a net, in the order of the layers; no layer is in two of them."""
    found: list[Chain] = []
    free = 0  # the first layer that is in none
    for index, layer in enumerate(layers[:-1]):
        if index < free or not _is_in_place(index + 1, tops[index], bottoms, tops):
            continue
        chain: Chain | None = None
        following, y = layers[index + 1], tops[index][0]
        if isinstance(layer, Eltwise):
            chain = _addition(index, layers, bottoms, tops, runs_backward)
        elif len(bottoms[index]) != 1:
            continue
        elif isinstance(layer, BatchNorm) and (x := bottoms[index][0]) is not y:
            chain = _normalization(index, None, layers, bottoms, tops, runs_backward)
        elif isinstance(layer, (Convolution, InnerProduct)) and not isinstance(
            layer, Deconvolution
        ):
            x = bottoms[index][0]
            if type(following) is ReLU and following.slope >= 0:
                chain = Rectification(index, layer, x, y, following.slope)
            elif isinstance(layer, Convolution) and _is_in_place(index + 2, [y], bottoms, tops):
                chain = _normalization(index + 1, layer, layers, bottoms, tops, runs_backward)
        if chain is not None:
            found.append(chain)
            free = chain.forward_layers.stop
    return found


def _is_in_place(
    index: int,
    blobs: Sequence[Blob],
    bottoms: Sequence[Sequence[Blob]],
    tops: Sequence[Sequence[Blob]],
) -> bool:
    """Says whether layer `index` works in place on the only one of these blobs."""
    if index == len(bottoms):
        return False
    return len(blobs) == len(bottoms[index]) == len(tops[index]) == 1 and (
        bottoms[index][0] is tops[index][0] is blobs[0]
    )


def _addition(
    index: int,
    layers: Sequence[Layer],
    bottoms: Sequence[Sequence[Blob]],
    tops: Sequence[Sequence[Blob]],
    runs_backward: Sequence[bool],
) -> Addition | None:
    """Returns the chain that begins with the Eltwise `index`, or None."""
    layer, relu = layers[index], layers[index + 1]
    (y,), summands = tops[index], bottoms[index]
    if not isinstance(layer, Eltwise) or not layer.adds_two or any(x is y for x in summands):
        return None
    if type(relu) is not ReLU or relu.slope < 0:
        return None
    here, behind, readers = range(index, index + 2), index + 2, [y]
    goes_backward = all(runs_backward[i] for i in here) and relu.propagate_down[0]
    if (
        goes_backward
        and behind < len(layers)
        and type(layers[behind]) is Split
        and bottoms[behind][0] is y
        and len(tops[behind]) == 2
        and runs_backward[behind]
        and layers[behind].propagate_down[0]
    ):
        here, readers = range(index, index + 3), list(tops[behind])
    backward_layers = here if goes_backward else range(0)
    return Addition(here, backward_layers, summands, layer.propagate_down, y, readers, relu.slope)


def _normalization(
    first: int,
    product: Convolution | None,
    layers: Sequence[Layer],
    bottoms: Sequence[Sequence[Blob]],
    tops: Sequence[Sequence[Blob]],
    runs_backward: Sequence[bool],
) -> Normalization | None:
    """Returns the chain whose BatchNorm is layer `first`, or None if it does not begin one."""
    norm, scale, (y,) = layers[first], layers[first + 1], tops[first]
    x = bottoms[first if product is None else first - 1][0]
    if type(norm) is not BatchNorm or norm.use_global or type(scale) is not Scale:
        return None
    for index in (first, first + 1):
        if not runs_backward[index] or not layers[index].propagate_down[0]:
            return None
    settings = scale.param.scale_param
    if settings.axis != 1 or settings.num_axes != 1:
        return None
    relu, slope = layers[first + 2] if first + 2 < len(layers) else None, None
    if (
        product is not None
        and type(relu) is ReLU
        and relu.slope >= 0
        and _is_in_place(first + 2, [y], bottoms, tops)
        and runs_backward[first + 2]
        and relu.propagate_down[0]
    ):
        slope = relu.slope
    return Normalization(first, product, norm, scale, x, y, slope)
