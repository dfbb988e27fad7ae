"""Explain and compare plans against what is known and finished here, without running anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foodvision.plan.diff import Difference, diff_graphs
from foodvision.plan.explain import Explanation, explain
from foodvision.plan.rate_curves import RateCurve, rate_curves
from foodvision.plan.work import plan_work
from foodvision.store import Store
from tasks.compiling import compile_plan
from tasks.finished import StoreFinished

if TYPE_CHECKING:
    from foodvision.home import Home
    from foodvision.plan.schema import Plan


def explain_plan(plan: Plan, home: Home) -> Explanation:
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
    return explain(plan.name, graph, work)


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
