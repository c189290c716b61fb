"""A drawing of a graph before it is laid out, and its text for Graphviz."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass, field

from .errors import CaffeError

__all__ = ["Edge", "GraphPicture", "Node"]

_TEXT = ("dot", "gv", "raw")
_OWN = ("png", "svg")
DIRECTIONS = ("LR", "TB", "BT", "RL")


@dataclass(frozen=True)
class Node:
    """A box, or an octagon, with some lines of text."""

    name: str
    lines: tuple[str, ...]
    color: str
    is_octagon: bool = False


@dataclass(frozen=True)
class Edge:
    """An arrow between two nodes, given by name."""

    start: str
    end: str
    label: str = ""


@dataclass
class GraphPicture:
    """Nodes in order, no node before those that its arrows come from, but for loops; and arrows.

    `direction` is where the arrows point: LR, TB, BT or RL.
    """

    title: str
    direction: str = "LR"
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise CaffeError(f"rankdir is one of {', '.join(DIRECTIONS)}, not {self.direction!r}")

    def dot(self) -> str:
        """Returns the graph in Graphviz's language."""
        lines = [f"digraph {_quoted(self.title or 'Net')} {{", f"rankdir={self.direction};"]
        for node in self.nodes.values():
            shape = "octagon" if node.is_octagon else "box"
            label = _quoted("\n".join(node.lines))
            lines.append(
                f"{_quoted(node.name)} [label={label}, shape={shape}, style=filled, "
                f'fillcolor="{node.color}"];'
            )
        for edge in self.edges:
            label = f" [label={_quoted(edge.label)}]" if edge.label else ""
            lines.append(f"{_quoted(edge.start)} -> {_quoted(edge.end)}{label};")
        return "\n".join([*lines, "}"]) + "\n"

    def drawn(self, form: str) -> bytes:
        """Returns the drawing as png, svg or any other form that Graphviz's `dot` makes.

        Without `dot` on the PATH a plainer drawing, png or svg only; CaffeError for others.
        """
        form = form.lower()
        if form in _TEXT:
            return self.dot().encode()
        program = shutil.which("dot")
        if program is None:
            if form not in _OWN:
                raise CaffeError(
                    f"drawing as {form} needs Graphviz (its program `dot`); without it there are "
                    f"{', '.join((*_OWN, *_TEXT))}"
                )
            from .plain_drawing import plain_png, plain_svg

            return plain_png(self) if form == "png" else plain_svg(self)
        done = subprocess.run(
            [program, f"-T{form}"], input=self.dot().encode(), capture_output=True
        )
        if done.returncode:
            raise CaffeError(f"dot: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
