"""A small network of Inception modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class MiniGoogLeNet(nn.Module):
    """Five Inception modules of GoogLeNet (Szegedy et al., 2015), for small images.

    Modules 1 and 2, 3 and 4, and 5 stand for the paper's groups 3, 4 and 5, each group at half the
    size of the one before; the average over all places, dropout of 0.4 and one linear layer follow
    as in the paper. Every convolution is followed by batch normalisation (Ioffe and Szegedy, 2015).

    Args:
        num_classes: outputs.
        channels: of the input images.
        size: not needed: any from 4 pixels on will do.
        hidden: channels of the stem; modules give 4, 4, 8, 8 and 16 times as many.
    """

    def __init__(self, num_classes: int, *, channels: int, size: int, hidden: int) -> None:  # noqa: ARG002
        super().__init__()
        self.stem = _convolution(channels, hidden, kernel_size=3)
        self.inception_1 = Inception(hidden, 4 * hidden)
        self.inception_2 = Inception(4 * hidden, 4 * hidden)
        self.pool_2 = nn.MaxPool2d(2)
        self.inception_3 = Inception(4 * hidden, 8 * hidden)
        self.inception_4 = Inception(8 * hidden, 8 * hidden)
        self.pool_4 = nn.MaxPool2d(2)
        self.inception_5 = Inception(8 * hidden, 16 * hidden)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.4)
        self.head = nn.Linear(16 * hidden, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 [B, num_classes], of images, float32 [B, channels, size, size]."""
        maps = self.pool_2(self.inception_2(self.inception_1(self.stem(images))))
        maps = self.pool_4(self.inception_4(self.inception_3(maps)))
        features = self.flatten(self.average(self.inception_5(maps)))
        return self.head(self.dropout(features))  # type: ignore[no-any-return]


class Inception(nn.Module):
    """Four views of the same maps side by side: 1 x 1, 3 x 3, 5 x 5, and the largest neighbour.

    A 1 x 1 convolution before the larger ones keeps them cheap. The shares are those of the paper's
    module 3a: of the outputs 1/4, 1/2, 1/8 and 1/8; before the 3 x 3 three quarters, and before the
    5 x 5 half of what they give.

    Args:
        inputs: channels.
        outputs: channels, at least 4.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        ones, eighth = outputs // 4, max(outputs // 8, 1)
        threes = outputs - ones - 2 * eighth
        self.one = _convolution(inputs, ones, kernel_size=1)
        self.three = nn.Sequential(
            _convolution(inputs, -(-3 * threes // 4), kernel_size=1),
            _convolution(-(-3 * threes // 4), threes, kernel_size=3),
        )
        self.five = nn.Sequential(
            _convolution(inputs, -(-eighth // 2), kernel_size=1),
            _convolution(-(-eighth // 2), eighth, kernel_size=5),
        )
        self.pooled = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1),
            _convolution(inputs, eighth, kernel_size=1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return float32 [B, outputs, H, W] of float32 [B, inputs, H, W]."""
        views = [self.one(maps), self.three(maps), self.five(maps), self.pooled(maps)]
        return torch.cat(views, dim=1)


def _convolution(inputs: int, outputs: int, *, kernel_size: int) -> nn.Sequential:
    """Return a convolution that keeps the size, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
