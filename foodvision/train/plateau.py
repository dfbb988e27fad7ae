"""The learning rate that falls when a metric no longer improves: torch's ReduceLROnPlateau."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

# A smaller change of the rate is none, as in torch.
_SMALLEST_CHANGE = 1e-8


@dataclass(frozen=True)
class PlateauSettings:
    """When the rate falls, and by how much.

    Attributes:
        lr: that training begins with; > 0.
        is_better_high: whether a larger value of the metric is the better one.
        factor: what the rate is multiplied by, in (0, 1).
        patience: so many epochs, one after the other, may pass without an improvement.
        min_delta: what is better by no more than this is no improvement; >= 0.
        cooldown: epochs after a change in which nothing counts.
        min_lr: what the rate comes down to.
    """

    lr: float
    is_better_high: bool
    factor: float
    patience: int
    min_delta: float
    cooldown: int
    min_lr: float


class Plateau:
    """Follows a metric, epoch by epoch, and says the rate of the next one.

    It does what `torch.optim.lr_scheduler.ReduceLROnPlateau` does with `threshold_mode="abs"`.
    """

    def __init__(self, settings: PlateauSettings) -> None:
        self._settings = settings
        self._lr = settings.lr
        self._best = math.inf
        self._bad = 0
        self._cooldown = 0

    @property
    def share(self) -> float:
        """The rate as a share of that which training began with; in (0, 1]."""
        return self._lr / self._settings.lr

    def observe(self, value: float | None) -> None:
        """Take in the metric after an epoch; `None` or NaN is no improvement."""
        told = math.nan if value is None else value
        cost = -told if self._settings.is_better_high else told
        if cost < self._best - self._settings.min_delta:
            self._best, self._bad = cost, 0
        else:
            self._bad += 1
        if self._cooldown:
            self._cooldown -= 1
            self._bad = 0
        if self._bad > self._settings.patience:
            self._fall()

    def _fall(self) -> None:
        lower = max(self._lr * self._settings.factor, self._settings.min_lr)
        if self._lr - lower > _SMALLEST_CHANGE:
            self._lr = lower
        self._cooldown, self._bad = self._settings.cooldown, 0

    def state(self) -> dict[str, Tensor]:
        """Return all that the next epochs depend on."""
        return {
            "lr": torch.tensor(self._lr, dtype=torch.float64),
            "best": torch.tensor(self._best, dtype=torch.float64),
            "bad": torch.tensor(self._bad, dtype=torch.int64),
            "cooldown": torch.tensor(self._cooldown, dtype=torch.int64),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        self._lr, self._best = float(state["lr"]), float(state["best"])
        self._bad, self._cooldown = int(state["bad"]), int(state["cooldown"])
