"""Stop rules: which state of a training is the cell's, decided by a metric that is watched.

A rule acts on no weight: it reads the curve of its metric, epoch by epoch, and says when enough was
trained and which state counts. So it is in no key of a state, and whoever knows the curve knows
what the rule decides, without training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from foodvision.plan.values import Count, NotNegative, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from foodvision.plan.alerts import Condition
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


def stop_words(stop: Mapping[str, Any] | None, bounds: Sequence[str] = ()) -> str:
    """Say in a few words when training ends: `none`, or `valid.loss, patience 3, best`.

    Args:
        stop: plain values of a checked cell.
        bounds: conditions of alerts that end it.
    """
    own = [f"{stop['metric']}, patience {stop['patience']}, {stop['restore']}"] if stop else []
    return "; ".join([*own, *bounds]) or "none"


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


class Panel:
    """Follows all that may end a phase: its stop rule, and bounds that alerts set.

    Whichever is the first ends it. The stop rule, where there is one, chooses the state, whoever
    ends the phase; else it is the last one.
    """

    def __init__(
        self, rule: StopSettings | None, bounds: Sequence[Condition], *, first_epoch: int
    ) -> None:
        self._judge = Judge(rule, first_epoch=first_epoch) if rule else None
        self._bounds = bounds
        self.is_halted = False
        self.epoch = first_epoch - 1

    def observe(self, rows: Iterable[Sequence[float | None]]) -> None:
        """Take in what was measured in the next epochs; those after the end change nothing.

        Args:
            rows: per epoch, the stop rule's metric, if there is one, then that of each bound.
        """
        for row in rows:
            if self.is_over:
                return
            self.epoch += 1
            values = row
            if self._judge:
                self._judge.observe(row[:1])
                values = row[1:]
            pairs = zip(self._bounds, values, strict=True)
            self.is_halted = any(bound.holds(value) for bound, value in pairs)

    @property
    def is_over(self) -> bool:
        """Whether nobody wants more epochs."""
        return self.is_halted or (self._judge is not None and self._judge.is_over)

    @property
    def chosen(self) -> int:
        """The epoch whose state is the result if training ends here."""
        return self._judge.chosen if self._judge else self.epoch


@dataclass(frozen=True)
class Decision:
    """What a rule has decided.

    Attributes:
        epoch: whose state is the result.
        last_epoch: the last one that was trained for it.
        held: key of a finished span that holds the last epoch.
        is_halted: a bound of an alert was crossed: no phase follows.
    """

    epoch: int
    last_epoch: int
    held: str
    is_halted: bool = False


@dataclass(frozen=True)
class Seen:
    """What is known of all metrics that a watch looks at, without a gap.

    Attributes:
        rows: one per epoch, from its first on: a value per metric.
        held: for every row, the key of a finished span that holds the epoch.
        diverged: training diverged in the last of these epochs, none follows.
    """

    rows: tuple[tuple[float | None, ...], ...]
    held: tuple[str, ...]
    diverged: bool


@dataclass(frozen=True)
class Watch:
    """What may end one phase of a training before its last epoch, and what it has decided.

    Attributes:
        rule: the stop rule, if there is one.
        bounds: of alerts that end a cell.
        images: that the metrics are measured on, the rule's first; `None` for one of training
            itself.
        first_epoch: of the phase, from 1.
        last_epoch: of the phase, included: where it ends if nothing ends it before.
        decision: `None` where there is none, because the curve is not known so far, or because
            training diverged.
        diverged: nothing is left to decide: what is reached is the result.
    """

    rule: StopSettings | None
    bounds: tuple[Condition, ...]
    images: tuple[ImageSet | None, ...]
    first_epoch: int
    last_epoch: int
    decision: Decision | None = None
    diverged: bool = False

    @property
    def is_open(self) -> bool:
        """Whether more has to be trained before the rule can decide."""
        return self.decision is None and not self.diverged

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What it looks at: the rule's metric, if there is one, then that of each bound."""
        own: tuple[Metric, ...] = (self.rule.metric,) if self.rule else ()
        return (*own, *(bound.metric for bound in self.bounds))  # type: ignore[arg-type]

    @property
    def words(self) -> str:
        """Say what may end the phase: `valid.loss, patience 3; train.loss > 3`."""
        own = [f"{self.rule.metric}, patience {self.rule.patience}"] if self.rule else []
        return "; ".join([*own, *(bound.name for bound in self.bounds)])

    def panel(self, rows: Iterable[Sequence[float | None]] = ()) -> Panel:
        """Return a panel that has seen what was measured from the first epoch on."""
        panel = Panel(self.rule, self.bounds, first_epoch=self.first_epoch)
        panel.observe(rows)
        return panel

    def look(self, states: Sequence[str], curves: Curves) -> Seen:
        """Return what is known of all that it looks at.

        Args:
            states: keys of all states from epoch 1.
            curves: what is known.
        """
        pairs = zip(self.metrics, self.images, strict=True)
        found = [
            curves.curve(states, metric, images, first_epoch=self.first_epoch)
            for metric, images in pairs
        ]
        rows = tuple(zip(*(curve.values for curve in found), strict=False))
        is_end = all(curve.diverged and len(curve.values) == len(rows) for curve in found)
        return Seen(rows, found[0].held[: len(rows)], is_end)


def watch(
    rule: StopSettings | None,
    bounds: Sequence[Condition],
    images: Sequence[ImageSet | None],
    states: Sequence[str],
    curves: Curves,
    *,
    first_epoch: int,
) -> Watch:
    """Watch the last phase of a chain, and decide as far as its curves are known.

    Args:
        rule: the phase's, if it has one.
        bounds: of alerts; there is one of both at least.
        images: that the metrics are measured on, the rule's first; `None` for one of training
            itself.
        states: keys of all states from epoch 1 to the end of the phase.
        curves: what is known.
        first_epoch: of the phase.
    """
    waiting = Watch(rule, tuple(bounds), tuple(images), first_epoch, len(states))
    seen = waiting.look(states, curves)
    panel = waiting.panel(seen.rows)
    if not panel.is_over and seen.diverged:
        return replace(waiting, diverged=True)
    if not panel.is_over and panel.epoch < len(states):
        return waiting
    held = seen.held[panel.epoch - first_epoch]
    decision = Decision(panel.chosen, panel.epoch, held, is_halted=panel.is_halted)
    return replace(waiting, decision=decision)
