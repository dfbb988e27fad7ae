"""Learning rates as closed forms in plain Python: the floats in the keys are those that train.

A schedule is a function of the epoch alone (and of the settings), never of what happened while
training, so it can be evaluated for any epoch without running the ones before it. One is not:
`plateau` watches a metric. What stands here for it are the rates until the first fall; the key of
every epoch says what it watches instead.

To add one: write its closed form below, name it in `_CLOSED_FORMS`, and pin it in the tests
against torch's scheduler of the same name.

Epochs and steps count from 0 in the formulas, as in torch's.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foodvision.errors import PlanError

if TYPE_CHECKING:
    from foodvision.plan.training_schema import Schedule, WarmupSettings

# For every epoch a tuple, and in it one number for every optimizer step.
StepValues = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Course:
    """The training that a schedule spans.

    Attributes:
        lr: the optimizer's learning rate, which the schedule scales.
        steps_per_epoch: optimizer steps in each epoch.
        epochs: number of epochs in all.
    """

    lr: float
    steps_per_epoch: int
    epochs: int

    @property
    def steps(self) -> int:
        """Optimizer steps in all."""
        return self.steps_per_epoch * self.epochs


# From settings, course and epoch (from 0) to the learning rate of each step of that epoch.
ClosedForm = Callable[[Any, Course, int], tuple[float, ...]]
# From settings, course and time in epochs to the learning rate.
Curve = Callable[[Any, Course, float], float]


def learning_rates(
    schedule: Schedule, lr: float, *, steps_per_epoch: int, epochs: int
) -> StepValues:
    """Return the learning rate of every step of every epoch.

    Args:
        schedule: which closed form, and its settings.
        lr: the optimizer's learning rate; > 0.
        steps_per_epoch: optimizer steps in each epoch; see `steps_per_epoch`.
        epochs: number of epochs.

    Returns:
        `epochs` tuples of `steps_per_epoch` floats; the first belongs to epoch 1.

    Raises:
        PlanError: the schedule does not fit into so many steps, or grows beyond all numbers.
    """
    course = Course(lr=float(lr), steps_per_epoch=steps_per_epoch, epochs=epochs)
    check_steps(schedule, course.steps, epochs=epochs)
    form = _CLOSED_FORMS[schedule.kind]
    try:
        rates = tuple(form(schedule, course, epoch) for epoch in range(epochs))
    except OverflowError as error:
        raise PlanError(
            f"schedule: the learning rate must stay a finite number, {schedule.kind} makes it "
            f"grow beyond all of them within {epochs} epochs. Make gamma smaller."
        ) from error
    return rates if schedule.warmup is None else _warmed_up(rates, schedule.warmup, course)


def check_steps(schedule: Schedule, steps: int, *, epochs: int) -> None:
    """Refuse a schedule that does not fit into so many steps.

    Args:
        schedule: of the training, or of its phase.
        steps: of the same, in all.
        epochs: that they are cut into.

    Raises:
        PlanError: a warm-up that does not end, or a cycle that has no step to rise in.
    """
    length = schedule.warmup.steps if schedule.warmup else None
    if length is not None and length > steps:
        raise PlanError(
            f"schedule.warmup.steps must be at most the steps of the training, got {length} for "
            f"{epochs} epochs of {steps // epochs} steps. Make the warm-up shorter."
        )
    if schedule.kind == "one_cycle" and schedule.pct_start * steps <= 1:
        raise PlanError(
            "schedule: one_cycle must have more than one step to rise in, got a share of "
            f"{schedule.pct_start:g} of {steps} steps. Train longer, or raise pct_start."
        )


def momenta(schedule: Schedule, *, steps_per_epoch: int, epochs: int) -> StepValues:
    """Return the momentum of every step of every epoch, where the schedule moves it.

    Args:
        schedule: which closed form, and its settings.
        steps_per_epoch: optimizer steps in each epoch.
        epochs: number of epochs.

    Returns:
        As `learning_rates`; empty where the optimizer's own momentum counts.
    """
    if schedule.kind != "one_cycle" or not schedule.cycle_momentum:
        return ()
    course = Course(lr=0.0, steps_per_epoch=steps_per_epoch, epochs=epochs)
    check_steps(schedule, course.steps, epochs=epochs)
    low, high = schedule.base_momentum, schedule.max_momentum
    return tuple(
        _up_and_down(schedule, course, epoch, begin=high, middle=low, end=high)
        for epoch in range(epochs)
    )


def steps_per_epoch(images: int, batch_size: int, accumulate: int = 1) -> int:
    """Return how many optimizer steps one pass over `images` takes; see `batch_sizes`.

    Args:
        images: number of images; >= 0.
        batch_size: images per batch; >= 1.
        accumulate: batches per step; the last step takes what is left.
    """
    full, rest = divmod(images, batch_size)
    batches = full + (rest > 1 or (rest == 1 and full == 0))
    return -(-batches // accumulate)


def batch_sizes(images: int, batch_size: int) -> tuple[int, ...]:
    """Cut `images` into batches: no image is dropped, and none is left alone.

    The last batch may be smaller than the others. Where only one image is left over, it joins the
    batch before it: BatchNorm cannot learn from a single image, and a step on one image would
    weigh as much as a step on a whole batch. The rule does not look at the model, so that equal
    settings mean equal batches. With a `batch_size` of 1, batches of one image are what was asked
    for.

    Args:
        images: number of images; >= 0.
        batch_size: images per batch; >= 1.

    Returns:
        Sizes that add up to `images`.
    """
    steps = steps_per_epoch(images, batch_size)
    if steps == 0:
        return ()
    return (batch_size,) * (steps - 1) + (images - batch_size * (steps - 1),)


def _warmed_up(rates: StepValues, warmup: WarmupSettings, course: Course) -> StepValues:
    """Scale the first rates by what rises from `start_factor` to 1 (torch's LinearLR)."""
    length = warmup.steps or (warmup.epochs or 0) * course.steps_per_epoch

    def scaled(rate: float, step: int) -> float:
        if step >= length:
            return rate
        return rate * (warmup.start_factor + (1 - warmup.start_factor) * step / length)

    return tuple(
        tuple(
            scaled(rate, step)
            for step, rate in enumerate(epoch_rates, start=epoch * course.steps_per_epoch)
        )
        for epoch, epoch_rates in enumerate(rates)
    )


def _by_epoch(curve: Curve) -> ClosedForm:
    """Follow a curve from epoch to epoch."""

    def rates(settings: Any, course: Course, epoch: int) -> tuple[float, ...]:
        return (curve(settings, course, epoch),) * course.steps_per_epoch

    return rates


def _by_interval(curve: Curve) -> ClosedForm:
    """Follow a curve from epoch to epoch or from step to step, as the settings want it."""
    by_epoch = _by_epoch(curve)

    def rates(settings: Any, course: Course, epoch: int) -> tuple[float, ...]:
        if settings.interval == "epoch":
            return by_epoch(settings, course, epoch)
        steps = course.steps_per_epoch
        return tuple(curve(settings, course, epoch + step / steps) for step in range(steps))

    return rates


def _constant(_settings: Any, course: Course, _time: float) -> float:
    return course.lr


def _piecewise(settings: Any, course: Course, time: float) -> float:
    begun = {int(epoch): rate for epoch, rate in settings.rates.items() if int(epoch) <= time + 1}
    return float(begun[max(begun)]) if begun else course.lr


def _step(settings: Any, course: Course, time: float) -> float:
    return float(course.lr * settings.gamma ** (time // settings.step_size))


def _multi_step(settings: Any, course: Course, time: float) -> float:
    return float(course.lr * settings.gamma ** bisect_right(settings.milestones, time))


def _exponential(settings: Any, course: Course, time: float) -> float:
    return float(course.lr * settings.gamma**time)


def _cosine(settings: Any, course: Course, time: float) -> float:
    return _half_cosine(course.lr, settings.min_lr, time / course.epochs)


def _cosine_restarts(settings: Any, course: Course, time: float) -> float:
    length = settings.t_0
    if settings.t_mult == 1:
        time %= length
    while time >= length:
        time -= length
        length *= settings.t_mult
    return _half_cosine(course.lr, settings.min_lr, time / length)


def _one_cycle(settings: Any, course: Course, epoch: int) -> tuple[float, ...]:
    begin = course.lr / settings.div_factor
    end = begin / settings.final_div_factor
    return _up_and_down(settings, course, epoch, begin=begin, middle=course.lr, end=end)


def _up_and_down(
    settings: Any, course: Course, epoch: int, *, begin: float, middle: float, end: float
) -> tuple[float, ...]:
    """Go from `begin` to `middle` in the first part of the steps, then to `end`."""
    turn = settings.pct_start * course.steps - 1
    between = _half_cosine if settings.anneal == "cos" else _straight
    first = epoch * course.steps_per_epoch
    return tuple(
        between(begin, middle, step / turn)
        if step <= turn
        else between(middle, end, (step - turn) / (course.steps - 1 - turn))
        for step in range(first, first + course.steps_per_epoch)
    )


def _half_cosine(begin: float, end: float, share: float) -> float:
    return end + (begin - end) / 2 * (1 + math.cos(math.pi * share))


def _straight(begin: float, end: float, share: float) -> float:
    return begin + (end - begin) * share


_CLOSED_FORMS: dict[str, ClosedForm] = {
    "constant": _by_epoch(_constant),
    "piecewise": _by_epoch(_piecewise),
    "step": _by_epoch(_step),
    "multi_step": _by_epoch(_multi_step),
    "exponential": _by_epoch(_exponential),
    "cosine": _by_interval(_cosine),
    "cosine_restarts": _by_interval(_cosine_restarts),
    "one_cycle": _one_cycle,
    "plateau": _by_epoch(_constant),
}
