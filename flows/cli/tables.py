"""Tables for people: boxed on a terminal, plain text in a pipe, JSON on request."""

from __future__ import annotations

import json
import math
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_GAP = "  "
_WIDTH = 80
_NARROWEST = 12


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: as people read it.
        key: of the row.
        show: turns a value that is not `None` into text.
        is_number: right-aligned, and never cut or broken; text is folded where room is short.
    """

    title: str
    key: str
    show: Callable[[Any], str] = str
    is_number: bool = False


def print_rows(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, as_json: bool, empty: str
) -> None:
    """Print rows as a table, or all of them as a JSON list of objects.

    Args:
        rows: JSON gets every key of them, the table the columns.
        columns: of the table.
        as_json: print JSON.
        empty: said instead of a table without rows.
    """
    if as_json:
        print_json(list(rows))
    elif not rows:
        say(empty)
    elif sys.stdout.isatty():
        _print_boxed(rows, columns)
    else:
        _print_plain(rows, columns)


def print_json(value: Any) -> None:
    """Print a value as JSON; see `to_json`."""
    say(to_json(value))


def to_json(value: Any) -> str:
    """Return a value as JSON; what JSON has no word for becomes text, NaN becomes null."""
    return json.dumps(_plain_value(value), ensure_ascii=False, indent=2, default=str)


def say(text: str) -> None:
    """Print one line, or a few."""
    sys.stdout.write(f"{text}\n")


def say_wrapped(text: str, *, indent: int = 0) -> None:
    """Print a text in lines of at most 80 characters, the later ones two deeper."""
    blank = " " * indent
    wrapped = textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=blank,
        subsequent_indent=blank + "  ",
        break_on_hyphens=False,
    )
    say("\n".join(wrapped))


def count(number: int, noun: str) -> str:
    """Return `1 cell` or `8 cells`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def share(value: float) -> str:
    """Return an accuracy in [0, 1] with four decimals."""
    return f"{value:.4f}"


def difference(value: float) -> str:
    """Return a difference of two shares with its sign and four decimals."""
    return f"{value:+.4f}"


def number(value: float) -> str:
    """Return a number with separators between thousands."""
    return f"{value:,}"


def seconds(value: float) -> str:
    """Return seconds with one decimal."""
    return f"{value:,.1f}"


def milliseconds(value: float) -> str:
    """Return milliseconds with three significant digits, below one with two."""
    if value >= 100:
        return f"{value:,.0f}"
    if 0 < value < 1:
        return f"{value:.{1 - math.floor(math.log10(value))}f}"
    return f"{value:.{1 if value >= 10 else 2}f}"


def size(value: float) -> str:
    """Return bytes as kB, MB or GB."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= scale:
            return f"{value / scale:,.1f} {unit}"
    return f"{value:.0f} B"


def scaled(value: float) -> str:
    """Return a large number in thousands, millions or thousands of millions."""
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= scale:
            return f"{value / scale:,.1f} {unit}"
    return f"{value:.0f}"


def shape(lengths: Sequence[int]) -> str:
    """Return the lengths of a tensor's dimensions."""
    return " × ".join(str(length) for length in lengths)


def _text(row: Mapping[str, Any], column: Column) -> str:
    value = row.get(column.key)
    return "–" if value is None else column.show(value)


def _print_plain(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
    cells = [[column.title for column in columns]]
    cells += [[_text(row, column) for column in columns] for row in rows]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:
        parts = [
            text.rjust(width) if column.is_number else text.ljust(width)
            for text, width, column in zip(line, widths, columns, strict=True)
        ]
        say(_GAP.join(parts).rstrip())


def _print_boxed(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if _least_width(rows, columns) > console.width:
        _print_records(rows, columns, console.width)
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        texts = [column.title, *(_text(row, column) for row in rows)]
        table.add_column(
            column.title,
            justify="right" if column.is_number else "left",
            no_wrap=column.is_number,
            overflow="fold",
            min_width=max(map(len, texts)) if column.is_number else None,
        )
    for row in rows:
        table.add_row(*(Text(_text(row, column)) for column in columns))
    console.print(table)


def _least_width(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> int:
    """Return the columns of a terminal in which a table can be read: texts fold, numbers do not."""
    least = 0
    for column in columns:
        widest = max(len(text) for text in (column.title, *(_text(row, column) for row in rows)))
        least += widest if column.is_number else min(widest, _NARROWEST)
    return least + len(_GAP) * (len(columns) - 1)


def _print_records(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], width: int
) -> None:
    """Print each row as lines of name and value, where there are too many columns for a table."""
    edge = max(len(column.title) for column in columns)
    for number, row in enumerate(rows, start=1):
        say(f"{'' if number == 1 else chr(10)}{number} of {len(rows)}")
        for column in columns:
            begin = f"{_GAP}{column.title.ljust(edge)}{_GAP}"
            room = max(width - len(begin), _NARROWEST)
            lines = textwrap.wrap(_text(row, column), room, break_on_hyphens=False) or [""]
            say(f"{begin}{lines[0]}".rstrip())
            for line in lines[1:]:
                say(" " * len(begin) + line)


def _plain_value(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _plain_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(inner) for inner in value]
    return value
