"""What each optimiser step saw, noted while it trains; it acts on nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.utils import get_total_norm

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor


@dataclass(frozen=True)
class EpochSteps:
    """The steps of an epoch, in order; S of them.

    Attributes:
        images: int64 [S], that each step learned from.
        losses: float64 [S], mean over these images as the step saw them (changed, mixed, smoothed).
        gradient_norms: float64 [S], L2 norm of all gradients together, before they were cut;
            `None`: not asked for.
        learning_rates: float64 [S], of a group whose factor is 1.
    """

    images: np.ndarray
    losses: np.ndarray
    gradient_norms: np.ndarray | None
    learning_rates: np.ndarray


class StepRecorder:
    """Notes steps; numbers stay on the device until the end of an epoch, so that no step waits."""

    def __init__(self, *, gradient_norms: bool) -> None:
        """Prepare.

        Args:
            gradient_norms: note them, too; a pass over all gradients in each step.
        """
        self.epochs: dict[int, EpochSteps] = {}
        self._with_norms = gradient_norms
        self._begin()

    def _begin(self) -> None:
        self._losses: list[Tensor] = []
        self._sizes: list[int] = []
        self._parts: list[int] = []
        self._norms: list[Tensor] = []
        self._rates: list[float] = []

    def note(
        self, parts: Sequence[tuple[Tensor, int]], params: Iterable[Tensor], *, lr: float
    ) -> None:
        """Note a step, between its gradients and what is done with them.

        Args:
            parts: mean loss (a scalar without gradient) and number of images of each forward pass.
            params: that it is going to change.
            lr: its learning rate.
        """
        self._losses += [loss for loss, _ in parts]
        self._sizes += [size for _, size in parts]
        self._parts.append(len(parts))
        self._rates.append(lr)
        if self._with_norms:
            gradients = [param.grad for param in params if param.grad is not None]
            self._norms.append(get_total_norm(gradients, foreach=False))

    def end(self, epoch: int) -> None:
        """Keep what was noted as the steps of an epoch (from 1)."""
        losses = torch.stack(self._losses).cpu().double().numpy()
        sizes = np.array(self._sizes, dtype=np.int64)
        begins = np.concatenate([[0], np.cumsum(self._parts)[:-1]])
        images = np.add.reduceat(sizes, begins)
        norms = torch.stack(self._norms).cpu().double().numpy() if self._norms else None
        self.epochs[epoch] = EpochSteps(
            images=images,
            losses=np.add.reduceat(losses * sizes, begins) / images,
            gradient_norms=norms,
            learning_rates=np.array(self._rates),
        )
        self._begin()
