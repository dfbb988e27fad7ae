"""Explain and compare plans against what is known and finished here, without running anything."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from foodvision.files import free_bytes
from foodvision.plan.diff import Difference, diff_graphs
from foodvision.plan.explain import Explanation, explain
from foodvision.plan.rate_curves import RateCurve, rate_curves
from foodvision.plan.work import plan_work
from foodvision.store import Store
from tasks.compiling import compile_plan
from tasks.finished import StoreFinished
from tasks.paces import Forecast, PaceBook

if TYPE_CHECKING:
    from foodvision.home import Home
    from foodvision.plan.schema import Plan


@dataclass(frozen=True)
class Prospect:
    """What running a plan would do, and what this machine has for it.

    Attributes:
        explanation: the work.
        forecast: how long it will take.
        free_bytes: of the home's disk; `None`: not to be had.
    """

    explanation: Explanation
    forecast: Forecast
    free_bytes: int | None

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
        }


def explain_plan(plan: Plan, home: Home) -> Prospect:
    """Say what running a plan would do.

    Raises:
        DataError: a data set has not been fetched yet, so its images are not known.
    """
    graph = compile_plan(plan, home).graph
    work = plan_work(
        graph,
        StoreFinished(Store(home.store)),
        features_bytes=plan.limits.features_bytes,
        latency=plan.evaluate.latency,
    )
    forecast = PaceBook(home).forecast(work, cells=len(graph.cells))
    explanation = explain(plan.name, graph, work, save=plan.save, seconds=forecast.stages)
    return Prospect(explanation, forecast, free_bytes(home.root))


def explain_rates(plan: Plan, home: Home) -> tuple[RateCurve, ...]:
    """Return the learning rates of a plan's cells, each distinct schedule once.

    Raises:
        DataError: a data set has not been fetched yet, so its steps are not known.
    """
    return rate_curves(compile_plan(plan, home).graph)


def diff_plans(before: Plan, after: Plan, home: Home) -> Difference:
    """Say what a plan reuses, continues, adds and drops, against another one.

    Raises:
        DataError: a data set has not been fetched yet, so its images are not known.
    """
    return diff_graphs(compile_plan(before, home).graph, compile_plan(after, home).graph)
