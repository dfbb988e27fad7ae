"""Images of any shape as square tiles of one size."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from matplotlib.patches import Rectangle
from PIL import Image

from foodvision.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Picture: TypeAlias = "Image.Image | np.ndarray"

_TILE_PIXELS = 300


def show_tile(axes: Axes, image: Picture, colour: str, *, frame: float) -> None:
    """Draw an image on square axes, with a frame.

    Args:
        axes: square.
        image: a PIL image, or an array: uint8 or float in [0, 1], [H, W] or [H, W, 1 | 3].
        colour: of the frame.
        frame: its width in points.

    Raises:
        ValueError: the image is none.
    """
    axes.imshow(tile_pixels(image), interpolation="antialiased")
    axes.set_axis_off()
    axes.add_patch(
        Rectangle(
            (0, 0),
            1,
            1,
            transform=axes.transAxes,
            fill=False,
            edgecolor=colour,
            linewidth=frame,
            clip_on=False,
        )
    )


def tile_pixels(image: Picture) -> np.ndarray:
    """Return uint8 [300, 300, 3]: the whole image, centred on a light square."""
    picture = _to_rgb(image)
    scale = _TILE_PIXELS / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    # Digits of 8 x 8 pixels shall look like pixels; photos shall not.
    is_tiny = max(picture.size) <= 64
    method = Image.Resampling.NEAREST if is_tiny else Image.Resampling.LANCZOS
    tile = Image.new("RGB", (_TILE_PIXELS, _TILE_PIXELS), style.WASH)
    place = ((_TILE_PIXELS - size[0]) // 2, (_TILE_PIXELS - size[1]) // 2)
    tile.paste(picture.resize(size, method), place)
    return np.asarray(tile)


def _to_rgb(image: Picture) -> Image.Image:
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    is_picture = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if not is_picture or 0 in array.shape:
        raise ValueError(f"an image is [H, W], [H, W, 1] or [H, W, 3], got shape {array.shape}")
    if array.dtype != np.uint8:
        array = np.rint(np.clip(array.astype(float), 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(array).convert("RGB")
