"""Images that most models get wrong, and those whose label is probably wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_MOST = 0.5  # share that has to be wrong, or to agree
_FEWEST_JURORS = 3
_SURE = 0.5  # of how sure the jury usually is


@dataclass(frozen=True, eq=False)
class Answers:
    """What R results say of N images.

    Attributes:
        predicted: int64 [R, N], class index; -1 where a result was not scored on an image.
        probability: float64 [R, N], of the predicted class, in [0, 1].
        true_probability: float64 [R, N], of the class that the data set names.
        labels: int64 [N], the class that the data set names.
    """

    predicted: np.ndarray
    probability: np.ndarray
    true_probability: np.ndarray
    labels: np.ndarray

    @property
    def is_asked(self) -> np.ndarray:
        """Return bool [R, N]: the result was scored on the image."""
        asked: np.ndarray = self.predicted >= 0
        return asked


@dataclass(frozen=True)
class HardImage:
    """An image that many results get wrong.

    Attributes:
        image: index.
        asked: results that were scored on it.
        wrong: how many of them are wrong.
        true_probability: mean over results of what they give the true class.
        usual: the class that most of the wrong ones name.
    """

    image: int
    asked: int
    wrong: int
    true_probability: float
    usual: int


@dataclass(frozen=True)
class Suspect:
    """An image whose label is probably wrong.

    Attributes:
        image: index.
        suggested: the class that the jury names.
        agreeing: how many of the jury name it.
        jury: how many were asked.
        confidence: mean probability that the jury gives the suggested class, counting 0 for those
            that name another.
        true_probability: mean probability that the jury gives the label.
    """

    image: int
    suggested: int
    agreeing: int
    jury: int
    confidence: float
    true_probability: float

    @property
    def margin(self) -> float:
        """Return by how much the jury prefers its class."""
        return self.confidence - self.true_probability


def hard_images(answers: Answers, *, limit: int) -> list[HardImage]:
    """Return the images that at least half of the results get wrong, the hardest first."""
    is_asked = answers.is_asked
    asked = is_asked.sum(axis=0)
    wrong = ((answers.predicted != answers.labels) & is_asked).sum(axis=0)
    share = wrong / np.maximum(asked, 1)
    given = _mean(answers.true_probability, is_asked)
    found = [
        int(image)
        for image in np.lexsort((np.arange(len(share)), given, -share))
        if wrong[image] and share[image] >= _MOST
    ]
    return [
        HardImage(
            image=image,
            asked=int(asked[image]),
            wrong=int(wrong[image]),
            true_probability=float(given[image]),
            usual=_usual(answers.predicted[is_asked[:, image], image], answers.labels[image]),
        )
        for image in found[:limit]
    ]


def suspected_labels(answers: Answers, *, limit: int) -> list[Suspect]:
    """Return the images where the jury agrees on another class than the label, surest first.

    After confident learning (Northcutt, Jiang, Chuang, 2021), with a jury in place of one model:
    an image is suspected where more than half of the jury names the same other class, at least
    half as sure of it as the jury usually is of images that bear that label. The jury are the
    results that are at least half as much better than guessing as the best one; fewer than three
    suspect nothing.

    Args:
        answers: of models that were not trained on these images.
        limit: the longest list.
    """
    jury = _jury(answers)
    predicted, asked = answers.predicted[jury], answers.is_asked[jury]
    sizes = asked.sum(axis=0)
    given = _mean(answers.true_probability[jury], asked)
    usual = _usual_confidence(given, answers.labels, classes=int(answers.predicted.max()) + 1)
    most_differ = ((predicted != answers.labels) & asked).sum(axis=0) > _MOST * sizes
    found = []
    for image in np.flatnonzero(most_differ & (sizes >= _FEWEST_JURORS)):
        named = predicted[asked[:, image], image]
        suggested = _usual(named, answers.labels[image])
        agrees = (predicted[:, image] == suggested) & asked[:, image]
        sure = float(answers.probability[jury][agrees, image].sum() / sizes[image])
        if agrees.sum() > _MOST * sizes[image] and sure >= _SURE * usual[suggested]:
            found.append(
                Suspect(
                    int(image),
                    suggested,
                    int(agrees.sum()),
                    int(sizes[image]),
                    sure,
                    float(given[image]),
                )
            )
    found.sort(key=lambda suspect: (-suspect.margin, suspect.image))
    return found[:limit]


def _jury(answers: Answers) -> np.ndarray:
    """Return bool [R]: results that know something of these images."""
    asked = answers.is_asked
    right = ((answers.predicted == answers.labels) & asked).sum(axis=1)
    accuracy = right / np.maximum(asked.sum(axis=1), 1)
    guessing = float(np.bincount(answers.labels).max() / len(answers.labels))
    better: np.ndarray = accuracy >= guessing + (accuracy.max() - guessing) / 2
    return better


def _usual_confidence(given: np.ndarray, labels: np.ndarray, *, classes: int) -> np.ndarray:
    """Return per class the mean probability of the label over its images; 0 without images."""
    count = max(classes, int(labels.max()) + 1)
    images = np.bincount(labels, minlength=count)
    totals = np.bincount(labels, weights=given, minlength=count)
    usual: np.ndarray = totals / np.maximum(images, 1)
    return usual


def _usual(named: np.ndarray, label: int) -> int:
    """Return the class that is named most among those that are not the label."""
    return int(np.bincount(named[named != label]).argmax())


def _mean(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    known = np.where(where & np.isfinite(values), values, 0.0)
    mean: np.ndarray = known.sum(axis=0) / np.maximum(where.sum(axis=0), 1)
    return mean
