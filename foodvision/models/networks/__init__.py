"""Our own networks, small enough to read: each is its paper's idea, at the size of small images.

Every network is made of named blocks in order, the last one its head. Names, papers, smallest
images and default widths stand in `foodvision.models.names`, which needs no torch.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from foodvision.errors import ModelError
from foodvision.models.names import OWN_NETWORKS
from foodvision.models.networks.alexnet import AlexNetSmall
from foodvision.models.networks.googlenet import MiniGoogLeNet
from foodvision.models.networks.lenet import LeNet5
from foodvision.models.networks.mobilenet import MiniMobileNet
from foodvision.models.networks.perceptrons import MLP, Linear, NormalizedMLP, RectifiedMLP
from foodvision.models.networks.tiny_vgg import TinyVGG
from foodvision.models.networks.vgg import VGG16Small

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn


class Network(Protocol):
    """Builds a network, initialised at random."""

    def __call__(self, num_classes: int, *, channels: int, size: int, hidden: int) -> nn.Module:
        """Build it for images of `channels` and `size` x `size` pixels, `hidden` units wide."""


NETWORKS: Mapping[str, Network] = {
    "alexnet_small": AlexNetSmall,
    "lenet5": LeNet5,
    "linear": Linear,
    "mini_googlenet": MiniGoogLeNet,
    "mini_mobilenet": MiniMobileNet,
    "mlp": MLP,
    "mlp_bn": NormalizedMLP,
    "mlp_relu": RectifiedMLP,
    "tiny_vgg": TinyVGG,
    "tiny_vgg_padded": partial(TinyVGG, padding=1),
    "vgg16_small": VGG16Small,
}


def build_network(
    name: str, num_classes: int, *, channels: int, size: int, hidden: int | None
) -> nn.Module:
    """Build one of our own networks.

    Args:
        name: one of `NETWORKS`.
        num_classes: outputs.
        channels: of the input images.
        size: width and height of the input images in pixels.
        hidden: its width; `None`: its own default.

    Raises:
        ModelError: the images are too small for it.
    """
    about = OWN_NETWORKS[name]
    if size < about.smallest:
        raise ModelError(
            f"{name}: images must be at least {about.smallest} px wide and high, got {size}. "
            f"Set transform.size to {about.smallest} or more, or take mlp."
        )
    width = about.hidden if hidden is None else hidden
    return NETWORKS[name](num_classes, channels=channels, size=size, hidden=width)
