"""Frozen means frozen: which parameters learn, and in which mode every module runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch.nn.modules.batchnorm import _NormBase

from foodvision.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from foodvision.models.blocks import BlockModel

BatchNorm = Literal["auto", "frozen", "train"]


def apply_freeze(model: BlockModel, freeze: str | int, batchnorm: str = "auto") -> None:
    """Freeze leading blocks: no gradient, and the modes that training will see.

    Args:
        model: all of it is set, so that an earlier freeze is undone.
        freeze: as in `BlockModel.frozen_count`.
        batchnorm: as in `set_training_mode`.

    Raises:
        ModelError: no such block, or no such way to treat batch normalisation.
    """
    frozen_count = model.frozen_count(freeze)
    for block in range(len(model.blocks)):
        for _, parameter in model.named_parameters(block):
            parameter.requires_grad_(block >= frozen_count)
    set_training_mode(model.module, model, frozen_count=frozen_count, batchnorm=batchnorm)


def set_training_mode(
    module: nn.Module, model: BlockModel, *, frozen_count: int, batchnorm: str = "auto"
) -> None:
    """Set training mode where something is trained, evaluation mode where it is frozen.

    In frozen blocks dropout and stochastic depth are off, whatever `batchnorm` says.

    Args:
        module: what is about to be trained: `model.module`, or the suffix of a split.
        model: whose blocks are meant.
        frozen_count: how many leading blocks are frozen.
        batchnorm: whose running statistics follow the batches. `auto`: those of trainable blocks;
            `frozen`: none; `train`: all, also in frozen blocks, as where a notebook calls
            `model.train()`. Weights and biases of the normalisation are parameters like others.

    Raises:
        ModelError: no such way to treat batch normalisation.
    """
    training_mode(module, model, frozen_count=frozen_count, batchnorm=batchnorm)(module)


def training_mode(
    module: nn.Module, model: BlockModel, *, frozen_count: int, batchnorm: str = "auto"
) -> Callable[[nn.Module], None]:
    """Return what `set_training_mode` does to this one module, to be done again and again.

    Raises:
        ModelError: no such way to treat batch normalisation.
    """
    _check_batchnorm(batchnorm)
    modes = dict.fromkeys(module.modules(), True)
    for part in modes:
        block = model.block_of.get(part)
        if block is not None:
            modes[part] = _is_trained(part, block >= frozen_count, batchnorm)

    def enter(_: nn.Module) -> None:
        for part, is_trained in modes.items():
            part.training = is_trained

    return enter


def trainable_state(
    model: BlockModel, freeze: str | int, batchnorm: str = "auto"
) -> dict[str, Tensor]:
    """Return copies of all that training may change, under the stock module's names.

    These are the parameters of trainable blocks, and the running statistics that follow the
    batches. Taken before training, it is what brings a model back to its start.
    """
    changing = _changing_tensors(model, freeze, batchnorm)
    return {name: value.detach().clone() for name, value in changing.items()}


def load_trainable_state(
    model: BlockModel,
    state: Mapping[str, Tensor],
    freeze: str | int,
    batchnorm: str = "auto",
) -> None:
    """Copy back what `trainable_state` returned, on whatever device the model is now.

    Raises:
        ModelError: the names are not those that training may change under these settings.
    """
    changing = _changing_tensors(model, freeze, batchnorm)
    different = sorted(changing.keys() ^ state.keys())
    if different:
        raise ModelError(
            f"{model.build.arch}: a state must hold exactly what freeze {freeze!r} and batchnorm "
            f"{batchnorm!r} leave to training; {different[0]} and {len(different) - 1} more differ."
            " Use the settings that it was taken with."
        )
    with torch.no_grad():
        for name, value in state.items():
            changing[name].copy_(value)


def has_following_statistics(model: BlockModel, block: int) -> bool:
    """Return whether a block holds running statistics at all."""
    return any(_tracks(part) for _, part in model.named_modules(block))


def _changing_tensors(model: BlockModel, freeze: str | int, batchnorm: str) -> dict[str, Tensor]:
    _check_batchnorm(batchnorm)
    frozen_count = model.frozen_count(freeze)
    changing: dict[str, Tensor] = {}
    for block in range(len(model.blocks)):
        is_trained = block >= frozen_count
        if is_trained:
            changing.update(model.named_parameters(block))
        if _follows_batches(is_trained, batchnorm):
            for name, part in model.named_modules(block):
                if _tracks(part):
                    changing.update(part.named_buffers(prefix=name, recurse=False))
    return changing


def _follows_batches(is_trained: bool, batchnorm: str) -> bool:
    return {"auto": is_trained, "frozen": False, "train": True}[batchnorm]


def _is_trained(part: nn.Module, is_trainable: bool, batchnorm: str) -> bool:
    if isinstance(part, _NormBase):
        return _follows_batches(is_trainable, batchnorm)
    return is_trainable


def _tracks(part: nn.Module) -> bool:
    return isinstance(part, _NormBase) and bool(part.track_running_stats)


def _check_batchnorm(batchnorm: str) -> None:
    if batchnorm not in get_args(BatchNorm):
        raise ModelError(
            f"model.batchnorm must be one of {', '.join(get_args(BatchNorm))}, got {batchnorm!r}."
        )
