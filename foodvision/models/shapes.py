"""The shapes of what a network computes, found with no memory for parameters and next to no work.

A model that has shapes only (`weightless`) gets one zero for each of its tensors, shown in the
tensor's shape with strides of 0, and runs on a batch of no images: every operation checks and
gives shapes as always, and has nothing to compute. Torch's meta device would do as well, but
imports torch's compiler first: seconds in each new process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from foodvision.models.architectures import BuildSettings


def hollow(module: nn.Module) -> nn.Module:
    """Put one shared zero, on the CPU, into the place of every tensor without memory.

    Returns:
        The module itself, in evaluation mode. It must not be trained or saved.
    """
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            if parameter.is_meta:
                part.register_parameter(name, nn.Parameter(_zeros(parameter), requires_grad=False))
        for name, buffer in part.named_buffers(recurse=False):
            if buffer.is_meta:
                setattr(part, name, _zeros(buffer))
    return module.eval()


def no_images(settings: BuildSettings) -> Tensor:
    """Return a float32 batch [0, C, H, W] of the images that a model is built for."""
    return torch.empty(0, settings.channels, settings.size, settings.size)


def _zeros(like: Tensor) -> Tensor:
    return torch.zeros((), dtype=like.dtype).expand(like.shape)
