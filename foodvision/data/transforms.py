"""From an image to the numbers a model sees, as torchvision does it on PIL images.

The deterministic part (`to_pixels`) needs no torch, so that its results can be kept; the rest
(`normalize`) runs on the device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from foodvision.errors import DataError

if TYPE_CHECKING:
    import torch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
_MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class Transform:
    """How an image becomes `float32 [channels, size, size]`.

    Attributes:
        size: edge of the square that comes out, in pixels.
        resize_to: None squashes the image to `size` x `size`; a number first brings the shorter
            edge to that many pixels, then cuts the middle `size` x `size` out (with black around
            what is smaller).
        interpolation: nearest, bilinear or bicubic; the last two with antialiasing.
        channels: 1 (grey, ITU-R 601-2 luma, before resizing) or 3 (RGB).
        mean: per channel, in [0, 1] units, taken off.
        std: per channel, > 0, divided by.
    """

    size: int
    resize_to: int | None
    interpolation: str
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse what has no meaning.

        Raises:
            DataError: a value is outside what the class says.
        """
        problems = [problem for problem, is_wrong in self._rules() if is_wrong]
        if problems:
            raise DataError(f"transform: {'; '.join(problems)}. Got {asdict(self)}.")

    def _rules(self) -> list[tuple[str, bool]]:
        numbers = (*self.mean, *self.std)
        return [
            ("size must be at least 1", self.size < 1),
            ("resize_to must be at least 1", self.resize_to is not None and self.resize_to < 1),
            (f"interpolation must be one of {', '.join(_RESAMPLING)}", not self._can_resample()),
            ("channels must be 1 or 3", self.channels not in _MODES),
            ("mean needs one number per channel", len(self.mean) != self.channels),
            ("std needs one number per channel", len(self.std) != self.channels),
            ("mean and std must be finite", not all(math.isfinite(n) for n in numbers)),
            ("std must be above 0", any(n <= 0 for n in self.std)),
        ]

    def _can_resample(self) -> bool:
        return self.interpolation in _RESAMPLING

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Transform:
        """Read back what `to_json` wrote.

        Raises:
            DataError: a field is missing, unknown or out of range.
        """
        fields = dict(value)
        for name in ("mean", "std"):
            if isinstance(fields.get(name), Sequence):
                fields[name] = tuple(float(number) for number in fields[name])
        try:
            return cls(**fields)
        except TypeError as error:
            raise DataError(f"transform: {error}. Write it with Transform.to_json.") from error


def to_pixels(image: Image.Image, transform: Transform) -> np.ndarray:
    """Bring an image to the transform's channels and size; the deterministic, 8-bit part.

    Equal, bit for bit, to `torchvision.transforms.v2.Resize` (and `CenterCrop`) on PIL images.

    Args:
        image: upright, "L" or "RGB" (others are converted by Pillow).
        transform: what to make of it.

    Returns:
        uint8 [channels, size, size], in [0, 255], contiguous.
    """
    mode = _MODES[transform.channels]
    if image.mode != mode:
        image = image.convert(mode)
    resampling = _RESAMPLING[transform.interpolation]
    if transform.resize_to is None:
        image = _resize(image, (transform.size, transform.size), resampling)
    else:
        image = _resize(image, _scaled_size(image.size, transform.resize_to), resampling)
        image = _crop_centre(image, transform.size)
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        return pixels[None].copy()
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def normalize(pixels: torch.Tensor, transform: Transform) -> torch.Tensor:
    """Divide by 255, take the mean off, divide by the deviation: `ToTensor`, then `Normalize`.

    Args:
        pixels: uint8 [B, C, H, W], on any device.
        transform: whose mean and std are used.

    Returns:
        float32 [B, C, H, W] on the same device; `pixels` stays as it is.
    """
    import torch

    scaled = pixels.to(torch.float32).div_(255)
    if any(transform.mean):
        scaled.sub_(_per_channel(transform.mean, scaled))
    if any(number != 1 for number in transform.std):
        scaled.div_(_per_channel(transform.std, scaled))
    return scaled


def _per_channel(numbers: tuple[float, ...], like: torch.Tensor) -> torch.Tensor:
    return like.new_tensor(numbers).view(-1, 1, 1)


def _resize(image: Image.Image, size: tuple[int, int], resampling: Image.Resampling) -> Image.Image:
    return image if image.size == size else image.resize(size, resampling)


def _scaled_size(size: tuple[int, int], shorter_edge: int) -> tuple[int, int]:
    width, height = size
    longer_edge = int(shorter_edge * max(size) / min(size))
    return (shorter_edge, longer_edge) if width <= height else (longer_edge, shorter_edge)


def _crop_centre(image: Image.Image, edge: int) -> Image.Image:
    width, height = image.size
    across, down = max(edge - width, 0), max(edge - height, 0)
    if across or down:
        border = (across // 2, down // 2, (across + 1) // 2, (down + 1) // 2)
        image = ImageOps.expand(image, border, fill=0)
        width, height = image.size
    # round() takes halves to the even neighbour, exactly as torchvision's crop does
    left, top = round((width - edge) / 2), round((height - edge) / 2)
    return image.crop((left, top, left + edge, top + edge))
