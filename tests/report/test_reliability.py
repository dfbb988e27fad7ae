from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from foodvision.report.reliability import Calibrated, ReliabilityBar, reliability_diagram
from tests.report.looks import NASTY_NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.report.looks import Gallery

BARS = [ReliabilityBar(0.4, 0.6, 10, 0.55, 0.5), ReliabilityBar(0.8, 1.0, 30, 0.9, 0.95)]


def test_bars_reach_the_accuracy_and_show_the_gap(folder: Path, gallery: Gallery) -> None:
    path = reliability_diagram(BARS, folder / "r.png", title="Reliability of a", error=0.05)
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert "40 test images, calibration error 5.0 %" in gallery.texts()
    upper, lower = gallery.figure.axes
    tops = [patch.get_y() + patch.get_height() for patch in upper.patches]
    assert tops == pytest.approx([0.5, 0.55, 0.9, 0.95])
    too_sure, too_shy = upper.patches[1], upper.patches[3]
    assert too_sure.get_facecolor() != too_shy.get_facecolor()
    assert [patch.get_height() for patch in lower.patches] == [10, 30]


def test_points_at_the_fitted_temperature(folder: Path, gallery: Gallery) -> None:
    calibrated = Calibrated([ReliabilityBar(0.6, 0.8, 40, 0.7, 0.72)], 1.4159, 0.02)
    reliability_diagram(BARS, folder / "r.png", title="r", error=0.05, calibrated=calibrated)
    expected = "40 test images, calibration error 5.0 %, 2.0 % at temperature 1.42"
    assert expected in gallery.texts()
    points = gallery.figure.axes[0].lines[1]
    assert (points.get_xdata()[0], points.get_ydata()[0]) == (0.7, 0.72)


def test_a_diverged_model_has_words_instead_of_bars(folder: Path, gallery: Gallery) -> None:
    reliability_diagram([], folder / "r.png", title="r", error=None)
    assert "No probabilities: the model diverged." in gallery.texts()
    assert not gallery.figure.axes


@pytest.mark.parametrize("name", NASTY_NAMES)
def test_odd_names_are_drawn(name: str, folder: Path, gallery: Gallery) -> None:
    reliability_diagram(BARS, folder / "r.png", title=f"Reliability of {name}", error=0.1)
    assert gallery.clipped_texts() == []
