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
from protonet.prototxt.format import format_text
from protonet.prototxt.read import read_text
from protonet.prototxt.source import Path, SourceMap
from protonet.prototxt.text import parse_text, parse_text_diagnosed

__all__ = [
    "Diagnostic",
    "Error",
    "Path",
    "Severity",
    "SourceMap",
    "Span",
    "as_json",
    "format_text",
    "nearest",
    "parse_text",
    "parse_text_diagnosed",
    "read_text",
    "render",
]
