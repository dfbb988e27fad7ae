"""What a run would do: the graph held against what is finished already.

`plan_work` decides which stages are missing, from which state each training starts, and which
images have to go through which recipe. `explain` prints it, a run executes it, and afterwards the
counted work stands beside the predicted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from foodvision.plan.graph import Span, score_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from foodvision.plan.composite_stages import CompiledComposite, ViewScore, Voice
    from foodvision.plan.facts import ImageSet
    from foodvision.plan.graph import Chain, CompiledCell, Graph, Phase, Recipe
    from foodvision.plan.latency import LatencyStage
    from foodvision.plan.stopping import Watch


StageKind = Literal["train", "score", "view", "composite", "latency"]


@dataclass(frozen=True)
class FinishedSpan:
    """A span of epochs as the store holds it.

    Attributes:
        key: of its last state (an alias names the entry that holds it).
        parent: key of the state that it started from, `None` for the initial weights.
        first_epoch: from 1.
        last_epoch: included.
        keeps_every_state: whether the states inside it can be read, not only the last.
        trained_to: the last epoch that was trained, less than `last_epoch` where training diverged.
    """

    key: str
    parent: str | None
    first_epoch: int
    last_epoch: int
    keeps_every_state: bool
    trained_to: int


class Finished(Protocol):
    """What is finished already."""

    def has(self, kind: StageKind, key: str) -> bool:
        """Say whether a stage is finished."""

    def span(self, key: str) -> FinishedSpan:
        """Return the finished span that holds the state `key`."""

    def scored_epochs(self, key: str) -> frozenset[int]:
        """Return the epochs that a finished score has rows of; none where it is missing."""

    def missing_rows(self, recipe: Recipe, images: Iterable[str]) -> list[str]:
        """Return the images that have no row under the recipe, once each."""


@dataclass(frozen=True)
class TrainJob:
    """A span to train, scoring every epoch on `scored`.

    Attributes:
        span: what to train, at most.
        scored: lists of images to score every epoch on.
        replay: epochs are trained again whose state exists, because their curve lacks a score.
        watches: stop rules that watch it; the states that they may choose are kept.
        may_end: the span is for them alone: it ends when none of them wants more.
    """

    span: Span
    scored: tuple[ImageSet, ...]
    replay: bool = False
    watches: tuple[Watch, ...] = ()
    may_end: bool = False


@dataclass(frozen=True)
class ScoreJob:
    """Kept states to score: `epochs` of the finished span, on images they were not scored on."""

    key: str
    chain: Chain = field(hash=False)
    finished: FinishedSpan
    epochs: tuple[int, ...]
    images: ImageSet

    @property
    def score_key(self) -> str:
        """Key of the score that the job makes."""
        return score_key(self.key, self.images.digest)

    @property
    def phase(self) -> Phase:
        """The phase of the states: how images reach them."""
        return self.chain.phase(self.epochs[0])


@dataclass(frozen=True)
class ViewJob:
    """A final state to score on images that are each seen in one view."""

    score: ViewScore

    @property
    def key(self) -> str:
        """Key of the stage that the job makes."""
        return self.score.key


@dataclass(frozen=True)
class CompositeJob:
    """Stored outputs to combine."""

    compiled: CompiledComposite

    @property
    def key(self) -> str:
        """Key of the stage that the job makes."""
        return self.compiled.key


@dataclass(frozen=True)
class LatencyJob:
    """A model to measure; no cell waits for it."""

    stage: LatencyStage

    @property
    def key(self) -> str:
        """Key of the stage that the job makes."""
        return self.stage.key


@dataclass(frozen=True)
class RowsJob:
    """Images that have to go through a recipe.

    Attributes:
        recipe: of the rows.
        needed: the lists of images that somebody will read.
        missing: sha256 of the images that have no row yet, once each.
        live: the rows would be too large to keep; they are computed when they are read.
        reads_pixels: pixels of all missing images lie in the store, so that none is decoded.
    """

    recipe: Recipe
    needed: tuple[ImageSet, ...]
    missing: tuple[str, ...]
    live: bool = False
    reads_pixels: bool = False

    @property
    def bytes_missing(self) -> int:
        """Bytes to be written."""
        return 0 if self.live else len(self.missing) * self.recipe.row_bytes

    @property
    def bytes_of_all(self) -> int:
        """Bytes of the rows of all images that somebody will read, kept or not."""
        return _bytes_of_all(self.recipe, self.needed)


@dataclass(frozen=True)
class Tally:
    """Counted work.

    Attributes:
        epochs: trained epochs.
        steps: optimiser steps.
        train_images: images that went through a training step.
        prefix_images: images that went through a frozen prefix, once each.
        decoded_images: images read from their files.
        scored_images: images that a state was scored on.
        bytes_written: bytes of rows written to the store.
    """

    epochs: int = 0
    steps: int = 0
    train_images: int = 0
    prefix_images: int = 0
    decoded_images: int = 0
    scored_images: int = 0
    bytes_written: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{name: value + getattr(other, name) for name, value in asdict(self).items()})


@dataclass(frozen=True)
class Work:
    """What is missing, in an order that can be executed, and what was found.

    Attributes:
        rows: pixels first, then features.
        training: parents before children.
        scoring: after training.
        views: after training.
        combining: after scoring and views.
        measuring: after everything else, with nothing beside it.
        hits: kind and key of each finished stage that cells use.
        predicted: what executing it will count; at most that much where `is_bound`.
        naive: what each cell and composite alone, without sharing, would count.
        waiting: per cell id, keys of the jobs that it waits for; cells that wait for none are done.
            A composite waits for all that its members wait for, too.
        is_bound: whether a stop rule decides how much of it is done. What depends on its decision
            is predicted, but planned when it has decided.
    """

    rows: tuple[RowsJob, ...]
    training: tuple[TrainJob, ...]
    scoring: tuple[ScoreJob, ...]
    views: tuple[ViewJob, ...]
    combining: tuple[CompositeJob, ...]
    measuring: tuple[LatencyJob, ...]
    hits: tuple[tuple[str, str], ...]
    predicted: Tally
    naive: Tally
    waiting: Mapping[str, tuple[str, ...]]
    is_bound: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is missing."""
        return not self.keys

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys of all missing stages but rows."""
        return (
            *(job.span.key for job in self.training),
            *(job.score_key for job in self.scoring),
            *(job.key for job in self.views),
            *(job.key for job in self.combining),
            *(job.key for job in self.measuring),
        )


def plan_work(
    graph: Graph,
    finished: Finished,
    *,
    features_bytes: int | None = None,
    latency: bool = False,
) -> Work:
    """Hold a graph against what is finished.

    Args:
        graph: the compiled plan.
        finished: what the store holds.
        features_bytes: rows of features that would need more than this are not kept.
        latency: whether models are to be measured.
    """
    planner = _Planner(graph, finished)
    for compiled in graph.cells:
        planner.demand(compiled)
        if latency:
            planner.demand_latency(compiled)
    for composite in graph.composites:
        planner.demand_composite(composite)
    training = planner.training()
    scoring = tuple(planner.score_jobs.values())
    views = tuple(planner.view_jobs.values())
    later = tuple(planner.later.values())
    later_views = tuple(planner.later_views.values())
    needed = _needed_rows((*training, *later), scoring, (*views, *later_views))
    rows = _rows_jobs(needed, finished, features_bytes)
    return Work(
        rows=rows,
        training=training,
        scoring=scoring,
        views=views,
        combining=tuple(planner.composite_jobs.values()),
        measuring=tuple(planner.latency_jobs.values()),
        hits=tuple(sorted(planner.hits)),
        predicted=_predict(rows, (*training, *later), scoring, (*views, *later_views))
        + planner.later_scores,
        naive=_naive(graph),
        waiting={cell_id: tuple(keys) for cell_id, keys in planner.waiting.items()},
        is_bound=graph.is_open,
    )


class _Planner:
    """Collects jobs, cell by cell."""

    def __init__(self, graph: Graph, finished: Finished) -> None:
        self.graph = graph
        self.finished = finished
        self.jobs: dict[str, Span] = {}
        self.scored: dict[str, list[ImageSet]] = {}
        self.replays: set[str] = set()
        self.score_jobs: dict[str, ScoreJob] = {}
        self.view_jobs: dict[str, ViewJob] = {}
        self.composite_jobs: dict[str, CompositeJob] = {}
        self.latency_jobs: dict[str, LatencyJob] = {}
        self.hits: set[tuple[str, str]] = set()
        self.waiting: dict[str, dict[str, None]] = {}
        self.watches: dict[str, list[Watch]] = {}
        self.in_full: set[str] = set()
        # What may follow when stop rules have decided.
        self.later: dict[str, TrainJob] = {}
        self.later_views: dict[tuple[str, str], ViewJob] = {}
        self.later_scores = Tally()

    def training(self) -> tuple[TrainJob, ...]:
        return tuple(
            TrainJob(
                span,
                self._scored(key, span.phase.watched),
                replay=key in self.replays,
                watches=() if key in self.replays else tuple(self.watches.get(key, ())),
                may_end=key not in self.in_full | self.replays,
            )
            for key, span in self.jobs.items()
        )

    def _scored(self, key: str, watched: ImageSet | None) -> tuple[ImageSet, ...]:
        """Return what a span is scored on; a schedule may have to see more than is missing."""
        scored = self.scored[key]
        is_known = watched is None or any(each.digest == watched.digest for each in scored)
        return tuple(scored) if is_known or watched is None else (*scored, watched)

    def demand(self, compiled: CompiledCell) -> None:
        self.waiting[compiled.cell.cell_id] = {}
        self._demand_states(compiled)
        for images in compiled.image_sets.values():
            self._demand_curve(compiled, images)
            self._demand_tail(compiled, images)
        if compiled.open_watch is not None:
            self._foresee(compiled, compiled.open_watch)

    def demand_composite(self, compiled: CompiledComposite) -> None:
        """Plan the views of its members that are missing, and itself; members come before it."""
        waiting = self.waiting[compiled.composite.cell_id] = {}
        is_open = any(voice.compiled.open_watch for voice in compiled.voices)
        if not is_open and self.finished.has("composite", compiled.key):
            self.hits.add(("composite", compiled.key))
            return
        for voice in compiled.voices:
            waiting.update(self.waiting[voice.compiled.cell.cell_id])
            if voice.compiled.open_watch:
                self._foresee_views(voice)
            else:
                waiting.update(dict.fromkeys(self._demand_views(voice)))
        if is_open:
            return
        self.composite_jobs.setdefault(compiled.key, CompositeJob(compiled))
        waiting[compiled.key] = None

    def _demand_views(self, voice: Voice) -> list[str]:
        """Plan the views that are missing of a member whose final state is known."""
        missing = []
        for view in voice.view_scores():
            if self.finished.has("view", view.key):
                self.hits.add(("view", view.key))
                continue
            self.view_jobs.setdefault(view.key, ViewJob(view))
            missing.append(view.key)
        return missing

    def _foresee_views(self, voice: Voice) -> None:
        """Count the views of a member whose stop rule has to decide: they may be its alone.

        Until then its final state is named as the last that the plan allows, as is that of every
        cell with the same training; the rules may choose another for each.
        """
        cell_id = voice.compiled.cell.cell_id
        for view in voice.view_scores():
            self.later_views.setdefault((cell_id, view.key), ViewJob(view))

    def demand_latency(self, compiled: CompiledCell) -> None:
        """Plan the measurement of a cell's model; the cell does not wait for it."""
        stage = compiled.latency
        if self.finished.has("latency", stage.key):
            self.hits.add(("latency", stage.key))
            return
        self.latency_jobs.setdefault(stage.key, LatencyJob(stage))

    def _demand_states(self, compiled: CompiledCell) -> None:
        """Plan the spans behind the deepest state of the chain that exists or will exist."""
        states = _states_to_plan(compiled)
        if self.finished.has("train", states[-1]):
            self.hits.add(("train", states[-1]))
            return
        reached = self._reached(states, len(states))
        if reached and states[reached - 1] not in self.jobs:
            self.hits.add(("train", states[reached - 1]))
        for key in compiled.spans:
            span = self.graph.spans[key]
            if reached < span.last_epoch <= len(states):
                begin = max(span.first_epoch - 1, reached)
                self.jobs.setdefault(key, span.starting_after(begin))
                self.scored.setdefault(key, [])
            if key in self.jobs:
                self._need(compiled, span)
        self._wait(compiled, *(state for state in states if state in self.jobs))

    def _reached(self, states: Sequence[str], epoch: int) -> int:
        """Return the deepest epoch up to `epoch` whose state exists or will exist, else 0."""
        while epoch and not (
            states[epoch - 1] in self.jobs or self.finished.has("train", states[epoch - 1])
        ):
            epoch -= 1
        return epoch

    def _need(self, compiled: CompiledCell, span: Span) -> None:
        """Note whether a cell needs a span whole, or only until its stop rule has seen enough."""
        watch = compiled.open_watch
        if watch is None or span.last_epoch < watch.first_epoch:
            self.in_full.add(span.key)
        else:
            self.watches.setdefault(span.key, []).append(watch)

    def _demand_curve(self, compiled: CompiledCell, images: ImageSet) -> None:
        """See to it that every epoch up to the final one has a score on `images`."""
        states = _states_to_plan(compiled)
        epoch = len(states)
        while epoch:
            key = states[epoch - 1]
            if key in self.jobs:
                self._wait(compiled, key)
                epoch = self._score_while_training(key, images)
            else:
                epoch = self._score_finished(compiled, epoch, images)

    def _demand_tail(self, compiled: CompiledCell, images: ImageSet) -> None:
        """See to it that the epochs behind a restored one have scores; they were trained."""
        if compiled.decision is None:
            return
        held, epoch = self.finished.span(compiled.curve_key), compiled.curve_end
        while epoch > len(compiled.states):
            epoch = self._score_span(compiled, held, images)
            if epoch > len(compiled.states):
                held = self.finished.span(held.parent or "")

    def _foresee(self, compiled: CompiledCell, watch: Watch) -> None:
        """Count what a cell may ask for when its stop rule has decided: at most so much."""
        sets = tuple(compiled.image_sets.values())
        known = len(_states_to_plan(compiled))
        for key in compiled.spans:
            span = self.graph.spans[key]
            if span.last_epoch > known:
                self.later.setdefault(key, TrainJob(span, sets))
        states = compiled.chain.states
        reached = self._finished_epochs(states, known)
        if reached < watch.first_epoch:
            return
        self.later_scores += Tally(scored_images=sum(len(images.images) for images in sets))
        lost = [
            epoch
            for epoch in range(watch.first_epoch, reached)
            if not self.finished.has("train", states[epoch - 1])
        ]
        if lost:  # a state that was too large to keep has to be trained again if it is chosen
            ways = {epoch: self._finished_epochs(states, epoch) for epoch in lost}
            worst = max(lost, key=lambda epoch: epoch - ways[epoch])
            span = Span(states[worst - 1], None, compiled.chain, ways[worst] + 1, worst)
            self.later.setdefault(span.key, TrainJob(span, sets))

    def _finished_epochs(self, states: Sequence[str], epoch: int) -> int:
        while epoch and not self.finished.has("train", states[epoch - 1]):
            epoch -= 1
        return epoch

    def _score_while_training(self, key: str, images: ImageSet) -> int:
        """Score a span as it trains, unless a killed run wrote the score, but not the span."""
        span = self.jobs[key]
        whole = score_key(key, images.digest)
        if key not in self.watches and self._is_scored(whole, span.first_epoch, span.last_epoch):
            self.hits.add(("score", whole))
        elif images not in self.scored[key]:
            self.scored[key].append(images)
        return span.first_epoch - 1

    def _is_scored(self, key: str, first_epoch: int, last_epoch: int) -> bool:
        """Say whether a score is there, with every one of these epochs."""
        needed = range(first_epoch, last_epoch + 1)
        return self.finished.has("score", key) and self.finished.scored_epochs(key).issuperset(
            needed
        )

    def _score_finished(self, compiled: CompiledCell, epoch: int, images: ImageSet) -> int:
        held = self.finished.span(compiled.chain.states[epoch - 1])
        before = self._score_span(compiled, held, images)
        self._score_final_alias(compiled, epoch, images, held)
        return before

    def _score_span(self, compiled: CompiledCell, held: FinishedSpan, images: ImageSet) -> int:
        """See to it that a finished span is scored; return the epoch before it."""
        whole = score_key(held.key, images.digest)
        if self._is_scored(whole, held.first_epoch, held.trained_to):
            self.hits.add(("score", whole))
        elif held.keeps_every_state:
            every = tuple(range(held.first_epoch, held.last_epoch + 1))
            self._score_kept(compiled, ScoreJob(held.key, compiled.chain, held, every, images))
        else:
            self._replay(compiled, held, images)
        return held.first_epoch - 1

    def _score_final_alias(
        self, compiled: CompiledCell, epoch: int, images: ImageSet, held: FinishedSpan
    ) -> None:
        """A final state inside a longer finished span needs its own outputs, not only a curve."""
        key = compiled.chain.states[epoch - 1]
        if key != compiled.final or key == held.key:
            return
        if self.finished.has("score", score_key(key, images.digest)):
            self.hits.add(("score", score_key(key, images.digest)))
        else:
            self._score_kept(compiled, ScoreJob(key, compiled.chain, held, (epoch,), images))

    def _score_kept(self, compiled: CompiledCell, job: ScoreJob) -> None:
        self.score_jobs.setdefault(job.score_key, job)
        self._wait(compiled, job.score_key)

    def _replay(self, compiled: CompiledCell, held: FinishedSpan, images: ImageSet) -> None:
        """Train a finished span again for its curve, from the deepest state before it."""
        states = compiled.chain.states
        reached = self._finished_epochs(states, held.first_epoch - 1)
        span = Span(held.key, held.parent, compiled.chain, held.first_epoch, held.last_epoch)
        self.jobs.setdefault(held.key, span.starting_after(reached))
        self.scored.setdefault(held.key, [])
        self.replays.add(held.key)
        self._wait(compiled, held.key)
        self._score_while_training(held.key, images)

    def _wait(self, compiled: CompiledCell, *keys: str) -> None:
        self.waiting[compiled.cell.cell_id].update(dict.fromkeys(keys))


