"""Explain and compare plans against what is known and finished here, without running anything."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from foodvision.files import free_bytes
from foodvision.plan.diff import Difference, diff_graphs
from foodvision.plan.explain import Explanation, explain
from foodvision.plan.rate_curves import RateCurve, rate_curves
from foodvision.plan.work import plan_work
from foodvision.stages.steps import has_steps
from foodvision.store import Store
from tasks.compiling import compile_plan, warn_left_out
from tasks.finished import StoreFinished
from tasks.paces import Forecast, PaceBook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foodvision.errors import DataError
    from foodvision.home import Home
    from foodvision.plan.graph import Graph
    from foodvision.plan.schema import Plan


@dataclass(frozen=True)
class Prospect:
    """What running a plan would do, and what this machine has for it.

    Attributes:
        explanation: the work.
        forecast: how long it will take.
        free_bytes: of the home's disk; `None`: not to be had.
        epochs_without_steps: that are in the store, where the plan asks for their steps: runs that
            noted none have computed them, and they are not trained again for it.
    """

    explanation: Explanation
    forecast: Forecast
    free_bytes: int | None
    epochs_without_steps: int

    @property
    def lacks_room(self) -> bool:
        """Whether a run will write more than there is room for."""
        return self.free_bytes is not None and self.explanation.disk.total > self.free_bytes

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        disk = asdict(self.explanation.disk)
        return self.explanation.to_json() | {
            "disk": disk | {"total": self.explanation.disk.total, "free": self.free_bytes},
            "seconds": self.forecast.to_json(),
            "epochs_without_steps": self.epochs_without_steps,
        }


def explain_plan(
    plan: Plan, home: Home, *, absent: Mapping[str, DataError] | None = None
) -> Prospect:
    """Say what running a plan would do.

    Args:
        plan: the plan.
        home: what is known, and done, is kept there.
        absent: why data sets could not be fetched just now, by name.

    Raises:
        DataError: no data set that cells use has been fetched yet, so no images are known.
    """
    graph, store = compile_plan(plan, home, absent=absent).graph, Store(home.store)
    work = plan_work(
        graph,
        StoreFinished(store),
        features_bytes=plan.limits.features_bytes,
        latency=plan.evaluate.latency,
    )
    forecast = PaceBook(home).forecast(work, cells=len(graph.cells))
    explanation = explain(plan.name, graph, work, save=plan.save, seconds=forecast.stages)
    without = _epochs_without_steps(graph, store) if plan.record.notes_steps else 0
    return Prospect(explanation, forecast, free_bytes(home.root), without)


def _epochs_without_steps(graph: Graph, store: Store) -> int:
    keys = {key for compiled in graph.cells for key in compiled.spans if store.has("train", key)}
    entries = {entry.path.resolve(): entry for entry in (store.get("train", key) for key in keys)}
    return sum(len(entry.notes["epochs"]) for entry in entries.values() if not has_steps(entry))


def explain_rates(
    plan: Plan, home: Home, *, absent: Mapping[str, DataError] | None = None
) -> tuple[RateCurve, ...]:
    """Return the learning rates of a plan's cells, each distinct schedule once.

    Args:
        plan: the plan.
        home: what is known, and done, is kept there.
        absent: why data sets could not be fetched just now, by name.

    Raises:
        DataError: no data set that cells use has been fetched yet, so no steps are known.
    """
    return rate_curves(_told_graph(plan, home, absent))


def diff_plans(before: Plan, after: Plan, home: Home) -> Difference:
    """Say what a plan reuses, continues, adds and drops, against another one.

    Raises:
        DataError: no data set of one of them has been fetched yet, so no images are known.
    """
    return diff_graphs(_told_graph(before, home), _told_graph(after, home))


def _told_graph(plan: Plan, home: Home, absent: Mapping[str, DataError] | None = None) -> Graph:
    """Compile a plan; say what has to be left out."""
    graph = compile_plan(plan, home, absent=absent).graph
    warn_left_out(plan, graph.left_out)
    return graph
