"""The picture of learning rates over the epochs, a panel for each schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from foodvision.report import style

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from foodvision.plan.rate_curves import RateCurve

_COLUMNS = 2
_MOST = 24


def draw_rates(curves: Sequence[RateCurve], path: Path) -> Path:
    """Draw every step's learning rate, a panel for each schedule; the first 24 of them.

    Args:
        curves: each distinct schedule once.
        path: the PNG.

    Returns:
        `path`.
    """
    shown = curves[:_MOST]
    rest = f", the first {_MOST} of them" if len(curves) > _MOST else ""
    rows = -(-len(shown) // _COLUMNS)
    with style.drawing():
        figure = style.new_figure(
            10,
            2.1 * rows,
            title="Learning rates",
            subtitle=f"{len(curves)} schedules of {sum(len(c.cells) for c in curves)} cells{rest}",
        )
        panels = figure.subplots(rows, _COLUMNS, squeeze=False).flat
        for curve, axes in zip(shown, panels, strict=False):
            _draw(axes, curve)
        for axes in list(panels)[len(shown) :]:
            axes.set_visible(False)
        return style.save_picture(figure, path)


def _draw(axes: Axes, curve: RateCurve) -> None:
    times: list[float] = []
    rates: list[float] = []
    for epoch, steps in enumerate(curve.learning_rates, start=1):
        times += [epoch + step / len(steps) for step in range(len(steps))]
        rates += steps
    groups = dict.fromkeys(group.factor for phase in curve.phases for group in phase.groups)
    factors = sorted({1.0, *groups}, reverse=True) if len(curve.phases) == 1 else [1.0]
    for factor in factors:
        values = [rate * factor for rate in rates]
        axes.plot(
            [*times, curve.epochs + 1],
            [*values, values[-1]],
            drawstyle="steps-post",
            color=style.BLUE if factor == 1 else style.SKY,
            linewidth=1.8 if factor == 1 else 1.0,
        )
    for phase in curve.phases[1:]:
        axes.axvline(phase.first_epoch, color=style.FAINT, linewidth=1.0)
    axes.set_ylim(bottom=0)
    axes.set_xlim(1, curve.epochs + 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(style.shorten(", ".join(curve.cells), 60), fontsize=8.5)
    axes.set_xlabel("epoch")
    axes.grid(axis="y")
