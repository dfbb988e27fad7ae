"""Whether what came after differs from what was before by more than chance, pair by pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from foodvision.evaluate.certainty import LEVEL
from foodvision.evaluate.resampling import Outcomes, resample

if TYPE_CHECKING:
    from collections.abc import Sequence

_NOTHING = 1e-12

Verdict = Literal["same", "noise", "better", "worse"]


@dataclass(frozen=True)
class Pair:
    """How good the same thing was before and after, on the same images.

    Attributes:
        before: float64 [S, N], of S seeds on N images: 1 for right and 0 for wrong, or a loss; NaN
            where an image was not scored.
        after: float64 [T, N].
        is_same: both are one result.
    """

    before: np.ndarray
    after: np.ndarray
    is_same: bool = False

    def common(self) -> np.ndarray:
        """Return bool [N]: images that both sides were scored on."""
        sides = (self.before, self.after)
        scored = [~np.isnan(side).all(axis=0) for side in sides]
        both: np.ndarray = scored[0] & scored[1]
        return both


@dataclass(frozen=True)
class Change:
    """What a pair says.

    Attributes:
        before: mean score on the images of both sides.
        after: the same.
        change: after less before.
        low: of the 95 % interval of the change, which holds for all pairs at once.
        high: of the same.
        verdict: `same` where it is one result; `noise` where the interval contains 0; else whether
            what came after is better or worse.
        images: that both sides were scored on.
    """

    before: float
    after: float
    change: float
    low: float
    high: float
    verdict: Verdict
    images: int


def compare_pairs(
    pairs: Sequence[Pair], *, seed: int, is_share: bool, is_better_high: bool
) -> list[Change]:
    """Hold each pair's two sides against each other.

    Images are resampled for all pairs together, and seeds where they are repeated (see
    `resample`). What is called better or worse differs by more than the largest of all changes of
    pairs that are equal does in 95 of 100 cases (a studentised maximum, its distribution from the
    resamples): among any number of equal pairs, one is told apart in at most 5 %.

    Args:
        pairs: at least one; each with at least one image in common.
        seed: equal seeds give equal answers.
        is_share: values are right or wrong; false: losses.
        is_better_high: the greater score is the better.
    """
    resampled = resample(_outcomes(pairs, is_share=is_share), seed=seed)
    changes = resampled.draws[:, 1::2] - resampled.draws[:, 0::2]
    deviations = changes - changes.mean(axis=0)
    errors = np.maximum(changes.std(axis=0), _NOTHING)
    largest = np.sort(np.abs(deviations / errors).max(axis=1))
    place = min(len(largest), int(np.ceil((len(largest) + 1) * LEVEL)))
    margins = largest[place - 1] * errors
    found = []
    for number, pair in enumerate(pairs):
        before, after = (float(resampled.means[2 * number + side]) for side in (0, 1))
        margin = 0.0 if pair.is_same else float(margins[number])
        change = after - before
        found.append(
            Change(
                before=before,
                after=after,
                change=change,
                low=change - margin,
                high=change + margin,
                verdict=_verdict(pair, change, margin, is_better_high=is_better_high),
                images=int(pair.common().sum()),
            )
        )
    return found


def _outcomes(pairs: Sequence[Pair], *, is_share: bool) -> Outcomes:
    """Return both sides of every pair, one after the other, on the images of both."""
    values, places = [], []
    for number, pair in enumerate(pairs):
        common = pair.common()
        for side, own in enumerate((pair.before, pair.after)):
            values.append(np.where(common, own, np.nan))
            places += [2 * number + side] * len(own)
    return Outcomes(np.concatenate(values), np.array(places), is_share=is_share)


def _verdict(pair: Pair, change: float, margin: float, *, is_better_high: bool) -> Verdict:
    if pair.is_same:
        return "same"
    if abs(change) <= margin + _NOTHING:
        return "noise"
    return "better" if (change > 0) == is_better_high else "worse"
