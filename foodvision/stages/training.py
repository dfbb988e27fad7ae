"""Train a span of epochs: from a state to a state, scoring every epoch on the way."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from foodvision.errors import MemoryShortageError
from foodvision.evaluate.metrics import score_logits
from foodvision.evaluate.predictions import predict_logits
from foodvision.models.build import training_mode
from foodvision.models.folding import frozen_prefix
from foodvision.plan.footprint import KEPT_SNAPSHOT_BYTES
from foodvision.plan.graph import SCORE_VERSION, TRAIN_VERSION, Span, score_key
from foodvision.plan.labels import span_label
from foodvision.plan.work import Tally
from foodvision.progress import STAGE_LOG
from foodvision.stages.curves import StoreCurves, told_metric
from foodvision.stages.rows import augmented_inputs, open_inputs
from foodvision.stages.steps import write_steps
from foodvision.train.engine import EpochResult, Snapshot, TrainSettings, train_epochs
from foodvision.train.optimizers import ClipSettings, OptimizerSettings
from foodvision.train.plateau import Plateau, PlateauSettings
from foodvision.train.recording import StepRecorder
from foodvision.train.snapshots import (
    changing_names,
    load_snapshot,
    restore_weights,
    save_snapshots,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from foodvision.data.loaders import Inputs
    from foodvision.models.blocks import BlockModel
    from foodvision.plan.facts import ImageSet
    from foodvision.plan.graph import Phase
    from foodvision.plan.schema import RecordSettings
    from foodvision.plan.work import ScoreJob, TrainJob
    from foodvision.stages.site import Site
    from foodvision.store import Store
    from foodvision.train.engine import Mixer
    from foodvision.train.precision import Precision

    _Epoch = tuple[EpochResult, Callable[[], Snapshot]]

_STATES_FILE = "states.safetensors"


@dataclass
class _Scores:
    """Scores of a span's epochs on one list of images."""

    images: ImageSet
    inputs: Inputs
    labels: Tensor
    precision: Precision
    rows: list[dict[str, Any]] = field(default_factory=list)
    logits: dict[int, Tensor] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)

    def add(self, epoch: int, module: nn.Module) -> None:
        started = time.perf_counter()
        self.logits[epoch] = predict_logits(module, self.inputs, precision=self.precision)
        score = score_logits(self.logits[epoch], self.labels)
        self.rows.append(
            {
                "epoch": epoch,
                "loss": _finite(score.loss),
                "accuracy": score.accuracy,
                "images": score.images,
            }
        )
        self.seconds[epoch] = time.perf_counter() - started

    def forget(self, *, but: Collection[int]) -> None:
        """Keep the outputs of some epochs only."""
        self.logits = {epoch: logits for epoch, logits in self.logits.items() if epoch in but}


class _Judges:
    """All that may end a span: what it has seen, and which states may be chosen."""

    def __init__(self, job: TrainJob, store: Store) -> None:
        watches, span = job.watches, job.span
        self._watches = watches
        self._first_epoch = span.first_epoch
        self._may_end = job.may_end
        states = span.chain.states[: span.last_epoch]
        curves = StoreCurves(store)
        known = [each.look(states, curves).rows for each in watches]
        # Another run may have come further while this one waited for the lock.
        seen = [each.panel(rows) for each, rows in zip(watches, known, strict=True)]
        self.are_over_already = job.may_end and all(panel.is_over for panel in seen)
        self._panels = [
            each.panel(rows[: max(span.first_epoch - each.first_epoch, 0)])
            for each, rows in zip(watches, known, strict=True)
        ]

    def observe(self, result: EpochResult, scores: Sequence[_Scores]) -> None:
        """Take in an epoch that was trained and scored."""
        if result.diverged:
            return
        for each, panel in zip(self._watches, self._panels, strict=True):
            pairs = zip(each.metrics, each.images, strict=True)
            panel.observe([[_metric(metric, on, result, scores) for metric, on in pairs]])

    @property
    def are_over(self) -> bool:
        """Whether nobody wants more epochs."""
        return self._may_end and all(panel.is_over for panel in self._panels)

    def ends(self) -> set[int]:
        """Return the epochs of the span whose states somebody may choose, or ends with."""
        found = {panel.chosen for panel in self._panels}
        found |= {panel.epoch for panel in self._panels if panel.is_over}
        return {epoch for epoch in found if epoch >= self._first_epoch}


