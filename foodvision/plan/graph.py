"""Compile cells into a graph of stages, each named by the hash of all that determines its result.

Pure: no clock, no disk, no randomness. What only the disk or torch can tell comes in as `Facts`.
The vocabulary:

* a *recipe* says how an image becomes a row: pixels, or a frozen prefix's output (features);
* a *phase* is a stretch of epochs on which the same settings act;
* a *state* is what training has reached after an epoch; the states of a cell form a chain;
* a *span* is a stretch of epochs of a chain, cut only where cells end or branch and where a phase
  ends;
* a *score* is a state's outputs on a list of images.

Where a stop rule chooses, or an alert ends a training, a cell is what the same cell with the chosen
number of epochs would be. Until that is decided, the cell is *open*: compiled as if it trained to
its last epoch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from foodvision.errors import PlanError
from foodvision.hashing import digest
from foodvision.plan.composite_stages import compile_composites
from foodvision.plan.facts import NO_ANSWER
from foodvision.plan.labels import listed
from foodvision.plan.latency import latency_stage
from foodvision.plan.left_out import LeftOut, part_composites
from foodvision.plan.phases import phase_steps
from foodvision.plan.rate_groups import rate_groups
from foodvision.plan.schedules import learning_rates, momenta, steps_per_epoch
from foodvision.plan.stopping import NoCurves, watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foodvision.plan.alerts import Condition
    from foodvision.plan.cell_schema import CellSettings
    from foodvision.plan.composite_stages import CompiledComposite
    from foodvision.plan.composites import Composite
    from foodvision.plan.expand import Cell
    from foodvision.plan.facts import Architecture, Facts, ImageSet, Part
    from foodvision.plan.latency import LatencyStage
    from foodvision.plan.phases import OptimizerState, PhaseStep
    from foodvision.plan.rate_groups import RateGroup
    from foodvision.plan.schedules import StepValues
    from foodvision.plan.stopping import Curves, Decision, Watch

# Raised by hand when the mathematics of a stage changes.
PIXELS_VERSION = 1
FEATURES_VERSION = 1
TRAIN_VERSION = 2
SCORE_VERSION = 1

# Images per batch of a frozen prefix: what fits a CPU's caches, what fills a GPU. It acts on the
# last bits, so it is part of the recipe.
_PREFIX_BATCH = {"cpu": 8}
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
class Phase:
    """A stretch of epochs of a chain, and all that acts on each of them.

    Attributes:
        key: digest of `inputs`; where the chain begins, the name of the state before it.
        inputs: what the key is made of.
        recipe: how images reach the trainable part.
        transform: resolved transform (its normalisation acts behind the pixels).
        train: the images to train on.
        settings: of a cell that asks for it: how to build it, and where things lie.
        architecture: the model's shape, and how much of it is frozen.
        prefix_count: leading blocks that run before `recipe`'s rows; 0 where rows are pixels.
        untouched_count: leading blocks that have their initial weights and statistics, before
            this phase and after it.
        first_epoch: of the chain, from 1.
        last_epoch: of the chain, included.
        steps: optimizer steps of an epoch.
        groups: the trainable blocks by the rate that they learn at.
        start: what the optimizer knows when the phase begins: nothing (`reset`), or what it knew
            of the blocks that the phase before trained too (`keep`).
        watched: where the schedule watches a metric, the images that it is measured on; `None`
            also for a metric of training itself.
    """

    key: str
    inputs: Mapping[str, Any] = field(hash=False)
    recipe: Recipe = field(hash=False)
    transform: Mapping[str, Any] = field(hash=False)
    train: ImageSet = field(hash=False)
    settings: CellSettings = field(hash=False)
    architecture: Architecture = field(hash=False)
    prefix_count: int
    untouched_count: int
    first_epoch: int
    last_epoch: int
    steps: int
    groups: tuple[RateGroup, ...]
    start: OptimizerState
    watched: ImageSet | None = field(default=None, hash=False)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.train.classes)

    @property
    def has_one_rate(self) -> bool:
        """Whether every block learns at the optimizer's rate."""
        return all(group.factor == 1 for group in self.groups)

    @property
    def changed_count(self) -> int:
        """Number of frozen blocks whose output cannot be kept: an earlier phase changed them."""
        return self.architecture.prefix_count - self.untouched_count


