"""Random changes of training images: what torchvision does, drawn from (seed, epoch) alone.

Every image gets draws of its own. They come one after the other from a generator of the epoch, in
the order in which the epoch sees the images, so that neither batches nor devices act on them.

To add a kind: write its settings in `foodvision.plan.schema`, and name what torchvision calls it
in `_TRANSFORMS`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torchvision.transforms import InterpolationMode, v2

from foodvision.train.generators import epoch_generator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from foodvision.data.transforms import Transform
    from foodvision.plan.schema import AugmentStep

# From the settings of a step, and the transform that made the pixels, to torchvision's transform.
_TRANSFORMS: dict[str, Callable[[Any, Transform], v2.Transform]] = {
    "random_crop": lambda step, transform: v2.RandomCrop(transform.size, padding=step.padding),
    "random_resized_crop": lambda step, transform: v2.RandomResizedCrop(
        transform.size,
        scale=step.scale,
        interpolation=InterpolationMode(transform.interpolation),
        antialias=True,
    ),
    "horizontal_flip": lambda step, _: v2.RandomHorizontalFlip(step.p),
    "vertical_flip": lambda step, _: v2.RandomVerticalFlip(step.p),
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
            the batches in order. It leaves torch's global generator as it found it; call it where
            no other thread draws from that one (inside `epoch_randomness`).
        """
        draws = _Draws(epoch_generator(seed, epoch, "augment").get_state())

        def change(images: Tensor) -> Tensor:
            with draws.are_next():
                return torch.stack([self._change(image) for image in images])

        return change


class _Draws:
    """A stream of random numbers for functions that only know torch's global generator."""

    def __init__(self, state: Tensor) -> None:
        self._state = state

    @contextmanager
    def are_next(self) -> Iterator[None]:
        before = torch.get_rng_state()
        torch.set_rng_state(self._state)
        try:
            yield
        finally:
            self._state = torch.get_rng_state()
            torch.set_rng_state(before)
