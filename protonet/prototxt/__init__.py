"""Text format: from text to messages with a source map and diagnostics, and back to text."""

from protonet.prototxt.diagnostics import (
    Diagnostic,
    Error,
    Severity,
    Span,
    as_json,
    nearest,
    render,
)
from protonet.prototxt.source import Path, SourceMap

__all__ = [
    "Diagnostic",
    "Error",
    "Path",
    "Severity",
    "SourceMap",
    "Span",
    "as_json",
    "nearest",
    "render",
]
