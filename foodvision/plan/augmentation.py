"""Random changes of training images, as a plan says them: steps, and lists of steps with a name.

What a step does is torchvision's business (`foodvision.train.augmentation`); its settings are
called as torchvision calls them, and have its defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, Tag, model_validator

from foodvision.plan.messages import nearest, show
from foodvision.plan.values import (
    MAX_PIXELS,
    Count,
    NotNegative,
    Pixels,
    Probability,
    Rate,
    Settings,
    Share,
    broken_rule,
    check_order,
    text_or,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_MAGNITUDE = 30
MAX_KERNEL = 255


def _check_padding(padding: Any) -> Any:
    is_pixels = isinstance(padding, int) and not isinstance(padding, bool)
    if is_pixels and not 1 <= padding <= MAX_PIXELS:
        bound = "least 1" if padding < 1 else f"most {MAX_PIXELS}"
        raise broken_rule(f"must be at {bound}, got {padding}")
    if not (is_pixels or (isinstance(padding, float) and 0 < padding < 1)):
        rule = "must be a whole number of pixels, or a share of the image's side in (0, 1)"
        raise broken_rule(f"{rule}, got {show(padding)}")
    return padding


def _check_kernel(kernel: int) -> int:
    if kernel % 2 == 0:
        raise broken_rule(f"must be an odd number of pixels, got {kernel}: write {kernel + 1}")
    return kernel


def _check_steps(steps: tuple[Any, ...]) -> tuple[Any, ...]:
    if not steps:
        raise broken_rule("must have at least one step, got []: add steps or write none")
    return steps


Span = Annotated[tuple[Probability, Probability], Field(strict=False), AfterValidator(check_order)]
Factors = Annotated[tuple[Rate, Rate], Field(strict=False), AfterValidator(check_order)]
Padding = Annotated[
    int | float, BeforeValidator(_check_padding, json_schema_input_type=Pixels | Share)
]
Degrees = Annotated[float, Field(gt=0, le=180)]


class RandomCropSettings(Settings):
    """The image with black around it, and a piece of its former size from anywhere in there.

    Attributes:
        padding: black on every side: pixels, or a share of the image's side in (0, 1).
    """

    kind: Literal["random_crop"]
    padding: Padding

    def padding_pixels(self, size: int) -> int:
        """Return the padding of an image of so many pixels a side, at least one pixel."""
        return self.padding if isinstance(self.padding, int) else max(1, round(self.padding * size))


class RandomResizedCropSettings(Settings):
    """A piece of the image, resized to the image's size with the transform's interpolation.

    Its sides are as 3:4 to 4:3 (Szegedy et al., 2015, "Going Deeper with Convolutions").

    Attributes:
        scale: smallest and largest share of the area, in (0, 1].
    """

    kind: Literal["random_resized_crop"]
    scale: Span = (0.08, 1.0)


class HorizontalFlipSettings(Settings):
    """Left becomes right, with probability `p`.

    Attributes:
        p: in (0, 1].
    """

    kind: Literal["horizontal_flip"]
    p: Probability = 0.5


class VerticalFlipSettings(Settings):
    """Up becomes down, with probability `p`.

    Attributes:
        p: in (0, 1].
    """

    kind: Literal["vertical_flip"]
    p: Probability = 0.5


class RotationSettings(Settings):
    """The image turned about its centre, black in the corners.

    Attributes:
        degrees: at most so far to either side, in (0, 180].
    """

    kind: Literal["rotation"]
    degrees: Degrees


class AffineSettings(Settings):
    """The image turned, moved, scaled and sheared, black where it was not; at least one of them.

    Attributes:
        degrees: turned at most so far to either side, in [0, 180].
        translate: moved at most by this share of its side, in [0, 1].
        scale: smallest and largest factor.
        shear: slanted at most so many degrees to either side, in [0, 90).
    """

    kind: Literal["affine"]
    degrees: Annotated[float, Field(ge=0, le=180)] = 0.0
    translate: Annotated[float, Field(ge=0, le=1)] = 0.0
    scale: Factors = (1.0, 1.0)
    shear: Annotated[float, Field(ge=0, lt=90)] = 0.0

    @model_validator(mode="after")
    def _check_change(self) -> Self:
        if not (self.degrees or self.translate or self.shear or self.scale != (1, 1)):
            raise broken_rule(
                "must change something, got neither degrees, translate, scale nor shear: "
                "write degrees: 10"
            )
        return self


class PerspectiveSettings(Settings):
    """The image as seen from elsewhere, with probability `p`; black where it was not.

    Attributes:
        distortion_scale: how far corners move at most, as a share of half the side, in (0, 1].
        p: in (0, 1].
    """

    kind: Literal["perspective"]
    distortion_scale: Probability = 0.5
    p: Probability = 0.5


class ColorJitterSettings(Settings):
    """Other light and colours, in random order; at least one of them.

    Attributes:
        brightness: times a factor from 1 - x to 1 + x, as contrast and saturation; at least 0.
        contrast: see brightness.
        saturation: see brightness.
        hue: moved by at most this share of the colour circle to either side, in [0, 0.5].
    """

    kind: Literal["color_jitter"]
    brightness: NotNegative = 0.0
    contrast: NotNegative = 0.0
    saturation: NotNegative = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0

    @model_validator(mode="after")
    def _check_change(self) -> Self:
        if not (self.brightness or self.contrast or self.saturation or self.hue):
            raise broken_rule(
                "must change something, got neither brightness, contrast, saturation nor hue: "
                "write brightness: 0.2"
            )
        return self


class GrayscaleSettings(Settings):
    """No colours, with probability `p`.

    Attributes:
        p: in (0, 1].
    """

    kind: Literal["grayscale"]
    p: Probability = 0.1


class GaussianBlurSettings(Settings):
    """The image out of focus.

    Attributes:
        kernel_size: odd number of pixels that flow into one, at most 255.
        sigma: smallest and largest standard deviation, in pixels.
    """

    kind: Literal["gaussian_blur"]
    kernel_size: Annotated[Count, Field(le=MAX_KERNEL), AfterValidator(_check_kernel)]
    sigma: Factors = (0.1, 2.0)


class RandomErasingSettings(Settings):
    """A rectangle made black, with probability `p` (Zhong et al., 2020).

    Attributes:
        p: in (0, 1].
        scale: smallest and largest share of the area, in (0, 1].
        ratio: smallest and largest ratio of its sides.
    """

    kind: Literal["random_erasing"]
    p: Probability = 0.5
    scale: Span = (0.02, 0.33)
    ratio: Factors = (0.3, 3.3)


class TrivialAugmentSettings(Settings):
    """One change of 14 kinds, its strength drawn too (Müller and Hutter, 2021; the wide one)."""

    kind: Literal["trivial_augment"]


class RandAugmentSettings(Settings):
    """Changes of 14 kinds, all of one strength (Cubuk et al., 2020).

    Attributes:
        num_ops: changes, one after the other.
        magnitude: their strength, in [0, 30].
    """

    kind: Literal["rand_augment"]
    num_ops: Annotated[int, Field(ge=1, le=20)] = 2
    magnitude: Annotated[int, Field(ge=0, le=MAX_MAGNITUDE)] = 9


class AutoAugmentSettings(Settings):
    """Two changes of a pair that was found to help on one data set (Cubuk et al., 2019).

    Attributes:
        policy: that data set.
    """

    kind: Literal["auto_augment"]
    policy: Literal["imagenet", "cifar10", "svhn"] = "imagenet"


AugmentStep = Annotated[
    RandomCropSettings
    | RandomResizedCropSettings
    | HorizontalFlipSettings
    | VerticalFlipSettings
    | RotationSettings
    | AffineSettings
    | PerspectiveSettings
    | ColorJitterSettings
    | GrayscaleSettings
    | GaussianBlurSettings
    | RandomErasingSettings
    | TrivialAugmentSettings
    | RandAugmentSettings
    | AutoAugmentSettings,
    Field(discriminator="kind"),
]
AugmentSteps = Annotated[tuple[AugmentStep, ...], Field(strict=False), AfterValidator(_check_steps)]

# `standard` is He et al.'s for CIFAR-10 (2016, "Deep Residual Learning"): an eighth of the side.
# `strong` adds what Müller and Hutter (2021) train with: TrivialAugment, and a piece taken out.
_STANDARD: tuple[AugmentStep, ...] = (
    RandomCropSettings(kind="random_crop", padding=0.125),
    HorizontalFlipSettings(kind="horizontal_flip"),
)
PRESETS: dict[str, tuple[AugmentStep, ...]] = {
    "standard": _STANDARD,
    "strong": (
        *_STANDARD,
        TrivialAugmentSettings(kind="trivial_augment"),
        RandomErasingSettings(kind="random_erasing", p=0.25),
    ),
}
_TEXTS = ("none", *PRESETS)


def with_preset_spelled_out(augment: Any) -> Any:
    """Return the steps (plain values) that a preset stands for; all else as it is."""
    if isinstance(augment, str) and augment in PRESETS:
        return [step.model_dump(mode="json") for step in PRESETS[augment]]
    return augment


def augment_words(augment: str | Sequence[Mapping[str, Any]]) -> str:
    """Say in a word or two how images are changed: `none`, or the kinds of steps.

    Args:
        augment: plain values of a checked cell.
    """
    return augment if isinstance(augment, str) else " + ".join(step["kind"] for step in augment)


def _resolve(augment: Any) -> Any:
    if isinstance(augment, str) and augment not in _TEXTS:
        near = nearest(augment, _TEXTS)
        hint = f"; did you mean {near!r}?" if near else ""
        rule = f"must be {', '.join(_TEXTS)} or a list of steps"
        raise broken_rule(f"{rule}, got {show(augment)}{hint}")
    return with_preset_spelled_out(augment)


Augment = Annotated[
    Annotated[Literal["none"], Tag("text")] | Annotated[AugmentSteps, Tag("steps")],
    text_or("steps"),
    BeforeValidator(
        _resolve, json_schema_input_type=Literal["none", "standard", "strong"] | AugmentSteps
    ),
]
