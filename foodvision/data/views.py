"""What is done to the pixels of an image that is seen in a view."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from foodvision.plan.views import Corner, View


def look(pixels: Tensor, *, view: View) -> Tensor:
    """Return images as they are seen in a view, as `torchvision.transforms.v2.functional` has it.

    Every image is treated by itself, so that its bits depend on nothing beside it. What a rotation
    or a shift brings in from outside is black.

    Args:
        pixels: uint8 [B, C, S, S], on any device.
        view: one that fits images of S x S.

    Returns:
        uint8 [B, C, S, S] on the same device; for `identity` the same tensor.
    """
    if view.kind == "identity":
        return pixels
    change = _change(view, size=pixels.shape[-1])
    return torch.stack([change(image) for image in pixels])


def _change(view: View, *, size: int) -> Callable[[Tensor], Tensor]:
    from torchvision.transforms import InterpolationMode  # slow to import
    from torchvision.transforms.v2 import functional

    bilinear = InterpolationMode.BILINEAR
    changes: dict[str, Callable[..., Any]] = {
        "horizontal_flip": lambda: functional.horizontal_flip,
        "vertical_flip": lambda: functional.vertical_flip,
        "rotate": lambda degrees: partial(functional.rotate, angle=degrees, interpolation=bilinear),
        "shift": lambda right, down: partial(
            functional.affine, angle=0.0, translate=[right, down], scale=1.0, shear=[0.0, 0.0]
        ),
        "brightness": lambda factor: partial(
            functional.adjust_brightness, brightness_factor=factor
        ),
        "contrast": lambda factor: partial(functional.adjust_contrast, contrast_factor=factor),
        "saturation": lambda factor: partial(
            functional.adjust_saturation, saturation_factor=factor
        ),
        "crop": lambda: partial(_crop, edge=view.edge, corner=view.corner, size=size),
    }
    change: Callable[[Tensor], Tensor] = changes[view.kind](*view.amount)
    return change


def _crop(image: Tensor, *, edge: int, corner: Corner | None, size: int) -> Tensor:
    """Cut a square out at a corner, or in the middle, and bring it back to the image's size."""
    from torchvision.transforms.v2 import functional

    rest = size - edge
    top, left = {
        "top_left": (0, 0),
        "top_right": (0, rest),
        "bottom_left": (rest, 0),
        "bottom_right": (rest, rest),
        "centre": (round(rest / 2), round(rest / 2)),
    }[corner or "centre"]
    cut: Tensor = functional.resized_crop(image, top, left, edge, edge, [size, size])
    return cut
