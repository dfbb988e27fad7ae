"""Our own small networks; all are built from named blocks, the last one being the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from foodvision.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_TINY_VGG_HIDDEN = 10
_TINY_VGG_SMALLEST = 16
_MLP_HIDDEN = 64


class TinyVGG(nn.Module):
    """TinyVGG as drawn by the CNN Explainer (Wang et al., 2020).

    Two blocks of two unpadded 3 x 3 convolutions with ReLU and one 2 x 2 max pool, then a linear
    layer. The names are those of the PyTorch courses that teach it, so that their state dicts fit.

    Args:
        num_classes: outputs.
        channels: of the input images.
        size: width and height of the input images in pixels; at least 16.
        hidden: channels of every convolution.
    """

    def __init__(self, num_classes: int, *, channels: int, size: int, hidden: int) -> None:
        super().__init__()
        if size < _TINY_VGG_SMALLEST:
            raise ModelError(
                f"tiny_vgg: images must be at least {_TINY_VGG_SMALLEST} px wide and high, "
                f"got {size}. Set transform.size to {_TINY_VGG_SMALLEST} or more, or take mlp."
            )
        self.conv_block_1 = _tiny_vgg_block(channels, hidden)
        self.conv_block_2 = _tiny_vgg_block(hidden, hidden)
        side = ((size - 4) // 2 - 4) // 2
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(in_features=hidden * side * side, out_features=num_classes)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 [B, num_classes], of images, float32 [B, channels, size, size]."""
        return self.classifier(self.conv_block_2(self.conv_block_1(images)))  # type: ignore[no-any-return]


class MLP(nn.Module):
    """One hidden layer over all pixels: flatten, linear, ReLU, linear.

    Args:
        num_classes: outputs.
        channels: of the input images.
        size: width and height of the input images in pixels.
        hidden: width of the hidden layer.
    """

    def __init__(self, num_classes: int, *, channels: int, size: int, hidden: int) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.hidden = nn.Linear(channels * size * size, hidden)
        self.activation = nn.ReLU()
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 [B, num_classes], of images, float32 [B, channels, size, size]."""
        return self.head(self.activation(self.hidden(self.flatten(images))))  # type: ignore[no-any-return]


def _tiny_vgg_block(channels: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, hidden, kernel_size=3),
        nn.ReLU(),
        nn.Conv2d(hidden, hidden, kernel_size=3),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=2),
    )


def _tiny_vgg(num_classes: int, channels: int, size: int, hidden: int | None) -> nn.Module:
    width = _TINY_VGG_HIDDEN if hidden is None else hidden
    return TinyVGG(num_classes, channels=channels, size=size, hidden=width)


def _mlp(num_classes: int, channels: int, size: int, hidden: int | None) -> nn.Module:
    width = _MLP_HIDDEN if hidden is None else hidden
    return MLP(num_classes, channels=channels, size=size, hidden=width)


#: Name of a network to `build(num_classes, channels, size, hidden)`; `hidden` may be `None`.
NETWORKS: dict[str, Callable[[int, int, int, int | None], nn.Module]] = {
    "mlp": _mlp,
    "tiny_vgg": _tiny_vgg,
}
