from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from foodvision.report.html.thumbnails import EDGE, thumbnail


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "I;16"])
def test_photos_become_small(mode: str) -> None:
    small = thumbnail(Image.new(mode, (900, 600)))
    assert (small.width, small.height) == (EDGE, round(EDGE * 600 / 900))
    assert not small.is_tiny
    assert small.address.startswith("data:image/jpeg;base64,")


def test_tiny_images_keep_every_pixel() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    small = thumbnail(Image.fromarray(pixels))
    assert small.is_tiny
    content = base64.b64decode(small.address.partition(",")[2])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), pixels)


def test_a_strip_keeps_a_pixel_of_its_shorter_side() -> None:
    small = thumbnail(Image.new("RGB", (4000, 3)))
    assert (small.width, small.height) == (EDGE, 1)
