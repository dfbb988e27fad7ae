"""Tables for people: boxed on a terminal, plain text in a pipe, JSON on request."""

from __future__ import annotations

import json
import math
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.cli import widths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from rich.console import Console
    from rich.table import Table

_GAP = "  "
_WIDTH = 80
_NARROWEST = 12
_HEAD_LINES = 2
_DECIMALS = 4
_MOST_LINES = 6  # of one value


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: as people read it.
        key: of the row.
        show: turns a value that is not `None` into text.
        is_number: right-aligned, and never cut or broken; text is folded where room is short.
        is_whole: to be copied, and so not folded: where room is short, it has a line of its own
            below the row.
    """

    title: str
    key: str
    show: Callable[[Any], str] = str
    is_number: bool = False
    is_whole: bool = False


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
    """Print a text in lines of at most 80 columns, the later ones two deeper."""
    blank = " " * indent
    say("\n".join(widths.wrap(text, _WIDTH, indent=blank, hanging=blank + "  ")))


def count(number: int, noun: str) -> str:
    """Return `1 cell` or `8 cells`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def share(value: float) -> str:
    """Return an accuracy in [0, 1] with four decimals."""
    return f"{value:.4f}"


def difference(value: float) -> str:
    """Return a difference of two shares with its sign and four decimals."""
    return f"{value:+.4f}"


def rounded(value: float) -> str:
    """Return a number with four decimals at most, below one with four significant digits."""
    return f"{value:.4g}" if abs(value) < 1 else f"{round(value, _DECIMALS):.15g}"


def number(value: float) -> str:
    """Return a number with separators between thousands."""
    return f"{value:,}"


def moment(value: datetime) -> str:
    """Return a time to the second."""
    return f"{value:%Y-%m-%d %H:%M:%S}{'' if value.tzinfo is None else f' {value:%Z}'}"


def seconds(value: float) -> str:
    """Return seconds with one decimal."""
    return f"{value:,.1f}"


def whole_seconds(value: float) -> str:
    """Return seconds without decimals, less than one as `< 1`."""
    return "< 1" if value < 1 else f"{value:,.0f}"


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
    return "–" if value is None else " ".join(column.show(value).splitlines())


@dataclass(frozen=True)
class _Grid:
    """A table as texts: what stands in every place, and the lines of every heading."""

    heads: Sequence[Sequence[str]]
    lines: Sequence[Sequence[str]]

    @property
    def widths(self) -> list[int]:
        """Return the columns of the screen that each column of the table takes."""
        return [
            max(map(widths.width, (*head, *texts)))
            for head, texts in zip(self.heads, self._texts(), strict=True)
        ]

    @property
    def width(self) -> int:
        """Return the columns of the screen that the table takes with nothing folded."""
        return sum(self.widths) + len(_GAP) * (len(self.heads) - 1)

    def in_less_room(self, columns: Sequence[Column]) -> _Grid:
        """Return the same with the headings of numbers in two lines, where that is narrower."""
        heads = [
            _in_two_lines(title, least=max(map(widths.width, texts), default=0))
            if column.is_number
            else [title]
            for column, (title, *_), texts in zip(columns, self.heads, self._texts(), strict=True)
        ]
        most = max(map(len, heads))
        return _Grid([[""] * (most - len(head)) + head for head in heads], self.lines)

    def _texts(self) -> list[Sequence[str]]:
        return [[line[index] for line in self.lines] for index in range(len(self.heads))]


def _in_two_lines(title: str, *, least: int) -> list[str]:
    """Break a heading in two, as narrow as can be but not narrower than what is below it.

    It breaks between words and behind the `_` of a name.
    """
    words = title.replace("_", "_ ")
    least = max(least, widths.widest_word(words))
    rooms = range(least, widths.width(title))
    broken = ([line.replace("_ ", "_") for line in widths.wrap(words, room)] for room in rooms)
    return next((lines for lines in broken if len(lines) == _HEAD_LINES), [title])


