from __future__ import annotations

import itertools

import numpy as np
import pytest

from foodvision.evaluate.effects import NOT_SET, axis_effects
from foodvision.evaluate.resampling import Outcomes, Resampled, resample
from tests.evaluate.worlds import outcomes

GRID = [
    {"model": model, "epochs": epochs, "optimizer": optimizer}
    for model, epochs, optimizer in itertools.product(("a", "b"), ("5", "10"), ("adam", "sgd"))
]


def _exact(means: list[float]) -> Resampled:
    """Return configurations whose means are these, with hardly any noise."""
    values = np.array(means)
    noise = 1e-6 * np.random.default_rng(0).standard_normal((400, len(values)))
    return Resampled(values, values + noise, np.cov(noise.T), 100, None)


def _score(axes: dict[str, str]) -> float:
    score = 0.8 + 0.1 * (axes["model"] == "b") + 0.02 * (axes["epochs"] == "10")
    return score + 0.04 * (axes["model"] == "b" and axes["epochs"] == "10")


def test_a_full_grid_gives_differences_of_means() -> None:
    mains, pairs = axis_effects(_exact([_score(axes) for axes in GRID]), GRID)
    assert [main.names for main in mains] == [("model",), ("epochs",), ("optimizer",)]
    model, epochs, optimizer = mains
    assert [effect.value for effect in model.effects] == ["a", "b"]
    assert [effect.effect for effect in model.effects] == pytest.approx([-0.06, 0.06], abs=1e-5)
    assert [effect.mean for effect in model.effects] == pytest.approx([0.81, 0.93], abs=1e-5)
    assert [effect.configurations for effect in model.effects] == [4, 4]
    assert epochs.span == pytest.approx(0.04, abs=1e-5)
    assert (model.is_more_than_noise, optimizer.is_more_than_noise) == (True, False)
    assert model.share > 0.8
    assert sum(main.share for main in mains) <= 1.0
    strongest = pairs[0]
    assert {strongest.first, strongest.second} == {("model",), ("epochs",)}
    assert strongest.strength == pytest.approx(0.01, abs=1e-5)
    assert strongest.is_more_than_noise
    assert not any(pair.is_more_than_noise for pair in pairs[1:])


def test_a_grid_with_holes_compares_like_with_like() -> None:
    """Model b was only trained for 10 epochs: its plain mean would take their credit."""
    axes = [each for each in GRID if (each["model"], each["epochs"]) != ("b", "5")]
    scores = [0.8 + 0.1 * (each["epochs"] == "10") for each in axes]
    mains, pairs = axis_effects(_exact(scores), axes)
    spans = {main.names: main.span for main in mains}
    assert spans[("model",)] == pytest.approx(0, abs=1e-5)
    assert spans[("epochs",)] == pytest.approx(0.1, abs=1e-5)
    missing = next(pair for pair in pairs if set(pair.first + pair.second) == {"model", "epochs"})
    assert sum(value is None for row in missing.means for value in row) == 1


def test_axes_that_move_together_are_one() -> None:
    axes = [{"data": name, "test": name, "seed": "1"} for name in ("small", "large")]
    mains, pairs = axis_effects(_exact([0.7, 0.9]), axes)
    assert [main.names for main in mains] == [("data", "test")]
    assert [effect.value for effect in mains[0].effects] == ["small", "large"]
    assert pairs == []


def test_an_axis_that_does_not_count_everywhere() -> None:
    axes = [{"model": "a"}, {"model": "b", "dropout": "0.1"}, {"model": "b", "dropout": "0.5"}]
    mains, _ = axis_effects(_exact([0.7, 0.8, 0.9]), axes)
    dropout = next(main for main in mains if main.names == ("dropout",))
    assert [effect.value for effect in dropout.effects] == [NOT_SET, "0.1", "0.5"]


def test_no_axes() -> None:
    assert axis_effects(_exact([0.9]), [{"model": "a"}]) == ([], [])


def test_intervals_of_effects_cover_and_noise_is_called_noise() -> None:
    generator = np.random.default_rng(4)
    covered = real = 0
    worlds = 200
    for world in range(worlds):
        given = outcomes([0.85] * 4 + [0.90] * 4, 250, generator)
        mains, _ = axis_effects(resample(given, seed=world, resamples=200), GRID)
        by_name = {main.names: main for main in mains}
        worse = by_name[("model",)].effects[0]
        covered += worse.low <= -0.025 <= worse.high
        real += by_name[("epochs",)].is_more_than_noise
    assert 0.91 <= covered / worlds <= 0.99
    assert real / worlds <= 0.08


def test_two_images_do() -> None:
    given = Outcomes(np.array([[1.0, 0.0], [1.0, 1.0]]), np.arange(2))
    mains, _ = axis_effects(resample(given, seed=1), [{"model": "a"}, {"model": "b"}])
    assert mains[0].span == pytest.approx(0.5)
    assert not mains[0].is_more_than_noise
