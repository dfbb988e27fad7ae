"""The names of all architectures, without importing torch or torchvision.

Commands that train nothing must know them too, to tell a typo. torchvision registers its networks
by a decorator; the names are read from its source text, which takes milliseconds instead of the
seconds of an import. A test compares them with what torchvision itself lists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class OwnNetwork:
    """What can be said of one of our own networks without building it.

    Attributes:
        paper: where it comes from.
        hidden: its default width.
        width_of: what `hidden` is the width of.
        smallest: width and height in pixels of the smallest images that it can take.
        shape: channels and size of the images that it is usually shown.
        blocks: their names, in order; the last one is the head.
    """

    paper: str
    hidden: int
    width_of: str
    smallest: int
    shape: tuple[int, int]
    blocks: tuple[str, ...]


OWN_NETWORKS: Mapping[str, OwnNetwork] = MappingProxyType(
    {
        "alexnet_small": OwnNetwork(
            "Krizhevsky, Sutskever and Hinton, 2012",
            1024,
            "hidden linear layers",
            15,
            (3, 32),
            ("conv1", "conv2", "conv3", "conv4", "conv5", "classifier"),
        ),
        "lenet5": OwnNetwork(
            "LeCun, Bottou, Bengio and Haffner, 1998",
            84,
            "layer F6",
            16,
            (1, 32),
            ("c1", "c3", "c5", "f6", "output"),
        ),
        "linear": OwnNetwork(
            "PyTorch courses, FashionMNIST", 10, "first layer", 1, (1, 28), ("hidden", "head")
        ),
        "mini_googlenet": OwnNetwork(
            "Szegedy et al., 2015",
            16,
            "stem",
            4,
            (3, 32),
            (
                "stem",
                "inception_1",
                "inception_2",
                "inception_3",
                "inception_4",
                "inception_5",
                "head",
            ),
        ),
        "mini_mobilenet": OwnNetwork(
            "Howard et al., 2017",
            32,
            "stem",
            1,
            (3, 32),
            (
                "stem",
                "separable_1",
                "separable_2",
                "separable_3",
                "separable_4",
                "separable_5",
                "head",
            ),
        ),
        "mlp": OwnNetwork(
            "Rumelhart, Hinton and Williams, 1986",
            64,
            "hidden layer",
            1,
            (1, 28),
            ("hidden", "head"),
        ),
        "mlp_bn": OwnNetwork(
            "Weights & Biases, MNIST; Ioffe and Szegedy, 2015",
            256,
            "hidden layer",
            1,
            (1, 28),
            ("hidden.0", "head"),
        ),
        "mlp_relu": OwnNetwork(
            "PyTorch courses, FashionMNIST", 10, "hidden layer", 1, (1, 28), ("hidden", "head")
        ),
        "tiny_vgg": OwnNetwork(
            "Wang et al., 2020",
            10,
            "convolutions",
            16,
            (3, 64),
            ("conv_block_1", "conv_block_2", "classifier"),
        ),
        "tiny_vgg_padded": OwnNetwork(
            "PyTorch courses, FashionMNIST; Wang et al., 2020",
            10,
            "convolutions",
            4,
            (1, 28),
            ("conv_block_1", "conv_block_2", "classifier"),
        ),
        "vgg16_small": OwnNetwork(
            "Simonyan and Zisserman, 2015",
            64,
            "first group",
            1,
            (3, 32),
            ("conv1", "conv2", "conv3", "conv4", "conv5", "classifier"),
        ),
    }
)

_REGISTERED = re.compile(r"^@register_model\(\)\n(?:@.*\n(?:.*\n)*?)?def (\w+)", re.MULTILINE)


@lru_cache(maxsize=1)
def architecture_names() -> tuple[str, ...]:
    """Return torchvision's classification networks and our own, sorted.

    Empty where torchvision's source cannot be read: then nobody can tell a typo this early.
    """
    spec = find_spec("torchvision")
    places = (spec.submodule_search_locations or ()) if spec else ()
    stock = {
        name
        for place in places
        for file in (Path(place) / "models").glob("*.py")
        for name in _REGISTERED.findall(file.read_text(encoding="utf-8"))
    }
    return tuple(sorted(stock.union(OWN_NETWORKS))) if stock else ()
