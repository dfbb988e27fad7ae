"""Dropout masks that are the same on every CPU, and cheap.

torch draws the masks of `nn.Dropout` with MKL on Intel's processors and with a loop over single
numbers on others: other masks from the same seed, and there half of the time that a head's
training takes, or most of it where the head is spatial.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from foodvision.train.generators import epoch_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

# Random bits of one element of a mask; probabilities are rounded to steps of 1 / 65536.
_LEVELS = 1 << 16
_ELEMENTS_PER_DRAW = 4


@contextmanager
def portable_dropout(module: nn.Module, seed: int, epoch: int) -> Iterator[None]:
    """Let every `nn.Dropout` of a module draw from generators of this epoch.

    Concerns layers in training mode on tensors of the CPU; everything else that is random
    (channel-wise dropout, stochastic depth, functional calls, accelerators) stays with torch.

    Args:
        module: in training; as before afterwards.
        seed: of the cell.
        epoch: from 1.
    """
    bits = np.random.SFC64(epoch_seed(seed, epoch, "dropout"))
    layers = [
        layer
        for layer in module.modules()
        if type(layer) is nn.Dropout and 0 < layer.p < 1 and "forward" not in vars(layer)
    ]
    try:
        for layer in layers:
            vars(layer)["forward"] = _forward(layer, bits)  # found before the class's own
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def drop(features: Tensor, probability: float, bits: np.random.SFC64) -> Tensor:
    """Set elements to zero at random and enlarge the others (Srivastava et al., 2014).

    Args:
        features: float [...] on the CPU.
        probability: share of elements to drop, in (0, 1), rounded to steps of 1 / 65536.
        bits: the random numbers; a multiple of 64 bits is taken.

    Returns:
        float [...]; its expectation is `features`.
    """
    dropped_levels = min(round(probability * _LEVELS), _LEVELS - 1)
    draws = bits.random_raw(-(-features.numel() // _ELEMENTS_PER_DRAW))
    levels = draws.view(np.uint16)[: features.numel()]
    keep = torch.from_numpy(levels >= dropped_levels).view(features.shape)
    return (features * keep).mul_(_LEVELS / (_LEVELS - dropped_levels))


def _forward(layer: nn.Dropout, bits: np.random.SFC64) -> Callable[[Tensor], Tensor]:
    def forward(features: Tensor) -> Tensor:
        if layer.training and features.device.type == "cpu":
            return drop(features, layer.p, bits)
        return nn.Dropout.forward(layer, features)

    return forward
