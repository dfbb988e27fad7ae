"""Calibration: whether answers are right as often as their probabilities say.

After Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks" (2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

BINS = 15
TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers of about the same probability.

    Attributes:
        lower: probabilities are above this, in [0, 1) (the first bin also holds it).
        upper: and at most this.
        images: number of answers, >= 1.
        confidence: their mean probability, in [0, 1].
        accuracy: share of them that is right, in [0, 1].
    """

    lower: float
    upper: float
    images: int
    confidence: float
    accuracy: float


def reliability(
    probability: np.ndarray, is_correct: np.ndarray, *, bins: int = BINS
) -> list[ReliabilityBin]:
    """Sort answers into bins of equal width by their probability.

    Args:
        probability: float [N], of the predicted class, in [0, 1].
        is_correct: bool [N].
        bins: how many.

    Returns:
        The bins that hold answers, by probability.
    """
    place = np.clip(np.ceil(probability * bins).astype(np.int64), 1, bins)
    counts = np.bincount(place, minlength=bins + 1)
    confidence = np.bincount(place, weights=probability, minlength=bins + 1)
    right = np.bincount(place, weights=is_correct.astype(np.float64), minlength=bins + 1)
    return [
        ReliabilityBin(
            lower=(number - 1) / bins,
            upper=number / bins,
            images=int(counts[number]),
            confidence=float(confidence[number] / counts[number]),
            accuracy=float(right[number] / counts[number]),
        )
        for number in np.flatnonzero(counts)
    ]


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Return the expected calibration error, in [0, 1].

    It is the distance between confidence and accuracy of a bin, mean over all answers (Naeini et
    al., 2015). NaN where there are no answers.
    """
    images = sum(each.images for each in bins)
    if not images:
        return math.nan
    return sum(each.images * abs(each.confidence - each.accuracy) for each in bins) / images


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature that logits are best divided by: the one of the smallest loss.

    Fit it on images that neither trained the model nor report its score. The loss is convex in
    the inverse of the temperature, so there is one minimum; where every answer is right, any low
    temperature is as good.

    Args:
        logits: finite float [N, C]; N >= 1.
        labels: int64 [N], class indices in [0, C).

    Returns:
        A number in `TEMPERATURES`; above 1 for a model that is too sure of itself.
    """
    from scipy.optimize import minimize_scalar  # a third of a second to import

    wide, targets = logits.detach().cpu().double(), labels.detach().cpu()
    wide = wide - wide.max(dim=1, keepdim=True).values

    def loss(log_temperature: float) -> float:
        return float(functional.cross_entropy(wide * math.exp(-log_temperature), targets))

    bounds = (math.log(TEMPERATURES[0]), math.log(TEMPERATURES[1]))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.clip(math.exp(found.x), *TEMPERATURES))
