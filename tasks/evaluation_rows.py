"""Rows about one result's outputs: predictions, metrics per class, metrics per split."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from foodvision.stages.curves import told_accuracy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from torch import Tensor

    from foodvision.data.datasets import Dataset
    from foodvision.data.selection import Selection
    from foodvision.evaluate.metrics import ClassMetrics

Row = dict[str, Any]


@dataclass(frozen=True)
class Outputs:
    """What a model says of the images of one split.

    Attributes:
        logits: float32 [N, C].
        dataset: that the images lie in.
        selection: the images, in the order of the logits.
    """

    logits: np.ndarray
    dataset: Dataset
    selection: Selection

    @cached_property
    def are_numbers(self) -> bool:
        """Whether the model answers: a diverged one says what is no number, and has no answer."""
        from foodvision.evaluate.metrics import score_logits

        return math.isfinite(score_logits(*self.tensors()).loss)

    @cached_property
    def classes(self) -> Sequence[ClassMetrics]:
        """Metrics of every class."""
        from foodvision.evaluate.metrics import class_metrics

        return class_metrics(*self.tensors(), self.dataset.classes)

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Return logits [N, C] and labels [N]."""
        import torch

        return torch.from_numpy(self.logits), torch.from_numpy(self.selection.labels)


def told_scores(scores: Mapping[Any, Mapping[str, Any]]) -> Row:
    """Return accuracy and loss of each part as they are told: `test_accuracy`, `test_loss` ..."""
    return {
        name: value
        for part, score in scores.items()
        for name, value in (
            (f"{part}_accuracy", told_accuracy(score["loss"], score["accuracy"])),
            (f"{part}_loss", score["loss"]),
        )
    }


def prediction_rows(identity: Row, outputs: Outputs) -> list[Row]:
    """Return one row per image; none where the model has no answers."""
    if not outputs.are_numbers:
        return []
    from foodvision.evaluate.metrics import judge_logits

    dataset, selection = outputs.dataset, outputs.selection
    verdicts = judge_logits(*outputs.tensors())
    paths = dataset.table.column("path").to_pylist()
    return [
        identity
        | {
            "position": position,
            "dataset_key": dataset.key,
            "path": paths[row],
            "image_sha256": selection.sha256[position],
            "true_class": dataset.classes[selection.labels[position]],
            "predicted_class": dataset.classes[verdicts.predicted[position]],
            "probability": float(verdicts.probability[position]),
            "true_probability": float(verdicts.true_probability[position]),
            "is_correct": bool(verdicts.is_correct[position]),
            "logits": outputs.logits[position].tolist(),
        }
        for position, row in enumerate(selection.rows)
    ]


def class_rows(identity: Row, outputs: Outputs) -> list[Row]:
    """Return one row per class; none where the model has no answers."""
    if not outputs.are_numbers:
        return []
    return [
        identity
        | {
            "class_name": metrics.class_name,
            "precision": metrics.precision,
            "recall": metrics.recall,
            "f1": metrics.f1,
            "support": metrics.support,
        }
        for metrics in outputs.classes
    ]


def metric_rows(identity: Row, outputs: Mapping[str, Outputs]) -> list[Row]:
    """Return one row per split; none of one for which the model has no answers.

    The temperature of all is fitted on `valid`, if that is there.
    """
    temperature = _temperature(outputs.get("valid"))
    return [
        identity
        | {"split": split, "temperature": temperature}
        | _metric_columns(given)
        | _calibration_columns(given, temperature)
        for split, given in outputs.items()
        if given.are_numbers
    ]


def _metric_columns(outputs: Outputs) -> Row:
    from foodvision.evaluate.metrics import (
        macro_average,
        score_logits,
        top_k_accuracy,
        usual_k,
        weighted_average,
    )

    logits, labels = outputs.tensors()
    classes = outputs.classes
    score, k = score_logits(logits, labels), usual_k(len(classes))
    columns: Row = {
        "images": score.images,
        "loss": _finite(score.loss),
        "accuracy": score.accuracy,
        "top_k": k,
        "top_k_accuracy": top_k_accuracy(logits, labels, k=k),
    }
    means = {"macro": macro_average(classes), "weighted": weighted_average(classes)}
    for mean, found in means.items():
        columns |= {f"{name}_{mean}": value for name, value in asdict(found).items()}
    return columns


def _calibration_columns(outputs: Outputs, temperature: float | None) -> Row:
    from foodvision.evaluate.metrics import score_logits

    logits, labels = outputs.tensors()
    calibrated = None if temperature is None else logits.double() / temperature
    return {
        "calibration_error": _calibration_error(logits, labels),
        "calibrated_error": None if calibrated is None else _calibration_error(calibrated, labels),
        "calibrated_loss": (
            None if calibrated is None else _finite(score_logits(calibrated, labels).loss)
        ),
    }


def _temperature(valid: Outputs | None) -> float | None:
    from foodvision.evaluate.calibration import fit_temperature

    if valid is None:
        return None
    logits, labels = valid.tensors()
    return fit_temperature(logits, labels) if bool(logits.isfinite().all()) else None


def _calibration_error(logits: Tensor, labels: Tensor) -> float | None:
    from foodvision.evaluate.calibration import calibration_error, reliability
    from foodvision.evaluate.metrics import judge_logits

    if not bool(logits.isfinite().all()):
        return None
    verdicts = judge_logits(logits, labels)
    return calibration_error(reliability(verdicts.probability, verdicts.is_correct))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
