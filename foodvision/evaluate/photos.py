"""Photos of the user's own: what a saved model says of each, and which could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from foodvision.data.images import read_image
from foodvision.data.transforms import Transform, normalize, to_pixels
from foodvision.errors import DataError, ModelError
from foodvision.evaluate.metrics import ClassProbability, top_classes
from foodvision.evaluate.predictions import predict_logits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn


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
    """A photo that could not be read, and why."""

    path: Path
    message: str


@dataclass(frozen=True)
class PhotoAnswers:
    """Predictions and problems, each in the order in which the photos were given."""

    predictions: tuple[PhotoPrediction, ...]
    problems: tuple[PhotoProblem, ...]


def predict_photos(
    module: nn.Module, card: Mapping[str, Any], paths: Iterable[Path], *, batch_size: int = 1
) -> PhotoAnswers:
    """Run a saved model over image files, prepared as its training images were.

    Photos are turned as their EXIF orientation says. One that cannot be read stops no other. The
    arithmetic is float32, also for a model that was trained and scored in another precision (its
    card says which): probabilities then differ from the scored ones in their last digits.

    Args:
        module: whole model, on its device; gives float logits [B, C].
        card: what was saved beside the model: `classes` (C names) and `transform`
            (`Transform.to_json`).
        paths: image files.
        batch_size: photos in one forward pass. One by one is what costs a few photos least: every
            batch is filled up to its size.

    Raises:
        ModelError: the card lacks something, or does not belong to the module.
    """
    classes, transform = _read_card(card)
    problems: list[PhotoProblem] = []
    predictions: list[PhotoPrediction] = []
    readable = _read_photos(paths, transform, problems)
    while photos := list(islice(readable, batch_size)):
        inputs = _PhotoInputs([pixels for _, pixels in photos], transform, _device(module))
        logits = predict_logits(module, inputs, batch_size=batch_size)
        _check_classes(logits, classes)
        for (path, _), ranked in zip(photos, top_classes(logits, classes), strict=True):
            best = ranked[0]
            predictions.append(PhotoPrediction(path, best.class_name, best.probability, ranked))
    return PhotoAnswers(tuple(predictions), tuple(problems))


class _PhotoInputs:
    """A few photos in memory."""

    def __init__(
        self, pixels: Sequence[np.ndarray], transform: Transform, device: torch.device
    ) -> None:
        self._pixels = torch.from_numpy(np.stack(pixels)).to(device)
        self._transform = transform

    def __len__(self) -> int:
        return len(self._pixels)

    def batch(self, indices: np.ndarray) -> Tensor:
        """Return float32 [n, channels, size, size] on the device for int64 positions [n]."""
        rows = torch.from_numpy(indices).to(self._pixels.device)
        return normalize(self._pixels.index_select(0, rows), self._transform)


def _read_photos(
    paths: Iterable[Path], transform: Transform, problems: list[PhotoProblem]
) -> Iterator[tuple[Path, np.ndarray]]:
    """Yield what can be read; put the rest into `problems`."""
    for path in paths:
        try:
            yield path, to_pixels(read_image(path), transform)
        except DataError as error:
            problems.append(PhotoProblem(path, str(error)))


def _read_card(card: Mapping[str, Any]) -> tuple[tuple[str, ...], Transform]:
    try:
        return tuple(card["classes"]), Transform.from_json(card["transform"])
    except (KeyError, TypeError, DataError) as error:
        raise ModelError(
            f"A saved model's card must have `classes` and `transform`, found: {error!r}. "
            "Use the JSON that was saved beside the model."
        ) from error


def _device(module: nn.Module) -> torch.device:
    first = next(module.parameters(), None)
    return torch.device("cpu") if first is None else first.device


def _check_classes(logits: Tensor, classes: Sequence[str]) -> None:
    if logits.shape[1] != len(classes):
        raise ModelError(
            f"A card must name every class of its model, found {len(classes)} names and "
            f"{logits.shape[1]} logits. Use the JSON that was saved beside the model."
        )
