"""The report's colours, without a browser: text can be read on its ground in both themes."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

_STYLE = (files("foodvision.report.html") / "templates" / "style.css").read_text("utf-8")
_LEAST = 4.5  # WCAG 2.2, AA, text of any size
_PAIRS = [
    (text, ground)
    for text in ("ink", "muted", "accent", "bad", "good")
    for ground in ("ground", "raised")
] + [("on-accent", "accent"), ("on-accent", "bad")]


def _themes() -> list[dict[str, str]]:
    blocks = re.findall(r"color-scheme: (?:light|dark);\s*(--ground.*?)}", _STYLE, re.DOTALL)
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks]


def _luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(("text", "ground"), _PAIRS)
def test_text_stands_out_from_its_ground(text: str, ground: str) -> None:
    themes = _themes()
    assert len(themes) == 4  # light, dark by the system, dark by choice, paper
    assert themes[1] == themes[2]
    for theme in themes:
        lighter, darker = sorted((_luminance(theme[text]), _luminance(theme[ground])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= _LEAST
