"""How a cell is trained: optimizers, schedules, clipping, averaging, the loss."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from foodvision.plan.stopping import Metric  # noqa: TC001 - pydantic reads it
from foodvision.plan.values import (
    MAX_COUNT,
    Count,
    Factor,
    NotNegative,
    Rate,
    Share,
    broken_rule,
)
from foodvision.plan.values import Settings as _Settings


def _check_epoch(epoch: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,6}", epoch) or not 2 <= int(epoch) <= MAX_COUNT:
        rule = f"must be an epoch from 2 to {MAX_COUNT}, got {epoch!r}"
        hint = ": the rate of epoch 1 is optimizer.lr" if epoch == "1" else ""
        raise broken_rule(rule + hint)
    return epoch


def _check_rising(numbers: tuple[int, ...]) -> tuple[int, ...]:
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        raise broken_rule(f"must rise from one to the next, got {list(numbers)}: sort them")
    return numbers


Betas = Annotated[
    tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]],
    Field(strict=False),
]


class AdamSettings(_Settings):
    """Adam (Kingma and Ba, 2015), with torch's defaults."""

    kind: Literal["adam"]
    lr: Rate
    betas: Betas = (0.9, 0.999)
    eps: Rate = 1e-8
    weight_decay: NotNegative = 0.0


class AdamWSettings(_Settings):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019), with torch's defaults."""

    kind: Literal["adamw"]
    lr: Rate
    betas: Betas = (0.9, 0.999)
    eps: Rate = 1e-8
    weight_decay: NotNegative = 0.01


class SgdSettings(_Settings):
    """Stochastic gradient descent, with torch's defaults."""

    kind: Literal["sgd"]
    lr: Rate
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    nesterov: bool = False
    weight_decay: NotNegative = 0.0


class RmspropSettings(_Settings):
    """RMSprop (Tieleman and Hinton, 2012), with torch's defaults.

    Attributes:
        alpha: decay of the running mean of squares, in [0, 1).
        centered: whether the running mean is taken off the squares.
    """

    kind: Literal["rmsprop"]
    lr: Rate
    alpha: Annotated[float, Field(ge=0, lt=1)] = 0.99
    eps: Rate = 1e-8
    weight_decay: NotNegative = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    centered: bool = False


Optimizer = Annotated[
    AdamSettings | AdamWSettings | SgdSettings | RmspropSettings, Field(discriminator="kind")
]


class ClipSettings(_Settings):
    """Gradients are cut before a step: their common length, or each number.

    Attributes:
        norm: longest gradient of all parameters together; a longer one is scaled down.
        value: largest absolute value of a number of a gradient, in place of `norm`.
    """

    norm: Rate | None = None
    value: Rate | None = None


class EmaSettings(_Settings):
    """A moving average of the weights; it is what is scored and saved.

    Attributes:
        decay: share of the average that a step leaves, in (0, 1).
    """

    decay: Annotated[float, Field(gt=0, lt=1)]


Interval = Literal["epoch", "step"]


class WarmupSettings(_Settings):
    """The rate rises in a straight line, step by step, to what the schedule says.

    Attributes:
        epochs: that it takes.
        steps: optimizer steps that it takes, in place of `epochs`.
        start_factor: share of the schedule's rate that the first step takes, in (0, 1].
    """

    epochs: Count | None = None
    steps: Count | None = None
    start_factor: Factor = 0.1


class ConstantSchedule(_Settings):
    """The learning rate stays as it is.

    Attributes:
        warmup: how the first steps get there.
    """

    kind: Literal["constant"] = "constant"
    warmup: WarmupSettings | None = None


class PiecewiseSchedule(_Settings):
    """Any rate from any epoch on; until then the optimizer's.

    Attributes:
        rates: the rate by the epoch that it begins with, from 2.
        warmup: how the first steps get there.
    """

    kind: Literal["piecewise"]
    rates: Annotated[dict[Annotated[str, AfterValidator(_check_epoch)], Rate], Field(min_length=1)]
    warmup: WarmupSettings | None = None


class StepSchedule(_Settings):
    """The rate is multiplied after every so many epochs (torch's StepLR).

    Attributes:
        step_size: epochs between two changes.
        gamma: what it is multiplied by.
        warmup: how the first steps get there.
    """

    kind: Literal["step"]
    step_size: Count
    gamma: Rate = 0.1
    warmup: WarmupSettings | None = None