def _metric(
    metric: str, images: ImageSet | None, result: EpochResult, scores: Sequence[_Scores]
) -> float | None:
    """Return a metric of an epoch that was trained and scored."""
    name = metric.partition(".")[2]
    if images is None:
        return told_metric(name, loss=result.train_loss, accuracy=result.train_accuracy)
    rows = next(score.rows for score in scores if score.images.digest == images.digest)
    return told_metric(name, loss=rows[-1]["loss"], accuracy=rows[-1]["accuracy"])


def train_span(
    job: TrainJob, site: Site, *, live: bool = False, record: RecordSettings | None = None
) -> Tally:
    """Train a span and keep its scores and its states.

    The scores are written first: whoever finds the span finds them too.

    Args:
        job: the span and what to score its epochs on.
        site: where to compute; the state that the span starts from must lie in the store.
        live: run the frozen prefix with every batch instead of reading kept rows.
        record: what to note of its steps; it acts on no bit of the result.

    Returns:
        The counted work.
    """
    span, phase = job.span, job.span.phase
    recorder = _recorder(record)
    with site.exact(phase.settings.threads), site.store.lock(f"train-{span.key}"):
        is_new = not site.store.has("train", span.key)  # another run may have been faster
        judges = _Judges(job, site.store)
        wanted = _missing_scores(job, site.store, is_new=is_new)
        if judges.are_over_already:
            return Tally()
        if not (is_new or wanted):
            return site.found()
        model = site.models.trainable(phase)
        through = live_prefix(model, phase, live=live)
        scores = [_open_scores(phase, images, site, through) for images in wanted]
        results: list[EpochResult] = []
        if span.parent and _diverged_at(site.store, span.parent):
            states = _stay_diverged(span, site.store, model, scores)
        else:
            states, results = _run_epochs(span, site, model, scores, through, judges, recorder)
        for piece in _pieces(span, results, judges.ends()):
            within = range(piece.first_epoch, piece.last_epoch + 1) if results else None
            for score in scores:
                _write_score(site.store, piece.key, score, within)
            if is_new:
                _write_span(site.store, piece, states, results, recorder)
    return _count(results, scores, is_live=through is not None)


def _missing_scores(job: TrainJob, store: Store, *, is_new: bool) -> list[ImageSet]:
    """Return the lists of images to score: all where a stop rule has to see how they go."""
    if job.watches:
        return list(job.scored)
    epochs = _epochs_to_score(job.span, store, is_new=is_new)
    missing = [
        images
        for images in job.scored
        if not _has_scores(store, score_key(job.span.key, images.digest), epochs)
    ]
    watched = job.span.phase.watched
    if watched is None or not (is_new or missing):
        return missing
    return [images for images in job.scored if images in missing or images.digest == watched.digest]


def _pieces(span: Span, results: Sequence[EpochResult], ends: set[int]) -> list[Span]:
    """Cut what was trained of a span behind the states that stop rules may choose."""
    is_whole = not results or results[-1].diverged
    last = span.last_epoch if is_whole else results[-1].epoch
    pieces: list[Span] = []
    for end in sorted({*ends, last}):
        begin = pieces[-1].last_epoch + 1 if pieces else span.first_epoch
        parent = pieces[-1].key if pieces else span.parent
        pieces.append(Span(span.chain.states[end - 1], parent, span.chain, begin, end))
    return pieces


def _epochs_to_score(span: Span, store: Store, *, is_new: bool) -> range:
    """Return the epochs of a span that have a score, once it is finished."""
    if is_new:
        return range(span.first_epoch, span.last_epoch + 1)
    trained = store.get("train", span.key).notes["epochs"]
    return range(span.first_epoch, trained[-1]["epoch"] + 1 if trained else 0)


def _has_scores(store: Store, key: str, epochs: Iterable[int]) -> bool:
    """Say whether a score is finished, with every one of these epochs.

    A score that a killed run left may lack some: its span was cut elsewhere.
    """
    if not store.has("score", key):
        return False
    return {row["epoch"] for row in store.get("score", key).notes["rows"]}.issuperset(epochs)


def score_states(job: ScoreJob, site: Site, *, live: bool = False) -> Tally:
    """Score kept states of a finished span on images that they were not scored on.

    Returns:
        The counted work.
    """
    phase = job.phase
    with site.exact(phase.settings.threads), site.store.lock(f"train-{job.key}"):
        if _has_scores(site.store, job.score_key, job.epochs):
            return site.found()
        model = site.models.initial(phase)
        suffix = model.suffix(phase.prefix_count)
        through = live_prefix(model, phase, live=live)
        score = _open_scores(phase, job.images, site, through)
        for epoch in job.epochs:
            load_state(site.store, job.chain.states[epoch - 1], model)
            score.add(epoch, suffix)
            score.forget(but={epoch})
        _write_score(site.store, job.key, score)
    return _count([], [score], is_live=through is not None)


