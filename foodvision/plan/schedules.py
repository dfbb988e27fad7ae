"""Learning rates as closed forms in plain Python: the floats in the keys are those that train.

A schedule is a function of the epoch alone (and of the settings), never of what happened while
training, so it can be evaluated for any epoch without running the ones before it.

To add one: write its closed form below, name it in `_CLOSED_FORMS`, and pin it in the tests
against torch's scheduler of the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from foodvision.errors import PlanError


class ScheduleSettings(Protocol):
    """Settings of one kind of schedule, as a plan holds them."""

    @property
    def kind(self) -> str:
        """Name of the schedule: `constant`."""


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


# From settings, course and epoch (from 1) to the learning rate of each step of that epoch.
ClosedForm = Callable[[Any, Course, int], tuple[float, ...]]


def learning_rates(
    schedule: ScheduleSettings, lr: float, *, steps_per_epoch: int, epochs: int
) -> tuple[tuple[float, ...], ...]:
    """Return the learning rate of every step of every epoch.

    Args:
        schedule: which closed form, and its settings.
        lr: the optimizer's learning rate; >= 0.
        steps_per_epoch: optimizer steps in each epoch; see `steps_per_epoch`.
        epochs: number of epochs.

    Returns:
        `epochs` tuples of `steps_per_epoch` floats; the first belongs to epoch 1.

    Raises:
        PlanError: there is no such schedule.
    """
    form = _CLOSED_FORMS.get(schedule.kind)
    if form is None:
        raise PlanError(
            f"schedule.kind must be one of {', '.join(sorted(_CLOSED_FORMS))}, got "
            f"{schedule.kind!r}. Choose one of these."
        )
    course = Course(lr=float(lr), steps_per_epoch=steps_per_epoch, epochs=epochs)
    return tuple(form(schedule, course, epoch) for epoch in range(1, epochs + 1))


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Return how many optimizer steps one pass over `images` takes; see `batch_sizes`."""
    full, rest = divmod(images, batch_size)
    return full + (rest > 1 or (rest == 1 and full == 0))


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


def _constant(_settings: ScheduleSettings, course: Course, _epoch: int) -> tuple[float, ...]:
    return (course.lr,) * course.steps_per_epoch


_CLOSED_FORMS: dict[str, ClosedForm] = {"constant": _constant}
