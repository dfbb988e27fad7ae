"""How long a run will take, from how long the same kinds of stages took before.

A *pace* is what makes two stages take as long per image: the device, the architecture, what is
frozen, the batch. The seconds themselves are measured by runs and kept by whoever asks.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foodvision.plan.work import Tally, predict_rows, predict_training

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from foodvision.plan.graph import Phase, Recipe
    from foodvision.plan.work import LatencyJob, RowsJob, ScoreJob, TrainJob, ViewJob, Work

# A forward pass is about a third of a training step, which has a backward pass of twice its cost.
_SCORED_SHARE = 1 / 3

# Amount (see `amount`) and seconds of one stage that was done.
Observation = tuple[float, float]


@dataclass(frozen=True)
class Pace:
    """What tells how fast a stage is; JSON values.

    Attributes:
        exact: all that acts on the time, as far as it is known.
        alike: less of it: where nothing was measured under `exact`, this is nearly as good.
        is_counted: whether its amount is what the stage counts; else every stage is an amount of 1.
    """

    exact: Mapping[str, Any]
    alike: Mapping[str, Any]
    is_counted: bool = True


def rows_pace(job: RowsJob, work: Work) -> Pace:
    """Return the pace of putting images through a recipe; sources differ in size."""
    settings = job.recipe.settings
    alike: dict[str, Any] = {
        "stage": job.recipe.kind,
        "decodes": bool(predict_rows(job, _kept_pixels(work)).decoded_images),
    }
    if job.recipe.kind == "pixels":
        alike |= {name: settings[name] for name in ("size", "resize_to", "channels", "decoder")}
    else:
        names = ("environment", "model", "blocks", "batch")
        alike |= {name: settings[name] for name in names}
    return Pace(alike | {"data": sorted({images.dataset for images in job.needed})}, alike)


def training_pace(job: TrainJob, work: Work) -> Pace:
    """Return the pace of training a span."""
    phase = job.span.phase
    settings, inputs = phase.settings, phase.inputs
    alike = _model_pace("train", phase, work) | {"is_random": settings.is_random}
    steps = () if settings.augment == "none" else settings.augment
    exact = alike | {
        "batch_size": settings.batch_size,
        "micro_batch": settings.micro_batch,
        "accumulate": settings.accumulate,
        "classes": inputs["model"]["classes"],
        "optimizer": settings.optimizer.kind,
        "augment": [step.kind for step in steps],
        "mix": settings.mix if settings.mix == "none" else settings.mix.kind,
        "ema": settings.ema is not None,
    }
    return Pace(exact, alike)


def score_pace(job: ScoreJob, work: Work) -> Pace:
    """Return the pace of scoring kept states."""
    pace = _model_pace("score", job.phase, work)
    return Pace(pace, pace)


def view_pace(job: ViewJob, work: Work) -> Pace:
    """Return the pace of scoring a state on images that are each seen in one view."""
    pace = _model_pace("view", job.score.compiled.phase, work)
    return Pace(pace, pace)


def latency_pace(job: LatencyJob) -> Pace:
    """Return the pace of measuring a model, which goes on for about as long whatever the model."""
    alike = {name: job.stage.inputs[name] for name in ("stage", "environment", "batch_sizes")}
    return Pace(alike | {"model": job.stage.inputs["model"]}, alike, is_counted=False)


def amount(tally: Tally) -> float:
    """Return how much work a stage was, in images trained on, or else in images put through."""
    if tally.train_images:
        return tally.train_images + tally.scored_images * _SCORED_SHARE
    return float(tally.scored_images or tally.prefix_images or tally.decoded_images)


def stage_paces(work: Work) -> dict[str, tuple[Pace, float]]:
    """Return the pace and the amount of every missing stage that takes time, by key."""
    kept = _kept_pixels(work)
    found = {
        job.recipe.key: (rows_pace(job, work), amount(predict_rows(job, kept)))
        for job in work.rows
        if not job.live
    }
    found |= {
        job.span.key: (training_pace(job, work), amount(predict_training(job)))
        for job in work.training
    }
    found |= {
        job.score_key: (score_pace(job, work), float(len(job.epochs) * len(job.images.images)))
        for job in work.scoring
    }
    found |= {job.key: (latency_pace(job), 1.0) for job in work.measuring}
    return found | {
        job.key: (view_pace(job, work), float(len(job.score.images.images))) for job in work.views
    }


def expect_seconds(observed: Sequence[Observation], wanted: float) -> float | None:
    """Return the seconds that an amount of work will take; `None` where nothing was observed.

    Stages of one amount tell a ratio; of several, also what every stage takes beside it: a straight
    line through all of them (least squares), which neither begins below 0 nor falls.

    Args:
        observed: stages of the same pace.
        wanted: amount; > 0.
    """
    sizes = [size for size, _ in observed if size > 0]
    seconds = [taken for size, taken in observed if size > 0]
    if not sizes:
        return None
    ratio = sum(seconds) / sum(sizes)
    if len(set(sizes)) == 1:
        return ratio * wanted
    slope, start = statistics.linear_regression(sizes, seconds)
    if slope < 0:
        return statistics.fmean(seconds)
    return start + slope * wanted if start >= 0 else ratio * wanted


def _model_pace(stage: str, phase: Phase, work: Work) -> dict[str, Any]:
    model = phase.inputs["model"]
    return {
        "stage": stage,
        "environment": dict(phase.inputs["environment"]),
        "model": {name: model[name] for name in ("arch", "hidden", "channels", "size")},
        "frozen": len(phase.inputs["frozen_blocks"]),
        "rows": phase.recipe.kind,
        "is_live": phase.recipe in _live(work.rows),
    }


def _live(rows: Iterable[RowsJob]) -> set[Recipe]:
    return {job.recipe for job in rows if job.live}


def _kept_pixels(work: Work) -> set[Recipe]:
    return {job.recipe for job in work.rows if job.recipe.kind == "pixels"}
