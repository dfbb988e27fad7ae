"""What chance does to scores: the paired bootstrap over test images, and the spread over seeds.

Every configuration is scored on the same images, so one resampling of the images moves all of them
together: what is hard for all cancels out of a difference (Efron & Tibshirani, "An Introduction to
the Bootstrap", 1993). Where few images decide, the bootstrap is too sure; each configuration
therefore gets noise of half an image of its own (a smoothed bootstrap, Silverman & Young 1987). For
the difference of two models that is what Agresti & Min (2005) add to the counts of images on which
they disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

RESAMPLES = 2_000
_BLOCK_NUMBERS = 4_000_000  # 32 MB of weights at a time


@dataclass(frozen=True, eq=False)
class Outcomes:
    """How good each result is on each image.

    Attributes:
        values: float64 [R, N]: 1 for right and 0 for wrong, or a loss; NaN where a result was not
            scored on an image. Every result was scored on at least one.
        configurations: int64 [R]: which configuration (a recipe without its seed) a result is of,
            from 0 without gaps.
        is_share: values are right or wrong; false: losses.
    """

    values: np.ndarray
    configurations: np.ndarray
    is_share: bool = True


@dataclass(frozen=True, eq=False)
class Resampled:
    """The mean score of each of n configurations, and what it might as well have been.

    Attributes:
        means: float64 [n], over seeds and images.
        draws: float64 [B, n], means of other images and seeds that were as likely.
        covariance: float64 [n, n], of these means.
        images: images that were scored, by any of them.
        seed_deviation: standard deviation between seeds of one configuration, pooled over all of
            them; `None` where no configuration has two seeds.
    """

    means: np.ndarray
    draws: np.ndarray
    covariance: np.ndarray
    images: int
    seed_deviation: float | None

    def __len__(self) -> int:
        return len(self.means)

    def only(self, chosen: Sequence[int]) -> Resampled:
        """Return what holds of some of the configurations, in the order of their numbers."""
        numbers = np.asarray(chosen, dtype=np.int64)
        return replace(
            self,
            means=self.means[numbers],
            draws=self.draws[:, numbers],
            covariance=self.covariance[np.ix_(numbers, numbers)],
        )


def resample(outcomes: Outcomes, *, seed: int, resamples: int = RESAMPLES) -> Resampled:
    """Resample images, paired over configurations, and seeds.

    The spread between seeds is pooled over configurations, as in an analysis of variance: two or
    three seeds alone say too little. It is drawn with the heavy tails of its few degrees of
    freedom. Configurations without repeated seeds share it; where none has any, only the images
    are resampled, and what is said holds for the models that were trained.

    Args:
        outcomes: of at least one configuration.
        seed: equal seeds give equal draws.
        resamples: how many draws.
    """
    generator = np.random.default_rng(seed)
    scores, seeds, spread, freedom = _by_configuration(outcomes)
    is_scored = ~np.isnan(scores)
    known = np.where(is_scored, scores, 0.0)
    counts = is_scored.sum(axis=1)
    means = known.sum(axis=1) / counts
    draws = _image_draws(known, is_scored, means, generator, resamples)
    scale = 1.0 if outcomes.is_share else float(np.nanstd(scores))
    draws += generator.standard_normal(draws.shape) * scale / (math.sqrt(2) * counts)
    covariance = np.atleast_2d(np.cov(draws, rowvar=False))
    if freedom:
        own = spread / np.sqrt(seeds)
        tails = np.sqrt(freedom / generator.chisquare(freedom, size=(resamples, 1)))
        draws += generator.standard_normal(draws.shape) * tails * own
        covariance = covariance + np.diag(own**2)
    return Resampled(means, draws, covariance, scores.shape[1], spread if freedom else None)


def _by_configuration(outcomes: Outcomes) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Return scores [n, N], seeds [n], the pooled deviation between seeds, its freedom."""
    count = int(outcomes.configurations.max()) + 1
    scores = np.empty((count, outcomes.values.shape[1]))
    seeds = np.bincount(outcomes.configurations, minlength=count)
    squares = 0.0
    for number in range(count):
        own = outcomes.values[outcomes.configurations == number]
        scores[number] = own.mean(axis=0)
        if len(own) > 1:
            totals = np.nanmean(own, axis=1)
            squares += float(((totals - totals.mean()) ** 2).sum())
    freedom = int((seeds - 1).sum())
    return scores, seeds, math.sqrt(squares / freedom) if freedom else 0.0, freedom


def _image_draws(
    known: np.ndarray,
    is_scored: np.ndarray,
    means: np.ndarray,
    generator: np.random.Generator,
    resamples: int,
) -> np.ndarray:
    """Return [B, n]: the means over as many images, drawn with replacement."""
    images = known.shape[1]
    draws = np.empty((resamples, len(known)))
    block = max(1, _BLOCK_NUMBERS // images)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        weights = np.stack(
            [
                np.bincount(generator.integers(images, size=images), minlength=images)
                for _ in range(rows)
            ]
        ).astype(np.float64)
        totals = weights @ is_scored.T.astype(np.float64)
        draws[start : start + rows] = np.where(
            totals > 0, (weights @ known.T) / np.maximum(totals, 1.0), means
        )
    return draws
