"""What a database holds: sizes, labels, kinds of records, and which of them are bad."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from .convert import Progress, no_progress
from .databases import open_database
from .errors import DataError
from .pictures import Image
from .scan import scan

__all__ = ["Survey", "survey"]


@dataclass
class Survey:
    """The counts of a database's records."""

    path: str
    count: int = 0
    shapes: Counter[tuple[int, ...]] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    labels: Counter[int] = field(default_factory=Counter)
    bad: list[DataError] = field(default_factory=list)
    examples: list[Image] = field(default_factory=list)


def survey(path: str, examples: int = 0, progress: Progress = no_progress) -> Survey:
    """Reads and decodes every record; keeps so many images, evenly spread, as examples.

    Raises DataError where the database itself cannot be read to its end.
    """
    with open_database(path) as source:
        found = Survey(path, source.count)
        chosen = set(np.linspace(0, source.count - 1, examples).astype(int).tolist())
        for record in progress(scan(source), source.count):
            if isinstance(record.image, DataError):
                found.bad.append(record.image)
                continue
            found.shapes[record.image.shape] += 1
            is_bytes = record.image.dtype == np.uint8
            found.kinds["encoded" if record.encoded else "raw" if is_bytes else "floats"] += 1
            found.labels[record.label] += 1
            if record.number in chosen:
                found.examples.append(record.image.copy())
    return found
