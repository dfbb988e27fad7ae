"""Texts by the columns that they take on a screen: Chinese and emoji take two, accents none.

Every table and every wrapped line of the commands is measured here, as `rich` measures those that
it draws itself.
"""

from __future__ import annotations

import re

from rich.cells import cell_len, chop_cells, set_cell_size

_CUT = "…"
_WORDS = re.compile(r"(\s*)(\S+)")


def width(text: str) -> int:
    """Return the columns that a text takes on a screen."""
    return cell_len(text)


def to_left(text: str, columns: int) -> str:
    """Fill a text up with blanks behind it; one that is wider stays as it is."""
    return text + " " * (columns - width(text))


def to_right(text: str, columns: int) -> str:
    """Fill a text up with blanks before it; one that is wider stays as it is."""
    return " " * (columns - width(text)) + text


def cut(text: str, columns: int) -> str:
    """Return a text in at most so many columns, the end of a wider one cut off."""
    if width(text) <= columns:
        return text
    return set_cell_size(text, columns - 1).rstrip() + _CUT


def widest_word(text: str) -> int:
    """Return the columns without which a text cannot be wrapped between its words."""
    return max(map(width, text.split()), default=0)


def wrap(text: str, columns: int, *, indent: str = "", hanging: str = "") -> list[str]:
    """Break a text into lines, between words where that is possible.

    Args:
        text: blanks between words stay, but for those where a line ends.
        columns: that a line may take.
        indent: what the first line begins with.
        hanging: what the later ones begin with.

    Returns:
        At least one line, which may be empty.
    """
    room = max(columns - max(width(indent), width(hanging)), 2)
    lines = [indent]
    free = columns - width(indent)
    is_begun = False
    for gap, word in _WORDS.findall(text):
        for number, piece in enumerate(chop_cells(word, room)):
            before = "" if number else gap or " "
            if is_begun and (number or width(before + piece) > free):
                lines.append(hanging)
                free = columns - width(hanging)
                is_begun = False
            added = before + piece if is_begun else piece
            lines[-1] += added
            free -= width(added)
            is_begun = True
    return lines
