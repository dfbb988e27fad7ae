"""Explain a plan against what is known and finished here, without running anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foodvision.data.datasets import known_dataset
from foodvision.errors import DataError
from foodvision.plan.expand import expand
from foodvision.plan.explain import Explanation, explain
from foodvision.plan.graph import compile_cells
from foodvision.plan.work import plan_work
from foodvision.store import Store
from tasks.facts import LibraryFacts
from tasks.finished import StoreFinished

if TYPE_CHECKING:
    from foodvision.home import Home
    from foodvision.plan.schema import Plan


def explain_plan(plan: Plan, home: Home) -> Explanation:
    """Say what running a plan would do.

    Raises:
        DataError: a data set has not been fetched yet, so its images are not known.
    """
    cells, store = expand(plan), Store(home.store)
    datasets = {}
    for name, wanted in plan.data.items():
        found = known_dataset(
            wanted.source,
            store=store,
            home=home,
            base=plan.folder,
            split=wanted.split,
            sha256=wanted.sha256,
            on_bad_image=wanted.on_bad_image,
        )
        if found is not None:
            datasets[name] = found
    used = {c.name for cell in cells for c in (cell.settings.data, cell.settings.test)}
    if unknown := sorted(used - datasets.keys()):
        raise DataError(
            f"{plan.name}: what a run will do depends on the images, and {', '.join(unknown)} has "
            f"not been fetched yet ({len(cells)} cells are known). Run the plan, or fetch first: "
            "foodvision explain PLAN --fetch."
        )
    facts = LibraryFacts(home=home, base=plan.folder, datasets=datasets)
    graph = compile_cells(cells, facts)
    limit = plan.limits.features_bytes
    work = plan_work(graph, StoreFinished(store), features_bytes=limit)
    return explain(plan.name, graph, work)
