"""Where stages are computed: the store, the device, and what a process has opened already."""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from filelock import Timeout

from foodvision.data.datasets import Dataset, open_dataset
from foodvision.data.selection import Selection, select
from foodvision.data.transforms import Transform
from foodvision.errors import DataError
from foodvision.memory import keep_freed_memory
from foodvision.models.build import apply_freeze, build_model, reset_head
from foodvision.models.weights import find_weights
from foodvision.plan.work import Tally
from foodvision.progress import SILENT, Progress
from foodvision.train.determinism import deterministic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from filelock import BaseFileLock
    from torch import Tensor

    from foodvision.data.loaders import HeldRows
    from foodvision.home import Home
    from foodvision.models.blocks import BlockModel
    from foodvision.plan.cell_schema import CellSettings
    from foodvision.plan.facts import ImageSet
    from foodvision.plan.graph import Phase, Recipe
    from foodvision.store import Store

# Lists of rows that a process keeps at hand, each at most 256 MiB: those of a cell, and of another.
_HELD_LISTS = 6


@dataclass
class Site:
    """One process's workplace.

    Attributes:
        store: finished stages.
        home: everything else that is kept.
        base: the folder that relative paths of the plan start from.
        device: where modules run.
        progress: whoever watches.
        inexact: names of operators that ran without a deterministic version.
        is_found: the stage at hand was made by another run when its turn came.
        waited_seconds: for other processes, since whoever counts them took them.
    """

    store: Store
    home: Home
    base: Path
    device: torch.device
    progress: Progress = SILENT
    inexact: dict[str, None] = field(default_factory=dict)
    is_found: bool = False
    waited_seconds: float = 0.0
    _datasets: dict[str, Dataset] = field(default_factory=dict, repr=False)
    _selections: dict[ImageSet, Selection] = field(default_factory=dict, repr=False)
    _held: dict[tuple[str, str], HeldRows] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        keep_freed_memory()
        self.store = replace(self.store, wait=self._wait)

    def found(self) -> Tally:
        """Note that another run has made the stage at hand; return the work that it leaves."""
        self.is_found = True
        return Tally()

    def _wait(self, lock: BaseFileLock) -> None:
        """Wait for another process that is at what is wanted here; tell whoever watches."""
        bar = self.progress.begin("waiting for another run", total=None, unit="seconds")
        began = time.monotonic()
        try:
            while not _taken(lock, seconds=1):
                bar.advance(1)
        finally:
            bar.close()
            self.waited_seconds += time.monotonic() - began

    @contextmanager
    def exact(self, threads: int) -> Iterator[None]:
        """Work so that equal inputs give equal bits; see `deterministic`.

        Operators without a deterministic version on this device are noted in `inexact`.
        """
        with deterministic(threads, device=self.device) as record:
            try:
                yield
            finally:
                self.inexact.update(dict.fromkeys(record.operators))

    @cached_property
    def models(self) -> ModelBench:
        """Models that this process has built."""
        return ModelBench(self)

    def release_memory(self) -> None:
        """Let go of what the device holds: models and rows are made and read again when asked."""
        self._held.clear()
        self.__dict__.pop("models", None)
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def dataset(self, key: str) -> Dataset:
        """Return an opened data set."""
        if key not in self._datasets:
            self._datasets[key] = open_dataset(self.store, key)
        return self._datasets[key]

    def selection(self, images: ImageSet) -> Selection:
        """Return the rows and labels behind a list of images.

        Raises:
            DataError: the data set no longer gives the list that was compiled.
        """
        if images not in self._selections:
            share: dict[str, Any] = dict(images.share)
            found = select(self.dataset(images.dataset), images.part, **share)
            if found.digest != images.digest:
                raise DataError(
                    f"data set {images.dataset[:12]}: its {images.part} images must be those that "
                    f"were compiled ({images.digest[:12]}), found {found.digest[:12]}. "
                    "Run the plan again."
                )
            self._selections[images] = found
        return self._selections[images]

    def labels(self, images: ImageSet) -> Tensor:
        """Return class indices, int64 [N], on the CPU."""
        return torch.from_numpy(self.selection(images).labels)

    def held_rows(self, name: tuple[str, str], read: Callable[[], HeldRows]) -> HeldRows:
        """Return rows that were read lately, else read them.

        Args:
            name: of the recipe and the list of images.
            read: reads them.
        """
        if name not in self._held:
            while len(self._held) >= _HELD_LISTS:
                del self._held[next(iter(self._held))]
            self._held[name] = read()
        return self._held[name]

    def locate(self, sets: Iterable[ImageSet]) -> dict[str, tuple[Dataset, int]]:
        """Return for each image's sha256 one place where its file lies."""
        places: dict[str, tuple[Dataset, int]] = {}
        for images in sets:
            selection = self.selection(images)
            dataset = self.dataset(images.dataset)
            for sha256, row in zip(selection.sha256, selection.rows, strict=True):
                places.setdefault(sha256, (dataset, int(row)))
        return places


