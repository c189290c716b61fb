"""Names that are not taken."""

from __future__ import annotations

__all__ = ["fresh_name"]


def fresh_name(wanted: str, taken: set[str]) -> str:
    """Returns the name, with a number behind it if it is taken, and takes it."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name
