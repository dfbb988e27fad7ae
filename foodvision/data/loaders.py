"""What a model reads: rows of images, on the device, ready for the module."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from foodvision.data.transforms import Transform, normalize, to_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from torch import Tensor

    from foodvision.data.bank import Rows
    from foodvision.data.datasets import Dataset

BLOCK_IMAGES = 64


class Inputs(Protocol):
    """Images by position, as a module wants them."""

    def __len__(self) -> int:
        """Return how many images there are."""

    def batch(self, indices: np.ndarray) -> Tensor:
        """Return float32 [n, ...] on the device for int64 positions [n]."""


class HeldRows:
    """Rows as tensors on a device: held there whole while they are few, else read each time."""

    def __init__(self, rows: Rows, device: torch.device) -> None:
        self._rows = rows
        self._device = device
        self._held: Tensor | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def at(self, indices: np.ndarray) -> Tensor:
        """Return a new tensor [n, *row_shape] of the rows' own type."""
        if not self._rows.fits_in_memory:
            return torch.from_numpy(self._rows.gather(indices)).to(self._device)
        if self._held is None:
            self._held = torch.from_numpy(self._rows.all()).to(self._device)
        where = torch.from_numpy(np.asarray(indices, dtype=np.int64)).to(self._device)
        return self._held.index_select(0, where)


class FeatureInputs:
    """Rows of a frozen prefix, as they were kept."""

    def __init__(self, rows: HeldRows) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, indices: np.ndarray) -> Tensor:
        """Return float32 [n, *feature_shape] on the device.

        Args:
            indices: int64 [n], positions in the list.
        """
        return self._rows.at(indices).to(torch.float32)


class PixelInputs:
    """Kept pixels, normalised when they are read."""

    def __init__(self, rows: HeldRows, transform: Transform) -> None:
        self._rows = rows
        self._transform = transform
        self._change: Callable[[Tensor], Tensor] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, indices: np.ndarray) -> Tensor:
        """Return float32 [n, channels, size, size] on the device.

        Args:
            indices: int64 [n], positions in the list.
        """
        pixels = self._rows.at(indices)
        if self._change is not None:
            pixels = self._change(pixels)
        return normalize(pixels, self._transform)

    def changed_by(self, change: Callable[[Tensor], Tensor]) -> PixelInputs:
        """Return the same images whose pixels are changed before they are normalised.

        Args:
            change: from uint8 [n, channels, size, size] on the device to the same shape.
        """
        changed = copy(self)  # the rows are held once
        changed._change = change
        return changed


def compute_pixels(
    dataset_rows: Sequence[tuple[Dataset, int]], transform: Transform, *, workers: int
) -> Iterator[np.ndarray]:
    """Read and resize images in parallel threads, in order, a few blocks in memory at a time.

    Args:
        dataset_rows: data set and row of each image.
        transform: its deterministic part is applied.
        workers: threads, >= 1; the result does not depend on their number.

    Yields:
        uint8 [n, channels, size, size], n at most 64.

    Raises:
        DataError: an image cannot be read.
    """

    def read(place: tuple[Dataset, int]) -> np.ndarray:
        dataset, row = place
        return to_pixels(dataset.read(row), transform)

    waiting = iter(dataset_rows)
    with ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="pixels") as pool:
        pending: deque[Future[np.ndarray]] = deque()
        try:
            pending.extend(pool.submit(read, place) for place in islice(waiting, BLOCK_IMAGES))
            while pending:
                block: list[np.ndarray] = []
                while pending and len(block) < BLOCK_IMAGES:
                    block.append(pending.popleft().result())
                    pending.extend(pool.submit(read, place) for place in islice(waiting, 1))
                yield np.stack(block)
        finally:
            for future in pending:
                future.cancel()
