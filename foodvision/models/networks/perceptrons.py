"""Networks over all pixels at once, without a convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class Linear(nn.Module):
    """Two linear layers with nothing between them, so one linear map of the pixels.

    The baseline of the PyTorch courses for FashionMNIST: flatten, linear, linear.

    Args:
        num_classes: outputs.
        channels: of the input images.
        size: width and height of the input images in pixels.
        hidden: outputs of the first layer.
    """

    def __init__(self, num_classes: int, *, channels: int, size: int, hidden: int) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.hidden = nn.Linear(channels * size * size, hidden)
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 [B, num_classes], of images, float32 [B, channels, size, size]."""
        return self.head(self.hidden(self.flatten(images)))  # type: ignore[no-any-return]


class RectifiedMLP(nn.Module):
    """Flatten, linear, ReLU, linear, ReLU.

    The second model of the PyTorch courses for FashionMNIST. The ReLU on the outputs is meant: a
    class whose logit is negative for all images gets no gradient any more, and stays at zero.

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
        self.output_activation = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits >= 0, float32 [B, num_classes], of float32 [B, channels, size, size]."""
        logits = self.head(self.activation(self.hidden(self.flatten(images))))
        return self.output_activation(logits)  # type: ignore[no-any-return]


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


class NormalizedMLP(nn.Module):
    """Flatten, linear, batch normalisation, ReLU, dropout, linear.

    The network of Weights & Biases' introduction to MNIST; batch normalisation is Ioffe and
    Szegedy's (2015), dropout Srivastava's and others' (2014).

    Args:
        num_classes: outputs.
        channels: of the input images.
        size: width and height of the input images in pixels.
        hidden: width of the hidden layer.
    """

    def __init__(self, num_classes: int, *, channels: int, size: int, hidden: int) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.hidden = nn.Sequential(
            nn.Linear(channels * size * size, hidden), nn.BatchNorm1d(hidden), nn.ReLU()
        )
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 [B, num_classes], of images, float32 [B, channels, size, size]."""
        return self.head(self.dropout(self.hidden(self.flatten(images))))  # type: ignore[no-any-return]
