from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision.transforms as v1
from torchvision.transforms import InterpolationMode, v2

from foodvision.data.transforms import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Transform,
    normalize,
    to_pixels,
)
from foodvision.errors import DataError
from tests.data.makers import picture

_SIZES = [(64, 64), (97, 41), (41, 97), (200, 64), (20, 30), (65, 64), (13, 12), (64, 500)]
_MODES = {
    "nearest": InterpolationMode.NEAREST,
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
}


def _transform(**changes: object) -> Transform:
    fields = {"size": 32, "resize_to": None, "interpolation": "bilinear", "channels": 3}
    fields |= {"mean": IMAGENET_MEAN, "std": IMAGENET_STD} | changes
    return Transform(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize("interpolation", _MODES)
def test_squashing_equals_torchvision(size, interpolation):
    image = picture(1, size)
    expected = v2.Compose(
        [v2.Resize((32, 32), _MODES[interpolation], antialias=True), v2.PILToTensor()]
    )(image)
    found = to_pixels(image, _transform(interpolation=interpolation))
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected.numpy())


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize(("resize_to", "crop"), [(40, 32), (32, 32), (37, 32), (20, 33), (33, 40)])
def test_resizing_and_cropping_equals_torchvision(size, resize_to, crop):
    image = picture(2, size)
    pipeline = v2.Compose(
        [v2.Resize(resize_to, antialias=True), v2.CenterCrop(crop), v2.PILToTensor()]
    )
    found = to_pixels(image, _transform(size=crop, resize_to=resize_to))
    np.testing.assert_array_equal(found, pipeline(image).numpy())


def test_equals_the_preprocessing_of_a_weights_entry():
    from torchvision.models import EfficientNet_B0_Weights

    preset = EfficientNet_B0_Weights.IMAGENET1K_V1.transforms()
    image = picture(3, (300, 411))
    transform = _transform(size=224, resize_to=256, interpolation="bicubic")
    found = normalize(torch.from_numpy(to_pixels(image, transform))[None], transform)
    torch.testing.assert_close(found[0], preset(image), rtol=0, atol=1e-7)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_one_channel_is_luma_before_resizing(mode):
    image = picture(4, (50, 40), mode)
    pipeline = v2.Compose([v2.Grayscale(), v2.Resize((32, 32)), v2.PILToTensor()])
    found = to_pixels(image, _transform(channels=1, mean=(0.5,), std=(0.5,)))
    np.testing.assert_array_equal(found, pipeline(image).numpy())


def test_a_grey_image_fills_three_channels():
    found = to_pixels(picture(5, (28, 28), "L"), _transform())
    assert found.shape == (3, 32, 32)
    np.testing.assert_array_equal(found[0], found[2])


def test_pixels_do_not_share_memory_with_the_image():
    image = picture(6, (32, 32), "L")
    found = to_pixels(image, _transform(channels=1, mean=(0.0,), std=(1.0,)))
    found[:] = 0
    assert np.asarray(image).any()


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        pytest.param(IMAGENET_MEAN, IMAGENET_STD, id="imagenet"),
        pytest.param((0.0,) * 3, (1.0,) * 3, id="none"),
        pytest.param((0.5,) * 3, (1.0,) * 3, id="mean only"),
        pytest.param((0.0,) * 3, (0.3,) * 3, id="deviation only"),
    ],
)
def test_normalising_equals_torchvision_to_the_bit(mean, std):
    image = picture(7, (32, 32))
    pixels = torch.from_numpy(to_pixels(image, _transform()))[None]
    before = pixels.clone()
    expected = v1.Compose([v1.ToTensor(), v1.Normalize(mean, std)])(image)
    found = normalize(pixels, _transform(mean=mean, std=std))
    assert found.dtype == torch.float32
    assert torch.equal(found[0], expected)
    assert torch.equal(pixels, before)


def test_json_reads_back_the_same():
    transform = _transform(resize_to=40, mean=(0.1, 1 / 3, 0.5))
    assert Transform.from_json(transform.to_json()) == transform


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"size": 0}, "size must be at least 1"),
        ({"resize_to": 0}, "resize_to must be at least 1"),
        ({"interpolation": "lanczos"}, "interpolation must be one of nearest, bilinear, bicubic"),
        ({"channels": 2}, "channels must be 1 or 3"),
        ({"mean": (0.5,)}, "mean needs one number per channel"),
        ({"std": (0.5, 0.0, 0.5)}, "std must be above 0"),
        ({"mean": (0.5, float("nan"), 0.5)}, "must be finite"),
    ],
)
def test_meaningless_transforms_are_refused(changes, match):
    with pytest.raises(DataError, match=match):
        _transform(**changes)


def test_unknown_fields_are_refused():
    with pytest.raises(DataError, match="sizes"):
        Transform.from_json({**_transform().to_json(), "sizes": 3})
