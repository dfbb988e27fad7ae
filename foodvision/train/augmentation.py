"""Random changes of training images: what torchvision does, drawn from (seed, epoch) alone.

Every image gets draws of its own. They come one after the other from a generator of the epoch, in
the order in which the epoch sees the images, so that neither batches nor devices act on them.

To add a kind: write its settings in `foodvision.plan.augmentation`, and name what torchvision
calls it in `_TRANSFORMS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torchvision.transforms import InterpolationMode, v2

from foodvision.train.generators import EpochDraws

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from foodvision.data.transforms import Transform
    from foodvision.plan.augmentation import AugmentStep


def _interpolation(transform: Transform) -> InterpolationMode:
    """Return how turned and slanted images are resampled; torchvision has no bicubic there."""
    if transform.interpolation == "nearest":
        return InterpolationMode.NEAREST
    return InterpolationMode.BILINEAR


# From the settings of a step, and the transform that made the pixels, to torchvision's transform.
_TRANSFORMS: dict[str, Callable[[Any, Transform], v2.Transform]] = {
    "random_crop": lambda step, transform: v2.RandomCrop(
        transform.size, padding=step.padding_pixels(transform.size)
    ),
    "random_resized_crop": lambda step, transform: v2.RandomResizedCrop(
        transform.size,
        scale=step.scale,
        interpolation=InterpolationMode(transform.interpolation),
        antialias=True,
    ),
    "horizontal_flip": lambda step, _: v2.RandomHorizontalFlip(step.p),
    "vertical_flip": lambda step, _: v2.RandomVerticalFlip(step.p),
    "rotation": lambda step, transform: v2.RandomRotation(
        step.degrees, interpolation=_interpolation(transform)
    ),
    "affine": lambda step, transform: v2.RandomAffine(
        step.degrees,
        translate=(step.translate, step.translate),
        scale=step.scale,
        shear=step.shear or None,
        interpolation=_interpolation(transform),
    ),
    "perspective": lambda step, transform: v2.RandomPerspective(
        step.distortion_scale, p=step.p, interpolation=_interpolation(transform)
    ),
    "color_jitter": lambda step, _: v2.ColorJitter(
        step.brightness, step.contrast, step.saturation, step.hue
    ),
    "grayscale": lambda step, _: v2.RandomGrayscale(step.p),
    "gaussian_blur": lambda step, _: v2.GaussianBlur(step.kernel_size, step.sigma),
    "random_erasing": lambda step, _: v2.RandomErasing(step.p, step.scale, step.ratio),
    "trivial_augment": lambda _, transform: v2.TrivialAugmentWide(
        interpolation=_interpolation(transform)
    ),
    "rand_augment": lambda step, transform: v2.RandAugment(
        step.num_ops, step.magnitude, interpolation=_interpolation(transform)
    ),
    "auto_augment": lambda step, transform: v2.AutoAugment(
        v2.AutoAugmentPolicy(step.policy), interpolation=_interpolation(transform)
    ),
}


class Augmentation:
    """Steps of random changes, one after the other.

    Args:
        steps: as a plan says them; at least one.
        transform: of the pixels that will be changed.
    """

    def __init__(self, steps: Sequence[AugmentStep], transform: Transform) -> None:
        self._change = v2.Compose([_TRANSFORMS[step.kind](step, transform) for step in steps])

    def at_epoch(self, seed: int, epoch: int) -> Callable[[Tensor], Tensor]:
        """Return what changes the batches of an epoch.

        Args:
            seed: of the cell.
            epoch: from 1.

        Returns:
            A function from uint8 [B, C, H, W] on any device to the same shape, to be called with
            the batches in order, where `EpochDraws` may be used.
        """
        draws = EpochDraws(seed, epoch, "augment")

        def change(images: Tensor) -> Tensor:
            with draws.are_next():
                return torch.stack([self._change(image) for image in images])

        return change
