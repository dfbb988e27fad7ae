"""Read from the store what trainings have scored, epoch by epoch: what stop rules look at."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from foodvision.plan.graph import score_key
from foodvision.plan.stopping import Curve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from foodvision.plan.facts import ImageSet
    from foodvision.plan.stopping import Metric
    from foodvision.store import Store


def told_accuracy(loss: float | None, accuracy: float | None) -> float | None:
    """Return an accuracy, `None` where the loss beside it is no finite number.

    What a diverged model says is no number: that it reads as the first class, and is right where
    that is the true one, is no finding.
    """
    return None if loss is None or not math.isfinite(loss) else accuracy


def told_metric(name: str, *, loss: float | None, accuracy: float | None) -> float | None:
    """Return `loss` or `accuracy` of an epoch; `None`: it is no finite number, or no answer."""
    if name == "accuracy":
        return told_accuracy(loss, accuracy)
    return loss if loss is not None and math.isfinite(loss) else None


def read_curve(
    store: Store,
    states: Sequence[str],
    metric: Metric,
    images: ImageSet | None,
    *,
    first_epoch: int,
    has: Callable[[str, str], bool] | None = None,
    is_whole: bool = False,
) -> Curve:
    """Return what is known of a metric, as far as it has no gap; see `Curves.curve`.

    Args:
        store: of finished stages.
        states: keys of the states of a chain, from epoch 1.
        metric: which one.
        images: that it is measured on; `None` for one of training itself.
        first_epoch: where the curve begins, from 1.
        has: says whether a stage (kind, key) is finished; the store's own answer by default.
        is_whole: with the epoch that diverged, which decides nothing.
    """
    reader = _CurveReader(store, states, metric, images, has or store.has, is_whole=is_whole)
    values: list[float | None] = []
    held: list[str] = []
    while (epoch := first_epoch + len(values)) <= len(states):
        found = reader.from_epoch(epoch)
        if found is None:
            break
        values += found.values
        held += found.held
        if found.diverged:
            return Curve(tuple(values), tuple(held), diverged=True)
    return Curve(tuple(values), tuple(held))


class StoreCurves:
    """What trainings have left in a store.

    Args:
        store: where they lie.
        is_whole: with epochs that diverged, which decide nothing, and can be told.
    """

    def __init__(self, store: Store, *, is_whole: bool = False) -> None:
        self._store = store
        self._is_whole = is_whole

    def curve(
        self, states: Sequence[str], metric: Metric, images: ImageSet | None, *, first_epoch: int
    ) -> Curve:
        """Return what is known of a metric from `first_epoch` on; see `Curves`."""
        return read_curve(
            self._store, states, metric, images, first_epoch=first_epoch, is_whole=self._is_whole
        )


class _CurveReader:
    def __init__(
        self,
        store: Store,
        states: Sequence[str],
        metric: Metric,
        images: ImageSet | None,
        has: Callable[[str, str], bool],
        *,
        is_whole: bool,
    ) -> None:
        self._store = store
        self._states = states
        self._part, _, self._name = metric.partition(".")
        self._images = images
        self._has = has
        self._is_whole = is_whole

    def from_epoch(self, epoch: int) -> Curve | None:
        """Return what one finished span tells of an epoch and those that follow it."""
        for key in self._states[epoch - 1 :]:
            if not self._has("train", key):
                continue
            notes = self._store.get("train", key).notes
            rows = self._rows(notes) if notes["first_epoch"] <= epoch else None
            found = None if rows is None else self._read(notes, rows, epoch)
            if found is not None:
                return found
        return None

    def _rows(self, notes: Mapping[str, Any]) -> dict[int, float | None] | None:
        """Return the metric by epoch; `None` where it was not measured."""
        if self._images is None:
            return {row["epoch"]: self._told(row, "train_") for row in notes["epochs"]}
        key = score_key(notes["states"][-1], self._images.digest)
        if not self._has("score", key):
            return None
        rows = self._store.get("score", key).notes["rows"]
        return {row["epoch"]: self._told(row) for row in rows}

    def _told(self, row: Mapping[str, Any], prefix: str = "") -> float | None:
        loss, accuracy = row[f"{prefix}loss"], row[f"{prefix}accuracy"]
        return told_metric(self._name, loss=loss, accuracy=accuracy)

    def _read(
        self, notes: Mapping[str, Any], rows: Mapping[int, float | None], epoch: int
    ) -> Curve | None:
        """Return the epochs that were trained and measured."""
        values: list[float | None] = []
        for row in notes["epochs"]:
            if row["epoch"] >= epoch and (self._is_whole or not row["diverged"]):
                if row["epoch"] not in rows:
                    break
                values.append(rows[row["epoch"]])
        if not values and not notes["diverged"]:
            return None
        held = (notes["states"][-1],) * len(values)
        return Curve(tuple(values), held, diverged=bool(notes["diverged"]))
