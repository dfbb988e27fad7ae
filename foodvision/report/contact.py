"""Contact sheets: what is in a data set, and what training makes of its images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.patches import Rectangle

from foodvision.report import style
from foodvision.report.tiles import show_tile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from foodvision.report.tiles import Picture

MAX_CLASSES = 16
MAX_IMAGES = 8

_TILE = 1.2
_GAP = 0.07
_EDGE = 0.16
_LABEL_POINTS = 9.5
_LABEL_INCHES = 2.2
_CAPTION = 0.4
_CAPTION_POINTS = 7.2
_BAR = 0.055
_HEADING = 0.24
_ASIDE = 0.16  # between an image as it is and what becomes of it
_LEAST_WIDTH = 6.2
_CLASS_COLOURS = (
    style.BLUE,
    style.ORANGE,
    style.GREEN,
    style.PURPLE,
    style.SKY,
    style.VERMILION,
    style.OLIVE,
)


@dataclass(frozen=True)
class ClassRow:
    """A class of a data set.

    Attributes:
        name: of the class.
        detail: said below the name, such as the number of images.
        images: some of its images; at most 8 are shown.
    """

    name: str
    detail: str
    images: Sequence[Picture]


@dataclass(frozen=True)
class Change:
    """What one epoch makes of an image.

    Attributes:
        image: as training sees it.
        shares: of each class in its label, above 0, adding up to 1; one class: it was not mixed.
    """

    image: Picture
    shares: Mapping[str, float]


@dataclass(frozen=True)
class ChangedImage:
    """An image as it is, and what becomes of it epoch by epoch.

    Attributes:
        image: as scoring sees it.
        class_name: its class.
        changes: one per epoch, from the first; as many for every image of a sheet.
    """

    image: Picture
    class_name: str
    changes: Sequence[Change]


def class_sheet(
    rows: Sequence[ClassRow], path: Path, *, title: str, subtitle: str, classes: int | None = None
) -> Path:
    """Draw some images of each class, one row per class.

    Args:
        rows: in the order to be shown; more than 16 are left out, and the picture says so.
        path: the PNG.
        title: the headline.
        subtitle: said below it.
        classes: how many there are, where `rows` are not all of them.

    Returns:
        `path`.

    Raises:
        ValueError: an image is no image.
    """
    shown = rows[:MAX_CLASSES]
    count = len(rows) if classes is None else classes
    if count > len(shown):
        subtitle = f"{subtitle} · {len(shown)} of them shown"
    columns = max((min(len(row.images), MAX_IMAGES) for row in shown), default=0)
    with style.drawing():
        label = _label_width([text for row in shown for text in (row.name, row.detail)])
        figure = style.new_figure(
            _width(label, columns),
            len(shown) * (_TILE + _GAP) + 0.1,
            title=title,
            subtitle=subtitle,
        )
        for number, row in enumerate(shown):
            bottom = (len(shown) - 1 - number) * (_TILE + _GAP) + 0.1
            _label(figure, row.name, row.detail, label, bottom)
            for column, image in enumerate(row.images[:MAX_IMAGES]):
                left = _EDGE + label + column * (_TILE + _GAP)
                axes = style.add_axes(figure, left, bottom, _TILE, _TILE)
                show_tile(axes, image, style.FAINT, frame=0.6)
        return style.save_picture(figure, path)


def change_sheet(images: Sequence[ChangedImage], path: Path, *, title: str, subtitle: str) -> Path:
    """Draw images as they are beside what becomes of them, one row per image, by epoch.

    Below what was mixed, a bar and two lines say how much of which class it is.

    Args:
        images: in the order to be shown.
        path: the PNG.
        title: the headline.
        subtitle: said below it.

    Returns:
        `path`.

    Raises:
        ValueError: an image is no image.
    """
    is_mixed = any(len(change.shares) > 1 for row in images for change in row.changes)
    names = dict.fromkeys(name for row in images for name in _names(row))
    colours = {
        name: _CLASS_COLOURS[number % len(_CLASS_COLOURS)] for number, name in enumerate(names)
    }
    epochs = max((len(row.changes) for row in images), default=0)
    step = _TILE + (_CAPTION if is_mixed else _GAP)
    with style.drawing():
        label = _label_width([row.class_name for row in images])
        figure = style.new_figure(
            _width(label, 1 + epochs) + _ASIDE,
            len(images) * step + _HEADING + 0.05,
            title=title,
            subtitle=subtitle,
        )
        _headings(figure, epochs, _EDGE + label, len(images) * step + 0.07)
        for number, row in enumerate(images):
            bottom = (len(images) - 1 - number) * step + (_CAPTION if is_mixed else 0.05)
            _changed_row(figure, row, label, bottom, colours if is_mixed else {})
        return style.save_picture(figure, path)


def _changed_row(
    figure: Figure, row: ChangedImage, label: float, bottom: float, colours: Mapping[str, str]
) -> None:
    _label(figure, row.class_name, "", label, bottom)
    axes = style.add_axes(figure, _EDGE + label, bottom, _TILE, _TILE)
    show_tile(axes, row.image, style.MUTED, frame=1.4)
    for epoch, change in enumerate(row.changes, start=1):
        left = _column_left(_EDGE + label, epoch)
        axes = style.add_axes(figure, left, bottom, _TILE, _TILE)
        show_tile(axes, change.image, style.FAINT, frame=0.6)
        if colours:
            _caption(figure, change.shares, colours, left, bottom)


def _column_left(start: float, column: int) -> float:
    """Return where a column of tiles begins; column 0 holds the images as they are."""
    return start + column * (_TILE + _GAP) + (_ASIDE if column else 0)


def _headings(figure: Figure, epochs: int, start: float, bottom: float) -> None:
    width, height = figure.get_size_inches()
    for column, text in enumerate(["as it is", *(f"epoch {n}" for n in range(1, epochs + 1))]):
        at = (_column_left(start, column) / width, bottom / height)
        figure.text(*at, text, size=8.5, color=style.MUTED, va="bottom")


def _caption(
    figure: Figure,
    shares: Mapping[str, float],
    colours: Mapping[str, str],
    left: float,
    bottom: float,
) -> None:
    """Write below a tile which labels it bears, under a bar of their colours."""
    width, height = figure.get_size_inches()
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    begin = left
    for name, share in ranked:
        figure.add_artist(
            Rectangle(
                (begin / width, (bottom - 0.035 - _BAR) / height),
                share * _TILE / width,
                _BAR / height,
                transform=figure.transFigure,
                facecolor=colours[name],
                linewidth=0,
            )
        )
        begin += share * _TILE
    for line, (name, share) in enumerate(ranked):
        text = f"{style.share_text(share)} {name}" if len(ranked) > 1 else name
        at = (left / width, (bottom - 0.05 - _BAR - line * 0.125) / height)
        text = style.fit(text, _TILE, _CAPTION_POINTS)
        figure.text(*at, text, size=_CAPTION_POINTS, color=style.MUTED, va="top")


def _names(row: ChangedImage) -> list[str]:
    return [row.class_name, *(name for change in row.changes for name in change.shares)]


def _label_width(texts: Sequence[str]) -> float:
    widest = style.text_inches(map(style.legible, texts), _LABEL_POINTS, weight="bold")
    return min(widest, _LABEL_INCHES) + 0.15


def _width(label: float, columns: int) -> float:
    return max(2 * _EDGE + label + columns * (_TILE + _GAP) - _GAP, _LEAST_WIDTH)


def _label(figure: Figure, name: str, detail: str, room: float, bottom: float) -> None:
    width, height = figure.get_size_inches()
    left, middle = _EDGE / width, bottom + _TILE / 2
    text = style.fit(name, room - 0.1, _LABEL_POINTS, weight="bold")
    rise = 0.02 if detail else -0.07
    figure.text(left, (middle + rise) / height, text, size=_LABEL_POINTS, weight="bold")
    if detail:
        text = style.fit(detail, room - 0.1, 8)
        figure.text(left, (middle - 0.16) / height, text, size=8, color=style.MUTED)
