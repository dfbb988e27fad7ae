"""Markdown tables of what a run found, for people who look at a flow run."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NOTHING = "–"
_MAX_CELL = 200  # characters
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&!])")


@dataclass(frozen=True)
class LeaderboardRow:
    """One row of the leaderboard.

    Attributes:
        rank: from 1; None where the cell has no place (failed, pending).
        label: the cell's label.
        status: completed, failed, diverged, collapsed or pending.
        test_accuracy: in [0, 1].
        test_loss: >= 0.
        seconds_alone: what the cell's whole chain took when it was computed.
        seconds_paid: what this run spent on it.
        params_total: parameters.
        model_bytes: size of the saved model.
        is_best: the row is the winner.
    """

    rank: int | None
    label: str
    status: str = "completed"
    test_accuracy: float | None = None
    test_loss: float | None = None
    seconds_alone: float | None = None
    seconds_paid: float | None = None
    params_total: int | None = None
    model_bytes: int | None = None
    is_best: bool = False


def leaderboard_markdown(rows: Sequence[LeaderboardRow], *, limit: int = 100) -> str:
    """Render the leaderboard.

    Args:
        rows: in the order of the ranking.
        limit: rows shown; a line below says how many more there are.
    """
    if not rows:
        return "No cells yet."
    header = ("#", "cell", "test accuracy", "test loss", "alone", "paid", "parameters", "size")
    table = markdown_table(header, [_leaderboard_cells(row) for row in rows[:limit]], left=(1,))
    others = len(rows) - limit
    return f"{table}\n\n… {others} more" if others > 0 else table


def work_markdown(
    predicted: Mapping[str, float | int | None], counted: Mapping[str, float | int | None]
) -> str:
    """Render predicted work beside counted work, one line per quantity.

    Args:
        predicted: quantity (`epochs`, `images`, …) to what was foretold; None where unknown.
        counted: the same quantities as they were counted; ones that are missing read as a dash.
    """
    names = [*predicted, *(name for name in counted if name not in predicted)]
    if not names:
        return "No work."
    rows = [_work_cells(name, predicted.get(name), counted.get(name)) for name in names]
    return markdown_table(("work", "predicted", "counted", ""), rows, left=(0, 3))


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[int] = ()
) -> str:
    """Render a table whose cells read as plain text, whatever they hold.

    Args:
        header: names of the columns; trusted to be plain.
        rows: cells, as many as the header has names.
        left: columns (from 0) that are set flush left; the others are numbers, flush right.
    """
    rule = [":---" if column in left else "---:" for column in range(len(header))]
    lines = [header, rule, *([escape_markdown(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escape_markdown(text: str) -> str:
    """Return `text` on one line, cut at 200 characters, so that Markdown shows it as it is."""
    flat = " ".join(text.split())
    flat = flat if len(flat) <= _MAX_CELL else f"{flat[: _MAX_CELL - 1]}…"
    return _SPECIAL.sub(r"\\\1", flat)


def duration(seconds: float | None) -> str:
    """Render seconds as people say them: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 4 min`."""
    if seconds is None or not math.isfinite(seconds):
        return _NOTHING
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def file_size(size: float | None) -> str:
    """Render bytes: `812 B`, `9.1 MB` (decimal, as disks are sold)."""
    if size is None:
        return _NOTHING
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 999.5 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" or size >= 99.5 else f"{size:.3g} {unit}"


def _leaderboard_cells(row: LeaderboardRow) -> tuple[str, ...]:
    place = _NOTHING if row.rank is None else str(row.rank)
    name = row.label if row.status == "completed" else f"{row.label} ({row.status})"
    return (
        f"🏆 {place}" if row.is_best else place,
        name,
        _number(row.test_accuracy, "{:.3f}"),
        _number(row.test_loss, "{:.4f}"),
        duration(row.seconds_alone),
        duration(row.seconds_paid),
        _number(row.params_total, "{:,}"),
        file_size(row.model_bytes),
    )


def _work_cells(
    name: str, predicted: float | None, counted: float | None
) -> tuple[str, str, str, str]:
    show = duration if name.endswith("seconds") else file_size if name == "bytes" else _count
    is_known = predicted is not None and counted is not None
    verdict = ("as predicted" if predicted == counted else "differs") if is_known else ""
    verdict = "" if name.endswith("seconds") else verdict  # time is a guess, never equal
    return name.replace("_", " "), show(predicted), show(counted), verdict


def _count(value: float | None) -> str:
    return _number(value, "{:,}" if isinstance(value, int) else "{:,.3g}")


def _number(value: float | None, pattern: str) -> str:
    if value is None or not math.isfinite(value):
        return _NOTHING
    return pattern.format(value)
