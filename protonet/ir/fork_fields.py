"""Fields of Caffe forks that can be read and that nothing here acts on.

Published nets are full of them; a net that has one may not compute here what it computed there.

Code: W123 such a field.
"""

from __future__ import annotations

from functools import cache

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from protonet.prototxt.diagnostics import Diagnostic
from protonet.prototxt.source import Path, SourceMap

__all__ = ["fork_field_warnings"]

_FIRST_OF_FORKS, _FIRST_OF_OURS = 5000, 6000
_LAST_LAYER_PARAMETER = {"LayerParameter": 148, "V1LayerParameter": 42}
"""Layer message → the last number that the parameters of Caffe's own layer types have."""
_BELOW = frozenset(
    {
        "BatchNormParameter.weight_filler",
        "BatchNormParameter.bias_filler",
        "BatchNormParameter.use_alpha_beta",
        "BatchNormParameter.do_all_reduce",
        "ConvolutionParameter.width_group",
        "ConvolutionParameter.height_group",
    }
)
_HARMLESS = frozenset(
    {
        "DataParameter.cache",
        "DataParameter.verbose",
        "LayerParameter.engine",
        "NetParameter.eltwise_mem_sharing",
        "NetParameter.mem_param",
        "NetParameter.multinode",
    }
)
"""Fork fields that change how fast a net runs, not what it computes."""
_ACTED_ON = frozenset(
    {
        "DropoutParameter.sample_weights_test",
        "DropoutParameter.scale_train",
        "ImageDataParameter.ignore_label",
        "ImageDataParameter.label_divide_factor",
        "ImageDataParameter.label_type",
        "LossParameter.class_weighting",
        "LossParameter.weight_by_label_freqs",
        "PoolingParameter.ceil_mode",
        "TransformationParameter.img_rand_resize_lower",
        "TransformationParameter.img_rand_resize_upper",
        "TransformationParameter.random_resize_param",
        "TransformationParameter.scale_factors",
    }
)
"""Fork fields that layers here have too; a layer that has not tells it itself."""


def fork_field_warnings(message: Message, source: SourceMap) -> list[Diagnostic]:
    """Give a warning for each kind of fork field in a net or solver, at its first place.

    The parameters of a fork's layer types are left out: the type says it already.
    """
    found: dict[str, list[Path]] = {}
    _collect(message, (), found)
    return [_warning(name, paths, source) for name, paths in found.items()]


def _collect(message: Message, path: Path, found: dict[str, list[Path]]) -> None:
    for field, value in message.ListFields():
        if _is_of_fork(field):
            found.setdefault(_name(field), []).append((*path, field.name))
        elif _leads_to_fork_fields(field):
            if isinstance(value, Message):
                _collect(value, (*path, field.name), found)
            else:
                for index, item in enumerate(value):
                    _collect(item, (*path, field.name, index), found)


@cache
def _leads_to_fork_fields(field: FieldDescriptor) -> bool:
    """Whether a field is a message that can have fork fields, in itself or further inside."""
    return not _is_parameter_of_fork_layer(field) and _reaches_fork_field(field, set())


def _reaches_fork_field(field: FieldDescriptor, seen: set[str]) -> bool:
    descriptor = field.message_type
    if descriptor is None or descriptor.full_name in seen:
        return False
    seen.add(descriptor.full_name)
    return any(_is_of_fork(f) or _reaches_fork_field(f, seen) for f in descriptor.fields)


@cache
def _is_of_fork(field: FieldDescriptor) -> bool:
    name = _name(field)
    if name in _HARMLESS | _ACTED_ON or _is_parameter_of_fork_layer(field):
        return False
    return name in _BELOW or _FIRST_OF_FORKS <= field.number < _FIRST_OF_OURS


@cache
def _is_parameter_of_fork_layer(field: FieldDescriptor) -> bool:
    last = _LAST_LAYER_PARAMETER.get(field.containing_type.name if field.containing_type else "")
    return last is not None and field.name.endswith("_param") and field.number > last


def _name(field: FieldDescriptor) -> str:
    return field.full_name.removeprefix("protonet.")


def _warning(name: str, paths: list[Path], source: SourceMap) -> Diagnostic:
    again = f" (so in {len(paths)} places)" if len(paths) > 1 else ""
    return Diagnostic(
        "W123",
        f"{name.partition('.')[2]} has no effect: it is a field of a Caffe fork{again}",
        (source.key_span(paths[0]),),
    )
