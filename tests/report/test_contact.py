from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from PIL import Image

from foodvision.report import style
from foodvision.report.contact import Change, ChangedImage, ClassRow, change_sheet, class_sheet
from tests.report.looks import NASTY_NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.report.looks import Gallery

PHOTO = Image.new("RGB", (90, 60), "#c04020")
PIXELS = np.full((8, 8, 3), 200, np.uint8)


@pytest.mark.parametrize(("classes", "images"), [(0, 0), (1, 1), (3, 8), (20, 9)])
def test_classes_are_rows_of_images(
    classes: int, images: int, folder: Path, gallery: Gallery
) -> None:
    rows = [ClassRow(f"class {n}", f"{n} train", [PHOTO] * images) for n in range(classes)]
    class_sheet(rows, folder / "data.png", title="photos", subtitle="all of them")
    assert len(gallery.figure.axes) == min(classes, 16) * min(images, 8)
    assert gallery.clipped_texts() == []
    assert {f"class {n}" for n in range(min(classes, 16))} <= set(gallery.texts())
    assert ("all of them · 16 of them shown" in gallery.texts()) == (classes == 20)


def test_classes_that_the_caller_left_out_are_told(folder: Path, gallery: Gallery) -> None:
    rows = [ClassRow("pizza", "1 train", [PHOTO])]
    class_sheet(rows, folder / "data.png", title="photos", subtitle="101 classes", classes=101)
    assert "101 classes · 1 of them shown" in gallery.texts()


def _changed(name: str, *changes: dict[str, float]) -> ChangedImage:
    return ChangedImage(PIXELS, name, [Change(PIXELS, shares) for shares in changes])


def test_every_epoch_has_a_column(folder: Path, gallery: Gallery) -> None:
    rows = [_changed("pizza", {"pizza": 1.0}, {"pizza": 1.0}), _changed("sushi", {"sushi": 1.0})]
    change_sheet(rows, folder / "changes.png", title="standard", subtitle="flips")
    assert len(gallery.figure.axes) == 3 + 2
    assert {"as it is", "epoch 1", "epoch 2", "pizza", "sushi"} <= set(gallery.texts())
    assert gallery.texts().count("pizza") == 1  # no caption where nothing was mixed
    assert gallery.clipped_texts() == []


def test_what_was_mixed_says_of_what(folder: Path, gallery: Gallery) -> None:
    rows = [
        _changed("pizza", {"sushi": 0.25, "pizza": 0.75}, {"pizza": 1.0}),
        _changed("sushi", {"sushi": 0.996, "pizza": 0.004}, {"sushi": 1.0}),
    ]
    change_sheet(rows, folder / "changes.png", title="mixup", subtitle="mixup (alpha 0.4)")
    texts = gallery.texts()
    assert {"75 % pizza", "25 % sushi", ">99 % sushi", "<1 % pizza"} <= set(texts)
    assert texts.count("pizza") == 2
    bars = [patch for patch in gallery.figure.get_children() if isinstance(patch, Rectangle)]
    bars = [bar for bar in bars if to_hex(bar.get_facecolor()) in (style.BLUE, style.ORANGE)]
    assert [to_hex(bar.get_facecolor()) for bar in bars[:2]] == [style.BLUE, style.ORANGE]
    assert bars[0].get_width() == pytest.approx(3 * bars[1].get_width())
    assert gallery.clipped_texts() == []


def test_odd_names_are_drawn(folder: Path, gallery: Gallery) -> None:
    rows = [
        _changed(name, {name: 0.6, other: 0.4})
        for name, other in zip(NASTY_NAMES, NASTY_NAMES[::-1], strict=True)
        if name != other
    ]
    change_sheet(rows, folder / "changes.png", title=NASTY_NAMES[-3], subtitle=NASTY_NAMES[-3])
    assert gallery.clipped_texts() == []
    rows_of_data = [ClassRow(name, name, [PHOTO]) for name in NASTY_NAMES]
    class_sheet(rows_of_data, folder / "data.png", title="odd", subtitle="names")
    assert gallery.clipped_texts() == []


def test_equal_sheets_are_equal_files(folder: Path) -> None:
    rows = [_changed("pizza", {"pizza": 0.7, "sushi": 0.3})]
    for name in ("one", "two"):
        change_sheet(rows, folder / f"{name}.png", title="mixup", subtitle="")
    assert (folder / "one.png").read_bytes() == (folder / "two.png").read_bytes()
