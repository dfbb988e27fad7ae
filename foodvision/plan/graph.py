"""Compile cells into a graph of stages, each named by the hash of all that determines its result.

Pure: no clock, no disk, no randomness. What only the disk or torch can tell comes in as `Facts`.
The vocabulary:

* a *recipe* says how an image becomes a row: pixels, or a frozen prefix's output (features);
* a *state* is what training has reached after an epoch; the states of a cell form a chain;
* a *span* is a stretch of epochs of a chain, cut only where cells end or branch;
* a *score* is a state's outputs on a list of images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from foodvision.errors import PlanError
from foodvision.hashing import digest
from foodvision.plan.schedules import learning_rates, steps_per_epoch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from foodvision.plan.expand import Cell
    from foodvision.plan.facts import Architecture, Facts, ImageSet, Part
    from foodvision.plan.schema import CellSettings

# Raised by hand when the mathematics of a stage changes.
PIXELS_VERSION = 1
FEATURES_VERSION = 1
TRAIN_VERSION = 1
SCORE_VERSION = 1

# Images per batch of a frozen prefix: what fits a CPU's caches, what fills a GPU. It acts on the
# last bits, so it is part of the recipe.
_PREFIX_BATCH = {"cpu": 16}
_PREFIX_BATCH_ELSEWHERE = 128

_BYTES = {"uint8": 1, "float32": 4}


@dataclass(frozen=True)
class Recipe:
    """All that determines one image's row.

    Attributes:
        kind: `pixels` or `features`.
        key: digest of `settings`.
        settings: what the key is made of.
        row_shape: shape of one row.
        dtype: numpy name of a row's type.
        pixels: for features, the recipe of the pixels that they are computed from.
        asked_by: settings of a cell that asks for it: how to build it, and where things lie.
    """

    kind: Literal["pixels", "features"]
    key: str
    settings: Mapping[str, Any] = field(hash=False)
    row_shape: tuple[int, ...]
    dtype: str
    pixels: Recipe | None = None
    asked_by: CellSettings | None = field(default=None, hash=False, compare=False)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return math.prod(self.row_shape) * _BYTES[self.dtype]


@dataclass(frozen=True)
class Root:
    """Where a chain begins: all that acts on every epoch.

    Attributes:
        key: digest of `inputs`; the name of the state before the first epoch.
        inputs: what the key is made of.
        recipe: how images reach the trainable part.
        transform: resolved transform (its normalisation acts behind the pixels).
        train: the images to train on.
        settings: of a cell that asks for it: how to build it, and where things lie.
        frozen_count: leading blocks that are frozen.
        prefix_count: leading blocks that run before `recipe`'s rows; 0 where rows are pixels.
    """

    key: str
    inputs: Mapping[str, Any] = field(hash=False)
    recipe: Recipe = field(hash=False)
    transform: Mapping[str, Any] = field(hash=False)
    train: ImageSet = field(hash=False)
    settings: CellSettings = field(hash=False)
    architecture: Architecture = field(hash=False)
    prefix_count: int

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.train.classes)


@dataclass(frozen=True)
class Chain:
    """The states of one cell, epoch by epoch.

    Attributes:
        root: where it begins.
        states: keys of the states after epoch 1, 2, …
        learning_rates: per epoch, the learning rate of every step.
    """

    root: Root
    states: tuple[str, ...]
    learning_rates: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Span:
    """Epochs `first_epoch` to `last_epoch` of a chain.

    Attributes:
        key: of the state after the last epoch.
        parent: key of the state before the first epoch, `None` for the initial weights.
        chain: the chain that it is cut from.
        first_epoch: from 1.
        last_epoch: included.
    """

    key: str
    parent: str | None
    chain: Chain = field(hash=False)
    first_epoch: int
    last_epoch: int

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return self.last_epoch - self.first_epoch + 1

    def starting_after(self, epoch: int) -> Span:
        """Return the rest of the span that follows the state after `epoch`."""
        parent = self.chain.states[epoch - 1] if epoch else None
        return Span(self.key, parent, self.chain, epoch + 1, self.last_epoch)


@dataclass(frozen=True)
class CompiledCell:
    """A cell and the stages that it asks for.

    Attributes:
        cell: the cell.
        chain: its states.
        spans: keys of the spans that lead to its final state, in order.
        image_sets: what it is scored on: `test`, and `valid` where the plan sets a share aside.
        score_keys: per scored part, the key of the final state's score.
    """

    cell: Cell
    chain: Chain
    spans: tuple[str, ...]
    image_sets: Mapping[Part, ImageSet]
    score_keys: Mapping[Part, str]

    @property
    def final(self) -> str:
        """Key of the final state."""
        return self.chain.states[-1]

    @property
    def result_key(self) -> str:
        """Key of the cell's result: its last stage, and the names that its outputs stand for.

        Renamed classes change no bit of the training, but they are another result to tell of.
        """
        return digest({"score": self.score_keys["test"], "classes": self.chain.root.train.classes})


@dataclass(frozen=True)
class Graph:
    """A compiled plan: equal keys are one node.

    Attributes:
        cells: in the plan's order.
        spans: by key, parents before children.
    """

    cells: tuple[CompiledCell, ...]
    spans: Mapping[str, Span]


def compile_cells(cells: Sequence[Cell], facts: Facts) -> Graph:
    """Compile cells into stages.

    Raises:
        PlanError: a cell cannot be compiled: it tests on other classes than it trains on.
    """
    chains = [_chain(cell.settings, facts) for cell in cells]
    spans, paths = _cut(chains)
    compiled = []
    for cell, chain, path in zip(cells, chains, paths, strict=True):
        image_sets = _scored_sets(cell, chain.root, facts)
        compiled.append(
            CompiledCell(
                cell=cell,
                chain=chain,
                spans=path,
                image_sets=image_sets,
                score_keys={
                    part: score_key(chain.states[-1], images.digest)
                    for part, images in image_sets.items()
                },
            )
        )
    return Graph(cells=tuple(compiled), spans=spans)


def score_key(state: str, images_digest: str) -> str:
    """Return the key of a state's score on the list of images with that digest."""
    return digest({"stage": "score", "code": SCORE_VERSION, "state": state, "on": images_digest})


