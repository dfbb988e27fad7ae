"""The alerts of a run: found as its cells become known, written down, told beside the run."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from foodvision.errors import StoreError
from foodvision.leases import own_lease
from foodvision.plan.alerts import EPOCH_METRICS, is_calibrated
from foodvision.store import Store
from tasks.alerts import AlertBook, Finding, find_alerts
from tasks.curves import curves_about, read_curves, result_metrics
from tasks.loading import load_alerts
from tasks.notifying import Channels, Teller
from tasks.publishing import training_status
from warehouse.reading import curves, metrics_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from foodvision.home import Home
    from foodvision.plan.composites import Composite
    from foodvision.plan.expand import Cell
    from foodvision.plan.graph import CompiledCell, Graph
    from foodvision.plan.schema import Plan
    from tasks.alerts import Alert

_ENDED = ("completed", "diverged")
_Values = dict[str, float | None]


class Alarms:
    """Finds and tells the alerts of one run; a plan without any costs nothing.

    Args:
        plan: whose rules count.
        home: of the run.
        run_id: of the run.
    """

    def __init__(self, plan: Plan, home: Home, run_id: str) -> None:
        self._plan = plan
        self._home = home
        self._run_id = run_id
        self._store = Store(home.store)
        self._book = AlertBook(home)
        self._channels = Channels(plan.alerts)
        self._teller = Teller(self._book, self._channels, home)
        self._raised: dict[tuple[str, str, bool], None] = {}
        self._of_this_run: set[str] = set()
        self._known: set[str] = set()
        conditions = [(rule.moment, rule.condition.metric) for rule in plan.alerts]
        self._in_epochs = sorted({metric for moment, metric in conditions if moment == "epochs"})
        self._extra = {metric for _, metric in conditions} - {"", *EPOCH_METRICS}

    def begin(self, living: Callable[[], Collection[str]]) -> None:
        """Tell what earlier runs wrote down and did not live to tell.

        Args:
            living: gives the ids of the runs of this home that go on.
        """
        self._tell(self._book.take_over(self._run_id, living, self._channels))

    def look(self, cells: Iterable[tuple[CompiledCell, bool]]) -> None:
        """Look at cells while the run goes on: at their epochs so far, and at what they came to.

        What cannot be read just now is looked at when the run ends.

        Args:
            cells: of which no job has failed, and whether all of their jobs have ended.
        """
        found = []
        for compiled, is_done in cells if self._plan.alerts else ():
            with suppress(StoreError):
                found.append(self._so_far(compiled))
                if is_done:
                    found.append(self._done(compiled))
        self._raise(found)

    def fail(self, failed: Iterable[tuple[Cell | Composite, str]]) -> None:
        """Tell what failed with a run that died; what it was, and why."""
        if self._plan.alerts:
            self._raise([_failure(row, error, self._run_id) for row, error in failed])

    def judge(
        self,
        leaderboard: Sequence[Mapping[str, Any]],
        failed: Iterable[tuple[Cell | Composite, str]],
        graph: Graph,
    ) -> None:
        """Look at all that a run found, and at what failed in it.

        Args:
            leaderboard: rows as `rank_cells` returns them.
            failed: what failed, and why.
            graph: the cells, compiled.
        """
        if not self._plan.alerts:
            return
        broken = [_failure(row, error, self._run_id) for row, error in failed]
        ids = {finding.cell_id for finding in broken}
        rows = [row for row in leaderboard if row["status"] in _ENDED and row["cell_id"] not in ids]
        keys = [row["result_key"] for row in rows]
        extras, epochs = self._extra_metrics(keys), self._curves(keys)
        compiled = {each.cell.cell_id: each for each in graph.cells}
        scored = {each.composite.cell_id: each.image_sets for each in graph.composites}
        for row in rows:
            about, key = compiled.get(row["cell_id"]), row["result_key"]
            images = about.image_sets if about else scored[row["cell_id"]]
            parts = (*(("train",) if about else ()), *images)
            broken.append(
                _result(
                    row,
                    self._metrics(row, parts, extras.get(key, {})),
                    epochs.get(key, {}),
                    curves_about(about, self._in_epochs) if about else {},
                )
            )
        self._raise(broken)

    def _metrics(self, row: Mapping[str, Any], parts: Sequence[str], extras: _Values) -> _Values:
        """Return what a rule may look at of a result.

        Args:
            row: of the leaderboard.
            parts: of the data that it was measured on: `test`, or also `train` and `valid`.
            extras: what the warehouse has besides; nothing of a part without answers.
        """
        found = {name: _finite(row[_column(name)]) for name in EPOCH_METRICS if _in(name, parts)}
        silent = [part for part in parts if found[f"{part}.loss"] is None]
        none = {name: None for name in self._extra if _in(name, silent)}
        return {
            name: value
            for name, value in (found | none | extras).items()
            if "valid" in parts or not is_calibrated(name)
        }

    def close(self) -> None:
        """Wait a little for what is being told, and let the warehouse know what became of it."""
        self._teller.close()
        if self._of_this_run:
            load_alerts(self._home)

    @property
    def count(self) -> int:
        """Number of alerts that the run found, whoever was told."""
        return len(self._raised)

    @property
    def undelivered(self) -> int:
        """Number of alerts that this run was to deliver to someone, and could not."""
        return len(self._undelivered())

    @property
    def undelivered_before(self) -> int:
        """Number of those that earlier runs found, and that this run could not deliver either."""
        return len(self._undelivered() - self._raised.keys())

    def _undelivered(self) -> set[tuple[str, str, bool]]:
        kept = self._book.read() if self._of_this_run else {}
        mine = [kept[each] for each in self._of_this_run if each in kept]
        return {_told_of(each.alert) for each in mine if each.status != "delivered"}

    def _raise(self, findings: Iterable[Finding]) -> None:
        found = find_alerts(self._plan, findings, self._run_id)
        unknown = [alert for alert in found if alert.alert_id not in self._known]
        self._known.update(alert.alert_id for alert in unknown)
        new = self._book.raise_new(unknown)
        self._raised.update(dict.fromkeys(map(_told_of, new)))
        self._tell(new)

    def _tell(self, alerts: Sequence[Alert]) -> None:
        self._of_this_run.update(alert.alert_id for alert in alerts)
        self._teller.tell(alerts)

    def _so_far(self, compiled: CompiledCell) -> Finding:
        """Return what the store tells of a cell's epochs."""
        return Finding(
            cell_id=compiled.cell.cell_id,
            label=compiled.cell.label,
            curves=read_curves(self._store, compiled, self._in_epochs),
            curves_about=curves_about(compiled, self._in_epochs),
        )

    def _done(self, compiled: CompiledCell) -> Finding:
        """Return what the store tells of a cell that is done; the rest is known at the end."""
        return Finding(
            cell_id=compiled.cell.cell_id,
            label=compiled.cell.label,
            about=compiled.result_key,
            result_key=compiled.result_key,
            status=training_status(self._store, compiled),
            metrics=result_metrics(self._store, compiled),
        )

    def _extra_metrics(self, keys: Sequence[str]) -> dict[str, _Values]:
        """Return by result what is not in the leaderboard, where a rule looks at any of it."""
        found: dict[str, _Values] = {}
        for each in metrics_of(self._home.warehouse, keys) if self._extra else ():
            named = {f"{each.split}.{name}": value for name, value in asdict(each).items()}
            of_result = found.setdefault(each.result_key, {})
            of_result |= {name: _finite(named[name]) for name in self._extra if name in named}
        return found

    def _curves(self, keys: Sequence[str]) -> dict[str, dict[str, list[float | None]]]:
        """Return by result and metric the values after every epoch, where a rule looks at any."""
        found: dict[str, dict[str, list[float | None]]] = {}
        for point in curves(self._home.warehouse, keys) if self._in_epochs else ():
            of_result = found.setdefault(point.result_key, {})
            for metric in self._in_epochs:
                value = getattr(point, _column(metric))
                of_result.setdefault(metric, []).append(_finite(value))
        return found


