"""Logits of a module, one row per image, each independent of how many others there are."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from foodvision.errors import DataError, ModelError
from foodvision.train.determinism import aligned
from foodvision.train.precision import Precision, forward_precision

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from foodvision.data.loaders import Inputs

_EVEN_FLOATS = 16  # 64 bytes


def predict_logits(
    module: nn.Module,
    inputs: Inputs,
    *,
    batch_size: int = 64,
    precision: Precision = "float32",
) -> Tensor:
    """Run a module over images in evaluation mode.

    Every batch has exactly `batch_size` rows; the last one is filled up with its last image, and
    what comes out for the filling is dropped. Rows that enter a matrix product begin at even
    places in memory. So the bits of a row depend on its image alone: not on how many images there
    are, which ones stand beside it, or where in a batch it stands.

    Args:
        module: on its device; gives float logits [B, C]. Its training modes are as before
            afterwards, submodule by submodule.
        inputs: the images, ready for the module; at least one.
        batch_size: rows of every batch; acts on the last bits.
        precision: of the forward pass.

    Returns:
        float32 [N, C] on the CPU, in the order of `inputs`.

    Raises:
        DataError: there are no images.
        ModelError: the module does not give one row of logits per image.
    """
    if len(inputs) == 0:
        raise DataError("Predictions need at least one image, found none. Choose a larger split.")
    with evaluating(module), _even_rows(module), torch.inference_mode():
        parts = [
            _predict_batch(module, inputs, rows, precision)
            for rows in _batches(len(inputs), batch_size)
        ]
    return torch.cat(parts)[: len(inputs)].float().cpu()


def _batches(images: int, batch_size: int) -> Iterator[np.ndarray]:
    for begin in range(0, images, batch_size):
        yield np.minimum(np.arange(begin, begin + batch_size, dtype=np.int64), images - 1)


def _predict_batch(
    module: nn.Module, inputs: Inputs, rows: np.ndarray, precision: Precision
) -> Tensor:
    images = aligned(inputs.batch(rows))
    with forward_precision(precision, images.device):
        logits = module(images)
    if not isinstance(logits, torch.Tensor) or logits.dim() != 2 or len(logits) != len(rows):
        found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits)
        raise ModelError(
            f"A module must give logits [{len(rows)}, classes], found {found}. "
            "Predict with a classifier."
        )
    return logits


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode; its modes are as before afterwards, one by one."""
    modes = {submodule: submodule.training for submodule in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for submodule, mode in modes.items():
            submodule.training = mode


@contextmanager
def _even_rows(module: nn.Module) -> Iterator[None]:
    """Let every row that enters a linear layer begin at an even place in memory.

    MKL rounds a row by where it begins. Where the layer's width is no multiple of 16 bytes, rows
    begin at differently odd places, and a row's last bits would depend on its position.
    """
    uneven = [
        layer
        for layer in module.modules()
        if isinstance(layer, torch.nn.Linear) and layer.in_features % _EVEN_FLOATS
    ]
    hooks = [layer.register_forward_pre_hook(_spread_rows) for layer in uneven]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _spread_rows(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """Copy the rows [..., K] to memory in which each begins at a multiple of 64 bytes."""
    (rows,) = inputs
    *outer, width = rows.shape
    spread = rows.new_empty(*outer, -(-width // _EVEN_FLOATS) * _EVEN_FLOATS)[..., :width]
    return spread.copy_(rows)
