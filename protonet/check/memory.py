"""How much memory a net needs at the least, and whether this machine has it.

Codes: E207 the net needs more memory than there is.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from protonet.prototxt.diagnostics import Diagnostic

if TYPE_CHECKING:
    from .graph import Graph

__all__ = ["machine_memory_bytes", "memory_bytes", "memory_diagnostic"]

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_bytes(graph: Graph, element_bytes: int = 4) -> int:
    """Returns the bytes of all blobs and parameters, values alone: the least a net can need."""
    return sum(_blob_bytes(graph, element_bytes)) + _parameter_bytes(graph, element_bytes)


def machine_memory_bytes() -> int | None:
    """Returns what this process may use: the machine's memory, or less if it is limited."""
    limits = []
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for file in _CGROUP_LIMITS:
        try:
            with open(file) as stream:
                limits.append(int(stream.read()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    try:
        import resource
    except ImportError:  # not a Unix
        pass
    else:
        limits.append(resource.getrlimit(resource.RLIMIT_AS)[0])
    known = [limit for limit in limits if limit > 0]
    return min(known) if known else None


def memory_diagnostic(graph: Graph, element_bytes: int = 4) -> Diagnostic | None:
    """Returns an error at the layer with the most, if the net cannot fit the machine."""
    there = machine_memory_bytes()
    needed = memory_bytes(graph, element_bytes)
    if there is None or needed <= there:
        return None
    sizes = _blob_bytes(graph, element_bytes)
    for learnable in graph.learnable:
        sizes[learnable.uses[0][0]] += element_bytes * math.prod(learnable.shape)
    largest = max(range(len(sizes)), key=sizes.__getitem__)
    node = graph.nodes[largest]
    return Diagnostic(
        "E207",
        f"the net needs {_gigabytes(needed)}, and this process may use {_gigabytes(there)}",
        graph.places(node.path),
        f"{_gigabytes(sizes[largest])} of it for this layer",
        (node.title, f"{_gigabytes(_parameter_bytes(graph, element_bytes))} are parameters"),
        "make the batch or the input smaller",
    )


def _blob_bytes(graph: Graph, element_bytes: int) -> list[int]:
    """Returns per node the bytes of the blobs that it makes."""
    sizes = [0] * len(graph.nodes)
    for shape, producer in zip(graph.blob_shapes, graph.producers, strict=True):
        layer = graph.nodes[producer].layer
        if shape is not None and layer is not None and not layer.shares_memory:
            sizes[producer] += element_bytes * math.prod(shape)
    return sizes


def _parameter_bytes(graph: Graph, element_bytes: int) -> int:
    return element_bytes * sum(math.prod(learnable.shape) for learnable in graph.learnable)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.3g} GB"
