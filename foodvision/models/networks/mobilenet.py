"""A small network of depthwise separable convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class MiniMobileNet(nn.Module):
    """MobileNet (Howard et al., 2017), shortened for small images.

    A convolution, five depthwise separable ones (each a 3 x 3 per channel and a 1 x 1 across
    them: about an eighth of the multiply-adds of a full 3 x 3), the average over all places, and
    one linear layer. Two of them halve the size, where the paper's thirteen have four that do.
    Dropout before the last layer is 0 until `model.dropout` says otherwise.

    Args:
        num_classes: outputs.
        channels: of the input images.
        size: not needed: any will do.
        hidden: channels of the stem; the others give 2, 4, 4, 8 and 8 times as many.
    """

    def __init__(self, num_classes: int, *, channels: int, size: int, hidden: int) -> None:  # noqa: ARG002
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, hidden, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
        )
        self.separable_1 = _separable(hidden, 2 * hidden)
        self.separable_2 = _separable(2 * hidden, 4 * hidden, stride=2)
        self.separable_3 = _separable(4 * hidden, 4 * hidden)
        self.separable_4 = _separable(4 * hidden, 8 * hidden, stride=2)
        self.separable_5 = _separable(8 * hidden, 8 * hidden)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.0)
        self.head = nn.Linear(8 * hidden, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 [B, num_classes], of images, float32 [B, channels, size, size]."""
        maps = self.separable_2(self.separable_1(self.stem(images)))
        maps = self.separable_5(self.separable_4(self.separable_3(maps)))
        return self.head(self.dropout(self.flatten(self.average(maps))))  # type: ignore[no-any-return]


def _separable(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride=stride, padding=1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, kernel_size=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
