"""Look a plan's results up in the warehouse, by its cells."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import warehouse
from foodvision.errors import FoodVisionError, WarehouseError
from foodvision.plan.composites import Composite, composites
from foodvision.plan.expand import expand
from foodvision.plan.load import load_plan
from warehouse.ranking import rank
from warehouse.reading import latest_plan, other_settings, runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foodvision.home import Home
    from foodvision.plan.expand import Cell
    from foodvision.plan.schema import Plan
    from warehouse.reading import Run

_DEAD = ("failed", "cancelled", "crashed")


def ran_plan(
    home: Home,
    name: str | None = None,
    *,
    with_results: bool = True,
    overrides: Sequence[str] = (),
) -> Plan | None:
    """Return the plan that ran last, or ran last under that name, as it was then.

    Args:
        home: that it ran in.
        name: of the plan; `None`: whichever ran last.
        with_results: of the runs that anything completed in; else of all, also of those that died.
        overrides: of what it was then.

    Raises:
        PlanError: with the overrides it is none.
        WarehouseError: nothing has run yet, or the warehouse cannot be read.
    """
    try:
        found = latest_plan(home.warehouse, plan_name=name, with_results=with_results)
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error
    if found is None:
        return None
    text, source = found
    folder = Path(source).parent if source else Path.cwd()
    return load_plan(json.loads(text), overrides, folder=folder)


def first_result(leaderboard: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the key of the result that is the best: of seeds that share the rank, the first row's.

    Args:
        leaderboard: best first, as `rank_cells` returns it.

    Returns:
        One key; none where nothing is ranked.
    """
    return {row["result_key"] for row in leaderboard[:1] if row["rank"] is not None}


def told_status(row: Mapping[str, Any]) -> str:
    """Return the status of a row of the leaderboard as pictures tell it: it may be `collapsed`."""
    return "collapsed" if row.get("is_collapsed") and row["rank"] else str(row["status"])


def with_earlier_settings(rows: Sequence[Mapping[str, Any]], home: Home) -> list[dict[str, Any]]:
    """Return rows of any plans, each with `is_earlier`: its plan no longer has its cell.

    A plan that cannot be read by this version says nothing about its rows.
    """
    current = {name: _cell_ids(home, name) for name in {row["plan"] for row in rows}}
    found = []
    for row in rows:
        known = current[row["plan"]]
        found.append({**row, "is_earlier": bool(known) and row["cell_id"] not in known})
    return found


def readable_plan(home: Home, name: str) -> Plan | None:
    """Return a plan as it ran last; None where it is of an older version and breaks a rule now.

    Raises:
        WarehouseError: the warehouse cannot be read.
    """
    try:
        return ran_plan(home, name)
    except WarehouseError:
        raise
    except FoodVisionError:
        return None


def _cell_ids(home: Home, name: str) -> set[str]:
    """Return the cells of a plan as it ran last, and what is made of them."""
    plan = readable_plan(home, name)
    return set(_ids(plan, expand(plan))) if plan else set()


def _ids(plan: Plan, cells: Sequence[Cell]) -> list[str]:
    rows: list[Cell | Composite] = [*cells, *composites(plan, cells)]
    return [row.cell_id for row in rows]


def other_results(plan: Plan, cells: Sequence[Cell], home: Home) -> str:
    """Say where results of a plan are that has none as it stands, or why it has none at all.

    It ran with other settings, or its last run died.

    Returns:
        A sentence with a blank before it; empty where there are none.
    """
    try:
        found = other_settings(home.warehouse, plan.name, _ids(plan, cells))
        last = next(iter(runs(home.warehouse, plan_name=plan.name)), None)
    except warehouse.MissingWarehouseError:
        return ""
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error
    if not found:
        return _why_none(last)
    latest = found[0]
    words = f" {plan.name} has {latest.cells:,} results of {latest.started_at:%Y-%m-%d}, with"
    flags = override_flags(latest.set_json)
    if not flags:
        return f"{words} the settings that it had then: name it by its name, {plan.name}."
    return f"{words} {flags}: add the same here."


def override_flags(set_json: str | None) -> str:
    """Return a run's overrides, a JSON list, as they are typed: `--set base.epochs=3`."""
    return " ".join(f"--set {shlex.quote(each)}" for each in json.loads(set_json or "[]"))


def _why_none(last: Run | None) -> str:
    if last is None or last.status not in _DEAD:
        return ""
    return (
        f" The last run of {last.plan_name} ({last.started_at:%Y-%m-%d %H:%M} UTC) is "
        f"{last.status}: `foodvision logs {shlex.quote(last.plan_name)}` says why."
    )


def rank_cells(plan: Plan, cells: Sequence[Cell], home: Home) -> list[dict[str, Any]]:
    """Return the leaderboard of a plan, best first, by its own `rank`: cells, and what they make.

    Rows are looked up by their id, so that editing names, labels or `rank` orphans nothing.

    Raises:
        WarehouseError: nothing has run yet, or the warehouse cannot be read.
    """
    rows: list[Cell | Composite] = [*cells, *composites(plan, cells)]
    try:
        return rank(
            home.warehouse,
            cell_ids=[row.cell_id for row in rows],
            plan_name=plan.name,
            by=plan.rank.by.value,
            then=plan.rank.then.value if plan.rank.then else None,
            labels={row.cell_id: (row.label, row.position) for row in rows},
        )
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error
