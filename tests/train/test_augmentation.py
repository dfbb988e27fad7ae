"""Random changes of images: torchvision's, each image its own, from (seed, epoch) alone."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter
from torchvision.transforms import v2

from foodvision.data.transforms import Transform
from foodvision.plan.augmentation import PRESETS, AugmentStep, AugmentSteps
from foodvision.train.augmentation import Augmentation
from foodvision.train.generators import epoch_generator

SIZE = 12
TRANSFORM = Transform(SIZE, None, "bilinear", 3, (0.0,) * 3, (1.0,) * 3)
KINDS = [
    get_args(model.model_fields["kind"].annotation)[0]
    for model in get_args(get_args(AugmentStep)[0])
]
STEPS: dict[str, list[Any]] = {
    "random_crop": [{"kind": "random_crop", "padding": 3}],
    "random_resized_crop": [{"kind": "random_resized_crop", "scale": [0.3, 1.0]}],
    "horizontal_flip": [{"kind": "horizontal_flip", "p": 0.5}],
    "vertical_flip": [{"kind": "vertical_flip"}],
    "rotation": [{"kind": "rotation", "degrees": 30}],
    "affine": [{"kind": "affine", "translate": 0.2, "scale": [0.8, 1.2], "shear": 10}],
    "perspective": [{"kind": "perspective"}],
    "color_jitter": [{"kind": "color_jitter", "brightness": 0.4, "hue": 0.1}],
    "grayscale": [{"kind": "grayscale", "p": 0.5}],
    "gaussian_blur": [{"kind": "gaussian_blur", "kernel_size": 3}],
    "random_erasing": [{"kind": "random_erasing"}],
    "trivial_augment": [{"kind": "trivial_augment"}],
    "rand_augment": [{"kind": "rand_augment"}],
    "auto_augment": [{"kind": "auto_augment", "policy": "cifar10"}],
    "standard": list(PRESETS["standard"]),
    "strong": list(PRESETS["strong"]),
    "several": [
        {"kind": "random_crop", "padding": 2},
        {"kind": "horizontal_flip"},
        {"kind": "vertical_flip", "p": 0.3},
    ],
}


def augmentation(name: str) -> Augmentation:
    return Augmentation(TypeAdapter(AugmentSteps).validate_python(STEPS[name]), TRANSFORM)


def images(count: int = 16) -> torch.Tensor:
    """The same image again and again: what differs afterwards was drawn."""
    generator = torch.Generator().manual_seed(1)
    one = torch.randint(0, 256, (1, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    return one.repeat(count, 1, 1, 1)


@pytest.mark.parametrize("name", STEPS)
def test_every_image_has_draws_of_its_own(name: str) -> None:
    before = images()
    after = augmentation(name).at_epoch(1, 1)(before)
    assert after.shape == before.shape
    assert after.dtype == torch.uint8
    assert len({image.numpy().tobytes() for image in after}) > 1
    assert torch.equal(before, images())


def test_every_kind_is_tested() -> None:
    assert set(KINDS) <= set(STEPS)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("interpolation", ["nearest", "bicubic"])
def test_grey_images_and_other_interpolations(name: str, interpolation: str) -> None:
    transform = Transform(SIZE, None, interpolation, 1, (0.0,), (1.0,))
    steps = TypeAdapter(AugmentSteps).validate_python(STEPS[name])
    after = Augmentation(steps, transform).at_epoch(1, 1)(images(4)[:, :1])
    assert after.shape == (4, 1, SIZE, SIZE)
    assert after.dtype == torch.uint8


@pytest.mark.parametrize("name", STEPS)
def test_batches_do_not_act_on_the_draws(name: str) -> None:
    whole = augmentation(name).at_epoch(5, 2)(images())
    change = augmentation(name).at_epoch(5, 2)
    assert torch.equal(torch.cat([change(part) for part in images().split(5)]), whole)


@pytest.mark.parametrize(("seed", "epoch"), [(6, 2), (5, 3)])
def test_other_seeds_and_epochs_draw_otherwise(seed: int, epoch: int) -> None:
    one, other = (augmentation("several").at_epoch(*key) for key in ((5, 2), (seed, epoch)))
    assert not torch.equal(one(images()), other(images()))


def test_the_global_generator_is_neither_read_nor_moved() -> None:
    torch.manual_seed(1)
    first = augmentation("several").at_epoch(5, 2)(images())
    drawn = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3), drawn)
    assert torch.equal(augmentation("several").at_epoch(5, 2)(images()), first)


@pytest.mark.parametrize(("size", "pixels"), [(32, 4), (224, 28), (3, 1)])
def test_a_share_of_the_side_is_a_padding(size: int, pixels: int) -> None:
    steps = TypeAdapter(AugmentSteps).validate_python([{"kind": "random_crop", "padding": 0.125}])
    assert steps[0].padding_pixels(size) == pixels


def test_it_is_what_torchvision_draws_from_the_generator_of_the_epoch() -> None:
    linear = {"interpolation": v2.InterpolationMode.BILINEAR}
    torchvisions = v2.Compose(
        [
            v2.RandomCrop(SIZE, padding=2),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(0.3),
            v2.RandomRotation(20, **linear),
            v2.RandomAffine(5, translate=(0.1, 0.1), scale=(0.9, 1.1), shear=5, **linear),
            v2.RandomPerspective(0.2, p=0.3, **linear),
            v2.ColorJitter(0.1, 0.2, 0.3, 0.05),
            v2.RandomGrayscale(0.2),
            v2.GaussianBlur(3, (0.1, 1.0)),
            v2.RandomErasing(0.4, (0.1, 0.2), (0.5, 2.0)),
            v2.TrivialAugmentWide(**linear),
            v2.RandAugment(1, 5, **linear),
            v2.AutoAugment(v2.AutoAugmentPolicy.SVHN, **linear),
        ]
    )
    ours = [
        *STEPS["several"],
        {"kind": "rotation", "degrees": 20},
        {"kind": "affine", "degrees": 5, "translate": 0.1, "scale": [0.9, 1.1], "shear": 5},
        {"kind": "perspective", "distortion_scale": 0.2, "p": 0.3},
        {
            "kind": "color_jitter",
            "brightness": 0.1,
            "contrast": 0.2,
            "saturation": 0.3,
            "hue": 0.05,
        },
        {"kind": "grayscale", "p": 0.2},
        {"kind": "gaussian_blur", "kernel_size": 3, "sigma": [0.1, 1.0]},
        {"kind": "random_erasing", "p": 0.4, "scale": [0.1, 0.2], "ratio": [0.5, 2.0]},
        {"kind": "trivial_augment"},
        {"kind": "rand_augment", "num_ops": 1, "magnitude": 5},
        {"kind": "auto_augment", "policy": "svhn"},
    ]
    assert {step["kind"] for step in ours} == set(KINDS) - {"random_resized_crop"}
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(epoch_generator(5, 2, "augment").get_state())
        expected = torch.stack([torchvisions(image) for image in images()])
    steps = TypeAdapter(AugmentSteps).validate_python(ours)
    assert torch.equal(Augmentation(steps, TRANSFORM).at_epoch(5, 2)(images()), expected)