def _states_to_plan(compiled: CompiledCell) -> tuple[str, ...]:
    """Return the states to the final one; to the end of the phase whose stop rule is open."""
    watch = compiled.open_watch
    return compiled.states if watch is None else compiled.states[: watch.last_epoch]


def _rows_jobs(
    needed: Mapping[Recipe, Sequence[ImageSet]], finished: Finished, features_bytes: int | None
) -> tuple[RowsJob, ...]:
    features = [
        _rows_job(recipe, sets, finished, features_bytes)
        for recipe, sets in needed.items()
        if recipe.kind == "features"
    ]
    pixels = {recipe: list(sets) for recipe, sets in needed.items() if recipe.kind == "pixels"}
    _demand_shared_pixels(features, pixels)
    jobs = [_rows_job(recipe, sets, finished, None) for recipe, sets in pixels.items()]
    return tuple(job for job in [*jobs, *features] if job.missing or job.live)


def _needed_rows(
    training: Sequence[TrainJob], scoring: Sequence[ScoreJob], views: Sequence[ViewJob]
) -> dict[Recipe, list[ImageSet]]:
    needed: dict[Recipe, list[ImageSet]] = {}
    for job in training:
        phase = job.span.phase
        _extend(needed.setdefault(phase.recipe, []), [phase.train, *job.scored])
    for score in scoring:
        _extend(needed.setdefault(score.phase.recipe, []), [score.images])
    for view in views:
        _extend(needed.setdefault(view.score.recipe, []), [view.score.images])
    return needed


