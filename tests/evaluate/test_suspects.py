from __future__ import annotations

import numpy as np
import pytest

from foodvision.evaluate.suspects import Answers, hard_images, suspected_labels


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _answers(
    truth: np.ndarray, labels: np.ndarray, skills: list[float], generator: np.random.Generator
) -> Answers:
    """Models that see the truth, each as sharply as its skill; `labels` is what is written."""
    classes = int(truth.max()) + 1
    hard = generator.uniform(0.3, 1.0, size=len(truth))
    chances = []
    for skill in skills:
        logits = generator.standard_normal((len(truth), classes))
        logits[np.arange(len(truth)), truth] += skill * hard
        chances.append(_softmax(1.5 * logits))
    given = np.stack(chances)
    return Answers(
        given.argmax(axis=-1),
        given.max(axis=-1),
        given[:, np.arange(len(truth)), labels],
        labels,
    )


@pytest.mark.parametrize(
    "skills",
    [
        pytest.param([5.0] * 8, id="good models"),
        pytest.param([5.0] * 4 + [0.0] * 6, id="most models only guess"),
    ],
)
def test_planted_wrong_labels_are_the_first_suspects(skills: list[float]) -> None:
    generator = np.random.default_rng(2)
    truth = generator.integers(10, size=600)
    labels = truth.copy()
    planted = generator.choice(600, size=30, replace=False)
    labels[planted] = (truth[planted] + generator.integers(1, 10, size=30)) % 10
    suspects = suspected_labels(_answers(truth, labels, skills, generator), limit=30)
    found = [suspect.image for suspect in suspects]
    assert len(set(found) & set(planted)) >= 27
    assert set(found[:20]) <= set(planted)
    assert all(suspect.suggested == truth[suspect.image] for suspect in suspects[:20])
    margins = [suspect.margin for suspect in suspects]
    assert margins == sorted(margins, reverse=True)


def test_right_labels_are_hardly_suspected() -> None:
    generator = np.random.default_rng(3)
    truth = generator.integers(5, size=500)
    suspects = suspected_labels(_answers(truth, truth, [5.0] * 6, generator), limit=500)
    assert len(suspects) <= 5


def _said(predicted: list[list[int]], labels: list[int], sure: float = 0.9) -> Answers:
    said, written = np.array(predicted), np.array(labels)
    right = said == written
    return Answers(said, np.full(said.shape, sure), np.where(right, sure, 1 - sure), written)


def test_two_models_suspect_nothing() -> None:
    labels = [0, 0, 1, 1]
    assert suspected_labels(_said([[1, 0, 1, 1]] * 2, labels), limit=9) == []
    assert [s.image for s in suspected_labels(_said([[1, 0, 1, 1]] * 3, labels), limit=9)] == [0]


def test_models_that_disagree_among_themselves_suspect_nothing() -> None:
    labels = [0, 0, 1, 1, 2, 2, 3, 3]
    right = [0, 0, 1, 1, 2, 2, 3, 3]
    said = [[named, *right[1:]] for named in (1, 2, 3)]
    assert suspected_labels(_said(said, labels), limit=9) == []


def test_hard_images_are_those_that_most_get_wrong() -> None:
    labels = [0, 0, 0, 1]
    said = [[0, 1, 1, 1], [0, 1, 0, 1], [0, 1, 0, 1]]
    (hard,) = hard_images(_said(said, labels), limit=9)
    assert (hard.image, hard.asked, hard.wrong, hard.usual) == (1, 3, 3, 1)
    assert hard.true_probability == pytest.approx(0.1)


def test_images_that_a_result_was_not_asked_about_do_not_count() -> None:
    answers = _said([[-1, 1], [1, 0], [0, 0]], [0, 0])
    (hard,) = hard_images(answers, limit=9)
    assert (hard.image, hard.asked, hard.wrong) == (0, 2, 1)


def test_the_list_is_as_long_as_asked() -> None:
    answers = _said([[1, 1, 1]] * 3, [0, 0, 0])
    assert [hard.image for hard in hard_images(answers, limit=2)] == [0, 1]
