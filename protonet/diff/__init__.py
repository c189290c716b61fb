"""What is different between two nets, whatever the formats of their files: see compare."""

from __future__ import annotations

from .comparison import Comparison, compare
from .sides import Side, read_side

__all__ = ["Comparison", "Side", "compare", "read_side"]