def live_prefix(model: BlockModel, phase: Phase, *, live: bool) -> nn.Module | None:
    """Return the frozen prefix where its rows are not kept."""
    return frozen_prefix(model, phase.prefix_count) if live and phase.prefix_count else None


def _open_scores(phase: Phase, images: ImageSet, site: Site, through: nn.Module | None) -> _Scores:
    inputs = open_inputs(phase, images, site, live=through)
    return _Scores(images, inputs, site.labels(images), phase.settings.precision)


def read_snapshot(store: Store, key: str) -> Snapshot:
    """Read the snapshot of a state, wherever in a span it lies."""
    entry = store.get("train", key)
    epoch = entry.notes["first_epoch"] + entry.notes["states"].index(key)
    kept = entry.notes["snapshots"]
    return load_snapshot(entry.path / _STATES_FILE, epoch if epoch in kept else kept[-1])


def load_state(store: Store, key: str, model: BlockModel) -> None:
    """Bring a model with its initial weights to a state."""
    restore_weights(read_snapshot(store, key), model.module)


def _diverged_at(store: Store, key: str) -> bool:
    """Say whether training had diverged when it reached a state."""
    notes = store.get("train", key).notes
    return bool(notes["diverged"]) and notes["states"][-1] == key


def _stay_diverged(
    span: Span, store: Store, model: BlockModel, scores: list[_Scores]
) -> dict[int, Snapshot]:
    """Give a span behind a diverged state what there is: that state, and its scores."""
    snapshot = read_snapshot(store, span.parent or "")
    restore_weights(snapshot, model.module)
    suffix = model.suffix(span.phase.prefix_count)
    for score in scores:
        score.add(snapshot.epoch, suffix)
    return {snapshot.epoch: snapshot}


def _run_epochs(
    span: Span,
    site: Site,
    model: BlockModel,
    scores: list[_Scores],
    through: nn.Module | None,
    judges: _Judges,
    recorder: StepRecorder | None,
) -> tuple[dict[int, Snapshot], list[EpochResult]]:
    phase = span.phase
    suffix = model.suffix(phase.prefix_count)
    inputs = open_inputs(phase, phase.train, site, live=through)
    parent = read_snapshot(site.store, span.parent) if span.parent else None
    keeper = _Keeper()
    plateau = _plateau(phase)
    results: list[EpochResult] = []
    bar = site.progress.begin(span_label(span), total=span.epochs, unit="epochs")

    def changed_names(module: nn.Module) -> tuple[str, ...]:
        """Name all that differs from the initial weights, whichever phase changed it."""
        return tuple(dict.fromkeys((*changing_names(module), *(parent.model if parent else ()))))

    epochs = train_epochs(
        suffix,
        inputs,
        site.labels(phase.train),
        settings=train_settings(phase),
        learning_rates=span.chain.learning_rates[span.first_epoch - 1 : span.last_epoch],
        momenta=span.chain.momenta[span.first_epoch - 1 : span.last_epoch],
        first_epoch=span.first_epoch,
        snapshot=parent,
        optimizer_start=phase.start if span.begins_phase else None,
        enter_train_mode=training_mode(
            suffix,
            model,
            frozen_count=phase.architecture.frozen_count,
            batchnorm=phase.settings.model.batchnorm,
        ),
        whole=model.module,
        snapshot_names=changed_names,
        inputs_at=augmented_inputs(phase, inputs),
        mix_at=_mix_at(phase),
        lr_factors=_lr_factors(phase, model),
        plateau=plateau,
        recorder=recorder,
    )
    for result, take in _telling_shortage(epochs, phase, site):
        for score in scores:
            score.add(result.epoch, suffix)
        judges.observe(result, scores)
        if plateau is not None:
            plateau.observe(_metric(_schedule_metric(phase), phase.watched, result, scores))
        is_last = result.epoch == span.last_epoch or result.diverged or judges.are_over
        needed = judges.ends() | ({result.epoch} if is_last else set())
        keeper.offer(take, result.epoch, needed=needed)
        for score in scores:
            score.forget(but=needed)
        results.append(result)
        _tell(result, scores)
        bar.advance(1)
        if judges.are_over:
            STAGE_LOG.info("every stop rule that watches has decided")
            break
    bar.close()
    return keeper.states, results


