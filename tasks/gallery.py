"""Pictures of a leaderboard and of its best model, drawn once per leaderboard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from foodvision.data.datasets import open_dataset
from foodvision.files import holds, write_json
from foodvision.hashing import digest
from tasks.ranking import told_status
from tasks.report_folders import plan_folder, settings_folder
from warehouse import reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from foodvision.home import Home
    from foodvision.plan.schema import Plan
    from foodvision.store import Store

_MARK = "leaderboard.json"
_GRID_IMAGES = 16
_PICTURES = (
    "ranking",
    "training times",
    "learning curves",
    "confusion matrix",
    "predictions",
    "reliability",
)


@dataclass(frozen=True)
class Gallery:
    """The pictures of one plan, always of the leaderboard that is asked for.

    Attributes:
        plan: the plan.
        home: whose `reports` hold the pictures and whose warehouse the curves.
        store: where the images lie.
    """

    plan: Plan
    home: Home
    store: Store

    def show(self, leaderboard: Sequence[Mapping[str, Any]]) -> dict[str, Path]:
        """Return the pictures of a leaderboard; draw them where others, or none, are there."""
        return self.drawn(leaderboard) or self.draw(leaderboard)

    def drawn(self, leaderboard: Sequence[Mapping[str, Any]]) -> dict[str, Path] | None:
        """Return the pictures if they show this leaderboard already, else `None`."""
        folder = settings_folder(self.home, self.plan)
        if not holds(folder / _MARK, {"digest": _board_digest(leaderboard)}):
            return None
        paths = _picture_paths(folder)
        return paths if all(path.is_file() for path in paths.values()) else None

    def draw(self, leaderboard: Sequence[Mapping[str, Any]]) -> dict[str, Path]:
        """Draw ranking and training times, and of the best model all that is known of it."""
        from foodvision.report import pictures

        folder = settings_folder(self.home, self.plan)
        paths = _picture_paths(folder)
        best = leaderboard[0]
        bars = [_bar(row, self.plan.rank.by.value) for row in leaderboard]
        pictures.ranking_bars(bars, paths["ranking"], metric=_words(self.plan.rank.by.value))
        times = training_times(leaderboard)
        pictures.ranking_bars(
            times, paths["training times"], metric="seconds", title="Training times"
        )
        pictures.learning_curves(self._curves(leaderboard), paths["learning curves"])
        found = reading.predictions(self.home.warehouse, best["result_key"])
        dataset = open_dataset(self.store, found[0].dataset_key)
        pictures.confusion_matrix(
            _confusion(found, dataset.classes), dataset.classes, paths["confusion matrix"]
        )
        wrong = sum(not prediction.is_correct for prediction in found)
        pictures.prediction_grid(
            self._images(found),
            paths["predictions"],
            title=best["label"],
            subtitle=_sentence(wrong, len(found)),
        )
        self._draw_reliability(best, paths["reliability"])
        if self.plan.record.tensorboard and folder == plan_folder(self.home, self.plan.name):
            self._track(best, paths)
        write_json(folder / _MARK, {"digest": _board_digest(leaderboard)})
        return paths

    def _track(self, best: Mapping[str, Any], paths: Mapping[str, Path]) -> None:
        """Show the pictures in TensorBoard, too."""
        from foodvision.report.tensorboard import pictures_folder, write_pictures

        now = datetime.now(UTC)
        about = f"The best model of {self.plan.name} by {_words(self.plan.rank.by.value)}: " + (
            f"**{best['label']}**"
        )
        folder = pictures_folder(self.home.runs, now.date(), self.plan.name)
        write_pictures(folder, paths, about=about, at=now)

    def _curves(self, leaderboard: Sequence[Mapping[str, Any]]) -> list[Any]:
        from foodvision.report.pictures import Curve

        points: dict[str, list[reading.CurvePoint]] = {}
        keys = [row["result_key"] for row in leaderboard if row["rank"] is not None]
        for point in reading.curves(self.home.warehouse, keys):
            points.setdefault(point.result_key, []).append(point)
        # What is made of cells was never trained: it has no curve.
        ranked = [row for row in leaderboard if row["result_key"] in points]
        return [
            Curve(
                label=f"{row['label']} (collapsed)" if row["is_collapsed"] else row["label"],
                split=split,
                epochs=[point.epoch for point in points[row["result_key"]]],
                loss=_values(points[row["result_key"]], f"{split}_loss"),
                accuracy=_values(points[row["result_key"]], f"{split}_accuracy"),
                is_best=row is leaderboard[0],
                result_epoch=row["best_epoch"],
            )
            for row in ranked
            for split in ("train", "test")
        ]

    def _draw_reliability(self, best: Mapping[str, Any], path: Path) -> None:
        from foodvision.report.pictures import Calibrated, ReliabilityBar, reliability_diagram

        bars: dict[bool, list[ReliabilityBar]] = {False: [], True: []}
        for found in reading.reliability(self.home.warehouse, best["result_key"]):
            bars[found.is_calibrated].append(
                ReliabilityBar(
                    found.lower, found.upper, found.images, found.confidence, found.accuracy
                )
            )
        metrics = reading.metrics(self.home.warehouse, best["result_key"]).get("test")
        calibrated = None
        if metrics and metrics.temperature is not None and metrics.calibrated_error is not None:
            calibrated = Calibrated(bars[True], metrics.temperature, metrics.calibrated_error)
        reliability_diagram(
            bars[False],
            path,
            title=f"Reliability of {best['label']}",
            error=metrics.calibration_error if metrics else None,
            calibrated=calibrated,
        )

    def _images(self, found: Sequence[reading.Prediction]) -> list[Any]:
        from foodvision.report.pictures import PredictedImage

        wrong = sorted((p for p in found if not p.is_correct), key=lambda p: -p.probability)
        right = sorted((p for p in found if p.is_correct), key=lambda p: p.image_sha256)
        chosen = wrong[: _GRID_IMAGES // 2]
        chosen += right[: _GRID_IMAGES - len(chosen)]
        dataset = open_dataset(self.store, found[0].dataset_key)
        places = {path: row for row, path in enumerate(dataset.table.column("path").to_pylist())}
        return [
            PredictedImage(
                image=dataset.read(places[prediction.path]),
                true_class=prediction.true_class,
                predicted_class=prediction.predicted_class,
                probability=prediction.probability,
            )
            for prediction in chosen
        ]


def _picture_paths(folder: Path) -> dict[str, Path]:
    return {name: folder / f"{name.replace(' ', '_')}.png" for name in _PICTURES}


def _board_digest(leaderboard: Sequence[Mapping[str, Any]]) -> str:
    names = ("rank", "label", "result_key", "status", "is_collapsed", "seconds_alone")
    return digest([{name: row[name] for name in names} for row in leaderboard])


def _sentence(wrong: int, images: int) -> str:
    order = ", the surest mistakes first" if wrong > 1 else ""
    return f"{wrong:,} of {images:,} test images wrong{order}"


def _words(metric: str) -> str:
    return metric.replace("valid.", "validation ").replace("train.", "training ").replace(".", " ")


def _bar(row: Mapping[str, Any], by: str) -> Any:
    from foodvision.report.pictures import RankedBar
    from foodvision.report.tables import duration

    column = {"seconds": "seconds_alone", "params": "params_total"}.get(by, by.replace(".", "_"))
    return RankedBar(
        label=row["label"],
        value=row[column],
        is_best=row["rank"] == 1,
        status=told_status(row),
        detail=row["error"] or duration(row["seconds_alone"]),
    )


def training_times(leaderboard: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return a bar for every trained cell, the quickest first; composites train nothing."""
    from foodvision.report.pictures import RankedBar
    from foodvision.report.style import percent

    trained = [row for row in leaderboard if row["kind"] == "trained" and row["seconds_alone"]]
    return [
        RankedBar(
            label=row["label"],
            value=row["seconds_alone"],
            is_best=row["rank"] == 1,
            status=told_status(row),
            detail=(
                ""
                if row["test_accuracy"] is None
                else f"{percent(row['test_accuracy'], digits=1)} right"
            ),
        )
        for row in sorted(trained, key=lambda row: row["seconds_alone"])
    ]


def _values(points: Sequence[reading.CurvePoint], name: str) -> list[float]:
    values = (getattr(point, name) for point in points)
    return [float("nan") if value is None else value for value in values]


def _confusion(found: Sequence[reading.Prediction], classes: Sequence[str]) -> np.ndarray:
    places = {name: index for index, name in enumerate(classes)}
    matrix = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for prediction in found:
        matrix[places[prediction.true_class], places[prediction.predicted_class]] += 1
    return matrix
