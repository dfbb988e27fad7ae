from __future__ import annotations

import numpy as np
import pytest

from foodvision.evaluate.certainty import Certainty, judge
from foodvision.evaluate.resampling import Outcomes, Resampled, resample
from tests.evaluate.worlds import outcomes


def _judged(given: Outcomes, *, seed: int = 0, resamples: int = 250) -> Certainty:
    resampled = resample(given, seed=seed, resamples=resamples)
    return judge(resampled, winner=int(resampled.means.argmax()), is_better_high=True)


def _verdicts(certainty: Certainty) -> list[str]:
    return [standing.verdict for standing in certainty.standings]


@pytest.mark.parametrize(
    ("models", "images", "seeds"),
    [
        pytest.param(2, 75, 1, id="two models, few images"),
        pytest.param(6, 200, 1, id="six models"),
        pytest.param(4, 150, 3, id="three seeds each"),
    ],
)
def test_of_equal_models_at_most_5_percent_are_told_apart(
    models: int, images: int, seeds: int
) -> None:
    worlds = 400
    generator = np.random.default_rng(models)
    any_worse = sole_winners = 0
    for world in range(worlds):
        given = outcomes(
            [0.9] * models, images, generator, seeds=seeds, between_seeds=0.02 * (seeds > 1)
        )
        verdicts = _verdicts(_judged(given, seed=world))
        any_worse += "worse" in verdicts
        sole_winners += "tied" not in verdicts
    assert sole_winners / worlds <= 0.05
    assert 0.001 < any_worse / worlds <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / worlds)


def test_intervals_cover_the_truth() -> None:
    generator = np.random.default_rng(3)
    covered, worlds = np.zeros(2), 400
    for world in range(worlds):
        resampled = resample(outcomes([0.9, 0.8], 200, generator), seed=world, resamples=200)
        one, two = judge(resampled, winner=0, is_better_high=True).standings
        covered += (one.low <= 0.9 <= one.high, two.behind_low <= 0.1 <= two.behind_high)
    assert (covered / worlds >= 0.92).all()
    assert (covered / worlds <= 0.985).all()


def test_a_planted_better_model_wins() -> None:
    certainty = _judged(outcomes([0.8, 0.8, 0.95, 0.8], 450, np.random.default_rng(1)))
    assert certainty.winner == 2
    assert _verdicts(certainty) == ["worse", "worse", "winner", "worse"]
    assert certainty.standings[2].chance == 1.0
    assert certainty.optimism == 0.0


def test_identical_models_tie_and_share_the_chance() -> None:
    twin = outcomes([0.9], 100, np.random.default_rng(1)).values
    certainty = _judged(Outcomes(np.vstack([twin, twin]), np.arange(2)), resamples=2000)
    assert _verdicts(certainty) == ["winner", "tied"]
    assert certainty.standings[0].chance == pytest.approx(0.5, abs=0.05)
    assert sum(standing.chance for standing in certainty.standings) == pytest.approx(1)


def test_identical_losses_tie() -> None:
    twin = np.random.default_rng(1).exponential(size=(1, 100))
    resampled = resample(Outcomes(np.vstack([twin, twin]), np.arange(2), is_share=False), seed=1)
    certainty = judge(resampled, winner=0, is_better_high=False)
    assert _verdicts(certainty) == ["winner", "tied"]
    assert certainty.standings[0].chance == pytest.approx(0.5, abs=0.05)


def test_a_lower_loss_wins() -> None:
    generator = np.random.default_rng(2)
    common = generator.exponential(size=300)
    losses = np.stack([common + 0.3 + 0.1 * generator.standard_normal(300), common])
    resampled = resample(Outcomes(losses, np.arange(2), is_share=False), seed=1)
    certainty = judge(resampled, winner=1, is_better_high=False)
    assert _verdicts(certainty) == ["worse", "winner"]
    assert certainty.standings[0].behind == pytest.approx(0.3, abs=0.02)


