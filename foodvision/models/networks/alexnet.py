"""AlexNet for small images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class AlexNetSmall(nn.Module):
    """AlexNet (Krizhevsky, Sutskever and Hinton, 2012) for small images.

    Five convolutions and three linear layers as in the paper, in the widths of torchvision's
    `alexnet` (Krizhevsky, 2014). The paper's layers shrink 224 pixels to 6; here kernels are 3 x 3,
    the first stride is 2 instead of 4 and pools are 2 x 2, so that 32 pixels become 2.

    Args:
        num_classes: outputs.
        channels: of the input images.
        size: width and height of the input images in pixels; at least 15.
        hidden: units of each of the two hidden linear layers (4,096 in the paper).
    """

    def __init__(self, num_classes: int, *, channels: int, size: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(*_convolution(channels, 64, stride=2), nn.MaxPool2d(2))
        self.conv2 = nn.Sequential(*_convolution(64, 192), nn.MaxPool2d(2))
        self.conv3 = nn.Sequential(*_convolution(192, 384))
        self.conv4 = nn.Sequential(*_convolution(384, 256))
        self.conv5 = nn.Sequential(*_convolution(256, 256), nn.MaxPool2d(2))
        side = (size + 1) // 2 // 8
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(256 * side * side, hidden),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 [B, num_classes], of images, float32 [B, channels, size, size]."""
        maps = self.conv3(self.conv2(self.conv1(images)))
        return self.classifier(self.conv5(self.conv4(maps)))  # type: ignore[no-any-return]


def _convolution(inputs: int, outputs: int, *, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1), nn.ReLU()
