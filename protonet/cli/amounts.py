"""Large numbers as tables show them: three significant digits and a unit."""

from __future__ import annotations

__all__ = ["amount", "size"]


def amount(count: int | None) -> str:
    """Writes a count as 999, 1.23 K, 12.3 M; "" for 0 and "?" where it is not known."""
    if count is None:
        return "?"
    return _scaled(count, ("", " K", " M", " G", " T")) if count else ""


def size(count: int | None) -> str:
    """Writes a number of bytes as 999 B, 1.23 kB, 12.3 MB; "" for 0, "?" where it is not known."""
    if count is None:
        return "?"
    return _scaled(count, (" B", " kB", " MB", " GB", " TB")) if count else ""


def _scaled(count: float, units: tuple[str, ...]) -> str:
    unit = 0
    while unit < len(units) - 1 and round(count, 1) >= 1000:
        count /= 1000
        unit += 1
    digits = 0 if unit == 0 or count >= 99.95 else 1 if count >= 9.995 else 2
    return f"{count:,.{digits}f}{units[unit]}"
