"""Random changes of images: torchvision's, each image its own, from (seed, epoch) alone."""

from __future__ import annotations

import pytest
import torch
from pydantic import TypeAdapter
from torchvision.transforms import v2

from foodvision.data.transforms import Transform
from foodvision.plan.schema import AugmentSteps
from foodvision.train.augmentation import Augmentation
from foodvision.train.generators import epoch_generator

SIZE = 12
TRANSFORM = Transform(SIZE, None, "bilinear", 3, (0.0,) * 3, (1.0,) * 3)
STEPS = {
    "random_crop": [{"kind": "random_crop", "padding": 3}],
    "random_resized_crop": [{"kind": "random_resized_crop", "scale": [0.3, 1.0]}],
    "horizontal_flip": [{"kind": "horizontal_flip", "p": 0.5}],
    "vertical_flip": [{"kind": "vertical_flip"}],
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


def test_it_is_what_torchvision_draws_from_the_generator_of_the_epoch() -> None:
    torchvisions = v2.Compose(
        [v2.RandomCrop(SIZE, padding=2), v2.RandomHorizontalFlip(), v2.RandomVerticalFlip(0.3)]
    )
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(epoch_generator(5, 2, "augment").get_state())
        expected = torch.stack([torchvisions(image) for image in images()])
    assert torch.equal(augmentation("several").at_epoch(5, 2)(images()), expected)
