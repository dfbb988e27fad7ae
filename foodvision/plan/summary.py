"""What the models of a plan are made of, and how large; without torch, which counts for us."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

ANY_BATCH = -1  # as in TensorFlow's graphs


@dataclass(frozen=True)
class BlockSize:
    """One block of a model.

    Attributes:
        name: of the block.
        output_shape: of its output for one image, without the batch dimension.
        params: number of its parameters.
        multiply_adds: of its convolutions and matrix products, for one image.
    """

    name: str
    output_shape: tuple[int, ...]
    params: int
    multiply_adds: int


@dataclass(frozen=True)
class ModelSize:
    """A model, whatever is frozen of it.

    Attributes:
        input_shape: channels, height and width of one image.
        blocks: in order, the head last.
        model_bytes: of all parameters and buffers.
    """

    input_shape: tuple[int, int, int]
    blocks: tuple[BlockSize, ...]
    model_bytes: int


@dataclass(frozen=True)
class Operation:
    """One step of a network's forward.

    Attributes:
        name: unique; the modules that it lies in, from outside in, joined by `/`, each as
            `name [Class]` (`layer1 [Sequential]/0 [BasicBlock]/conv1 [Conv2d]`).
        kind: class of the module, or name of the function: `Conv2d`, `add`; `input`, `output`.
        inputs: names of the operations whose results it takes, in order.
        output_shape: of its result, `ANY_BATCH` for the length of the batch; `None`: the result is
            no single tensor.
        detail: its settings (`3, 64, kernel_size=(7, 7), stride=(2, 2)`).
        params: number of its parameters.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    output_shape: tuple[int, ...] | None
    detail: str
    params: int


@dataclass(frozen=True)
class ModelSummary:
    """One of the different models of a plan.

    Attributes:
        arch: the architecture.
        hidden: its width as the plan sets it, `None` where it does not.
        freeze: what the plan freezes.
        frozen_count: leading blocks that are frozen.
        size: of the model.
        cells: labels of the plan's cells that train it.
    """

    arch: str
    hidden: int | None
    freeze: str | int
    frozen_count: int
    size: ModelSize
    cells: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return what tells it from the plan's other models, as far as settings do."""
        parts = [self.arch]
        if self.hidden is not None:
            parts.append(f"hidden {self.hidden}")
        if self.frozen_count:
            parts.append(f"freeze {self.freeze}")
        return " · ".join(parts)

    @property
    def params_frozen(self) -> int:
        """Return the number of parameters of frozen blocks."""
        return sum(block.params for block in self.size.blocks[: self.frozen_count])

    @property
    def params_trainable(self) -> int:
        """Return the number of parameters that training may change."""
        return sum(block.params for block in self.size.blocks[self.frozen_count :])

    @property
    def multiply_adds(self) -> int:
        """Return the multiply-adds of one image's forward pass."""
        return sum(block.multiply_adds for block in self.size.blocks)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        blocks = [
            asdict(block) | {"is_frozen": position < self.frozen_count}
            for position, block in enumerate(self.size.blocks)
        ]
        return {
            "arch": self.arch,
            "hidden": self.hidden,
            "freeze": self.freeze,
            "input_shape": self.size.input_shape,
            "output_shape": self.size.blocks[-1].output_shape,
            "params_total": self.params_frozen + self.params_trainable,
            "params_trainable": self.params_trainable,
            "params_frozen": self.params_frozen,
            "multiply_adds": self.multiply_adds,
            "model_bytes": self.size.model_bytes,
            "cells": self.cells,
            "blocks": blocks,
        }
