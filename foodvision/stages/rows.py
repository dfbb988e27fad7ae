"""Rows: pixels and features, one per image and recipe, kept in banks or computed when read."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from foodvision.data.bank import Bank
from foodvision.data.loaders import FeatureInputs, HeldRows, Inputs, PixelInputs, compute_pixels
from foodvision.data.transforms import Transform, normalize
from foodvision.data.views import look
from foodvision.models.folding import frozen_prefix
from foodvision.plan.composite_stages import view_recipe
from foodvision.plan.graph import FEATURES_VERSION, PIXELS_VERSION, Recipe
from foodvision.plan.labels import rows_label
from foodvision.plan.views import IDENTITY, View
from foodvision.plan.work import Tally
from foodvision.train.precision import Precision, forward_precision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from foodvision.plan.facts import ImageSet
    from foodvision.plan.graph import Phase
    from foodvision.plan.work import RowsJob
    from foodvision.progress import Bar
    from foodvision.stages.site import Site

_READ_ROWS = 128
_VERSIONS = {"pixels": PIXELS_VERSION, "features": FEATURES_VERSION}


def compute_rows(job: RowsJob, site: Site, *, transform: Mapping[str, Any], classes: int) -> Tally:
    """Put every missing image of a job through its recipe and keep the rows.

    Args:
        job: the recipe and its missing images.
        site: where to compute.
        transform: the resolved transform of a cell that asks for the recipe.
        classes: of a cell that asks for it (a model is built whole, then its prefix is used).

    Returns:
        The counted work. Images that another run computed in the meantime do not count.
    """
    if job.live:
        return Tally()
    bank = open_bank(site, job.recipe)
    reader = _PixelReader(job, site, Transform.from_json(dict(transform)))
    bar = site.progress.begin(rows_label(job), total=len(job.missing), unit="images")

    def compute(images: Sequence[str]) -> Iterator[np.ndarray]:
        if job.recipe.kind == "pixels":
            return _watched(reader.blocks(images), bar)
        return _watched(_features(reader, images, job, site, classes=classes), bar)

    try:
        computed = bank.add(
            job.missing,
            compute,
            inputs=dict(job.recipe.settings),
            code_version=_VERSIONS[job.recipe.kind],
        )
    finally:
        bar.close()
    if job.missing and not computed:
        return site.found()
    return Tally(
        prefix_images=computed if job.recipe.kind == "features" else 0,
        decoded_images=reader.decoded,
        bytes_written=computed * job.recipe.row_bytes,
    )


def _view(recipe: Recipe) -> View:
    """Return the view in which a recipe of features sees its images."""
    found = recipe.settings.get("view")
    return View.from_json(found) if found else IDENTITY


def open_bank(site: Site, recipe: Recipe) -> Bank:
    """Return the bank of a recipe's rows."""
    return Bank(site.store, recipe.kind, recipe.key, recipe.row_shape, recipe.dtype)


def open_inputs(
    phase: Phase,
    images: ImageSet,
    site: Site,
    *,
    live: nn.Module | None,
    view: View = IDENTITY,
) -> Inputs:
    """Return what the trainable part of a model reads, image by image.

    Args:
        phase: of the chain.
        images: the list to read.
        site: where to read.
        live: the frozen prefix, where its rows are not kept.
        view: in which every image is seen.
    """
    recipe = view_recipe(phase.recipe, view)
    if recipe.kind == "features" and live is None:
        return FeatureInputs(_held_rows(site, recipe, images))
    pixels = recipe.pixels or recipe
    transform = Transform.from_json(dict(phase.transform))
    inputs = PixelInputs(_held_rows(site, pixels, images), transform)
    if view != IDENTITY:
        inputs = inputs.changed_by(partial(look, view=view))
    if live is None:
        return inputs
    size = phase.recipe.settings["batch"]
    return LiveInputs(inputs, live, size, precision=phase.settings.precision)


def _held_rows(site: Site, recipe: Recipe, images: ImageSet) -> HeldRows:
    """Return the rows of a list of images; siblings that train on the same ones share them."""

    def read() -> HeldRows:
        return HeldRows(open_bank(site, recipe).open(list(images.images)), site.device)

    return site.held_rows((recipe.key, images.digest), read)


