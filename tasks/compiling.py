"""From a plan and a home to a graph, with what is known here: nothing is fetched or run."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from foodvision.plan.composites import composites
from foodvision.plan.expand import Cell, expand
from foodvision.plan.graph import Graph, compile_cells
from foodvision.plan.labels import listed
from foodvision.plan.left_out import LeftOut, causes
from foodvision.store import Store
from tasks.facts import LibraryFacts
from tasks.finished import StoreFinished
from tasks.plan_data import known_plan_data, used_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foodvision.errors import DataError, FoodVisionError
    from foodvision.home import Home
    from foodvision.plan.schema import Plan

logger = logging.getLogger("foodvision.compiling")


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


def compile_plan(
    plan: Plan, home: Home, *, absent: Mapping[str, DataError] | None = None
) -> CompiledPlan:
    """Compile a plan with what is known here: cells that lack something are left out.

    Args:
        plan: the plan.
        home: what is known, and done, is kept there.
        absent: why data sets could not be fetched just now, by name.

    Raises:
        DataError: that leaves none, because data sets have not been fetched yet.
        ModelError: that leaves none, because weights cannot be had.
        PlanError: the plan cannot be compiled.
    """
    cells = expand(plan)
    facts = known_facts(plan, cells, home, absent=absent)
    known = StoreFinished(Store(home.store))
    graph = compile_cells(cells, facts, composites(plan, cells), known)
    if not graph.cells:
        raise nothing_left(plan, graph.left_out)
    return CompiledPlan(plan, graph, facts)


def known_facts(
    plan: Plan, cells: Sequence[Cell], home: Home, *, absent: Mapping[str, DataError] | None = None
) -> LibraryFacts:
    """Return what is known here about a plan's cells; nothing is fetched.

    Args:
        plan: the plan.
        cells: of the plan.
        home: what is known is kept there.
        absent: why data sets could not be fetched just now, by name.
    """
    data = known_plan_data(plan, used_names(cells), home)
    told = {name: (absent or {}).get(name, error) for name, error in data.absent.items()}
    return LibraryFacts(home=home, base=plan.folder, datasets=data.found, absent=told)


def nothing_left(plan: Plan, left_out: Sequence[LeftOut]) -> FoodVisionError:
    """Return the error that no cell of a plan can be compiled, and what each cause is."""
    cells = sum(isinstance(each.row, Cell) for each in left_out)
    which = f"any of its {cells:,} cells" if cells > 1 else "its cell"
    kind = type(left_out[0].error)
    return kind(f"{plan.name}: nothing can be said of {which}. {' '.join(causes(left_out))}")


def warn_left_out(plan: Plan, left_out: Sequence[LeftOut]) -> None:
    """Say what is not told of, and why; each cause once."""
    for why, labels in causes(left_out).items():
        logger.warning("%s: left out: %s: %s", plan.name, listed(labels, most=3), why)
