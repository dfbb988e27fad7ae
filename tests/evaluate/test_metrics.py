from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from foodvision.errors import DataError
from foodvision.evaluate.metrics import (
    ClassMetrics,
    Score,
    class_metrics,
    confusion_matrix,
    judge_logits,
    macro_average,
    probabilities,
    score_logits,
    top_classes,
    top_k_accuracy,
    usual_k,
    weighted_average,
)

CLASSES = ("ピザ", "ステーキ", "寿司")
# True class and predicted class of six images: pizza is called steak once, sushi never comes up.
LABELS = torch.tensor([0, 0, 0, 1, 1, 0])
LOGITS = torch.tensor(
    [
        [4.0, 1.0, 0.0],
        [3.0, 2.0, 1.0],
        [0.0, 2.0, 1.0],
        [0.0, 5.0, 1.0],
        [1.0, 2.0, 0.0],
        [2.0, 1.0, 0.0],
    ]
)


def test_scores_are_means_over_images() -> None:
    score = score_logits(LOGITS, LABELS)
    expected = functional.cross_entropy(LOGITS.double(), LABELS).item()
    assert score == Score(loss=pytest.approx(expected), accuracy=5 / 6, images=6)


@settings(deadline=None, max_examples=30)
@given(cut=st.integers(1, 5))
def test_a_score_is_the_weighted_mean_of_its_parts(cut: int) -> None:
    parts = [score_logits(LOGITS[:cut], LABELS[:cut]), score_logits(LOGITS[cut:], LABELS[cut:])]
    whole = score_logits(LOGITS, LABELS)
    for name in ("loss", "accuracy"):
        mean = sum(getattr(part, name) * part.images for part in parts) / 6
        assert getattr(whole, name) == pytest.approx(mean)


def test_large_logits_cost_no_digits() -> None:
    score = score_logits(torch.tensor([[80.0, 0.0]]), torch.tensor([0]))
    assert 0 <= score.loss < 1e-30
    far = score_logits(torch.tensor([[1e4, 0.0]]), torch.tensor([1]))
    assert far.loss == 1e4
    assert score_logits(torch.tensor([[20.0, 0.0]]), torch.tensor([0])).loss == pytest.approx(
        math.log1p(math.exp(-20)), rel=1e-6
    )


def test_a_diverged_model_has_a_score() -> None:
    score = score_logits(torch.full((2, 3), torch.nan), torch.tensor([0, 1]))
    assert math.isnan(score.loss)
    assert score.accuracy in (0.0, 0.5)


def test_class_metrics() -> None:
    pizza, steak, sushi = class_metrics(LOGITS, LABELS, CLASSES)
    assert pizza == ClassMetrics("ピザ", 1.0, 0.75, pytest.approx(6 / 7), 4)
    assert steak == ClassMetrics("ステーキ", pytest.approx(2 / 3), 1.0, pytest.approx(0.8), 2)
    assert sushi == ClassMetrics("寿司", 0.0, 0.0, 0.0, 0)


@pytest.mark.parametrize("classes", [2, 5, 30])
def test_class_metrics_and_counts_are_those_of_scikit_learn_to_the_bit(classes: int) -> None:
    from sklearn import metrics

    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(40, classes, generator=generator)
    labels = torch.randint(classes, (40,), generator=generator)
    names = [str(number) for number in range(classes)]
    given = (labels.numpy(), logits.argmax(dim=1).numpy())
    expected = metrics.precision_recall_fscore_support(
        *given, labels=range(classes), zero_division=0
    )
    found = class_metrics(logits, labels, names)
    columns = [(each.precision, each.recall, each.f1, each.support) for each in found]
    assert columns == list(zip(*(column.tolist() for column in expected), strict=True))
    counts = confusion_matrix(logits, labels, names)
    assert (counts == metrics.confusion_matrix(*given, labels=range(classes))).all()


def test_averages_over_classes_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import precision_recall_fscore_support

    found = class_metrics(LOGITS, LABELS, CLASSES)
    predicted = LOGITS.argmax(dim=1).numpy()
    for mean, average in ((macro_average, "macro"), (weighted_average, "weighted")):
        expected = precision_recall_fscore_support(
            LABELS.numpy(), predicted, labels=[0, 1, 2], average=average, zero_division=0
        )
        ours = mean(found)
        assert (ours.precision, ours.recall, ours.f1) == pytest.approx(expected[:3])


