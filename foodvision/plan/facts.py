"""What the compiler must know and only the disk or torch can tell.

The plan room imports neither torch nor numpy: whoever compiles gives these facts in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from foodvision.errors import DataError, ModelError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foodvision.plan.cell_schema import CellSettings

Part = Literal["train", "valid", "test"]

# What facts raise where there is no answer: of images, of weights or a model, of a device.
NO_ANSWER = (DataError, ModelError, TrainingError)


@dataclass(frozen=True)
class ImageSet:
    """An ordered list of labelled images.

    Attributes:
        digest: over the (sha256, class) pairs in order: what training and scoring see.
        images: each image's sha256, in order.
        dataset: key of the data set that they lie in.
        part: train, valid or test.
        classes: class names; a label is an index into them.
        share: how the list was chosen from the data set: `valid`, `fraction`, `count`.
    """

    digest: str
    images: tuple[str, ...]
    dataset: str
    part: Part
    classes: tuple[str, ...]
    share: tuple[tuple[str, float | int | None], ...] = ()

    def __hash__(self) -> int:
        return hash((self.digest, self.dataset, self.part, self.share))


@dataclass(frozen=True)
class Architecture:
    """A model's shape.

    Attributes:
        blocks: names of its blocks in order, the head last.
        frozen_count: how many leading blocks the cell freezes.
        prefix_count: how many leading blocks give the same output in every epoch: the frozen ones;
            where running statistics of frozen blocks follow the batches, only those before them.
        feature_shape: the prefix's output for one image, without the batch dimension.
        params_total: number of parameters.
        params_trainable: number of parameters that training may change.
        model_bytes: bytes of all parameters and buffers.
        suffix_buffer_bytes: bytes of the buffers (running statistics) behind the prefix.
    """

    blocks: tuple[str, ...]
    frozen_count: int
    prefix_count: int
    feature_shape: tuple[int, ...]
    params_total: int
    params_trainable: int
    model_bytes: int
    suffix_buffer_bytes: int


class Facts(Protocol):
    """Answers for one cell's settings; each is asked once and remembered by whoever gives it.

    Where there is no answer (the images, the weights, the architecture or the device cannot be
    had), they raise one of `NO_ANSWER`, and the cells that need it are left out of the graph.
    """

    def fitted(self, settings: CellSettings) -> CellSettings:
        """Return the settings with a `micro_batch` for which the device has enough memory.

        They are the same until a step of such a training did not fit.
        """

    def environment(self, settings: CellSettings) -> Mapping[str, Any]:
        """Return what acts on the bits besides the recipe: versions, device kind, capability."""

    def processor(self, settings: CellSettings) -> str:
        """Return what computes the cell, by name: times depend on it, bits do not."""

    def decoder(self) -> Mapping[str, Any]:
        """Return the versions of what turns files into pixels."""

    def image_set(self, settings: CellSettings, part: Part) -> ImageSet:
        """Return the images that the cell trains on, validates on or is tested on."""

    def transform(self, settings: CellSettings) -> Mapping[str, Any]:
        """Return the resolved transform; for `auto`, that of the weights entry."""

    def weights_digest(self, settings: CellSettings) -> str | None:
        """Return the sha256 of a weights file that fits, `None` for random initial weights."""

    def architecture(self, settings: CellSettings, *, classes: int) -> Architecture:
        """Return the model's shape with a head for `classes` classes."""
