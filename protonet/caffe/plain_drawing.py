"""Drawing a graph as SVG or PNG without Graphviz."""

from __future__ import annotations

import io
import math
from xml.sax.saxutils import escape, quoteattr

from .graph_picture import GraphPicture
from .plain_layout import LINE_HEIGHT, Layout, Point, laid_out

__all__ = ["plain_png", "plain_svg"]

_LINE, _INK, _FONT_SIZE, _HEAD, _CUT = "#606060", "#000000", 11, 6.0, 0.25
_MOST_PIXELS = 50_000_000


def plain_svg(picture: GraphPicture) -> bytes:
    """Returns the drawing as an SVG file."""
    layout = laid_out(picture)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{layout.width:.0f}" '
        f'height="{layout.height:.0f}" font-family="monospace" font-size="{_FONT_SIZE}" '
        'text-anchor="middle">',
        f"<title>{escape(picture.title)}</title>",
    ]
    for edge, points in layout.lines:
        parts.append(f'<polyline points="{_text(points)}" fill="none" stroke="{_LINE}"/>')
        parts.append(f'<polygon points="{_text(_head(points))}" fill="{_LINE}"/>')
        if edge.label:
            x, y = _middle(points)
            parts.append(f'<text x="{x:.1f}" y="{y:.1f}">{escape(edge.label)}</text>')
    for node in picture.nodes.values():
        outline = _outline(layout, node.name, node.is_octagon)
        parts.append(
            f'<polygon points="{_text(outline)}" fill={quoteattr(node.color)} stroke="{_INK}"/>'
        )
        for line, (x, y) in zip(node.lines, _baselines(layout, node.name), strict=False):
            parts.append(f'<text x="{x:.1f}" y="{y:.1f}">{escape(line)}</text>')
    return "\n".join([*parts, "</svg>"]).encode()


def plain_png(picture: GraphPicture) -> bytes:
    """Returns the drawing as a PNG file, made smaller if it would be very large."""
    from PIL import Image, ImageDraw, ImageFont

    layout = laid_out(picture)
    scale = min(1.0, math.sqrt(_MOST_PIXELS / max(layout.width * layout.height, 1.0)))

    def scaled(*points: Point) -> list[Point]:
        return [(x * scale, y * scale) for x, y in points]

    size = (math.ceil(layout.width * scale), math.ceil(layout.height * scale))
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(max(_FONT_SIZE * scale, 1.0))
    for edge, points in layout.lines:
        draw.line(scaled(*points), fill=_LINE)
        draw.polygon(scaled(*_head(points)), fill=_LINE)
        if edge.label:
            draw.text(scaled(_middle(points))[0], edge.label, fill=_INK, font=font, anchor=_ANCHOR)
    for node in picture.nodes.values():
        outline = scaled(*_outline(layout, node.name, node.is_octagon))
        draw.polygon(outline, fill=node.color, outline=_INK)
        places = scaled(*_baselines(layout, node.name))
        for line, place in zip(node.lines, places, strict=False):
            draw.text(place, line, fill=_INK, font=font, anchor=_ANCHOR)
    stored = io.BytesIO()
    image.save(stored, "PNG")
    return stored.getvalue()


_ANCHOR = "ms"  # a text's place is the middle of its baseline


def _text(points: list[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _middle(points: list[Point]) -> Point:
    (x1, y1), (x2, y2) = points[-2:]
    return (x1 + x2) / 2, (y1 + y2) / 2


def _head(points: list[Point]) -> list[Point]:
    """Returns the triangle at the end of an arrow."""
    (x1, y1), (x2, y2) = points[-2:]
    length = math.hypot(x2 - x1, y2 - y1) or 1.0
    dx, dy = (x2 - x1) / length * _HEAD, (y2 - y1) / length * _HEAD
    return [(x2, y2), (x2 - dx - dy / 2, y2 - dy + dx / 2), (x2 - dx + dy / 2, y2 - dy - dx / 2)]


def _outline(layout: Layout, name: str, is_octagon: bool) -> list[Point]:
    (x, y), (width, height) = layout.places[name], layout.sizes[name]
    right, low = width / 2, height / 2
    cut = _CUT * height if is_octagon else 0.0
    corners = [
        (right - cut, -low), (right, cut - low), (right, low - cut), (right - cut, low),
        (cut - right, low), (-right, low - cut), (-right, cut - low), (cut - right, -low),
    ]  # fmt: skip
    return [(x + dx, y + dy) for dx, dy in corners]


def _baselines(layout: Layout, name: str) -> list[Point]:
    (x, y), (_, height) = layout.places[name], layout.sizes[name]
    count = round(height / LINE_HEIGHT)
    top = y - height / 2 + LINE_HEIGHT * 1.3
    return [(x, top + LINE_HEIGHT * line) for line in range(count)]
