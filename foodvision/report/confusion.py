"""The picture of which classes a model takes for which."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from foodvision.report import style

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_WITH_SHARES = 12  # classes; more leave no room for the percentage under the count
_MAX_WITH_COUNTS = 30
_LISTED_MISTAKES = 5
_MIN_LISTED = 8  # classes from which the mistakes are listed in words
_NAME_COLUMNS = 26
_DARK = 0.3  # luminance below which white reads better than ink

_RIGHT_MAP = LinearSegmentedColormap.from_list("right", ["#ffffff", "#9cc7e4", style.RIGHT])
_WRONG_MAP = LinearSegmentedColormap.from_list("wrong", ["#ffffff", "#f2b083", "#a34700"])


def confusion_matrix(matrix: np.ndarray, classes: Sequence[str], path: Path) -> Path:
    """Draw counts, coloured by their share of the row: right blue, wrong orange.

    Counts and row percentages up to 12 classes, counts up to 30, colours alone above; from 8
    classes on, the most frequent mistakes stand in words below.

    Args:
        matrix: int [K, K], images; row = true class, column = predicted class.
        classes: K names.
        path: the PNG.

    Returns:
        `path`.

    Raises:
        ValueError: the matrix is not K x K, or holds negative counts.
    """
    counts = np.asarray(matrix)
    size = len(classes)
    if counts.shape != (size, size) or size == 0 or (counts < 0).any():
        raise ValueError(
            f"a confusion matrix of {size} classes holds {size} x {size} counts >= 0, got shape "
            f"{counts.shape}"
        )
    with style.drawing():
        return style.save_picture(_figure(counts, classes), path)


def _figure(counts: np.ndarray, classes: Sequence[str]) -> Figure:
    size = len(classes)
    cell = float(np.interp(size, [2, 5, 12, 30, 101], [1.15, 0.95, 0.68, 0.38, 0.125]))
    font = float(np.interp(size, [12, 30, 101], [9.0, 8.0, 6.0]))
    names = [style.shorten(name, _NAME_COLUMNS) for name in classes]
    mistakes = _worst_mistakes(counts, classes) if size >= _MIN_LISTED else []
    name_width = style.text_inches(names, font)
    angle = 0 if name_width < cell else 45 if size <= _MAX_WITH_SHARES else 90
    left = 0.5 + name_width
    words = 0.23 * (len(mistakes) + 1) if mistakes else 0.0
    bottom = words + 0.55 + (0.1 if angle == 0 else name_width * math.sin(math.radians(angle)))
    side = cell * size
    width = max(left + side + 1.25, 5.6)
    figure = style.new_figure(
        width, bottom + side + 0.05, title="Confusion matrix", subtitle=_summary(counts)
    )
    axes = style.add_axes(figure, left, bottom, side, side)
    shares = _row_shares(counts)
    colours = _colours(shares)
    _paint(axes, colours)
    if size <= _MAX_WITH_COUNTS:
        _write_counts(axes, counts, shares, colours, cell)
    _name_axes(axes, names, font, angle)
    _add_scale(figure, left + side + 0.2, bottom + side)
    _write_mistakes(figure, mistakes)
    return figure


def _summary(counts: np.ndarray) -> str:
    images, right = int(counts.sum()), int(np.trace(counts))
    if not images:
        return "no images"
    noun = "image" if images == 1 else "images"
    return f"{images:,} {noun}, {right:,} right ({style.percent(right / images, digits=1)})"


def _row_shares(counts: np.ndarray) -> np.ndarray:
    """Return float64 [K, K], each count over its row's sum; 0 in rows without images."""
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.zeros(counts.shape)
    np.divide(counts, totals, out=shares, where=totals > 0)
    return shares


def _colours(shares: np.ndarray) -> np.ndarray:
    """Return RGBA [K, K, 4]: blue on the diagonal, orange beside it, darker by the root of it.

    The root, because a mistake made in one of ten images must be seen.
    """
    colours = _WRONG_MAP(np.sqrt(shares))
    diagonal = np.arange(len(shares))
    colours[diagonal, diagonal] = _RIGHT_MAP(np.sqrt(shares[diagonal, diagonal]))
    return np.asarray(colours)