def _demand_shared_pixels(
    features: Sequence[RowsJob], pixels: dict[Recipe, list[ImageSet]]
) -> None:
    """Keep pixels where more than one reader wants them; a single reader decodes as it goes."""
    readers: dict[Recipe, list[RowsJob]] = {}
    for job in features:
        if job.recipe.pixels is not None and (job.missing or job.live):
            readers.setdefault(job.recipe.pixels, []).append(job)
    for recipe, jobs in readers.items():
        if len(jobs) > 1 or recipe in pixels or any(job.live for job in jobs):
            for job in jobs:
                _extend(pixels.setdefault(recipe, []), job.needed)


def _rows_job(
    recipe: Recipe, sets: Sequence[ImageSet], finished: Finished, limit: int | None
) -> RowsJob:
    images = list(dict.fromkeys(image for images in sets for image in images.images))
    missing = tuple(finished.missing_rows(recipe, images))
    live = limit is not None and bool(missing) and _bytes_of_all(recipe, sets) > limit
    reads_pixels = recipe.pixels is not None and not finished.missing_rows(recipe.pixels, missing)
    return RowsJob(recipe, tuple(sets), missing, live=live, reads_pixels=reads_pixels)


def _bytes_of_all(recipe: Recipe, sets: Iterable[ImageSet]) -> int:
    return len({image for images in sets for image in images.images}) * recipe.row_bytes


