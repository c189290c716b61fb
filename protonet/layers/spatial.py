"""Reading kernel, stride, pad and dilation: the fields that convolution and im2col share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .base import LayerError, Shape

if TYPE_CHECKING:
    from protonet.ir.protonet_pb2 import ConvolutionParameter

__all__ = ["Geometry"]

MOST_AXES = 8  # as many as the kernels' structs hold


@dataclass(frozen=True)
class Geometry:
    """Kernel F, stride S, pad P and dilation D for each spatial axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    dilation: tuple[int, ...]

    @classmethod
    def read(cls, settings: ConvolutionParameter, axes: int, field: str) -> Geometry:
        """Reads the fields for `axes` spatial axes; LayerError at `field` if they cannot be."""
        if axes > MOST_AXES:
            raise LayerError(f"at most {MOST_AXES} spatial axes are possible, not {axes}", bottom=0)
        kernel = _per_axis(settings, "kernel", axes, None, field)
        stride = _per_axis(settings, "stride", axes, 1, field)
        pad = _per_axis(settings, "pad", axes, 0, field)
        dilation = _repeated(settings, "dilation", "dilation", axes, 1, field)
        for name, values, least in (
            ("kernel_size", kernel, 1),
            ("stride", stride, 1),
            ("dilation", dilation, 1),
        ):
            for value in values:
                if value < least:
                    raise LayerError(
                        f"{name} must be at least {least}, not {value}", field=(field, name)
                    )
        return cls(kernel, stride, pad, dilation)

    @property
    def extent(self) -> tuple[int, ...]:
        """What a dilated filter covers: D(F−1) + 1."""
        return tuple(d * (f - 1) + 1 for f, d in zip(self.kernel, self.dilation, strict=True))

    def convolved(self, size: Sequence[int], field: str) -> Shape:
        """Returns the output size (H + 2P − D(F−1) − 1)/S + 1, rounded down, per axis."""
        out = []
        for axis, (h, e, s, p) in enumerate(
            zip(size, self.extent, self.stride, self.pad, strict=True)
        ):
            if h + 2 * p < e:
                across = "×".join(map(str, self.extent))
                raise LayerError(
                    f"kernel {across} does not fit a {'×'.join(map(str, size))} input",
                    field=(field, "kernel_size"),
                    label=f"H' = ({h} + 2·{p} − {e})/{s} + 1 = {(h + 2 * p - e) // s + 1}".replace(
                        "-", "−"
                    ),
                    code="E204",
                    help=f"kernel_size must be at most {h + 2 * p}, "
                    f"or pad at least {(e - h + 1) // 2} (axis {axis})",
                )
            out.append((h + 2 * p - e) // s + 1)
        return tuple(out)

    def deconvolved(self, size: Sequence[int], field: str) -> Shape:
        """Returns the output size S(H−1) + D(F−1) + 1 − 2P per axis."""
        out = []
        for h, e, s, p in zip(size, self.extent, self.stride, self.pad, strict=True):
            h_out = s * (h - 1) + e - 2 * p
            if h_out < 1:
                raise LayerError(
                    f"the output would be of size {h_out}",
                    field=(field, "pad"),
                    label=f"H' = {s}·({h} − 1) + {e} − 2·{p} = {h_out}",
                    code="E204",
                    help="lower pad or raise kernel_size",
                )
            out.append(h_out)
        return tuple(out)


def _per_axis(
    settings: Any, name: str, axes: int, default: int | None, field: str
) -> tuple[int, ...]:
    """Reads name_h and name_w, or the repeated plain field."""
    plain = "kernel_size" if name == "kernel" else name
    if not (settings.HasField(f"{name}_h") or settings.HasField(f"{name}_w")):
        return _repeated(settings, plain, plain, axes, default, field)
    given = f"{name}_h" if settings.HasField(f"{name}_h") else f"{name}_w"
    if axes != 2:
        raise LayerError(
            f"{given} is for 2 spatial axes, and this bottom has {axes}", field=(field, given)
        )
    if len(getattr(settings, plain)):
        raise LayerError(
            f"give either {plain} or {name}_h and {name}_w, not both", field=(field, plain)
        )
    return (getattr(settings, f"{name}_h"), getattr(settings, f"{name}_w"))


def _repeated(
    settings: Any, name: str, shown: str, axes: int, default: int | None, field: str
) -> tuple[int, ...]:
    values = tuple(getattr(settings, name))
    if not values and default is not None:
        return (default,) * axes
    if len(values) == 1:
        return values * axes
    if len(values) != axes:
        raise LayerError(
            f"{shown} must be given once or once per spatial axis ({axes}), "
            f"not {len(values)} times",
            field=(field, name) if values else (field,),
        )
    return values
