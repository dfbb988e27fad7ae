"""What a cell is given: images, the network that sees them, and what it makes of them first."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from foodvision.plan.values import (
    MAX_COUNT,
    Count,
    Factor,
    Pixels,
    Positive,
    Rate,
    broken_rule,
    check_variables,
    text_or,
)
from foodvision.plan.values import Settings as _Settings

_ENTRY = re.compile(r"[A-Z][A-Z0-9_]*")


def _check_weights(weights: str) -> str:
    is_file = any(sign in weights for sign in "/\\.$")
    if not (is_file or weights == "none" or _ENTRY.fullmatch(weights)):
        near = next((w for w in ("none", "DEFAULT") if w.lower() == weights.lower()), None)
        hint = f"; did you mean {near!r}?" if near else "; a file in this folder is './NAME'"
        raise broken_rule(
            "must be none, DEFAULT, a torchvision entry like IMAGENET1K_V1 or a file's path, "
            f"got {weights!r}{hint}"
        )
    return check_variables(weights)


def _check_freeze(freeze: Any) -> Any:
    if isinstance(freeze, bool) or not isinstance(freeze, str | int) or freeze == "":
        rule = "must be none, backbone, early, most, a block's name or a count of blocks"
        raise broken_rule(f"{rule}, got {freeze!r}" + (": write none" if freeze is None else ""))
    if isinstance(freeze, int) and not 0 <= freeze <= MAX_COUNT:
        bound = "least 0" if freeze < 0 else f"most {MAX_COUNT}"
        raise broken_rule(f"must be at {bound} blocks, got {freeze}")
    return freeze


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class DataChoice(_Settings):
    """A data set, or a stratified part of it.

    Attributes:
        name: a key of the plan's `data`.
        fraction: share of the images, in (0, 1]; `None`: all.
        count: images in all; `None`: all.
    """

    name: Annotated[str, Field(min_length=1)]
    fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    count: Positive | None = None


def _named(choice: Any) -> Any:
    return {"name": choice} if isinstance(choice, str) else choice


NamedData = Annotated[DataChoice, BeforeValidator(_named, json_schema_input_type=str | DataChoice)]


Freeze = Annotated[str | int, BeforeValidator(_check_freeze, json_schema_input_type=str | int)]


LrScale = Annotated[
    Annotated[Factor, Tag("number")]
    | Annotated[dict[str, Rate], Field(min_length=1), Tag("blocks")],
    Discriminator(lambda value: "blocks" if isinstance(value, dict) else "number"),
]


class ModelSettings(_Settings):
    """An architecture and what it starts from.

    Attributes:
        arch: a torchvision classification architecture, or one of our own (`tiny_vgg`, `lenet5`).
        weights: `none`, `DEFAULT`, a torchvision entry, or a file (may contain `${VARIABLE}`,
            which stays as it is here).
        weights_sha256: what the weights' file must have, 64 hex digits.
        freeze: `none`, `backbone`, `early`, `most`, a block's name or a count of leading blocks.
        batchnorm: `auto` freezes the statistics of frozen blocks, `frozen` all, `train` none.
        lr_scale: what the learning rate of a block is multiplied by. A number: from the head (1)
            forward, each block that part of the one behind it. A mapping: by block.
        dropout: probability in the new head, in [0, 1); `None`: the architecture's own.
        hidden: width of one of our own networks; `None`: its own.
    """

    arch: Annotated[str, Field(min_length=1)]
    weights: Annotated[str, AfterValidator(_check_weights)] = "none"
    weights_sha256: Sha256 | None = None
    freeze: Freeze = "none"
    batchnorm: Literal["auto", "frozen", "train"] = "auto"
    lr_scale: LrScale | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    hidden: Count | None = None


class ChannelStatistics(_Settings):
    """Mean and standard deviation per channel, of pixels in [0, 1]."""

    mean: Annotated[tuple[float, ...], Field(strict=False, min_length=1)]
    std: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(strict=False, min_length=1)]


Normalize = Annotated[
    Annotated[Literal["imagenet", "none"], Tag("text")]
    | Annotated[ChannelStatistics, Tag("statistics")],
    text_or("statistics"),
]


class TransformSettings(_Settings):
    """How an image becomes the model's input.

    Attributes:
        size: pixels of the square input.
        resize: `squash` straight to size x size; `crop` resizes the shorter side, then crops.
        resize_to: with `crop`: pixels of the shorter side; `None`: `size`.
        interpolation: of the resize.
        channels: 1 (grey) or 3 (RGB).
        normalize: what is taken off and divided by, per channel.
    """

    size: Pixels
    resize: Literal["squash", "crop"] = "squash"
    resize_to: Pixels | None = None
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    channels: Literal[1, 3] = 3
    normalize: Normalize = "none"


Transform = Annotated[
    Annotated[Literal["auto"], Tag("text")] | Annotated[TransformSettings, Tag("settings")],
    text_or("settings"),
]
