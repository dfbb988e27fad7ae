"""The command `foodvision runs`: what ran here, the latest first."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli import tables
from flows.cli.finding import find_plan, translated
from flows.cli.options import AsJson, HomeFolder, current_home

if TYPE_CHECKING:
    from datetime import datetime

    from warehouse import reading

_SHORT = 8
_MOST = 20
_JSON_TEXTS = ("predicted_json", "counted_json", "set_json")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision runs demo\n"
            "  Run       Begun (UTC)       Plan  Status     Cells  Seconds    Epochs\n"
            "  157cdc66  2026-11-21 21:43  demo  completed      8        7  40 of 60\n"
            "  93dfc1fb  2026-11-21 21:40  demo  completed      8       12  40 of 60\n"
            "  157cdc66: --set base.batch_size=64\n"
            "  $ foodvision compare 93dfc1fb 157cdc66"
        )
    )(runs)


def runs(
    plan: Annotated[
        str | None,
        typer.Argument(metavar="[PLAN]", help="A plan's file or name; default: all plans."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="Print so many, the latest.")
    ] = _MOST,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """List the runs, the latest first.

    `compare` takes a run by its id. Cells are those with a result. Epochs are those that
    the run trained, of those that its cells would take, each alone.
    """
    from warehouse import reading

    name = None if plan is None else find_plan(plan, (), with_results=False).name
    with translated():
        found = reading.run_details(current_home().warehouse, name, most=limit + 1)
    shown = found[:limit]
    living = _living(shown)
    if as_json:
        tables.print_json([_to_json(run, living) for run in shown])
        return
    _print(shown, living)
    if len(found) > limit:
        tables.say(f"These are the latest {limit}; there are more: --limit.")


def _living(found: list[reading.RunDetails]) -> tuple[str, ...]:
    """Return the runs that go on; to look, where none says so, is to import Prefect for nothing."""
    if all(run.status != "running" for run in found):
        return ()
    from flows.crashes import living_runs

    return living_runs(current_home())


def _status(run: reading.RunDetails, living: tuple[str, ...]) -> str:
    """Return how it ended; who died without a word still says that it runs."""
    return "crashed" if run.status == "running" and run.run_id not in living else run.status


def _to_json(run: reading.RunDetails, living: tuple[str, ...]) -> dict[str, Any]:
    row = asdict(run) | {"status": _status(run, living)}
    row.pop("environment_json")
    for name in _JSON_TEXTS:
        row[name.removesuffix("_json")] = json.loads(row.pop(name) or "null")
    return row | {"started_at": run.started_at.astimezone(UTC).isoformat()}


def _print(found: list[reading.RunDetails], living: tuple[str, ...]) -> None:
    from tasks.ranking import override_flags

    columns = (
        tables.Column("Run", "id"),
        tables.Column("Begun (UTC)", "started_at", _minute),
        tables.Column("Plan", "plan_name"),
        tables.Column("Status", "status"),
        tables.Column("Cells", "cells", is_number=True),
        tables.Column("Seconds", "wall_seconds", tables.whole_seconds, is_number=True),
        tables.Column("Epochs", "epochs", is_number=True),
    )
    rows = [
        {
            **asdict(run),
            "id": run.run_id[:_SHORT],
            "status": _status(run, living),
            "cells": _cells(run),
            "epochs": _epochs(run),
        }
        for run in found
    ]
    tables.print_rows(rows, columns, as_json=False, empty="Nothing has run yet.")
    for run in found:
        if flags := override_flags(run.set_json):
            tables.say_wrapped(f"{run.run_id[:_SHORT]}: {flags}")


def _minute(value: datetime) -> str:
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"


def _cells(run: reading.RunDetails) -> str:
    """Return how many cells have a result, of how many where that is not all."""
    if run.cells_done == run.cells:
        return str(run.cells)
    return f"{run.cells_done} of {run.cells}"


def _epochs(run: reading.RunDetails) -> str | None:
    """Say how many epochs a run trained, of those of its cells alone, or that all was kept."""
    if not run.stages_computed:
        return "all kept" if run.stages_found else None
    return f"{run.epochs_computed:,} of {max(run.epochs_alone, run.epochs_computed):,}"
