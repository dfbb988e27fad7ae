"""LeNet-5, the convolutional network that read cheques."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class LeNet5(nn.Module):
    """LeNet-5 (LeCun, Bottou, Bengio and Haffner, 1998).

    The layers are the paper's, and named as there. As usual today, every map of C3 sees all of S2,
    pooling is a plain average, tanh is not scaled, and the outputs are linear. At the paper's
    32 x 32 pixels the maps under C5 are 5 x 5; elsewhere C5 is connected to all of them as well.

    Args:
        num_classes: outputs.
        channels: of the input images.
        size: width and height of the input images in pixels; at least 16.
        hidden: units of F6.
    """

    def __init__(self, num_classes: int, *, channels: int, size: int, hidden: int) -> None:
        super().__init__()
        self.c1 = nn.Sequential(nn.Conv2d(channels, 6, kernel_size=5), nn.Tanh(), nn.AvgPool2d(2))
        self.c3 = nn.Sequential(nn.Conv2d(6, 16, kernel_size=5), nn.Tanh(), nn.AvgPool2d(2))
        side = ((size - 4) // 2 - 4) // 2
        self.c5 = nn.Sequential(nn.Flatten(), nn.Linear(16 * side * side, 120), nn.Tanh())
        self.f6 = nn.Sequential(nn.Linear(120, hidden), nn.Tanh())
        self.output = nn.Linear(hidden, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 [B, num_classes], of images, float32 [B, channels, size, size]."""
        return self.output(self.f6(self.c5(self.c3(self.c1(images)))))  # type: ignore[no-any-return]