@dataclass(frozen=True)
class Chain:
    """The states of one cell, epoch by epoch.

    Attributes:
        phases: one after the other; most cells have one. Each ends with the epoch that its stop
            rule chose, the last one with the last epoch that the plan allows.
        states: keys of the states after epoch 1, 2, …
        learning_rates: per epoch, the optimizer's learning rate of every step; what a block learns
            at is this times the factor of its group.
        momenta: per epoch, the momentum of every step; empty where the optimizer's own counts.
    """

    phases: tuple[Phase, ...]
    states: tuple[str, ...]
    learning_rates: StepValues
    momenta: StepValues

    @property
    def train(self) -> ImageSet:
        """The images to train on, the same in every phase."""
        return self.phases[0].train

    def phase(self, epoch: int) -> Phase:
        """Return the phase that an epoch (from 1) belongs to."""
        return next(phase for phase in self.phases if epoch <= phase.last_epoch)


@dataclass(frozen=True)
class Span:
    """Epochs `first_epoch` to `last_epoch` of a chain, all of one phase.

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

    @property
    def phase(self) -> Phase:
        """All that acts on its epochs."""
        return self.chain.phase(self.first_epoch)

    @property
    def begins_phase(self) -> bool:
        """Whether it starts from a state that another phase has reached."""
        return self.first_epoch > 1 and self.first_epoch == self.phase.first_epoch

    def starting_after(self, epoch: int) -> Span:
        """Return the rest of the span that follows the state after `epoch`."""
        parent = self.chain.states[epoch - 1] if epoch else None
        return Span(self.key, parent, self.chain, epoch + 1, self.last_epoch)


@dataclass(frozen=True)
class CompiledCell:
    """A cell and the stages that it asks for.

    Attributes:
        cell: the cell.
        chain: its states, to the last epoch that the plan allows.
        spans: keys of the spans that lead to its final state, in order.
        image_sets: what it is scored on: `test`, and `valid` where the plan sets a share aside.
        score_keys: per scored part, the key of the final state's score.
        latency: the measurement of its model.
        watches: its stop rules, one per phase that has one; behind one that is open, none.
    """

    cell: Cell
    chain: Chain
    spans: tuple[str, ...]
    image_sets: Mapping[Part, ImageSet]
    score_keys: Mapping[Part, str]
    latency: LatencyStage
    watches: tuple[Watch, ...] = ()

    @property
    def final(self) -> str:
        """Key of the final state."""
        return self.states[-1]

    @property
    def states(self) -> tuple[str, ...]:
        """Keys of the states that lead to the final one, and its own."""
        return self.chain.states[: _end(self.chain, self.watches)]

    @property
    def decision(self) -> Decision | None:
        """What a stop rule has decided in the last phase, if there is one."""
        return _last_decision(self.chain, self.watches)

    @property
    def open_watch(self) -> Watch | None:
        """The stop rule that cannot decide yet, if there is one."""
        return next((each for each in self.watches if each.is_open), None)

    @property
    def curve_end(self) -> int:
        """The last epoch of its curve; behind the final state where a stop rule restored that."""
        return self.decision.last_epoch if self.decision else len(self.chain.states)

    @property
    def curve_key(self) -> str:
        """Key of a state that was trained through the last epoch of the curve."""
        return self.decision.held if self.decision else self.final

    @property
    def phase(self) -> Phase:
        """The phase of the final state: how the cell's model is built and sees images."""
        return self.chain.phases[-1]

    @property
    def result_key(self) -> str:
        """Key of the cell's result: its last stage, and the names that its outputs stand for.

        Renamed classes change no bit of the training, but they are another result to tell of; so
        is a curve that goes on behind the state that was restored.
        """
        told = {"score": self.score_keys["test"], "classes": self.chain.train.classes}
        if self.curve_end > len(self.states):
            told["curve"] = self.chain.states[self.curve_end - 1]
        return digest(told)