def tell_left(home: Home, living: Callable[[], Collection[str]]) -> None:
    """Tell what runs of a home wrote down and did not live to tell, without a run.

    Args:
        home: whose runs.
        living: gives the ids of those that go on.
    """
    book, channels = AlertBook(home), Channels(())
    me = str(own_lease(Store(home.store).leases))
    left = book.take_over(me, living, channels)
    if not left:
        return
    teller = Teller(book, channels, home)
    teller.tell(left)
    if teller.close():
        book.leave(me)
    load_alerts(home)


def _told_of(alert: Alert) -> tuple[str, str, bool]:
    """Return what makes an alert the same, whoever is told: the cell, the rule, when it looks."""
    return alert.cell_id, alert.rule, alert.epoch is None


def _failure(row: Cell | Composite, error: str, run_id: str) -> Finding:
    """Return what is known of what failed: it has no result, so each run's failure is another."""
    return Finding(row.cell_id, row.label, about=run_id, status="failed", error=error)


def _result(
    row: Mapping[str, Any],
    metrics: _Values,
    epochs: Mapping[str, list[float | None]],
    epochs_about: Mapping[str, str],
) -> Finding:
    """Return what is known of what has a result; curves of what was not measured are left out."""
    return Finding(
        cell_id=row["cell_id"],
        label=row["label"],
        about=row["result_key"],
        result_key=row["result_key"],
        status=row["status"],
        seconds=row["seconds_alone"],
        metrics=metrics,
        curves={metric: values for metric, values in epochs.items() if metric in epochs_about},
        curves_about=epochs_about,
    )


def _column(metric: str) -> str:
    return metric.replace(".", "_")


def _in(metric: str, parts: Sequence[str]) -> bool:
    """Say whether a metric is measured on one of these parts of the data."""
    return metric.partition(".")[0] in parts


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