def _tell(result: EpochResult, scores: Sequence[_Scores]) -> None:
    """Say in the log of the stage how an epoch went."""
    told = "; ".join(
        f"{score.images.part} loss {rows['loss']:.4f}, accuracy {rows['accuracy']:.4f}"
        if (rows := score.rows[-1])["loss"] is not None
        else f"{score.images.part} loss not finite, accuracy {rows['accuracy']:.4f}"
        for score in scores
    )
    STAGE_LOG.info(
        "epoch %d: train loss %.4f, accuracy %.4f%s; learning rate %.3g, %d steps in %.3f s",
        *(result.epoch, result.train_loss, result.train_accuracy, f"; {told}" if told else ""),
        *(result.learning_rate, result.steps, result.seconds),
    )
    if result.diverged:
        STAGE_LOG.warning("diverged: a loss or a weight is not finite; no epoch follows")


def _recorder(record: RecordSettings | None) -> StepRecorder | None:
    if record is None or not record.notes_steps:
        return None
    return StepRecorder(gradient_norms=record.gradient_norm)


def _schedule_metric(phase: Phase) -> str:
    schedule = phase.settings.schedule
    return schedule.metric if schedule.kind == "plateau" else ""


def _plateau(phase: Phase) -> Plateau | None:
    """Return what lowers the learning rate by a metric, where the schedule does that."""
    schedule = phase.settings.schedule
    if schedule.kind != "plateau":
        return None
    settings = schedule.model_dump(exclude={"kind", "metric", "warmup"})
    is_better_high = schedule.metric.endswith("accuracy")
    lr = phase.settings.optimizer.lr
    return Plateau(PlateauSettings(lr=lr, is_better_high=is_better_high, **settings))


def _lr_factors(phase: Phase, model: BlockModel) -> dict[str, float]:
    """Return what the learning rate of each parameter is multiplied by, where not by 1."""
    factors = {name: group.factor for group in phase.groups for name in group.blocks}
    return {
        name: factors[block]
        for position, block in enumerate(model.blocks)
        if factors.get(block, 1.0) != 1.0
        for name, _ in model.named_parameters(position)
    }


def _telling_shortage(epochs: Iterator[_Epoch], phase: Phase, site: Site) -> Iterator[_Epoch]:
    """Pass epochs on; tell in our words where a step of one does not fit the memory.

    Raises:
        MemoryShortageError: it does not.
    """
    try:
        yield from epochs
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        size = phase.settings.micro_batch or phase.settings.batch_size
        said = str(error).strip().splitlines()[0] if str(error).strip() else "out of memory"
        raise MemoryShortageError(
            f"A step of training must fit the memory of {site.device}, but {size} images at a "
            f"time do not ({said}). Set a smaller micro_batch: the effective batch stays."
        ) from error


def is_out_of_memory(error: RuntimeError) -> bool:
    """Say whether torch means that memory ran out; only CUDA has a type of its own for it."""
    told = ("out of memory", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in told)


def train_settings(phase: Phase) -> TrainSettings:
    """Return what the engine needs of a phase's settings."""
    settings = phase.settings
    optimizer = settings.optimizer.model_dump(exclude={"lr"})
    return TrainSettings(
        batch_size=settings.batch_size,
        seed=settings.seed,
        optimizer=OptimizerSettings(**optimizer),
        label_smoothing=settings.loss.label_smoothing,
        micro_batch=settings.micro_batch,
        precision=settings.precision,
        accumulate=settings.accumulate,
        clip=None if settings.clip is None else ClipSettings(**settings.clip.model_dump()),
        ema_decay=None if settings.ema is None else settings.ema.decay,
    )


def _mix_at(phase: Phase) -> Callable[[int], Mixer] | None:
    """Return what gives an epoch its own mixing of batches, if any."""
    settings = phase.settings
    if settings.mix == "none":
        return None
    from foodvision.train.mixing import Mixing  # torchvision.transforms: slow to import

    mixing = Mixing(settings.mix, classes=phase.classes)
    return lambda epoch: mixing.at_epoch(settings.seed, epoch)