def _chain(settings: CellSettings, facts: Facts) -> Chain:
    root = _root(settings, facts)
    steps = steps_per_epoch(len(root.train.images), settings.batch_size)
    _check_batch(settings, len(root.train.images))
    rates = learning_rates(
        settings.schedule, settings.optimizer.lr, steps_per_epoch=steps, epochs=settings.epochs
    )
    states: list[str] = []
    for epoch, epoch_rates in enumerate(rates, start=1):
        states.append(_epoch_key(states[-1] if states else root.key, epoch, epoch_rates))
    return Chain(root=root, states=tuple(states), learning_rates=rates)


def _check_batch(settings: CellSettings, images: int) -> None:
    if settings.batch_size > images:
        raise PlanError(
            f"batch_size must be at most the number of training images, got {settings.batch_size} "
            f"for the {images} of {settings.data.name}. Make the batch smaller, or take more "
            "images."
        )


@lru_cache(maxsize=200_000)
def _epoch_key(previous: str, epoch: int, rates: tuple[float, ...]) -> str:
    return digest({"previous": previous, "epoch": epoch, "learning_rates": _rates_digest(rates)})


@lru_cache(maxsize=10_000)
def _rates_digest(rates: tuple[float, ...]) -> str:
    return digest(rates)


def _root(settings: CellSettings, facts: Facts) -> Root:
    train = facts.image_set(settings, "train")
    transform = facts.transform(settings)
    architecture = facts.architecture(settings, classes=len(train.classes))
    weights = facts.weights_digest(settings)
    environment = facts.environment(settings)
    pixels = _pixels_recipe(settings, transform, facts)
    is_random = settings.augment != "none"  # then a frozen block sees new images in every epoch
    prefix_count = 0 if is_random else architecture.prefix_count
    recipe = pixels
    if prefix_count:
        recipe = _features_recipe(
            settings, pixels, transform, architecture, weights=weights, environment=environment
        )
    inputs = {
        "stage": "train",
        "code": TRAIN_VERSION,
        "environment": dict(environment),
        "recipe": recipe.key,
        "normalize": _normalisation(transform),
        "augment": settings.model_dump(mode="json", include={"augment"})["augment"],
        "model": _model_inputs(settings, transform)
        | {"classes": len(train.classes), "dropout": settings.model.dropout},
        "weights": weights,
        "frozen_blocks": architecture.blocks[: architecture.frozen_count],
        "batchnorm": settings.model.batchnorm,
        "images": train.digest,
        "batch_size": settings.batch_size,
        "micro_batch": settings.micro_batch,
        "seed": settings.seed,
        "optimizer": settings.optimizer.model_dump(mode="json", exclude={"lr"}),
        "loss": settings.loss.model_dump(mode="json"),
    }
    return Root(
        key=digest(inputs),
        inputs=inputs,
        recipe=recipe,
        transform=transform,
        train=train,
        settings=settings,
        architecture=architecture,
        prefix_count=prefix_count,
    )


