"""Build a model: architecture, weights, a head for the classes; deterministic from its settings."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from foodvision.errors import ModelError
from foodvision.models.architectures import (
    STOCK_CHANNELS,
    BuildSettings,
    architectures,
    auxiliary_keys,
    build_bare,
    make_head_layer,
    seeded,
    weightless,
)
from foodvision.models.blocks import BlockModel
from foodvision.models.freezing import apply_freeze, set_training_mode, training_mode
from foodvision.models.weights import Weights, read_state

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from torch import Tensor

__all__ = [
    "apply_freeze",
    "architectures",
    "assemble",
    "build_model",
    "check_weights",
    "reset_head",
    "set_training_mode",
    "training_mode",
]

_BODY = "body"
_HEAD = "head"
_NAMED_KEYS = 3
# torchvision's own DenseNet files still have `norm.1` where the modules are now called `norm1`.
_OLD_DENSE_LAYER = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")


def build_model(
    arch: str,
    *,
    num_classes: int,
    weights: Weights,
    seed: int,
    channels: int = STOCK_CHANNELS,
    size: int = 224,
    dropout: float | None = None,
    hidden: int | None = None,
) -> BlockModel:
    """Build a model whose state depends on the arguments alone.

    Torch's global generators are as before afterwards. The layer that gives the logits is new,
    drawn from a generator of its own; everything before it is the weights file's (so `seed` does
    not matter there) or drawn from the seed, and the same for any `num_classes`.

    Args:
        arch: one of `architectures()`.
        num_classes: outputs; >= 1.
        weights: initial weights; the logit layer and auxiliary heads in the file are dropped.
        seed: of all random initial values.
        channels: of the images; other than 3 only where no weights are loaded, or for our networks.
        size: width and height of the images in pixels. Only vision transformers, MaxViT and our
            own networks depend on it.
        dropout: probability of the head's dropout, in [0, 1); `None`: the architecture's own.
        hidden: width of our own networks; `None`: the network's own.

    Returns:
        The model, on the CPU, in training mode, nothing frozen.

    Raises:
        ModelError: the architecture or its settings do not exist or do not fit, or the weights are
            another architecture's.
    """
    settings = BuildSettings(
        arch=arch,
        num_classes=num_classes,
        channels=channels,
        size=size,
        dropout=dropout,
        hidden=hidden,
        is_published=weights.entry is not None,
    )
    _check_settings(settings, weights)
    with seeded(seed, _BODY):
        if weights.path is None:
            module, head_layer = build_bare(settings)
        else:
            with weightless():
                module, head_layer = build_bare(settings)
            _load_body(module, head_layer, weights.path, settings)
    with seeded(seed, _HEAD):  # the same draws as in reset_head
        return assemble(module, head_layer, settings)


def check_weights(
    path: Path, *, arch: str, channels: int, size: int, hidden: int | None = None
) -> None:
    """See to it that a weights file fits an architecture in all but the head.

    Args:
        path: the file.
        arch: one of `architectures()`.
        channels: of the images.
        size: width and height of the images in pixels.
        hidden: width of our own networks; `None`: the network's own.

    Raises:
        ModelError: the file is damaged, or another architecture's; or there is no such model.
    """
    settings = BuildSettings(arch=arch, num_classes=1, channels=channels, size=size, hidden=hidden)
    _check_settings(settings, Weights(path))
    with weightless():
        module, head_layer = build_bare(settings)
    _load_body(module, head_layer, path, settings)


def reset_head(model: BlockModel, seed: int) -> None:
    """Give the layer that makes the logits the initial values that `build_model` draws from `seed`.

    All else stays. With weights from a file, whatever else was trained put back to its start
    (`load_trainable_state`), this is the model that `build_model` makes from that seed.
    """
    layer = model.module.get_submodule(model.head_layer)
    with seeded(seed, _HEAD), torch.no_grad():
        fresh = make_head_layer(layer, model.build.num_classes)
        for value, new in zip(layer.parameters(), fresh.parameters(), strict=True):
            value.copy_(new)


def assemble(module: nn.Module, head_layer: str, settings: BuildSettings) -> BlockModel:
    """Turn a bare module into a model: a logit layer for the classes, dropout as set.

    Raises:
        ModelError: the forward cannot be traced, or there is no dropout to set.
    """
    stock = module.get_submodule(head_layer)
    module.set_submodule(head_layer, make_head_layer(stock, settings.num_classes))
    model = BlockModel(module, head_layer=head_layer, build=settings)
    for part in module.modules():
        if isinstance(part, _DropoutNd):
            part.inplace = False  # else it writes into the features that a suffix is given
    if settings.dropout is not None:
        _set_dropout(model, settings.dropout)
    return model


def _set_dropout(model: BlockModel, dropout: float) -> None:
    head = len(model.blocks) - 1
    parts = [part for _, part in model.named_modules(head) if isinstance(part, _DropoutNd)]
    if not parts:
        raise ModelError(
            f"model.dropout sets the dropout of the head; the head of {model.build.arch} has none "
            f"to set to {dropout}. Leave it out."
        )
    for part in parts:
        part.p = dropout


def _check_settings(settings: BuildSettings, weights: Weights) -> None:
    if settings.num_classes < 1:
        raise ModelError(f"a model must have at least one class, got {settings.num_classes}.")
    if settings.dropout is not None and not 0 <= settings.dropout < 1:
        raise ModelError(f"model.dropout must be at least 0 and below 1, got {settings.dropout}.")
    if weights.path is not None and not settings.is_own and settings.channels != STOCK_CHANNELS:
        raise ModelError(
            f"weights of {settings.arch} take images of {STOCK_CHANNELS} channels, got "
            f"{settings.channels}. Set transform.channels to {STOCK_CHANNELS} (grey images are "
            "then read as RGB), or model.weights to none."
        )


def _load_body(module: nn.Module, head_layer: str, path: Path, settings: BuildSettings) -> None:
    head = {f"{head_layer}.weight", f"{head_layer}.bias"}
    state = _without(read_state(path), head | auxiliary_keys(settings), module)
    try:
        result = module.load_state_dict(state, strict=False, assign=True)
    except (RuntimeError, ValueError) as error:
        sizes = [line.strip() for line in str(error).splitlines() if "size mismatch" in line]
        raise _misfit(path, settings, sizes or [str(error)]) from error
    missing = [name for name in result.missing_keys if name not in head]
    problems = [*_named("missing", missing), *_named("unexpected", result.unexpected_keys)]
    if problems:
        raise _misfit(path, settings, problems)


def _without(
    state: dict[str, Tensor], dropped: Iterable[str], module: nn.Module
) -> OrderedDict[str, Tensor]:
    """Return the state without some names, in the module's types, with torch's versions."""
    types = {name: value.dtype for name, value in module.state_dict().items()}
    kept: OrderedDict[str, Tensor] = OrderedDict()
    for stored, value in state.items():
        name = _OLD_DENSE_LAYER.sub(r"\1\2", stored)
        if name not in dropped:
            kept[name] = value.to(types.get(name, value.dtype)).contiguous()
    versions = getattr(state, "_metadata", None)
    kept._metadata = versions or {"": {"version": module._version}}  # type: ignore[attr-defined]
    return kept


def _named(kind: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - _NAMED_KEYS} more" if len(names) > _NAMED_KEYS else ""
    return [f"{kind} {', '.join(names[:_NAMED_KEYS])}{more}"]


def _misfit(path: Path, settings: BuildSettings, problems: list[str]) -> ModelError:
    advice = "Is model.arch the one that they were made for?"
    if any("size mismatch" in problem for problem in problems):
        advice = (
            f"Are model.arch, model.hidden and transform.size ({settings.size}) those that they "
            "were made for?"
        )
    return ModelError(
        f"{path}: weights must fit {settings.arch} in all but the head, found "
        f"{'; '.join(problems[:_NAMED_KEYS])}. {advice}"
    )