def test_the_chance_means_what_it_says() -> None:
    """Of winners that are given a chance of about p, a share of about p are truly the best."""
    generator = np.random.default_rng(5)
    given, true = [], []
    for world in range(400):
        accuracies = np.clip(0.88 + 0.02 * generator.standard_normal(6), 0.5, 0.99)
        certainty = _judged(outcomes(list(accuracies), 300, generator), seed=world, resamples=200)
        given.append(certainty.standings[certainty.winner].chance)
        true.append(certainty.winner == accuracies.argmax())
    given_chances, is_true = np.array(given), np.array(true)
    assert given_chances.mean() == pytest.approx(is_true.mean(), abs=0.08)
    doubtful = given_chances < 0.5
    assert 40 < doubtful.sum() < 360
    assert given_chances[doubtful].mean() == pytest.approx(is_true[doubtful].mean(), abs=0.1)
    assert given_chances[~doubtful].mean() == pytest.approx(is_true[~doubtful].mean(), abs=0.1)


def test_optimism_is_what_the_winner_loses() -> None:
    generator = np.random.default_rng(6)
    said, true = [], []
    for world in range(200):
        given = outcomes([0.9] * 10, 150, generator)
        certainty = _judged(given, seed=world, resamples=200)
        said.append(certainty.optimism)
        true.append(certainty.standings[certainty.winner].mean - given.values.mean())
    assert np.mean(said) == pytest.approx(np.mean(true), rel=0.35)


def test_seeds_that_differ_take_certainty_away() -> None:
    generator = np.random.default_rng(7)
    alone = outcomes([0.80, 0.86], 2000, generator)
    seeds = np.array([-0.08, 0.0, 0.08])
    values = [
        (generator.permutation(2000) < 2000 * (accuracy + seed)).astype(float)
        for accuracy in (0.80, 0.86)
        for seed in seeds
    ]
    repeated = Outcomes(np.array(values), np.repeat(np.arange(2), 3))
    assert _verdicts(_judged(alone)) == ["worse", "winner"]
    certainty = _judged(repeated)
    assert _verdicts(certainty) == ["tied", "winner"]
    assert certainty.seed_deviation == pytest.approx(0.08, rel=0.05)


def test_a_named_winner_that_is_beaten_is_told() -> None:
    """Ranked by other images, the first may be behind on these."""
    resampled = resample(outcomes([0.7, 0.9], 450, np.random.default_rng(1)), seed=1)
    certainty = judge(resampled, winner=0, is_better_high=True)
    assert _verdicts(certainty) == ["winner", "better"]
    assert certainty.standings[0].chance == 0.0


def test_one_configuration_is_the_best() -> None:
    certainty = _judged(outcomes([0.9], 50, np.random.default_rng(1)))
    assert certainty.standings[0].chance == 1.0
    assert certainty.optimism == 0.0


def test_images_that_only_some_were_scored_on() -> None:
    """Two test sets: no image in common, so nothing cancels out."""
    values = outcomes([0.9, 0.9], 200, np.random.default_rng(1), alike=0.99).values
    apart = np.full((2, 400), np.nan)
    apart[0, :200], apart[1, 200:] = values
    together = resample(Outcomes(values, np.arange(2)), seed=1)
    separate = resample(Outcomes(apart, np.arange(2)), seed=1)
    assert separate.means == pytest.approx(together.means)
    assert _spread(separate) > 2 * _spread(together)


def _spread(resampled: Resampled) -> float:
    return float((resampled.draws[:, 0] - resampled.draws[:, 1]).std())


def test_a_part_keeps_what_was_drawn() -> None:
    generator = np.random.default_rng(5)
    whole = resample(outcomes([0.7, 0.8, 0.9], 200, generator), seed=1)
    part = whole.only([2, 0])
    assert np.array_equal(part.means, whole.means[[2, 0]])
    assert np.array_equal(part.draws, whole.draws[:, [2, 0]])
    assert part.covariance[0, 1] == whole.covariance[2, 0]


def test_equal_seeds_give_equal_draws() -> None:
    given = outcomes([0.9, 0.8], 50, np.random.default_rng(1), seeds=2)
    first, again, other = (resample(given, seed=seed).draws for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_many_images_come_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    given = outcomes([0.9, 0.8], 50, np.random.default_rng(1))
    whole = resample(given, seed=1).draws
    monkeypatch.setattr("foodvision.evaluate.resampling._BLOCK_NUMBERS", 130)
    assert np.allclose(resample(given, seed=1).draws, whole)
