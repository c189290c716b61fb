"""The extents of a bound tree, for its source map."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lark import Token

from protonet.prototxt.schema import Kind, MessageType
from protonet.prototxt.source import Extent, Path
from protonet.prototxt.tree import Block, Body, Item, List, split

__all__ = ["extents_of"]


def extents_of(
    body: Body, kind: MessageType, rejected: set[int]
) -> Callable[[], Mapping[Path, Extent]]:
    """Give a function that works out where each field is; `rejected` values have no place."""

    def find() -> Mapping[Path, Extent]:
        extents: dict[Path, Extent] = {}
        _collect(body, kind, (), rejected, extents)
        return extents

    return find


def _collect(
    body: Body, kind: MessageType, path: Path, rejected: set[int], extents: dict[Path, Extent]
) -> None:
    counts: dict[str, int] = {}
    for field in body:
        item = split(field) if isinstance(field, Token) else field
        known = kind.fields.get(item.name)
        if known is None:
            continue
        values: list[Item] = (
            item.items
            if isinstance(item, List)
            else [item if isinstance(item, Block) else item.value]
        )
        for value in values:
            here = (*path, item.name)
            if known.repeated:
                if value.start in rejected:
                    continue
                index = counts.get(item.name, 0)
                counts[item.name] = index + 1
                here = (*here, index)
            if here in extents:
                continue  # given twice: the first counts
            key = (item.start, item.start + len(item.name))
            if isinstance(value, Block):
                extents[here] = Extent(*key, *key)
                if known.kind is Kind.MESSAGE and value.start not in rejected:
                    _collect(value.body, known.message, here, rejected, extents)
            else:
                extents[here] = Extent(*key, value.start, value.end)
