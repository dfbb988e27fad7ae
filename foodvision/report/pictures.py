"""All pictures in one place: `from foodvision.report.pictures import learning_curves`."""

from __future__ import annotations

from foodvision.report.confusion import confusion_matrix
from foodvision.report.contact import (
    Change,
    ChangedImage,
    ClassRow,
    change_sheet,
    class_sheet,
)
from foodvision.report.curves import Curve, learning_curves
from foodvision.report.predictions import (
    PhotoPrediction,
    PredictedImage,
    photo_predictions,
    prediction_grid,
)
from foodvision.report.ranking import RankedBar, ranking_bars
from foodvision.report.reliability import Calibrated, ReliabilityBar, reliability_diagram

__all__ = [
    "Calibrated",
    "Change",
    "ChangedImage",
    "ClassRow",
    "Curve",
    "PhotoPrediction",
    "PredictedImage",
    "RankedBar",
    "ReliabilityBar",
    "change_sheet",
    "class_sheet",
    "confusion_matrix",
    "learning_curves",
    "photo_predictions",
    "prediction_grid",
    "ranking_bars",
    "reliability_diagram",
]