def _model_inputs(settings: CellSettings, transform: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "arch": settings.model.arch,
        "hidden": settings.model.hidden,
        "channels": transform["channels"],
        "size": transform["size"],
    }


def _normalisation(transform: Mapping[str, Any]) -> dict[str, Any]:
    return {"mean": list(transform["mean"]), "std": list(transform["std"])}


def _pixels_recipe(settings: CellSettings, transform: Mapping[str, Any], facts: Facts) -> Recipe:
    inputs = {
        "stage": "pixels",
        "code": PIXELS_VERSION,
        "decoder": dict(facts.decoder()),
        "size": transform["size"],
        "resize_to": transform["resize_to"],
        "interpolation": transform["interpolation"],
        "channels": transform["channels"],
    }
    size = int(transform["size"])
    return Recipe(
        kind="pixels",
        key=digest(inputs),
        settings=inputs,
        row_shape=(int(transform["channels"]), size, size),
        dtype="uint8",
        asked_by=settings,
    )


def _features_recipe(
    settings: CellSettings,
    pixels: Recipe,
    transform: Mapping[str, Any],
    architecture: Architecture,
    *,
    weights: str | None,
    environment: Mapping[str, Any],
) -> Recipe:
    inputs = {
        "stage": "features",
        "code": FEATURES_VERSION,
        "environment": dict(environment),
        "pixels": pixels.key,
        "normalize": _normalisation(transform),
        "model": _model_inputs(settings, transform),
        "weights": weights,
        "seed": None if weights else settings.seed,  # random weights are drawn from the seed
        "blocks": architecture.blocks[: architecture.prefix_count],
        "batch": _PREFIX_BATCH.get(environment.get("device", ""), _PREFIX_BATCH_ELSEWHERE),
    }
    return Recipe(
        kind="features",
        key=digest(inputs),
        settings=inputs,
        row_shape=architecture.feature_shape,
        dtype="float32",
        pixels=pixels,
        asked_by=settings,
    )


def _scored_sets(cell: Cell, root: Root, facts: Facts) -> dict[Part, ImageSet]:
    parts: tuple[Part, ...] = ("valid", "test") if cell.settings.valid else ("test",)
    sets = {part: facts.image_set(cell.settings, part) for part in parts}
    for part, images in sets.items():
        if images.classes != root.train.classes:
            raise PlanError(
                f"cell {cell.label}: a model is scored on the classes that it learned, found "
                f"{_names(root.train.classes)} in training and {_names(images.classes)} in {part}. "
                "Choose data sets with the same classes for `data` and `test`."
            )
    return sets


def _names(classes: Iterable[str], most: int = 8) -> str:
    names = list(classes)
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _cut(chains: Sequence[Chain]) -> tuple[dict[str, Span], list[tuple[str, ...]]]:
    """Cut chains where cells end or branch; return the spans and each chain's path through them."""
    children: dict[str, set[str]] = {}
    for chain in chains:
        for state, following in zip(chain.states, chain.states[1:], strict=False):
            children.setdefault(state, set()).add(following)
    ends = {chain.states[-1] for chain in chains}
    cuts = ends | {state for state, following in children.items() if len(following) > 1}
    spans: dict[str, Span] = {}
    paths = []
    for chain in chains:
        path = []
        first, parent = 1, None
        for epoch, state in enumerate(chain.states, start=1):
            if state in cuts:
                spans.setdefault(state, Span(state, parent, chain, first, epoch))
                path.append(state)
                first, parent = epoch + 1, state
        paths.append(tuple(path))
    return spans, paths
