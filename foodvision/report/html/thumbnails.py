"""Images small enough to be written into the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping

EDGE = 168  # pixels of the longer side: a tile on a screen with small pixels
_TINY = 64  # images up to this are kept as they are, pixel by pixel
_QUALITY = 74


@dataclass(frozen=True)
class Thumbnail:
    """An image as a `data:` address, its size in pixels; tiny ones are to be shown in squares."""

    address: str
    width: int
    height: int
    is_tiny: bool


def thumbnail(image: Image.Image) -> Thumbnail:
    """Return an image at the size of a tile: tiny ones as PNG, all others as JPEG."""
    picture = image.convert("RGB" if image.mode not in {"L", "RGB"} else image.mode)
    is_tiny = max(picture.size) <= _TINY
    if not is_tiny:
        picture.thumbnail((EDGE, EDGE), Image.Resampling.LANCZOS)
    kind: Mapping[str, object] = (
        {"format": "PNG", "optimize": True}
        if is_tiny
        else {"format": "JPEG", "quality": _QUALITY, "optimize": True}
    )
    file = io.BytesIO()
    picture.save(file, **kind)  # type: ignore[arg-type]
    encoded = base64.b64encode(file.getvalue()).decode()
    address = f"data:image/{str(kind['format']).lower()};base64,{encoded}"
    return Thumbnail(address, picture.width, picture.height, is_tiny)
