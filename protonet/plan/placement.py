"""Deciding where in one arena each value lies, by how long it is needed."""

from __future__ import annotations

from collections.abc import Container, Iterable

from .program import Program, Value

__all__ = ["place_values", "work_in_place"]

_ALIGNMENT = 16  # elements: values begin on cache lines


def work_in_place(program: Program) -> None:
    """An operation that may overwrite what it reads does so, where nobody needs that later."""
    last = _last_uses(program)
    for index, operation in enumerate(program.operations):
        if not operation.in_place or operation.constant or len(operation.outputs) != 1:
            continue
        value, output = operation.inputs[0], operation.outputs[0]
        root = value.root
        if (
            output.base is None
            and last.get(root) == index
            and output.count == value.count == root.count
            and not value.apart
            and all(other.root is not root for other in operation.inputs[1:])
            and not _is_constant(program, root)
        ):
            output.base, output.offset, output.image = value, 0, 0
            last[root] = last.pop(output, index)


def _is_constant(program: Program, root: Value) -> bool:
    maker = program.maker(root)
    return maker is not None and maker.constant


def _last_uses(program: Program) -> dict[Value, int]:
    """Returns, for each root, the index of the last operation that touches its memory; beyond
    all of them for what stays readable."""
    last: dict[Value, int] = {}
    for index, operation in enumerate(program.operations):
        for value in (*operation.inputs, *operation.outputs):
            last[value.root] = index
    for value in (*program.wanted.values(), *program.kept):
        last[value.root] = len(program.operations)
    return last


def place_values(
    program: Program, elsewhere: Container[Value] = ()
) -> tuple[dict[Value, int], int]:
    """Returns where each root starts in the arena, and the arena's size, in elements.

    The largest first, each at the lowest place that is free for as long as it is needed. What
    constant operations make lies elsewhere, and so does not appear; nor do the roots `elsewhere`.
    """
    last = _last_uses(program)
    first: dict[Value, int] = dict.fromkeys(program.inputs.values(), -1)
    for index, operation in enumerate(program.operations):
        if not operation.constant:
            for value in operation.outputs:
                if value.root not in elsewhere:
                    first.setdefault(value.root, index)
    places: dict[Value, int] = {}
    roots = sorted(first, key=lambda root: -root.count)
    for root in roots:
        life = (first[root], last.get(root, first[root]))
        busy = sorted(
            (places[other], places[other] + _size(other))
            for other in places
            if first[other] <= life[1] and life[0] <= last.get(other, first[other])
        )
        places[root] = _lowest(busy, _size(root))
    return places, max((places[root] + _size(root) for root in places), default=0)


def _size(value: Value) -> int:
    return -(-max(1, value.count) // _ALIGNMENT) * _ALIGNMENT


def _lowest(busy: Iterable[tuple[int, int]], size: int) -> int:
    start = 0
    for begin, end in busy:
        if begin - start >= size:
            break
        start = max(start, end)
    return start
