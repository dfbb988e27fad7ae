from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from foodvision.data.images import decode_image, read_image
from foodvision.errors import DataError
from tests.data.makers import picture


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    upright = picture(1, (6, 4))
    # how a camera held that way would have stored the upright picture
    stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = upright.transpose(stored[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode_image(_encoded(image, "PNG", exif=exif), name="x")
    assert found.size == upright.size
    np.testing.assert_array_equal(np.asarray(found), np.asarray(upright))


def test_unreadable_exif_leaves_the_picture_as_it_is():
    image = picture(2)
    found = decode_image(_encoded(image, "PNG", exif=b"Exif\0\0garbage"), name="x")
    np.testing.assert_array_equal(np.asarray(found), np.asarray(image))


def test_transparent_pixels_lie_on_white():
    image = Image.new("RGBA", (3, 1))
    image.putdata([(200, 100, 0, 255), (200, 100, 0, 0), (0, 0, 0, 128)])
    found = np.asarray(decode_image(_encoded(image, "PNG"), name="x"))
    assert found[0, 0].tolist() == [200, 100, 0]
    assert found[0, 1].tolist() == [255, 255, 255]
    assert all(abs(int(value) - 127) <= 1 for value in found[0, 2])


def test_a_palette_with_a_transparent_colour_is_read():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    found = np.asarray(decode_image(_encoded(image, "PNG", transparency=1), name="x"))
    assert found.tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_grey_with_alpha_is_read():
    image = Image.new("LA", (2, 1))
    image.putdata([(90, 255), (90, 0)])
    found = np.asarray(decode_image(_encoded(image, "PNG"), name="x"))
    assert found.tolist() == [[[90] * 3, [255] * 3]]


def test_sixteen_bit_grey_keeps_its_brightness():
    values = np.array([[0, 128, 257, 32768, 65535]], dtype=np.uint16)
    for kind in ("PNG", "TIFF"):
        found = np.asarray(decode_image(_encoded(Image.fromarray(values), kind), name="x"))
        assert found[0, :, 0].tolist() == [0, 0, 1, 128, 255], kind
        assert (found[..., 0] == found[..., 2]).all()


def test_cmyk_is_read_as_its_colours():
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    found = np.asarray(decode_image(_encoded(image, "JPEG", quality=95), name="x"))
    assert found.shape == (8, 8, 3)
    assert found[4, 4, 0] > 240
    assert found[4, 4, 1] < 15


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "JPEG"), ("1", "PNG"), ("L", "GIF"), ("L", "BMP")]
)
def test_grey_becomes_three_equal_channels(mode, kind):
    image = Image.linear_gradient("L").resize((16, 16)).convert(mode)
    found = decode_image(_encoded(image, kind), name="x")
    assert found.mode == "RGB"
    channels = np.asarray(found)
    assert (channels[..., 0] == channels[..., 1]).all()
    assert channels.min() < 30
    assert channels.max() > 225


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_picture_counts(kind):
    first, second = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    content = _animated(first, second, kind)
    assert np.asarray(decode_image(content, name="x"))[0, 0].tolist() == [255, 0, 0]


def _animated(first: Image.Image, second: Image.Image, kind: str) -> bytes:
    options = {"lossless": True} if kind == "WEBP" else {}
    return _encoded(first, kind, save_all=True, append_images=[second], **options)


_JPEG = _encoded(picture(3, (64, 64)), "JPEG")
_PNG = _encoded(picture(3, (64, 64)), "PNG")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(b"<!DOCTYPE html>", "not a picture of a known kind", id="a web page"),
        pytest.param(
            b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a picture of a known kind", id="PostScript"
        ),
        pytest.param(_JPEG[: len(_JPEG) // 2], "must be a whole JPEG", id="half a JPEG"),
        pytest.param(_PNG[: len(_PNG) // 2], "must be a whole JPEG", id="half a PNG"),
        pytest.param(_PNG[:40] + bytes(200), "must be a whole JPEG", id="a PNG of zeros"),
        pytest.param(
            _encoded(Image.new("F", (2, 2)), "TIFF"), "no agreed white", id="floating point"
        ),
    ],
)
def test_what_is_no_image_is_refused(content, match):
    with pytest.raises(DataError, match=match) as caught:
        decode_image(content, name="train/pizza/1.jpg")
    assert str(caught.value).startswith("train/pizza/1.jpg: ")


def test_a_decompression_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="decompression bomb"):
        decode_image(_PNG, name="x")


def test_a_missing_file_is_refused(folder):
    with pytest.raises(DataError, match="must be a readable file"):
        read_image(folder / "none.jpg")
