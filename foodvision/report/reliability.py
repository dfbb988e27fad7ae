"""The picture of how far a model's probabilities can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from foodvision.report import style

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

_TICKS = np.linspace(0, 1, 6)
_HALF_GAP = 0.003  # between bars, in units of probability


@dataclass(frozen=True)
class ReliabilityBar:
    """Answers of about the same probability.

    Attributes:
        lower: probabilities are above this, in [0, 1).
        upper: and at most this.
        images: number of answers, >= 1.
        confidence: their mean probability, in [0, 1].
        accuracy: share of them that is right, in [0, 1].
    """

    lower: float
    upper: float
    images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibrated:
    """The same answers at a fitted temperature, and the calibration error that is left."""

    bars: Sequence[ReliabilityBar]
    temperature: float
    error: float


def reliability_diagram(
    bars: Sequence[ReliabilityBar],
    path: Path,
    *,
    title: str,
    error: float | None,
    calibrated: Calibrated | None = None,
) -> Path:
    """Draw how often answers are right against how probable they say that they are.

    Bars up to the diagonal are calibrated; what lacks is orange, what is more than said is light
    blue. Below stands how many answers each bar is made of.

    Args:
        bars: by probability; none: the model diverged.
        path: the PNG.
        title: whose answers.
        error: expected calibration error, in [0, 1]; `None`: not known.
        calibrated: the answers at a fitted temperature, drawn as points.

    Returns:
        `path`.
    """
    with style.drawing():
        figure = style.new_figure(5.6, 5.4, title=title, subtitle=_summary(bars, error, calibrated))
        if not bars:
            return style.save_picture(figure, path)
        grid = figure.add_gridspec(2, 1, height_ratios=[3.6, 1])
        upper = figure.add_subplot(grid[0])
        lower = figure.add_subplot(grid[1], sharex=upper)
        _draw_accuracy(upper, bars, calibrated)
        _draw_counts(lower, bars)
        return style.save_picture(figure, path)


def _summary(
    bars: Sequence[ReliabilityBar], error: float | None, calibrated: Calibrated | None
) -> str:
    if not bars:
        return "No probabilities: the model diverged."
    images = sum(bar.images for bar in bars)
    text = f"{images:,} test {'image' if images == 1 else 'images'}"
    if error is not None:
        text += f", calibration error {style.percent(error, digits=1)}"
    if calibrated is None:
        return text
    left = style.percent(calibrated.error, digits=1)
    return f"{text}, {left} at temperature {calibrated.temperature:.2f}"


def _draw_accuracy(
    axes: Axes, bars: Sequence[ReliabilityBar], calibrated: Calibrated | None
) -> None:
    for bar in bars:
        left, width = bar.lower + _HALF_GAP, bar.upper - bar.lower - 2 * _HALF_GAP
        said, right = bar.confidence, bar.accuracy
        axes.bar(left, min(said, right), width, align="edge", color=style.BLUE)
        colour = style.SKY if right > said else "#f2b083"
        axes.bar(
            left, abs(said - right), width, bottom=min(said, right), align="edge", color=colour
        )
    axes.plot([0, 1], [0, 1], color=style.MUTED, linewidth=1, linestyle=(0, (4, 3)))
    if calibrated is not None:
        axes.plot(
            [bar.confidence for bar in calibrated.bars],
            [bar.accuracy for bar in calibrated.bars],
            color=style.INK,
            linewidth=1,
            marker="o",
            markersize=4,
            label=f"at temperature {calibrated.temperature:.2f}",
        )
        axes.legend(loc="upper left")
    axes.set_ylim(0, 1.02)
    axes.set_xlim(0, 1)
    axes.set_yticks(_TICKS)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: style.percent(value)))
    axes.set_ylabel("classified rightly")
    axes.tick_params(length=0, labelbottom=False)
    axes.grid(visible=True)


def _draw_counts(axes: Axes, bars: Sequence[ReliabilityBar]) -> None:
    lefts = [bar.lower + _HALF_GAP for bar in bars]
    widths = [bar.upper - bar.lower - 2 * _HALF_GAP for bar in bars]
    axes.bar(lefts, [bar.images for bar in bars], widths, align="edge", color=style.FAINT)
    axes.set_xticks(_TICKS)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: style.percent(value)))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    axes.set_xlabel("probability of the predicted class")
    axes.set_ylabel("images")
    axes.tick_params(length=0)
    axes.grid(visible=True, axis="y")
