"""The picture of who won, and by how much."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.ticker import FuncFormatter

from foodvision.report import style
from foodvision.report.tables import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

_MAX_ROWS = 40
_ROW_INCHES = 0.3
_LABEL_COLUMNS = 44
_DETAIL_COLUMNS = 40
_LONG_SECONDS = 10
_LONG_NUMBER = 1000
_NAMES = {"params": "parameters"}
_SHARES = ("accuracy", "precision", "recall", "f1")
_REMARKS = {
    "failed": "✗ failed",
    "pending": "not trained yet",
    "diverged": "⚠ diverged",
    "collapsed": "⚠ one class for everything",
}


@dataclass(frozen=True)
class RankedBar:
    """One row of the ranking.

    Attributes:
        label: the cell's label.
        value: the metric; None or NaN where there is none.
        is_best: the row is the winner.
        status: completed, failed, diverged, collapsed (one class for everything) or pending.
        detail: a few words beside the bar: seconds, epochs, an error.
    """

    label: str
    value: float | None
    is_best: bool = False
    status: str = "completed"
    detail: str = ""


def ranking_bars(
    rows: Sequence[RankedBar], path: Path, *, metric: str, title: str | None = None
) -> Path:
    """Draw the ranking as horizontal bars that start at 0.

    Args:
        rows: in the order of the ranking; the first 40 are drawn (the winner always).
        path: the PNG.
        metric: what the values are (`test accuracy`, `test.accuracy`); accuracies and the like
            read as percent.
        title: of the picture; `None`: by which metric it ranks.

    Returns:
        `path`.
    """
    metric = metric.replace(".", " ").replace("_", " ")
    shown, rest = _visible(rows)
    with style.drawing():
        title = title or f"Ranking by {metric}"
        if not rows:
            figure = style.new_figure(8, 0.3, title=title, subtitle="No cells yet.")
            return style.save_picture(figure, path)
        height = _ROW_INCHES * (len(shown) + bool(rest)) + 0.55
        figure = style.new_figure(10, height, title=title, subtitle=_summary(rows, metric))
        _draw(figure.add_subplot(), shown, rest, metric)
        return style.save_picture(figure, path)


def _visible(rows: Sequence[RankedBar]) -> tuple[list[RankedBar], list[RankedBar]]:
    if len(rows) <= _MAX_ROWS:
        return list(rows), []
    shown, rest = list(rows[:_MAX_ROWS]), list(rows[_MAX_ROWS:])
    best = next((row for row in rest if row.is_best), None)
    if best is not None:
        rest.remove(best)
        rest.insert(0, shown.pop())
        shown.append(best)
    return shown, rest


def _summary(rows: Sequence[RankedBar], metric: str) -> str:
    best = next((row for row in rows if row.is_best and _has_value(row)), None)
    parts = [f"{len(rows)} cell{'s' if len(rows) != 1 else ''}"]
    if best is not None:
        value = _formatter(metric)(_value(best))
        parts.insert(0, f"★ {style.shorten(best.label, 60)}: {value}")
    parts += _counts(rows)
    return " · ".join(parts)


def _counts(rows: Sequence[RankedBar]) -> list[str]:
    """Return how many rows have each status that wants to be seen: `2 failed`."""
    counts = {status: sum(row.status == status for row in rows) for status in _REMARKS}
    return [f"{count} {status}" for status, count in counts.items() if count]


def _draw(axes: Axes, shown: list[RankedBar], rest: list[RankedBar], metric: str) -> None:
    low, high = _limits(shown, metric)
    axes.spines["bottom"].set_visible(False)
    axes.spines["left"].set_position(("data", 0))  # forgets the ticks: so before them
    for position, row in enumerate(shown):
        _draw_row(axes, position, row, metric, span=high - low)
    labels = [
        ("★ " if row.is_best else "") + style.shorten(row.label, _LABEL_COLUMNS) for row in shown
    ]
    if rest:
        labels.append(f"… {len(rest)} more")
        remark = ", ".join(_counts(rest))
        at = (low + (high - low) * 0.008, len(shown))
        axes.text(*at, remark, va="center_baseline", size=8.5, color=style.MUTED)
    axes.set_yticks(range(len(labels)), labels, size=9, color=style.INK)
    for label, row in zip(axes.get_yticklabels(), shown, strict=False):
        label.set_fontweight("bold" if row.is_best else "normal")
    if rest:
        axes.get_yticklabels()[-1].set_color(style.MUTED)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(low, high)
    axes.set_xlabel(_NAMES.get(metric, metric))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value, metric)))
    axes.grid(visible=True, axis="x")
    axes.tick_params(length=0)


def _draw_row(axes: Axes, position: int, row: RankedBar, metric: str, *, span: float) -> None:
    is_sound = row.status == "completed"
    end = 0.0
    words = []
    if _has_value(row):
        end = _value(row)
        axes.barh(
            position,
            end,
            height=0.68,
            color=style.BLUE if row.is_best else "#a9c9df" if is_sound else "white",
            edgecolor="none" if is_sound else style.VERMILION,
            hatch=None if is_sound else "////",
            linewidth=0.8,
        )
        words.append((_formatter(metric)(end), style.INK, "bold" if row.is_best else "normal"))
    if not is_sound:
        remark = _REMARKS.get(row.status, row.status)
        colour = style.MUTED if row.status == "pending" else "#b04a00"
        words.append((style.shorten(remark, 30), colour, "normal"))
    elif not words:
        words.append(("no value", style.MUTED, "normal"))
    if row.detail:
        columns = _DETAIL_COLUMNS if end else 2 * _DETAIL_COLUMNS
        words.append((style.shorten(row.detail, columns), style.MUTED, "normal"))
    _write(axes, max(end, 0.0) + span * 0.008, position, words)


def _write(axes: Axes, x: float, y: float, words: Sequence[tuple[str, str, str]]) -> None:
    """Write the words one after the other, each starting where the last one ended."""
    last: Annotation | None = None
    for text, colour, weight in words:
        last = axes.annotate(
            text,
            xy=(x, y) if last is None else (1, y),
            xycoords="data" if last is None else (last, "data"),
            xytext=(0, 0) if last is None else (7, 0),
            textcoords="offset points",
            va="center_baseline",
            color=colour,
            weight=weight,
            size=8.5,
        )


def _limits(rows: Sequence[RankedBar], metric: str) -> tuple[float, float]:
    values = [_value(row) for row in rows if _has_value(row)]
    low, high = min([0.0, *values]), max([0.0, *values])
    if _is_share(metric) and low >= 0 and high <= 1:
        return 0.0, 1.0
    return low * 1.05, (high * 1.05) or 1.0


def _has_value(row: RankedBar) -> bool:
    return row.value is not None and math.isfinite(row.value)


def _value(row: RankedBar) -> float:
    return math.nan if row.value is None else float(row.value)


def _is_share(metric: str) -> bool:
    return metric.lower().endswith(_SHARES)


def _formatter(metric: str) -> Callable[[float], str]:
    if _is_share(metric):
        return lambda value: style.percent(value, digits=1)
    if metric == "seconds":
        return lambda value: duration(value) if value >= _LONG_SECONDS else f"{value:.3g} s"
    return (lambda value: f"{value:,.0f}") if metric == "params" else (lambda v: f"{v:.4g}")


def _tick(value: float, metric: str) -> str:
    if _is_share(metric):
        return style.percent(value)
    return f"{value:,.0f}" if abs(value) >= _LONG_NUMBER else f"{value:g}"
