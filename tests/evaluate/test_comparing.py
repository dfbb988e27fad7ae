"""Before and after: what is chance is called noise, what is planted is found."""

from __future__ import annotations

import numpy as np
import pytest

from foodvision.evaluate.comparing import Pair, compare_pairs

IMAGES = 400


def _answers(generator: np.random.Generator, shares: list[float]) -> np.ndarray:
    """Return [S, N]: right or wrong, with a common difficulty of each image."""
    hardness = generator.random(IMAGES)
    own = generator.random((len(shares), IMAGES))
    return ((hardness + own) / 2 < np.array(shares)[:, None]).astype(np.float64)


def test_one_result_is_the_same() -> None:
    answers = _answers(np.random.default_rng(0), [0.6])
    (change,) = compare_pairs(
        [Pair(answers, answers, is_same=True)], seed=1, is_share=True, is_better_high=True
    )
    assert (change.change, change.low, change.high, change.verdict) == (0, 0, 0, "same")
    assert change.images == IMAGES


@pytest.mark.parametrize(("shift", "verdict"), [(0.2, "better"), (-0.2, "worse"), (0.0, "noise")])
def test_a_planted_change_is_found(shift: float, verdict: str) -> None:
    before, after = _answers(np.random.default_rng(2), [0.6, 0.6 + shift])
    pair = Pair(before[None], after[None])
    (change,) = compare_pairs([pair], seed=1, is_share=True, is_better_high=True)
    assert change.verdict == verdict
    assert change.low <= change.change <= change.high
    assert change.change == pytest.approx(after.mean() - before.mean())
    (loss,) = compare_pairs([pair], seed=1, is_share=True, is_better_high=False)
    opposite = {"better": "worse", "worse": "better", "noise": "noise"}
    assert loss.verdict == opposite[verdict]


def test_among_equal_pairs_one_is_told_apart_in_at_most_five_percent() -> None:
    generator = np.random.default_rng(3)
    wrong = 0
    for number in range(24):
        answers = _answers(generator, [0.55] * 20)
        pairs = [
            Pair(answers[2 * k : 2 * k + 1], answers[2 * k + 1 : 2 * k + 2]) for k in range(10)
        ]
        found = compare_pairs(pairs, seed=number, is_share=True, is_better_high=True)
        wrong += any(change.verdict != "noise" for change in found)
    assert wrong <= 4  # of 24: more has a chance of 1 % at a rate of 5 %


def test_seeds_that_differ_widen_the_interval() -> None:
    generator = np.random.default_rng(4)
    quiet = [_answers(generator, [0.5, 0.5, 0.5]), _answers(generator, [0.6, 0.6, 0.6])]
    loud = [_answers(generator, [0.3, 0.5, 0.7]), _answers(generator, [0.4, 0.6, 0.8])]
    widths = []
    for before, after in (quiet, loud):
        (change,) = compare_pairs([Pair(before, after)], seed=1, is_share=True, is_better_high=True)
        widths.append(change.high - change.low)
    assert widths[1] > 2 * widths[0]


def test_only_images_of_both_sides_count() -> None:
    answers = _answers(np.random.default_rng(5), [0.5, 0.5])
    before, after = answers[:1].copy(), answers[1:].copy()
    before[:, :100] = np.nan
    after[:, 300:] = np.nan
    (change,) = compare_pairs([Pair(before, after)], seed=1, is_share=True, is_better_high=True)
    assert change.images == 200
    assert change.before == pytest.approx(answers[0, 100:300].mean())
