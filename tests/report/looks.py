"""What the tests of pictures share: names that hurt, and eyes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foodvision.report import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

NASTY_NAMES = (
    "ピザ",
    "ステーキ",
    "寿司",
    "饺子",  # simplified Chinese: not in every font
    "김치",
    "quotes \"double\" and 'single'",
    "🍕 slice",
    "👩🏽‍🍳",
    "$x_1$ costs $5",
    "$\\oops{$",  # no formula: mathtext would fail
    "<script>alert(1)</script>",
    "line\nbreak\tand \x07 bell",
    "x" * 200,
    "\udc80 not UTF-8",
    "ภาษาไทย",
)


class Gallery:
    """The figures that were saved, and the texts that were really drawn (not all ticks are)."""

    def __init__(self) -> None:
        self.figure: Figure
        self.drawn: dict[int, Text] = {}

    def texts(self) -> list[str]:
        return [text.get_text() for text in self.drawn.values()]

    def all_text(self) -> str:
        return "\n".join(self.texts())

    def clipped_texts(self) -> list[str]:
        """Return the texts that reach over the picture's edge."""
        width, height = self.figure.bbox.size
        clipped = []
        with style.drawing():
            for text in self.drawn.values():
                box = text.get_window_extent()
                inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1
                if not (inside and box.y1 <= height + 1):
                    clipped.append(text.get_text())
        return clipped
