"""Several answers about the same images as one: averages and votes, in logarithms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from foodvision.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

CombineKind = Literal["mean", "weighted", "vote"]


def combine(
    answers: Sequence[np.ndarray], *, kind: CombineKind = "mean", weights: Sequence[float] = ()
) -> np.ndarray:
    """Combine what several models, or one model in several views, say of the same images.

    * `mean`: the mean of the probabilities.
    * `weighted`: their mean by `weights`.
    * `vote`: each answer gives one vote to its most probable class, and all of them together one
      more, divided as the mean of their probabilities. So whole votes decide, the mean decides
      between equal numbers of votes, and no class is impossible.

    Computed in float64 and in logarithms, so that no small probability becomes 0.

    Args:
        answers: logits, float [N, C] each; at least one.
        kind: how.
        weights: one positive number per answer, for `weighted`; only their ratios count.

    Returns:
        float32 [N, C], logarithms of probabilities: logits whose softmax are these probabilities.
        NaN where an answer is NaN.

    Raises:
        DataError: the shapes differ, or there are not as many weights as answers.
    """
    _check(answers, kind, weights)
    logs = np.stack([_log_softmax(answer.astype(np.float64)) for answer in answers])
    shares = np.asarray(weights if kind == "weighted" else [1.0] * len(answers), dtype=np.float64)
    with np.errstate(invalid="ignore"):  # a member that diverged answers NaN, and so do all
        mean = np.logaddexp.reduce(logs + np.log(shares / shares.sum())[:, None, None], axis=0)
        if kind == "vote":
            mean = np.logaddexp(_log_votes(logs), mean) - np.log(len(answers) + 1)
    return _log_softmax(mean).astype(np.float32)


def _check(answers: Sequence[np.ndarray], kind: CombineKind, weights: Sequence[float]) -> None:
    shapes = {answer.shape for answer in answers}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise DataError(
            f"answers that are combined must be logits [N, C] of the same images and classes, "
            f"found {sorted(shapes) or 'none'}. Combine models that were scored on the same images."
        )
    if kind == "weighted" and (len(weights) != len(answers) or min(weights) <= 0):
        raise DataError(
            f"every answer needs a weight above 0, found {list(weights)} for {len(answers)}. "
            "Give one to each."
        )


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs


def _log_votes(logs: np.ndarray) -> np.ndarray:
    """Return float64 [N, C], the logarithm of how many answers [M, N, C] say each class."""
    votes = (logs.argmax(axis=2)[:, :, None] == np.arange(logs.shape[2])).sum(axis=0)
    with np.errstate(divide="ignore"):  # no vote: minus infinity
        counts: np.ndarray = np.log(votes)
    return counts
