"""Charts for a terminal, in dots of Braille: two dots wide and four high in each character."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_EMPTY = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # rows of a character, top first


def step_chart(values: Sequence[float], *, width: int, height: int) -> list[str]:
    """Draw numbers from left to right, each as wide as every other, from 0 up to the largest.

    What moves within one column of dots is drawn as the stretch that it moves over, so that no
    peak is lost where there are more numbers than columns.

    Args:
        values: at least one; none below 0.
        width: characters.
        height: lines.

    Returns:
        `height` lines of `width` characters.
    """
    columns, rows = 2 * width, 4 * height
    canvas = [[_EMPTY] * width for _ in range(height)]
    top = max(values) or 1.0
    before: int | None = None
    for column in range(columns):
        part = _part(values, column, columns)
        low, high = (min(rows - 1, int(value / top * rows)) for value in (min(part), max(part)))
        level = min(rows - 1, int(part[-1] / top * rows))
        if before is not None:
            low, high = min(low, before), max(high, before)
        for row in range(low, high + 1):
            line, dot = divmod(rows - 1 - row, 4)
            canvas[line][column // 2] |= _DOTS[dot][column % 2]
        before = level
    return ["".join(map(chr, line)) for line in canvas]


def _part(values: Sequence[float], column: int, columns: int) -> Sequence[float]:
    """Return the numbers that fall on a column; at least the one that it lies on."""
    begin = column * len(values) // columns
    end = max(begin + 1, (column + 1) * len(values) // columns)
    return values[begin:end]
