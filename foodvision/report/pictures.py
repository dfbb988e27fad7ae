"""All pictures in one place: `from foodvision.report.pictures import learning_curves`."""

from __future__ import annotations

from foodvision.report.confusion import confusion_matrix
from foodvision.report.curves import Curve, learning_curves
from foodvision.report.predictions import (
    PhotoPrediction,
    PredictedImage,
    photo_predictions,
    prediction_grid,
)
from foodvision.report.ranking import RankedBar, ranking_bars

__all__ = [
    "Curve",
    "PhotoPrediction",
    "PredictedImage",
    "RankedBar",
    "confusion_matrix",
    "learning_curves",
    "photo_predictions",
    "prediction_grid",
    "ranking_bars",
]
