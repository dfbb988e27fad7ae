"""From a plan and a home to a graph, with what is known here: nothing is fetched or run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from foodvision.errors import DataError
from foodvision.plan.composites import composites
from foodvision.plan.expand import Cell, expand
from foodvision.plan.graph import Graph, compile_cells
from foodvision.store import Store
from tasks.facts import LibraryFacts
from tasks.finished import StoreFinished
from tasks.plan_data import known_data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foodvision.data.datasets import Dataset
    from foodvision.home import Home
    from foodvision.plan.schema import Plan


@dataclass(frozen=True)
class CompiledPlan:
    """A plan, compiled against a home.

    Attributes:
        plan: the plan.
        graph: its cells and stages.
        facts: what they were compiled with.
    """

    plan: Plan
    graph: Graph
    facts: LibraryFacts


def compile_plan(plan: Plan, home: Home) -> CompiledPlan:
    """Compile a plan with the data sets that have been fetched already.

    Raises:
        DataError: a data set has not been fetched yet, so its images are not known.
        PlanError: the plan cannot be compiled.
    """
    cells = expand(plan)
    facts = known_facts(plan, cells, home)
    known = StoreFinished(Store(home.store))
    graph = compile_cells(cells, facts, composites(plan, cells), known)
    return CompiledPlan(plan, graph, facts)


def known_facts(plan: Plan, cells: Sequence[Cell], home: Home) -> LibraryFacts:
    """Return what is known here about a plan's cells.

    Raises:
        DataError: a data set has not been fetched yet.
    """
    return LibraryFacts(home=home, base=plan.folder, datasets=_known(plan, cells, home))


def _known(plan: Plan, cells: Sequence[Cell], home: Home) -> dict[str, Dataset]:
    used = {c.name for cell in cells for c in (cell.settings.data, cell.settings.test)}
    found = {name: known_data(plan, name, home) for name in sorted(used)}
    if unknown := [name for name, dataset in found.items() if dataset is None]:
        have = "has" if len(unknown) == 1 else "have"
        raise DataError(
            f"{plan.name}: what a run will do depends on the images, and {', '.join(unknown)} "
            f"{have} not been fetched yet ({len(cells)} cells are known). Run the plan, or fetch "
            "first: foodvision explain PLAN --fetch."
        )
    return {name: dataset for name, dataset in found.items() if dataset is not None}
