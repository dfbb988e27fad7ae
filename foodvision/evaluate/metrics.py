"""Metrics of logits against labels: means over images, never means of batch means.

Probabilities and losses are computed in float64 from the float32 logits: they are small work, and
so neither a large logit nor a long sum costs digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch.nn import functional

from foodvision.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


@dataclass(frozen=True)
class Score:
    """How good a model is on a list of images.

    Attributes:
        loss: cross-entropy, mean over images; NaN or infinite where logits are.
        accuracy: share of images whose highest logit is at the label, in [0, 1].
        images: number of images.
    """

    loss: float
    accuracy: float
    images: int


@dataclass(frozen=True)
class ClassMetrics:
    """How good a model is on one class; a ratio of nothing is 0.

    Attributes:
        class_name: the class.
        precision: share of the images called so that are so, in [0, 1].
        recall: share of the images that are so that are called so, in [0, 1].
        f1: harmonic mean of both, in [0, 1].
        support: number of images that are so.
    """

    class_name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class AverageMetrics:
    """Means of precision, recall and F1 over classes, each in [0, 1]."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What a model says of each image; arrays of one entry per image, in order.

    Attributes:
        predicted: int64 [N], index of the most probable class (the first of equals).
        probability: float64 [N], its probability, in [0, 1].
        true_probability: float64 [N], the probability of the true class, in [0, 1].
        is_correct: bool [N].
    """

    predicted: np.ndarray
    probability: np.ndarray
    true_probability: np.ndarray
    is_correct: np.ndarray


@dataclass(frozen=True)
class ClassProbability:
    """A class and how probable a model finds it, in [0, 1]."""

    class_name: str
    probability: float


def score_logits(logits: Tensor, labels: Tensor) -> Score:
    """Score logits against labels.

    Args:
        logits: float [N, C]; N >= 1.
        labels: int64 [N], class indices in [0, C).

    Raises:
        DataError: the shapes do not fit, or a label is no class.
    """
    _check_shapes(logits, labels)
    wide = logits.detach().cpu().double()
    targets = labels.detach().cpu()
    return Score(
        loss=float(functional.cross_entropy(wide, targets)),
        accuracy=float((wide.argmax(dim=1) == targets).double().mean()),
        images=len(targets),
    )


def class_metrics(logits: Tensor, labels: Tensor, classes: Sequence[str]) -> list[ClassMetrics]:
    """Return precision, recall, F1 and support of every class, in the order of `classes`.

    Args:
        logits: float [N, C]; N >= 1.
        labels: int64 [N], class indices in [0, C).
        classes: C names.

    Raises:
        DataError: the shapes do not fit, or a label is no class.
    """
    _check_shapes(logits, labels, classes)
    true, predicted = labels.cpu().numpy(), _predicted(logits)
    support, called, right = (
        np.bincount(indices, minlength=len(classes))
        for indices in (true, predicted, true[true == predicted])
    )
    columns = (_share(right, called), _share(right, support), _share(2 * right, called + support))
    return [
        ClassMetrics(name, float(precision), float(recall), float(f1), int(images))
        for name, precision, recall, f1, images in zip(classes, *columns, support, strict=True)
    ]


def _share(counts: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Return int64 counts as shares of others; a share of nothing is 0."""
    shares: np.ndarray = np.divide(counts, of, out=np.zeros(len(of)), where=of > 0)
    return shares


def macro_average(classes: Sequence[ClassMetrics]) -> AverageMetrics:
    """Return plain means over classes: a rare class counts as much as a frequent one."""
    return _average(classes, [1] * len(classes))


def weighted_average(classes: Sequence[ClassMetrics]) -> AverageMetrics:
    """Return means over classes weighted by their images; recall is then the accuracy."""
    return _average(classes, [each.support for each in classes])


def _average(classes: Sequence[ClassMetrics], weights: Sequence[int]) -> AverageMetrics:
    def mean(values: Sequence[float]) -> float:
        return float(np.average(values, weights=weights))

    return AverageMetrics(
        precision=mean([each.precision for each in classes]),
        recall=mean([each.recall for each in classes]),
        f1=mean([each.f1 for each in classes]),
    )


def usual_k(classes: int) -> int:
    """Return the k of top-k for so many classes: 5, or less than all where there are few."""
    return max(1, min(5, classes - 1))