def _extend(known: list[ImageSet], more: Iterable[ImageSet]) -> None:
    for images in more:
        if images not in known:
            known.append(images)


def _predict(
    rows: Sequence[RowsJob],
    training: Sequence[TrainJob],
    scoring: Sequence[ScoreJob],
    views: Sequence[ViewJob],
) -> Tally:
    kept = {job.recipe for job in rows if job.recipe.kind == "pixels"}
    live = {job.recipe for job in rows if job.live}
    total = Tally()
    for job in rows:
        total += predict_rows(job, kept)
    for train in training:
        total += _through_prefix(predict_training(train), train.span.phase.recipe in live)
    for score in scoring:
        scored = Tally(scored_images=len(score.epochs) * len(score.images.images))
        total += _through_prefix(scored, score.phase.recipe in live)
    for view in views:
        scored = Tally(scored_images=len(view.score.images.images))
        total += _through_prefix(scored, view.score.recipe in live)
    return total


def predict_rows(job: RowsJob, kept: set[Recipe]) -> Tally:
    """Return what computing rows will count.

    Args:
        job: the rows.
        kept: recipes of the pixels that the same run keeps.
    """
    if job.recipe.kind == "pixels":
        return Tally(decoded_images=len(job.missing), bytes_written=job.bytes_missing)
    if job.live:
        return Tally()
    decoded = 0 if job.reads_pixels or job.recipe.pixels in kept else len(job.missing)
    return Tally(
        prefix_images=len(job.missing), decoded_images=decoded, bytes_written=job.bytes_missing
    )


