"""NetSpec: nets written in Python.

    n = NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 224, 224]))
    n.conv1 = L.Convolution(n.data, kernel_size=3, num_output=64)
    n.relu1 = L.ReLU(n.conv1, in_place=True)
    n.pool1 = L.Pooling(n.relu1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    text = str(n.to_proto())

`L`, here `layers`, makes a layer of any type; its result is its top, a tuple of them with
`ntop`, or with ntop=0 the layer itself. `P`, here `params`, gives the enums of a layer's
parameters. A layer is named after its first top, a top after the attribute it is assigned to, or
else after its type and a number.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .proto import caffe_pb2

__all__ = [
    "Function", "Layers", "NetSpec", "Parameters", "Top", "assign_proto", "layers",
    "param_name_dict", "params", "to_proto",
]  # fmt: skip

# Types whose settings stand in the message of another type.
_BORROWED = {"Deconvolution": "convolution", "LSTM": "recurrent", "RNN": "recurrent"}


def param_name_dict() -> dict[str, str]:
    """Returns, for each layer type with settings of its own, their field without `_param`."""
    fields = caffe_pb2.LayerParameter.DESCRIPTOR.fields
    found: dict[str, str] = {}
    for field in fields:
        if field.name.endswith("_param") and field.message_type is not None:
            name = field.name.removesuffix("_param")
            found.setdefault(field.message_type.name.removesuffix("Parameter"), name)
    return found


_param_names = {**param_name_dict(), **_BORROWED}


def assign_proto(proto: Any, name: str, value: Any) -> None:
    """Sets a field: a dict fills a message, a list or tuple a repeated field, as one value does."""
    field = getattr(proto, name)
    if hasattr(field, "extend"):
        values = value if isinstance(value, list | tuple) else [value]
        if values and isinstance(values[0], Mapping):
            for each in values:
                _fill(field.add(), each)
        else:
            field.extend(values)
    elif isinstance(value, Mapping):
        field.SetInParent()
        _fill(field, value)
    else:
        setattr(proto, name, value)


def _fill(message: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        assign_proto(message, name, value)


class Names:
    """What layers and tops are called in one net: given names, and numbers for the others."""

    def __init__(self, given: Mapping[Any, str] = {}) -> None:  # only read
        self._names: dict[Any, str] = dict(given)
        self._numbers: Counter[str] = Counter()

    def of(self, item: Top | Function, type_name: str) -> str:
        if item not in self._names:
            self._numbers[type_name] += 1
            self._names[item] = f"{type_name}{self._numbers[type_name]}"
        return self._names[item]


LayersByFunction = OrderedDict["Function", Any]


class Top:
    """One output of a layer."""

    def __init__(self, fn: Function, n: int) -> None:
        self.fn, self.n = fn, n

    def to_proto(self) -> Any:
        """Returns a NetParameter of all layers that are needed to compute this top."""
        return to_proto(self)

    def _to_proto(self, layers: LayersByFunction, names: Names) -> None:
        self.fn._to_proto(layers, names)


class Function:
    """A layer: its type, its inputs and its parameters."""

    def __init__(self, type_name: str, inputs: Iterable[Top], params: Mapping[str, Any]) -> None:
        self.type_name = type_name
        self.inputs = tuple(inputs)
        for index, given in enumerate(self.inputs):
            if not isinstance(given, Top):
                raise TypeError(f"{type_name} input {index} is not a Top (type is {type(given)})")
        self.params = dict(params)
        self.ntop: int = self.params.pop("ntop", 1)
        self.in_place: bool = self.params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def _to_proto(self, layers: LayersByFunction, names: Names) -> None:
        if self in layers:
            return
        bottoms = []
        for given in self.inputs:
            given._to_proto(layers, names)
            bottoms.append(layers[given.fn].top[given.n])
        layer = caffe_pb2.LayerParameter(type=self.type_name, bottom=bottoms)
        if self.in_place:
            layer.top.extend(bottoms)
        else:
            layer.top.extend(names.of(top, self.type_name) for top in self.tops)
        layer.name = names.of(self.tops[0] if self.tops else self, self.type_name)
        for name, value in self.params.items():
            self._assign(layer, name, value)
        layers[self] = layer

    def _assign(self, layer: Any, name: str, value: Any) -> None:
        """Sets one parameter: of the layer's own settings if they have it, else of the layer."""
        own = _param_names.get(self.type_name)
        if not name.endswith("param") and own is not None:
            settings = getattr(layer, f"{own}_param")
            if name in settings.DESCRIPTOR.fields_by_name:
                assign_proto(settings, name, value)
                return
        if name not in layer.DESCRIPTOR.fields_by_name:
            raise AttributeError(f"{self.type_name} has no parameter {name!r}")
        assign_proto(layer, name, value)


class MissingTop(AttributeError, KeyError):
    """A NetSpec has no top of that name."""


class NetSpec:
    """A net in the making: its attributes, or items, are tops, in the order they were set."""

    tops: OrderedDict[str, Any]

    def __init__(self) -> None:
        super().__setattr__("tops", OrderedDict())

    def __setattr__(self, name: str, value: Any) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        if name == "tops" or name not in self.tops:
            raise MissingTop(f"the net has no top {name!r}")
        return self.tops[name]

    def __setitem__(self, key: str, value: Any) -> None:
        self.tops[key] = value

    def __getitem__(self, item: str) -> Any:
        return self.__getattr__(item)

    def __delitem__(self, item: str) -> None:
        del self.tops[item]

    def __delattr__(self, name: str) -> None:
        del self.tops[name]

    def keys(self) -> list[str]:
        return list(self.tops)

    def vals(self) -> list[Any]:
        return list(self.tops.values())

    def update(self, others: Mapping[str, Any]) -> None:
        """Adds named tops."""
        self.tops.update(others)

    def to_proto(self) -> Any:
        """Returns the NetParameter: each top's layer, after those that it needs."""
        made: LayersByFunction = OrderedDict()
        names = Names({top: name for name, top in self.tops.items()})
        for top in self.tops.values():
            top._to_proto(made, names)
        return caffe_pb2.NetParameter(layer=made.values())


class Layers:
    """Any attribute is a function that makes a layer of that type."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def layer(*inputs: Top, **parameters: Any) -> Any:
            made = Function(name, inputs, parameters)
            if made.ntop == 0:
                return made
            return made.tops[0] if made.ntop == 1 else made.tops

        return layer


class Parameters:
    """Any attribute gives the enums and constants of that layer type's parameters."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(caffe_pb2, f"{name}Parameter")


layers = Layers()
params = Parameters()


def to_proto(*tops: Top) -> Any:
    """Returns a NetParameter of all layers that are needed to compute these tops."""
    made: LayersByFunction = OrderedDict()
    names = Names()
    for top in tops:
        top._to_proto(made, names)
    return caffe_pb2.NetParameter(layer=made.values())