def _paint(axes: Axes, colours: np.ndarray) -> None:
    size = len(colours)
    pixels = np.rint(colours * 255).astype(np.uint8)
    axes.imshow(pixels, interpolation="nearest", aspect="equal")
    width = 0.8 if size <= _MAX_WITH_COUNTS else 0.3
    # Drawn as two collections: as minor ticks, 2 x 101 grid lines take half a second.
    edges = np.arange(size + 1) - 0.5
    axes.vlines(edges, -0.5, size - 0.5, color=style.GRID, linewidth=width)
    axes.hlines(edges, -0.5, size - 0.5, color=style.GRID, linewidth=width)
    axes.set_xlim(-0.5, size - 0.5)
    axes.set_ylim(size - 0.5, -0.5)
    axes.tick_params(length=0)


def _write_counts(
    axes: Axes, counts: np.ndarray, shares: np.ndarray, colours: np.ndarray, cell: float
) -> None:
    digits = len(str(int(counts.max(initial=0))))
    size = min(cell * 17, 13.0, cell * 96 / max(digits, 2.5))
    is_small = len(counts) > _MAX_WITH_SHARES
    if is_small:
        size = min(size * 1.25, 9.0, cell * 96 / max(digits, 2.5))
    for (row, column), count in np.ndenumerate(counts):
        ink = "white" if _luminance(colours[row, column]) < _DARK else style.INK
        ink = ink if count else style.FAINT
        weight = "bold" if row == column and not is_small else "normal"
        look: dict[str, Any] = {"color": ink, "ha": "center", "weight": weight}
        if is_small or not count:
            axes.text(column, row, str(count), size=size, va="center_baseline", **look)
            continue
        axes.text(column, row - 0.02, str(count), size=size, va="bottom", **look)
        share = style.share_text(float(shares[row, column]))
        axes.text(
            column, row + 0.08, share, size=size * 0.7, va="top", **{**look, "weight": "normal"}
        )


def _name_axes(axes: Axes, names: Sequence[str], font: float, angle: int) -> None:
    positions = np.arange(len(names))
    axes.set_yticks(positions, names, size=font, color=style.INK)
    axes.set_xticks(
        positions,
        names,
        size=font,
        color=style.INK,
        rotation=angle,
        ha="right" if angle == 45 else "center",
        rotation_mode="anchor" if angle == 45 else "default",
    )
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _add_scale(figure: Figure, left: float, top: float) -> None:
    """Add two bars side by side, right and wrong, that share one scale."""
    bars = style.add_axes(figure, left, top - 1.45, 0.34, 1.2)
    levels = np.sqrt(np.linspace(1, 0, 101))[:, None]
    strip = np.concatenate([_RIGHT_MAP(levels), _WRONG_MAP(levels)], axis=1)
    bars.imshow(strip, aspect="auto", extent=(0, 2, 0, 1), interpolation="nearest")
    bars.set_xticks([])
    bars.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "", "50 %", "", "100 %"], size=7.5)
    bars.yaxis.tick_right()
    bars.tick_params(length=0)
    for spine in bars.spines.values():
        spine.set_visible(False)
    bars.set_title("right | wrong,\nshare of row", size=7.5, weight="normal", color=style.MUTED)


def _write_mistakes(figure: Figure, mistakes: Sequence[str]) -> None:
    if not mistakes:
        return
    width, height = figure.get_size_inches()
    for line, text in enumerate(["Most frequent mistakes", *mistakes]):
        bottom = 0.12 + 0.2 * (len(mistakes) - line)
        weight = "normal" if line else "bold"
        figure.text(0.16 / width, bottom / height, text, size=8.5, weight=weight)


def _worst_mistakes(counts: np.ndarray, classes: Sequence[str]) -> list[str]:
    shares = _row_shares(counts)
    wrong = counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    order = np.lexsort((-shares.ravel(), -wrong.ravel()))[:_LISTED_MISTAKES]
    lines = []
    for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True):
        if wrong[row, column]:
            true, predicted = (style.shorten(classes[i], 30) for i in (row, column))
            count, share = int(counts[row, column]), style.share_text(shares[row, column])
            lines.append(f"{count} × {true} taken for {predicted} ({share} of {true})")
    return lines


def _luminance(rgba: np.ndarray) -> float:
    """Return the relative luminance in [0, 1] of an sRGB colour (WCAG 2.1)."""
    channels = np.asarray(rgba[:3], dtype=float)
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