@dataclass(frozen=True)
class Graph:
    """A compiled plan: equal keys are one node.

    Attributes:
        cells: in the plan's order.
        spans: by key, parents before children.
        composites: models made of the cells, in the plan's order.
        left_out: what is not among them because something cannot be had, in the plan's order.
    """

    cells: tuple[CompiledCell, ...]
    spans: Mapping[str, Span]
    composites: tuple[CompiledComposite, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether a stop rule has to see more before all is known."""
        return any(compiled.open_watch for compiled in self.cells)


def compile_cells(
    cells: Sequence[Cell],
    facts: Facts,
    composites: Sequence[Composite] = (),
    curves: Curves | None = None,
) -> Graph:
    """Compile cells, and what is made of them, into stages.

    A cell of which a fact cannot be had is left out, as is what is made of it: neither stops the
    others.

    Args:
        cells: of a plan.
        facts: what only the disk or torch can tell.
        composites: of the same plan.
        curves: what stop rules can look at; nothing by default.

    Raises:
        PlanError: a cell cannot be compiled: it tests on other classes than it trains on; or
            cells of an ensemble are not tested on the same images.
    """
    drafts: list[_Draft] = []
    left_out: list[LeftOut] = []
    for cell in cells:
        try:
            drafts.append(_draft(cell, facts, curves or NoCurves()))
        except NO_ANSWER as error:
            left_out.append(LeftOut(cell, error))
    spans, paths = _cut([draft.chain for draft in drafts], [draft.end for draft in drafts])
    compiled = [draft.compiled(path) for draft, path in zip(drafts, paths, strict=True)]
    whole, broken = part_composites(composites, {each.row.cell_id: each.error for each in left_out})
    made = compile_composites(whole, compiled)
    return Graph(tuple(compiled), spans, made, (*left_out, *broken))


@dataclass(frozen=True)
class _Draft:
    """A cell that has its chain, before the chains of a plan are cut where they branch."""

    cell: Cell
    chain: Chain
    watches: tuple[Watch, ...]
    image_sets: Mapping[Part, ImageSet]
    latency: LatencyStage

    @property
    def end(self) -> int:
        return _end(self.chain, self.watches)

    def compiled(self, spans: tuple[str, ...]) -> CompiledCell:
        """Return the cell, with the keys of the spans that lead to its final state."""
        final = self.chain.states[self.end - 1]
        return CompiledCell(
            cell=self.cell,
            chain=self.chain,
            spans=spans,
            image_sets=self.image_sets,
            score_keys={
                part: score_key(final, images.digest) for part, images in self.image_sets.items()
            },
            latency=self.latency,
            watches=self.watches,
        )


def _draft(cell: Cell, facts: Facts, curves: Curves) -> _Draft:
    maker = _ChainMaker(facts, curves, cell.bounds)
    for step in phase_steps(cell.settings):
        if not maker.is_halted:
            maker.add(step)
    chain = maker.chain
    last = chain.phases[-1]
    return _Draft(
        cell,
        chain,
        watches=tuple(maker.watches),
        image_sets=_scored_sets(cell, chain.train, facts),
        latency=latency_stage(last, processor=facts.processor(last.settings)),
    )


def score_key(state: str, images_digest: str) -> str:
    """Return the key of a state's score on the list of images with that digest."""
    return digest({"stage": "score", "code": SCORE_VERSION, "state": state, "on": images_digest})


class _ChainMaker:
    """Makes the chain of one cell, phase by phase."""

    def __init__(self, facts: Facts, curves: Curves, bounds: Sequence[Condition]) -> None:
        self.watches: list[Watch] = []
        self._facts = facts
        self._curves = curves
        self._bounds = bounds
        self._phases: list[Phase] = []
        self._states: list[str] = []
        self._rates: list[tuple[float, ...]] = []
        self._moved: list[tuple[float, ...]] = []

    @property
    def chain(self) -> Chain:
        return Chain(
            tuple(self._phases),
            tuple(self._states),
            learning_rates=tuple(self._rates),
            momenta=tuple(self._moved),
        )

    @property
    def is_halted(self) -> bool:
        """Whether an alert has ended the training, so that no phase follows."""
        decision = self.watches[-1].decision if self.watches else None
        return decision is not None and decision.is_halted

    def add(self, step: PhaseStep) -> None:
        """Let a phase follow, from where the stop rule of the one before says."""
        self._take_decision()
        phase = _phase(step, self._phases, self._facts)
        previous = _first_parent(phase, self._phases, self._states)
        self._rates += _phase_rates(phase)
        self._moved += _phase_momenta(phase)
        for epoch in range(phase.first_epoch, phase.last_epoch + 1):
            digests = _group_rates(phase, self._rates[epoch - 1])
            self._states.append(_epoch_key(previous, epoch, digests, self._moved[epoch - 1]))
            previous = self._states[-1]
        self._phases.append(phase)
        self._watch(phase)

    def _watch(self, phase: Phase) -> None:
        rule = phase.settings.stop
        is_watched = rule is not None or self._bounds
        if not is_watched or any(each.is_open for each in self.watches):
            return
        metrics = [*([rule.metric] if rule else []), *(bound.metric for bound in self._bounds)]
        images = [_watched_images(metric, phase.settings, self._facts) for metric in metrics]
        begin = phase.first_epoch
        found = watch(rule, self._bounds, images, self._states, self._curves, first_epoch=begin)
        self.watches.append(found)

    def _take_decision(self) -> None:
        """Let the last phase end with the epoch that was chosen."""
        decision = _last_decision(self.chain, self.watches) if self._phases else None
        if decision is None:
            return
        self._phases[-1] = replace(self._phases[-1], last_epoch=decision.epoch)
        for values in (self._states, self._rates, self._moved):
            del values[decision.epoch :]


def _schedule_images(settings: CellSettings, facts: Facts) -> ImageSet | None:
    schedule = settings.schedule
    return _watched_images(schedule.metric, settings, facts) if schedule.kind == "plateau" else None


def _watched_images(metric: str, settings: CellSettings, facts: Facts) -> ImageSet | None:
    """Return the images that a metric is measured on; `None` for one of training itself."""
    part = metric.partition(".")[0]
    return None if part == "train" else facts.image_set(settings, part)  # type: ignore[arg-type]


def _last_decision(chain: Chain, watches: Sequence[Watch]) -> Decision | None:
    """Return what was decided in the last phase of a chain, if its stop rule has decided."""
    if watches and watches[-1].first_epoch == chain.phases[-1].first_epoch:
        return watches[-1].decision
    return None


def _end(chain: Chain, watches: Sequence[Watch]) -> int:
    """Return the epoch of a chain whose state is the final one."""
    decision = _last_decision(chain, watches)
    return decision.epoch if decision else len(chain.states)


def _first_parent(phase: Phase, before: Sequence[Phase], states: Sequence[str]) -> str:
    """Return what the first epoch of a phase follows: the state before it, and what changes."""
    if not before:
        return phase.key
    is_same = phase.key == before[-1].key and phase.settings.schedule.kind != "plateau"
    if phase.start == "keep" and is_same:
        return states[-1]  # nothing changes: the same training, told in two parts
    return digest({"previous": states[-1], "phase": phase.key, "optimizer_state": phase.start})


def _phase_rates(phase: Phase) -> StepValues:
    settings = phase.settings
    return learning_rates(
        settings.schedule,
        settings.optimizer.lr,
        steps_per_epoch=phase.steps,
        epochs=settings.epochs,
    )


def _phase_momenta(phase: Phase) -> StepValues:
    epochs = phase.settings.epochs
    moved = momenta(phase.settings.schedule, steps_per_epoch=phase.steps, epochs=epochs)
    return moved or ((),) * epochs


def check_batch(settings: CellSettings, images: int) -> None:
    """Refuse batches that so many training images do not fill.

    Raises:
        PlanError: `batch_size` or `accumulate` is too large.
    """
    if settings.batch_size > images:
        raise PlanError(
            f"batch_size must be at most the number of training images, got {settings.batch_size} "
            f"for the {images} of {settings.data.name}. Make the batch smaller, or take more "
            "images."
        )
    batches = steps_per_epoch(images, settings.batch_size)
    if settings.accumulate > batches:
        raise PlanError(
            f"accumulate must be at most the number of batches in an epoch, got "
            f"{settings.accumulate} for the {batches} of {settings.data.name}. Make it smaller, or "
            "the batches."
        )


_GroupRates = str | tuple[tuple[tuple[str, ...], str], ...]


def _group_rates(phase: Phase, rates: tuple[float, ...]) -> _GroupRates:
    """Return the digest of every step's rate; where they differ, those of each group of blocks.

    Where the schedule watches a metric, what it watches stands for what it will make of the rates.
    """
    told = _static_rates(phase, rates)
    return _plateau_digest(phase, told) if phase.settings.schedule.kind == "plateau" else told


def _static_rates(phase: Phase, rates: tuple[float, ...]) -> _GroupRates:
    if phase.has_one_rate:
        return _rates_digest(rates)
    return tuple(
        (group.blocks, _rates_digest(tuple(rate * group.factor for rate in rates)))
        for group in phase.groups
    )


def _plateau_digest(phase: Phase, rates: _GroupRates) -> str:
    """Return the digest of the rates before the first fall, and of all that makes them fall."""
    settings, watched = phase.settings, phase.watched
    schedule = settings.schedule.model_dump(mode="json", exclude={"warmup"})
    return digest(
        {
            "learning_rates": rates,
            "schedule": [settings.optimizer.lr, schedule],
            "on": [watched.digest, SCORE_VERSION] if watched else None,
        }
    )


@lru_cache(maxsize=200_000)
def _epoch_key(previous: str, epoch: int, rates: _GroupRates, moved: tuple[float, ...]) -> str:
    inputs = {"previous": previous, "epoch": epoch, "learning_rates": rates}
    return digest(inputs | ({"momenta": _rates_digest(moved)} if moved else {}))


@lru_cache(maxsize=10_000)
def _rates_digest(rates: tuple[float, ...]) -> str:
    return digest(rates)


def _phase(step: PhaseStep, before: Sequence[Phase], facts: Facts) -> Phase:
    settings = facts.fitted(step.settings)
    train = facts.image_set(settings, "train")
    check_batch(settings, len(train.images))
    transform = facts.transform(settings)
    architecture = facts.architecture(settings, classes=len(train.classes))
    _check_shape(settings, architecture, before)
    weights = facts.weights_digest(settings)
    environment = facts.environment(settings)
    untouched = min([architecture.prefix_count, *(phase.untouched_count for phase in before)])
    prefix_count = 0 if settings.is_random else untouched
    recipe = pixels = _pixels_recipe(settings, transform, facts)
    if prefix_count:
        recipe = _features_recipe(
            settings,
            pixels,
            transform,
            _cut_behind(prefix_count, settings, architecture, facts, classes=len(train.classes)),
            weights=weights,
            environment=environment,
        )
    inputs = {
        "stage": "train",
        "code": TRAIN_VERSION,
        "environment": dict(environment),
        "recipe": recipe.key,
        "normalize": _normalisation(transform),
        "augment": settings.model_dump(mode="json", include={"augment"})["augment"],
        **_mix_inputs(settings, train),
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
        **_later_inputs(settings),
    }
    reached = before[-1].last_epoch if before else 0
    return Phase(
        key=digest(inputs),
        inputs=inputs,
        recipe=recipe,
        transform=transform,
        train=train,
        settings=settings,
        architecture=architecture,
        prefix_count=prefix_count,
        untouched_count=untouched,
        first_epoch=reached + 1,
        last_epoch=reached + settings.epochs,
        steps=steps_per_epoch(len(train.images), settings.batch_size, settings.accumulate),
        groups=rate_groups(settings.model, architecture),
        start=step.start,
        watched=_schedule_images(settings, facts),
    )


def _later_inputs(settings: CellSettings) -> dict[str, Any]:
    """Return what a phase's key did not always have, where it is not as if it were not there."""
    later: dict[str, Any] = {
        "accumulate": settings.accumulate if settings.accumulate > 1 else None,
        "clip": settings.clip and settings.clip.model_dump(exclude_none=True),
        "ema": settings.ema and settings.ema.model_dump(),
    }
    return {name: value for name, value in later.items() if value is not None}


def _check_shape(
    settings: CellSettings, architecture: Architecture, before: Sequence[Phase]
) -> None:
    """See to it that the state of the phase before fits the model of this one."""
    if not before or architecture.params_total == before[-1].architecture.params_total:
        return
    raise PlanError(
        f"phases[{len(before)}]: the parameters of {settings.model.arch} must be the same in "
        f"every phase, found {before[-1].architecture.params_total:,} and then "
        f"{architecture.params_total:,}: they depend on what the phase changes (the size of the "
        "images). Keep it as it is, or take an architecture that pools before its head."
    )


def _mix_inputs(settings: CellSettings, train: ImageSet) -> dict[str, Any]:
    if settings.mix == "none":
        return {}
    if len(train.classes) == 1:
        raise PlanError(
            f"mix ({settings.mix.kind}) needs images of 2 or more classes, "
            f"{settings.data.name} has one: {train.classes[0]}. Write mix: none, or take data with "
            "more classes."
        )
    return settings.model_dump(mode="json", include={"mix"})


def _cut_behind(
    prefix_count: int,
    settings: CellSettings,
    architecture: Architecture,
    facts: Facts,
    *,
    classes: int,
) -> Architecture:
    """Return the architecture with exactly the leading blocks frozen whose output is kept."""
    if prefix_count == architecture.prefix_count:
        return architecture
    model = settings.model.model_copy(update={"freeze": prefix_count})
    return facts.architecture(settings.model_copy(update={"model": model}), classes=classes)


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


def _scored_sets(cell: Cell, train: ImageSet, facts: Facts) -> dict[Part, ImageSet]:
    parts: tuple[Part, ...] = ("valid", "test") if cell.settings.valid else ("test",)
    sets = {part: facts.image_set(cell.settings, part) for part in parts}
    for part, images in sets.items():
        if images.classes != train.classes:
            raise PlanError(
                f"cell {cell.label}: a model is scored on the classes that it learned, found "
                f"{listed(train.classes)} in training and {listed(images.classes)} in {part}. "
                "Choose data sets with the same classes for `data` and `test`."
            )
    return sets


def _cut(
    chains: Sequence[Chain], lengths: Sequence[int]
) -> tuple[dict[str, Span], list[tuple[str, ...]]]:
    """Cut chains where cells or phases end and where they branch.

    Args:
        chains: of all cells.
        lengths: how many epochs of each are asked for.

    Returns:
        The spans, and each chain's path through them.
    """
    wanted = [chain.states[:length] for chain, length in zip(chains, lengths, strict=True)]
    children: dict[str, set[str]] = {}
    cuts: set[str] = set()
    for chain, states in zip(chains, wanted, strict=True):
        ends = (phase.last_epoch for phase in chain.phases[:-1])
        cuts |= {states[-1], *(states[end - 1] for end in ends)}
        for state, following in pairwise(states):
            children.setdefault(state, set()).add(following)
    cuts |= {state for state, following in children.items() if len(following) > 1}
    spans: dict[str, Span] = {}
    paths = []
    for chain, states in zip(chains, wanted, strict=True):
        path = []
        first, parent = 1, None
        for epoch, state in enumerate(states, start=1):
            if state in cuts:
                spans.setdefault(state, Span(state, parent, chain, first, epoch))
                path.append(state)
                first, parent = epoch + 1, state
        paths.append(tuple(path))
    return spans, paths
