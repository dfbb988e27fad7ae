"""What the compiler must know about a model and only torch can tell, without weights or images."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from foodvision.errors import ModelError
from foodvision.models.architectures import (
    STOCK_CHANNELS,
    BuildSettings,
    build_bare,
    seeded,
    weightless,
)
from foodvision.models.build import assemble
from foodvision.models.freezing import has_following_statistics
from foodvision.models.shapes import hollow, no_images

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from foodvision.models.blocks import BlockModel

_FLOAT32_BYTES = 4


@dataclass(frozen=True)
class ModelFacts:
    """A model's shape under one way of freezing it.

    Attributes:
        blocks: names in order, the head last.
        head: name of the head.
        frozen_count: how many leading blocks are frozen.
        prefix_count: how many leading blocks give the same output in every epoch: the frozen ones;
            with `batchnorm: train` only those before the first running statistics.
        feature_shape: the output of that prefix for one image (the image's shape where it is 0).
        params_total: number of parameters.
        params_trainable: number of parameters that training may change.
        model_bytes: bytes of all parameters and buffers in the state dict.
        suffix_buffer_bytes: bytes of the buffers behind the prefix, which a snapshot holds.
    """

    blocks: tuple[str, ...]
    head: str
    frozen_count: int
    prefix_count: int
    feature_shape: tuple[int, ...]
    params_total: int
    params_trainable: int
    model_bytes: int
    suffix_buffer_bytes: int

    @property
    def feature_bytes(self) -> int:
        """Bytes of the prefix's float32 output for one image."""
        return math.prod(self.feature_shape) * _FLOAT32_BYTES

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; `from_json` reads them back."""
        return asdict(self) | {
            "blocks": list(self.blocks),
            "feature_shape": list(self.feature_shape),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ModelFacts:
        """Return the facts that `to_json` wrote.

        Raises:
            ModelError: fields are missing or unknown.
        """
        try:
            return cls(
                **{
                    **value,
                    "blocks": tuple(value["blocks"]),
                    "feature_shape": tuple(value["feature_shape"]),
                }
            )
        except (KeyError, TypeError) as error:
            raise ModelError(
                f"facts about a model must have the fields of ModelFacts, found {sorted(value)}. "
                "Delete them; they will be asked again."
            ) from error


def describe(
    arch: str,
    *,
    num_classes: int,
    freeze: str | int = "none",
    batchnorm: str = "auto",
    channels: int = STOCK_CHANNELS,
    size: int = 224,
    dropout: float | None = None,
    hidden: int | None = None,
) -> ModelFacts:
    """Describe a model without giving it memory: tenths of a second for any architecture.

    Args:
        arch: one of `architectures()`.
        num_classes: outputs.
        freeze: as in `BlockModel.frozen_count`.
        batchnorm: auto, frozen or train.
        channels: of the images.
        size: width and height of the images in pixels.
        dropout: as in `build_model`; it changes no fact, but must fit.
        hidden: width of our own networks.

    Raises:
        ModelError: what `build_model` would raise (weights apart), or the images are too small.
    """
    settings = BuildSettings(
        arch=arch,
        num_classes=num_classes,
        channels=channels,
        size=size,
        dropout=dropout,
        hidden=hidden,
    )
    model = outline(settings)
    module = model.module
    frozen_count = model.frozen_count(freeze)
    prefix_count = _count_constant(model, frozen_count, batchnorm)
    prefix, suffix = model.split(prefix_count)
    return ModelFacts(
        blocks=model.blocks,
        head=model.head,
        frozen_count=frozen_count,
        prefix_count=prefix_count,
        feature_shape=_feature_shape(prefix, suffix, settings),
        params_total=sum(value.numel() for value in module.parameters()),
        params_trainable=sum(
            value.numel()
            for block in range(frozen_count, len(model.blocks))
            for _, value in model.named_parameters(block)
        ),
        model_bytes=sum(value.nbytes for value in module.state_dict().values()),
        suffix_buffer_bytes=_buffer_bytes(suffix),
    )


def _buffer_bytes(module: nn.Module) -> int:
    parameters = dict(module.named_parameters(remove_duplicate=False))
    return sum(
        value.nbytes for name, value in module.state_dict().items() if name not in parameters
    )


def outline(settings: BuildSettings) -> BlockModel:
    """Build a model that has shapes, but no memory.

    Raises:
        ModelError: it cannot be built.
    """
    with seeded(0, "facts"), weightless():
        return assemble(*build_bare(settings), settings)


def _count_constant(model: BlockModel, frozen_count: int, batchnorm: str) -> int:
    if batchnorm != "train":
        return frozen_count
    for block in range(frozen_count):
        if has_following_statistics(model, block):
            return block
    return frozen_count


def _feature_shape(
    prefix: nn.Module, suffix: nn.Module, settings: BuildSettings
) -> tuple[int, ...]:
    try:
        with torch.no_grad():
            features = hollow(prefix)(no_images(settings))
            hollow(suffix)(features)
    except (AssertionError, RuntimeError) as error:
        raise too_small(settings, error) from error
    return tuple(int(length) for length in features.shape[1:])


def too_small(settings: BuildSettings, error: Exception) -> ModelError:
    """Say that a network's forward fails on images of this size."""
    return ModelError(
        f"{settings.arch} cannot take images of {settings.size} px: "
        f"{str(error).splitlines()[0]}. Set transform.size to a larger one."
    )
