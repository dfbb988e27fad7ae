"""What a view makes of an image: torchvision's, image by image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional

from foodvision.data.views import look
from foodvision.plan.views import IDENTITY, View, single_views

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 12
BILINEAR = InterpolationMode.BILINEAR
CHOICES: dict[str, tuple[Any, Callable[[torch.Tensor], torch.Tensor]]] = {
    "horizontal_flip": ("horizontal_flip", lambda image: image.flip(-1)),
    "vertical_flip": ("vertical_flip", lambda image: image.flip(-2)),
    "rotate": (
        {"rotate": 20},
        lambda image: functional.rotate(image, 20, interpolation=BILINEAR),
    ),
    "brightness": ({"brightness": 1.5}, lambda image: functional.adjust_brightness(image, 1.5)),
    "contrast": ({"contrast": 0.5}, lambda image: functional.adjust_contrast(image, 0.5)),
    "saturation": ({"saturation": 2}, lambda image: functional.adjust_saturation(image, 2)),
}


def images(count: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(256, (count, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("name", CHOICES)
def test_it_is_torchvisions(name: str) -> None:
    choice, theirs = CHOICES[name]
    (view,) = single_views([choice])
    seen = look(images(), view=view)
    assert seen.dtype == torch.uint8
    assert torch.equal(seen, torch.stack([theirs(image) for image in images()]))
    assert not torch.equal(seen, images())


def test_a_shift_moves_right_and_down_and_leaves_black() -> None:
    (view,) = single_views([{"shift": [3, 1]}])
    seen = look(images(), view=view)
    assert torch.equal(seen[..., 1:, 3:], images()[..., :-1, :-3])
    assert not seen[..., :1, :].any()
    assert not seen[..., :3].any()


def test_five_crops_are_torchvisions_resized() -> None:
    views = single_views([{"five_crop": 8}])
    assert [view.corner for view in views] == sorted(
        ["top_left", "top_right", "bottom_left", "bottom_right", "centre"]
    )
    found = {view.corner: look(images(1), view=view)[0] for view in views}
    resize = v2.Resize([SIZE, SIZE], interpolation=BILINEAR, antialias=True)
    corners = ("top_left", "top_right", "bottom_left", "bottom_right", "centre")
    for corner, cut in zip(corners, v2.FiveCrop(8)(images(1)[0]), strict=True):
        assert torch.equal(found[corner], resize(cut)), corner  # type: ignore[index]


def test_the_plain_view_is_the_image_itself() -> None:
    pixels = images()
    assert look(pixels, view=IDENTITY) is pixels


@pytest.mark.parametrize("name", CHOICES)
def test_bits_do_not_depend_on_what_stands_beside(name: str) -> None:
    (view,) = single_views([CHOICES[name][0]])
    alone = torch.cat([look(image[None], view=view) for image in images()])
    assert torch.equal(alone, look(images(), view=view))


@pytest.mark.parametrize("choice", [*CHOICES, "identity", "crop"])
def test_views_are_read_back_from_json(choice: str) -> None:
    written = {"identity": "identity", "crop": {"five_crop": 8}}
    for view in single_views([written.get(choice) or CHOICES[choice][0]]):
        assert View.from_json(view.to_json()) == view