def _taken(lock: BaseFileLock, *, seconds: float) -> bool:
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        return False
    return True


class ModelBench:
    """Builds a model once and hands it out with its initial weights again.

    The backbone of a thousand cells is one and the same; only what cells train is put back.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._built: _Built | None = None

    def initial(self, phase: Phase) -> BlockModel:
        """Return the model of a phase as it is before a chain's first epoch, on the device.

        The same object is handed out again: use one at a time.
        """
        settings = phase.settings
        identity = self._identity(phase)
        if self._built is None or self._built.identity != identity:
            model = self._build(settings, phase.transform, classes=phase.classes)
            self._built = _Built(identity, model)  # one at a time: memory
        self._built.restore(phase.prefix_count)
        reset_head(self._built.model, settings.seed)
        return self._built.model

    def trainable(self, phase: Phase) -> BlockModel:
        """Return what `initial` returns, with the blocks frozen that the phase freezes."""
        model = self.initial(phase)
        if self._built is not None:
            self._built.freeze(phase.architecture.frozen_count, phase.settings.model.batchnorm)
        return model

    @staticmethod
    def _identity(phase: Phase) -> str:
        drawn_from = None if phase.inputs["weights"] else phase.settings.seed
        return repr((phase.inputs["model"], phase.inputs["weights"], drawn_from))

    def prefix(self, recipe: Recipe, *, classes: int, transform: Mapping[str, Any]) -> BlockModel:
        """Return a model whose leading blocks are the recipe's, on the device."""
        if recipe.asked_by is None:
            raise ValueError("a compiled recipe knows the settings that asked for it")
        return self._build(recipe.asked_by, transform, classes=classes)

    def _build(
        self, settings: CellSettings, transform: Mapping[str, Any], *, classes: int
    ) -> BlockModel:
        wanted = settings.model
        resolved = Transform.from_json(dict(transform))
        weights = find_weights(
            wanted.arch, wanted.weights, base=self._site.base, sha256=wanted.weights_sha256
        )
        model = build_model(
            wanted.arch,
            num_classes=classes,
            weights=weights,
            seed=settings.seed,
            channels=resolved.channels,
            size=resolved.size,
            dropout=wanted.dropout,
            hidden=wanted.hidden,
        )
        # Convolutions on the CPU are about twice as fast with the channels last.
        model.module.to(memory_format=torch.channels_last).to(self._site.device)
        return model


class _Built:
    """A model and its initial weights."""

    def __init__(self, identity: str, model: BlockModel) -> None:
        self.identity = identity
        self.model = model
        self._initial = {
            value.data_ptr(): value.clone() for value in model.module.state_dict().values()
        }
        self._touched_from = len(model.blocks)  # leading blocks that still are as built
        self._frozen: tuple[int, str] | None = None

    def freeze(self, count: int, batchnorm: str) -> None:
        """Freeze leading blocks, unless that is how they are."""
        if self._frozen != (count, batchnorm):
            apply_freeze(self.model, count, batchnorm)
            self._frozen = count, batchnorm

    def restore(self, prefix_count: int) -> None:
        """Put initial weights back into all that was trained, or will be."""
        touched = self.model.suffix(min(self._touched_from, prefix_count))
        with torch.no_grad():
            for value in touched.state_dict().values():
                value.copy_(self._initial[value.data_ptr()])
        self._touched_from = prefix_count
