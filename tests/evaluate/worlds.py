"""Made-up models whose truth is known: how often each is right, and what is hard for all."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from foodvision.evaluate.resampling import Outcomes

if TYPE_CHECKING:
    from collections.abc import Sequence


def outcomes(
    accuracies: Sequence[float],
    images: int,
    generator: np.random.Generator,
    *,
    seeds: int = 1,
    between_seeds: float = 0.0,
    alike: float = 0.6,
) -> Outcomes:
    """Draw who is right on what.

    Args:
        accuracies: true ones, of each configuration.
        images: how many.
        generator: of everything.
        seeds: results per configuration.
        between_seeds: standard deviation of the true accuracy between seeds.
        alike: correlation between models: how much of an image's difficulty is the same for all.
    """
    truth = np.repeat(accuracies, seeds)
    truth = np.clip(truth + between_seeds * generator.standard_normal(len(truth)), 0.001, 0.999)
    limits = np.array([NormalDist().inv_cdf(accuracy) for accuracy in truth])
    shared = generator.standard_normal(images)
    own = generator.standard_normal((len(truth), images))
    hardness = np.sqrt(alike) * shared + np.sqrt(1 - alike) * own
    values = (hardness < limits[:, None]).astype(np.float64)
    return Outcomes(values, np.repeat(np.arange(len(accuracies)), seeds))
