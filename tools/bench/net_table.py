"""Turns the times of tools/bench/nets.py into rows and a table."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Row", "table"]

OURS = "protonet"


@dataclass(frozen=True)
class Row:
    """One net at one batch: each engine's ms of each round, and its floating-point operations."""

    net: str
    batch: int
    flop: float
    times: Mapping[str, Sequence[float]]

    @property
    def medians(self) -> dict[str, float]:
        """Returns engine → the median of its rounds, ms."""
        return {engine: statistics.median(times) for engine, times in self.times.items() if times}

    @property
    def best_peer(self) -> str | None:
        """The fastest engine that is not ours; None if there is none."""
        peers = {name: ms for name, ms in self.medians.items() if not name.startswith(OURS)}
        return min(peers, key=lambda name: peers[name]) if peers else None

    @property
    def ratio(self) -> float | None:
        """Our median / the best peer's; None if one of the two is missing."""
        medians, best = self.medians, self.best_peer
        return medians[OURS] / medians[best] if best and OURS in medians else None

    def share(self, peak: float) -> float | None:
        """Returns our operations a second as a share of `peak` GFLOP/s."""
        ours = self.medians.get(OURS)
        return self.flop / ours * 1e-6 / peak if ours else None


def table(rows: Sequence[Row], engines: Sequence[str], peak: float) -> str:
    """Returns a Markdown table: a row for each net and batch, the best peer in bold."""
    heads = ["net", "batch", "GFLOP", *engines, "ours / best peer", "of FMA peak"]
    lines = [heads, ["---"] * len(heads)]
    for row in rows:
        medians, ratio, share = row.medians, row.ratio, row.share(peak)
        cells = [row.net, str(row.batch), f"{row.flop / 1e9:.3g}"]
        for engine in engines:
            text = f"{medians[engine]:.3g}" if engine in medians else "–"
            cells.append(f"**{text}**" if engine == row.best_peer else text)
        cells.append("–" if ratio is None else f"{ratio:.2f}")
        cells.append("–" if share is None else f"{share:.0%}")
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
