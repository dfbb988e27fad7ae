"""The picture of loss and accuracy over the epochs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from foodvision.report import style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec
    from matplotlib.typing import LineStyleType

SPLITS = ("train", "valid", "test")
_JUDGES = ("test", "valid", "train")  # whose accuracy orders the cells
_DASHES: dict[str, LineStyleType] = {"train": (0, (4, 2)), "valid": (0, (1, 1.4)), "test": "solid"}
_SPLIT_COLOURS = {"train": style.ORANGE, "valid": style.GREEN, "test": style.BLUE}
_COLOURS = (
    style.BLUE,
    style.ORANGE,
    style.GREEN,
    style.PURPLE,
    style.VERMILION,
    style.SKY,
    style.OLIVE,
    style.INK,
)
_MARKERS = "osD^vPX*"
_MAX_OVERLAID = 3
_LOG_RATIO = 30.0


@dataclass(frozen=True)
class Curve:
    """What one cell did on one split.

    Attributes:
        label: the cell's label; curves of one cell share it.
        split: train, valid or test.
        epochs: ascending, from 1.
        loss: per epoch, >= 0; NaN or infinite where it diverged.
        accuracy: per epoch, in [0, 1].
        is_best: the cell is the winner.
        result_epoch: whose state is the result, where a stop rule restored one; `None`: the last.
    """

    label: str
    split: str
    epochs: Sequence[int]
    loss: Sequence[float]
    accuracy: Sequence[float]
    is_best: bool = False
    result_epoch: int | None = None

    @property
    def result_index(self) -> int:
        """Where the epoch of the result stands."""
        epochs = list(self.epochs)
        return epochs.index(self.result_epoch) if self.result_epoch in epochs else len(epochs) - 1


@dataclass(frozen=True)
class _Cell:
    label: str
    curves: Mapping[str, Curve]
    is_best: bool

    @property
    def judge(self) -> Curve:
        return next(self.curves[split] for split in _JUDGES if split in self.curves)

    @property
    def final_accuracy(self) -> float:
        values = self.judge.accuracy
        return values[self.judge.result_index] if len(values) else math.nan

    @property
    def is_finite(self) -> bool:
        return all(np.isfinite(curve.loss).all() for curve in self.curves.values())


@dataclass(frozen=True)
class _Look:
    colour: str
    marker: str
    width: float
    order: float


_OTHER = _Look(style.FAINT, "", 0.8, 1.5)
_RING: dict[str, Any] = {
    "marker": "o",
    "linestyle": "",
    "markerfacecolor": "none",
    "markeredgewidth": 1.6,
}


def learning_curves(curves: Sequence[Curve], path: Path) -> Path:
    """Draw loss and accuracy over epochs.

    Up to three cells share two panels, train beside test. More get panels per split, the best eight
    in colour (ordered by final test accuracy), the others grey.

    Args:
        curves: any order; one per cell and split.
        path: the PNG.

    Returns:
        `path`.

    Raises:
        ValueError: a split is unknown, or a curve's columns differ in length.
    """
    for curve in curves:
        _check(curve)
    cells = _cells(curves)
    with style.drawing():
        if not cells:
            figure = style.new_figure(8, 0.3, title="Learning curves", subtitle="No epochs yet.")
        elif len(cells) <= _MAX_OVERLAID:
            figure = _overlaid(cells)
        else:
            figure = _side_by_side(cells)
        return style.save_picture(figure, path)


def _check(curve: Curve) -> None:
    if curve.split not in SPLITS:
        raise ValueError(f"a curve's split is one of {', '.join(SPLITS)}, got {curve.split!r}")
    lengths = {len(curve.epochs), len(curve.loss), len(curve.accuracy)}
    if len(lengths) > 1:
        raise ValueError(
            f"epochs, loss and accuracy of {curve.label!r} must be equally long, got "
            f"{len(curve.epochs)}, {len(curve.loss)} and {len(curve.accuracy)}"
        )


def _cells(curves: Sequence[Curve]) -> list[_Cell]:
    """Return the cells, the winner first, then by final accuracy, diverged ones last."""
    by_label: dict[str, dict[str, Curve]] = {}
    for curve in curves:
        if len(curve.epochs):
            by_label.setdefault(curve.label, {})[curve.split] = curve
    cells = [
        _Cell(label, own, any(curve.is_best for curve in own.values()))
        for label, own in by_label.items()
    ]
    return sorted(cells, key=_precedence)


def _precedence(cell: _Cell) -> tuple[bool, bool, float]:
    accuracy = cell.final_accuracy
    has_diverged = math.isnan(accuracy) or not cell.is_finite
    return not cell.is_best, has_diverged, 0.0 if math.isnan(accuracy) else -accuracy


def _looks(cells: Sequence[_Cell]) -> dict[str, _Look]:
    looks = {}
    for rank, cell in enumerate(cells):
        if rank >= len(_COLOURS):
            looks[cell.label] = _OTHER
            continue
        is_first = cell.is_best or len(cells) == 1
        width = 2.6 if is_first else 1.4
        looks[cell.label] = _Look(_COLOURS[rank], _MARKERS[rank], width, 4.0 if is_first else 3.0)
    return looks


def _overlaid(cells: Sequence[_Cell]) -> Figure:
    figure = style.new_figure(10, 3.7, title="Learning curves", subtitle=_summary(cells))
    panels = dict(zip(("loss", "accuracy"), figure.subplots(1, 2), strict=True))
    looks = _looks(cells)
    for quantity, axes in panels.items():
        axes.set_title("Loss" if quantity == "loss" else "Accuracy")
        for cell in cells:
            for split, curve in cell.curves.items():
                look = looks[cell.label]
                if len(cells) == 1:
                    look = _Look(_SPLIT_COLOURS[split], look.marker, look.width, look.order)
                _draw(axes, curve, quantity, look, dashes=_DASHES[split])
        _finish(axes, quantity, _values(cells, quantity))
        axes.set_xlabel("epoch")
    handles = _split_handles(cells)
    columns = len(handles)
    if len(cells) > 1:
        # Two columns, filled from the top: the cells, then the splits.
        named = [_cell_handle(cell, looks[cell.label]) for cell in cells]
        blanks = [Line2D([], [], alpha=0, label=" ")] * (len(handles) - len(named))
        handles = named + blanks + handles
        columns = 2
    figure.legend(handles=handles, loc="outside lower left", ncols=columns, handlelength=3.2)
    return figure


def _side_by_side(cells: Sequence[_Cell]) -> Figure:
    splits = [split for split in SPLITS if any(split in cell.curves for cell in cells)]
    width = 3.8 + 3.6 * len(splits)
    figure = style.new_figure(width, 6.2, title="Learning curves", subtitle=_summary(cells))
    shape = figure.add_gridspec(2, len(splits) + 1, width_ratios=[*([1.0] * len(splits)), 0.02])
    grid = _panels(figure, shape, len(splits))
    looks = _looks(cells)
    for quantity, row in zip(("loss", "accuracy"), grid, strict=True):
        for split, axes in zip(splits, row, strict=True):
            axes.set_title(f"{'Loss' if quantity == 'loss' else 'Accuracy'}, {split}")
            shown = [cell for cell in cells if split in cell.curves]
            others = [cell.curves[split] for cell in shown if looks[cell.label] is _OTHER]
            _draw_others(axes, others, quantity)
            for cell in shown[: len(shown) - len(others)]:
                look = looks[cell.label]
                _draw(axes, cell.curves[split], quantity, look, dashes=_DASHES["test"])
        for axes in row:
            _finish(axes, quantity, _values(cells, quantity))
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
    _add_key(figure.add_subplot(shape[:, -1]), cells, looks)
    return figure


def _panels(figure: Figure, shape: GridSpec, columns: int) -> list[list[Axes]]:
    rows = []
    for row in range(2):
        first = figure.add_subplot(shape[row, 0])
        others = [figure.add_subplot(shape[row, 1 + i], sharey=first) for i in range(columns - 1)]
        for axes in others:
            axes.tick_params(labelleft=False)
        rows.append([first, *others])
    return rows


def _add_key(axes: Axes, cells: Sequence[_Cell], looks: Mapping[str, _Look]) -> None:
    shown = cells[: len(_COLOURS)]
    handles = [_cell_handle(cell, looks[cell.label]) for cell in shown]
    others = len(cells) - len(shown)
    if others:
        name = "1 other" if others == 1 else f"{others} others"
        handles.append(Line2D([], [], color=style.FAINT, linewidth=1.2, label=name))
    axes.set_axis_off()
    legend = axes.legend(
        handles=handles,
        loc="upper left",
        borderaxespad=0,
        title=f"Final accuracy, {shown[0].judge.split}",
        alignment="left",
        labelspacing=0.7,
        title_fontproperties={"weight": "bold", "size": 9},
    )
    for text, cell in zip(legend.get_texts(), shown, strict=False):
        text.set_fontweight("bold" if cell.is_best else "normal")


def _summary(cells: Sequence[_Cell]) -> str:
    best = next((cell for cell in cells if cell.is_best), cells[0] if len(cells) == 1 else None)
    diverged = sum(not cell.is_finite for cell in cells)
    parts = []
    if best is not None and not math.isnan(best.final_accuracy):
        share = style.percent(best.final_accuracy, digits=1)
        name = style.shorten(best.label, 60)
        epoch = best.judge.result_epoch
        when = "the last epoch" if epoch is None else f"epoch {epoch}, restored"
        parts.append(f"{name}: {share} {best.judge.split} accuracy after {when}")
    if any(cell.judge.result_epoch for cell in cells):
        parts.append("○ restored by a stop rule")
    if diverged:
        parts.append(f"{diverged} diverged (✕)")
    return " · ".join(parts)


def _draw(
    axes: Axes,
    curve: Curve,
    quantity: str,
    look: _Look,
    *,
    dashes: LineStyleType,
) -> None:
    points, has_end = _course(curve, quantity)
    axes.plot(
        *points.T,
        color=look.colour,
        linestyle=dashes,
        linewidth=look.width,
        zorder=look.order,
        marker=look.marker,
        markersize=2.4 + look.width,
        markeredgewidth=0,
        markevery=max(1, len(points) // 10),
    )
    if (chosen := _chosen(curve, quantity)) is not None:
        size = 9 if look.width > 2 else 7
        axes.plot(*chosen, color=look.colour, zorder=5, markersize=size, **_RING)
    if len(points) and not has_end:
        axes.plot(
            *points[-1], marker="x", markersize=8, markeredgewidth=2, color=look.colour, zorder=5
        )


def _draw_others(axes: Axes, curves: Sequence[Curve], quantity: str) -> None:
    """Draw the curves that only show where the others are: hundreds, as three things."""
    courses = [_course(curve, quantity) for curve in curves]
    lines = [points for points, _ in courses if len(points) > 1]
    look: dict[str, Any] = {"color": _OTHER.colour, "zorder": _OTHER.order}
    axes.add_collection(LineCollection(lines, linewidths=_OTHER.width, capstyle="round", **look))
    dots = [points[0] for points, _ in courses if len(points) == 1]
    ends = [points[-1] for points, has_end in courses if len(points) and not has_end]
    chosen = [_chosen(curve, quantity) for curve in curves]
    rings = [point for point in chosen if point is not None]
    size = 2.4 + _OTHER.width
    if rings:
        axes.plot(*zip(*rings, strict=True), color=_OTHER.colour, zorder=5, markersize=7, **_RING)
    if dots:
        axes.plot(*zip(*dots, strict=True), "o", markersize=size, markeredgewidth=0, **look)
    if ends:
        crosses: dict[str, Any] = {
            "markersize": 6,
            "markeredgewidth": 1.2,
            "color": style.MUTED,
            "zorder": 5,
        }
        axes.plot(*zip(*ends, strict=True), "x", **crosses)
    axes.autoscale_view()


def _course(curve: Curve, quantity: str) -> tuple[np.ndarray, bool]:
    """Return the points of a curve, [n, 2], and whether it goes on to its end.

    A diverged model's accuracy is a number, but says nothing: the curve ends where the loss did.
    """
    values = np.asarray(curve.loss if quantity == "loss" else curve.accuracy, dtype=float)
    finite = np.isfinite(values) & np.isfinite(np.asarray(curve.loss, dtype=float))
    points = np.column_stack([np.asarray(curve.epochs, dtype=float), values])
    return points[finite], bool(finite.all())


def _chosen(curve: Curve, quantity: str) -> tuple[float, float] | None:
    """Return the point of a curve that is its result, where that is not its last one."""
    if curve.result_epoch is None:
        return None
    place = curve.result_index
    value = (curve.loss if quantity == "loss" else curve.accuracy)[place]
    is_finite = math.isfinite(value) and math.isfinite(curve.loss[place])
    return (float(curve.result_epoch), float(value)) if is_finite else None


def _values(cells: Sequence[_Cell], quantity: str) -> np.ndarray:
    columns = [getattr(curve, quantity) for cell in cells for curve in cell.curves.values()]
    values = np.concatenate([np.asarray(column, dtype=float) for column in columns])
    return np.asarray(values[np.isfinite(values)])


def _finish(axes: Axes, quantity: str, values: np.ndarray) -> None:
    axes.grid(visible=True, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    axes.tick_params(length=0)
    if quantity == "accuracy":
        _scale_accuracy(axes, values)
        return
    positive = values[values > 0]
    if positive.size and positive.max() > _LOG_RATIO * positive.min():
        axes.set_yscale("log")
        axes.set_title(f"{axes.get_title(loc='left')} (log scale)")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(0, 1.06 * float(values.max(initial=0.0)) or 1.0)


def _scale_accuracy(axes: Axes, values: np.ndarray) -> None:
    """Show [0, 1], or from the next tenth below where everything lies high."""
    lowest = float(values.min()) if values.size else 0.0
    bottom = math.floor(max(lowest - 0.02, 0) * 10) / 10 if lowest > 0.3 else 0.0
    axes.set_ylim(bottom, 1 + (1 - bottom) * 0.02)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: style.percent(value)))


def _cell_handle(cell: _Cell, look: _Look) -> Line2D:
    share = cell.final_accuracy
    value = "diverged" if not cell.is_finite else style.percent(share, digits=1)
    star = "★ " if cell.is_best else ""
    return Line2D(
        [],
        [],
        color=look.colour,
        marker=look.marker,
        markersize=2.4 + look.width,
        markeredgewidth=0,
        linewidth=look.width,
        label=f"{value}  {star}{style.shorten(cell.label, 38)}",
    )


def _split_handles(cells: Sequence[_Cell]) -> list[Line2D]:
    splits = [split for split in SPLITS if any(split in cell.curves for cell in cells)]
    return [
        Line2D(
            [],
            [],
            color=_SPLIT_COLOURS[split] if len(cells) == 1 else style.MUTED,
            linestyle=_DASHES[split],
            linewidth=2.0,
            label=split,
        )
        for split in splits
    ]
