"""Batch normalisation with fixed statistics is a scale and a shift: convolutions can carry it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.fx.experimental.optimization import fuse
from torch.fx.proxy import TraceError

if TYPE_CHECKING:
    from foodvision.models.blocks import BlockModel

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def frozen_prefix(model: BlockModel, count: int) -> nn.Module:
    """Return what the leading `count` blocks compute while they are frozen, as fast as can be.

    The one way to run a frozen prefix, for rows that are kept and for rows that are computed live:
    its last bits are not those of `BlockModel.split`. `model` itself is left alone, so take the
    prefix again after its weights have changed.

    Args:
        model: on its device.
        count: leading blocks; at least 1.

    Returns:
        A module in evaluation mode.
    """
    prefix, _ = model.split(count)
    return fold_batchnorm(prefix)


def fold_batchnorm(module: nn.Module) -> nn.Module:
    """Return a copy whose convolutions carry the batch normalisation that directly follows them.

    Folded is what a convolution alone feeds (torch.fx finds the pairs); all else stays.

    Args:
        module: in evaluation mode; not changed.

    Returns:
        The copy, its convolutions' weights with the channels last; `module` itself where it has no
        batch normalisation, or cannot be traced.

    Raises:
        ValueError: `module` is in training mode.
    """
    if any(part.training for part in module.modules()):
        raise ValueError("only statistics that stay can be folded: call .eval() first")
    if not any(isinstance(part, _BATCH_NORMS) for part in module.modules()):
        return module
    try:
        folded = fuse(module)
    except TraceError:
        return module  # control flow that depends on values: it runs as it is
    return folded.to(memory_format=torch.channels_last).eval()
