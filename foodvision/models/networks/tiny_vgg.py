"""TinyVGG, the network of the CNN Explainer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class TinyVGG(nn.Module):
    """TinyVGG as drawn by the CNN Explainer (Wang et al., 2020).

    Two blocks of two 3 x 3 convolutions with ReLU and one 2 x 2 max pool, then a linear layer. The
    names are those of the PyTorch courses that teach it, so that their state dicts fit.

    Args:
        num_classes: outputs.
        channels: of the input images.
        size: width and height of the input images in pixels; at least 16, with `padding` 4.
        hidden: channels of every convolution.
        padding: zeros around the maps, in pixels: 0 as in the paper, 1 (convolutions keep the
            size) as in the courses' network for FashionMNIST.
    """

    def __init__(
        self, num_classes: int, *, channels: int, size: int, hidden: int, padding: int = 0
    ) -> None:
        super().__init__()
        self.conv_block_1 = _block(channels, hidden, padding)
        self.conv_block_2 = _block(hidden, hidden, padding)
        lost = 4 - 4 * padding  # pixels, to the two convolutions of a block
        side = ((size - lost) // 2 - lost) // 2
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(in_features=hidden * side * side, out_features=num_classes)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 [B, num_classes], of images, float32 [B, channels, size, size]."""
        return self.classifier(self.conv_block_2(self.conv_block_1(images)))  # type: ignore[no-any-return]


def _block(channels: int, hidden: int, padding: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, hidden, kernel_size=3, padding=padding),
        nn.ReLU(),
        nn.Conv2d(hidden, hidden, kernel_size=3, padding=padding),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=2),
    )
