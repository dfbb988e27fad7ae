"""Stop rules: which state of a training is the cell's, decided by a metric that is watched.

A rule acts on no weight: it reads the curve of its metric, epoch by epoch, and says when enough was
trained and which state counts. So it is in no key of a state, and whoever knows the curve knows
what the rule decides, without training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from foodvision.plan.values import Count, NotNegative, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from foodvision.plan.facts import ImageSet

Metric = Literal[
    "valid.loss",
    "valid.accuracy",
    "test.loss",
    "test.accuracy",
    "train.loss",
    "train.accuracy",
]


class StopSettings(Settings):
    """Training ends when a metric no longer improves.

    Attributes:
        metric: what is watched; accuracy is better when larger, loss when smaller.
        patience: so many epochs, one after the other, may pass without an improvement.
        min_delta: what is better by no more than this is no improvement.
        restore: whether the state after the best epoch is the result, or the last one.
    """

    metric: Metric = "valid.loss"
    patience: Count
    min_delta: NotNegative = 0.0
    restore: Literal["best", "last"] = "best"


def stop_words(stop: Mapping[str, Any] | None) -> str:
    """Say in a few words when training ends: `none`, or `valid.loss, patience 3, best`.

    Args:
        stop: plain values of a checked cell.
    """
    if stop is None:
        return "none"
    return f"{stop['metric']}, patience {stop['patience']}, {stop['restore']}"


@dataclass(frozen=True)
class Curve:
    """What is known of a metric, from some epoch on without a gap.

    Attributes:
        values: one per epoch; `None` where it is no finite number.
        held: for every value, the key of a finished span that holds the epoch.
        diverged: training diverged in the last of these epochs, none follows.
    """

    values: tuple[float | None, ...] = ()
    held: tuple[str, ...] = ()
    diverged: bool = False


class Curves(Protocol):
    """What trainings have scored so far."""

    def curve(
        self, states: Sequence[str], metric: Metric, images: ImageSet | None, *, first_epoch: int
    ) -> Curve:
        """Return what is known of a metric from `first_epoch` (from 1) on.

        Args:
            states: keys of the states of a chain, from epoch 1.
            metric: which one.
            images: that it is measured on; `None` for one of training itself.
            first_epoch: where the curve begins.
        """


class NoCurves:
    """Nothing has been trained."""

    def curve(
        self,
        states: Sequence[str],  # noqa: ARG002 - as in the protocol
        metric: Metric,  # noqa: ARG002
        images: ImageSet | None,  # noqa: ARG002
        *,
        first_epoch: int,  # noqa: ARG002
    ) -> Curve:
        """Return an empty curve."""
        return Curve()


class Judge:
    """Follows a metric and knows when its rule wants no more epochs.

    An improvement is a value that is better than the best so far by more than `min_delta` (as in
    Keras' `EarlyStopping`); the first finite value is one.
    """

    def __init__(self, rule: StopSettings, *, first_epoch: int) -> None:
        self._rule = rule
        self._sign = -1.0 if rule.metric.endswith("accuracy") else 1.0
        self._best = math.inf
        self._waited = 0
        self._epoch = first_epoch - 1
        self.best_epoch: int | None = None

    def observe(self, values: Iterable[float | None]) -> None:
        """Take in the values of the next epochs; those after the end change nothing."""
        for value in values:
            if self.is_over:
                return
            self._epoch += 1
            cost = math.inf if value is None or not math.isfinite(value) else self._sign * value
            if cost < self._best - self._rule.min_delta:
                self._best, self.best_epoch, self._waited = cost, self._epoch, 0
            else:
                self._waited += 1

    @property
    def is_over(self) -> bool:
        """Whether the rule wants no more epochs."""
        return self._waited >= self._rule.patience

    @property
    def epoch(self) -> int:
        """The last epoch that was looked at."""
        return self._epoch

    @property
    def chosen(self) -> int:
        """The epoch whose state is the result if training ends here."""
        if self._rule.restore == "last" or self.best_epoch is None:
            return self._epoch
        return self.best_epoch


@dataclass(frozen=True)
class Decision:
    """What a rule has decided.

    Attributes:
        epoch: whose state is the result.
        last_epoch: the last one that was trained for it.
        held: key of a finished span that holds the last epoch.
    """

    epoch: int
    last_epoch: int
    held: str


@dataclass(frozen=True)
class Watch:
    """A rule over one phase of a training, and what it has decided.

    Attributes:
        rule: the rule.
        images: that its metric is measured on; `None` for one of training itself.
        first_epoch: of the phase, from 1.
        last_epoch: of the phase, included: where it ends if the rule does not end it.
        decision: `None` where there is none, because the curve is not known so far, or because
            training diverged.
        diverged: nothing is left to decide: what is reached is the result.
    """

    rule: StopSettings
    images: ImageSet | None
    first_epoch: int
    last_epoch: int
    decision: Decision | None = None
    diverged: bool = False

    @property
    def is_open(self) -> bool:
        """Whether more has to be trained before the rule can decide."""
        return self.decision is None and not self.diverged

    def judge(self, values: Iterable[float | None] = ()) -> Judge:
        """Return a judge who has seen the values from the first epoch on."""
        judge = Judge(self.rule, first_epoch=self.first_epoch)
        judge.observe(values)
        return judge


def watch(
    rule: StopSettings,
    images: ImageSet | None,
    states: Sequence[str],
    curves: Curves,
    *,
    first_epoch: int,
) -> Watch:
    """Watch the last phase of a chain, and decide as far as its curve is known.

    Args:
        rule: the phase's.
        images: that its metric is measured on; `None` for one of training itself.
        states: keys of all states from epoch 1 to the end of the phase.
        curves: what is known.
        first_epoch: of the phase.
    """
    found = curves.curve(states, rule.metric, images, first_epoch=first_epoch)
    open_watch = Watch(rule, images, first_epoch, len(states))
    judge = open_watch.judge(found.values)
    if not judge.is_over and found.diverged:
        return Watch(rule, images, first_epoch, len(states), diverged=True)
    if not judge.is_over and judge.epoch < len(states):
        return open_watch
    decision = Decision(judge.chosen, judge.epoch, found.held[judge.epoch - first_epoch])
    return Watch(rule, images, first_epoch, len(states), decision)
