"""Pictures of images beside what a model says about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foodvision.report import style
from foodvision.report.tiles import show_tile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from foodvision.report.tiles import Picture

_MAX_IMAGES = 16
_MAX_PHOTOS = 12
_MAX_BARS = 5
_TILE_INCHES = 2.0
_CAPTION_INCHES = 0.56
_GAP_INCHES = 0.2
_EDGE_INCHES = 0.16


@dataclass(frozen=True)
class PredictedImage:
    """An image of the test set, and what the model says.

    Attributes:
        image: a PIL image, or an array: uint8 or float in [0, 1], [H, W] or [H, W, 1 | 3].
        true_class: its label.
        predicted_class: the model's choice.
        probability: of the predicted class, in [0, 1].
    """

    image: Picture
    true_class: str
    predicted_class: str
    probability: float

    @property
    def is_correct(self) -> bool:
        """Whether the model is right."""
        return self.true_class == self.predicted_class


@dataclass(frozen=True)
class PhotoPrediction:
    """A photo of the user's own, and what the model says.

    Attributes:
        image: as in `PredictedImage`, already turned as EXIF asks.
        name: what the user calls it, such as the file's name.
        probabilities: (class, probability in [0, 1]) of every class, in any order.
    """

    image: Picture
    name: str
    probabilities: Sequence[tuple[str, float]]


def prediction_grid(
    items: Sequence[PredictedImage], path: Path, *, title: str, subtitle: str = ""
) -> Path:
    """Draw up to 16 images with predicted class, probability and, where it is wrong, the truth.

    Wrong ones carry an orange frame and a cross, right ones a thin frame and a tick.

    Args:
        items: in the order to be shown; more than 16 are left out, and the picture says so.
        path: the PNG.
        title: the headline.
        subtitle: said before what is shown; empty: nothing.

    Returns:
        `path`.

    Raises:
        ValueError: an image is no image.
    """
    shown = items[:_MAX_IMAGES]
    summary = _summary(items, len(shown))
    columns = _columns(len(shown))
    rows = -(-len(shown) // columns)
    step = _TILE_INCHES + _GAP_INCHES
    row_height = _TILE_INCHES + _CAPTION_INCHES
    width = max(2 * _EDGE_INCHES + columns * step - _GAP_INCHES, 5.2)
    with style.drawing():
        figure = style.new_figure(
            width,
            rows * row_height + 0.1,
            title=title,
            subtitle=f"{subtitle} · {summary}" if subtitle else summary,
        )
        for position, item in enumerate(shown):
            row, column = divmod(position, columns)
            bottom = (rows - 1 - row) * row_height + _CAPTION_INCHES + 0.05
            left = _EDGE_INCHES + column * step
            _draw_tile(style.add_axes(figure, left, bottom, _TILE_INCHES, _TILE_INCHES), item)
        return style.save_picture(figure, path)


def photo_predictions(
    photos: Sequence[PhotoPrediction], path: Path, *, model: str | None = None
) -> Path:
    """Draw each photo beside bars of its five most probable classes.

    Args:
        photos: in the order to be shown; at most 12 are drawn, and the picture says how many more.
        path: the PNG.
        model: who says it, for the line below the title; `None`: it is not named.

    Returns:
        `path`.

    Raises:
        ValueError: an image is no image, or a photo has no probabilities.
    """
    shown = photos[:_MAX_PHOTOS]
    columns = 1 if len(shown) <= 4 else 2
    rows = -(-len(shown) // columns)
    row_height, column_width = 2.35, 6.6
    summary = _photo_summary(photos, len(shown))
    with style.drawing():
        figure = style.new_figure(
            columns * column_width,
            rows * row_height,
            title="What the model sees",
            subtitle=f"{model} · {summary}" if model else summary,
        )
        for position, photo in enumerate(shown):
            row, column = divmod(position, columns)
            bottom = (rows - 1 - row) * row_height + 0.2
            _draw_photo(figure, photo, column * column_width + _EDGE_INCHES, bottom)
        return style.save_picture(figure, path)


def _columns(count: int) -> int:
    return max(1, count if count <= 4 else 3 if count in {5, 6, 9} else 4)


def _summary(items: Sequence[PredictedImage], shown: int) -> str:
    if not items:
        return "no images"
    wrong = sum(not item.is_correct for item in items[:shown])
    what = f"{shown} of {len(items):,} images shown" if len(items) > shown else "shown"
    return f"{what}: {wrong} wrong, {shown - wrong} right"


def _draw_tile(axes: Axes, item: PredictedImage) -> None:
    colour = style.RIGHT if item.is_correct else style.WRONG
    show_tile(axes, item.image, colour, frame=1.2 if item.is_correct else 4.0)
    sign = "✓" if item.is_correct else "✗ said"
    share = style.share_text(item.probability)
    room = _TILE_INCHES - style.text_inches([f"{sign}  ({share})"], 9.5, weight="bold")
    said = f"{sign} {style.fit(item.predicted_class, room, 9.5, weight='bold')} ({share})"
    below: dict[str, Any] = {
        "textcoords": "offset points",
        "xycoords": "axes fraction",
        "va": "top",
    }
    axes.annotate(said, (0, 0), (0, -7), color=colour, size=9.5, weight="bold", **below)
    if not item.is_correct:
        truth = f"is {style.fit(item.true_class, _TILE_INCHES - 0.15, 9)}"
        axes.annotate(truth, (0, 0), (0, -22), color=style.INK, size=9, **below)


def _draw_photo(figure: Figure, photo: PhotoPrediction, left: float, bottom: float) -> None:
    if not photo.probabilities:
        raise ValueError(f"a photo needs at least one probability, {photo.name!r} has none")
    ranked = sorted(photo.probabilities, key=lambda pair: -pair[1])
    top = ranked[:_MAX_BARS]
    side = 1.95
    picture = style.add_axes(figure, left, bottom, side, side)
    show_tile(picture, photo.image, style.FAINT, frame=0.8)
    names = [style.shorten(name, 22) for name, _ in top]
    label_width = max(style.text_inches(names, 9, weight="bold"), 0.6)
    bar_height = 0.27 * len(top)
    bars_left = left + side + 0.3 + label_width
    bars_bottom = bottom + side - 0.4 - bar_height
    axes = style.add_axes(figure, bars_left, bars_bottom, 3.55 - label_width, bar_height)
    _draw_bars(axes, names, [probability for _, probability in top])
    width, height = figure.get_size_inches()
    at = ((left + side + 0.22) / width, (bottom + side - 0.02) / height)
    figure.text(*at, style.shorten(photo.name, 46), size=9.5, weight="bold", va="top")
    others = len(ranked) - len(top)
    if others:
        note = f"{others} more: {style.share_text(sum(p for _, p in ranked[_MAX_BARS:]))}"
        at = (bars_left / width, (bars_bottom - 0.06) / height)
        figure.text(*at, note, size=8, color=style.MUTED, va="top")


def _draw_bars(axes: Axes, names: Sequence[str], probabilities: Sequence[float]) -> None:
    for position, probability in enumerate(probabilities):
        is_first = position == 0
        axes.barh(position, 1, height=0.66, color=style.WASH)
        colour = style.BLUE if is_first else "#a9c9df"
        axes.barh(position, probability, height=0.66, color=colour)
        axes.annotate(
            style.share_text(probability),
            (1, position),
            (6, 0),
            textcoords="offset points",
            va="center_baseline",
            size=9,
            weight="bold" if is_first else "normal",
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks(range(len(names)), names, size=9, color=style.INK)
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _photo_summary(photos: Sequence[PhotoPrediction], shown: int) -> str:
    count = f"{len(photos)} photo{'s' if len(photos) != 1 else ''}"
    return count if shown == len(photos) else f"{count} · {shown} shown, {len(photos) - shown} more"