def _through_prefix(tally: Tally, live: bool) -> Tally:
    """Count a live prefix: every image that is trained or scored on passes it each time."""
    return tally + Tally(prefix_images=tally.train_images + tally.scored_images) if live else tally


def predict_training(job: TrainJob) -> Tally:
    """Return what training a span will count."""
    span = job.span
    images = len(span.phase.train.images)
    return Tally(
        epochs=span.epochs,
        steps=span.epochs * span.phase.steps,
        train_images=span.epochs * images,
        scored_images=span.epochs * sum(len(scored.images) for scored in job.scored),
    )


def _naive(graph: Graph) -> Tally:
    total = Tally()
    for compiled in graph.cells:
        scored = sum(len(images.images) for images in compiled.image_sets.values())
        for phase in compiled.chain.phases:
            total += _naive_phase(phase, scored)
    for composite in graph.composites:
        for view in composite.view_scores():
            total += _naive_view(view)
    return total


def _naive_view(view: ViewScore) -> Tally:
    images = len(view.images.images)
    return Tally(
        prefix_images=images if view.recipe.kind == "features" else 0,
        decoded_images=images,
        scored_images=images,
    )


def _naive_phase(phase: Phase, scored: int) -> Tally:
    epochs, images = phase.last_epoch - phase.first_epoch + 1, len(phase.train.images)
    passes = epochs * (images + scored)
    return Tally(
        epochs=epochs,
        steps=epochs * phase.steps,
        train_images=epochs * images,
        prefix_images=passes if phase.prefix_count else 0,
        decoded_images=passes,
        scored_images=epochs * scored,
    )