class _Keeper:
    """Keeps small snapshots of every epoch, large ones of those that are needed."""

    def __init__(self) -> None:
        self.states: dict[int, Snapshot] = {}
        self._are_small: bool | None = None

    def offer(self, take: Callable[[], Snapshot], epoch: int, *, needed: set[int]) -> None:
        if epoch in needed or self._are_small is not False:
            self.states[epoch] = take()
            if self._are_small is None:
                self._are_small = _snapshot_bytes(self.states[epoch]) <= KEPT_SNAPSHOT_BYTES
        if not self._are_small:
            self.states = {each: kept for each, kept in self.states.items() if each in needed}


def _snapshot_bytes(snapshot: Snapshot) -> int:
    tensors = [
        *snapshot.model.values(),
        *snapshot.optimizer.values(),
        *snapshot.moved.values(),
    ]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _write_span(
    store: Store,
    span: Span,
    states: Mapping[int, Snapshot],
    results: Sequence[EpochResult],
    recorder: StepRecorder | None,
) -> None:
    """Write a span, or a piece of one: what is there of its epochs."""
    epochs = range(span.first_epoch, span.last_epoch + 1)
    results = [result for result in results if result.epoch in epochs]
    if results:
        states = {epoch: states[epoch] for epoch in epochs if epoch in states}
    keys = list(span.chain.states[span.first_epoch - 1 : span.last_epoch])
    inputs = {"phase": dict(span.phase.inputs), "parent": span.parent, "states": keys}
    with store.writing("train", span.key, inputs=inputs, code_version=TRAIN_VERSION) as writer:
        save_snapshots(writer.path / _STATES_FILE, states)
        noted = recorder.epochs if recorder else {}
        steps = {epoch: noted[epoch] for epoch in epochs if epoch in noted}
        write_steps(writer.path, steps, factors=_rate_factors(span.phase))
        writer.notes |= {
            "parent": span.parent,
            "first_epoch": span.first_epoch,
            "last_epoch": span.last_epoch,
            "states": keys,
            "snapshots": sorted(states),
            "keeps_every_state": len(results) == len(states) == span.epochs,
            "diverged": not results or results[-1].diverged,
            "epochs": [_json_row(result) | _group_rates(result, span.phase) for result in results],
        }
        writer.work |= {"epochs": len(results), "images": sum(row.images for row in results)}
        writer.seconds = sum(result.seconds for result in results)
    if len(results) == len(states) == span.epochs:
        for key in keys[:-1]:
            store.alias("train", key, target=span.key)


def _json_row(result: EpochResult) -> dict[str, Any]:
    return {
        name: _finite(value) if isinstance(value, float) else value
        for name, value in asdict(result).items()
    }


def _group_rates(result: EpochResult, phase: Phase) -> dict[str, dict[str, float]]:
    """Return each group's learning rate of the last step, where they are not all the same."""
    if phase.has_one_rate:
        return {}
    rates = {group.label: result.learning_rate * group.factor for group in phase.groups}
    return {"learning_rates": rates}


def _rate_factors(phase: Phase) -> dict[str, float]:
    """Return what each group multiplies the learning rate by, where that is not 1 for all."""
    return {} if phase.has_one_rate else {group.label: group.factor for group in phase.groups}


def _write_score(store: Store, state: str, score: _Scores, within: range | None = None) -> None:
    """Write scores of epochs, and the outputs of the last one.

    Args:
        store: where to.
        state: key of the last state.
        score: of all epochs.
        within: the epochs to write; `None`: all.
    """
    rows = [row for row in score.rows if within is None or row["epoch"] in within]
    key = score_key(state, score.images.digest)
    if not rows or _has_scores(store, key, [row["epoch"] for row in rows]):
        return
    inputs = {"state": state, "on": score.images.digest}
    with store.writing(
        "score", key, inputs=inputs, code_version=SCORE_VERSION, replaces=True
    ) as writer:
        np.save(writer.path / "logits.npy", score.logits[rows[-1]["epoch"]].numpy())
        writer.notes |= {
            "part": score.images.part,
            "dataset": score.images.dataset,
            "share": dict(score.images.share),
            "rows": rows,
        }
        writer.work |= {"images": sum(row["images"] for row in rows)}
        writer.seconds = sum(score.seconds[row["epoch"]] for row in rows)


def _count(results: list[EpochResult], scores: list[_Scores], *, is_live: bool) -> Tally:
    trained = sum(result.images for result in results)
    scored = sum(row["images"] for score in scores for row in score.rows)
    return Tally(
        epochs=len(results),
        steps=sum(result.steps for result in results),
        train_images=trained,
        scored_images=scored,
        prefix_images=trained + scored if is_live else 0,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
