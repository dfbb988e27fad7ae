"""Count what a model holds and what it computes, block by block, without giving it memory.

Multiply-adds are counted by torch's own counter at the level of its operations, so that attention
counts as well. For every torchvision network they are the figures that torchvision publishes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from foodvision.models.architectures import STOCK_CHANNELS, BuildSettings
from foodvision.models.facts import outline, too_small
from foodvision.plan.summary import BlockSize, ModelSize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from foodvision.models.blocks import BlockModel

_FLOPS_PER_MULTIPLY_ADD = 2


def measure(
    arch: str,
    *,
    num_classes: int,
    channels: int = STOCK_CHANNELS,
    size: int = 224,
    hidden: int | None = None,
) -> ModelSize:
    """Measure a model: tenths of a second for any architecture.

    Args:
        arch: one of `architectures()`.
        num_classes: outputs.
        channels: of the images.
        size: width and height of the images in pixels.
        hidden: width of our own networks.

    Raises:
        ModelError: it cannot be built, or the images are too small.
    """
    settings = BuildSettings(
        arch=arch, num_classes=num_classes, channels=channels, size=size, hidden=hidden
    )
    return measure_model(outline(settings))


def measure_model(model: BlockModel) -> ModelSize:
    """Measure a model that is built; it is left without memory, in evaluation mode.

    Raises:
        ModelError: the images that it was built for are too small.
    """
    settings = model.build
    model.module.to("meta").eval()
    images = torch.empty(1, settings.channels, settings.size, settings.size, device="meta")
    return ModelSize(
        input_shape=(settings.channels, settings.size, settings.size),
        blocks=tuple(_measure_blocks(model, images)),
        model_bytes=sum(value.nbytes for value in model.module.state_dict().values()),
    )


def _measure_blocks(model: BlockModel, values: Tensor) -> Iterator[BlockSize]:
    for position, (name, part) in enumerate(zip(model.blocks, model.parts(), strict=True)):
        try:
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                values = part(values)
        except (AssertionError, RuntimeError) as error:
            raise too_small(model.build, error) from error
        yield BlockSize(
            name=name,
            output_shape=tuple(int(length) for length in values.shape[1:]),
            params=sum(value.numel() for _, value in model.named_parameters(position)),
            multiply_adds=counter.get_total_flops() // _FLOPS_PER_MULTIPLY_ADD,
        )
