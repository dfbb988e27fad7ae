"""One image file in, one upright RGB image out: the only place that decodes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from foodvision.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
# By content, not by name: a `.jpg` that holds PostScript must not start an interpreter.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
_SIXTEEN_BITS = 65535
_WHITE = (255, 255, 255, 255)


def read_image(path: Path) -> Image.Image:
    """Read an image file: turned upright, RGB, 8 bits, without transparency.

    Raises:
        DataError: the file cannot be read, or is no whole image of a known kind.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: an image must be a readable file ({error.strerror}). "
            "Check the path and its permissions."
        ) from error
    return decode_image(content, name=str(path))


def decode_image(content: bytes, *, name: str) -> Image.Image:
    """Decode the bytes of an image file.

    EXIF orientation is applied; palettes, greys, CMYK and 16 bits become 8-bit RGB; transparent
    pixels are laid on white; of an animation the first picture is taken.

    Args:
        content: the whole file.
        name: what messages call it.

    Returns:
        An image of mode "RGB".

    Raises:
        DataError: the bytes are no whole image, of a kind without an agreed range (32-bit
            pixels), or larger than Pillow's limit against decompression bombs (179 megapixels).
    """
    # Decoders fail in as many ways as there are formats (OSError, SyntaxError, struct.error,
    # ValueError, DecompressionBombError ...); all of them mean: not an image that can be used.
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            image.load()
            return _to_rgb(_turn_upright(image))
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    except Exception as error:
        reason = str(error).strip() or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = "not a picture of a known kind" if content else "the file is empty"
        raise DataError(
            f"{name}: an image must be a whole JPEG, PNG, WebP, BMP, GIF or TIFF file ({reason}). "
            "Replace the file, or remove it."
        ) from error


def _turn_upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(0x0112, 1)
    except Exception:  # as browsers do: unreadable EXIF says nothing about the pixels
        return image
    return ImageOps.exif_transpose(image) if orientation != 1 else image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return _from_sixteen_bits(image)
    if image.mode in {"I", "F"}:
        raise DataError(
            f"pixels of 32 bits (mode {image.mode}) have no agreed white. "
            "Save the image with 8 or 16 bits."
        )
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", coloured.size, _WHITE), coloured)
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    wide = np.asarray(image).astype(np.uint32)
    narrow = (wide * 255 + _SIXTEEN_BITS // 2) // _SIXTEEN_BITS
    return Image.fromarray(narrow.astype(np.uint8)).convert("RGB")
