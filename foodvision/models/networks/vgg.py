"""VGG16 for small images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor


class VGG16Small(nn.Module):
    """VGG16, configuration D of Simonyan and Zisserman (2015), for small images.

    Thirteen 3 x 3 convolutions in five groups, as in the paper; a pool behind each group halves the
    maps, rounding up, so that 32 pixels become 1 and smaller images pass as well. The two hidden
    linear layers have as many units as the last group has channels (4,096 in the paper).
    Initial weights are He's and others' (2015): sixteen layers without normalisation do not learn
    from torch's default ones.

    Args:
        num_classes: outputs.
        channels: of the input images.
        size: width and height of the input images in pixels.
        hidden: channels of the first group; the others have 2, 4, 8 and 8 times as many.
    """

    def __init__(self, num_classes: int, *, channels: int, size: int, hidden: int) -> None:
        super().__init__()
        wide = 8 * hidden
        self.conv1 = _group(channels, hidden, layers=2)
        self.conv2 = _group(hidden, 2 * hidden, layers=2)
        self.conv3 = _group(2 * hidden, 4 * hidden, layers=3)
        self.conv4 = _group(4 * hidden, wide, layers=3)
        self.conv5 = _group(wide, wide, layers=3)
        side = -(-size // 2**5)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(wide * side * side, wide),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(wide, wide),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(wide, num_classes),
        )
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 [B, num_classes], of images, float32 [B, channels, size, size]."""
        maps = self.conv3(self.conv2(self.conv1(images)))
        return self.classifier(self.conv5(self.conv4(maps)))  # type: ignore[no-any-return]


def _group(inputs: int, outputs: int, *, layers: int) -> nn.Sequential:
    return nn.Sequential(*_layers(inputs, outputs, layers), nn.MaxPool2d(2, ceil_mode=True))


def _layers(inputs: int, outputs: int, layers: int) -> Iterator[nn.Module]:
    for layer in range(layers):
        yield nn.Conv2d(outputs if layer else inputs, outputs, kernel_size=3, padding=1)
        yield nn.ReLU()


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
