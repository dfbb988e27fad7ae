from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib.colors import rgb_to_hsv

from foodvision.report import confusion
from foodvision.report.confusion import confusion_matrix
from tests.report.looks import NASTY_NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.report.looks import Gallery


def _matrix(size: int, *, right: int = 20, wrong: int = 3) -> np.ndarray:
    return np.eye(size, dtype=int) * right + np.eye(size, k=1, dtype=int) * wrong


@pytest.mark.parametrize("size", [1, 2, 3, 12, 13, 30, 31, 101])
def test_every_number_of_classes_fits_into_the_picture(
    size: int, folder: Path, gallery: Gallery
) -> None:
    classes = [f"strawberry_shortcake {i}" for i in range(size)]
    path = confusion_matrix(_matrix(size), classes, folder / "matrix.png")
    assert path.exists()
    assert gallery.clipped_texts() == []
    texts = gallery.texts()
    assert texts.count("20") == (size if size <= 30 else 0)
    assert ("87 %" in texts) == (1 < size <= 12)
    assert all(texts.count(name) == 2 for name in classes)


def test_odd_names_are_drawn(folder: Path, gallery: Gallery) -> None:
    confusion_matrix(_matrix(len(NASTY_NAMES)), NASTY_NAMES, folder / "matrix.png")
    assert gallery.clipped_texts() == []


def test_counts_stand_at_their_true_row_and_predicted_column(
    folder: Path, gallery: Gallery
) -> None:
    counts = np.array([[25, 1, 0], [2, 15, 4], [0, 0, 31]])
    confusion_matrix(counts, ["pizza", "steak", "sushi"], folder / "matrix.png")
    axes = gallery.figure.axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true", "predicted")
    written = {
        (round(y), round(x)): text.get_text()
        for text in axes.texts
        if "%" not in text.get_text()
        for x, y in [text.get_position()]
    }
    assert written == {place: str(count) for place, count in np.ndenumerate(counts)}
    assert "78 images, 71 right (91.0 %)" in gallery.texts()
    assert "19 %" in gallery.texts()  # 4 of the 21 steaks


def test_right_is_blue_wrong_is_orange_and_more_is_darker() -> None:
    colours = confusion._colours(np.array([[0.9, 0.1], [0.6, 0.4]]))
    hues = rgb_to_hsv(colours[..., :3])[..., 0] * 360
    assert np.all((hues > 180) == np.eye(2, dtype=bool))
    brightness = np.vectorize(confusion._luminance, signature="(n)->()")(colours)
    assert brightness[0, 0] < brightness[1, 1]
    assert brightness[1, 0] < brightness[0, 1] < 0.9


def test_a_class_without_images_and_a_matrix_without_any(folder: Path, gallery: Gallery) -> None:
    confusion_matrix(np.array([[0, 0], [1, 3]]), ["none", "some"], folder / "a.png")
    assert "4 images, 3 right (75.0 %)" in gallery.texts()
    confusion_matrix(np.zeros((2, 2), int), ["a", "b"], folder / "b.png")
    assert "no images" in gallery.texts()


def test_the_most_frequent_mistakes_are_told(folder: Path, gallery: Gallery) -> None:
    counts = np.diag(np.full(8, 50))
    counts[3, 7], counts[7, 3], counts[0, 1] = 12, 5, 5
    confusion_matrix(counts, [f"c{i}" for i in range(8)], folder / "matrix.png")
    told = [text for text in gallery.texts() if " taken for " in text]
    assert told == [
        "12 × c3 taken for c7 (19 % of c3)",
        "5 × c0 taken for c1 (9 % of c0)",
        "5 × c7 taken for c3 (9 % of c7)",
    ]


@pytest.mark.parametrize(
    ("counts", "classes"),
    [
        (np.zeros((2, 3), int), ["a", "b"]),
        (np.zeros((2, 2), int), ["a", "b", "c"]),
        (np.zeros((0, 0), int), []),
        (np.array([[1, -1], [0, 1]]), ["a", "b"]),
    ],
)
def test_wrong_matrices_are_refused(counts: np.ndarray, classes: list[str], folder: Path) -> None:
    with pytest.raises(ValueError, match=f"{len(classes)} x {len(classes)} counts >= 0"):
        confusion_matrix(counts, classes, folder / "matrix.png")