def augmented_inputs(phase: Phase, inputs: Inputs) -> Callable[[int], Inputs] | None:
    """Return what gives an epoch its own random changes of the training images, if any.

    Raises:
        ValueError: the inputs are no pixels; the compiler gives an augmented chain nothing else.
    """
    settings = phase.settings
    if settings.augment == "none":
        return None
    if not isinstance(inputs, PixelInputs):
        raise ValueError("only pixels can be augmented, not what a frozen prefix made of them")
    from foodvision.train.augmentation import Augmentation  # torchvision.transforms: slow to import

    augmentation = Augmentation(settings.augment, Transform.from_json(dict(phase.transform)))
    return lambda epoch: inputs.changed_by(augmentation.at_epoch(settings.seed, epoch))


class LiveInputs:
    """Runs the frozen prefix whenever rows are read, in the batches that the recipe fixes.

    The rows equal the kept ones to the bit, so the key of what is trained on them is the same.
    """

    def __init__(
        self, pixels: Inputs, prefix: nn.Module, batch: int, *, precision: Precision
    ) -> None:
        self._pixels = pixels
        self._prefix = prefix.eval()
        self._batch = batch
        self._precision = precision

    def __len__(self) -> int:
        return len(self._pixels)

    def batch(self, indices: np.ndarray) -> Tensor:
        """Return the prefix's output for the images at `indices`."""
        parts = [
            run_prefix(
                self._prefix,
                self._pixels.batch(indices[start : start + self._batch]),
                size=self._batch,
                precision=self._precision,
            )
            for start in range(0, len(indices), self._batch)
        ]
        return torch.cat(parts)


def run_prefix(
    prefix: nn.Module, images: Tensor, *, size: int, precision: Precision = "float32"
) -> Tensor:
    """Run a frozen prefix on up to `size` images, padded to exactly that many.

    A row of a fixed batch does not depend on its neighbours; with a smaller last batch it does.

    Args:
        prefix: in eval mode.
        images: float32 [B, C, H, W], B at most `size`.
        size: of the batch that the recipe fixes.
        precision: of the forward pass.

    Returns:
        float32 rows of the B images, without gradient.
    """
    count = len(images)
    if count < size:
        padding = images.new_zeros((size - count, *images.shape[1:]))
        images = torch.cat([images, padding])
    with torch.inference_mode(), forward_precision(precision, images.device):
        rows: Tensor = prefix(images)
    return rows[:count].float().clone()


class _PixelReader:
    """Pixels of images: from the bank where they lie there, else from the files."""

    def __init__(self, job: RowsJob, site: Site, transform: Transform) -> None:
        self.decoded = 0
        self.transform = transform
        self._places = site.locate(job.needed)
        pixels = job.recipe.pixels
        self._bank = open_bank(site, pixels) if pixels is not None else None

    def blocks(self, images: Sequence[str]) -> Iterator[np.ndarray]:
        """Yield uint8 [n, C, S, S] in order."""
        if self._bank is not None and not self._bank.missing(images):
            rows = self._bank.open(images)
            for start in range(0, len(images), _READ_ROWS):
                yield rows.gather(np.arange(start, min(start + _READ_ROWS, len(images))))
            return
        self.decoded += len(images)
        places = [self._places[image] for image in images]
        yield from compute_pixels(places, self.transform, workers=os.cpu_count() or 1)


def _features(
    reader: _PixelReader, images: Sequence[str], job: RowsJob, site: Site, *, classes: int
) -> Iterator[np.ndarray]:
    settings = job.recipe.asked_by
    if settings is None:
        raise ValueError("a compiled recipe knows the settings that asked for it")
    model = site.models.prefix(job.recipe, classes=classes, transform=reader.transform.to_json())
    prefix = frozen_prefix(model, len(job.recipe.settings["blocks"]))
    view = _view(job.recipe)
    with site.exact(settings.threads):
        size = job.recipe.settings["batch"]
        for pixels in _rebatched(reader.blocks(images), size):
            seen = look(torch.from_numpy(pixels).to(site.device), view=view)
            batch = normalize(seen, reader.transform)
            rows = run_prefix(prefix, batch, size=size, precision=settings.precision)
            yield rows.cpu().numpy()


def _rebatched(blocks: Iterator[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Cut blocks of any length into blocks of exactly `size`, the last one perhaps shorter."""
    held: list[np.ndarray] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += len(block)
        if count >= size:
            joined = np.concatenate(held)
            whole = count - count % size
            for start in range(0, whole, size):
                yield joined[start : start + size]
            held, count = [joined[whole:]], count - whole
    if count:
        yield np.concatenate(held)


def _watched(blocks: Iterator[np.ndarray], bar: Bar) -> Iterator[np.ndarray]:
    for block in blocks:
        yield block
        bar.advance(len(block))
