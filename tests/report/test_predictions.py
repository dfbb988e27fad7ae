from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from PIL import Image

from foodvision.report import style
from foodvision.report.predictions import (
    PhotoPrediction,
    PredictedImage,
    photo_predictions,
    prediction_grid,
)
from foodvision.report.tiles import tile_pixels
from tests.report.looks import NASTY_NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.report.looks import Gallery

PHOTO = Image.new("RGB", (90, 60), "#c04020")


def _items(count: int) -> list[PredictedImage]:
    return [
        PredictedImage(PHOTO, "pizza", "steak" if i % 3 == 0 else "pizza", 0.5 + i / 200)
        for i in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, 5, 16, 75])
def test_every_number_of_images_fits_into_the_grid(
    count: int, folder: Path, gallery: Gallery
) -> None:
    prediction_grid(_items(count), folder / "grid.png", title="Predictions")
    assert len(gallery.figure.axes) == min(count, 16)
    assert gallery.clipped_texts() == []
    assert ("16 of 75 images shown" in gallery.all_text()) == (count == 75)


def test_wrong_ones_are_told_by_colour_sign_frame_and_truth(folder: Path, gallery: Gallery) -> None:
    items = [PredictedImage(PHOTO, "pizza", said, 0.71) for said in ("steak", "pizza")]
    prediction_grid(items, folder / "grid.png", title="Predictions")
    wrong, right = gallery.figure.axes
    assert [text.get_text() for text in wrong.texts] == ["✗ said steak (71 %)", "is pizza"]
    assert [text.get_text() for text in right.texts] == ["✓ pizza (71 %)"]
    frames = [
        next(patch for patch in axes.patches if isinstance(patch, Rectangle))
        for axes in (wrong, right)
    ]
    assert [to_hex(frame.get_edgecolor()) for frame in frames] == [style.WRONG, style.RIGHT]
    assert frames[0].get_linewidth() > frames[1].get_linewidth()
    assert "shown: 1 wrong, 1 right" in gallery.texts()


def test_what_is_said_of_all_images_stands_before_what_is_shown(
    folder: Path, gallery: Gallery
) -> None:
    said = "13 of 451 test images wrong, the surest mistakes first"
    prediction_grid(_items(16), folder / "grid.png", title="mlp · sgd", subtitle=said)
    assert {"mlp · sgd", f"{said} · shown: 6 wrong, 10 right"} <= set(gallery.texts())
    assert gallery.clipped_texts() == []


def test_odd_names_stay_inside_of_theirtile_pixels(folder: Path, gallery: Gallery) -> None:
    items = [PredictedImage(PHOTO, name, name[::-1] + "?", 1.0) for name in NASTY_NAMES]
    prediction_grid(items, folder / "grid.png", title=NASTY_NAMES[-1])
    assert gallery.clipped_texts() == []
    with style.drawing():
        for axes in gallery.figure.axes:
            assert max(text.get_window_extent().x1 for text in axes.texts) < axes.bbox.x1 + 2


@pytest.mark.parametrize(
    "image",
    [
        Image.new("L", (8, 8), 255),
        Image.new("RGBA", (8, 8), "white"),
        np.full((8, 8), 255, np.uint8),
        np.full((8, 8, 1), 1.0, np.float32),
        np.full((8, 8, 3), 7.0),
    ],
)
def test_images_of_all_kinds_are_read_alike(image: Image.Image | np.ndarray) -> None:
    tile = tile_pixels(image)
    assert tile.dtype == np.uint8
    assert tile.shape == (300, 300, 3)
    assert np.all(tile == 255)


def test_images_keep_their_shape_on_a_light_square() -> None:
    tile = tile_pixels(Image.new("RGB", (200, 100), "black"))
    dark = np.argwhere(tile.sum(axis=2) == 0)
    assert tuple(dark.min(axis=0)) == (75, 0)
    assert tuple(dark.max(axis=0)) == (224, 299)


def test_extreme_shapes_leave_something_to_see() -> None:
    assert (tile_pixels(Image.new("RGB", (5000, 1), "black")).sum(axis=2) == 0).any()


@pytest.mark.parametrize("shape", [(3,), (8, 8, 2), (3, 8, 8), (0, 8, 3)])
def test_what_is_no_image_is_refused(shape: tuple[int, ...], folder: Path) -> None:
    item = PredictedImage(np.zeros(shape, np.uint8), "a", "a", 1.0)
    with pytest.raises(ValueError, match=r"\[H, W, 3\], got shape"):
        prediction_grid([item], folder / "grid.png", title="Predictions")


@pytest.mark.parametrize("count", [1, 4, 5, 30])
def test_every_number_of_photos_fits_into_the_picture(
    count: int, folder: Path, gallery: Gallery
) -> None:
    photo = PhotoPrediction(PHOTO, "my photo.jpg", [("pizza", 0.9), ("steak", 0.1)])
    photo_predictions([photo] * count, folder / "photos.png")
    assert gallery.texts().count("my photo.jpg") == min(count, 12)
    assert gallery.clipped_texts() == []
    assert ("12 shown, 18 more" in gallery.all_text()) == (count == 30)


def test_the_most_probable_classes_come_first_and_the_rest_is_summed(
    folder: Path, gallery: Gallery
) -> None:
    probabilities = [(f"class {i}", 0.01) for i in range(20)]
    probabilities[7] = ("sushi", 0.6)
    probabilities[3] = ("steak", 0.22)
    photo = PhotoPrediction(PHOTO, "a.jpg", probabilities)
    photo_predictions([photo], folder / "photos.png", model="mlp after epoch 5, of plan demo")
    assert "mlp after epoch 5, of plan demo · " in gallery.all_text()
    bars = gallery.figure.axes[1]
    names = [label.get_text() for label in bars.get_yticklabels()]
    assert names == ["sushi", "steak", "class 0", "class 1", "class 2"]
    assert [text.get_text() for text in bars.texts] == ["60 %", "22 %", "1 %", "1 %", "1 %"]
    assert "15 more: 15 %" in gallery.texts()


def test_odd_names_of_photos_and_classes_are_drawn(folder: Path, gallery: Gallery) -> None:
    photos = [PhotoPrediction(PHOTO, name, [(name, 1.0), (name, 0.0)]) for name in NASTY_NAMES]
    for start in range(0, len(photos), 4):
        photo_predictions(photos[start : start + 4], folder / "photos.png")
        assert gallery.clipped_texts() == []


def test_a_photo_without_probabilities_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"at least one probability, 'a\.jpg' has none"):
        photo_predictions([PhotoPrediction(PHOTO, "a.jpg", [])], folder / "photos.png")
