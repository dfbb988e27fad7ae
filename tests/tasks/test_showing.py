"""Contact sheets of a plan: what is drawn, from which images, and that it stays the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from foodvision.data.transforms import Transform
from foodvision.home import Home
from foodvision.plan.expand import expand
from foodvision.plan.load import load_plan
from foodvision.progress import SILENT
from foodvision.report import contact
from foodvision.stages.preview import preview_epochs
from foodvision.train.generators import epoch_generator
from tasks.showing import show_plan
from tests.running import make_photos, plan_text

GRID = """
grid:
  augment: [none, standard]
  mix: {unmixed: none, mixup: {kind: mixup, alpha: 0.4}}
  epochs: [1, 2]
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("it's here") / "photos", train=4, test=2)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Any], dict[str, Any]]]:
    """Keep what is drawn instead of drawing it."""
    kept: list[tuple[list[Any], dict[str, Any]]] = []
    for name in ("class_sheet", "change_sheet"):
        monkeypatch.setattr(
            contact, name, lambda rows, path, **about: kept.append((rows, {**about, "path": path}))
        )
    return kept


def test_every_way_of_changing_images_is_shown_once(
    photos: Path, tmp_path: Path, drawn: list[tuple[list[Any], dict[str, Any]]]
) -> None:
    sheets = show_plan(load_plan(plan_text(photos, GRID)), Home(tmp_path), progress=SILENT)
    assert [(sheet.shows, sheet.what) for sheet in sheets] == [
        ("data", "12 training and 6 test images of 3 classes"),
        ("changes", "none · mixup, 16 px: mixup (alpha 0.4)"),
        ("changes", "standard · unmixed, 16 px: random_crop (padding 0.125) → horizontal_flip"),
        (
            "changes",
            "standard · mixup, 16 px: random_crop (padding 0.125) → horizontal_flip → mixup "
            "(alpha 0.4)",
        ),
    ]
    assert [sheet.picture.name for sheet in sheets] == [
        "data_photos.png",
        "changes_1_none_mixup.png",
        "changes_2_standard_unmixed.png",
        "changes_3_standard_mixup.png",
    ]
    (classes, _), (mixed, _), (cropped, _), _ = drawn
    assert [(row.name, row.detail, len(row.images)) for row in classes] == [
        (name, "4 train · 2 test", 4) for name in ("pizza", "steak", "sushi")
    ]
    assert [row.class_name for row in mixed] == ["pizza", "steak", "sushi"] * 2
    assert {len(row.changes) for row in mixed + cropped} == {6}
    assert all(change.shares == {row.class_name: 1.0} for row in cropped for change in row.changes)
    for row, before in zip(mixed, mixed[-1:] + mixed[:-1], strict=True):
        for change in row.changes:  # each is blended with the one before it
            share = change.shares[row.class_name]
            blend = share * row.image.astype(float) + (1 - share) * before.image
            np.testing.assert_allclose(change.image, blend, atol=0.6)
    assert len({row.changes[epoch].image.tobytes() for row in cropped for epoch in range(6)}) > 24


def test_pictures_are_the_same_again(photos: Path, tmp_path: Path) -> None:
    plan = load_plan(plan_text(photos, augment="strong", mix="{kind: either}"))
    first, again = (
        show_plan(plan, Home(tmp_path / name), progress=SILENT) for name in ("one", "two")
    )
    assert [sheet.picture.name for sheet in first] == ["data_photos.png", "changes.png"]
    for one, other in zip(first, again, strict=True):
        assert one.picture.read_bytes() == other.picture.read_bytes()


def test_the_preview_is_what_torchvision_makes_of_the_batch() -> None:
    text = plan_text(Path("x"), augment="[{kind: random_crop, padding: 2}]", mix="{kind: cutmix}")
    (cell,) = expand(load_plan(text))
    pixels = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    labels = torch.tensor([0, 1, 2, 0])
    transform = Transform(16, None, "bilinear", 3, (0.0,) * 3, (1.0,) * 3)
    about = {"settings": cell.settings, "transform": transform, "classes": 3, "epochs": 3}
    _, _, third = preview_epochs(pixels.numpy(), labels.numpy(), **about)
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(epoch_generator(7, 3, "augment").get_state())
        crop = v2.RandomCrop(16, padding=2)
        cropped = torch.stack([crop(image) for image in pixels])
        torch.set_rng_state(epoch_generator(7, 3, "mix").get_state())
        images, shares = v2.CutMix(num_classes=3)(cropped.float(), labels)
    np.testing.assert_array_equal(third.images, images.permute(0, 2, 3, 1).numpy())
    np.testing.assert_array_equal(third.shares, shares.numpy())


def test_data_alone_is_shown_without_torch(photos: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(plan_text(photos), encoding="utf-8")
    code = (
        "import sys; from flows.cli import main\n"
        "code = main(['show', sys.argv[1], '--home', sys.argv[2]])\n"
        "print(code, 'torch' in sys.modules, 'prefect' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(plan), str(tmp_path / "home")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    data, picture, nothing, last = done.stdout.splitlines()
    assert data == "photos: 12 training and 6 test images of 3 classes"
    assert picture == f"picture: {tmp_path}/home/reports/small/show/data_photos.png"
    assert nothing == "No cell changes its training images."
    assert last == "0 False False"
