"""Inference plans: a checked net folded, fused and placed in memory, replayed by one C call."""

from .fed import FedPlan
from .plan import Plan, compile

__all__ = ["FedPlan", "Plan", "compile"]
