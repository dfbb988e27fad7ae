"""What a report says of images: the winner's answers, hard ones, and labels that look wrong."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from foodvision.data.datasets import Dataset, open_dataset
from foodvision.errors import FoodVisionError
from foodvision.evaluate.suspects import Answers, HardImage, Suspect, hard_images, suspected_labels
from foodvision.report.html.contents import (
    Bin,
    Calibration,
    ClassResult,
    Confusion,
    Tile,
    Tiles,
    Winner,
)
from warehouse import reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from PIL import Image

    from foodvision.store import Store

_PREDICTIONS = 36
_HARD = 18
_SUSPECTS = 18
_MOST = 10_000  # images that are counted; the first ones are shown


@dataclass(frozen=True)
class Photos:
    """Reads images of data sets in the store; what has gone from there is `None`."""

    store: Store

    def read(self, dataset_key: str, path: str) -> Image.Image | None:
        """Return one image, upright."""
        found = self._open(dataset_key)
        if found is None or path not in found[1]:
            return None
        dataset, places = found
        return dataset.read(places[path])

    def _open(self, key: str) -> tuple[Dataset, Mapping[str, int]] | None:
        if key not in self._known:
            try:
                dataset = open_dataset(self.store, key)
            except FoodVisionError:  # collected as garbage: the report does without its images
                self._known[key] = None
            else:
                paths = dataset.table.column("path").to_pylist()
                self._known[key] = dataset, {path: row for row, path in enumerate(paths)}
        return self._known[key]

    @cached_property
    def _known(self) -> dict[str, tuple[Dataset, Mapping[str, int]] | None]:
        return {}


@dataclass(frozen=True, eq=False)
class Jury:
    """The answers of several results on the test images, and where these images lie.

    Attributes:
        table: of `read_answers`.
        results: how many results were asked for.
    """

    table: pa.Table
    results: int

    def hard(self, photos: Photos) -> Tiles:
        """Return the images that at least half of the results get wrong, the hardest first."""
        found = hard_images(self._answers, limit=_MOST) if self._images else []
        tiles = [self._hard_tile(each, photos) for each in found[:_HARD]]
        return Tiles(tiles, len(found))

    def suspects(self, photos: Photos) -> Tiles:
        """Return the images whose label is probably wrong, the surest first."""
        found = suspected_labels(self._answers, limit=_MOST) if self._images else []
        tiles = [self._suspect_tile(each, photos) for each in found[:_SUSPECTS]]
        return Tiles(tiles, len(found))

    def confusion(self, result: int, label: str) -> Confusion:
        """Return how one result mixed up the classes of the images that it was scored on."""
        chosen = self._column("result") == result
        size = len(self._classes)
        places = self._truth[chosen] * size + self._named[chosen]
        counts = np.bincount(places, minlength=size * size).reshape(size, size)
        used = sorted(set(self._truth[chosen]) | set(self._named[chosen]))
        names = [self._classes[place] for place in used]
        return Confusion(label, names, counts[np.ix_(used, used)].tolist())

    def _hard_tile(self, found: HardImage, photos: Photos) -> Tile:
        remark = f"{found.wrong} of {found.asked} models wrong"
        return self._tile(found.image, photos, self._classes[found.usual], remark)

    def _suspect_tile(self, found: Suspect, photos: Photos) -> Tile:
        remark = (
            f"{found.agreeing} of {found.jury} models agree; mean probability "
            f"{found.confidence:.2f}, of the label {found.true_probability:.2f}"
        )
        return self._tile(found.image, photos, self._classes[found.suggested], remark)

    def _tile(self, image: int, photos: Photos, named: str, remark: str) -> Tile:
        row = int(self._first_rows[image])
        key, path, true_class = (
            self.table.column(name)[row].as_py() for name in ("dataset_key", "path", "true_class")
        )
        return Tile(photos.read(key, path), path, true_class, named, named == true_class, remark)

    @cached_property
    def _images(self) -> int:
        return int(self._column("image").max()) + 1 if self.table.num_rows else 0

    @cached_property
    def _first_rows(self) -> np.ndarray:
        return np.unique(self._column("image"), return_index=True)[1]

    @cached_property
    def _classes(self) -> list[str]:
        names = (self.table.column(name).unique() for name in ("true_class", "predicted_class"))
        return sorted({name for found in names for name in found.to_pylist()})

    @cached_property
    def _truth(self) -> np.ndarray:
        return self._codes("true_class")

    @cached_property
    def _named(self) -> np.ndarray:
        return self._codes("predicted_class")

    @cached_property
    def _answers(self) -> Answers:
        shape = (self.results, self._images)
        result, image = self._column("result"), self._column("image")
        predicted = np.full(shape, -1, dtype=np.int64)
        predicted[result, image] = self._named
        given = {}
        for name in ("probability", "true_probability"):
            given[name] = np.full(shape, np.nan)
            given[name][result, image] = self._column(name)
        return Answers(predicted=predicted, labels=self._truth[self._first_rows], **given)

    def _codes(self, name: str) -> np.ndarray:
        encoded = self.table.column(name).combine_chunks().dictionary_encode()
        places = {each: place for place, each in enumerate(self._classes)}
        codes = np.array([places[each] for each in encoded.dictionary.to_pylist()], dtype=np.int64)
        found: np.ndarray = codes[encoded.indices.to_numpy()]
        return found

    def _column(self, name: str) -> np.ndarray:
        values: np.ndarray = self.table.column(name).to_numpy()
        return values


def describe_winner(row: Mapping[str, Any], warehouse: Path, photos: Photos) -> Winner:
    """Return what is said of the winner alone."""
    key = row["result_key"]
    found = reading.predictions(warehouse, key)
    wrong = sorted((each for each in found if not each.is_correct), key=_surest)
    right = sorted((each for each in found if each.is_correct), key=_surest, reverse=True)
    shown = [*wrong, *right][:_PREDICTIONS]
    return Winner(
        label=row["label"],
        images=len(found),
        wrong=len(wrong),
        classes=[
            ClassResult(each.class_name, each.precision, each.recall, each.f1, each.support)
            for each in reading.class_metrics(warehouse, key)
        ],
        calibrations=_calibrations(warehouse, key),
        predictions=Tiles([_answer_tile(each, photos) for each in shown], len(found)),
    )


def _surest(answer: reading.Prediction) -> float:
    return -answer.probability


def _answer_tile(answer: reading.Prediction, photos: Photos) -> Tile:
    return Tile(
        photos.read(answer.dataset_key, answer.path),
        answer.path,
        answer.true_class,
        answer.predicted_class,
        answer.is_correct,
        f"probability {answer.probability:.3f}"
        + ("" if answer.is_correct else f", of the true class {answer.true_probability:.3f}"),
    )


def _calibrations(warehouse: Path, result_key: str) -> Sequence[Calibration]:
    metrics = reading.metrics(warehouse, result_key).get("test")
    bins: dict[bool, list[Bin]] = {False: [], True: []}
    for each in reading.reliability(warehouse, result_key):
        bins[each.is_calibrated].append(
            Bin(each.lower, each.upper, each.images, each.confidence, each.accuracy)
        )
    error = metrics.calibration_error if metrics else None
    raw = Calibration("As the model says", error, bins[False])
    if metrics is None or metrics.temperature is None or not bins[True]:
        return [raw] if bins[False] else []
    title = f"At temperature {metrics.temperature:.2f}"
    return [raw, Calibration(title, metrics.calibrated_error, bins[True])]
