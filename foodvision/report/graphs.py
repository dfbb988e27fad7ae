"""A directed graph as a picture: SVG that needs nothing else, and follows light and dark."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from foodvision.report.layers import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from foodvision.report.layers import Edge

_SVG = "http://www.w3.org/2000/svg"
_WIDTH, _MARGIN, _PADDING, _STRIP = 284.0, 24.0, 12.0, 5.0
_LINE, _HEAD = 17.0, 16.0
_COLUMNS, _MOST_LINES = 32.0, 4  # as wide as small letters; Japanese ones take two
_GAP, _LAYER_GAP = 28.0, 44.0

# Okabe & Ito's colours, as in the other pictures; text is never in them.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#7a6c00", "#8a93a0",
            "#9a6fd0")  # fmt: skip
_STYLE = """
svg { --paper: #ffffff; --box: #f7f8fa; --edge: #c4cad3; --ink: #1f2328; --muted: #5f6875;
  background: var(--paper); }
@media (prefers-color-scheme: dark) { svg { --paper: #14171c; --box: #1d2229; --edge: #4a535f;
  --ink: #e8eaed; --muted: #a5aeba; } }
text { font: 12.5px system-ui, "Segoe UI", "Hiragino Sans", "Noto Sans CJK JP", sans-serif;
  fill: var(--ink); }
.kind { font-size: 11px; font-weight: 600; letter-spacing: .04em; fill: var(--muted); }
.box { fill: var(--box); stroke: var(--edge); }
.arrow { fill: none; stroke: var(--muted); stroke-width: 1.4; }
.tip { fill: var(--muted); }
"""


@dataclass(frozen=True)
class Box:
    """A thing in a graph.

    Attributes:
        kind: what it is, in a word; decides the colour.
        name: small, beside the kind.
        text: as long as it likes; what does not fit is in the tooltip.
    """

    kind: str
    name: str
    text: str


def draw_graph(boxes: Mapping[str, Box], edges: Sequence[Edge], *, title: str) -> str:
    """Return a graph as SVG, its arrows pointing downwards.

    Args:
        boxes: by id.
        edges: ids of a box and of one below it; without cycles.
        title: for whoever cannot see it.
    """
    lines = {name: _wrapped(box.text) for name, box in boxes.items()}
    sizes = {
        name: (_WIDTH, 2 * _PADDING + _HEAD + _LINE * len(wrapped))
        for name, wrapped in lines.items()
    }
    layout = lay_out(sizes, edges, gap=_GAP, layer_gap=_LAYER_GAP)
    width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN
    svg = ET.Element(
        "svg",
        {
            "xmlns": _SVG, "viewBox": f"0 0 {width:.0f} {height:.0f}", "width": f"{width:.0f}",
            "height": f"{height:.0f}", "role": "img", "aria-label": _plain(title),
        },
    )  # fmt: skip
    ET.SubElement(svg, "title").text = _plain(title)
    ET.SubElement(svg, "style").text = _STYLE
    inside = ET.SubElement(svg, "g", {"transform": f"translate({_MARGIN:.0f} {_MARGIN:.0f})"})
    for (source, target), route in layout.routes.items():
        x, y = layout.places[source]
        _draw_arrow(inside, [(x, y + sizes[source][1]), *route, layout.places[target]])
    colours = dict(zip(dict.fromkeys(b.kind for b in boxes.values()), _endless(), strict=False))
    for name, box in boxes.items():
        at = (layout.places[name][0] - _WIDTH / 2, layout.places[name][1])
        _draw_box(inside, box, lines[name], at, sizes[name][1], colours[box.kind])
    ET.indent(svg)
    return ET.tostring(svg, encoding="unicode") + "\n"


def _endless() -> Iterable[str]:
    while True:
        yield from _COLOURS


def _draw_arrow(parent: ET.Element, points: Sequence[tuple[float, float]]) -> None:
    (x, y), *others = points
    path = [f"M {x:.1f} {y:.1f}"]
    for number, (to_x, to_y) in enumerate(others):
        is_inside_a_layer = number % 2 == 1 and number < len(others) - 1
        if is_inside_a_layer:
            path.append(f"L {to_x:.1f} {to_y:.1f}")
        else:
            end = to_y - 7 if number == len(others) - 1 else to_y
            bend = (y + end) / 2
            path.append(f"C {x:.1f} {bend:.1f} {to_x:.1f} {bend:.1f} {to_x:.1f} {end:.1f}")
        x, y = to_x, to_y
    ET.SubElement(parent, "path", {"class": "arrow", "d": " ".join(path)})
    tip = f"M {x - 4.5:.1f} {y - 8:.1f} L {x:.1f} {y:.1f} L {x + 4.5:.1f} {y - 8:.1f} Z"
    ET.SubElement(parent, "path", {"class": "tip", "d": tip})


def _draw_box(
    parent: ET.Element,
    box: Box,
    lines: Sequence[str],
    at: tuple[float, float],
    height: float,
    colour: str,
) -> None:
    x, y = at
    group = ET.SubElement(parent, "g", {"transform": f"translate({x:.1f} {y:.1f})"})
    ET.SubElement(group, "title").text = _plain(f"{box.kind} {box.name}\n{box.text}")
    size = {"width": f"{_WIDTH:.0f}", "height": f"{height:.0f}"}
    ET.SubElement(group, "rect", {"class": "box", "rx": "6", **size})
    strip = {"x": "0", "y": "6", "rx": "2.5", "width": f"{_STRIP}", "height": f"{height - 12:.0f}"}
    ET.SubElement(group, "rect", {**strip, "fill": colour})
    left, top = _PADDING + _STRIP, _PADDING + 10
    _write(group, f"{box.kind} {box.name}".strip(), left, top, "kind")
    for number, line in enumerate(lines):
        _write(group, line, left, top + _HEAD + 3 + number * _LINE)


def _write(parent: ET.Element, text: str, x: float, y: float, name: str | None = None) -> None:
    place = {"x": f"{x:.0f}", "y": f"{y:.0f}", **({"class": name} if name else {})}
    ET.SubElement(parent, "text", place).text = _plain(text)


def _wrapped(text: str) -> list[str]:
    """Break text into lines that fit a box; what is too much ends in an ellipsis."""
    lines, line = [], ""
    for word in _words(_plain(text)):
        if line and _columns(line + word.rstrip()) > _COLUMNS:
            lines.append(line.rstrip())
            line = ""
        line += word
    lines.append(line.rstrip())
    if len(lines) <= _MOST_LINES:
        return lines
    last = lines[_MOST_LINES - 1]
    while _columns(last) > _COLUMNS - 1:
        last = last[:-1]
    return [*lines[: _MOST_LINES - 1], f"{last.rstrip()}…"]


def _words(text: str) -> Iterable[str]:
    """Yield words with the blank behind them, long ones in pieces that fit a line."""
    for word in text.split():
        piece = ""
        for character in word:
            if _columns(piece + character) > _COLUMNS:
                yield piece
                piece = ""
            piece += character
        yield f"{piece} "


def _columns(text: str) -> float:
    """Return about how wide a text is, in small letters, in a wide font."""
    return sum(_column(each) for each in text)


def _column(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return 2.0
    return 1.4 if character.isupper() or character in "mw%@…" else 1.0


def _plain(text: str) -> str:
    """Return text without what XML cannot hold: control characters, lone surrogates."""
    kept = (each if each in "\t\n" or unicodedata.category(each) not in ("Cc", "Cs") else "�"
            for each in text)  # fmt: skip
    return "".join(kept)
