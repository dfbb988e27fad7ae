"""Mixing the training images of a batch with each other, as a plan says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, Tag

from foodvision.plan.values import Probability, Rate, Settings, text_or

if TYPE_CHECKING:
    from collections.abc import Mapping


class MixupSettings(Settings):
    """Each image is blended with another of its batch, and so are their labels.

    Zhang et al. (2018), "mixup: Beyond Empirical Risk Minimization". The share of the first image
    is drawn from Beta(alpha, alpha), once per batch.

    Attributes:
        alpha: small: mostly one of the two images; large: half of each.
        p: probability that a batch is mixed, in (0, 1].
    """

    kind: Literal["mixup"]
    alpha: Rate = 1.0
    p: Probability = 1.0


class CutmixSettings(Settings):
    """A rectangle of each image is replaced by another image's; labels are mixed by area.

    Yun et al. (2019), "CutMix". The share of the first image is drawn from Beta(alpha, alpha),
    once per batch.

    Attributes:
        alpha: small: mostly one of the two images; large: half of each.
        p: probability that a batch is mixed, in (0, 1].
    """

    kind: Literal["cutmix"]
    alpha: Rate = 1.0
    p: Probability = 1.0


class EitherSettings(Settings):
    """Each batch is mixed one way or the other: `mixup` or `cutmix`, drawn with equal chances.

    Attributes:
        alpha: of both.
        p: probability that a batch is mixed, in (0, 1].
    """

    kind: Literal["either"]
    alpha: Rate = 1.0
    p: Probability = 1.0


MixSettings = Annotated[
    MixupSettings | CutmixSettings | EitherSettings, Field(discriminator="kind")
]


def mix_words(mix: str | Mapping[str, Any]) -> str:
    """Say in a word how images are mixed: `none`, or the kind.

    Args:
        mix: plain values of a checked cell.
    """
    return mix if isinstance(mix, str) else str(mix["kind"])


Mix = Annotated[
    Annotated[Literal["none"], Tag("text")] | Annotated[MixSettings, Tag("settings")],
    text_or("settings"),
]
