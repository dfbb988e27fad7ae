"""Several answers as one: cases computed by hand, and what must hold of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foodvision.errors import DataError
from foodvision.evaluate.ensembles import combine


def logits(*probabilities: list[float]) -> np.ndarray:
    """Return logits of one image each, shifted: only their differences mean anything."""
    return np.log(np.array(probabilities, dtype=np.float64)).astype(np.float32) + 3


def probabilities(answer: np.ndarray) -> np.ndarray:
    return np.exp(answer.astype(np.float64))


ANSWERS = arrays(np.float32, (4, 3), elements=st.floats(-20, 20, width=32))
SURE, UNSURE, OTHER = (logits(p) for p in ([0.9, 0.05, 0.05], [0.3, 0.4, 0.3], [0.2, 0.5, 0.3]))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"kind": "mean"}, [1.4 / 3, 0.95 / 3, 0.65 / 3]),
        (
            {"kind": "weighted", "weights": [2, 1, 1]},
            [0.25 * (1.8 + 0.5), 0.25 * (0.1 + 0.9), 0.25 * (0.1 + 0.6)],
        ),
        (  # one vote, two votes, none; and one vote more, divided as the mean
            {"kind": "vote"},
            [(1 + 1.4 / 3) / 4, (2 + 0.95 / 3) / 4, (0.65 / 3) / 4],
        ),
    ],
    ids=lambda value: str(value),
)
def test_cases_computed_by_hand(how: dict[str, Any], expected: list[float]) -> None:
    found = probabilities(combine([SURE, UNSURE, OTHER], **how))
    np.testing.assert_allclose(found, [expected], rtol=1e-6)


def test_the_mean_decides_between_equal_numbers_of_votes() -> None:
    found = combine([logits([0.9, 0.1]), logits([0.4, 0.6])], kind="vote")
    assert found.argmax() == 0
    assert combine([logits([0.6, 0.4]), logits([0.1, 0.9])], kind="vote").argmax() == 1


def test_no_small_probability_becomes_zero() -> None:
    hopeless = np.array([[0.0, -800.0]], dtype=np.float32)
    for kind in ("mean", "vote"):
        found = combine([hopeless, hopeless], kind=kind)  # type: ignore[arg-type]
        assert np.isfinite(found).all()


def test_answers_that_are_no_numbers_stay_so() -> None:
    broken = np.full((1, 3), np.nan, dtype=np.float32)
    assert np.isnan(combine([SURE, broken])).all()


@settings(deadline=None, max_examples=40)
@given(
    st.lists(ANSWERS, min_size=1, max_size=5),
    st.sampled_from(["mean", "weighted", "vote"]),
)
def test_every_kind_gives_probabilities(answers: list[np.ndarray], kind: Any) -> None:
    answers = [np.round(answer * 8) / 8 for answer in answers]  # + 2 rounds nothing: no new ties
    found = combine(answers, kind=kind, weights=range(1, len(answers) + 1))
    assert found.dtype == np.float32
    np.testing.assert_allclose(probabilities(found).sum(axis=1), 1, rtol=1e-5)
    shifted = combine(
        [answer + np.float32(2) for answer in answers],
        kind=kind,
        weights=range(1, len(answers) + 1),
    )
    np.testing.assert_allclose(probabilities(found), probabilities(shifted), atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(ANSWERS, st.integers(1, 5))
def test_one_opinion_several_times_is_that_opinion(answer: np.ndarray, count: int) -> None:
    alone = probabilities(combine([answer]))
    np.testing.assert_allclose(probabilities(combine([answer] * count)), alone, atol=1e-6)


@pytest.mark.parametrize(
    ("answers", "how", "message"),
    [
        ([], {}, r"found none"),
        ([SURE, logits([0.5, 0.5])], {}, r"found \[\(1, 2\), \(1, 3\)\]"),
        ([SURE[0]], {}, r"must be logits \[N, C\]"),
        ([SURE, OTHER], {"kind": "weighted", "weights": [1.0]}, r"found \[1.0\] for 2"),
        ([SURE, OTHER], {"kind": "weighted", "weights": [1.0, 0.0]}, "a weight above 0"),
    ],
    ids=["none", "other classes", "no rows", "a weight too few", "no weight"],
)
def test_answers_that_do_not_go_together(
    answers: list[np.ndarray], how: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        combine(answers, **how)
