"""In which numbers a forward pass computes; everything that is kept stays float32."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

Precision = Literal["float32", "bfloat16"]


def forward_precision(
    precision: Precision, device: torch.device
) -> AbstractContextManager[object | None]:
    """Return the context in which a forward pass of this precision runs.

    With `bfloat16`, torch picks per operator: convolutions and matrix products take bfloat16, what
    needs the range or the digits (normalisation, losses) stays float32. Weights, gradients and
    optimizer states are float32 in both cases, and no loss needs scaling: bfloat16 has float32's
    exponents (Kalamkar et al., 2019, "A Study of BFLOAT16 for Deep Learning Training").

    Args:
        precision: of the arithmetic.
        device: where the module lies.
    """
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