def _grid(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> _Grid:
    lines = [[_text(row, column) for column in columns] for row in rows]
    return _Grid([[column.title] for column in columns], lines)


def _print_plain(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
    """Print a line for each row, however wide; headings are broken where that makes it fit."""
    grid, room = _grid(rows, columns), shutil.get_terminal_size().columns
    if grid.width > room >= (narrower := grid.in_less_room(columns)).width:
        grid = narrower
    edges = grid.widths
    for line in (*zip(*grid.heads, strict=True), *grid.lines):
        parts = [
            widths.to_right(text, edge) if column.is_number else widths.to_left(text, edge)
            for text, edge, column in zip(line, edges, columns, strict=True)
        ]
        say(_GAP.join(parts).rstrip())


def _print_boxed(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
    from rich.console import Console

    console = Console()
    grid = _grid(rows, columns)
    if grid.width > console.width:
        grid = grid.in_less_room(columns)
    if grid.width > console.width and any(column.is_whole for column in columns):
        _print_with_lines_below(rows, columns, console)
    elif _least_width(grid.widths, columns) > console.width:
        _print_records(grid, columns, console.width)
    else:
        console.print(_table(grid, columns))


def _print_with_lines_below(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], console: Console
) -> None:
    """Print a table, and below each row what is not to be folded, a line each."""
    beside = [column for column in columns if not column.is_whole]
    below = [column for column in columns if column.is_whole]
    grid = _grid(rows, beside).in_less_room(beside)
    edges = _narrowed(grid.widths, beside, console.width)
    indent = " " * (edges[0] + len(_GAP)) if beside[0].is_number else _GAP
    console.print(_table(_Grid(grid.heads, ()), beside, edges))
    for row, line in zip(rows, grid.lines, strict=True):
        console.print(_table(_Grid(grid.heads, [line]), beside, edges, show_header=False))
        for column in below:
            say(f"{indent}{_text(row, column)}")


def _narrowed(edges: Sequence[int], columns: Sequence[Column], room: int) -> list[int]:
    """Take room from the widest texts, a column of the screen at a time, until a table fits."""
    found = list(edges)
    texts = [place for place, column in enumerate(columns) if not column.is_number]
    for _ in range(sum(found) + len(_GAP) * (len(found) - 1) - room):
        widest = max(texts, key=lambda place: found[place])
        found[widest] = max(found[widest] - 1, min(edges[widest], _NARROWEST))
    return found


def _table(
    grid: _Grid,
    columns: Sequence[Column],
    edges: Sequence[int] | None = None,
    *,
    show_header: bool = True,
) -> Table:
    """Return a table for a terminal; `edges`: so wide are its columns, whatever stands there."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        show_header=show_header,
    )
    for place, (column, head, edge) in enumerate(
        zip(columns, grid.heads, grid.widths, strict=True)
    ):
        table.add_column(
            Text("\n".join(head)),
            justify="right" if column.is_number else "left",
            no_wrap=column.is_number,
            overflow="fold",
            width=None if edges is None else edges[place],
            min_width=edge if column.is_number else None,
        )
    for line in grid.lines:
        table.add_row(*map(Text, line))
    return table


def _least_width(edges: Sequence[int], columns: Sequence[Column]) -> int:
    """Return the columns of a terminal in which a table can be read: texts fold, numbers do not."""
    least = sum(
        edge if column.is_number else min(edge, _NARROWEST)
        for column, edge in zip(columns, edges, strict=True)
    )
    return least + len(_GAP) * (len(columns) - 1)


def _print_records(grid: _Grid, columns: Sequence[Column], room: int) -> None:
    """Print each row as lines of name and value, where there are too many columns for a table."""
    edge = max(widths.width(column.title) for column in columns)
    for number, line in enumerate(grid.lines, start=1):
        say(f"{'' if number == 1 else chr(10)}{number} of {len(grid.lines)}")
        for column, text in zip(columns, line, strict=True):
            begin = f"{_GAP}{widths.to_left(column.title, edge)}{_GAP}"
            hanging = " " * widths.width(begin)
            least = len(hanging) + _NARROWEST
            lines = widths.wrap(text, max(room, least), indent=begin, hanging=hanging)
            if len(lines) > _MOST_LINES:
                rest = f"{hanging}… {len(text):,} characters in all; --json tells them"
                lines = [*lines[: _MOST_LINES - 1], rest]
            say("\n".join(each.rstrip() for each in lines))


def _plain_value(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _plain_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(inner) for inner in value]
    return value
