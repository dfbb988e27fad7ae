"""A running average of the weights, kept beside those that the optimizer moves."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn


class WeightAverage:
    """An exponential moving average of all that training changes in a module.

    After the first step it is a copy; after each following one
    `average = decay * average + (1 - decay) * value`, as in torch's
    `AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)`. Running
    statistics are averaged like weights, so that they belong to the averaged weights (torchvision's
    training references do so too); counters are copied.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        """Begin without an average.

        Args:
            module: in training, on its device.
            decay: in (0, 1); the average looks back about `1 / (1 - decay)` steps.
        """
        self._decay = decay
        self._values: dict[str, Tensor] = {
            name: param.data for name, param in module.named_parameters() if param.requires_grad
        }
        self._values |= dict(module.named_buffers())
        self._averages: dict[str, Tensor] = {}

    def begin(self) -> None:
        """Take what the module holds now as the average."""
        self._averages = {name: value.clone() for name, value in self._values.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take another step of the optimizer into the average."""
        if not self._averages:
            self.begin()
            return
        for name, value in self._values.items():
            average = self._averages[name]
            if average.is_floating_point():
                average.lerp_(value, 1 - self._decay)
            else:
                average.copy_(value)

    @contextmanager
    def shown(self) -> Iterator[dict[str, Tensor]]:
        """Let the module hold the averages for a while.

        Yields:
            What the optimizer moves, by name, which the module holds again afterwards.
        """
        moved = {name: value.clone() for name, value in self._values.items()}
        self._put(self._averages)
        try:
            yield moved
        finally:
            self._put(moved)

    @torch.no_grad()
    def _put(self, values: dict[str, Tensor]) -> None:
        for name, value in values.items():
            self._values[name].copy_(value)
