"""Laying a graph out in ranks, without Graphviz (Sugiyama et al. 1981, at its simplest).

A node's rank is one more than the highest of those that its arrows come from; an arrow over
several ranks gets a place in each, so that it does not run through boxes; within a rank, things
are near what they are joined to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from .graph_picture import Edge, GraphPicture, Node

__all__ = ["Layout", "laid_out"]

LETTER_WIDTH, LINE_HEIGHT, MARGIN = 7.0, 14.0, 8.0
_BETWEEN_RANKS, _BETWEEN_NODES, _SWEEPS = 36.0, 14.0, 6

Point = tuple[float, float]


@dataclass
class Layout:
    """Centres and sizes of nodes, the points that each arrow goes through, and the whole size."""

    width: float
    height: float
    places: dict[str, Point]
    sizes: dict[str, Point]
    lines: list[tuple[Edge, list[Point]]]


@dataclass
class _Item:
    """A node, or a place of an arrow between its ends, in a rank."""

    extent: float  # across the ranks' direction
    depth: float = 0.0  # along it
    place: float = 0.0
    before: list[_Item] = field(default_factory=list)
    after: list[_Item] = field(default_factory=list)


def size_of(node: Node) -> Point:
    """Returns the width and height that a node's text takes, in pixels."""
    width = max(map(len, node.lines), default=0) * LETTER_WIDTH + 2 * MARGIN
    return width, len(node.lines) * LINE_HEIGHT + 2 * MARGIN


def laid_out(picture: GraphPicture) -> Layout:
    """Returns where everything of a picture goes, in pixels from the top left."""
    is_upright = picture.direction in ("TB", "BT")
    sizes = {name: size_of(node) for name, node in picture.nodes.items()}
    items = {name: _Item(*(size if is_upright else size[::-1])) for name, size in sizes.items()}
    ranks, chains = _ranked(picture, items)
    for sweep in range(_SWEEPS):
        for rank in ranks if sweep % 2 == 0 else ranks[::-1]:
            _settle(rank, sweep % 2 == 0)
    least = min((item.place - item.extent / 2 for rank in ranks for item in rank), default=0.0)
    most = max((item.place + item.extent / 2 for rank in ranks for item in rank), default=0.0)
    along: dict[int, float] = {}
    reached = MARGIN
    for rank in ranks:
        depth = max(item.depth for item in rank)
        along.update({id(item): reached + depth / 2 for item in rank})
        reached += depth + _BETWEEN_RANKS
    length = max(reached - _BETWEEN_RANKS, 0) + MARGIN
    breadth = most - least + 2 * MARGIN

    def point(item: _Item, step: float = 0.0) -> Point:
        forward = along[id(item)] + step
        if picture.direction in ("BT", "RL"):
            forward = length - forward
        across = item.place - least + MARGIN
        return (across, forward) if is_upright else (forward, across)

    lines = []
    for edge, chain in chains:
        way = 1 if along[id(chain[-1])] > along[id(chain[0])] else -1
        ends = [point(chain[0], way * chain[0].depth / 2)]
        ends += [point(item) for item in chain[1:-1]]
        lines.append((edge, [*ends, point(chain[-1], -way * chain[-1].depth / 2)]))
    places = {name: point(item) for name, item in items.items()}
    width, height = (breadth, length) if is_upright else (length, breadth)
    return Layout(width, height, places, sizes, lines)


def _ranked(
    picture: GraphPicture, items: dict[str, _Item]
) -> tuple[list[list[_Item]], list[tuple[Edge, list[_Item]]]]:
    """Returns the ranks, and for each arrow its items: start, places between, end."""
    order = {name: index for index, name in enumerate(picture.nodes)}
    forward = [edge for edge in picture.edges if order[edge.start] < order[edge.end]]
    incoming: dict[str, list[str]] = {}
    for edge in forward:
        incoming.setdefault(edge.end, []).append(edge.start)
    rank_of: dict[str, int] = {}
    for name in picture.nodes:
        rank_of[name] = max((rank_of[start] + 1 for start in incoming.get(name, ())), default=0)
    ranks: list[list[_Item]] = [[] for _ in range(max(rank_of.values(), default=-1) + 1)]
    for name, rank in rank_of.items():
        ranks[rank].append(items[name])
    chains = []
    for edge in picture.edges:
        chain = [items[edge.start]]
        for rank in range(rank_of[edge.start] + 1, rank_of[edge.end]):
            ranks[rank].append(_Item(LETTER_WIDTH))
            chain.append(ranks[rank][-1])
        chain.append(items[edge.end])
        chains.append((edge, chain))
        if order[edge.start] < order[edge.end]:
            for one, next_one in pairwise(chain):
                one.after.append(next_one)
                next_one.before.append(one)
    return ranks, chains


def _settle(rank: list[_Item], looks_back: bool) -> None:
    """Moves the items of a rank to the middle of what they are joined to, in that order, apart."""

    def wish(item: _Item) -> float:
        joined = item.before if looks_back else item.after
        return sum(each.place for each in joined) / len(joined) if joined else item.place

    wishes = {id(item): wish(item) for item in rank}
    rank.sort(key=lambda item: wishes[id(item)])
    reached = float("-inf")
    for item in rank:
        item.place = max(wishes[id(item)], reached + item.extent / 2)
        reached = item.place + item.extent / 2 + _BETWEEN_NODES
    shift = sum(wishes[id(item)] - item.place for item in rank) / len(rank)
    for item in rank:
        item.place += shift