class MultiStepSchedule(_Settings):
    """The rate is multiplied after given epochs (torch's MultiStepLR).

    Attributes:
        milestones: epochs after which it changes, rising.
        gamma: what it is multiplied by.
        warmup: how the first steps get there.
    """

    kind: Literal["multi_step"]
    milestones: Annotated[
        tuple[Count, ...], Field(strict=False, min_length=1), AfterValidator(_check_rising)
    ]
    gamma: Rate = 0.1
    warmup: WarmupSettings | None = None


class ExponentialSchedule(_Settings):
    """The rate is multiplied after every epoch (torch's ExponentialLR).

    Attributes:
        gamma: what it is multiplied by.
        warmup: how the first steps get there.
    """

    kind: Literal["exponential"]
    gamma: Rate
    warmup: WarmupSettings | None = None


class CosineSchedule(_Settings):
    """Half a cosine over the whole training (Loshchilov and Hutter, 2017; CosineAnnealingLR).

    Attributes:
        min_lr: what the rate comes down to.
        interval: whether it moves after every epoch or after every step.
        warmup: how the first steps get there.
    """

    kind: Literal["cosine"]
    min_lr: NotNegative = 0.0
    interval: Interval = "epoch"
    warmup: WarmupSettings | None = None


class CosineRestartsSchedule(_Settings):
    """Half cosines, one after the other (SGDR; torch's CosineAnnealingWarmRestarts).

    Attributes:
        t_0: epochs of the first one.
        t_mult: how many times as long as the one before each following one is.
        min_lr: what the rate comes down to.
        interval: whether it moves after every epoch or after every step.
        warmup: how the first steps get there.
    """

    kind: Literal["cosine_restarts"]
    t_0: Count
    t_mult: Count = 1
    min_lr: NotNegative = 0.0
    interval: Interval = "epoch"
    warmup: WarmupSettings | None = None


class OneCycleSchedule(_Settings):
    """Up to the optimizer's rate and down to almost nothing, step by step (Smith and Topin, 2018).

    The defaults are those of torch's OneCycleLR, whose `max_lr` is the optimizer's `lr`.

    Attributes:
        pct_start: share of the steps that it rises for, in (0, 1).
        anneal: the shape of both halves.
        div_factor: the first rate is the highest one divided by it.
        final_div_factor: the last rate is the first one divided by it.
        cycle_momentum: whether the momentum (Adam's first beta) goes down and up meanwhile.
        base_momentum: the momentum where the rate is highest.
        max_momentum: the momentum at both ends.
        warmup: how the first steps get there.
    """

    kind: Literal["one_cycle"]
    pct_start: Share = 0.3
    anneal: Literal["cos", "linear"] = "cos"
    div_factor: Annotated[float, Field(ge=1)] = 25.0
    final_div_factor: Annotated[float, Field(ge=1)] = 10_000.0
    cycle_momentum: bool = True
    base_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.85
    max_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.95
    warmup: WarmupSettings | None = None


class PlateauSchedule(_Settings):
    """The rate falls when a metric no longer improves (torch's ReduceLROnPlateau).

    Attributes:
        metric: what is watched; accuracy is better when larger, loss when smaller.
        factor: what the rate is multiplied by, in (0, 1).
        patience: the rate falls when more than so many epochs, one after the other, have passed
            without an improvement.
        min_delta: what is better by no more than this is no improvement.
        cooldown: epochs after a change in which nothing counts.
        min_lr: what the rate comes down to.
        warmup: how the first steps get there.
    """

    kind: Literal["plateau"]
    metric: Metric = "valid.loss"
    factor: Share = 0.1
    patience: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 10
    min_delta: NotNegative = 0.0
    cooldown: Annotated[int, Field(ge=0, le=MAX_COUNT)] = 0
    min_lr: NotNegative = 0.0
    warmup: WarmupSettings | None = None


Schedule = Annotated[
    ConstantSchedule
    | PiecewiseSchedule
    | StepSchedule
    | MultiStepSchedule
    | ExponentialSchedule
    | CosineSchedule
    | CosineRestartsSchedule
    | OneCycleSchedule
    | PlateauSchedule,
    Field(discriminator="kind"),
]


class LossSettings(_Settings):
    """Cross-entropy; `label_smoothing` in [0, 1)."""

    kind: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
