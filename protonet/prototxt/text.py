"""From text to a message with its source map, or to everything that is wrong with it."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import Message

from protonet.prototxt import schema
from protonet.prototxt.bind import bind
from protonet.prototxt.diagnostics import Diagnostic, Error, Severity
from protonet.prototxt.extents import extents_of
from protonet.prototxt.faults import Faults
from protonet.prototxt.parse import parse
from protonet.prototxt.source import SourceMap

__all__ = ["parse_text", "parse_text_diagnosed"]

M = TypeVar("M", bound=Message)


def parse_text(text: str, message_type: type[M], file: str = "<string>") -> tuple[M, SourceMap]:
    """Read text format into a new message of this type.

    Raises Error with all the errors of the text.
    """
    message, source, diagnostics = parse_text_diagnosed(text, message_type, file)
    if any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics):
        raise Error(*diagnostics)
    return message, source


def parse_text_diagnosed(
    text: str, message_type: type[M], file: str = "<string>"
) -> tuple[M, SourceMap, list[Diagnostic]]:
    """Read text format as far as it can be read, and give what is wrong with the rest.

    Fields with errors are left out of the message. Never raises on account of the text.
    """
    text = text.removeprefix("\ufeff")
    message = message_type()
    faults = Faults()
    tree = parse(text, faults)
    rejected = bind(tree, message, faults)
    source = SourceMap(
        file, text, extents_of(tree.body, schema.message_type(message.DESCRIPTOR), rejected)
    )
    return message, source, faults.diagnostics(source)
