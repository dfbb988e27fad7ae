from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foodvision.evaluate.calibration import (
    TEMPERATURES,
    ReliabilityBin,
    calibration_error,
    fit_temperature,
    reliability,
)
from foodvision.evaluate.metrics import judge_logits, score_logits


def test_calibration_error_equals_a_case_computed_by_hand() -> None:
    """Five answers in two of five bins: (0.4, 0.6] holds two of them, (0.8, 1] three.

    |0.55 - 1/2| * 2/5 + |0.92 - 2/3| * 3/5 = 0.02 + 0.152 = 0.172
    """
    probability = np.array([0.5, 0.6, 0.9, 0.92, 0.94])
    is_correct = np.array([True, False, True, True, False])
    bins = reliability(probability, is_correct, bins=5)
    assert bins == [
        ReliabilityBin(0.4, 0.6, 2, pytest.approx(0.55), 0.5),
        ReliabilityBin(0.8, 1.0, 3, pytest.approx(0.92), pytest.approx(2 / 3)),
    ]
    assert calibration_error(bins) == pytest.approx(0.172)


def test_the_ends_of_the_scale_have_bins() -> None:
    bins = reliability(np.array([0.0, 1.0, 0.2]), np.array([False, True, True]), bins=5)
    assert [(each.lower, each.upper, each.images) for each in bins] == [(0.0, 0.2, 2), (0.8, 1, 1)]


def test_no_answers_have_no_error() -> None:
    assert math.isnan(calibration_error([]))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_bins_hold_every_answer_once(answers: list[tuple[float, bool]]) -> None:
    probability = np.array([each for each, _ in answers])
    is_correct = np.array([each for _, each in answers])
    bins = reliability(probability, is_correct)
    assert sum(each.images for each in bins) == len(answers)
    assert sum(each.images * each.accuracy for each in bins) == pytest.approx(is_correct.sum())
    assert 0 <= calibration_error(bins) <= 1
    for each in bins:
        assert each.lower - 1e-12 <= each.confidence <= each.upper + 1e-12


def _drawn(scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw labels from the softmax of logits; return `scale` times these, and the labels."""
    generator = torch.Generator().manual_seed(5)
    honest = torch.randn(4000, 4, generator=generator) * 2
    labels = torch.multinomial(honest.softmax(1), 1, generator=generator).squeeze(1)
    return honest * scale, labels


@pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
def test_temperature_finds_what_logits_were_multiplied_by(scale: float) -> None:
    logits, labels = _drawn(scale)
    temperature = fit_temperature(logits, labels)
    assert temperature == pytest.approx(scale, rel=0.1)
    assert score_logits(logits / temperature, labels).loss <= score_logits(logits, labels).loss
    if scale != 1:
        before, after = (_error(each, labels) for each in (logits, logits / temperature))
        assert after < before / 3


def _error(logits: torch.Tensor, labels: torch.Tensor) -> float:
    verdicts = judge_logits(logits, labels)
    return calibration_error(reliability(verdicts.probability, verdicts.is_correct))


def test_temperature_equals_that_of_scikit_learn() -> None:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    class GivenLogits(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        def __init__(self) -> None:
            self.classes_ = np.arange(4)

        def fit(self, features: Any, labels: Any) -> GivenLogits:
            return self

        def decision_function(self, features: Any) -> Any:
            return features

        def predict(self, features: Any) -> Any:
            return features.argmax(axis=1)

    logits, labels = _drawn(2.5)
    theirs = CalibratedClassifierCV(
        FrozenEstimator(GivenLogits()), method="temperature", ensemble=False
    )
    theirs.fit(logits.double().numpy(), labels.numpy())
    (calibrated,) = theirs.calibrated_classifiers_
    (calibrator,) = calibrated.calibrators
    assert fit_temperature(logits, labels) == pytest.approx(1 / calibrator.beta_, rel=1e-3)


def test_a_model_that_is_never_wrong_may_be_as_sure_as_can_be() -> None:
    logits, labels = torch.eye(3) * 2, torch.arange(3)
    temperature = fit_temperature(logits, labels)
    assert TEMPERATURES[0] <= temperature < 0.2
    assert score_logits(logits / temperature, labels).loss < 1e-4


def test_temperature_changes_no_prediction() -> None:
    logits, labels = _drawn(3)
    before, after = (judge_logits(each, labels) for each in (logits, logits / 2.5))
    assert before.predicted.tolist() == after.predicted.tolist()
