"""How sure the named winner is: who cannot be told from it, and the chance that it is the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from foodvision.evaluate.resampling import Resampled

LEVEL = 0.95
_TAUS = 80
_PAIR_NUMBERS = 200_000_000  # differences that one judgement may look at
_FEWEST_RESAMPLES = 400
_NOTHING = 1e-12

Verdict = Literal["winner", "tied", "worse", "better"]


@dataclass(frozen=True)
class Standing:
    """How one configuration stands; scores as they were given, not in percent.

    Attributes:
        mean: over seeds and images.
        low: of the 95 % interval of the mean.
        high: of the same.
        behind: what it lacks to the named winner; negative where it is better.
        behind_low: of the interval of `behind`, which holds for all pairs at once.
        behind_high: of the same.
        verdict: `tied` where the interval of `behind` contains 0: on these images and seeds it
            cannot be told from the winner; `better` where it is told apart, and better.
        chance: that it is truly the best of all, in [0, 1].
    """

    mean: float
    low: float
    high: float
    behind: float
    behind_low: float
    behind_high: float
    verdict: Verdict
    chance: float


@dataclass(frozen=True)
class Certainty:
    """How sure a winner is.

    Attributes:
        standings: of each configuration, in the order given.
        winner: index of the named winner.
        optimism: what the winner's score is expected to lose on new images and seeds because the
            best of all was picked by that very score; at least 0.
        images: that were scored.
        seed_deviation: pooled standard deviation between seeds; `None`: no seed was repeated.
    """

    standings: tuple[Standing, ...]
    winner: int
    optimism: float
    images: int
    seed_deviation: float | None


def judge(resampled: Resampled, *, winner: int, is_better_high: bool) -> Certainty:
    """Hold every configuration against the named winner.

    *Told apart* means: by more than equal configurations differ anywhere in the table in 95 of 100
    cases. The threshold is that of the largest of all pairwise differences, each in units of its
    own standard error (Tukey's range, its distribution from the resamples), so it also holds for a
    winner that was picked because it came first: among equal ones, one is called worse in at most
    5 % of cases.

    *The chance* is over those that nothing beats. Their true scores are taken as draws of one
    normal distribution whose width is unknown (a hierarchical model, Gelman 2006): the more alike
    they are, the more of the lead is luck. A plain share of resamples would be too sure: of ten
    equal configurations it gives the first about 0.4.

    Args:
        resampled: of at least one configuration.
        winner: index of the one that the ranking names.
        is_better_high: the greater score is the better.
    """
    sign = 1.0 if is_better_high else -1.0
    means, draws = sign * resampled.means, sign * resampled.draws
    errors = standard_errors(resampled.covariance)
    threshold = critical_value(draws - draws.mean(axis=0), errors)
    behind = means[winner] - means
    margin = threshold * errors[winner]
    is_contender = _unbeaten(means, threshold * errors)
    chances, expected = _chances(means, draws, resampled.covariance, is_contender)
    lows, highs = np.quantile(resampled.draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    standings = tuple(
        Standing(
            mean=float(resampled.means[index]),
            low=float(min(lows[index], resampled.means[index])),
            high=float(max(highs[index], resampled.means[index])),
            behind=float(behind[index]),
            behind_low=float(behind[index] - margin[index]),
            behind_high=float(behind[index] + margin[index]),
            verdict="winner" if index == winner else _verdict(behind[index], margin[index]),
            chance=float(chances[index]),
        )
        for index in range(len(means))
    )
    optimism = max(0.0, float(means[winner] - expected[winner]))
    return Certainty(standings, winner, optimism, resampled.images, resampled.seed_deviation)


def critical_value(errors: np.ndarray, scales: np.ndarray, *, level: float = LEVEL) -> float:
    """Return what the largest difference of any pair stays below, in units of its own scale.

    Args:
        errors: float64 [B, n], resampled deviations of n values from their means.
        scales: float64 [n, n], the standard error of each difference.
        level: how often.
    """
    count = errors.shape[1]
    if count < 2:
        return 0.0
    used = errors[: max(_FEWEST_RESAMPLES, _PAIR_NUMBERS // count**2)]
    inverse = 1 / np.maximum(scales, _NOTHING)
    largest = np.array([(np.abs(row[:, None] - row) * inverse).max() for row in used])
    place = min(len(used), int(np.ceil((len(used) + 1) * level)))
    return float(np.sort(largest)[place - 1])


def standard_errors(covariance: np.ndarray) -> np.ndarray:
    """Return the standard error of the difference of each pair.

    Args:
        covariance: float64 [n, n], of n values.

    Returns:
        float64 [n, n].
    """
    variance = np.diag(covariance)
    squares = variance[:, None] + variance - 2 * covariance
    errors: np.ndarray = np.sqrt(np.maximum(squares, 0.0))
    return errors


def _unbeaten(means: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """Return bool [n]: nothing is better by more than the margin."""
    leads = means[None, :] - means[:, None]
    unbeaten: np.ndarray = (leads <= margins + _NOTHING).all(axis=1)
    return unbeaten


def _verdict(behind: float, margin: float) -> Verdict:
    if abs(behind) <= margin + _NOTHING:
        return "tied"
    return "worse" if behind > 0 else "better"


def _chances(
    means: np.ndarray, draws: np.ndarray, covariance: np.ndarray, is_contender: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return [n] the chance of each to be the best, and [n] the score expected of each."""
    chances, expected = np.zeros(len(means)), means.copy()
    found = np.flatnonzero(is_contender)
    if len(found) == 1:
        chances[found] = 1.0
        return chances, expected
    likely = _shrunk(means[found], draws[:, found], covariance[np.ix_(found, found)])
    firsts = np.bincount(likely.argmax(axis=1), minlength=len(found))
    chances[found] = firsts / len(likely)
    expected[found] = likely.mean(axis=0)
    return chances, expected


def _shrunk(means: np.ndarray, draws: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return draws [B, n] of the true scores, given that they come from one normal distribution.

    Worked out along the main axes of the noise in the differences, where everything is
    independent: the noise has variance s², the truth t², and the estimate is drawn towards the
    common mean by t² / (t² + s²). For t, a flat prior on a grid.
    """
    count = len(means)
    centring = np.eye(count) - 1 / count
    values, vectors = np.linalg.eigh(centring @ covariance @ centring)
    noise, directions = np.maximum(values[1:], _NOTHING**2), vectors[:, 1:]
    found = directions.T @ means
    widest = 4 * np.sqrt(max(noise.max(), float((found**2).mean())))
    widths = (np.arange(_TAUS) + 0.5) * widest / _TAUS
    total = noise + widths[:, None] ** 2
    likelihood = -0.5 * (np.log(total) + found**2 / total).sum(axis=1)
    weights = np.exp(likelihood - likelihood.max())
    # Spread over the draws in proportion, in place of drawing: less noise, and no generator.
    places = (np.arange(len(draws)) + 0.5) / len(draws)
    order = np.searchsorted(np.cumsum(weights) / weights.sum(), places)
    spread = widths[np.minimum(order, _TAUS - 1), None] ** 2
    pull = spread / (spread + noise)
    errors = (draws - draws.mean(axis=0)) @ directions
    return np.asarray(means.mean() + (pull * found + np.sqrt(pull) * errors) @ directions.T)
