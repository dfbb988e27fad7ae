"""Photos of the user's own: what a saved model says of each, and which could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import torch

from foodvision.data.images import read_image
from foodvision.errors import DataError, ModelError
from foodvision.evaluate.metrics import ClassProbability, top_classes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy as np
    from torch import Tensor

    from foodvision.evaluate.answering import Answerer


@dataclass(frozen=True)
class PhotoPrediction:
    """What a model says of one photo.

    Attributes:
        path: as it was given.
        class_name: the most probable class.
        probability: its probability, in [0, 1].
        probabilities: every class, the most probable first; they add up to 1.
    """

    path: Path
    class_name: str
    probability: float
    probabilities: tuple[ClassProbability, ...]


@dataclass(frozen=True)
class PhotoProblem:
    """A photo that could not be read, and why; the message names it."""

    path: Path
    message: str


@dataclass(frozen=True)
class PhotoAnswers:
    """Predictions and problems, each in the order in which the photos were given."""

    predictions: tuple[PhotoPrediction, ...]
    problems: tuple[PhotoProblem, ...]


def predict_photos(
    answerer: Answerer, paths: Iterable[Path], *, batch_size: int = 1
) -> PhotoAnswers:
    """Say what image files show.

    Photos are turned as their EXIF orientation says. One that cannot be read stops no other.

    Args:
        answerer: who says it.
        paths: image files.
        batch_size: photos in one forward pass. One by one is what costs a few photos least: every
            batch is filled up to its size.

    Raises:
        ModelError: a model does not fit its card, or its training diverged: it has no answers.
    """
    problems: list[PhotoProblem] = []
    predictions: list[PhotoPrediction] = []
    readable = _read_photos(paths, answerer, problems)
    while photos := list(islice(readable, batch_size)):
        logits = answerer.answer([prepared for _, prepared in photos], batch_size=batch_size)
        _check_numbers(logits)
        ranked_photos = top_classes(logits, answerer.classes)
        for (path, _), ranked in zip(photos, ranked_photos, strict=True):
            best = ranked[0]
            predictions.append(PhotoPrediction(path, best.class_name, best.probability, ranked))
    return PhotoAnswers(tuple(predictions), tuple(problems))


def _check_numbers(logits: Tensor) -> None:
    if not bool(torch.isfinite(logits).all()):
        raise ModelError(
            "a model's answers must be finite numbers, found nan or infinite ones: its training "
            "diverged. Name another model; `foodvision rank` shows which cells completed."
        )


def _read_photos(
    paths: Iterable[Path], answerer: Answerer, problems: list[PhotoProblem]
) -> Iterator[tuple[Path, tuple[np.ndarray, ...]]]:
    """Yield what can be read; put the rest into `problems`."""
    for path in paths:
        try:
            yield path, answerer.prepare(read_image(path))
        except DataError as error:
            problems.append(PhotoProblem(path, str(error)))
