"""What training would see of a few images, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from foodvision.train.augmentation import Augmentation
from foodvision.train.determinism import deterministic
from foodvision.train.mixing import Mixing

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from foodvision.data.transforms import Transform
    from foodvision.plan.cell_schema import CellSettings


@dataclass(frozen=True)
class PreviewedEpoch:
    """A batch as one epoch changes and mixes it.

    Attributes:
        images: uint8 [N, H, W, C].
        shares: float32 [N, classes], how much of each class an image is.
    """

    images: np.ndarray
    shares: np.ndarray


def preview_epochs(
    pixels: np.ndarray,
    labels: np.ndarray,
    *,
    settings: CellSettings,
    transform: Transform,
    classes: int,
    epochs: int,
) -> Iterator[PreviewedEpoch]:
    """Change and mix a batch as training does.

    The draws are those of the epochs; in training they meet other images, in another order.

    Args:
        pixels: uint8 [N, C, H, W], what the transform made of the images.
        labels: int64 [N].
        settings: augmentation, mixing and seed.
        transform: of the pixels.
        classes: number of classes.
        epochs: how many, from the first.
    """
    augmentation = mixing = None
    if settings.augment != "none":
        augmentation = Augmentation(settings.augment, transform)
    if settings.mix != "none":
        mixing = Mixing(settings.mix, classes=classes)
    for epoch in range(1, epochs + 1):
        images, targets = torch.from_numpy(pixels), torch.from_numpy(labels)
        with deterministic(settings.threads, device="cpu"):
            if augmentation is not None:
                images = augmentation.at_epoch(settings.seed, epoch)(images)
            if mixing is not None:
                mixed, targets = mixing.at_epoch(settings.seed, epoch)(images / 255, targets)
                images = (mixed * 255).round().to(torch.uint8)
        shares = targets if targets.dim() == 2 else functional.one_hot(targets, classes).float()
        yield PreviewedEpoch(images.permute(0, 2, 3, 1).numpy(), shares.numpy())
