"""ONNX, out and in: see export_onnx."""

from __future__ import annotations

from .export import export_onnx

__all__ = ["export_onnx"]
