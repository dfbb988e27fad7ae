"""What the words of a user mean: a plan's file or name, a model's file, name or label."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.options import current_home
from foodvision.errors import PlanError, WarehouseError
from foodvision.plan.naming import hint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from foodvision.plan.schema import Plan
    from warehouse import reading


Row = dict[str, Any]
_DIVERGED = "diverged"
MODEL_FILES = (".pth", ".json")
PlanOrName = Annotated[
    str | None, typer.Argument(metavar="[PLAN]", help="A plan's file or name; default: all.")
]
PlanOrLatest = Annotated[
    str | None,
    typer.Argument(metavar="[PLAN]", help="A plan's file or name; default: the one that ran last."),
]


def find_plan(plan: str | None, overrides: Sequence[str], *, with_results: bool = True) -> Plan:
    """Return a plan: of a file, or as it ran last under a name; None: the one that ran last.

    Runs that anything completed in come first; without `with_results`, a run is a run. A name is
    known also where every run of it died.
    """
    if plan is not None and (Path(plan).exists() or _is_path(plan)):
        from tasks.plans import open_plan

        return open_plan(Path(plan), overrides)
    from tasks.ranking import ran_plan

    found = ran_plan(current_home(), plan, with_results=with_results, overrides=overrides)
    if found is None and plan is not None:
        found = ran_plan(current_home(), plan, with_results=False, overrides=overrides)
    if found is not None:
        return found
    if plan is None and not with_results:
        raise WarehouseError("Nothing has run yet. Run a plan: `foodvision run PLAN`.")
    if plan is None:
        raise WarehouseError("No cell has completed yet. Run a plan: `foodvision run PLAN`.")
    raise PlanError(
        f"a plan is named by its file, or by its name if it ran, found {plan!r}, which is "
        f"neither{hint(plan, _plan_names())}"
    )


def _plan_names() -> list[str]:
    from warehouse import reading

    with translated():
        return [run.plan_name for run in reading.runs(current_home().warehouse)]


def _is_path(plan: str) -> bool:
    return plan.endswith((".yaml", ".yml")) or "/" in plan


def leaderboard_of(plan: Plan) -> list[Row]:
    """Return the rows of a plan's cells, best first."""
    from foodvision.plan.expand import expand
    from tasks.ranking import rank_cells

    return rank_cells(plan, expand(plan), current_home())


def ranked(plan: str | None, overrides: Sequence[str]) -> tuple[list[Row], str]:
    """Return the leaderboard, and what it is ranked by."""
    if plan is not None:
        found = find_plan(plan, overrides)
        return leaderboard_of(found), found.rank.by.value
    from tasks.ranking import with_earlier_settings
    from warehouse.ranking import rank as rank_warehouse

    with translated():
        rows = rank_warehouse(current_home().warehouse)
    return with_earlier_settings(rows, current_home()), "test.accuracy"


def winner(plan: Plan, leaderboard: Sequence[Row]) -> Row:
    """Return the first row of a plan's leaderboard; an error where nothing has completed."""
    found = [row for row in leaderboard if row["rank"] is not None]
    if not found:
        raise WarehouseError(
            f"The best model is the first of the ranked ones, and no cell of {plan.name} has "
            f"completed yet.{other_results(plan) or ' Run it: `foodvision run PLAN`.'}"
        )
    return found[0]


def other_results(plan: Plan) -> str:
    """Say where results of a plan are that has none as it stands."""
    from foodvision.plan.expand import expand
    from tasks.ranking import other_results

    return other_results(plan, expand(plan), current_home())


def best_results(plan: str) -> set[str]:
    """Return the key of a plan's best result; empty where none is ranked."""
    from tasks.ranking import first_result

    return first_result(leaderboard_of(find_plan(plan, ())))


def best_model(plan: str | None) -> Path:
    """Return the file of the best model of a plan; None: of the one that ran last."""
    found = find_plan(plan, ())
    row = winner(found, leaderboard_of(found))
    if not row["model_path"]:
        raise WarehouseError(
            f"{row['label']} is the best model, but was not saved. Run its plan with "
            f"--set save=best, or name a saved model with --model."
        )
    return Path(row["model_path"])


def find_named(name: str) -> tuple[reading.Result, int | None]:
    """Return the result that a name means, and the epoch of it where the name says one.

    Raises:
        WarehouseError: no result is called so, or several are; or nothing has run yet.
    """
    from tasks.model_names import BEST, find_result, split_epoch, split_plan
    from warehouse import reading

    with translated():
        results = reading.results(current_home().warehouse)
    base, epoch = (name, None) if any(r.label == name for r in results) else split_epoch(name)
    if base in {each.plan for each in results}.difference(each.label for each in results):
        base = f"{base}:{BEST}"
    plan, alias = split_plan(base)
    best = best_results(plan or results[0].plan) if alias == BEST and results else set()
    return find_result(base, results, best=best), epoch


def named_model(name: str) -> Path:
    """Return the file of a saved model that is named by it, or as `foodvision lineage` does."""
    path = Path(name)
    if path.exists() or path.suffix in MODEL_FILES:
        return path
    result, epoch = find_named(name)
    if epoch is not None:
        if result.status == _DIVERGED:
            raise WarehouseError(
                f"an epoch is named of a cell that completed, and of {result.label} its training "
                "diverged. Name another one; `foodvision rank` shows which completed."
            )
        from tasks.saved_epochs import save_epoch

        return save_epoch(result, epoch, current_home())
    if not result.model_path:
        raise WarehouseError(
            f"{result.label} was not saved. Run its plan with --set save=all, or name an epoch of "
            f"it whose snapshot is kept: {name}@epoch-1."
        )
    return Path(result.model_path)


def members_of(result_key: str) -> list[reading.Member]:
    """Return what a composite's result is made of; nothing for a trained cell's."""
    from warehouse import reading

    with translated():
        return reading.members(current_home().warehouse, result_key)


@contextmanager
def translated() -> Iterator[None]:
    """Let what goes wrong in the warehouse be an error of ours."""
    import warehouse

    try:
        yield
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error
