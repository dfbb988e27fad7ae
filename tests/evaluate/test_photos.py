from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from foodvision.data.transforms import Transform
from foodvision.errors import ModelError
from foodvision.evaluate.answering import Answerer
from foodvision.evaluate.photos import predict_photos

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ["上", "右", "下", "左"]
CARD: dict[str, Any] = {
    "classes": CLASSES,
    "transform": Transform(8, None, "bilinear", 3, (0.5,) * 3, (0.5,) * 3).to_json(),
    "cell": "ignored",
}
ORIENTATION = 0x0112


class Edges(nn.Module):
    """Says which edge of the picture is bright."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        grey = images.mean(dim=1)
        edges = [grey[:, 0], grey[:, :, -1], grey[:, -1], grey[:, :, 0]]
        return 4 * torch.stack([edge.mean(dim=1) for edge in edges], dim=1)


EDGES = Answerer.of_model(Edges(), CARD)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "my photos' 写真"
    folder.mkdir()
    return folder


def _save(path: Path, *, bright: str = "top", orientation: int | None = None) -> Path:
    pixels = np.zeros((40, 40, 3), dtype=np.uint8)
    pixels[{"top": np.s_[:10], "right": np.s_[:, -10:]}[bright]] = 255
    exif = Image.Exif()
    if orientation:
        exif[ORIENTATION] = orientation
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    return path


def test_photos_get_a_class_and_every_probability(folder: Path) -> None:
    paths = [_save(folder / "top.jpg"), _save(folder / "right.jpg", bright="right")]
    top, right = predict_photos(EDGES, paths).predictions
    assert (top.path, top.class_name) == (paths[0], "上")
    assert (right.path, right.class_name) == (paths[1], "右")
    assert 0.9 < top.probability == top.probabilities[0].probability
    assert {entry.class_name for entry in top.probabilities} == set(CLASSES)
    assert sum(entry.probability for entry in top.probabilities) == pytest.approx(1)


@pytest.mark.parametrize(("orientation", "expected"), [(1, "上"), (3, "下"), (6, "右"), (8, "左")])
def test_photos_are_turned_upright(folder: Path, orientation: int, expected: str) -> None:
    path = _save(folder / "turned.jpg", orientation=orientation)
    (prediction,) = predict_photos(EDGES, [path]).predictions
    assert prediction.class_name == expected


def test_unreadable_photos_stop_no_others(folder: Path) -> None:
    (folder / "text.jpg").write_text("no photo")
    good = [_save(folder / f"{number}.jpg") for number in range(3)]
    bad = [folder / "text.jpg", folder / "missing.jpg", folder]
    answers = predict_photos(EDGES, [bad[0], good[0], bad[1], good[1], bad[2], good[2]])
    assert [prediction.path for prediction in answers.predictions] == good
    assert [problem.path for problem in answers.problems] == bad
    assert "missing.jpg" in answers.problems[1].message


def test_no_photos() -> None:
    answers = predict_photos(EDGES, [])
    assert (answers.predictions, answers.problems) == ((), ())


def test_batches_say_the_same(folder: Path) -> None:
    paths = [_save(folder / f"{bright}.png", bright=bright) for bright in ("top", "right", "top")]
    answerer = Answerer.of_model(nn.Sequential(nn.Conv2d(3, 4, 3), Edges()), CARD)
    single, several = (
        predict_photos(answerer, paths, batch_size=size).predictions for size in (1, 2)
    )
    for left, right in zip(single, several, strict=True):
        assert left.class_name == right.class_name
        assert left.probability == pytest.approx(right.probability)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({}, "must have `classes` and `transform`, found: KeyError.'classes'"),
        ({"classes": CLASSES}, "found: KeyError.'transform'"),
        ({"classes": CLASSES, "transform": {"size": 8}}, "found: DataError"),
        ({"classes": CLASSES, "transform": None}, "found: TypeError"),
        (CARD | {"classes": CLASSES[:3]}, "found 3 names and 4 logits. Use the JSON"),
    ],
)
def test_cards_of_other_models(card: dict[str, Any], message: str, folder: Path) -> None:
    with pytest.raises(ModelError, match=message):
        predict_photos(Answerer.of_model(Edges(), card), [_save(folder / "photo.jpg")])