def test_weighted_recall_is_the_accuracy() -> None:
    recall = weighted_average(class_metrics(LOGITS, LABELS, CLASSES)).recall
    assert recall == pytest.approx(score_logits(LOGITS, LABELS).accuracy)


@pytest.mark.parametrize(("k", "share"), [(1, 5 / 6), (2, 5 / 6), (3, 1.0), (9, 1.0)])
def test_top_k(k: int, share: float) -> None:
    """The one wrong image calls a pizza steak, then sushi."""
    assert top_k_accuracy(LOGITS, LABELS, k=k) == pytest.approx(share)


def test_top_k_equals_that_of_scikit_learn() -> None:
    from sklearn.metrics import top_k_accuracy_score

    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, 8, generator=generator)
    labels = torch.randint(8, (50,), generator=generator)
    for k in (1, 2, 5, 7):
        expected = top_k_accuracy_score(labels.numpy(), logits.numpy(), k=k, labels=range(8))
        assert top_k_accuracy(logits, labels, k=k) == pytest.approx(expected)


@pytest.mark.parametrize(("classes", "k"), [(1, 1), (2, 1), (3, 2), (5, 4), (6, 5), (101, 5)])
def test_usual_k_is_less_than_all(classes: int, k: int) -> None:
    assert usual_k(classes) == k


def test_confusion_has_true_classes_in_rows() -> None:
    counts = confusion_matrix(LOGITS, LABELS, CLASSES)
    assert counts.tolist() == [[3, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert counts.dtype == np.int64


def test_probabilities_add_up_to_one() -> None:
    shares = probabilities(LOGITS * 30)
    assert shares.dtype == np.float64
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(shares, functional.softmax(LOGITS * 30, dim=1), atol=1e-6)


def test_verdicts() -> None:
    verdicts = judge_logits(LOGITS, LABELS)
    assert verdicts.predicted.tolist() == [0, 0, 1, 1, 1, 0]
    assert verdicts.is_correct.tolist() == [True, True, False, True, True, True]
    shares = probabilities(LOGITS)
    assert verdicts.probability.tolist() == shares.max(axis=1).tolist()
    assert verdicts.true_probability[2] == shares[2, 0]


def test_top_classes_come_with_the_most_probable_first() -> None:
    (best, second), *_ = top_classes(LOGITS, CLASSES, count=2)
    assert (best.class_name, second.class_name) == ("ピザ", "ステーキ")
    assert best.probability > second.probability
    every = top_classes(LOGITS, CLASSES)
    assert [len(row) for row in every] == [3] * 6
    assert sum(entry.probability for entry in every[0]) == pytest.approx(1)


def test_of_equals_the_first_class_is_predicted_everywhere() -> None:
    logits = torch.tensor([[1.0, 7.0, 7.0]])
    assert judge_logits(logits, torch.tensor([2])).predicted.tolist() == [1]
    assert top_classes(logits, CLASSES)[0][0].class_name == "ステーキ"
    assert score_logits(logits, torch.tensor([1])).accuracy == 1


@pytest.mark.parametrize(
    "function", [score_logits, judge_logits, lambda *given: top_k_accuracy(*given, k=2)]
)
@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (LOGITS, LABELS[:-1], r"found \(6, 3\) and \(5,\)"),
        (LOGITS[:0], LABELS[:0], "at least one image"),
        (LOGITS[0], LABELS[:3], r"logits \[N, C\]"),
        (LOGITS[:, :1], LABELS, "between 0 and 0, found 0 to 1"),
        (LOGITS, LABELS - 1, "between 0 and 2, found -1 to 0"),
    ],
)
def test_what_cannot_be_scored(
    function: Any, logits: torch.Tensor, labels: torch.Tensor, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        function(logits, labels)


@pytest.mark.parametrize(
    "measure",
    [
        lambda: class_metrics(LOGITS, LABELS, CLASSES[:2]),
        lambda: confusion_matrix(LOGITS, LABELS, CLASSES[:2]),
        lambda: top_classes(LOGITS, CLASSES[:2]),
    ],
)
def test_every_class_needs_a_name(measure: Any) -> None:
    with pytest.raises(DataError, match=r"needs a name, found logits \(6, 3\) and 2 names"):
        measure()