def top_k_accuracy(logits: Tensor, labels: Tensor, *, k: int) -> float:
    """Return the share of images whose label is among the k highest logits, in [0, 1].

    Of equal logits those of the first classes are the higher ones, as everywhere here.

    Args:
        logits: float [N, C]; N >= 1.
        labels: int64 [N], class indices in [0, C).
        k: >= 1.

    Raises:
        DataError: the shapes do not fit, or a label is no class.
    """
    _check_shapes(logits, labels)
    ranked = _ranked(logits)[:, :k]
    return float((ranked == labels.cpu().numpy()[:, None]).any(axis=1).mean())


def confusion_matrix(logits: Tensor, labels: Tensor, classes: Sequence[str]) -> np.ndarray:
    """Count images by true class (rows) and predicted class (columns).

    Args:
        logits: float [N, C]; N >= 1.
        labels: int64 [N], class indices in [0, C).
        classes: C names.

    Returns:
        int64 [C, C].

    Raises:
        DataError: the shapes do not fit, or a label is no class.
    """
    _check_shapes(logits, labels, classes)
    size = len(classes)
    pairs = labels.cpu().numpy() * size + _predicted(logits)
    return np.bincount(pairs, minlength=size * size).reshape(size, size)


def probabilities(logits: Tensor) -> np.ndarray:
    """Return the softmax of logits [N, C] as float64 [N, C]; every row adds up to 1."""
    shares: np.ndarray = logits.detach().cpu().double().softmax(dim=1).numpy()
    return shares


def judge_logits(logits: Tensor, labels: Tensor) -> Verdicts:
    """Say for every image what the model predicts, how surely, and whether it is right.

    Args:
        logits: float [N, C]; N >= 1.
        labels: int64 [N], class indices in [0, C).

    Raises:
        DataError: the shapes do not fit, or a label is no class.
    """
    _check_shapes(logits, labels)
    shares, targets = probabilities(logits), labels.cpu().numpy()
    predicted, rows = _predicted(logits), np.arange(len(targets))
    return Verdicts(
        predicted=predicted,
        probability=shares[rows, predicted],
        true_probability=shares[rows, targets],
        is_correct=predicted == targets,
    )


def top_classes(
    logits: Tensor, classes: Sequence[str], *, count: int | None = None
) -> list[tuple[ClassProbability, ...]]:
    """Return for every image its most probable classes, the most probable first.

    Args:
        logits: float [N, C].
        classes: C names.
        count: how many; `None` or more than there are: all.

    Raises:
        DataError: there are not as many names as classes.
    """
    _check_names(logits, classes)
    shares = probabilities(logits)
    ranked = _ranked(logits)[:, :count]
    return [
        tuple(ClassProbability(classes[column], float(row[column])) for column in columns)
        for row, columns in zip(shares, ranked, strict=True)
    ]


def _predicted(logits: Tensor) -> np.ndarray:
    indices: np.ndarray = logits.detach().cpu().argmax(dim=1).numpy()
    return indices


def _ranked(logits: Tensor) -> np.ndarray:
    """Return int64 [N, C], class indices from the highest logit to the lowest."""
    order: np.ndarray = np.argsort(-logits.detach().cpu().numpy(), axis=1, kind="stable")
    return order


def _check_shapes(logits: Tensor, labels: Tensor, classes: Sequence[str] | None = None) -> None:
    if logits.dim() != 2 or len(labels) == 0 or labels.shape != logits.shape[:1]:
        raise DataError(
            f"Metrics need logits [N, C] and labels [N] of at least one image, found "
            f"{tuple(logits.shape)} and {tuple(labels.shape)}. Give the labels of these images."
        )
    if classes is not None:
        _check_names(logits, classes)
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= logits.shape[1]:
        raise DataError(
            f"Labels must lie between 0 and {logits.shape[1] - 1}, found {lowest} to {highest}. "
            "Score a model only on the classes that it knows."
        )


def _check_names(logits: Tensor, classes: Sequence[str]) -> None:
    if logits.dim() != 2 or logits.shape[1] != len(classes):
        raise DataError(
            f"Every class needs a name, found logits {tuple(logits.shape)} and {len(classes)} "
            "names. Give the names that the model was trained with."
        )
